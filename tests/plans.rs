//! Plans: the caller's own graph of tasks, through the whole house, with its faults.

mod endpoint;
mod stage;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use callboard_scheduler::{Desk, PlanAsk, RefusalCode, TaskAsk};
use callboard_trace::{Action, Control, Event, RunId, RunView, State};
use endpoint::{Act, Endpoint};
use serde_json::{Value, json};
use stage::{Stage, ask, caller, end, no_finished_step_is_taken_again, records, told};

const DONE: &str = "- {answer: {summary: done, confidence: 0.9}}\n";

fn task(id: &str, to: &str, text: &str, after: &[&str]) -> TaskAsk {
    TaskAsk {
        id: Some(id.into()),
        to: Some(to.into()),
        task: text.into(),
        after: after.iter().map(ToString::to_string).collect(),
        ..TaskAsk::default()
    }
}

fn plan(tasks: Vec<TaskAsk>) -> PlanAsk {
    PlanAsk { tasks, split: BTreeMap::new(), ask: ask("writer", "") }
}

async fn submit(desk: &Desk, tasks: Vec<TaskAsk>) -> RunId {
    desk.submit_plan(plan(tasks)).await.expect("taken in").run
}

async fn play(desk: &Desk, tasks: Vec<TaskAsk>) -> RunView {
    let run = submit(desk, tasks).await;
    end(desk, &run).await
}

#[tokio::test]
async fn tasks_run_side_by_side_and_meet_where_one_needs_them() {
    let endpoint = Endpoint::start(|ask| {
        let text = if ask.user().contains("gather") { "gathered" } else { "found" };
        Act::answer(&json!({"summary": text, "confidence": 0.8}))
    })
    .await;
    let stage = Stage::at(&endpoint.base_url(), "");
    let node = stage.node().await;
    let view = play(
        &node.desk(),
        vec![
            task("look", "researcher", "look here", &[]),
            task("search", "researcher", "look there", &[]),
            task("sum", "writer", "gather it", &["look", "search"]),
        ],
    )
    .await;
    assert_eq!((view.state, view.handoffs), (State::Completed, 0));
    assert_eq!(view.result.as_deref(), Some("all 3 tasks ended well"));
    let results = &view.answer.as_ref().expect("an answer")["results"];
    assert_eq!(results["sum"]["result"], "gathered");
    let last = endpoint.requests().pop().expect("three requests").body.to_string();
    assert!(last.contains("look by researcher") && last.contains("search by researcher"), "{last}");
    insta::assert_snapshot!(sorted(&told(&node.desk(), &view.run).await));
    node.stop().await;
}

/// The lines of a story whose parts run side by side, without the runs' numbers, in order.
fn sorted(story: &str) -> String {
    let cut = |line: &str| line.split_once(' ').map_or("", |it| it.1).to_string();
    let mut lines: Vec<String> = story.lines().map(cut).collect();
    lines.sort();
    let mask = |it: &str| {
        let mut words: Vec<String> = it.split(' ').map(String::from).collect();
        words.iter_mut().filter(|it| it.contains('#')).for_each(|it| *it = "(#)".into());
        words.join(" ")
    };
    lines.iter().map(|it| mask(it) + "\n").collect()
}

#[tokio::test]
async fn a_failed_need_leaves_its_dependents_out_and_its_siblings_alone() {
    let stage = Stage::new(&format!("- {{when: {{agent: coder}}, fail: {{status: 400}}}}\n{DONE}"));
    let node = stage.node().await;
    let means = Some("the report has no figures".to_owned());
    let tasks = vec![
        TaskAsk { impact_if_missing: means.clone(), ..task("bad", "coder", "break", &[]) },
        task("after", "writer", "needs it", &["bad"]),
        task("beside", "writer", "does not", &[]),
    ];
    let view = play(&node.desk(), tasks).await;
    assert_eq!(view.state, State::Partial);
    assert_eq!(view.missing.len(), 2, "{:?}", view.missing);
    assert_eq!(Some(&view.missing[0].impact), means.as_ref());
    assert_eq!(view.missing[1].error, "left out: it needs bad");
    assert_eq!(view.missing[1].impact, "task after is not done: needs it");
    assert_eq!(view.confidence, Some(0.3));
    let steps = node.desk().plan_steps(&view.run, &caller(), 0, 10).await.expect("there");
    let states: Vec<&str> = steps.expect("a plan").0.iter().map(|it| it.state).collect();
    assert_eq!(states, ["failed", "left_out", "completed"]);
    node.stop().await;
}

