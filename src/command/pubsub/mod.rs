//! Publish and subscribe.
//!
//! | file | commands |
//! | --- | --- |
//! | `subscribe` | SUBSCRIBE UNSUBSCRIBE, PSUBSCRIBE PUNSUBSCRIBE, SSUBSCRIBE SUNSUBSCRIBE |
//! | `publish` | PUBLISH SPUBLISH |
//! | `ask` | PUBSUB and its subcommands |
//! | `broker` | none: carries messages to their subscribers |

pub mod ask;
pub mod broker;
pub mod publish;
pub mod subscribe;
