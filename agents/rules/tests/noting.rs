//! What is noted: typed, by whom it may be, in versions; what crosses to the next run; and what the
//! owner is asked.

use callboard_config::memory::{Slot, Slots};
use callboard_trace::memory::{Body, Entries, Recall};
use callboard_trace::{Event, Handoff, Started, Work};
use serde_json::{Value, json};

use super::cast::*;
use super::play::Play;
use crate::slots::digest;
use crate::{prompt, toolbox};

/// What the model is told of that note.
fn told(play: &mut Play, given: Value) -> Value {
    play.go();
    play.wants(vec![call("n", "note", given)]).go();
    last(play)
}

/// The last result in the dialogue.
fn last(play: &Play) -> Value {
    let said = play.run.dialogue.iter().rev().find_map(|it| match it {
        crate::run::Said::Tool { result, .. } => Some(result.clone()),
        crate::run::Said::Model(_) | crate::run::Said::Note(_) => None,
    });
    said.expect("a result")
}

fn lines(entries: &Entries) -> Vec<String> {
    let all = digest(entries, &Slots::default());
    all.iter().map(|it| it.replace(|c: char| c.is_ascii_digit(), "0")).collect()
}

#[test]
fn a_bad_entry_is_told_with_its_field() {
    for (given, wrong) in [
        (json!({"slot": "findings", "key": "k"}), "the note is empty"),
        (json!({"slot": "findings", "key": "k", "text": "x".repeat(1_001)}), "`/text`"),
        (json!({"slot": "findings", "key": "k", "value": 7}), "`text` is missing"),
        (json!({"slot": "findings", "key": "k", "value": {"text": 7}}), "`/text`"),
        (json!({"slot": "findings", "key": "k", "text": "t", "severity": "grave"}), "`/severity`"),
        (json!({"slot": "tests", "key": "k", "value": {"case": "a"}}), "result"),
        (json!({"slot": "tests", "key": "k", "value": {"result": "maybe"}}), "`/result`"),
        (json!({"slot": "reviews", "key": "k", "value": {"verdict": "fine"}}), "`/verdict`"),
        (json!({"slot": "implementation", "key": "k", "value": {"path": 7}}), "`/path`"),
        (json!({"slot": "notes", "key": "k", "text": "x".repeat(65 << 10)}), "at most 65536 bytes"),
        (json!({"slot": "memory", "key": "k", "text": "t"}), "not_allowed: coder may not write"),
        (json!({"slot": "notes", "key": "x".repeat(81), "text": "t"}), "`/key`"),
    ] {
        let mut play = Play::new();
        let said = told(&mut play, given.clone());
        let error = said["error"].as_str().unwrap_or_default();
        assert!(error.contains(wrong), "{given}: {said}");
        assert!(play.run.passed_slots().is_empty(), "{given}");
    }
}

#[test]
fn only_the_slots_of_its_file_are_written_and_shown() {
    let mut play = Play::with(|it| {
        let agent = it.agent_mut();
        agent.slots = Slots { reads: Some(vec![Slot::Tests]), writes: Some(vec![Slot::Findings]) };
    });
    let refused = told(&mut play, json!({"slot": "tests", "key": "k", "text": "t"}));
    let expected = "not_allowed: coder may not write into `tests`; it may into: findings";
    assert_eq!(refused["error"], expected);
    let taken = told(&mut play, json!({"slot": "findings", "key": "k", "text": "t"}));
    assert_eq!(taken["noted"], true, "{taken}");
    let slots = &play.run.started.agent.slots;
    assert_eq!(
        digest(&play.run.passed_slots(), slots),
        Vec::<String>::new(),
        "it reads tests only"
    );
    let tools = toolbox::tools_of(&play.run);
    let note = tools.iter().find(|it| it.name == "note").expect("it may note");
    assert_eq!(note.schema["properties"]["slot"]["enum"], json!(["findings"]));
}

