//! Guardrails through the whole house: what a model is shown, what is done, what a caller gets.
#![allow(clippy::wildcard_enum_match_arm, reason = "a test looks for some kinds of records")]

mod endpoint;
mod stage;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use callboard_scheduler::Ask as Task;
use callboard_trace::{Caller, Event, FailureCode, Record, RunView, State, Stop};
use endpoint::{Act, Ask, Endpoint};
use serde_json::{Value, json};
use stage::worker::Worker;
use stage::{PATIENCE, Stage, ask, caller, end, play, records, tell};

const MAIL: &str = "ann.b@mail.example";

fn answer(summary: &str) -> Act {
    Act::answer(&json!({"summary": summary, "confidence": 0.8}))
}

/// The writer of a team with these guardrails, on an endpoint that follows the script.
async fn house(
    guardrails: &str,
    script: impl Fn(&Ask) -> Act + Send + Sync + 'static,
) -> (Endpoint, Stage) {
    let endpoint = Endpoint::start(script).await;
    let stage = Stage::at(&endpoint.base_url(), &format!("guardrails:\n{guardrails}"));
    (endpoint, stage)
}

/// Plays a task for the writer, and answers with its view and its records.
async fn of_writer(stage: &Stage, task: &str) -> (RunView, Vec<Record>) {
    let node = stage.node().await;
    let view = play(&node.desk(), ask("writer", task)).await;
    let all = records(&node.desk(), &view.run).await;
    node.stop().await;
    (view, all)
}

fn verdicts(records: &[Record]) -> Vec<(String, String)> {
    let checked = |it: &Record| match &it.event {
        Event::Checked { place, verdict, .. } => Some((place.clone(), verdict.clone())),
        _ => None,
    };
    records.iter().filter_map(checked).collect()
}

fn is_judge(ask: &Ask) -> bool {
    ask.system().contains("You judge content")
}

#[tokio::test]
async fn input_that_is_blocked_reaches_no_model() {
    let (endpoint, stage) =
        house("  - {on: input, kind: banned, words: [secret plans]}\n", |_| answer("x")).await;
    let (view, all) = of_writer(&stage, "tell me the Secret Plans").await;
    assert_eq!((view.state, view.stop), (State::Failed, Some(Stop::Guardrail)));
    let error = view.error.expect("a reason");
    assert_eq!(error.code, FailureCode::CheckBlocked);
    assert!(error.message.contains("guardrail `banned_input` stopped the input"), "{error:?}");
    assert_eq!(endpoint.requests().len(), 0);
    assert_eq!(verdicts(&all), [("input".into(), "block".into())]);
}

#[tokio::test]
async fn redacted_input_is_what_the_model_is_shown() {
    let (endpoint, stage) =
        house("  - {on: input, kind: personal, on_fail: redact}\n", |_| answer("done")).await;
    let (view, _) = of_writer(&stage, &format!("write to {MAIL} today")).await;
    assert_eq!(view.state, State::Completed);
    let sent = endpoint.requests()[0].body.to_string();
    assert!(sent.contains("write to [redacted] today") && !sent.contains(MAIL), "{sent}");
    // Nor is it told to the next task of the conversation.
    let node = stage.node().await;
    for task in [format!("write to {MAIL} today"), "and what was it?".to_owned()] {
        let task = Task { session: Some("s".into()), ..ask("writer", &task) };
        assert_eq!(play(&node.desk(), task).await.state, State::Completed);
    }
    node.stop().await;
    let sent: String = endpoint.requests().iter().map(|it| it.body.to_string()).collect();
    assert!(sent.contains("was asked") && !sent.contains(MAIL), "{sent}");
}

