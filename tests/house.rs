//! The whole house in process: tasks in at the desk, the story of what happened out of the journal.

mod stage;

use std::time::Duration;

use callboard_scheduler::Listens;
use callboard_trace::{Action, Control, State, Stop};
use stage::{Stage, ask, caller, end, play, told};

const SUMMARY: &str =
    "summary: {did: looked at the task and at what is there, must_know: use tokio, do_next: go on}";

#[tokio::test]
async fn an_answer_ends_the_run() {
    let stage = Stage::new("- {answer: {summary: forty-two, confidence: 0.9}}\n");
    let node = stage.node().await;
    let view = play(&node.desk(), ask("writer", "what is it?")).await;
    assert_eq!((view.state, view.stop), (State::Completed, Some(Stop::Done)));
    assert_eq!(view.result.as_deref(), Some("forty-two"));
    assert_eq!(view.confidence, Some(0.9));
    insta::assert_snapshot!(told(&node.desk(), &view.run).await);
    node.stop().await;
}

#[tokio::test]
async fn triggers_carry_a_task_through_three_agents() {
    let stage = Stage::new(
        "- {when: {purpose: summarise}, say: '{\"did\": \"my part of the work was done\", \
         \"must_know\": \"the pattern is a channel\", \"do_next\": \"go on from here\"}'}\n\
         - {when: {agent: researcher}, answer: {summary: channels it is, confidence: 0.8}}\n\
         - {when: {agent: coder}, answer: {summary: code is written, confidence: 0.8}}\n\
         - {when: {agent: tester}, answer: {summary: all tests pass, confidence: 0.9}}\n",
    );
    let node = stage.node().await;
    let task = "Research async patterns, implement an example, test it";
    let view = play(&node.desk(), ask("researcher", task)).await;
    assert_eq!(view.state, State::Completed);
    assert_eq!((view.agent.as_str(), view.handoffs), ("tester", 2));
    assert_eq!(view.result.as_deref(), Some("all tests pass"));
    insta::assert_snapshot!(told(&node.desk(), &view.run).await);
    node.stop().await;
}

#[tokio::test]
async fn delegates_work_side_by_side_and_answer_their_supervisor() {
    let stage = Stage::new(&format!(
        "- when: {{agent: coordinator, turn: 1}}\n  delegate:\n    - {{to: researcher, task: look, {SUMMARY}}}\n    - {{to: writer, task: write, {SUMMARY}}}\n\
         - {{when: {{agent: coordinator}}, answer: {{summary: both are back, confidence: 0.7}}}}\n\
         - {{when: {{agent: researcher}}, answer: {{summary: found, confidence: 0.6}}, after_ms: 50}}\n\
         - {{when: {{agent: writer}}, answer: {{summary: written, confidence: 0.6}}, after_ms: 200}}\n"
    ));
    let node = stage.node().await;
    let view = play(&node.desk(), ask("coordinator", "do both")).await;
    assert_eq!(view.state, State::Completed);
    assert_eq!((view.agent.as_str(), view.handoffs), ("coordinator", 2));
    let story = told(&node.desk(), &view.run).await;
    assert_eq!(story.matches("delegated to").count(), 2, "{story}");
    assert_eq!(story.matches("told that").count(), 2, "{story}");
    node.stop().await;
}

#[tokio::test]
async fn a_refused_handoff_goes_back_with_its_reason() {
    let stage = Stage::new(&format!(
        "- {{when: {{agent: reviewer, turn: 1}}, refuse: {{reason: this is not code but prose, better: coder}}}}\n\
         - {{when: {{agent: coder, turn: 1}}, handoff: {{to: reviewer, task: review it, {SUMMARY}}}}}\n\
         - {{when: {{agent: coder}}, answer: {{summary: I reviewed it myself, confidence: 0.5}}}}\n"
    ));
    let node = stage.node().await;
    let view = play(&node.desk(), ask("coder", "look at this")).await;
    assert_eq!(view.state, State::Completed);
    assert_eq!(view.result.as_deref(), Some("I reviewed it myself"));
    insta::assert_snapshot!(told(&node.desk(), &view.run).await);
    node.stop().await;
}

