//! What is asked of the nodes all the time: single tasks one after another, and plans.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use callboard_trace::RunId;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep};

use crate::net::{Eye, Net, PRIMARY};
use crate::node::Node;
use crate::stage::Stage;

/// Where the nodes are.
pub(crate) const HOSTS: [&str; 3] = ["n1", "n2", "n3"];
/// Tasks of a plan.
const PLAN: usize = 150;
/// With fewer runs than these the next plan is given.
const FEW: i64 = 100;
/// Between two single tasks of a client, and between two tries of one that was refused.
const BETWEEN: Duration = Duration::from_millis(100);

/// Milliseconds that the model of the playbook thinks, by a word of the task.
const THOUGHTS: [(&str, u32); 5] =
    [("brief", 20), ("short", 40), ("middling", 60), ("long", 80), ("longest", 100)];

/// A team of writers on the rehearsal model, which thinks for as long as the task says.
pub(crate) fn team() -> Stage {
    let rule = |(word, ms): (&str, u32)| {
        format!(
            "- {{when: {{task: \"a {word} part\"}}, after_ms: {ms}, answer: {{summary: done, confidence: 0.9}}}}\n"
        )
    };
    let stage = Stage::new(&THOUGHTS.map(rule).concat());
    stage.write(
        "team.yaml",
        "team: hosts\nentry: writer\nproviders:\n  rehearsal: {kind: rehearsal, playbook: playbook.yaml}\n\
         models:\n  default: rehearsal/rehearsal\nthrottle: off\nstore: env:CALLBOARD_STORE\n\
         budgets: {run: {tokens: null, model_calls: null}, task: {tokens: null}}\n",
    );
    stage
}

/// A task that was acknowledged.
pub(crate) struct Told {
    pub(crate) run: RunId,
    /// The place of the node that did it.
    pub(crate) by: usize,
    pub(crate) asked: Instant,
    pub(crate) told: Instant,
}

/// The nodes, and what they were asked.
pub(crate) struct Field {
    pub(crate) net: Net,
    pub(crate) stage: Stage,
    nodes: Mutex<Vec<Arc<Node>>>,
    eye: Mutex<Arc<Eye>>,
    pub(crate) told: Mutex<Vec<Told>>,
    is_enough: AtomicBool,
}

impl Field {
    /// A node on each of the three hosts.
    pub(crate) async fn new(net: Net) -> Arc<Field> {
        let (stage, eye) = (team(), Arc::new(net.look(PRIMARY).await));
        let mut nodes = Vec::new();
        for host in HOSTS {
            nodes.push(Arc::new(Node::start(&net, host, &stage).await));
        }
        let (nodes, eye) = (Mutex::new(nodes), Mutex::new(eye));
        let (told, is_enough) = (Mutex::default(), AtomicBool::new(false));
        Arc::new(Field { net, stage, nodes, eye, told, is_enough })
    }

    pub(crate) fn node(&self, at: usize) -> Arc<Node> {
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)[at].clone()
    }

    /// Starts another node in the place of one that is gone.
    pub(crate) async fn replace(&self, at: usize) {
        let node = Arc::new(Node::start(&self.net, HOSTS[at], &self.stage).await);
        self.nodes.lock().unwrap_or_else(PoisonError::into_inner)[at] = node;
    }

    /// Who looks at the database that takes writes.
    pub(crate) fn eye(&self) -> Arc<Eye> {
        self.eye.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) async fn look_at(&self, host: &str) {
        let eye = Arc::new(self.net.look(host).await);
        *self.eye.lock().unwrap_or_else(PoisonError::into_inner) = eye;
    }

    /// Begins to ask, of every node.
    pub(crate) fn load(self: &Arc<Self>) -> JoinSet<()> {
        let mut asking = JoinSet::new();
        for at in 0..HOSTS.len() {
            asking.spawn(self.clone().singles(at));
            asking.spawn(self.clone().plans(at));
        }
        asking
    }

    /// Asks for nothing more.
    pub(crate) fn enough(&self) {
        self.is_enough.store(true, Ordering::Relaxed);
    }

    async fn singles(self: Arc<Self>, at: usize) {
        for n in 0.. {
            let task = format!("a {} part, {n} of {}", THOUGHTS[n % 5].0, HOSTS[at]);
            let given = json!({"task": task, "wait_s": 0});
            if !self.give(at, "writer", &given, &format!("single {n} of {}", HOSTS[at])).await {
                return;
            }
            sleep(BETWEEN).await;
        }
    }

    async fn plans(self: Arc<Self>, at: usize) {
        let task =
            |n: usize| json!({"to": "writer", "task": format!("a {} part", THOUGHTS[n % 5].0)});
        let tasks: Vec<Value> = (0..PLAN).map(task).collect();
        for n in 0.. {
            while !self.is_enough.load(Ordering::Relaxed) && self.eye().open_runs().await > FEW {
                sleep(BETWEEN).await;
            }
            let name = format!("plan {n} of {}", HOSTS[at]);
            let given = json!({"tasks": tasks, "context": name, "wait_s": 0});
            if !self.give(at, "team_run", &given, &name).await {
                return;
            }
        }
    }

    /// Asks a node for something until it is taken in; under one key it is one and the same. `false`
    /// if it is enough before that.
    async fn give(&self, at: usize, tool: &str, given: &Value, key: &str) -> bool {
        while !self.is_enough.load(Ordering::Relaxed) {
            let asked = Instant::now();
            if let Some(view) = self.node(at).call(tool, given.clone(), key).await {
                let run = RunId::from_text(view["run"].as_str().expect("its name"));
                let told = Told { run, by: at, asked, told: Instant::now() };
                self.told.lock().unwrap_or_else(PoisonError::into_inner).push(told);
                return true;
            }
            sleep(BETWEEN).await;
        }
        false
    }

    /// After how long each node took in something that it was asked for since then.
    pub(crate) fn takes_in(&self, since: Instant) -> [Option<Duration>; 3] {
        let told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        [0, 1, 2].map(|at| {
            let later = told.iter().filter(|it| it.by == at && it.asked >= since);
            later.map(|it| it.told - since).min()
        })
    }
}

impl Drop for Field {
    /// What the nodes said is in a folder that goes.
    fn drop(&mut self) {
        for host in HOSTS.iter().filter(|_| std::thread::panicking()) {
            let log = std::fs::read_to_string(self.stage.data().join(host).join("log"));
            eprintln!("== {host}\n{}", log.unwrap_or_default());
        }
    }
}