#[tokio::test]
async fn what_makes_no_plan_is_refused_with_every_problem_and_starts_nothing() {
    let stage = Stage::new(DONE);
    let node = stage.node().await;
    let desk = node.desk();
    let circle = vec![
        task("a", "writer", "t", &["c"]),
        task("b", "writer", "t", &["a"]),
        task("c", "writer", "t", &["b"]),
    ];
    let refusal = desk.submit_plan(plan(circle)).await.expect_err("a circle");
    assert_eq!(refusal.code, RefusalCode::InvalidInput);
    let told = &refusal.problems[0];
    assert!(
        ["a → b → c → a", "b → c → a → b", "c → a → b → c"].iter().any(|it| told.ends_with(it)),
        "{told}"
    );
    let wrong = vec![
        task("a", "writter", "t", &[]),
        TaskAsk { impact_if_missing: Some(" ".into()), ..task("a", "writer", " ", &["nowhere"]) },
    ];
    let refusal = desk.submit_plan(plan(wrong)).await.expect_err("five problems");
    insta::assert_snapshot!(refusal.problems.join("\n"));
    let none = desk.submit_plan(plan(Vec::new())).await.expect_err("no tasks");
    assert!(none.problems[0].contains("0 given"), "{none}");
    assert_eq!(desk.board(&caller()).await.expect("a board").runs.len(), 0);
    node.stop().await;
}

#[tokio::test]
async fn the_same_key_joins_the_plan_and_another_plan_under_it_is_a_conflict() {
    let stage = Stage::new(DONE);
    let node = stage.node().await;
    let keyed = |text: &str| {
        let mut plan = plan(vec![task("a", "writer", text, &[])]);
        plan.ask.key = Some("k".into());
        plan
    };
    let first = node.desk().submit_plan(keyed("t")).await.expect("taken in");
    let again = node.desk().submit_plan(keyed("t")).await.expect("taken in");
    assert_eq!((first.run, again.joined), (again.run, true));
    let other = node.desk().submit_plan(keyed("u")).await.expect_err("another plan");
    assert_eq!(other.code, RefusalCode::Conflict);
    node.stop().await;
}

#[tokio::test]
async fn a_cancelled_plan_stops_what_is_under_way_and_starts_no_more() {
    let stage = Stage::new("- {answer: {summary: late, confidence: 1}, after_ms: 60000}\n");
    let node = stage.node().await;
    let desk = node.desk();
    let tasks = vec![
        task("a", "writer", "t", &[]),
        task("b", "writer", "t", &[]),
        task("c", "writer", "t", &["a"]),
    ];
    let run = submit(&desk, tasks).await;
    let begun = async || {
        let view = desk.view(&run, &caller()).await.expect("there");
        view.step.is_some_and(|it| it.contains("2 begun"))
    };
    stage::until("two tasks begun", begun).await;
    assert_eq!(desk.view(&run, &caller()).await.expect("there").state, State::Working);
    let cancel = Control { action: Action::Cancel, value: Value::Null, reason: "enough".into() };
    let view = desk.control(&run, cancel, &caller()).await.expect("there");
    assert_eq!(view.state, State::Cancelled);
    let open = |records: &[callboard_trace::Record]| {
        let began = records.iter().filter(|it| matches!(it.event, Event::RunStarted(_))).count();
        let ended = records.iter().filter(|it| matches!(it.event, Event::RunEnded(_))).count();
        (began, ended)
    };
    let over = async || open(&records(&desk, &run).await).1 == 3;
    stage::until("the plan and two tasks are over", over).await;
    assert_eq!(open(&records(&desk, &run).await), (3, 3), "and never the third");
    node.stop().await;
}

