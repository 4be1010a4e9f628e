//! Dropping a question closes its connection at once.

use std::time::Duration;

use tokio::time::timeout;

use crate::ask::{address, client, ms, request};
use crate::endpoint::{Act, Endpoint};

#[tokio::test]
async fn dropping_the_future_closes_the_connection_in_every_phase() {
    let slow = || Act::say("hello hello hello hello hello");
    let phases = [
        ("before the first byte", Act::silence()),
        ("while it thinks", slow().after(Duration::from_secs(30))),
        ("after the first event", slow().stalls_after(1)),
        ("in the middle", slow().stalls_after(4)),
        ("while it flows", slow().slowly(ms(200))),
    ];
    for stream in [true, false] {
        for (phase, act) in phases.clone() {
            let endpoint = Endpoint::start(move |_| act.clone()).await;
            let mut address = address(&endpoint.base_url(), stream);
            (address.idle_s, address.total_s) = (60, 60);
            let client = client(address);
            let asked = timeout(ms(300), client.ask("acme", &request())).await;
            assert!(asked.is_err(), "{phase}: {asked:?}");
            endpoint.until(|it| it.iter().all(|it| it.left.is_some())).await;
            let seen = endpoint.requests();
            assert_eq!(seen.len(), 1, "{phase}");
            let left = seen[0].left.unwrap();
            assert!(left < Duration::from_secs(2), "{phase}, stream {stream}: {left:?}");
        }
    }
}
