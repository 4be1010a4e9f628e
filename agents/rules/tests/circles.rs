//! Circles: paths that come round, calls and replies that come again, and runs not begun.

use callboard_config::Mode;
use callboard_trace::{EndState, Event, FailureCode, Started, Stop};
use serde_json::{Value, json};

use super::cast::{AgentMut, call, done, edge, failed, name, pass};
use super::play::Play;
use crate::limits::creation_refused;
use crate::rules::loops;
use crate::{Step, next};

/// The coder at the end of that path; every mark on it says what the coder would say now.
pub(super) fn along(path: &str, same: bool) -> Play {
    let mark = if same { loops::mark(&Play::new().run) } else { "something else".into() };
    Play::with(|it| {
        it.path = path.split(' ').map(name).collect();
        it.marks = it.path[1..].iter().map(|_| mark.clone()).collect();
        it.agent_mut().handoffs.push(edge("coder", &[], &[]));
    })
}

/// The coder hands on; what came of it.
pub(super) fn hands(play: &mut Play, to: &str) -> String {
    if play.run.asking.is_none() {
        play.go();
    }
    let mut call = pass("c", "handoff", to);
    let task = format!("turn {}", play.run.turns);
    call.arguments.as_mut().expect("an object")["task"] = json!(task);
    play.wants(vec![call]).go().remove(0)
}

fn fuses(play: &Play) -> Vec<(&str, u64, u64)> {
    let told = play.records.iter().filter_map(|it| {
        let Event::FuseBlown { fuse, value, limit, .. } = &it.event else { return None };
        Some((fuse.as_str(), *value, *limit))
    });
    told.collect()
}

/// The model wants this with other words each time, and gets it if it is done at all.
fn turn(play: &mut Play, tool: &str, arguments: Value) -> Vec<String> {
    let text = format!("turn {}", play.run.turns);
    says(play, &text, tool, arguments)
}

fn says(play: &mut Play, text: &str, tool: &str, arguments: Value) -> Vec<String> {
    if play.run.asking.is_none() {
        play.go();
    }
    let calls = vec![call("c", tool, arguments)];
    let lines = play.replies(text, calls, callboard_trace::Finish::ToolCalls).go();
    if play.run.tools.is_empty() {
        return lines;
    }
    play.returns("c", true, json!("text")).go()
}

#[test]
fn a_lap_with_nothing_new_is_not_begun() {
    for (path, to, is_lap) in [
        ("coder", "tester", false),
        ("coder", "coder", false),
        ("coder coder", "coder", true),
        ("coder tester coder", "tester", true),
        ("coder tester coder", "reviewer", false),
        ("tester a_a coder tester a_a coder", "tester", true),
        ("a_a coder tester a_a coder", "tester", true),
        ("x_x a_a b_b coder tester a_a b_b coder", "tester", true),
        ("tester a_a b_b c_c d_d coder", "tester", false),
        ("tester a_a b_b c_c d_d coder tester a_a b_b c_c d_d coder", "reviewer", false),
        ("a_a b_b c_c d_d coder tester a_a b_b c_c d_d coder", "tester", true),
        ("a_a b_b c_c d_d e_e coder tester a_a b_b c_c d_d e_e coder", "tester", false),
    ] {
        let mut play = along(path, true);
        let said = hands(&mut play, to);
        assert_eq!(said.starts_with("fuse loop blown: 1 over 0"), is_lap, "{path} > {to}: {said}");
        assert_eq!(said.starts_with("handed off to"), !is_lap, "{path} > {to}: {said}");
    }
}

#[test]
fn what_nobody_wrote_down_and_what_changed_is_progress() {
    type Change = fn(&mut Started);
    let ways: [Change; 3] =
        [|it| it.marks.clear(), |it| it.marks[0] = String::new(), |it| it.marks[0] = "old".into()];
    for way in ways {
        let mut play = along("coder tester coder", true);
        way(&mut play.run.started);
        assert!(hands(&mut play, "tester").starts_with("handed off"));
    }
    for (task, progress) in [("delegate", true), ("handoff", true)] {
        let mut play = along("coder tester coder", !progress);
        play.go();
        assert!(!play.wants(vec![pass("c", task, "tester")]).go()[0].starts_with("fuse"), "{task}");
    }
}

#[test]
fn with_something_new_each_time_there_are_so_many_laps() {
    for (limit, laps, goes) in
        [(3, 3, true), (3, 4, false), (0, 1, false), (1, 1, true), (1, 2, false)]
    {
        let mut play = along(&format!("{}coder", "coder tester ".repeat(laps)), false);
        play.run.started.fuses.repeats.laps = limit;
        let said = hands(&mut play, "tester");
        assert_eq!(said.starts_with("handed off"), goes, "{limit} {laps}: {said}");
        if !goes {
            assert_eq!(fuses(&play), [("laps", laps as u64, u64::from(limit))]);
        }
    }
}

