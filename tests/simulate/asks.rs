//! Callers: they ask again where no answer came, under the same key, and note what they were told.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use callboard_config::AgentName;
use callboard_scheduler::{Ask, Desk, HandoffAsk, Listens, PlanAsk, Refusal, Submitted, TaskAsk};
use callboard_store::{List, Store};
use callboard_trace::{Action, Caller, Control, Question, RunId, Summary};
use futures::FutureExt;
use futures::future::BoxFuture;
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::cast::NAMES;
use crate::scene::{Scene, inside, sure};

/// How long a caller waits for an answer before it asks another process.
const ANSWERED: Duration = Duration::from_secs(8);
/// How often it asks.
const TRIES: usize = 40;

pub(crate) fn caller() -> Caller {
    let word = |it: &str| it.to_owned();
    Caller {
        principal: word("local"),
        client: word("sim"),
        version: word("1"),
        transport: word("test"),
    }
}

fn name(scene: &Scene) -> AgentName {
    AgentName::parse(scene.one(&NAMES)).expect("a name")
}

fn ask(scene: &Scene, task: &str) -> Ask {
    let number = scene.below(1_000_000);
    Ask {
        to: name(scene),
        task: format!("{task} {number}"),
        context: String::new(),
        priority: scene.percent(30).then(|| scene.below(1_001) as u16),
        key: Some(format!("k{number}")),
        fresh: false,
        deadline_s: scene.percent(30).then(|| scene.s(5 + scene.below(300))),
        budget: None,
        output_schema: None,
        tasks: 1,
        traceparent: None,
        session: None,
        caller: caller(),
    }
}

/// Gives a task, until somebody says that it is accepted.
pub(crate) async fn task(scene: Arc<Scene>) {
    let words = ["look at it", "implement it and test it", "pay the bill"];
    let ask = ask(&scene, scene.one(&words));
    let key = ask.key.clone().unwrap_or_default();
    let again = move |desk: Desk| {
        let ask = ask.clone();
        async move { desk.submit(ask).await }.boxed()
    };
    insist(&scene, &key, again).await;
}

/// Gives a graph of tasks, each of which waits for some before it.
pub(crate) async fn plan(scene: Arc<Scene>) {
    let mut tasks: Vec<TaskAsk> = Vec::new();
    for at in 0..1 + scene.below(6) {
        let after = (0..at).filter(|_| scene.percent(35)).map(|it| it.to_string()).collect();
        tasks.push(TaskAsk {
            id: Some(at.to_string()),
            to: Some(scene.one(&NAMES).to_string()),
            task: format!("do part {at}"),
            after,
            priority: scene.percent(20).then(|| scene.below(1_001) as u16),
            share: scene.percent(40).then_some(0.15),
            ..TaskAsk::default()
        });
    }
    let plan = PlanAsk { tasks, split: BTreeMap::new(), ask: ask(&scene, "plan") };
    let key = plan.ask.key.clone().unwrap_or_default();
    let again = move |desk: Desk| {
        let plan = plan.clone();
        async move { desk.submit_plan(plan).await }.boxed()
    };
    insist(&scene, &key, again).await;
}

/// Asks one process after another until one accepts.
async fn insist(
    scene: &Scene,
    key: &str,
    ask: impl Fn(Desk) -> BoxFuture<'static, Result<Submitted, Refusal>>,
) {
    for _ in 0..TRIES {
        if let Some(desk) = scene.desk()
            && let Ok(Ok(submitted)) = timeout(ANSWERED, ask(desk)).await
        {
            scene.tell(&format!("{key} is accepted as {}", short(&submitted.run)));
            let mut noted = inside(&scene.noted);
            noted.accepted.entry(submitted.run).or_default().insert(key.to_owned());
            return;
        }
        sleep(scene.ms(50, 3_000)).await;
    }
}

fn short(run: &RunId) -> &str {
    callboard_trace::short(run)
}

