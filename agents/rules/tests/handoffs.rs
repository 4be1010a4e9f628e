//! Handoffs that a model asks for: who may receive, what must be told, how many there may be; and
//! what the receiver may do first.

use callboard_config::Mode;
use callboard_trace::{ArtifactRef, Call, Event, Handoff, MadeBy};
use serde_json::{Value, json};

use super::cast::{call, done, failed, name, pass, summary};
use super::play::Play;

fn handoff(arguments: Value) -> Call {
    call("c", "handoff", arguments)
}

/// A handoff to the tester with one argument changed; null takes it away.
fn with(key: &str, value: Value) -> Call {
    let mut arguments = json!({"to": "tester", "task": "test it", "summary": summary()});
    arguments[key] = value;
    if arguments[key].is_null() {
        arguments.as_object_mut().expect("an object").shift_remove(key);
    }
    handoff(arguments)
}

/// Plays the call in the next turn; the handoff it became, or what the model was told.
fn tried(play: &mut Play, call: Call) -> Result<Handoff, Value> {
    let before = play.run.children.len();
    if play.run.asking.is_none() {
        play.go();
    }
    play.wants(vec![call]).go();
    match play.run.children.get(before) {
        Some(child) => Ok(child.handoff.clone()),
        None => Err(play.told().clone()),
    }
}

fn error(result: Result<Handoff, Value>) -> String {
    result.expect_err("it is refused")["error"].as_str().expect("a text").to_string()
}

#[test]
fn a_whole_handoff_becomes_one() {
    let mut play = Play::new();
    let made = tried(&mut play, with("reason", json!("it is done"))).expect("it is made");
    assert_eq!(
        (made.target, made.mode, made.made_by),
        (name("tester"), Mode::Transfer, MadeBy::Model)
    );
    assert_eq!((made.task.as_str(), made.reason.as_str()), ("test it", "model: it is done"));
    assert_eq!(
        (made.summary.must_know.as_str(), made.call.as_deref()),
        ("empty input is an error", Some("c"))
    );
    let plain = tried(&mut Play::new(), with("x", json!(1))).expect("unknown fields do not matter");
    assert_eq!(plain.reason, "model");
}

#[test]
fn the_target_must_be_allowed_and_may_be_written_freely() {
    for to in ["tester", "Tester", " TESTER "] {
        assert!(tried(&mut Play::new(), with("to", json!(to))).is_ok(), "{to}");
    }
    for to in ["deployer", "", "coder", "💥"] {
        let said = error(tried(&mut Play::new(), with("to", json!(to))));
        let expected = format!("coder may not hand off to \"{to}\"; allowed: tester, reviewer");
        assert_eq!(said, expected);
    }
}

#[test]
fn the_task_takes_a_bounded_text() {
    for (task, fits) in
        [("t".to_string(), true), ("é".repeat(8_000), true), ("é".repeat(8_001), false)]
    {
        assert_eq!(tried(&mut Play::new(), with("task", json!(task))).is_ok(), fits);
    }
    let said = error(tried(&mut Play::new(), with("task", json!(" \n"))));
    assert_eq!(said, "`task` takes 1 to 8,000 characters");
}

#[test]
fn a_summary_that_is_not_whole_is_sent_back_with_its_field() {
    let whole = |key: &str, value: Value| {
        let mut summary = summary();
        summary[key] = value;
        summary
    };
    let short = json!({"did": "a", "must_know": "b", "do_next": "c"});
    let questions = |n: usize| whole("open_questions", json!(vec!["?"; n]));
    for (given, field, said) in [
        (short, "summary", "`summary` is 3 characters long; it takes 40 to 6000"),
        (
            whole("did", json!("é".repeat(6_000))),
            "summary",
            "`summary` is 6038 characters long; it takes 40 to 6000",
        ),
        (whole("did", json!("  ")), "did", "`summary.did` must not be empty"),
        (whole("must_know", json!(5)), "must_know", "`summary.must_know` must not be empty"),
        (whole("do_next", Value::Null), "do_next", "`summary.do_next` must not be empty"),
        (questions(11), "open_questions", "`summary.open_questions` holds at most 10"),
        (json!("test what I wrote, it is in parser.rs"), "did", "`summary.did` must not be empty"),
        (json!(["did it"]), "did", "`summary.did` must not be empty"),
        (Value::Null, "did", "`summary.did` must not be empty"),
    ] {
        let told = tried(&mut Play::new(), with("summary", given)).expect_err("it is refused");
        assert_eq!((told["field"].as_str(), told["error"].as_str()), (Some(field), Some(said)));
    }
    assert!(tried(&mut Play::new(), with("summary", questions(10))).is_ok());
}

