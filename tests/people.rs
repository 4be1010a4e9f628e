//! People as agents, in the whole house: asked at the desk, answered at the desk, after a restart too.

mod stage;

use std::collections::BTreeMap;

use callboard_config::{AgentName, ProviderKind};
use callboard_scheduler::{Desk, HandoffAsk, Listens, Node};
use callboard_trace::{Action, Control, Question, RunId, RunView, State, Stop, Summary};
use stage::{PATIENCE, Stage, ask, caller, end, told};

const SUMMARY: &str = "summary: {did: looked at the task and at what is there, must_know: it is late, do_next: decide}";

/// The usual team with one more member: a person, in front of whom stands this matter.
fn stage(playbook: &str, fields: &str) -> Stage {
    let stage = Stage::new(playbook);
    let boss = format!(
        "---\nname: boss\ndescription: Decides.\nkind: human\nhandoffs_from: [coder, coordinator]\n{fields}---\n"
    );
    stage.write("agents/boss.md", &boss);
    stage
}

async fn asked(desk: &Desk, run: &RunId) -> Question {
    let view = desk.wait(run, &caller(), PATIENCE).await.expect("the run is there");
    assert_eq!(view.state, State::InputRequired, "{}", told(desk, run).await);
    view.questions[0].clone()
}

async fn answer(desk: &Desk, run: &RunId, question: &Question, answer: &str) -> RunView {
    let answers = BTreeMap::from([(question.id.clone(), answer.to_owned())]);
    desk.answer(run, &answers, &caller()).await.expect("an open question")
}

async fn submit(node: &Node, to: &str, task: &str) -> RunId {
    node.desk().submit(ask(to, task)).await.expect("taken in").run
}

#[tokio::test]
async fn a_person_alone_is_a_team_without_a_model() {
    let stage = Stage::new("");
    std::fs::remove_dir_all(stage.team()).expect("a folder");
    stage.write(
        "agents/boss.md",
        "---\ndescription: Decides.\nkind: human\nchoices: [yes, no]\n---\nDecide.\n",
    );
    let node = stage.node().await;
    let team = node.desk().team();
    let endpoint = |it: &callboard_config::Provider| matches!(it.kind, ProviderKind::OpenAi(_));
    assert!(
        team.problems.is_empty() && team.providers.values().all(endpoint),
        "{:?}",
        team.problems
    );
    let run = submit(&node, "boss", "ship it?").await;
    let question = asked(&node.desk(), &run).await;
    assert_eq!((question.kind.as_str(), question.options.len()), ("choice", 2));
    let wrong = BTreeMap::from([(question.id.clone(), "perhaps".to_owned())]);
    let refused = node.desk().answer(&run, &wrong, &caller()).await.expect_err("no option");
    assert!(refused.problems[0].contains("is no option; write one of yes, no"), "{refused:?}");
    answer(&node.desk(), &run, &question, "yes").await;
    let view = end(&node.desk(), &run).await;
    assert_eq!((view.state, view.stop), (State::Completed, Some(Stop::Done)));
    assert_eq!((view.result.as_deref(), view.confidence), (Some("yes"), Some(1.0)));
    insta::assert_snapshot!(told(&node.desk(), &run).await);
    node.stop().await;
}

#[tokio::test]
async fn a_person_is_asked_as_a_delegate_and_may_decline() {
    let stage = stage(
        &format!(
            "- {{when: {{agent: coordinator, turn: 1}}, delegate: [{{to: boss, task: may we, {SUMMARY}}}]}}\n\
             - {{when: {{agent: coordinator}}, answer: {{summary: it is settled, confidence: 0.7}}}}\n"
        ),
        "",
    );
    let node = stage.node().await;
    for said in ["you may", "refuse: ask the lawyers"] {
        let run = submit(&node, "coordinator", "settle it").await;
        let question = asked(&node.desk(), &run).await;
        assert!(question.prompt.contains("# Handed to you by coordinator"), "{}", question.prompt);
        answer(&node.desk(), &run, &question, said).await;
        let view = end(&node.desk(), &run).await;
        assert_eq!(view.result.as_deref(), Some("it is settled"));
        let story = told(&node.desk(), &run).await;
        assert!(story.contains(said.trim_start_matches("refuse: ")), "{story}");
        assert_eq!(story.contains("refused"), said.starts_with("refuse"), "{story}");
    }
    node.stop().await;
}

