//! This process as a node: it works, beats, and sweeps.

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use callboard_agents::model::Models;
use callboard_agents::{Hands, Recorded, ToolServers};
use callboard_config::Team;
use callboard_store::{OpenOptions, Store, StoreError};
use callboard_trace::{Event, Fact, RunId};
use tokio::sync::Notify;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::admit::watch_load;
use crate::ahead::Ahead;
use crate::begin::SECOND;
use crate::callers::Callers;
use crate::checkup::address;
use crate::claim::claim;
use crate::clients::Clients;
use crate::crew::{Crew, loaded};
use crate::desk::Desk;
use crate::folds::Folds;
use crate::hands::{hands, with};
use crate::heirs::Heirs;
use crate::house::{Alarm, Driven, House, Waiters, failed};
use crate::listen::{write_all, write_down};
use crate::pause::{POLL, jittered};
use crate::press::Pressing;
use crate::rank::rank;
use crate::retain::retain;
use crate::throttle::Admission;
use crate::told::Heard;
use crate::watch::watch;
use crate::{World, playbook_problems};

/// Between two looks for the dead, and for due times.
const SWEEP: Duration = Duration::from_millis(1_000);
/// What those who wait for a run wait for.
const WAITED_FOR: [&str; 2] = ["run_ended", "question_asked"];
/// At most one look for signals in this time.
const NEWS: Duration = Duration::from_millis(10);
/// The same where nobody waits for others: what is told then is a cancel or a word to a run at work.
const NEWS_IDLE: Duration = Duration::from_millis(50);
/// Between two looks at what is still in hand of a node that drains.
const LOOK: Duration = Duration::from_millis(20);
/// What is dropped in this time is given back together.
const STRAY: Duration = Duration::from_millis(50);
/// How long steps in progress are waited for when the process goes.
const GRACE: Duration = Duration::from_millis(600);

/// How a node is started.
pub struct NodeOptions {
    /// The checked team.
    pub team: Team,
    /// The data folder.
    pub data: PathBuf,
    /// Whether it runs agents, or only answers questions and takes tasks in.
    pub work: bool,
    /// This program's own path: it keeps the programs of tool servers; without it none is started.
    pub keeper: Option<PathBuf>,
    /// Time and chance.
    pub world: World,
}

/// Why a node did not start: a lower-case fragment with the way out.
#[derive(Debug)]
pub struct StartError(StoreError, String);

impl std::fmt::Display for StartError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the store {} cannot be used: {}", self.1, self.0)
    }
}

impl std::error::Error for StartError {}

/// This process among all that share a store.
pub struct Node {
    house: Arc<House>,
    tasks: JoinSet<()>,
}

impl Node {
    /// Opens the store and starts to work.
    ///
    /// # Errors
    /// When the store cannot be opened; the message says what to do.
    pub async fn start(options: NodeOptions) -> Result<Node, StartError> {
        Node::open(options, None).await
    }

    /// As [`Node::start`]; with a record, no step reaches the outside.
    pub(crate) async fn open(
        options: NodeOptions,
        recorded: Option<Arc<Recorded>>,
    ) -> Result<Node, StartError> {
        let name = options.world.name("n_");
        let mut open = OpenOptions::new(&options.data, &name, options.world.bits.clone());
        open.secrets = options.team.secrets();
        let place = match &options.team.database {
            Some(it) => format!("at {it}"),
            None => format!("in {}", options.data.display()),
        };
        let server = options.team.database.as_ref().map(address).transpose();
        let store = match server {
            Ok(server) => {
                open.server = server;
                let opened = tokio::task::spawn_blocking(move || Store::open(open)).await;
                opened.unwrap_or_else(|it| Err(StoreError::Db(it.to_string())))
            }
            Err(error) => Err(error),
        };
        let store = store.map_err(|error| StartError(error, place))?;
        let NodeOptions { team, data, keeper, world, .. } = &options;
        let mut hands = hands(team, data, &store, keeper.clone(), world);
        hands.recorded = recorded;
        Ok(Node::begin(options, store, hands))
    }

    /// Starts to work on a store that is open, with these hands: for simulations. The data
    /// folder is named only.
    pub fn start_on(
        options: NodeOptions,
        store: Store,
        models: Models,
        servers: ToolServers,
    ) -> Node {
        let hands = with(&options.team, &options.data, &store, models, servers);
        Node::begin(options, store, hands)
    }

