//! Encrypted connections.

use super::super::directive::*;

pub(super) const SECTION: Section = Section {
    title: "TLS",
    rows: &[
        int(
            "tls-port",
            0,
            65535,
            "0",
            "TCP port to listen on for TLS; 0 for none.",
        ),
        optional("tls-cert-file", "Certificate of this server, in PEM.").volatile(),
        optional("tls-key-file", "Private key of that certificate, in PEM.").volatile(),
        optional("tls-key-file-pass", "Password of that key.").sensitive(),
        optional(
            "tls-client-cert-file",
            "Certificate to show when this server is the client, as a replica is.",
        )
        .volatile(),
        optional("tls-client-key-file", "Private key of that certificate.").volatile(),
        optional("tls-client-key-file-pass", "Password of that key.").sensitive(),
        optional(
            "tls-dh-params-file",
            "Diffie-Hellman parameters, for old clients.",
        )
        .volatile(),
        optional(
            "tls-ca-cert-file",
            "Certificates of the authorities to trust, in one file.",
        )
        .volatile(),
        optional(
            "tls-ca-cert-dir",
            "Certificates of the authorities to trust, in a folder.",
        )
        .volatile(),
        choice(
            "tls-auth-clients",
            &["no", "yes", "optional"],
            "yes",
            "Whether clients must show a certificate, need not, or may.",
        ),
        yes_no("tls-replication", "no", "Speak TLS to the master."),
        yes_no("tls-cluster", "no", "Speak TLS on the cluster bus."),
        optional(
            "tls-protocols",
            "Protocol versions to accept, such as \"TLSv1.2 TLSv1.3\"; all sound ones when not set.",
        ),
        optional("tls-ciphers", "Ciphers for TLS 1.2, in OpenSSL's notation."),
        optional(
            "tls-ciphersuites",
            "Cipher suites for TLS 1.3, in OpenSSL's notation.",
        ),
        yes_no(
            "tls-prefer-server-ciphers",
            "no",
            "Let the server's order of ciphers win over the client's.",
        ),
        yes_no(
            "tls-session-caching",
            "yes",
            "Let clients resume sessions without a full handshake.",
        ),
        int(
            "tls-session-cache-size",
            0,
            INT_MAX,
            "20480",
            "How many sessions to remember; 0 for no bound.",
        ),
        int(
            "tls-session-cache-timeout",
            0,
            INT_MAX,
            "300",
            "Seconds a session is remembered.",
        ),
    ],
};
