//! The built binary under checkers nobody here wrote: the Inspector, which reads what a server
//! publishes, and a schema fuzzer, which sends it what nobody should.

#![expect(clippy::panic, reason = "where the test cannot begin, it says what is missing and fails")]

#[path = "checkers/fuzzer.rs"]
mod fuzzer;
#[path = "checkers/house.rs"]
mod house;
#[path = "checkers/inspector.rs"]
mod inspector;

use fuzzer::fuzz;
use house::{Door, House};
use inspector::{Inspector, TOOLS};
use serde_json::Value;

/// How a client settles on a version of the protocol.
const ERAS: [&str; 2] = ["legacy", "modern"];

/// Through every door and in both eras the Inspector finds the same tools and nothing to object to.
#[tokio::test]
async fn the_inspector_has_no_objection() {
    let house = House::new();
    let served = house.served().await;
    let mut seen: Option<Value> = None;
    for door in [Door::Stdio, Door::Http, Door::Sse] {
        for era in ERAS {
            let inspector = Inspector::new(&house, &served, door, era);
            let list = inspector.silent(&["--method", "tools/list", "--strict"]).await;
            let tools = list[TOOLS].as_array().map(Vec::len).unwrap_or_default();
            assert!(tools > 1, "{door:?}, {era}: {list}");
            assert_eq!(seen.get_or_insert_with(|| list.clone()), &list, "{door:?}, {era}");
            for (method, what) in [("prompts/list", "prompts"), ("resources/list", "resources")] {
                let list = inspector.silent(&["--method", method]).await;
                assert!(
                    list[what].as_array().is_some_and(|it| !it.is_empty()),
                    "{door:?}, {era}: {list}"
                );
            }
            let board = inspector.board().await;
            assert!(board["agents"].is_array(), "{door:?}, {era}: {board}");
        }
    }
    served.ends().await;
}

/// What the fuzzer did is counted, nothing broke, and no call was taken that does not fit.
#[tokio::test]
async fn the_fuzzer_breaks_nothing_over_stdio() {
    let house = House::new();
    let served = house.served().await;
    let list = Inspector::new(&house, &served, Door::Http, "modern");
    let list = list.silent(&["--method", "tools/list"]).await;
    fuzz(&house, "stdio", &house.command()).await.is_harmless(&list[TOOLS]);
    // The fuzzer kills its server; the next one finds the journal in order.
    let board = Inspector::new(&house, &served, Door::Stdio, "modern").board().await;
    assert!(board["agents"].is_array(), "{board}");
    served.ends().await;
}

#[tokio::test]
async fn the_fuzzer_breaks_nothing_over_http() {
    let house = House::new();
    let served = house.served().await;
    let inspector = Inspector::new(&house, &served, Door::Http, "modern");
    let list = inspector.silent(&["--method", "tools/list"]).await;
    fuzz(&house, "streamablehttp", &served.url).await.is_harmless(&list[TOOLS]);
    // The very same server answers.
    let board = inspector.board().await;
    assert!(board["agents"].is_array(), "{board}");
    served.ends().await;
}