#[tokio::test]
async fn a_clumsy_summary_is_sent_back_twice_and_then_written_by_the_engine() {
    let stage = Stage::new(
        "- {when: {agent: coder}, handoff: {to: tester, task: test it, summary: {did: x, must_know: y, do_next: z}}}\n\
         - {when: {agent: tester}, answer: {summary: tested, confidence: 0.5}}\n",
    );
    let node = stage.node().await;
    let view = play(&node.desk(), ask("coder", "look at this")).await;
    assert_eq!((view.state, view.handoffs), (State::Completed, 1));
    insta::assert_snapshot!(told(&node.desk(), &view.run).await);
    node.stop().await;
}

#[tokio::test]
async fn an_agent_that_never_answers_gets_a_last_turn() {
    let stage = Stage::new(
        "- {when: {purpose: finalise}, answer: {summary: as far as I got, confidence: 0.3}}\n\
         - {note: {slot: findings, key: k, text: a thought}}\n",
    );
    stage.limit("repeat_calls: 9, repeat_replies: 9");
    let node = stage.node().await;
    let view = play(&node.desk(), ask("writer", "think")).await;
    assert_eq!((view.state, view.stop), (State::Partial, Some(Stop::Turns)));
    assert_eq!(view.result.as_deref(), Some("as far as I got"));
    insta::assert_snapshot!(told(&node.desk(), &view.run).await);
    node.stop().await;
}

#[tokio::test]
async fn hops_end_at_the_fuse_and_the_chain_is_told() {
    let stage = Stage::new(&format!(
        "- {{when: {{agent: coder}}, handoff: {{to: reviewer, task: review, {SUMMARY}}}, times: 1}}\n\
         - {{when: {{agent: reviewer}}, handoff: {{to: coder, task: mend, {SUMMARY}}}, times: 1}}\n\
         - {{answer: {{summary: enough, confidence: 0.4}}}}\n"
    ));
    stage.limit("hops: 2");
    let node = stage.node().await;
    let view = play(&node.desk(), ask("coder", "go round")).await;
    assert_eq!(view.state, State::Completed);
    assert_eq!(view.handoffs, 2);
    let story = told(&node.desk(), &view.run).await;
    assert!(story.contains("fuse hops blown: 3 over 2"), "{story}");
    node.stop().await;
}

#[tokio::test]
async fn an_agent_that_does_the_same_for_ever_is_told_and_then_stopped() {
    let stage = Stage::new("- {note: {slot: findings, key: k, text: a thought}}\n");
    stage.limit("repeat_replies: 9");
    let node = stage.node().await;
    let view = play(&node.desk(), ask("coder", "think")).await;
    assert_eq!((view.state, view.stop), (State::Failed, Some(Stop::Loop)));
    let story = told(&node.desk(), &view.run).await;
    assert!(story.contains("fuse repeat_calls blown: 4 over 3"), "{story}");
    assert!(!story.contains("blown: 5"), "{story}");
    node.stop().await;
}

#[tokio::test]
async fn a_failing_provider_is_met_again_and_then_given_up() {
    let stage = Stage::new(
        "- {when: {agent: writer}, fail: {status: 500}, times: 2}\n- {answer: {summary: at last, confidence: 1}}\n",
    );
    let node = stage.node().await;
    let view = play(&node.desk(), ask("writer", "try")).await;
    assert_eq!(view.state, State::Completed);
    let story = told(&node.desk(), &view.run).await;
    assert_eq!(story.matches("will be tried again").count(), 2, "{story}");
    node.stop().await;

    let stage = Stage::new("- {fail: {status: 500}}\n");
    let node = stage.node().await;
    let view = play(&node.desk(), ask("writer", "try")).await;
    assert_eq!((view.state, view.stop), (State::Failed, Some(Stop::Error)));
    let error = view.error.expect("a reason");
    assert!(error.message.contains("3 attempts"), "{error:?}");
    node.stop().await;
}

#[tokio::test]
async fn a_rate_limit_is_waited_for_and_is_no_attempt() {
    let stage = Stage::new(
        "- {fail: {status: 429, retry_after_s: 0.2}, times: 5}\n- {answer: {summary: through, confidence: 1}}\n",
    );
    let node = stage.node().await;
    let view = play(&node.desk(), ask("writer", "try")).await;
    assert_eq!(view.state, State::Completed);
    assert!(view.elapsed_s >= 1.0, "five pauses of 0.2 s were kept: {}", view.elapsed_s);
    node.stop().await;
}

