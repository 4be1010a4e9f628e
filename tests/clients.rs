//! The built binary over stdio and HTTP, driven by the official SDKs in every era they speak.

#![expect(clippy::panic, reason = "where the test cannot begin, it says what is missing and fails")]

#[path = "clients/client.rs"]
mod client;
#[path = "clients/house.rs"]
mod house;
#[path = "clients/questions.rs"]
mod questions;
#[path = "clients/scenarios.rs"]
mod scenarios;
#[path = "clients/surface.rs"]
mod surface;

use std::sync::Mutex;
use std::thread;

use client::Line;
use house::Way;
use questions::{asks_its_user, cannot_read_a_task, has_tasks, tells_what_is_asked};
use scenarios::*;
use surface::finds_what_is_beside_the_tools;

/// What a client is to go through, and what that is called.
type Scenario = (&'static str, fn(Way, Line));

/// Scenarios by their names.
macro_rules! scenarios {
    ($($name:ident)*) => { &[$((stringify!($name), $name as fn(Way, Line))),*] };
}

/// Every line in every era goes through these, whatever the way.
const ALL: &[Scenario] = scenarios! {
    finds_its_run_after_a_crash shares_its_journal leaves_with_a_handle hears_of_progress
    asks_its_user tells_what_is_asked
    is_heard_when_it_gives_up calls_side_by_side uses_the_tools finds_what_is_beside_the_tools
};
const NEWER: &[Scenario] = scenarios! { has_tasks };
/// The transport of 2024-11-05 is a connection like stdin and stdout: these show that it is one.
const OVER_SSE: &[Scenario] = scenarios! {
    hears_of_progress asks_its_user is_heard_when_it_gives_up calls_side_by_side uses_the_tools
    finds_what_is_beside_the_tools
};
const OVER_HTTP: &[Scenario] = scenarios! { goes_on_after_its_server_died };
/// Most of a scenario is waiting: so many go on at once.
const AT_ONCE: usize = 4;

const PYTHON_OLDER: Line = Line::Python { era: "legacy" };
const PYTHON_NEWER: Line = Line::Python { era: "auto" };
const TYPESCRIPT_V1: Line = Line::TypeScript { line: "v1", era: "legacy" };
const TYPESCRIPT_V2_OLDER: Line = Line::TypeScript { line: "v2", era: "legacy" };
const TYPESCRIPT_V2_NEWER: Line = Line::TypeScript { line: "v2", era: "auto" };

/// A line of an SDK goes through all of these; tells of each that it did not come through.
fn through(way: Way, line: Line, scenarios: &[&[Scenario]]) {
    let left: Mutex<Vec<Scenario>> = Mutex::new(scenarios.concat().into_iter().rev().collect());
    let failed = Mutex::new(Vec::new());
    let next = || left.lock().expect("no panic holds it").pop();
    thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((name, scenario)) = next() {
                    let run = thread::Builder::new().name(name.to_owned());
                    let run = run.spawn_scoped(scope, move || scenario(way, line));
                    if run.expect("a thread").join().is_err() {
                        failed.lock().expect("no panic holds it").push(name);
                    }
                }
            });
        }
    });
    let failed = failed.into_inner().expect("nobody holds it");
    assert!(failed.is_empty(), "{line:?} by {way:?}: {failed:?}");
}

#[test]
fn python_initializes_over_stdio() {
    through(Way::Stdio, PYTHON_OLDER, &[ALL]);
}

#[test]
fn python_initializes_over_http() {
    through(Way::Http, PYTHON_OLDER, &[ALL, OVER_HTTP]);
}

#[test]
fn python_initializes_over_sse() {
    through(Way::Sse, PYTHON_OLDER, &[OVER_SSE]);
}

#[test]
fn python_discovers_over_stdio() {
    through(Way::Stdio, PYTHON_NEWER, &[ALL, NEWER]);
}

#[test]
fn python_discovers_over_http() {
    through(Way::Http, PYTHON_NEWER, &[ALL, NEWER, OVER_HTTP]);
}

#[test]
fn python_discovers_over_sse() {
    through(Way::Sse, PYTHON_NEWER, &[OVER_SSE, NEWER]);
}

#[test]
fn typescript_v1_over_stdio() {
    through(Way::Stdio, TYPESCRIPT_V1, &[ALL]);
}

#[test]
fn typescript_v1_over_http() {
    through(Way::Http, TYPESCRIPT_V1, &[ALL, OVER_HTTP]);
}

#[test]
fn typescript_v1_over_sse() {
    through(Way::Sse, TYPESCRIPT_V1, &[OVER_SSE]);
}

#[test]
fn typescript_v2_initializes_over_stdio() {
    through(Way::Stdio, TYPESCRIPT_V2_OLDER, &[ALL]);
}

#[test]
fn typescript_v2_initializes_over_http() {
    through(Way::Http, TYPESCRIPT_V2_OLDER, &[ALL, OVER_HTTP]);
}

#[test]
fn typescript_v2_initializes_over_sse() {
    through(Way::Sse, TYPESCRIPT_V2_OLDER, &[OVER_SSE]);
}

#[test]
fn typescript_v2_discovers_over_stdio() {
    through(Way::Stdio, TYPESCRIPT_V2_NEWER, &[ALL, NEWER]);
}

#[test]
fn typescript_v2_discovers_over_http() {
    through(Way::Http, TYPESCRIPT_V2_NEWER, &[ALL, NEWER, OVER_HTTP]);
}

#[test]
fn typescript_v2_discovers_over_sse() {
    through(Way::Sse, TYPESCRIPT_V2_NEWER, &[OVER_SSE, NEWER]);
}

#[test]
fn what_is_pinned_needs_no_handshake() {
    for way in [Way::Stdio, Way::Http] {
        needs_no_handshake(way, Line::TypeScript { line: "v2", era: "2026-07-28" });
        needs_no_handshake(way, Line::Python { era: "2026-07-28" });
    }
}

#[test]
fn typescript_v2_cannot_read_a_task() {
    cannot_read_a_task(TYPESCRIPT_V2_NEWER);
}

#[test]
fn two_languages_two_eras_and_two_ways_share_a_journal() {
    share(Way::Stdio, PYTHON_NEWER, TYPESCRIPT_V1);
    share(Way::Http, TYPESCRIPT_V2_NEWER, PYTHON_OLDER);
    share(Way::Http, TYPESCRIPT_V1, PYTHON_NEWER);
}
