//! Users, passwords, client-side caching.

use super::super::directive::*;

pub(super) const SECTION: Section = Section {
    title: "SECURITY",
    rows: &[
        int(
            "acllog-max-len",
            0,
            i64::MAX,
            "128",
            "How many refusals ACL LOG remembers.",
        ),
        text(
            "aclfile",
            "",
            "File with the users; when set, 'user' lines in this file are an error.",
        )
        .immutable(),
        optional("requirepass", "Password of the default user.").sensitive(),
        choice(
            "acl-pubsub-default",
            &["allchannels", "resetchannels"],
            "resetchannels",
            "Which channels a new user may use: all, or none.",
        ),
        int(
            "tracking-table-max-keys",
            0,
            i64::MAX,
            "1000000",
            "How many keys to remember for client-side caching; 0 for no bound.",
        ),
    ],
};