#[tokio::test]
async fn a_cancel_reaches_the_model_and_the_children() {
    let stage = Stage::new(&format!(
        "- {{when: {{agent: coordinator}}, delegate: [{{to: writer, task: write, {SUMMARY}}}]}}\n\
         - {{answer: {{summary: never, confidence: 1}}, after_ms: 60000}}\n"
    ));
    let node = stage.node().await;
    let desk = node.desk();
    let run = desk.submit(ask("coordinator", "long")).await.expect("taken in").run;
    let handed = async || desk.view(&run, &caller()).await.expect("there").handoffs > 0;
    stage::until("a handoff", handed).await;
    let control =
        Control { action: Action::Cancel, value: serde_json::Value::Null, reason: "enough".into() };
    let view = desk.control(&run, control, &caller()).await.expect("cancelled");
    assert_eq!((view.state, view.stop), (State::Cancelled, Some(Stop::Cancelled)));
    let again =
        Control { action: Action::Cancel, value: serde_json::Value::Null, reason: String::new() };
    let refusal = desk.control(&run, again, &caller()).await.expect_err("it is over");
    assert_eq!(refusal.message, format!("{run} is cancelled and cannot be changed"));
    let both = async || told(&desk, &run).await.matches("ended cancelled (").count() >= 2;
    let both = stage::until("the child is cancelled too", both);
    if tokio::time::timeout(Duration::from_secs(8), both).await.is_err() {
        panic!("the child goes on:\n{}", told(&desk, &run).await);
    }
    node.stop().await;
}

#[tokio::test]
async fn a_paused_run_takes_no_step_until_it_is_resumed() {
    let stage = Stage::new(
        "- {when: {turn: 1}, note: {slot: notes, key: k, text: t}, after_ms: 300}\n- {answer: {summary: done, confidence: 1}}\n",
    );
    let node = stage.node().await;
    let desk = node.desk();
    let run = desk.submit(ask("writer", "work")).await.expect("taken in").run;
    let act = |action| Control { action, value: serde_json::Value::Null, reason: String::new() };
    tokio::time::sleep(Duration::from_millis(50)).await;
    desk.control(&run, act(Action::Pause), &caller()).await.expect("paused");
    tokio::time::sleep(Duration::from_millis(700)).await;
    let view = desk.view(&run, &caller()).await.expect("there");
    assert_eq!(view.state, State::Queued);
    assert_eq!(view.queue.expect("a reason").waiting_for, "paused by local");
    desk.control(&run, act(Action::Resume), &caller()).await.expect("resumed");
    assert_eq!(end(&desk, &run).await.state, State::Completed);
    node.stop().await;
}

#[tokio::test]
async fn a_stopped_process_leaves_its_runs_to_the_next() {
    let stage = Stage::new("- {answer: {summary: done, confidence: 1}, after_ms: 400}\n");
    let first = stage.node().await;
    let run = first.desk().submit(ask("writer", "work")).await.expect("taken in").run;
    tokio::time::sleep(Duration::from_millis(150)).await;
    first.stop().await;
    let second = stage.node().await;
    assert_eq!(end(&second.desk(), &run).await.state, State::Completed);
    insta::assert_snapshot!(told(&second.desk(), &run).await);
    second.stop().await;
}

#[tokio::test]
async fn the_51st_run_waits_for_a_seat() {
    let stage = Stage::new("- {answer: {summary: done, confidence: 1}, after_ms: 300}\n");
    let node = stage.node().await;
    let desk = node.desk();
    let mut runs = Vec::new();
    for number in 0..60 {
        runs.push(desk.submit(ask("writer", &format!("task {number}"))).await.expect("in").run);
    }
    tokio::time::sleep(Duration::from_millis(150)).await;
    let board = desk.board(&caller()).await.expect("a board");
    assert!(board.queue.seats_taken <= 50, "{:?}", board.queue);
    for run in &runs {
        assert_eq!(end(&desk, run).await.state, State::Completed);
    }
    node.stop().await;
}

#[tokio::test]
async fn the_same_key_joins_and_another_question_is_a_conflict() {
    let stage = Stage::new("- {answer: {summary: done, confidence: 1}}\n");
    let node = stage.node().await;
    let desk = node.desk();
    let keyed =
        |task: &str| callboard_scheduler::Ask { key: Some("k".into()), ..ask("writer", task) };
    let first = desk.submit(keyed("one")).await.expect("in");
    let second = desk.submit(keyed("one")).await.expect("in");
    assert_eq!((second.run.clone(), second.joined), (first.run, true));
    let refusal = desk.submit(keyed("two")).await.expect_err("a conflict");
    assert_eq!(refusal.code, callboard_scheduler::RefusalCode::Conflict);
    node.stop().await;
}