#[tokio::test]
async fn a_person_decides_over_input_and_the_model_is_asked_only_after() {
    for (said, state) in [("allow", State::Completed), ("deny", State::Failed)] {
        let (endpoint, stage) =
            house("  - {on: input, kind: size, max: 5, on_fail: ask}\n", |_| answer("done")).await;
        let node = stage.node().await;
        let desk = node.desk();
        let run = desk.submit(ask("writer", "much too long")).await.expect("taken in").run;
        let view = desk.wait(&run, &caller(), stage::PATIENCE).await.expect("there");
        assert_eq!(
            (view.state, view.questions[0].kind.as_str()),
            (State::InputRequired, "approval")
        );
        assert!(view.questions[0].prompt.contains("much too long"), "{:?}", view.questions);
        assert_eq!(endpoint.requests().len(), 0);
        let answers = BTreeMap::from([(view.questions[0].id.clone(), said.to_owned())]);
        desk.answer(&run, &answers, &caller()).await.expect("answered");
        assert_eq!(end(&desk, &run).await.state, state, "{said}");
        let again = desk.answer(&run, &answers, &caller()).await.expect_err("it is closed");
        assert_eq!(format!("{:?}", again.code), "Conflict");
        node.stop().await;
    }
}

#[tokio::test]
async fn a_call_is_checked_then_allowed_by_people_and_only_then_made() {
    let script = |ask: &Ask| match ask.turn() {
        1 => Act::calls(&[
            ("Write", json!({"file_path": "bad.md", "content": format!("mail {MAIL}")})),
            ("Write", json!({"file_path": "good.md", "content": "fine"})),
        ]),
        _ => answer("done"),
    };
    let guards =
        "  - {on: tool_call, kind: personal}\n  - {name: ann, on: tool_call, kind: approval}\n";
    let (_endpoint, stage) = house(guards, script).await;
    let scribe =
        "---\ndescription: Writes files.\ntools: Write\npermissions: {write: ask}\n---\nWrite.\n";
    stage.write("agents/scribe.md", scribe);
    let node = stage.node().await;
    let desk = node.desk();
    let run = desk.submit(ask("scribe", "go")).await.expect("taken in").run;
    let asked = async || desk.view(&run, &caller()).await.expect("there").questions;
    let good = stage.team().join("good.md");
    for words in ["guardrail `ann` asks before this tool_call", "scribe wants to use `Write`"] {
        let is_it = async || asked().await.iter().any(|it| it.prompt.contains(words));
        stage::until("it is asked", is_it).await;
        let open = asked().await;
        assert_eq!((open.len(), open[0].options.join(" ")), (1, "allow deny".to_owned()));
        assert!(open[0].expires_s.is_some() && !good.exists(), "{open:?}");
        let answers = BTreeMap::from([(open[0].id.clone(), "allow".to_owned())]);
        desk.answer(&run, &answers, &caller()).await.expect("answered");
    }
    let view = end(&desk, &run).await;
    assert_eq!(view.state, State::Completed);
    assert_eq!(std::fs::read_to_string(&good).expect("it is made"), "fine");
    assert!(!stage.team().join("bad.md").exists());
    let all = records(&desk, &run).await;
    let verdicts: Vec<String> = verdicts(&all).into_iter().map(|it| it.1).collect();
    assert_eq!(verdicts, ["block", "pass", "pass"], "{}", tell(&all));
    node.stop().await;
}

/// Notes an address, reads it back, and answers.
fn notes_and_reads(ask: &Ask) -> Act {
    let noted = || ask.last().split('"').find(|it| it.starts_with("a_")).map(str::to_owned);
    match ask.turn() {
        1 => {
            Act::call("note", json!({"slot": "notes", "key": "k", "text": format!("mail {MAIL}")}))
        }
        2 => Act::call("read", json!({"uri": noted().unwrap_or_default()})),
        _ => answer("done"),
    }
}

/// What the model was told last as the result of a tool.
fn told(endpoint: &Endpoint) -> String {
    let requests = endpoint.requests();
    let last = requests.last().expect("it was asked").body["messages"].clone();
    let mut tools = last.as_array().into_iter().flatten().filter(|it| it["role"] == "tool");
    tools.next_back().map(|it| it["content"].to_string()).unwrap_or_default()
}

