//! Two workspaces on one store, each served by a process of its own, and few seats: neither keeps the
//! other out, however much it brings and however early.

mod stage;

use std::time::Duration;

use callboard_scheduler::{Ask, Desk, Node, RefusalCode};
use callboard_trace::{Action, Caller, Control, Event, Record, RunId, State};
use stage::{Stage, ask, caller, end, records, until};

/// A task is eight short steps, then an answer.
fn playbook() -> String {
    let note = |turn| {
        format!(
            "- when: {{turn: {turn}}}\n  after_ms: 40\n  note: {{slot: notes, key: k{turn}, text: part {turn}}}\n"
        )
    };
    let answer = "- {after_ms: 40, answer: {summary: done, confidence: 0.9}}\n";
    (1..=8).map(note).collect::<String>() + answer
}

fn stage() -> Stage {
    let stage = Stage::new(&playbook());
    stage.limit("concurrent: 4");
    stage
}

/// A process of this workspace on the stage's data.
async fn of(stage: &Stage, workspace: &str) -> Node {
    let path = stage.team().join("team.yaml");
    let text = std::fs::read_to_string(&path).expect("a team");
    let rest: Vec<&str> = text.lines().filter(|it| !it.starts_with("workspace:")).collect();
    stage.write("team.yaml", &format!("workspace: {workspace}\n{}\n", rest.join("\n")));
    stage.node().await
}

async fn give(desk: &Desk, n: usize, priority: Option<u16>) -> Vec<RunId> {
    let mut runs = Vec::new();
    for at in 0..n {
        let ask = Ask { priority, ..ask("tester", &format!("write part {at}")) };
        runs.push(desk.submit(ask).await.expect("taken in").run);
    }
    runs
}

fn to_all(action: Action) -> Control {
    Control { action, value: serde_json::Value::Null, reason: "enough".to_owned() }
}

/// Whether a run's first step has begun.
fn has_begun(records: &[Record]) -> bool {
    records.iter().any(|it| matches!(it.event, Event::StepBegun(_)))
}

async fn how_many_are_over(desk: &Desk, runs: &[RunId]) -> usize {
    let mut n_over = 0;
    for run in runs {
        n_over += usize::from(desk.view(run, &caller()).await.expect("there").state.is_over());
    }
    n_over
}

#[tokio::test]
async fn a_workspace_that_came_first_with_everything_leaves_the_other_its_half() {
    let stage = stage();
    let (alpha, beta) = (of(&stage, "alpha").await, of(&stage, "beta").await);
    let long = give(&alpha.desk(), 24, None).await;
    until("four of them run", async || {
        let mut n_begun = 0;
        for run in &long[..4] {
            n_begun += usize::from(has_begun(&records(&alpha.desk(), run).await));
        }
        n_begun == 4
    })
    .await;
    let late = give(&beta.desk(), 4, None).await;
    let n_before = how_many_are_over(&alpha.desk(), &long).await;
    // Those that run give up a seat between two steps, long before they are done.
    until("it has begun", async || has_begun(&records(&beta.desk(), &late[0]).await)).await;
    for run in &late {
        assert_eq!(end(&beta.desk(), run).await.state, State::Completed);
    }
    // Half of the seats are enough for as many of the others, beside those that had begun.
    let n_over = how_many_are_over(&alpha.desk(), &long).await - n_before;
    assert!(n_over <= 12, "{n_over} of 24 were done meanwhile");
    for run in &long {
        assert_eq!(end(&alpha.desk(), run).await.state, State::Completed);
    }
    alpha.stop().await;
    beta.stop().await;
}

#[tokio::test]
async fn who_is_passed_over_says_so() {
    let stage = Stage::new("- {after_ms: 3000, answer: {summary: done, confidence: 0.9}}\n");
    stage.limit("concurrent: 4");
    let alpha = of(&stage, "alpha").await;
    let long = give(&alpha.desk(), 6, None).await;
    until("four run", async || has_begun(&records(&alpha.desk(), &long[3]).await)).await;
    let beta = of(&stage, "beta").await;
    let late = give(&beta.desk(), 1, None).await;
    let words = async |desk: &Desk, run: &RunId| {
        desk.why(run, &caller()).await.expect("there").words.join("\n")
    };
    let told = words(&alpha.desk(), &long[5]).await;
    let said = "waits for a seat: workspace alpha holds 4 of 4, its share among 2 workspaces, and \
        another has less";
    assert!(told.contains(said), "{told}");
    let told = words(&beta.desk(), &late[0]).await;
    assert!(!told.contains("share"), "{told}");
    end(&beta.desk(), &late[0]).await;
    let told = words(&alpha.desk(), &long[5]).await;
    assert!(!told.contains("share"), "nobody else wants one: {told}");
    for run in &long {
        end(&alpha.desk(), run).await;
    }
    alpha.stop().await;
    beta.stop().await;
}

