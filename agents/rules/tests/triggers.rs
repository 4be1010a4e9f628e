//! Handoffs that words ask for: which word counts where, and the summary that goes along.

use callboard_config::Mode;
use callboard_trace::{MadeBy, Started};
use serde_json::json;

use super::cast::{AgentMut, edge, name, summary};
use super::play::Play;

/// Plays an answer; the line that follows it.
fn then(play: &mut Play, do_next: &str) -> String {
    play.go();
    let more = if do_next.is_empty() { json!({}) } else { json!({"do_next": do_next}) };
    play.answers("written", more).go().remove(0)
}

const DONE: &str = "ended completed (done): written";

fn to(target: &str, trigger: &str) -> String {
    format!("step 2 asks local/small for a summary to {target} (trigger: {trigger})")
}

fn root(task: &'static str) -> impl Fn(&mut Started) {
    move |it| it.root_task = task.into()
}

#[test]
fn a_word_of_the_root_task_or_of_what_is_to_be_done_next_fires() {
    for (task, do_next, expected) in [
        ("write it", "", DONE.to_string()),
        ("write it and test it", "", to("tester", "test")),
        ("write it, TESTING included", "", to("tester", "test")),
        ("write the latest contest", "", DONE.to_string()),
        ("write it", "somebody should verify this", to("tester", "verify")),
        ("write it", "have it reviewed", to("reviewer", "review")),
        ("write it", "ship it", DONE.to_string()),
        ("test the review", "", to("tester", "test")),
    ] {
        let mut play = Play::with(root(task));
        assert_eq!(then(&mut play, do_next), expected, "{task:?} {do_next:?}");
    }
}

#[test]
fn the_run_s_own_task_and_the_rest_of_the_answer_do_not_count() {
    let mut play = Play::with(|it| it.task = "test and review it".into());
    play.go();
    let lines = play.answers("test and review are left", json!({"findings": "test"})).go();
    assert_eq!(lines, ["ended completed (done): test and review are left"]);
}

#[test]
fn of_several_the_one_whose_trade_is_asked_for_wins_then_the_first() {
    for (do_next, expected) in [
        ("test it, then review the code quality", to("reviewer", "review")),
        ("test unit coverage, then review", to("tester", "test")),
        ("test, review", to("tester", "test")),
    ] {
        assert_eq!(then(&mut Play::new(), do_next), expected, "{do_next}");
    }
    let mut play = Play::with(|it| {
        it.agent_mut().handoffs = vec![edge("b_b", &["test"], &[]), edge("a_a", &["test"], &[])];
    });
    assert_eq!(then(&mut play, "test it"), to("b_b", "test"));
}

#[test]
fn what_keeps_a_trigger_from_firing() {
    type Change = fn(&mut Started);
    let cases: &[(&str, Change)] = &[
        ("triggers are off", |it| it.triggers = false),
        ("the hops are used up", |it| it.hops = 10),
        ("no child is allowed", |it| it.fuses.fan_out = 0),
        ("`any` never fires", |it| {
            it.agent_mut().handoffs = vec![edge("tester", &["any"], &["any"])]
        }),
        ("a delegate edge waits to be asked", |it| {
            for edge in &mut it.agent_mut().handoffs {
                edge.mode = Mode::Delegate;
            }
        }),
        ("an empty word is no word", |it| {
            it.agent_mut().handoffs = vec![edge("tester", &[""], &[])]
        }),
    ];
    for (why, change) in cases {
        let mut play = Play::with(|it| {
            it.root_task = "write and test any".into();
            change(it);
        });
        assert_eq!(then(&mut play, "test it, any"), DONE, "{why}");
    }
}