#[tokio::test]
async fn of_what_a_tool_brought_the_model_sees_what_passed_and_the_journal_keeps_it() {
    for (on_fail, sees) in
        [("redact", "mail [redacted]"), ("block", "withheld by guardrail"), ("flag", MAIL)]
    {
        let guard = format!(
            "  - {{on: tool_result, kind: personal, on_fail: {on_fail}, applies_to: {{tools: [read]}}}}\n"
        );
        let (endpoint, stage) = house(&guard, notes_and_reads).await;
        let (view, all) = of_writer(&stage, "go").await;
        assert_eq!(view.state, State::Completed);
        let told = told(&endpoint);
        assert!(told.contains(sees), "{on_fail}: {told}");
        assert_eq!(told.contains(MAIL), on_fail == "flag", "{told}");
        assert_eq!(verdicts(&all), [("tool_result".into(), on_fail.into())]);
        let kept = all.iter().any(|it| matches!(&it.event, Event::ToolReturned { result, .. } if result.to_string().contains(MAIL)));
        assert!(kept, "what the tool brought stands in the journal");
        let flagged =
            view.notices.iter().any(|it| it.contains("guardrail `personal_tool_result` flagged"));
        assert_eq!(flagged, on_fail == "flag", "{:?}", view.notices);
    }
}

#[tokio::test]
async fn a_call_that_is_blocked_is_told_to_the_model_and_never_done() {
    let guard = "  - {on: tool_call, kind: personal, applies_to: {tools: [note]}}\n";
    let (endpoint, stage) = house(guard, |ask| match ask.turn() {
        1 => notes_and_reads(ask),
        _ => answer("I could not"),
    })
    .await;
    let (view, all) = of_writer(&stage, "go").await;
    assert_eq!(view.state, State::Completed);
    assert!(told(&endpoint).contains("guardrail `personal_tool_call` does not allow it"));
    assert!(!all.iter().any(|it| matches!(it.event, Event::Noted { .. })));
}

#[tokio::test]
async fn a_tripwire_ends_the_run_with_a_reason_of_its_own() {
    let guard = "  - {name: wire, on: tool_call, kind: pattern, deny: \"^mail\", on_fail: stop}\n";
    let (endpoint, stage) = house(guard, notes_and_reads).await;
    let (view, _) = of_writer(&stage, "go").await;
    assert_eq!((view.state, view.stop), (State::Failed, Some(Stop::Guardrail)));
    assert!(
        view.error.expect("a reason").message.contains("guardrail `wire` stopped the tool_call")
    );
    assert_eq!(endpoint.requests().len(), 1);
}

#[tokio::test]
async fn a_handoff_that_is_blocked_goes_back_to_its_source() {
    let summary = json!({"did": "looked at everything there is", "must_know": format!("ask {MAIL}"), "do_next": "go on"});
    let hands_on = move |ask: &Ask| match (ask.system().contains("You are the coder."), ask.turn())
    {
        (true, 1) => {
            Act::call("handoff", json!({"to": "tester", "task": "test it", "summary": summary}))
        }
        _ => answer("did it myself"),
    };
    let (endpoint, stage) = house("  - {on: handoff, kind: personal}\n", hands_on).await;
    let node = stage.node().await;
    let view = play(&node.desk(), ask("coder", "go")).await;
    assert_eq!((view.state, view.handoffs, view.agent.as_str()), (State::Completed, 0, "coder"));
    assert!(told(&endpoint).contains("guardrail `personal_handoff`"));
    node.stop().await;
}

#[tokio::test]
async fn failing_tests_send_the_coder_back_twice_and_then_the_answer_is_partial() {
    let failing = json!({"case": "empty input", "result": "fail", "message": "it panics"});
    let script = move |ask: &Ask| match ask.turn() {
        1 => Act::call("note", json!({"slot": "tests", "key": "unit", "value": failing})),
        nth => answer(&format!("done {nth}")),
    };
    let (endpoint, stage) =
        house("  - {on: output, kind: tests_pass, applies_to: {agents: [coder]}}\n", script).await;
    let node = stage.node().await;
    let view = play(&node.desk(), ask("coder", "write a parser")).await;
    let all = records(&node.desk(), &view.run).await;
    assert_eq!((view.state, view.stop), (State::Partial, Some(Stop::Guardrail)), "{}", tell(&all));
    assert_eq!(view.result.as_deref(), Some("done 4"));
    let output = |verdict: &str| ("output".to_owned(), verdict.to_owned());
    assert_eq!(verdicts(&all), [output("retry"), output("retry"), output("block")]);
    assert_eq!(
        view.missing[0].error,
        "guardrail `tests_pass_output`: test `empty input` failed: it panics"
    );
    let requests = endpoint.requests();
    assert_eq!(requests.len(), 4);
    for back in &requests[2..] {
        let sent = back.body["messages"].to_string();
        assert!(sent.contains("- test `empty input` failed: it panics"), "{sent}");
        assert!(
            back.body["tools"].is_array() && back.body["tool_choice"].is_null(),
            "it can mend it"
        );
    }
    node.stop().await;
}