#[tokio::test]
async fn the_receiver_of_a_transfer_answers_after_a_restart() {
    let stage = stage(
        &format!(
            "- {{when: {{agent: coder}}, handoff: {{to: boss, task: approve it, {SUMMARY}}}}}\n"
        ),
        "output: {properties: {verdict: {enum: [good, bad]}}, required: [verdict]}\n",
    );
    let node = stage.node().await;
    let run = submit(&node, "coder", "write it").await;
    let question = asked(&node.desk(), &run).await;
    // Not stopped but dropped: the next process finds what was committed.
    drop(node);
    let node = stage.node().await;
    let same = asked(&node.desk(), &run).await;
    assert_eq!(same, question);
    answer(&node.desk(), &run, &question, "good").await;
    let again = asked(&node.desk(), &run).await;
    assert_ne!(again.id, question.id);
    assert!(again.prompt.starts_with("The answer was not accepted: "), "{}", again.prompt);
    node.stop().await;
    let node = stage.node_with(false).await;
    answer(&node.desk(), &run, &again, r#"{"summary": "it is good", "verdict": "good"}"#).await;
    node.stop().await;
    let node = stage.node().await;
    let view = end(&node.desk(), &run).await;
    assert_eq!((view.state, view.agent.as_str()), (State::Completed, "boss"));
    assert_eq!(view.answer.expect("an answer")["verdict"], "good");
    let told = told(&node.desk(), &run).await;
    assert_eq!(told.matches("asks: ").count(), 2, "{told}");
    node.stop().await;
}

#[tokio::test]
async fn a_message_is_shown_to_the_person_and_work_passed_on_is_asked_of_nobody() {
    let stage = stage("- {answer: {summary: the coder did it, confidence: 0.8}}\n", "");
    let node = stage.node().await;
    let desk = node.desk();
    let told_more = submit(&node, "boss", "may we?").await;
    asked(&desk, &told_more).await;
    let text = serde_json::Value::from("it is about Friday");
    let control = Control { action: Action::Message, value: text, reason: String::new() };
    desk.control(&told_more, control, &caller()).await.expect("open");
    let begun = tokio::time::Instant::now();
    let question = loop {
        let view = desk.view(&told_more, &caller()).await.expect("there");
        let open = view.questions.into_iter().find(|it| it.prompt.contains("it is about Friday"));
        if let Some(question) = open {
            break question;
        }
        assert!(begun.elapsed() < PATIENCE, "{}", told(&desk, &told_more).await);
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    };
    answer(&desk, &told_more, &question, "you may").await;
    assert_eq!(end(&desk, &told_more).await.result.as_deref(), Some("you may"));

    let passed_on = submit(&node, "boss", "do it").await;
    asked(&desk, &passed_on).await;
    let onward = HandoffAsk {
        to: AgentName::parse("coder").expect("a name"),
        summary: Summary { must_know: "the boss is away".into(), ..Default::default() },
        task: "do it".into(),
        run: Some(passed_on.clone()),
        artifacts: Vec::new(),
    };
    desk.handoff(onward, &caller(), Listens::default()).await.expect("handed on");
    let view = end(&desk, &passed_on).await;
    let story = told(&desk, &passed_on).await;
    assert_eq!(view.result.as_deref(), Some("the coder did it"), "{story}");
    assert!(story.contains("boss: question withdrawn"), "{story}");
    node.stop().await;
}