#[test]
fn the_root_s_words_fire_once_a_pair_and_not_inside_delegated_work() {
    let path = |names: &[&str]| names.iter().map(|it| name(it)).collect::<Vec<_>>();
    for (names, depth, fires) in [
        (&["coder"][..], 0, true),
        (&["tester", "coder"], 0, true),
        (&["coder", "tester", "coder"], 0, false),
        (&["coder", "reviewer", "coder"], 0, true),
        (&["coder"], 1, false),
    ] {
        let mut play = Play::with(|it| {
            it.root_task = "write and test it".into();
            (it.path, it.depth) = (path(names), depth);
        });
        let expected = if fires { to("tester", "test") } else { DONE.to_string() };
        assert_eq!(then(&mut play, ""), expected, "{names:?} at depth {depth}");
        let mut play = Play::with(|it| (it.path, it.depth) = (path(names), depth));
        assert_eq!(then(&mut play, "test it"), to("tester", "test"), "what is next always counts");
    }
}

#[test]
fn an_agent_that_handed_something_on_itself_is_left_alone() {
    let mut play = Play::with(root("write and test it"));
    play.go();
    play.wants(vec![super::cast::pass("c", "delegate", "reviewer")]).go();
    play.child_ends(1, super::cast::done("fine")).go();
    assert_eq!(play.answers("written", json!({})).go(), [DONE]);
}

/// A run that was asked for its summary.
fn asked() -> Play {
    let mut play = Play::with(root("write and test it"));
    then(&mut play, "");
    play
}

#[test]
fn the_summary_goes_along_in_whatever_form_it_comes() {
    for text in [
        summary().to_string(),
        format!("Here:\n```json\n{}\n```", summary()),
        json!({"summary": summary()}).to_string(),
    ] {
        let mut play = asked();
        let lines = play.says(&text).go();
        assert!(lines[0].starts_with("noted notes/answer of coder"), "{lines:?}");
        assert_eq!(
            lines[1..],
            ["handed off to tester (r_1), trigger:test: empty input is an error", "waits"]
        );
        let passed = &play.run.children[0].handoff.artifacts;
        assert!(passed[0].head.contains("written"), "the whole answer crosses: {passed:?}");
        let made = &play.run.children[0].handoff;
        assert_eq!((made.made_by, made.task.as_str()), (MadeBy::Model, "write its tests"));
        assert_eq!(
            play.child_ends(1, super::cast::done("ok")).go(),
            ["ended completed (done): ok"]
        );
    }
}

#[test]
fn a_summary_that_is_not_whole_is_asked_for_once_more_and_then_written() {
    for bad in
        ["", "no", "{\"did\": \"x\"}", "{\"did\": \"x\", \"must_know\": \"y\", \"do_next\": \"z\"}"]
    {
        let mut play = asked();
        let again = "step 3 asks local/small for a summary to tester (trigger: test)";
        assert_eq!(play.says(bad).go(), [again, "waits"], "{bad}");
        let lines = play.says(bad).go();
        assert!(lines[1].starts_with("handed off to tester (r_1), trigger:test"), "{lines:?}");
        let made = &play.run.children[0].handoff;
        assert_eq!((made.made_by, made.summary.did.as_str()), (MadeBy::Engine, "written"));
        assert_eq!(made.task, "go on with: write a parser");
    }
}

#[test]
fn an_edge_may_say_what_the_task_is() {
    let mut play = Play::with(|it| {
        it.root_task = "write and test it".into();
        it.agent_mut().handoffs[0].task = Some("Test this: {{task}}!".into());
    });
    then(&mut play, "");
    play.says(&summary().to_string()).go();
    assert_eq!(play.run.children[0].handoff.task, "Test this: write a parser!");
}

#[test]
fn what_was_noted_goes_along() {
    let mut play = Play::with(root("write and test it"));
    play.go();
    let note = json!({"slot": "notes", "key": "k", "text": "t"});
    play.wants(vec![super::cast::call("n", "note", note)]).go();
    play.answers("written", json!({})).go();
    play.says(&summary().to_string()).go();
    assert_eq!(play.run.children[0].handoff.artifacts[0].name, "notes/k");
}

#[test]
fn a_handoff_made_while_the_summary_was_asked_for_is_the_trigger_s() {
    let mut play = asked();
    let lines = play.wants(vec![super::cast::pass("c", "handoff", "tester")]).go();
    assert!(lines[0].starts_with("handed off to tester (r_1), trigger:test: "), "{lines:?}");
}