#[test]
fn after_two_bad_summaries_the_engine_writes_what_is_missing() {
    let (own, short) = ("the task was: write a parser", json!({"did": "A", "must_know": "B"}));
    let no_account = "coder took 3 turns and gave no account";
    for (bad, did, must_know) in [
        (json!({}), no_account, own.to_owned()),
        (json!("just test it"), no_account, format!("just test it; {own}")),
        (Value::Null, no_account, own.to_owned()),
        (short, "A", format!("B; {own}")),
    ] {
        let mut play = Play::new();
        for _ in 0..2 {
            assert!(tried(&mut play, with("summary", bad.clone())).is_err());
        }
        let made = tried(&mut play, with("summary", bad)).expect("the third is written by us");
        assert_eq!(made.made_by, MadeBy::Engine);
        assert_eq!((made.summary.did.as_str(), made.summary.must_know), (did, must_know));
    }
}

#[test]
fn other_mistakes_do_not_count_as_bad_summaries() {
    let mut play = Play::new();
    assert!(tried(&mut play, with("task", json!(""))).is_err());
    assert!(tried(&mut play, with("to", json!("deployer"))).is_err());
    assert!(tried(&mut play, with("summary", json!({}))).is_err());
    assert!(tried(&mut play, with("summary", json!({}))).is_err(), "the second bad one");
    assert!(tried(&mut play, with("summary", json!({}))).is_ok(), "the third is written by us");
}

#[test]
fn the_written_summary_names_what_was_noted() {
    let mut play = Play::new();
    play.go();
    play.wants(vec![call("n", "note", json!({"slot": "notes", "key": "k", "text": "t"}))]).go();
    for _ in 0..2 {
        tried(&mut play, with("summary", json!({}))).expect_err("it is refused");
    }
    let made = tried(&mut play, with("summary", json!({}))).expect("it is made");
    assert_eq!(made.summary.must_know, "noted so far: notes/k");
    assert_eq!(made.summary.do_next, "go on with: write a parser");
}

#[test]
fn artifacts_must_be_known() {
    let known = ArtifactRef {
        id: "a_1".into(),
        why: String::new(),
        name: "notes/k".into(),
        bytes: 1,
        head: "t".into(),
    };
    let mut play = Play::new();
    play.run.artifacts.push(known.clone());
    let said = error(tried(&mut play.clone(), with("artifacts", json!([{"id": "a_2"}]))));
    assert_eq!(said, "no artifact `a_2`; there are: a_1");
    let given = json!([{"id": "a_1", "why": "w".repeat(300)}]);
    let made = tried(&mut play.clone(), with("artifacts", given)).expect("it is made");
    assert_eq!((made.artifacts[0].name.as_str(), made.artifacts[0].bytes), ("notes/k", 1));
    assert_eq!(made.artifacts[0].why.chars().count(), 201, "cut, with its mark");
    let many = json!(vec![json!({"id": "a_1"}); 21]);
    let said = error(tried(&mut play, with("artifacts", many)));
    assert!(said.starts_with("`/artifacts`: "), "{said}");
}

#[test]
fn fuses_refuse_growth_and_name_the_chain() {
    let refused = |mode: &str, change: fn(&mut callboard_trace::Started)| {
        let mut play = Play::with(change);
        let result = tried(&mut play, pass("c", mode, "tester"));
        result.map_err(|it| it["error"].as_str().unwrap_or_default().to_string()).err()
    };
    let fuse = |what: &str| {
        Some(format!("the fuse {what} (chain: coder); finish the task yourself with what you have"))
    };
    assert_eq!(refused("delegate", |it| it.depth = 4), None);
    assert_eq!(refused("delegate", |it| it.depth = 5), fuse("`depth` allows 5"));
    assert_eq!(refused("handoff", |it| it.depth = 5), None, "depth counts nesting only");
    assert_eq!(refused("handoff", |it| it.hops = 9), None);
    assert_eq!(refused("handoff", |it| it.hops = 10), fuse("`hops` allows 10"));
    assert_eq!(refused("delegate", |it| it.hops = 10), None, "hops count transfers only");
    assert_eq!(refused("handoff", |it| it.fuses.fan_out = 0), fuse("`fan_out` allows 0"));
}

#[test]
fn fan_out_counts_every_child_a_run_ever_had() {
    let mut play = Play::with(|it| it.fuses.fan_out = 2);
    for nth in 1..=2 {
        tried(&mut play, pass("c", "delegate", "tester")).expect("it is made");
        play.child_ends(nth, done("so")).go();
    }
    let said = error(tried(&mut play, pass("c", "delegate", "reviewer")));
    assert!(said.starts_with("the fuse `fan_out` allows 2"), "{said}");
    let blown = play.records.iter().any(|it| matches!(it.event, Event::FuseBlown { value: 3, .. }));
    assert!(blown, "it is recorded");
}