#[test]
fn the_model_is_told_once_and_then_stopped_by_any_edge() {
    let path = "coder tester coder reviewer coder tester coder";
    for second in ["tester", "coder"] {
        let mut play = along(path, true);
        hands(&mut play, "tester");
        let told = play.told()["error"].as_str().expect("a text");
        let chain = format!("{} > tester", path.replace(' ', " > "));
        assert_eq!(
            told,
            format!(
                "the work went round with nothing new once, and the fuse `loop` allows none of \
                 that (chain: {chain}); tester gets no more work from this run: finish the task \
                 yourself with what you have"
            )
        );
        assert_eq!(hands(&mut play, second), "fuse loop blown: 2 over 0");
        assert_eq!((play.end().state, play.end().stop), (EndState::Failed, Stop::Loop));
        let (code, said) = play.trouble();
        assert!(code == FailureCode::Loop && said.contains("2 times"), "{said}");
        assert!(said.contains(&path.replace(' ', " > ")), "{said}");
    }
}

#[test]
fn an_edge_that_was_closed_stays_closed_and_others_are_open() {
    let mut play = along("coder tester coder", true);
    hands(&mut play, "tester");
    play.wants(vec![call("n", "note", json!({"slot": "tests", "key": "k", "text": "t"}))]).go();
    let mut again = play.clone();
    assert!(
        hands(&mut again, "tester").starts_with("fuse loop blown: 2"),
        "also with a note since"
    );
    assert!(hands(&mut play, "reviewer").starts_with("handed off to reviewer"));
}

#[test]
fn of_one_turn_every_call_is_told_before_any_counts_against_the_run() {
    let mut play = along("coder tester coder", true);
    play.go();
    let two = vec![pass("c1", "handoff", "tester"), pass("c2", "delegate", "tester")];
    let lines = play.wants(two).go();
    assert_eq!(lines.last().map(String::as_str), Some("waits"), "{lines:?}");
    assert_eq!(fuses(&play), [("loop", 1, 0), ("loop", 2, 0)]);
}

#[test]
fn a_retry_opens_what_was_closed() {
    let mut play = along("coder tester coder", true);
    hands(&mut play, "tester");
    hands(&mut play, "tester");
    play.controls(callboard_trace::Action::Retry, json!({})).go();
    assert!(hands(&mut play, "reviewer").starts_with("handed off to reviewer"));
}

#[test]
fn what_a_trigger_would_send_round_ends_with_its_answer_and_the_chain() {
    let mut play = along("coder tester coder", true);
    play.go();
    let lines = play.answers("mended", json!({"do_next": "test it"})).go();
    assert_eq!(lines, ["fuse loop blown: 1 over 0", "ended partial (loop): mended"]);
    assert!(play.trouble().1.contains("coder > tester > coder > tester"), "{:?}", play.trouble());
    let mut play = along("coder tester coder", true);
    play.go();
    let note = call("n", "note", json!({"slot": "implementation", "key": "k", "text": "new"}));
    play.wants(vec![note]).go();
    let lines = play.answers("mended", json!({"do_next": "test it"})).go();
    assert!(lines[0].contains("for a summary to tester"), "{lines:?}");
}

#[test]
fn work_is_not_rerouted_in_a_circle() {
    let mut play = along("coder tester coder", true);
    play.run.tally.failed_handoffs = 2;
    hands(&mut play, "reviewer");
    let lines = play.child_ends(1, failed("no")).go();
    assert!(lines[1].starts_with("handed off to coordinator"), "not to the tester: {lines:?}");
}

#[test]
fn a_mark_is_made_of_notes_findings_and_verdicts() {
    let mut play = Play::new();
    let mut marks = vec![loops::mark(&play.run)];
    let answers = |summary: &str, more: Value| {
        let mut play = Play::new();
        play.go();
        play.answers(summary, more);
        loops::mark(&play.run)
    };
    assert_eq!(answers("one", json!({})), answers("two", json!({"do_next": "x"})));
    marks.push(answers("one", json!({"verdict": "good"})));
    marks.push(answers("one", json!({"verdict": "bad"})));
    marks.push(answers("one", json!({"findings": ["f"]})));
    play.go();
    for text in ["a", "b"] {
        let note = call("n", "note", json!({"slot": "tests", "key": "k", "text": text}));
        play.wants(vec![note]).go();
        marks.push(loops::mark(&play.run));
    }
    play.wants(vec![pass("c", "delegate", "tester")]).go();
    let mut end = done("so");
    end.answer = Some(json!({"summary": "so", "verdict": "good"}));
    play.child_ends(1, end).go();
    marks.push(loops::mark(&play.run));
    let all = marks.len();
    marks.sort();
    marks.dedup();
    assert_eq!((marks.len(), marks[0].len()), (all, 16));
    let draft_mark = |play: &Play| {
        let Step::HandOff(draft) = next(&play.run) else { panic!("it hands on") };
        draft.mark
    };
    play.wants(vec![pass("c", "handoff", "reviewer")]);
    assert_eq!(draft_mark(&play), loops::mark(&play.run));
    let mut play = Play::new();
    play.go();
    let before = loops::mark(&play.run);
    play.answers("written", json!({"do_next": "test it"})).go();
    play.says(&super::cast::summary().to_string());
    assert_eq!(draft_mark(&play), before);
    play.go();
    assert_eq!(loops::mark(&play.run), before, "its own answer is no news");
}