    fn begin(options: NodeOptions, store: Store, hands: Hands) -> Node {
        let is_working = options.work;
        let house = Arc::new(house(options, store, hands));
        let mut tasks = JoinSet::new();
        tasks.spawn(told(house.clone()));
        tasks.spawn(beat(house.clone()));
        tasks.spawn(write_down(house.clone()));
        tasks.spawn(news(house.clone()));
        if is_working {
            work(&mut tasks, &house, None);
        }
        Node { house, tasks }
    }

    /// Starts to work, for the runs of one root only: who gives one task away need not take on
    /// everybody's. For a node that was started without work.
    pub fn work_on(&mut self, root: &RunId) {
        work(&mut self.tasks, &self.house, Some(root.clone()));
    }

    /// What callers ask.
    pub fn desk(&self) -> Desk {
        Desk::new(self.house.clone())
    }

    /// No more runs than this are under way here at once, whatever seats there are: on a store of many
    /// machines each takes its part.
    pub fn at_once(&self, most: std::num::NonZeroU32) {
        self.house.admission.at_once(most.get());
    }

    /// Reads the team at `place` anew whenever its files change, for as long as the node lives.
    pub fn watch(&mut self, place: PathBuf) {
        self.tasks.spawn(watch(self.house.clone(), place));
    }

    /// How many runs are in hand here.
    pub fn held(&self) -> usize {
        self.house.driven.count()
    }

    /// Takes no more runs and begins no more steps; each run is given back as soon as nothing of it
    /// is in progress. Resolves when none is in hand. Who cannot wait so long stops the node.
    pub async fn drain(&self) {
        self.house.draining.cancel();
        while self.held() > 0 {
            tokio::time::sleep(LOOK).await;
        }
    }