#[tokio::test]
async fn another_process_goes_on_with_a_plan_where_the_first_left_it() {
    let stage = Stage::new("- {answer: {summary: done, confidence: 1}, after_ms: 30}\n");
    let tasks: Vec<TaskAsk> = (0..40)
        .map(|at| {
            let need = (at >= 5).then(|| (at - 5).to_string());
            let needs: Vec<&str> = need.iter().map(String::as_str).collect();
            task(&at.to_string(), "writer", "t", &needs)
        })
        .collect();
    let mut node = stage.node().await;
    let run = submit(&node.desk(), tasks).await;
    for _ in 0..3 {
        tokio::time::sleep(Duration::from_millis(60)).await;
        node.stop().await;
        node = stage.node().await;
    }
    let view = end(&node.desk(), &run).await;
    assert_eq!(view.state, State::Completed, "{view:?}");
    let all = records(&node.desk(), &run).await;
    no_finished_step_is_taken_again(&all, "the plan");
    let begun: Vec<&str> = all
        .iter()
        .filter_map(|it| {
            let Event::HandedOff(handoff) = &it.event else { return None };
            handoff.step.as_deref()
        })
        .collect();
    assert_eq!(begun.len(), 40);
    assert_eq!(begun.iter().collect::<BTreeSet<_>>().len(), 40, "each task once");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wide_plan_has_a_short_answer_and_is_told_in_pages() {
    let stage = Stage::new(DONE);
    let node = stage.node().await;
    let desk = node.desk();
    let tasks: Vec<TaskAsk> = (0..1_500)
        .map(|at| {
            let need = (at % 3 == 2).then(|| (at - 1).to_string());
            let needs: Vec<&str> = need.iter().map(String::as_str).collect();
            task(&at.to_string(), "writer", "t", &needs)
        })
        .collect();
    let run = submit(&desk, tasks).await;
    let mut view = desk.view(&run, &caller()).await.expect("there");
    for _ in 0..20 {
        view = desk.wait(&run, &caller(), stage::PATIENCE).await.expect("there");
        if view.state.is_over() {
            break;
        }
    }
    assert_eq!(view.result.as_deref(), Some("all 1500 tasks ended well"));
    let bytes = serde_json::to_string(&view).expect("JSON").len();
    assert!(bytes < 12_000, "{bytes} bytes");
    let (mut seen, mut after) = (BTreeSet::new(), 0);
    loop {
        let page = desk.plan_steps(&run, &caller(), after, 200).await.expect("there");
        let (lines, next) = page.expect("a plan");
        assert!(lines.iter().all(|it| it.state == "completed"));
        seen.extend(lines.into_iter().map(|it| it.id));
        let Some(next) = next else { break };
        after = next;
    }
    assert_eq!(seen.len(), 1_500);
    node.stop().await;
}

#[tokio::test]
async fn a_task_of_a_plan_reads_what_was_done_before_it() {
    let endpoint = Endpoint::start(|ask| {
        let answer = |text: &str| Act::answer(&json!({"summary": text, "confidence": 0.8}));
        if !ask.user().contains("second") {
            return answer("the first is done, at length");
        }
        match ask.turn() {
            1 => {
                let text = ask.user();
                let at = text.find("read r_").expect("the run is named") + "read ".len();
                let run: String = text[at..].chars().take_while(|it| *it != ':').collect();
                Act::calls(&[("read", json!({"uri": run}))])
            }
            _ => answer("read it"),
        }
    })
    .await;
    let stage = Stage::at(&endpoint.base_url(), "");
    let node = stage.node().await;
    let tasks =
        vec![task("one", "writer", "first", &[]), task("two", "writer", "second", &["one"])];
    let view = play(&node.desk(), tasks).await;
    assert_eq!(view.state, State::Completed, "{view:?}");
    let last = endpoint.requests().pop().expect("requests").body.to_string();
    assert!(last.contains("the first is done, at length"), "{last}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancel_at_any_moment_leaves_no_task_behind() {
    let stage = Stage::new("- {answer: {summary: late, confidence: 1}, after_ms: 60000}\n");
    let node = stage.node().await;
    let desk = node.desk();
    let mut runs = Vec::new();
    for pause in 0..12 {
        let tasks = (0..30).map(|at| task(&at.to_string(), "writer", "t", &[])).collect();
        let run = submit(&desk, tasks).await;
        tokio::time::sleep(Duration::from_millis(pause)).await;
        let cancel = Control { action: Action::Cancel, value: Value::Null, reason: String::new() };
        desk.control(&run, cancel, &caller()).await.expect("there");
        runs.push(run);
    }
    let begun = tokio::time::Instant::now();
    for run in &runs {
        loop {
            let all = records(&desk, run).await;
            let count = |is: fn(&Event) -> bool| all.iter().filter(|it| is(&it.event)).count();
            let began = count(|it| matches!(it, Event::RunStarted(_)));
            let ended = count(|it| matches!(it, Event::RunEnded(_)));
            if began == ended {
                break;
            }
            assert!(begun.elapsed() < stage::PATIENCE, "{ended} of {began} ended");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    node.stop().await;
}

#[tokio::test]
async fn why_a_plan_waits_names_the_tasks_under_way() {
    let stage = Stage::new("- {answer: {summary: late, confidence: 1}, after_ms: 60000}\n");
    let node = stage.node().await;
    let desk = node.desk();
    let tasks = (0..30).map(|at| task(&at.to_string(), "writer", "t", &[])).collect();
    let run = submit(&desk, tasks).await;
    let begun = tokio::time::Instant::now();
    let told = loop {
        let why = desk.why(&run, &caller()).await.expect("there");
        let told = serde_json::to_value(&why).expect("JSON")["waits_for_runs"].clone();
        if told.as_array().is_some_and(|it| it.len() == 20) {
            break told;
        }
        assert!(begun.elapsed() < stage::PATIENCE, "{told}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    };
    assert!(told.as_array().expect("a list").iter().all(|it| it["agent"] == "writer"), "{told}");
    let child = told[0]["run"].as_str().expect("a name");
    let found = desk.begin_with(&child[..12], &caller()).await.expect("there");
    assert_eq!(found, [RunId::from_text(child)], "a task goes by its first letters");
    let nobody = callboard_trace::Caller { principal: "somebody else".into(), ..caller() };
    assert!(desk.begin_with(&child[..12], &nobody).await.expect("there").is_empty());
    node.stop().await;
}

#[tokio::test]
async fn what_is_more_urgent_takes_the_seat_of_the_task_it_waited_for() {
    let stage = Stage::new("- {answer: {summary: done, confidence: 1}, after_ms: 30}\n");
    stage.write(
        "team.yaml",
        "providers:\n  rehearsal: {kind: rehearsal, playbook: playbook.yaml}\n\
         models: {default: rehearsal/rehearsal}\nlimits: {concurrent: 1}\nthrottle: off\n",
    );
    let node = stage.node().await;
    let desk = node.desk();
    let urgent = |it: TaskAsk, priority| TaskAsk { priority: Some(priority), ..it };
    // A long way, each task of it more urgent than all that could begin before.
    let mut tasks = vec![urgent(task("w0", "writer", "t", &[]), 900)];
    for at in 1..6 {
        let before = format!("w{}", at - 1);
        tasks.push(urgent(task(&format!("w{at}"), "writer", "t", &[&before]), 900));
    }
    tasks.extend((0..6).map(|at| task(&format!("z{at}"), "writer", "t", &[])));
    let run = submit(&desk, tasks).await;
    assert_eq!(end(&desk, &run).await.state, State::Completed);
    let begun: Vec<String> = records(&desk, &run)
        .await
        .into_iter()
        .filter(|it| matches!(it.event, Event::StepBegun(_)))
        .map(|it| it.run.to_string())
        .collect();
    let mut steps = BTreeMap::new();
    for it in records(&desk, &run).await {
        if let Event::HandedOff(handoff) = it.event {
            steps.insert(handoff.run.to_string(), handoff.step.unwrap_or_default());
        }
    }
    let order: Vec<&str> = begun.iter().map(|it| steps[it].as_str()).collect();
    // A plan that is kept from its work for long loses a seat, and no more than that.
    let last = order.iter().position(|it| *it == "w5").expect("it began");
    assert!(order.len() == 12 && last <= 7, "{order:?}");
    node.stop().await;
}

#[tokio::test]
async fn a_plan_as_a_whole_is_handed_to_nobody() {
    let stage = Stage::new("- {answer: {summary: late, confidence: 1}, after_ms: 60000}\n");
    let node = stage.node().await;
    let run = submit(&node.desk(), vec![task("a", "writer", "t", &[])]).await;
    let ask = callboard_scheduler::HandoffAsk {
        to: callboard_config::AgentName::parse("coder").expect("a name"),
        summary: callboard_trace::Summary::default(),
        task: "go on".into(),
        run: Some(run),
        artifacts: Vec::new(),
    };
    let refusal =
        node.desk().handoff(ask, &caller(), callboard_scheduler::Listens::default()).await;
    let refusal = refusal.expect_err("a plan");
    assert_eq!(refusal.code, RefusalCode::Conflict);
    node.stop().await;
}

#[tokio::test]
async fn a_plan_goes_on_with_the_agents_it_began_with() {
    let stage = Stage::new("- {answer: {summary: done, confidence: 1}, after_ms: 300}\n");
    let mut node = stage.node().await;
    node.watch(stage.team());
    let tasks = vec![task("a", "writer", "t", &[]), task("b", "tester", "t", &["a"])];
    let run = submit(&node.desk(), tasks).await;
    stage.write("agents/tester.md", "---\nname: tester\n---\nNo description.\n");
    let desk = node.desk();
    let view = end(&desk, &run).await;
    assert_eq!(view.state, State::Completed, "{view:?}");
    node.stop().await;
}
