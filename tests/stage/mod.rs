//! A team in a folder of its own, a node on it, and the story of what it did.
#![allow(dead_code, reason = "each test binary uses its part of the stage")]
#![allow(clippy::panic, clippy::wildcard_enum_match_arm, reason = "a test says why and fails")]

#[allow(clippy::duplicate_mod, reason = "a test's own server makes databases too")]
#[path = "../engine/own.rs"]
mod own;
pub(crate) mod worker;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use callboard_config::policy::Throttle;
use callboard_config::{AgentName, Team};
use callboard_scheduler::{Ask, Desk, Node, NodeOptions, World};
use callboard_store::{Address, OpenOptions, Store};
use callboard_trace::{Caller, Event, Record, RunId, RunView, story};
use tempfile::TempDir;

/// A folder with a team and a data folder; and where [`SERVER`] names a PostgreSQL, a database there
/// for all that is played on this stage, in the place of the file.
pub(crate) struct Stage {
    folder: TempDir,
    database: Option<own::Own>,
}

/// The variable with the address of a server on which databases may be made. Every story is told
/// there then: `tests/engine/with_server.sh` sets it.
const SERVER: &str = "CALLBOARD_TEST_SERVER";
/// Where each of those stories says how many records it left on the server, for who asks whether it
/// was told there: `tests/engine/stories.sh`.
const TOLD: &str = concat!(env!("CARGO_TARGET_TMPDIR"), "/told");

/// What they may do without asking, where a story is not about that.
const FREE: &str = "{write: allow, run: allow, fetch: allow, external: allow}";

/// The team every story is played with: five agents that may pass work around.
const AGENTS: &[(&str, &str)] = &[
    ("researcher", "handoffs:\n  - {to: coder, triggers: [implement]}\n  - {to: writer}\n"),
    (
        "coder",
        "handoffs:\n  - {to: tester, triggers: [test]}\n  - {to: reviewer}\ncapabilities: [code, implement]\n",
    ),
    ("tester", "handoffs: [reviewer, coder]\ncapabilities: [test, verify]\n"),
    ("reviewer", "handoffs: [coder]\ncapabilities: [review]\n"),
    ("writer", "maxTurns: 3\n"),
    ("coordinator", "handoffs: [researcher, coder, tester, reviewer, writer]\n"),
];

impl Stage {
    /// The usual team on the rehearsal model, which answers by this playbook.
    pub(crate) fn new(playbook: &str) -> Stage {
        let stage = Stage::bare();
        stage.write("playbook.yaml", playbook);
        stage.write(
            "team.yaml",
            "team: stage\nproviders:\n  rehearsal: {kind: rehearsal, playbook: playbook.yaml}\n\
             models:\n  default: rehearsal/rehearsal\nthrottle: off\napprovals: {tainted: allow}\n",
        );
        stage
    }

    /// The team's limits are these.
    pub(crate) fn limit(&self, limits: &str) {
        let path = self.team().join("team.yaml");
        let team = std::fs::read_to_string(path).expect("a team");
        self.write("team.yaml", &format!("{team}limits: {{{limits}}}\n"));
    }

    /// The usual team on an OpenAI-compatible endpoint.
    pub(crate) fn at(base_url: &str, more: &str) -> Stage {
        let stage = Stage::bare();
        stage.write(
            "team.yaml",
            &format!(
                "team: stage\nproviders:\n  endpoint: {{base_url: \"{base_url}\"}}\n\
                 models:\n  default: endpoint/scripted\nthrottle: off\n\
                 approvals: {{tainted: allow}}\n{more}"
            ),
        );
        stage
    }

    /// The usual team on model `first` of one provider, and where that fails on `second` of another.
    pub(crate) fn with_a_spare(base_url: &str) -> Stage {
        let stage = Stage::bare();
        stage.write(
            "team.yaml",
            &format!(
                "providers:\n  one: {{base_url: \"{base_url}\"}}\n  two: {{base_url: \"{base_url}\"}}\n\
                 models:\n  default: {{provider: one, model: first, fallback: [spare]}}\n  \
                 spare: two/second\nthrottle: off\n"
            ),
        );
        stage
    }

    fn bare() -> Stage {
        let stage = Stage {
            folder: tempfile::tempdir().expect("a folder for the stage"),
            database: database(),
        };
        if let Some(database) = &stage.database {
            std::fs::write(stage.folder.path().join("store"), database.address()).expect("a file");
        }
        for (name, fields) in AGENTS {
            let text = format!(
                "---\nname: {name}\ndescription: The {name} of the stage.\npermissions: {FREE}\n{fields}---\nYou are the {name}.\n"
            );
            stage.write(&format!("agents/{name}.md"), &text);
        }
        stage
    }

    pub(crate) fn team(&self) -> std::path::PathBuf {
        self.folder.path().join("team")
    }

    pub(crate) fn data(&self) -> std::path::PathBuf {
        self.folder.path().join("data")
    }

