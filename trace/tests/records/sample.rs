//! The first format's journal, one line of every kind: it opens for ever, and says the same again.

use std::collections::BTreeSet;

use callboard_trace::{FORMAT, Record, Tree, story};

use crate::kinds::{kind_of, kinds};

const V1: &str = include_str!("../samples/journal-v1.jsonl");

fn opened(journal: &str) -> Vec<Record> {
    let read = |(at, line)| {
        let read = serde_json::from_str::<Record>(line);
        read.map_err(|error| format!("line {}: {error}", at + 1)).expect("every line opens")
    };
    journal.lines().enumerate().map(read).collect()
}

#[test]
fn every_line_opens_and_is_written_the_same_again() {
    for (line, record) in V1.lines().zip(opened(V1)) {
        assert_eq!(serde_json::to_string(&record).expect("it can be written"), line);
        assert!(record.v <= FORMAT, "a sample of format {} in version {FORMAT}", record.v);
    }
}

#[test]
fn no_kind_is_missing() {
    let found: BTreeSet<&str> = opened(V1).iter().map(|it| kind_of(&it.event)).collect();
    let known: BTreeSet<&str> = kinds().into_iter().map(|it| it.0).collect();
    let missing: Vec<_> = known.difference(&found).collect();
    assert!(missing.is_empty(), "add a line of each to a new sample: {missing:?}");
}

#[test]
fn places_are_counted_in_each_run_and_times_rise() {
    let records = opened(V1);
    assert!(records.windows(2).all(|it| it[0].at < it[1].at));
    let runs: BTreeSet<_> = records.iter().map(|it| it.run.clone()).collect();
    for run in runs {
        let places: Vec<u64> = records.iter().filter(|it| it.run == run).map(|it| it.seq).collect();
        assert_eq!(places, (1..=places.len() as u64).collect::<Vec<_>>(), "{run}");
    }
}

#[test]
fn its_story() {
    insta::assert_snapshot!(story(&opened(V1)));
}

#[test]
fn its_view() {
    let records = opened(V1);
    let tree = Tree::fold(&records);
    let root = tree.runs.iter().find(|it| it.1.parent.is_none()).expect("a root").0;
    let view = tree.view(root, 0).expect("the root is there");
    let shown = serde_json::to_string_pretty(&view).expect("a view can be written");
    insta::assert_snapshot!(shown);
}
