//! Files that became others are progress: a path that comes round with them is no circle yet.

use callboard_trace::{Event, Touched};
use serde_json::json;

use super::circles::{along, hands};
use super::play::Play;
use crate::rules::loops;

/// The coder wrote that file, and this stands in it.
fn writes(play: &mut Play, path: &str, hash: &str, wrote: bool) {
    let file = Touched { path: path.into(), bytes: 1, hash: hash.into(), wrote };
    play.happens(Event::ToolReturned {
        step: 9,
        call: "e".into(),
        ok: true,
        result: json!("edited"),
        ms: 1,
        documents: vec![],
        files: vec![file],
    });
}

#[test]
fn files_that_became_others_are_progress() {
    let first = |wrote| {
        let mut play = Play::new();
        writes(&mut play, "a.rs", "h1", wrote);
        loops::mark(&play.run)
    };
    assert_eq!(first(false), loops::mark(&Play::new().run), "reading is none");
    // From the coder to the tester, who wrote nothing and left it with what there was, and back.
    for (again, goes) in [(None, false), (Some("h1"), false), (Some("h2"), true)] {
        let mut play = along("coder tester coder", true);
        play.run.started.marks = vec![first(true), first(true)];
        if let Some(hash) = again {
            writes(&mut play, "a.rs", hash, true);
        }
        let said = hands(&mut play, "tester");
        assert_eq!(said.starts_with("handed off"), goes, "{again:?}: {said}");
    }
}