    pub(crate) fn write(&self, name: &str, text: &str) {
        let path = self.team().join(name);
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).expect("a folder");
        let text = if name == "team.yaml" { self.on_its_store(text) } else { text.to_owned() };
        std::fs::write(path, text).expect("a file");
    }

    /// A team's file that is on this stage's database. The line stands at its end, also where a file is
    /// written on that was read, so that no other line moves.
    fn on_its_store(&self, text: &str) -> String {
        const STORE: &str = "store: file:../store\n";
        let text = text.replace(STORE, "");
        if self.database.is_none() || text.lines().any(|it| it.starts_with("store:")) {
            return text;
        }
        let end = if text.ends_with('\n') { "" } else { "\n" };
        format!("{text}{end}{STORE}")
    }

    /// As `--store` does, for a team that has no such line because it has no such file.
    pub(crate) fn name_its_store(&self, team: &mut Team) {
        if self.is_on_a_server() && team.database.is_none() {
            let place = format!("file:{}", self.folder.path().join("store").display());
            let named = callboard_config::load::database_named("--store", &place);
            team.database = Some(named.expect("a database"));
        }
    }

    pub(crate) fn is_on_a_server(&self) -> bool {
        self.database.is_some()
    }

    /// A hold of its own on what this stage keeps, beside all nodes.
    pub(crate) fn store(&self, node: &str) -> Store {
        // Another one each time, also where it is opened twice under one name.
        static COUNT: AtomicU32 = AtomicU32::new(1);
        let chance = || u128::from(COUNT.fetch_add(1, Ordering::Relaxed)) << 64 | 7;
        let mut options = OpenOptions::new(self.data(), node, std::sync::Arc::new(chance));
        let address = self.database.as_ref().map(own::Own::address);
        options.server = address.map(|it| Address::parse(&it).expect("an address"));
        Store::open(options).expect("the store opens")
    }

    /// All bytes that are kept: each file in the data folder, and what is in the database.
    pub(crate) async fn everything(&self) -> Vec<(String, Vec<u8>)> {
        let files = std::fs::read_dir(self.data()).expect("the data folder").flatten();
        let bytes = |it: std::fs::DirEntry| {
            Some((it.path().display().to_string(), std::fs::read(it.path()).ok()?))
        };
        let mut all: Vec<_> = files.filter_map(bytes).collect();
        match &self.database {
            Some(it) => all.push(("the database".into(), it.look().await.everything().await)),
            None => assert!(all.iter().any(|it| it.0.ends_with("callboard.sqlite")), "{all:?}"),
        }
        all
    }

    /// On a server: how the store says that what is not over stands, for the report of a failure.
    pub(crate) async fn rows(&self) -> String {
        match &self.database {
            Some(it) => it.look().await.standing().await,
            None => String::new(),
        }
    }

    /// A node on the stage's data that works.
    pub(crate) async fn node(&self) -> Node {
        self.node_with(true).await
    }

    pub(crate) async fn node_with(&self, work: bool) -> Node {
        self.node_in(World::real(), work, None).await
    }

    /// A node in a world of its own. Without a throttle what else the machine does is nothing to it.
    pub(crate) async fn node_in(
        &self,
        world: World,
        work: bool,
        throttle: Option<Throttle>,
    ) -> Node {
        let mut team = match callboard_config::load_here(&self.team()) {
            Ok(team) => team,
            Err(problems) => panic!("{problems}"),
        };
        assert!(
            team.problems.iter().all(|it| it.severity != callboard_config::Severity::Error),
            "{:?}",
            team.problems
        );
        self.name_its_store(&mut team);
        team.trust(&callboard_config::servers::Trust::read(&self.data(), true));
        team.throttle = throttle;
        let keeper = Some(env!("CARGO_BIN_EXE_callboard").into());
        let options = NodeOptions { team, data: self.data(), work, keeper, world };
        match Node::start(options).await {
            Ok(node) => node,
            Err(error) => panic!("{error}"),
        }
    }
}

impl Drop for Stage {
    /// No story is told on a file where it says that it is told on a server; and nothing stays there.
    fn drop(&mut self) {
        let Some(database) = self.database.take() else { return };
        let is_on_a_file = self.data().join("callboard.sqlite").exists();
        let records = own::beside(async move {
            let records = database.look().await.records().await;
            database.remove().await;
            records
        });
        if std::thread::panicking() {
            return;
        }
        assert!(!is_on_a_file, "this story was told on a file");
        let records = records.expect("its database is looked at and removed");
        let story = std::thread::current().name().unwrap_or("a story").to_owned();
        let mut told = std::fs::OpenOptions::new();
        let told =
            told.append(true).create(true).open(format!("{TOLD}/{}", env!("CARGO_CRATE_NAME")));
        // Whoever tells one story alone has no such folder.
        let _ = told.and_then(|mut it| it.write_all(format!("{records} {story}\n").as_bytes()));
    }
}