#[tokio::test]
async fn who_is_urgent_enough_waits_for_no_share() {
    let stage = stage();
    let (alpha, beta) = (of(&stage, "alpha").await, of(&stage, "beta").await);
    let low = give(&alpha.desk(), 8, None).await;
    let other = give(&beta.desk(), 12, None).await;
    let urgent = give(&alpha.desk(), 4, Some(950)).await;
    for run in &urgent {
        assert_eq!(end(&alpha.desk(), run).await.state, State::Completed);
    }
    let n_over = how_many_are_over(&beta.desk(), &other).await;
    assert!(n_over <= 4, "{n_over} of the other workspace went before what is urgent");
    for run in low.iter().chain(&other) {
        assert_eq!(end(&beta.desk(), run).await.state, State::Completed);
    }
    alpha.stop().await;
    beta.stop().await;
}

/// A process that is away with its seats keeps nobody out for longer than it is believed alive.
#[tokio::test]
async fn a_process_that_goes_leaves_its_seats_to_all() {
    let stage = stage();
    let alpha = of(&stage, "alpha").await;
    let long = give(&alpha.desk(), 12, None).await;
    until("they run", async || has_begun(&records(&alpha.desk(), &long[3]).await)).await;
    let beta = of(&stage, "beta").await;
    let late = give(&beta.desk(), 4, None).await;
    let stopped = tokio::time::timeout(Duration::from_secs(10), alpha.stop()).await;
    stopped.expect("it goes at once");
    for run in late.iter().chain(&long) {
        assert_eq!(end(&beta.desk(), run).await.state, State::Completed);
    }
    let ended = |all: &[Record]| all.iter().map(|it| it.at).max().expect("records");
    let mut last = Vec::new();
    for run in [&late[3], &long[11]] {
        last.push(ended(&records(&beta.desk(), run).await));
    }
    assert!(last[0] < last[1], "the four of the other were not the last");
    beta.stop().await;
}

/// Two hundred and fifty-six are told in one write: these are more.
#[tokio::test]
async fn a_caller_that_cancels_all_cancels_its_own() {
    let stage = Stage::new("- {after_ms: 60000, answer: {summary: done, confidence: 0.9}}\n");
    stage.limit("concurrent: 4");
    let node = of(&stage, "alpha").await;
    let desk = node.desk();
    let other = Caller { principal: "another".into(), ..caller() };
    let theirs = Ask { caller: other.clone(), ..ask("tester", "theirs") };
    let theirs = desk.submit(theirs).await.expect("taken in").run;
    let own = give(&desk, 300, None).await;
    until("two run", async || has_begun(&records(&desk, &own[2]).await)).await;
    let refused = desk.control_all(to_all(Action::Retry), &caller()).await.expect_err("refused");
    assert_eq!(refused.code, RefusalCode::InvalidInput, "{refused:?}");
    assert_eq!(desk.control_all(to_all(Action::Cancel), &caller()).await, Ok(300));
    for run in &own {
        assert_eq!(end(&desk, run).await.state, State::Cancelled);
    }
    assert_eq!(desk.view(&theirs, &other).await.expect("there").state, State::Working);
    let unread = desk.board(&caller()).await.expect("a board").unread;
    assert!(unread.is_empty(), "who cancels knows how they ended: {unread:?}");
    assert_eq!(desk.control_all(to_all(Action::Cancel), &caller()).await, Ok(0));
    assert_eq!(desk.control_all(to_all(Action::Cancel), &other).await, Ok(1));
    assert_eq!(
        desk.wait(&theirs, &other, Duration::from_secs(30)).await.expect("there").state,
        State::Cancelled
    );
    node.stop().await;
}

/// What all are told is on disk when it is answered, also where nobody works.
#[tokio::test]
async fn what_all_are_told_is_kept_until_somebody_works() {
    let stage = Stage::new("- {answer: {summary: done, confidence: 0.9}}\n");
    let idle = stage.node_with(false).await;
    let runs = give(&idle.desk(), 3, None).await;
    assert_eq!(idle.desk().control_all(to_all(Action::Cancel), &caller()).await, Ok(3));
    let view = idle.desk().view(&runs[0], &caller()).await.expect("there");
    let waits = view.queue.map(|it| it.waiting_for).unwrap_or_default();
    assert!(waits.starts_with("its end, cancelled by local"), "{waits}");
    drop(idle);
    let node = stage.node().await;
    for run in &runs {
        assert_eq!(end(&node.desk(), run).await.state, State::Cancelled);
        assert!(!has_begun(&records(&node.desk(), run).await), "a cancelled one asks no model");
    }
    node.stop().await;
}