#[tokio::test]
async fn what_a_trigger_hands_on_holds_the_whole_answer() {
    let stage = Stage::new(
        "- {when: {purpose: summarise}, say: '{\"did\": \"wrote the parser of dates\", \
         \"must_know\": \"leap seconds count\", \"do_next\": \"try it out\"}'}\n\
         - {when: {agent: coder}, answer: {summary: written, confidence: 0.8, findings: [{key: code, text: fn parse, confidence: 1}]}}\n\
         - {when: {agent: tester}, answer: {summary: tested, confidence: 0.9}}\n",
    );
    let node = stage.node().await;
    let desk = node.desk();
    let view = play(&desk, ask("coder", "write it and test it")).await;
    let records = stage::records(&desk, &view.run).await;
    let handoff = records.iter().find_map(|it| {
        let callboard_trace::Event::HandedOff(handoff) = &it.event else { return None };
        Some(handoff.clone())
    });
    let artifacts = handoff.expect("a handoff").artifacts;
    assert_eq!(artifacts.len(), 1);
    assert!(artifacts[0].head.contains("fn parse"), "{artifacts:?}");
    node.stop().await;
}

#[tokio::test]
async fn an_ended_run_is_continued_with_what_it_left() {
    let stage = Stage::new(
        "- {when: {agent: writer, turn: 1}, note: {slot: findings, key: k, text: the finding}}\n\
         - {when: {agent: writer}, answer: {summary: written, confidence: 0.8}}\n\
         - {when: {agent: reviewer}, answer: {summary: reviewed, confidence: 0.9}}\n",
    );
    let node = stage.node().await;
    let desk = node.desk();
    let first = play(&desk, ask("writer", "write")).await;
    let onward = |run, artifacts| callboard_scheduler::HandoffAsk {
        to: callboard_config::AgentName::parse("reviewer").expect("a name"),
        summary: callboard_trace::Summary {
            must_know: "it is a draft".into(),
            ..Default::default()
        },
        task: "review it".into(),
        run,
        artifacts,
    };
    let unknown = vec![callboard_trace::ArtifactRef {
        id: "a_nothing".into(),
        why: String::new(),
        name: String::new(),
        bytes: 0,
        head: String::new(),
    }];
    let refused =
        desk.handoff(onward(Some(first.run.clone()), unknown), &caller(), Listens::default()).await;
    let refused = refused.expect_err("no such artifact");
    assert!(refused.problems[0].contains("a_nothing"), "{refused}");
    let over = desk
        .handoff(onward(Some(first.run.clone()), Vec::new()), &caller(), Listens::default())
        .await;
    let over = over.expect("continued");
    assert_ne!(over.run, first.run);
    let view = end(&desk, &over.run).await;
    assert_eq!((view.state, view.result.as_deref()), (State::Completed, Some("reviewed")));
    insta::assert_snapshot!(told(&desk, &over.run).await.replace(first.run.as_str(), "r_first"));
    node.stop().await;
}

#[tokio::test]
async fn a_message_is_heard_before_the_end() {
    let stage = Stage::new(
        "- {when: {agent: writer, turn: 1}, answer: {summary: a draft, confidence: 0.4}, after_ms: 400}\n\
         - {answer: {summary: a draft about queues, confidence: 0.9}}\n",
    );
    let node = stage.node().await;
    let desk = node.desk();
    let run = desk.submit(ask("writer", "write")).await.expect("taken in").run;
    let asked = async || told(&desk, &run).await.contains("step 1 asks");
    stage::until("the first step", asked).await;
    let value = serde_json::json!("write about queues");
    let message = Control { action: Action::Message, value, reason: String::new() };
    desk.control(&run, message, &caller()).await.expect("told");
    let view = end(&desk, &run).await;
    assert_eq!(view.result.as_deref(), Some("a draft about queues"));
    insta::assert_snapshot!(told(&desk, &run).await);
    node.stop().await;
}

