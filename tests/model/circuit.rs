//! F21: an endpoint in trouble is left alone for a while, then one may try, then all go on.

use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::time::Duration;

use callboard_trace::{Event, FailureCode, Record, State};
use futures::future::join_all;
use serde_json::json;

use crate::endpoint::{Act, Endpoint};
use crate::stage::{Stage, ask, end, play, records, tell};

/// Failures that open the circuit, and for how long it is open then.
const FAILURES: usize = 3;
const OPEN: Duration = Duration::from_secs(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_burst_opens_the_circuit_and_one_try_closes_it() {
    let left = AtomicUsize::new(FAILURES);
    let endpoint = Endpoint::start(move |_| {
        let fails = left.fetch_update(SeqCst, SeqCst, |it| it.checked_sub(1)).is_ok();
        let answer = Act::answer(&json!({"summary": "well again", "confidence": 0.9}));
        if fails { Act::status(503) } else { answer.after(Duration::from_millis(100)) }
    })
    .await;
    let stage = Stage::at(&endpoint.base_url(), "");
    let breaker = format!("{{failures: {FAILURES}, reset_s: {}}}", OPEN.as_secs());
    let base_url = endpoint.base_url();
    stage.write(
        "team.yaml",
        &format!(
            "providers:\n  e: {{base_url: \"{base_url}\", breaker: {breaker}}}\n\
             models: {{default: e/m}}\nthrottle: off\n"
        ),
    );
    let node = stage.node().await;
    let desk = node.desk();
    let first = play(&desk, ask("writer", "in the burst")).await;
    let code = first.error.as_ref().map(|it| it.code);
    assert_eq!((first.state, code), (State::Failed, Some(FailureCode::ModelUnavailable)));
    assert_eq!(endpoint.requests().len(), FAILURES);
    let mut all = records(&desk, &first.run).await;
    // The others begin while it is open: none of them asks before its time, and then one does.
    let mut later = Vec::new();
    for nth in 0..4 {
        let asked = ask("writer", &format!("after the burst {nth}"));
        later.push(desk.submit(asked).await.expect("in").run);
    }
    for view in join_all(later.iter().map(|it| end(&desk, it))).await {
        assert_eq!(view.state, State::Completed, "{view:?}");
        all.extend(records(&desk, &view.run).await);
    }
    node.stop().await;
    let waits = |it: &&Record| {
        let Event::StepWaiting(it) = &it.event else { return false };
        it.resource.ends_with(": left alone after failures")
    };
    assert_eq!(all.iter().filter(waits).count(), later.len(), "{}", tell(&all));
    let at: Vec<Duration> = endpoint.requests().iter().map(|it| it.at).collect();
    assert_eq!(at.len(), FAILURES + later.len(), "each is asked once");
    assert!(at[FAILURES] - at[FAILURES - 1] >= OPEN - Duration::from_millis(100), "{at:?}");
    assert!(at[FAILURES + 1] - at[FAILURES] >= Duration::from_millis(100), "one tries: {at:?}");
}