#[test]
fn three_refused_creations_in_a_row_are_the_last_turn() {
    let blown = || pass("c", "delegate", "tester");
    let mut play = Play::with(|it| it.depth = 5);
    play.go();
    play.wants(vec![blown()]).go();
    play.wants(vec![blown()]).go();
    let lines = play.wants(vec![blown()]).go();
    assert_eq!(lines[2..], ["step 7 asks local/small for its last turn", "waits"]);
    let lines = play.answers("what I have", json!({})).go();
    assert_eq!(lines, ["ended partial (loop): what I have"]);
    let said = "3 creations in a row were refused, the last as number 6: the fuse `depth` allows 5 \
                (chain: coder)";
    assert_eq!(play.trouble().1, said);
}

#[test]
fn a_handoff_that_is_made_breaks_the_row() {
    let blown = || pass("c", "delegate", "tester");
    let mut play = Play::with(|it| it.depth = 5);
    play.go();
    play.wants(vec![blown()]).go();
    play.wants(vec![blown()]).go();
    play.wants(vec![pass("d", "handoff", "tester")]).go();
    play.child_ends(1, failed("no")).go();
    let lines = play.wants(vec![blown()]).go();
    assert!(lines[2].ends_with("asks local/small"), "{lines:?}");
}

#[test]
fn the_first_act_of_a_receiver_may_be_a_refusal() {
    let refuse = |more: Value| {
        let mut arguments = json!({"reason": "that is no code"});
        if let Some(better) = more.as_str() {
            arguments["better"] = json!(better);
        }
        call("c", "refuse_handoff", arguments)
    };
    for (better, hint) in [
        (Value::Null, "give it to another agent, or do it yourself"),
        (json!("reviewer"), "reviewer may be better suited"),
        (json!("No Name!"), "give it to another agent, or do it yourself"),
    ] {
        let mut play = Play::handed();
        play.go();
        let lines = play.wants(vec![refuse(better)]).go();
        assert_eq!(lines, ["ended failed (refused): coder declined: that is no code"]);
        assert_eq!(play.end().error.as_ref().expect("trouble").hint, hint);
    }
}

#[test]
fn anything_else_as_first_act_accepts_the_handoff() {
    let late = "a handoff can be refused only as the first act: do the work, or hand it on";
    let refuse = || call("no", "refuse_handoff", json!({"reason": "that is no code"}));
    let status = || call("ok", "team_status", json!({}));

    let mut play = Play::handed();
    play.go();
    let lines = play.wants(vec![status(), refuse()]).go();
    assert_eq!(lines[0], "accepted the handoff");
    assert_eq!(lines[1], format!("step 2 refused: {late}"), "not as the second act");

    let mut play = Play::handed();
    play.go();
    play.wants(vec![status()]).go();
    play.returns("ok", true, json!({})).go();
    play.wants(vec![refuse()]).go();
    assert_eq!(play.told()["error"], late, "not in the second turn");

    let mut play = Play::handed();
    play.go();
    play.says("{\"summary\": \"s\", \"confidence\": 1, \"verdict\": \"maybe\"}").go();
    play.wants(vec![refuse()]).go();
    assert_eq!(play.told()["error"], late, "not while the answer is mended");

    let mut play = Play::handed();
    play.go();
    let lines = play.wants(vec![call("no", "refuse_handoff", json!({}))]).go();
    assert_eq!(lines[0], "accepted the handoff", "a refusal without a reason is none");
    assert_eq!(play.told()["error"], late);

    let mut play = Play::with(|it| {
        it.handoff = Some(super::cast::given());
        it.fuses.turns = 0;
    });
    play.go();
    let lines = play.answers("s", json!({})).go();
    assert_eq!(lines[0], "accepted the handoff", "also where the first turn is the last");
}

#[test]
fn of_two_transfers_in_one_turn_the_second_takes_over_if_the_first_fails() {
    let mut play = Play::new();
    play.go();
    let lines =
        play.wants(vec![pass("c1", "handoff", "tester"), pass("c2", "handoff", "reviewer")]).go();
    assert!(lines[0].starts_with("handed off to tester"), "{lines:?}");
    assert_eq!(lines[1], "waits");
    let lines = play.child_ends(1, failed("no")).go();
    assert!(lines[2].starts_with("handed off to reviewer"), "{lines:?}");
    assert_eq!(play.child_ends(2, done("fine")).go(), ["ended completed (done): fine"]);
}