/// Acts on some run that was accepted, or passes it on.
pub(crate) async fn control(scene: Arc<Scene>) {
    let runs: Vec<RunId> = inside(&scene.noted).accepted.keys().cloned().collect();
    let (Some(desk), false) = (scene.desk(), runs.is_empty()) else { return };
    let run = scene.one(&runs);
    if scene.percent(4) {
        return control_all(&scene, &desk).await;
    }
    if scene.percent(15) {
        return redirect(&scene, &desk, run).await;
    }
    let actions = [
        Action::Cancel,
        Action::Cancel,
        Action::Pause,
        Action::Pause,
        Action::Resume,
        Action::SetPriority,
        Action::SetPriority,
        Action::FinishNow,
        Action::Message,
        Action::Retry,
        Action::Retry,
    ];
    let action = scene.one(&actions);
    let value = match action {
        Action::SetPriority => json!(scene.below(1_001)),
        Action::Message => json!("one thing more"),
        _ => Value::Null,
    };
    scene.tell(&format!("{action:?} for {}", short(&run)));
    let control = Control { action, value, reason: String::new() };
    let done = timeout(ANSWERED, desk.control(&run, control, &caller())).await;
    if let (Ok(Ok(_)), Action::Cancel) = (done, action) {
        inside(&scene.noted).cancelled.insert(run);
    }
}

/// Acts on all open runs at once.
async fn control_all(scene: &Scene, desk: &Desk) {
    let action = scene.one(&[Action::Cancel, Action::Pause, Action::Resume, Action::FinishNow]);
    scene.tell(&format!("{action:?} for all"));
    let control = Control { action, value: Value::Null, reason: String::new() };
    let _ = timeout(ANSWERED, desk.control_all(control, &caller())).await;
}

/// Acts on some agent: its steps wait, nothing new begins for it, or it goes on.
pub(crate) async fn stand(scene: Arc<Scene>) {
    let Some(desk) = scene.desk() else { return };
    let (agent, action) =
        (name(&scene), scene.one(&[Action::Pause, Action::Drain, Action::Resume]));
    scene.tell(&format!("{action:?} for every {agent}"));
    let control = Control { action, value: Value::Null, reason: String::new() };
    let _ = timeout(ANSWERED, desk.control_agent(&agent, control, &caller())).await;
}

/// Has all agents go on. `false` if that was not answered well.
pub(crate) async fn all_stand(desk: &Desk) -> bool {
    for agent in BTreeSet::from(NAMES) {
        let agent = AgentName::parse(agent).expect("a name");
        let control = Control { action: Action::Resume, value: Value::Null, reason: String::new() };
        if !matches!(
            timeout(ANSWERED, desk.control_agent(&agent, control, &caller())).await,
            Ok(Ok(_))
        ) {
            return false;
        }
    }
    true
}

async fn redirect(scene: &Scene, desk: &Desk, run: RunId) {
    scene.tell(&format!("{} is passed on", short(&run)));
    let words = "looked at it; it is for somebody else to go on with";
    let ask = HandoffAsk {
        to: name(scene),
        summary: Summary {
            did: words.into(),
            must_know: words.into(),
            open_questions: vec![],
            do_next: words.into(),
        },
        task: "go on with it".into(),
        run: Some(run),
        artifacts: vec![],
    };
    let handed = timeout(ANSWERED, desk.handoff(ask, &caller(), Listens::default())).await;
    if let Ok(Ok(handed)) = handed {
        inside(&scene.noted).accepted.entry(handed.run).or_default();
    }
}

/// The roots that are open.
pub(crate) async fn open(observer: &Store) -> Vec<RunId> {
    let open = List { open: Some(true), limit: 1_000, ..List::default() };
    let rows = sure!(observer.list(open.clone()));
    rows.into_iter().map(|it| it.run).collect()
}

/// A person looks whether anything is asked, and answers.
pub(crate) async fn answer_any(scene: Arc<Scene>, observer: Store) {
    let Some(desk) = scene.desk() else { return };
    for run in open(&observer).await {
        let view = timeout(ANSWERED, desk.view(&run, &caller())).await;
        if let Ok(Ok(view)) = view {
            answer(&scene, &desk, &view.run, view.questions).await;
        }
    }
}

/// Answers everything that is asked.
pub(crate) async fn answer(scene: &Scene, desk: &Desk, run: &RunId, questions: Vec<Question>) {
    let mut answers = BTreeMap::new();
    for question in &questions {
        let text = if question.options.is_empty() {
            "do as you think".to_owned()
        } else {
            scene.one(&question.options)
        };
        answers.insert(question.id.clone(), text);
    }
    if !answers.is_empty() {
        // Somebody else may have answered, or the run may be over.
        let _ = timeout(ANSWERED, desk.answer(run, &answers, &caller())).await;
    }
}

/// Lets a run go on that was paused.
pub(crate) async fn resume(desk: &Desk, run: &RunId) {
    let control = Control { action: Action::Resume, value: Value::Null, reason: String::new() };
    // It may be over meanwhile.
    let _ = desk.control(run, control, &caller()).await;
}
