//! Client-side caching and limits on clients, over sockets.

use super::chat::Chat;
use super::server::Server;

#[test]
fn a_resp2_client_has_its_other_connection_told() {
    let server = Server::start(&[]);
    let [mut data, mut messages, mut other] = [(); 3].map(|()| Chat::with(&server));
    let id = messages.run("CLIENT ID").replace(':', "");
    messages.run("SUBSCRIBE __redis__:invalidate");
    assert_eq!(data.run(&format!("CLIENT TRACKING ON REDIRECT {id}")), "+OK");
    data.run("GET k");
    other.run("SET k 1");
    assert_eq!(
        messages.hear().as_deref(),
        Some("*3 $message $__redis__:invalidate *1 $k")
    );
    data.run("GET k");
    other.run("FLUSHALL");
    assert_eq!(
        messages.hear().as_deref(),
        Some("*3 $message $__redis__:invalidate $nil")
    );
    other.run("HELLO 3");
    assert_eq!(other.run("CLIENT TRACKING ON BCAST PREFIX u:"), "+OK");
    assert_eq!(data.run("MSET u:1 1 v:1 1"), "+OK");
    assert_eq!(other.hear().as_deref(), Some(">2 $invalidate *1 $u:1"));
}

#[test]
fn clients_that_hold_too_much_are_closed_largest_first() {
    let server = Server::start(&[]);
    let mut control = Chat::with(&server);
    control.run("CLIENT NO-EVICT ON");
    assert_eq!(control.run("CONFIG SET maxmemory-clients 1000000"), "+OK");
    let [mut small, mut large, mut exempt] = [(); 3].map(|()| Chat::with(&server));
    exempt.run("CLIENT NO-EVICT ON");
    small.send(&format!("*1\r\n$300000\r\n{}", "v".repeat(200_000)));
    large.send(&format!("*1\r\n$900000\r\n{}", "v".repeat(850_000)));
    assert_eq!(large.hear(), None);
    assert!(control.run("INFO stats").contains("evicted_clients:1"));
    exempt.send(&format!("*1\r\n$1500000\r\n{}", "v".repeat(1_200_000)));
    // The exempt one counts, but another has to go.
    assert_eq!(small.hear(), None);
    exempt.send(&"v".repeat(300_000));
    exempt.send("\r\n");
    assert!(
        exempt
            .hear()
            .is_some_and(|reply| reply.starts_with("-ERR unknown command"))
    );
    assert!(
        control
            .run("DEBUG CLIENT-EVICTION")
            .starts_with("-ERR DEBUG command not allowed")
    );
}
