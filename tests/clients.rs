//! The built binary over stdio, driven by the official SDKs in every era they speak.

#![expect(clippy::panic, reason = "where the test cannot begin, it says what is missing and fails")]

#[path = "clients/client.rs"]
mod client;
#[path = "clients/scenarios.rs"]
mod scenarios;

use client::{House, Line};

/// Every scenario with one line of an SDK.
macro_rules! line {
    ($name:ident, $line:expr) => {
        mod $name {
            use crate::client::{House, Line};
            use crate::scenarios;

            const LINE: Line = $line;

            line! { @each lists hands_off leaves_with_a_handle cancels finds_its_run_after_a_crash
                calls_side_by_side leads_a_plan hears_of_progress tells_what_was_wrong shares_its_journal }
        }
    };
    (@each $($scenario:ident)*) => {
        $(#[test]
        fn $scenario() {
            scenarios::$scenario(&House::new(), LINE);
        })*
    };
}

line!(python_initializes, Line::Python { era: "legacy" });
line!(python_discovers, Line::Python { era: "auto" });
line!(typescript_v1, Line::TypeScript { line: "v1", era: "legacy" });
line!(typescript_v2_initializes, Line::TypeScript { line: "v2", era: "legacy" });
line!(typescript_v2_discovers, Line::TypeScript { line: "v2", era: "auto" });

/// A client that speaks the newest version or nothing needs no handshake at all.
#[test]
fn typescript_v2_needs_no_handshake() {
    let pinned = Line::TypeScript { line: "v2", era: "2026-07-28" };
    scenarios::lists(&House::new(), pinned);
    scenarios::hands_off(&House::new(), pinned);
}

/// It does not even ask who the server is.
#[test]
fn python_needs_no_handshake() {
    scenarios::hands_off(&House::new(), Line::Python { era: "2026-07-28" });
}

#[test]
fn two_languages_and_two_eras_share_a_journal() {
    let older = Line::TypeScript { line: "v1", era: "legacy" };
    scenarios::share(&House::new(), Line::Python { era: "auto" }, older);
    scenarios::share(&House::new(), older, Line::Python { era: "auto" });
}