    /// Drops the steps in progress, gives every lease back, and leaves: well under a second.
    /// What was not recorded is taken again by whoever claims the run next.
    pub async fn stop(mut self) {
        self.house.draining.cancel();
        self.house.stopping.cancel();
        let all = async { while self.tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(GRACE, all).await.is_err() {
            self.tasks.shutdown().await;
        }
        self.house.crew.hands().servers.close();
        write_all(&self.house).await;
        self.house.write_turned().await;
        let stopped =
            Event::NodeStopped { node: self.house.node.clone(), reason: "asked to stop".into() };
        let fact = Fact::new(self.house.node.as_str(), stopped);
        let told = self.house.store.note(&self.house.node, vec![fact]).await;
        if let Err(error) = told.and(self.house.store.leave().await) {
            tracing::debug!(%error, "left without a word; the others will notice");
        }
    }
}

fn house(options: NodeOptions, store: Store, hands: Hands) -> House {
    let NodeOptions { mut team, data, work: _, keeper, world } = options;
    let problems = playbook_problems(&team);
    team.problems.extend(problems);
    let driven: Arc<Driven> = Arc::default();
    let told = driven.clone();
    store.hears(move |run, (seq, fact), undone| told.tell(run, Heard { seq, fact, undone }));
    House {
        crew: Crew::new(Arc::new(team), hands),
        keeper,
        node: store.node().to_owned(),
        store,
        world,
        data,
        draining: CancellationToken::new(),
        stopping: CancellationToken::new(),
        ready: Notify::new(),
        stray: Notify::new(),
        admission: Admission::default(),
        ahead: Ahead::default(),
        folds: Folds::default(),
        alarm: Alarm::default(),
        driven,
        heirs: Heirs::default(),
        waiters: Waiters::default(),
        callers: Callers::default(),
        clients: Clients::default(),
        pressing: Pressing::default(),
        turned: Mutex::default(),
    }
}

/// Tells the journal that this process is there, and with what team.
async fn told(house: Arc<House>) {
    let started =
        Event::NodeStarted { node: house.node.clone(), version: env!("CARGO_PKG_VERSION").into() };
    let facts =
        [started, loaded(&house.crew.team())].map(|it| Fact::new(house.node.as_str(), it)).to_vec();
    if let Err(error) = house.store.note(&house.node, facts).await {
        tracing::warn!(%error, "could not write that this process is there");
    }
}

fn work(tasks: &mut JoinSet<()>, house: &Arc<House>, root: Option<RunId>) {
    // Who works on one root, or plays a record again, has nothing to put in order.
    if root.is_none() && house.crew.hands().recorded.is_none() {
        tasks.spawn(rank(house.clone()));
        tasks.spawn(retain(house.clone()));
    }
    claim(tasks, house, root);
    tasks.spawn(sweep(house.clone()));
    tasks.spawn(watch_load(house.clone()));
}

/// Says that this process is alive, and drops what it lost. What it dropped by itself is given back
/// at once, and so is all of it when the store answers again: others wait for it.
async fn beat(house: Arc<House>) {
    let mut since = None;
    loop {
        let rest = match house.store.beat().await {
            Ok(beat) => {
                if let Some(since) = since.take() {
                    let seconds = (house.world.now() - since) / SECOND;
                    tracing::warn!(seconds, "the store answers again");
                }
                for run in &beat.lost {
                    if let Some(wheel) = house.driven.wheel(run) {
                        wheel.lost.cancel();
                    }
                }
                house.store.beat_every()
            }
            Err(StoreError::Closed) => return,
            Err(error) => {
                since.get_or_insert_with(|| {
                    tracing::warn!(%error, "the heartbeat was not kept; it goes on being tried");
                    house.world.now()
                });
                house.store.beat_every().min(POLL)
            }
        };
        tokio::select! {
            biased;
            () = house.stopping.cancelled() => return,
            () = tokio::time::sleep(rest) => (),
            () = house.stray.notified() => tokio::time::sleep(STRAY).await,
        }
    }
}

/// Wakes what is due, and takes back what the dead held.
async fn sweep(house: Arc<House>) {
    loop {
        house.write_turned().await;
        match house.store.sweep().await {
            Ok(0) => (),
            Ok(_) => house.ready.notify_one(),
            Err(StoreError::Closed) => return,
            Err(error) => failed(&error, "could not sweep"),
        }
        let rest = house.alarm.next(house.world.now()).map_or(SWEEP, |at| {
            let micros = at.saturating_sub(house.world.now()).max(1_000).unsigned_abs();
            Duration::from_micros(micros).min(SWEEP)
        });
        tokio::select! {
            biased;
            () = house.stopping.cancelled() => return,
            () = house.alarm.changed() => (),
            () = tokio::time::sleep(rest) => (),
        }
    }
}

/// Wakes the drives into whose journals somebody else wrote, and who waits here for a run that is driven
/// elsewhere. What was written since the last look is enough to see, and now and then all that is held
/// here.
async fn news(house: Arc<House>) {
    let (mut seen, mut again) = (None, house.world.now());
    loop {
        let changed = house.store.changed();
        let is_whole = house.world.now() >= again;
        let held = if is_whole { house.driven.all() } else { Vec::new() };
        seen = match house.driven.count() > 0 || house.waiters.are_there() {
            true => look_on(&house, seen.filter(|_| !is_whole)).await,
            false => None,
        };
        if is_whole {
            again = house.world.now() + POLL.as_micros() as i64;
        }
        if !held.is_empty()
            && let Ok(longer) = house.store.news(&held).await
        {
            for (run, length) in longer {
                house.driven.wheel(&run).inspect(|it| it.told.is_written(length));
            }
        }
        tokio::select! {
            biased;
            () = house.stopping.cancelled() => return,
            () = changed => (),
            () = tokio::time::sleep(jittered(&house.world, POLL)) => (),
        }
        let is_awaited = house.driven.seated() < house.driven.count() || house.waiters.are_there();
        tokio::time::sleep(if is_awaited { NEWS } else { NEWS_IDLE }).await;
    }
}

/// Wakes who is told of in what was written behind that place; answers the place it ends at.
async fn look_on(house: &House, mut seen: Option<u64>) -> Option<u64> {
    loop {
        let (last, written) = house.store.written(seen).await.ok()?;
        seen = Some(last);
        if written.is_empty() {
            return seen;
        }
        for (run, seq, kind) in &written {
            match house.driven.wheel(run) {
                Some(wheel) => wheel.told.is_written(*seq),
                // It is driven elsewhere.
                None if WAITED_FOR.contains(&kind.as_str()) => house.waiters.ring(run),
                None => (),
            }
        }
    }
}