#[tokio::test]
async fn a_run_that_is_to_finish_now_gives_what_it_has_and_so_do_its_children() {
    let stage = Stage::new(&format!(
        "- {{when: {{agent: coordinator, turn: 1}}, delegate: [{{to: reviewer, task: look, {SUMMARY}}}]}}\n\
         - {{when: {{agent: reviewer, purpose: finalise}}, answer: {{summary: seen half of it, confidence: 0.3}}}}\n\
         - {{when: {{agent: coordinator, purpose: finalise}}, answer: {{summary: as far as we got, confidence: 0.5}}}}\n\
         - {{note: {{slot: findings, key: k, text: a thought}}, after_ms: 200}}\n"
    ));
    let node = stage.node().await;
    let desk = node.desk();
    let run = desk.submit(ask("coordinator", "long")).await.expect("taken in").run;
    let handed = async || desk.view(&run, &caller()).await.expect("there").handoffs > 0;
    stage::until("a handoff", handed).await;
    let value = serde_json::Value::Null;
    let control = Control { action: Action::FinishNow, value, reason: "time is up".into() };
    desk.control(&run, control, &caller()).await.expect("asked");
    let view = end(&desk, &run).await;
    assert_eq!((view.state, view.stop), (State::Completed, Some(Stop::Done)));
    assert_eq!(view.result.as_deref(), Some("as far as we got"));
    let story = told(&desk, &run).await;
    assert_eq!(story.matches("finish_now by local: time is up").count(), 2, "{story}");
    assert_eq!(story.matches("for its last turn").count(), 2, "{story}");
    node.stop().await;
}

#[tokio::test]
async fn a_retried_run_goes_on_where_it_was_cut_off_and_so_do_its_branches() {
    let book = |writes: &str| {
        format!(
            "- {{when: {{agent: coordinator, turn: 1}}, delegate: [{{to: researcher, task: look, {SUMMARY}}}, {{to: writer, task: write, {SUMMARY}}}]}}\n\
         - {{when: {{agent: coordinator}}, answer: {{summary: both are back, confidence: 0.7}}}}\n\
         - {{when: {{agent: researcher}}, answer: {{summary: found, confidence: 0.6}}}}\n\
         - {{when: {{agent: writer}}, answer: {{summary: written, confidence: 0.6}}, after_ms: {writes}}}\n"
        )
    };
    let stage = Stage::new(&book("60000"));
    let node = stage.node().await;
    let desk = node.desk();
    let act = |action| {
        let value = serde_json::Value::Null;
        Control { action, value, reason: "so".into() }
    };
    let run = desk.submit(ask("coordinator", "do both")).await.expect("taken in").run;
    let at_work =
        |story: &str| story.contains("told that researcher") && story.contains("writer: step 1");
    stage::until("one done, one at work", async || at_work(&told(&desk, &run).await)).await;
    let refused = desk.control(&run, act(Action::Retry), &caller()).await.expect_err("it is open");
    assert_eq!(refused.code, callboard_scheduler::RefusalCode::Conflict);
    desk.control(&run, act(Action::Cancel), &caller()).await.expect("cancelled");
    let begun = tokio::time::Instant::now();
    let (records, open) = loop {
        assert!(begun.elapsed() < stage::PATIENCE, "it is never over");
        let records = stage::records(&desk, &run).await;
        match desk.control(&run, act(Action::Retry), &caller()).await {
            Ok(view) => break (records, view),
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    };
    assert!(!open.state.is_over(), "{open:?}");
    node.stop().await;
    stage.write("playbook.yaml", &book("0"));
    let node = stage.node().await;
    let desk = node.desk();
    let view = end(&desk, &run).await;
    let all = stage::records(&desk, &run).await;
    let story = told(&desk, &run).await;
    assert_eq!(
        (view.state, view.result.as_deref()),
        (State::Completed, Some("both are back")),
        "{story}"
    );
    stage::no_finished_step_is_taken_again(&all, &story);
    let since = stage::tell(&all[records.len()..]);
    assert!(since.contains("writer: step 1 asks rehearsal/rehearsal (attempt "), "{since}");
    assert!(!since.contains("researcher: "), "what was done is done: {since}");
    let child = all.iter().find(|it| it.run != run).map(|it| it.run.clone()).expect("a child");
    for (run, told) in [(&run, "is completed and has nothing to do again"), (&child, "retry r_")] {
        let refused = desk.control(run, act(Action::Retry), &caller()).await.expect_err("no");
        assert!(refused.to_string().contains(told), "{refused}");
    }
    node.stop().await;
}