#[tokio::test]
async fn an_answer_is_redacted_or_its_offending_part_is_withheld_and_named() {
    for (on_fail, state) in [("redact", State::Completed), ("block", State::Partial)] {
        let guard = format!("  - {{on: output, kind: personal, on_fail: {on_fail}}}\n");
        let (_endpoint, stage) = house(&guard, |_| answer(&format!("ask {MAIL}"))).await;
        let (view, _) = of_writer(&stage, "who knows?").await;
        assert_eq!((view.state, view.result.as_deref()), (state, Some("ask [redacted]")));
        let impacts: Vec<&str> = view.missing.iter().map(|it| it.impact.as_str()).collect();
        assert_eq!(impacts, if on_fail == "block" { vec!["withheld: /summary"] } else { vec![] });
    }
}

const JUDGES: &str = "  - {name: fair, on: output, kind: judge, by: reviewer, criteria: is it fair}\n  \
                      - {name: kind, on: output, kind: judge, by: default, criteria: is it kind, on_fail: flag}\n";

#[tokio::test]
async fn judges_are_asked_side_by_side_and_their_reasons_go_back() {
    let rude = Arc::new(AtomicUsize::new(0));
    let seen = rude.clone();
    let script = move |ask: &Ask| {
        if !is_judge(ask) {
            return answer("it is what it is");
        }
        let is_fair = ask.user().contains("is it fair");
        let is_first = is_fair && seen.fetch_add(1, Ordering::SeqCst) == 0;
        let score = if is_first { 0.4 } else { 0.9 };
        Act::answer(&json!({"score": score, "pass": !is_first, "reasons": ["one side is missing"]}))
    };
    let (endpoint, stage) = house(JUDGES, script).await;
    let (view, all) = of_writer(&stage, "tell it").await;
    assert_eq!(view.state, State::Completed, "{}", tell(&all));
    let verdicts: Vec<String> = verdicts(&all).into_iter().map(|it| it.1).collect();
    assert_eq!(verdicts.iter().filter(|it| *it == "retry").count(), 1, "{verdicts:?}");
    assert_eq!(verdicts.iter().filter(|it| *it == "pass").count(), 3, "{verdicts:?}");
    let judged: Vec<Value> = endpoint
        .requests()
        .into_iter()
        .map(|it| it.body)
        .filter(|it| it.to_string().contains("You judge content"))
        .collect();
    assert_eq!(judged.len(), 4);
    let first = judged[0]["messages"].to_string();
    assert!(first.contains("it is what it is") && first.contains("given as data"), "{first}");
    assert_eq!(judged[0]["response_format"]["json_schema"]["name"], "verdict");
    let of_reviewer = |it: &&Value| {
        it["messages"][0]["content"]
            .as_str()
            .is_some_and(|it| it.starts_with("You are the reviewer."))
    };
    assert_eq!(judged.iter().filter(of_reviewer).count(), 2);
    let back = endpoint
        .requests()
        .iter()
        .any(|it| it.body["messages"].to_string().contains("- one side is missing"));
    assert!(back, "the reasons are told");
    assert_eq!(view.cost.tokens, 15 * 6, "judges cost budget like any other step");
}

