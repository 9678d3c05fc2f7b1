//! What the server knows about its own running: counters, latencies, slow commands, memory, and the INFO
//! writer.
//!
//! | file | question it answers |
//! | --- | --- |
//! | `counters` | how much of everything has happened (INFO stats) |
//! | `rates` | how much of it per second just now |
//! | `commandstats`, `histogram` | how often, how long and how unevenly each command ran |
//! | `errorstats` | which error codes clients were sent |
//! | `slowlog` | which single commands were slow (SLOWLOG) |
//! | `latency`, `sparkline`, `latency_doctor` | when did the server stall, and why (LATENCY) |
//! | `memory`, `jemalloc`, `cpu` | what the process costs its machine |
//! | `info` | how all of it is written down |
//!
//! Imports nothing but `std` and small crates. Time is always an argument: no file here reads a clock, and
//! only `memory` and `cpu` ask the operating system anything. Nothing here knows what a key, a client or a
//! socket is.

pub mod commandstats;
pub mod counters;
pub mod cpu;
pub mod errorstats;
pub mod histogram;
pub mod info;
mod jemalloc;
pub mod latency;
pub mod latency_doctor;
pub mod memory;
pub mod rates;
pub mod slowlog;
pub mod sparkline;