#[expect(clippy::disallowed_methods, reason = "where stories are told, not configuration")]
fn database() -> Option<own::Own> {
    static MADE: AtomicU32 = AtomicU32::new(0);
    let server = std::env::var(SERVER).ok()?;
    let name = format!("stage_{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
    let made = own::beside(async move { own::Own::make(server, name).await });
    Some(made.expect("a database for the stage"))
}

/// Who asks in the stories.
pub(crate) fn caller() -> Caller {
    Caller {
        principal: "local".into(),
        client: "story".into(),
        version: "1".into(),
        transport: "test".into(),
    }
}

/// A task for an agent.
pub(crate) fn ask(to: &str, task: &str) -> Ask {
    Ask {
        to: AgentName::parse(to).expect("a name"),
        task: task.into(),
        context: String::new(),
        priority: None,
        key: None,
        fresh: false,
        deadline_s: None,
        budget: None,
        output_schema: None,
        tasks: 1,
        traceparent: None,
        session: None,
        caller: caller(),
    }
}

/// Longest time a story may take; far beyond what it needs.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Waits until something is so; `what` says in the report of a failure what never was.
pub(crate) async fn until(what: &str, mut met: impl AsyncFnMut() -> bool) {
    let begun = tokio::time::Instant::now();
    while !met().await {
        assert!(begun.elapsed() < PATIENCE, "it never came to this: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Plays a task to its end and answers with the view.
pub(crate) async fn play(desk: &Desk, ask: Ask) -> RunView {
    let run = desk.submit(ask).await.expect("taken in").run;
    end(desk, &run).await
}

/// Waits for a run's end.
pub(crate) async fn end(desk: &Desk, run: &RunId) -> RunView {
    let view = desk.wait(run, &caller(), PATIENCE).await.expect("the run is there");
    assert!(view.state.is_over(), "not over in time: {view:?}\n{}", told(desk, run).await);
    view
}

/// Every record of a run's tree.
pub(crate) async fn records(desk: &Desk, run: &RunId) -> Vec<Record> {
    let (mut records, mut after) = (Vec::new(), 0);
    loop {
        let page = desk.page(run, &caller(), after, 200).await.expect("the run is there");
        records.extend(page.records.into_iter().map(|it| it.1));
        match page.next {
            Some(next) => after = next,
            None => return records,
        }
    }
}

/// The story of a run's tree, its runs numbered in the order they began.
pub(crate) async fn told(desk: &Desk, run: &RunId) -> String {
    tell(&records(desk, run).await)
}

/// What became of a call is written beside it, at no fixed place of the story.
fn is_of_a_caller(record: &Record) -> bool {
    matches!(record.event, Event::Delivered { .. } | Event::CallerLeft { .. })
}

/// The records as a story, runs numbered in the order they began, node and artifact names masked.
pub(crate) fn tell(records: &[Record]) -> String {
    let records: Vec<Record> = records.iter().filter(|it| !is_of_a_caller(it)).cloned().collect();
    let mut text = story(&records);
    let mut numbers: BTreeMap<&str, usize> = BTreeMap::new();
    for record in &records {
        let next = numbers.len() + 1;
        let name = callboard_trace::short(&record.run);
        let number = *numbers.entry(name).or_insert(next);
        text = text.replace(name, &format!("#{number}"));
    }
    let mask = |word: &str| match word {
        it if it.starts_with("(a_") => "(a)".to_string(),
        it => it.to_string(),
    };
    text.lines()
        .map(|line| line.split(' ').map(mask).collect::<Vec<_>>().join(" ") + "\n")
        .collect()
}

/// Fails if a step with an outcome was ever begun again, or has two outcomes.
pub(crate) fn no_finished_step_is_taken_again(records: &[Record], told: &str) {
    let mut finished: BTreeSet<(RunId, u32)> = BTreeSet::new();
    for record in records {
        match &record.event {
            Event::StepBegun(begun) => {
                let step = (record.run.clone(), begun.step);
                assert!(!finished.contains(&step), "{step:?} was taken again:\n{told}");
            }
            Event::ModelReplied(reply) => {
                assert!(finished.insert((record.run.clone(), reply.step)), "twice:\n{told}");
            }
            Event::ToolReturned { step, .. } => {
                assert!(finished.insert((record.run.clone(), *step)), "twice:\n{told}");
            }
            _ => (),
        }
    }
}

/// A run of the agent `boss`, a person who is asked by now.
pub(crate) async fn of_boss(desk: &Desk) -> RunId {
    let run = desk.submit(ask("boss", "may we?")).await.expect("taken in").run;
    let view = desk.wait(&run, &caller(), PATIENCE).await.expect("there");
    assert_eq!(view.questions.len(), 1, "{view:?}");
    run
}

/// Answers what the boss was asked, and waits for the end.
pub(crate) async fn answered(desk: &Desk, run: &RunId) {
    let view = desk.view(run, &caller()).await.expect("there");
    let answers = BTreeMap::from([(view.questions[0].id.clone(), "you may".to_owned())]);
    desk.answer(run, &answers, &caller()).await.expect("answered");
    end(desk, run).await;
}