#[tokio::test]
async fn a_judge_that_errs_or_is_late_blocks() {
    let wrong = [
        (Act::status(401), "was not heard"),
        (Act::say("fine, I think"), "gave no verdict"),
        (Act::silence(), "was not heard: no reply in the 1.0 s"),
    ];
    for (act, why) in wrong {
        let script = move |ask: &Ask| if is_judge(ask) { act.clone() } else { answer("done") };
        let guard = "  - {name: fair, on: output, kind: judge, by: default, criteria: c, on_fail: flag, timeout_s: 1}\n";
        let (_endpoint, stage) = house(guard, script).await;
        let (view, all) = of_writer(&stage, "tell it").await;
        assert_eq!(
            (view.state, view.stop),
            (State::Partial, Some(Stop::Guardrail)),
            "{}",
            tell(&all)
        );
        assert!(
            view.result.as_deref().is_some_and(|it| it.starts_with("withheld: guardrail `fair`"))
        );
        assert!(view.error.expect("a reason").message.contains(why), "{why}");
        assert_eq!(verdicts(&all), [("output".into(), "block".into())]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_between_a_check_and_its_step_it_comes_to_the_same_end() {
    let judged = Arc::new(AtomicUsize::new(0));
    let count = judged.clone();
    let script = move |ask: &Ask| {
        if !is_judge(ask) {
            return answer(&format!("ask {MAIL}"));
        }
        match count.fetch_add(1, Ordering::SeqCst) {
            0 => Act::silence(),
            _ => Act::answer(&json!({"score": 1, "pass": true, "reasons": []})),
        }
    };
    let guards = "  - {on: output, kind: personal, on_fail: redact}\n  - {name: fair, on: output, kind: judge, by: default, criteria: c}\n";
    let (_endpoint, stage) = house(guards, script).await;
    let front = stage.node_with(false).await;
    let desk = front.desk();
    let worker = Worker::start(&stage);
    let run = desk.submit(ask("writer", "go")).await.expect("taken in").run;
    stage::until("the judge is asked", async || judged.load(Ordering::SeqCst) > 0).await;
    drop(worker);
    let _worker = Worker::start(&stage);
    let view = end(&desk, &run).await;
    let all = records(&desk, &run).await;
    assert_eq!(
        (view.state, view.result.as_deref()),
        (State::Completed, Some("ask [redacted]")),
        "{}",
        tell(&all)
    );
    assert_eq!(
        verdicts(&all),
        [("output".into(), "redact".into()), ("output".into(), "pass".into())]
    );
    stage::no_finished_step_is_taken_again(&all, &tell(&all));
    front.stop().await;
}

#[tokio::test]
async fn what_passes_is_on_record_and_changes_nothing() {
    let guards = "  - {on: input, kind: size, max: 1000}\n  - {on: output, kind: evidence}\n";
    let (_endpoint, stage) = house(guards, |_| answer("done")).await;
    let (view, all) = of_writer(&stage, "go").await;
    assert_eq!((view.state, view.result.as_deref()), (State::Completed, Some("done")));
    assert_eq!(verdicts(&all), [("input".into(), "pass".into()), ("output".into(), "pass".into())]);
}

#[tokio::test]
async fn what_the_owner_is_asked_about_is_shown_to_the_owner_alone() {
    let guard = "  - {name: mail, on: output, kind: personal, on_fail: ask}\n";
    let (_endpoint, stage) = house(guard, |_| answer(&format!("ask {MAIL}"))).await;
    let node = stage.node().await;
    let desk = node.desk();
    let ann = Caller { principal: "ann".into(), transport: "http".into(), ..caller() };
    let asked = desk.submit(Task { caller: ann.clone(), ..ask("writer", "who?") }).await;
    let run = asked.expect("taken in").run;
    let view = desk.wait(&run, &ann, PATIENCE).await.expect("it is there");
    assert_eq!(view.state, State::InputRequired);
    let question = view.questions[0].id.clone();
    assert!(!json!(view).to_string().contains(MAIL), "{view:?}");
    let why = json!(desk.why(&run, &ann).await.expect("it is there"));
    assert!(why["questions"][0]["id"] == question && !why.to_string().contains(MAIL), "{why}");
    let all = records(&desk, &run).await;
    let told: Vec<Record> = all.iter().map(|it| desk.told(it)).collect();
    assert!(!json!(told).to_string().contains(MAIL), "{told:?}");
    assert!(json!(all).to_string().contains(MAIL), "the journal keeps it");
    let own = [(question.clone(), "allow".to_owned())].into();
    let refused = desk.answer(&run, &own, &ann).await.expect_err("not hers to give");
    assert!(refused.problems[0].contains("leave is the owner's to give"), "{refused:?}");
    let owners = desk.view(&run, &caller()).await.expect("it is there");
    assert!(owners.questions[0].prompt.contains(MAIL), "the owner decides");
    desk.answer(&run, &own, &caller()).await.expect("it is open");
    assert_eq!(end(&desk, &run).await.result, Some(format!("ask {MAIL}")));
    node.stop().await;
}