#[test]
fn the_third_of_the_same_calls_is_not_done_and_the_fourth_is_the_end() {
    let note = |text: &str| json!({"slot": "notes", "key": "k", "text": text});
    let mut play = Play::new();
    assert!(turn(&mut play, "note", note("a  thought"))[0].starts_with("noted"));
    let mut other = json!({"text": "a thought", "key": "k", "slot": "notes", "confidence": "high"});
    assert!(turn(&mut play, "note", other.clone())[0].contains("/confidence"), "off the schema");
    other.as_object_mut().expect("an object").shift_remove("confidence");
    assert!(
        turn(&mut play, "note", other)[0].starts_with("noted"),
        "a call that was wrong is none"
    );
    assert_eq!(turn(&mut play, "note", note("a thought"))[0], "fuse repeat_calls blown: 3 over 3");
    let told = play.told()["error"].as_str().expect("a text");
    assert!(told.starts_with("not done again: the same call came in a row 3 times"), "{told}");
    let lines = turn(&mut play, "note", note("a thought "));
    assert_eq!(lines[0], "fuse repeat_calls blown: 4 over 3");
    assert_eq!(play.end().stop, Stop::Loop);
    let said =
        "the same call came in a row 4 times, and the fuse `repeat_calls` is 3 (chain: coder)";
    assert_eq!(play.trouble(), (FailureCode::Loop, said));
}

#[test]
fn five_of_the_same_calls_in_a_run_are_too_many_as_well() {
    let note = |text: &str| json!({"slot": "notes", "key": "k", "text": text});
    let mut play = Play::with(|it| it.fuses.turns = 100);
    for nth in 0..4 {
        assert!(turn(&mut play, "note", note("a"))[0].starts_with("noted"));
        assert!(turn(&mut play, "note", note(&format!("{nth}")))[0].starts_with("noted"));
    }
    assert_eq!(turn(&mut play, "note", note("a"))[0], "fuse repeat_calls_all blown: 5 over 5");
    assert!(turn(&mut play, "note", note("b"))[0].starts_with("noted"));
    assert_eq!(turn(&mut play, "note", note("a"))[0], "fuse repeat_calls_all blown: 6 over 5");
    assert_eq!(play.end().stop, Stop::Loop);
}

#[test]
fn a_built_in_tool_is_called_again_as_long_as_it_brings_something_new() {
    let mut play = Play::with(|it| it.agent_mut().hands = vec!["LS".into()]);
    play.go();
    let mut looks = |brings: u32| {
        let (text, calls) = (format!("turn {}", play.run.turns), vec![call("c", "LS", json!({}))]);
        let lines = play.replies(&text, calls, callboard_trace::Finish::ToolCalls).go();
        if !play.run.tools.is_empty() {
            play.returns("c", true, json!({ "files": brings })).go();
        }
        lines[0].clone()
    };
    for files in [0, 1, 2, 3, 4, 4] {
        assert!(looks(files).contains("LS"), "{files}");
    }
    assert_eq!(looks(4), "fuse repeat_calls blown: 3 over 3");
    assert_eq!(looks(4), "fuse repeat_calls blown: 4 over 3");
    assert_eq!(play.end().stop, Stop::Loop);
}

#[test]
fn zero_and_one_mean_that_nothing_comes_twice() {
    for limit in [0, 1] {
        let mut play = Play::with(|it| it.fuses.repeats.calls = limit);
        let note = json!({"slot": "notes", "key": "k", "text": "a"});
        assert!(turn(&mut play, "note", note.clone())[0].starts_with("noted"));
        assert!(turn(&mut play, "note", note)[0].starts_with("fuse repeat_calls blown: 2"));
        let mut play = Play::with(|it| it.fuses.repeats.replies = limit);
        says(&mut play, "", "team_status", json!({}));
        assert!(play.run.end.is_none());
        says(&mut play, "", "team_status", json!({}));
        assert_eq!(play.end().stop, Stop::Loop);
    }
}