#[test]
fn the_newest_version_counts_and_failures_come_first() {
    let mut play = Play::new();
    for (slot, key, value) in [
        ("tests", "a", json!({"case": "a", "result": "pass"})),
        ("tests", "b", json!({"case": "b", "result": "fail", "message": "boom"})),
        ("reviews", "r1", json!({"verdict": "changes", "round": 1})),
        ("reviews", "r2", json!({"verdict": "approve", "round": 2})),
        ("implementation", "src/a.rs", json!("fn a() {}")),
    ] {
        told(&mut play, json!({"slot": slot, "key": key, "value": value}));
    }
    for (text, confidence) in [("first", 0.2), ("second", 0.9)] {
        let note = json!({"slot": "findings", "key": "f", "text": text, "confidence": confidence});
        told(&mut play, note);
    }
    let body = |lines: &[String]| {
        lines.iter().map(|it| it.split(" (a_").next().unwrap_or("").to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(
        body(&lines(&play.run.passed_slots())),
        [
            "- implementation \"src/a.rs\" by coder",
            "- reviews \"r0\" by coder",
            "- tests \"b\" by coder",
            "- tests \"a\" by coder",
            "- findings \"f\" by coder, confidence 0.0",
        ]
    );
    let all = lines(&play.run.passed_slots()).join("\n");
    assert!(all.contains("approve") && !all.contains("changes"), "the last round: {all}");
    assert!(all.contains("second") && !all.contains("first"), "{all}");
    let again = crate::Run::fold(&play.records).expect("a run");
    assert_eq!(again.passed_slots(), play.run.passed_slots());
}

#[test]
fn what_parallel_agents_say_differently_is_a_conflict_until_somebody_decides() {
    let noted = |given: Entries, text: &str, run: &str| {
        let mut play = Play::with(|it| it.slots = given);
        play.run.id = callboard_trace::RunId::from_text(run);
        told(&mut play, json!({"slot": "findings", "key": "port", "text": text}));
        play
    };
    let (one, other) =
        (noted(Entries::default(), "80", "r_b"), noted(Entries::default(), "81", "r_c"));
    let mut parent = Play::new();
    parent.run.slots.told(&one.run.slots.own());
    parent.run.slots.told(&other.run.slots.own());
    parent.run.slots.told(&one.run.slots.own());
    let shown = digest(&parent.run.passed_slots(), &Slots::default());
    assert_eq!(shown.len(), 2, "{shown:?}");
    assert!(shown.iter().all(|it| it.contains("in conflict: 2 values")), "{shown:?}");
    // Who knew both decides between them; its parent drops both.
    let judge = noted(parent.run.passed_slots(), "82", "r_d");
    assert_eq!(judge.run.slots.own().0.len(), 1);
    parent.run.slots.told(&judge.run.slots.own());
    let shown = digest(&parent.run.passed_slots(), &Slots::default());
    assert!(shown.len() == 1 && shown[0].ends_with("\"82\""), "{shown:?}");
    parent.run.slots.told(&one.run.slots.own());
    assert_eq!(parent.run.passed_slots().0.len(), 1, "an older version comes too late");
}

#[test]
fn windows_hold_whatever_is_poured_in() {
    let mut play = Play::new();
    play.go();
    play.run.started.fuses.repeats.calls_all = u32::MAX;
    for nth in 0..300_i64 {
        play.run.now = nth;
        for slot in ["findings", "tests", "implementation", "notes"] {
            let sure = if nth == 0 { 1.0 } else { 0.3 };
            let mut note = json!({"slot": slot, "key": format!("k{nth}"), "text": "x".repeat(900),
                "confidence": sure});
            if slot == "tests" {
                let result = if nth < 40 { "fail" } else { "pass" };
                note["value"] = json!({"case": format!("k{nth}"), "result": result});
            }
            let step = crate::rules::noting::is_done(&{
                let mut run = play.run.clone();
                run.calls = vec![call("n", "note", note)];
                run
            });
            let Some(crate::Step::Answer { also, .. }) = step else { panic!("a note") };
            also.into_iter().for_each(|it| play.run.apply("coder", &it));
        }
    }
    let all = play.run.passed_slots();
    let of = |slot: &str| all.0.iter().filter(|it| it.slot == slot).collect::<Vec<_>>();
    let counts = ["findings", "tests", "implementation", "notes"].map(|it| of(it).len());
    assert_eq!(counts, [20, 30, 200, 20]);
    assert!(of("findings").iter().any(|it| it.key == "k0"), "the surest stays");
    assert!(of("findings").iter().any(|it| it.key == "k299"), "so does the newest");
    assert!(of("tests").iter().all(|it| it.line.starts_with("fail")), "failures first");
    let bytes: usize = digest(&all, &Slots::default()).iter().map(|it| it.len() + 1).sum();
    assert!(bytes < 6_100, "{bytes}");
}

/// Its agent may write memory.
fn writer(it: &mut Started) {
    it.agent_mut().memory = callboard_config::memory::Access::Write;
    it.recall = Some(Recall { workspace: true, ..Default::default() });
}

/// Whose notes of that slot say, and how, that content of others is in them.
fn taints(play: &Play, of: &str) -> Vec<(Option<String>, bool)> {
    let all = play.records.iter().filter_map(|it| {
        let Event::Noted { slot, taint, provenance, .. } = &it.event else { return None };
        let is_marked = provenance.as_ref().is_some_and(|it| it.taint);
        (slot == of).then(|| (taint.clone(), is_marked))
    });
    all.collect()
}

#[test]
fn what_content_of_others_is_in_taints_who_is_shown_it() {
    let wary = |it: &mut Started| {
        writer(it);
        it.handoff = Some(Box::new(Handoff { taint: Some("WebFetch".into()), ..*given() }));
    };
    let mut noter = Play::with(wary);
    noter.run.recalled = Some(json!({}));
    told(&mut noter, json!({"slot": "findings", "key": "k", "text": "t"}));
    noter.wants(vec![call("m", "remember", json!({"key": "k", "text": "t"}))]).go();
    let marked = [(Some("WebFetch".to_owned()), true)];
    assert_eq!(
        (taints(&noter, "findings"), taints(&noter, "memory")),
        (marked.to_vec(), marked.to_vec())
    );
    let Some(Event::Noted { taint, provenance, .. }) = noter.run.came_to(&done("so")) else {
        panic!("it leaves what it came to")
    };
    assert_eq!(taint.as_deref(), Some("WebFetch"));
    assert!(provenance.is_some_and(|it| it.taint));

    let notes = noter.run.passed_slots();
    let given_them = |reads: &[Slot]| {
        Play::with(|it| {
            it.slots = notes.clone();
            it.agent_mut().slots.reads = Some(reads.to_vec());
        })
    };
    let shown = given_them(&[Slot::Findings]);
    assert_eq!(shown.run.tainted.by(), Some("note"));
    assert!(prompt::opening(&shown.run).contains(", from untrusted content (a_"));
    let blind = given_them(&[Slot::Tests]);
    assert_eq!(blind.run.tainted.by(), None, "it is not shown them");

    let mut finder = Play::with(writer);
    assert!(finder.go()[0].contains(Work::LOOK), "it looks first");
    let found = json!({
        "related": [{"agent": "writer", "at": "2026-01-01", "task": "t", "result": "r", "taint": true}],
        "untrusted": "WebFetch",
    });
    finder.returns(Work::LOOK, true, found);
    assert_eq!(finder.run.tainted.by(), Some("WebFetch"));
    let opening = prompt::opening(&finder.run);
    assert!(opening.contains("came to \"r\", from untrusted content"), "{opening}");
    assert_eq!(crate::Run::fold(&finder.records).expect("a run").tainted, finder.run.tainted);
}

#[test]
fn a_list_of_what_is_to_be_done_is_no_note() {
    let mut play = Play::with(|it| it.agent_mut().hands = vec!["TodoWrite".into()]);
    play.go();
    let todos = json!({"todos": [{"content": "read", "status": "completed"}]});
    play.wants(vec![call("l", "TodoWrite", todos)]).go();
    assert_eq!(last(&play), json!("1 of 1 done"));
    assert!(play.run.passed_slots().is_empty() && play.run.artifacts.is_empty());
}

#[test]
fn who_may_write_remembers_and_forgets() {
    let mut play = Play::with(writer);
    play.run.recalled = Some(json!({}));
    play.go();
    let given = json!({"key": "release", "text": "from main", "tags": ["git"], "expires": 5});
    play.wants(vec![call("m", "remember", given)]).go();
    assert_eq!(last(&play), json!({"remembered": "release", "days": 5}));
    let noted = play.records.iter().find_map(|it| {
        let Event::Noted { slot, value, expires, .. } = &it.event else { return None };
        Some((slot.clone(), value.clone(), *expires))
    });
    let (slot, value, expires) = noted.expect("it is a note");
    assert_eq!((slot.as_str(), expires), ("memory", Some(5 * 86_400_000_000)));
    assert_eq!(Body::read(&value).expect("a body").text, "from main");
    assert!(play.run.artifacts.is_empty(), "it is no artifact of the task");
    play.wants(vec![call("f", "forget", json!({"key": "release"}))]).go();
    assert_eq!(last(&play), json!("nothing of yours is remembered under \"release\" any more"));
    for given in [
        json!({"key": "a b", "text": "t"}),
        json!({"key": "../../x", "text": "t"}),
        json!({"key": "k", "text": "x".repeat(2_001)}),
        json!({"key": "k", "text": "t", "expires": 91}),
        json!({"key": "k", "text": ""}),
        json!({"key": "k", "text": "t", "tags": vec!["t"; 11]}),
    ] {
        play.run.tally.bad_turns = 0;
        play.wants(vec![call("w", "remember", given.clone())]).go();
        assert!(last(&play)["error"].is_string(), "{given}");
    }
    let mut reader = Play::new();
    reader.go();
    reader.wants(vec![call("m", "remember", json!({"key": "k", "text": "t"}))]).go();
    let said = last(&reader)["error"].as_str().unwrap_or_default().to_owned();
    assert!(said.starts_with("there is no tool `remember`"), "{said}");
}

#[test]
fn the_owners_answer_is_the_result_of_the_call() {
    let mut play = Play::new();
    play.go();
    let given = json!({"question": "which port?", "options": ["80", "81"]});
    let told = play.wants(vec![call("o", "ask_owner", given)]).go();
    assert_eq!(told.last().map(String::as_str), Some("waits"), "{told:?}");
    assert!(told.iter().any(|it| it == "asks: coder asks: which port? [80, 81]"), "{told:?}");
    let question = play.run.questions[0].clone();
    assert_eq!(question, "q_a_1_own0");
    let closed = |answer: &str| Event::QuestionClosed {
        question: question.clone(),
        answer: Some(answer.into()),
    };
    let told = play.happens(closed("81")).go();
    assert_eq!(last(&play), json!({"answer": "81"}));
    assert!(told.iter().any(|it| it.contains("asks local/small")), "{told:?}");
}

#[test]
fn a_question_to_the_owner_holds_up_no_end() {
    let mut play = Play::new();
    play.go();
    play.wants(vec![call("o", "ask_owner", json!({"question": "well?"}))]).go();
    let told = play.controls(callboard_trace::Action::FinishNow, Value::Null).go();
    assert!(told.iter().any(|it| it == "question withdrawn"), "{told:?}");
    assert!(last(&play)["error"].as_str().is_some_and(|it| it.contains("finish now")), "{told:?}");
}
