//! What was written is read back equal, whatever stands in it.

use callboard_trace::{Event, Record, RunId, story_line};
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};

use crate::any::{name, run, text};
use crate::kinds::{kind_of, kinds};

/// Records tried of each kind.
const CASES: u32 = 48;

fn record(event: BoxedStrategy<Event>) -> impl Strategy<Value = Record> {
    let place = (any::<u64>(), any::<i64>(), any::<u16>(), any::<u32>());
    let whose = (text(), run(), run(), proptest::option::of(name()));
    (place, whose, text(), text(), event).prop_map(|(place, whose, by, prev, event)| {
        let (seq, at, v, attempt) = place;
        let (workspace, task, run, agent) = whose;
        Record { seq, at, v, workspace, task, run, attempt, agent, by, prev, event }
    })
}

/// Tries a property on many records of every kind.
fn on_every_kind(property: impl Fn(&Record) -> Result<(), TestCaseError>) {
    let config = Config { cases: CASES, failure_persistence: None, ..Config::default() };
    for (kind, events) in kinds() {
        let mut runner = TestRunner::new(config.clone());
        let tried = runner.run(&record(events), |it| {
            prop_assert_eq!(kind_of(&it.event), kind, "a strategy makes its own kind");
            property(&it)
        });
        tried.map_err(|error| format!("{kind}: {error}")).expect("it holds");
    }
}

#[test]
fn a_record_of_every_kind_is_read_back_equal() {
    on_every_kind(|record| {
        let text = serde_json::to_string(record).expect("a record can be written");
        prop_assert!(!text.contains('\n'), "a record is one line");
        let read: Record = match serde_json::from_str(&text) {
            Ok(read) => read,
            Err(error) => return Err(TestCaseError::fail(format!("{error}: {text:.400}"))),
        };
        prop_assert_eq!(&read, record);
        let again = serde_json::to_string(&read).expect("a record can be written");
        prop_assert_eq!(again, text, "it is written the same way again");
        Ok(())
    });
}

#[test]
fn a_record_goes_through_a_value_as_well() {
    on_every_kind(|record| {
        let value = serde_json::to_value(record).expect("a record can be written");
        prop_assert_eq!(value["event"]["kind"].as_str(), Some(record.event.kind()));
        let read: Record = serde_json::from_value(value).expect("and read");
        prop_assert_eq!(&read, record);
        Ok(())
    });
}

#[test]
fn a_story_line_is_one_bounded_line_whatever_stands_in_it() {
    on_every_kind(|record| {
        let line = story_line(record);
        prop_assert!(!line.chars().any(is_break), "{line:?}");
        prop_assert!(line.chars().count() <= 401, "{} characters", line.chars().count());
        prop_assert!(!line.trim().is_empty());
        Ok(())
    });
}

/// What an editor, a terminal or a log reader may take for the end of a line, or worse.
fn is_break(it: char) -> bool {
    it.is_control() || matches!(it, '\u{2028}' | '\u{2029}' | '\u{202e}' | '\u{2066}')
}

proptest! {
    #![proptest_config(Config { failure_persistence: None, ..Config::default() })]

    #[test]
    fn a_short_name_is_a_prefix_of_at_most_six_bytes(name in text()) {
        let run = RunId::from_text(name.clone());
        let short = callboard_trace::short(&run);
        prop_assert!(name.starts_with(short) && short.len() <= 6);
        prop_assert!(name.is_empty() == short.is_empty());
    }
}