#[test]
fn work_for_an_agent_is_the_same_in_other_words() {
    let work = |nth: usize, tool: &str, task: &str| {
        let summary = format!("the whole of what was done before turn {nth}, as far as it goes");
        call("c", tool, json!({"to": "tester", "task": task, "summary": summary}))
    };
    let mut play = Play::with(|it| it.agent_mut().handoffs[0].mode = Mode::Transfer);
    play.go();
    let ways = [("delegate", "test the parsers"), ("Task", "Test: the parser!")];
    for (nth, (tool, task)) in ways.into_iter().enumerate() {
        let mut call = work(nth, tool, task);
        call.arguments.as_mut().expect("an object")["summary"] = super::cast::summary();
        assert!(play.wants(vec![call]).go()[0].starts_with("delegated"));
        play.child_ends(nth + 1, done("so")).go();
    }
    let mut third = work(3, "delegate", "the parser, tested");
    third.arguments.as_mut().expect("an object")["summary"] = super::cast::summary();
    assert!(play.wants(vec![third]).go()[0].starts_with("fuse repeat_calls blown: 3 over 3"));
}

#[test]
fn looking_may_come_again_but_not_in_the_very_same_reply() {
    let mut play = Play::new();
    play.go();
    for nth in 1..=6 {
        let calls =
            vec![call("c", "team_status", json!({})), call("d", "read", json!({"uri": "a"}))];
        play.replies(&format!("I look {nth}"), calls, callboard_trace::Finish::ToolCalls).go();
        play.returns("c", true, json!({})).returns("d", true, json!({})).go();
    }
    assert!(play.run.end.is_none() && fuses(&play).is_empty());
    let mut play = Play::new();
    says(&mut play, "", "read", json!({"uri": "a_1"}));
    says(&mut play, "", "team_status", json!({}));
    says(&mut play, "", "read", json!({"uri": "a_1"}));
    says(&mut play, "", "read", json!({"uri": "a_1"}));
    assert!(play.run.end.is_none(), "only what comes in a row counts");
    let lines = says(&mut play, "", "read", json!({"uri": "a_1"}));
    let said =
        "the same reply came in a row 3 times, and the fuse `repeat_replies` is 3 (chain: coder)";
    assert_eq!(lines[0], "fuse repeat_replies blown: 3 over 3");
    assert_eq!(play.trouble(), (FailureCode::Loop, said));
}

#[test]
fn a_run_that_is_not_begun_is_told_or_ends_what_asked_for_it() {
    let mut play = Play::new();
    play.go();
    play.wants(vec![pass("c", "delegate", "tester")]);
    let Step::HandOff(draft) = next(&play.run) else { panic!("it hands on") };
    let refused = creation_refused(&play.run, &draft, "spawn_rate", 21, 20, Some(4));
    let Step::Answer { call, ok: false, result, also } = refused else { panic!("{refused:?}") };
    assert_eq!((call.as_str(), &result["retry_after_s"]), ("c", &json!(4)));
    let said = "the fuse `spawn_rate` allows 20 (chain: coder); finish the task yourself with what \
                you have";
    assert_eq!(result["error"], said);
    assert!(matches!(&also[..], [Event::FuseBlown { value: 21, limit: 20, .. }]), "{also:?}");

    let end = |play: &Play| {
        let Step::HandOff(draft) = next(&play.run) else { panic!("it hands on") };
        assert_eq!(draft.call, None);
        let step = creation_refused(&play.run, &draft, "tasks_per_root", 201, 200, None);
        let Step::End(end) = step else { panic!("{step:?}") };
        end
    };
    let mut play = Play::new();
    play.go();
    play.answers("written", json!({"do_next": "test it"})).go();
    play.says(&super::cast::summary().to_string());
    let whole = end(&play);
    assert_eq!((whole.state, whole.summary()), (EndState::Completed, "written"));
    let why = "tester was not asked: the fuse `tasks_per_root` allows 200 (chain: coder)";
    assert_eq!(whole.recommendations, [format!("{why}; give it the rest as a task")]);

    let mut play = Play::new();
    let to = json!({"id": "h_o", "to": "reviewer", "task": "t", "summary": super::cast::summary()});
    play.controls(callboard_trace::Action::Redirect, to);
    let none = end(&play);
    let error = none.error.as_ref().expect("a reason");
    assert_eq!((none.state, none.stop), (EndState::Failed, Stop::Loop));
    assert_eq!((error.code, error.retryable), (FailureCode::Fuse, false));
}
