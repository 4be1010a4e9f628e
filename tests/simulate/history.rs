//! One history: processes that come and go, callers who ask and change their minds, clocks that
//! jump; then everything is well, and goes on until nothing is left to do.

use std::collections::{BTreeMap, VecDeque};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use callboard_config::Team;
use callboard_scheduler::{Node, NodeOptions};
use callboard_store::Store;
use callboard_trace::{Event, Record};
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::asks::{self, caller};
use crate::base::{Base, Ground};
use crate::cast;
use crate::outside::Outside;
use crate::scene::{Body, SECOND, Scene, inside, sure};

/// Seconds after the end of all trouble in which everything has to be over; the second is for worlds
/// in a hurry.
const PATIENCE: [i64; 2] = [3 * 3_600, 180];
/// Between two looks whether that is so.
const LOOK: Duration = Duration::from_secs(2);
/// Looks in a row that may find everything standing still. What looks for itself now and then does
/// that no faster in a hurry.
const STILL_MAX: [u32; 2] = [8, 60];

/// What is left of a history.
pub(crate) struct History {
    pub(crate) scene: Arc<Scene>,
    pub(crate) observer: Store,
    pub(crate) records: Vec<Record>,
    /// Goes when nobody is on it any more.
    _base: Base,
}

/// Plays the history of a seed.
pub(crate) async fn play(seed: u64, ground: &Ground) -> History {
    let (scene, deaths) = Scene::new(seed, ground.pace());
    let base = ground.base(&scene);
    let mut play = Play::new(scene.clone(), base, deaths);
    scene.tell(&format!("{:?}", scene.weather));
    for _ in 0..scene.weather.nodes {
        play.start();
    }
    play.trouble().await;
    play.peace().await;
    let records = every_record(&play.observer).await;
    History { scene, observer: play.observer, records, _base: play.base }
}

/// What happens to a world, and when: microseconds since its beginning.
#[derive(Clone, Copy, Debug)]
enum Turn {
    Ask,
    Plan,
    Control,
    Stand,
    Answer,
    Kill,
    Stop,
    Start,
    Freeze,
    Jump,
    Cut,
}

struct Play {
    scene: Arc<Scene>,
    base: Base,
    team: Team,
    observer: Store,
    nodes: BTreeMap<String, (Arc<Body>, Node)>,
    deaths: mpsc::UnboundedReceiver<Arc<Body>>,
    /// Callers who wait for their answer, and processes on their way out.
    open: JoinSet<()>,
}

impl Play {
    fn new(scene: Arc<Scene>, base: Base, deaths: mpsc::UnboundedReceiver<Arc<Body>>) -> Play {
        let observer = base.observer();
        let team = cast::team(&scene.weather, scene.pace);
        let (nodes, open) = (BTreeMap::new(), JoinSet::new());
        Play { scene, base, team, observer, nodes, deaths, open }
    }

    /// Another process comes up, if its database lets it.
    fn start(&mut self) {
        let (body, world) = self.scene.body();
        let store = match self.base.open(&self.scene, &body, &world) {
            Ok(it) => it,
            Err(error) => {
                return self.scene.tell(&format!("{} cannot start: {error}", body.short()));
            }
        };
        let outside = Outside {
            scene: self.scene.clone(),
            observer: self.observer.clone(),
            body: body.clone(),
        };
        let (models, servers) = (outside.models(&self.team), outside.servers(&self.team));
        let (team, data) = (self.team.clone(), PathBuf::new());
        let options = NodeOptions { team, data, work: true, keeper: None, world };
        let node = Node::start_on(options, store, models, servers);
        *inside(&body.desk) = Some(node.desk());
        self.scene.tell(&format!("{} starts", body.short()));
        self.nodes.insert(body.name.clone(), (body, node));
    }

    /// Everything that is to happen, in its order.
    fn turns(&self) -> VecDeque<(i64, Turn)> {
        let (scene, mut turns) = (&self.scene, Vec::new());
        let lasts = usize::try_from(scene.lasts()).unwrap_or(1);
        let mut add = |how_many: usize, turn: Turn| {
            for _ in 0..how_many {
                // Tasks come early, so that there is something to be disturbed.
                let last = if matches!(turn, Turn::Ask | Turn::Plan) { lasts / 2 } else { lasts };
                turns.push((scene.below(last + 1) as i64, turn));
            }
        };
        add(1 + scene.below(6), Turn::Ask);
        add(scene.below(3), Turn::Plan);
        add(scene.below(10), Turn::Control);
        add(scene.below(4), Turn::Stand);
        add(scene.below(6), Turn::Answer);
        add(scene.below(3), Turn::Kill);
        add(scene.below(2), Turn::Stop);
        add(1 + scene.below(5), Turn::Start);
        add(scene.below(3), Turn::Freeze);
        add(if scene.weather.jumps { 1 + scene.below(3) } else { 0 }, Turn::Jump);
        if scene.is_real() {
            // No write draws its fate there: processes die of themselves, and others come for them.
            add(4 + scene.below(12), Turn::Cut);
            add(2 + scene.below(3), Turn::Kill);
            add(2, Turn::Start);
        }
        turns.sort_by_key(|it| it.0);
        turns.into()
    }

    async fn trouble(&mut self) {
        for (at, turn) in self.turns() {
            let wait = at.saturating_sub(self.scene.elapsed()).max(0).unsigned_abs();
            self.rest(Duration::from_micros(wait)).await;
            self.take(turn);
        }
        let wait = self.scene.lasts() - self.scene.elapsed();
        self.rest(Duration::from_micros(wait.max(0).unsigned_abs())).await;
    }

    /// Lets time pass; the dead are carried off meanwhile.
    async fn rest(&mut self, long: Duration) {
        let end = sleep(long);
        tokio::pin!(end);
        loop {
            tokio::select! {
                biased;
                Some(body) = self.deaths.recv() => drop(self.nodes.remove(&body.name)),
                Some(done) = self.open.join_next() => done.expect("a caller holds"),
                () = &mut end => return,
            }
        }
    }

    fn take(&mut self, turn: Turn) {
        let scene = self.scene.clone();
        match turn {
            Turn::Ask => drop(self.open.spawn(asks::task(scene))),
            Turn::Plan => drop(self.open.spawn(asks::plan(scene))),
            Turn::Control => drop(self.open.spawn(asks::control(scene))),
            Turn::Stand => drop(self.open.spawn(asks::stand(scene))),
            Turn::Answer => drop(self.open.spawn(asks::answer_any(scene, self.observer.clone()))),
            Turn::Kill => {
                if let Some(body) = self.somebody() {
                    scene.kill(&body, "of itself");
                }
            }
            Turn::Stop => self.stop(),
            Turn::Start => {
                if self.nodes.len() < 3 {
                    self.start();
                }
            }
            // A thread of this process cannot be made to stand still; many lines at once can be cut.
            Turn::Freeze if scene.is_real() => self.cut(6),
            Turn::Cut => self.cut(1 + scene.below(3)),
            Turn::Freeze => {
                if let Some(body) = self.somebody() {
                    scene.freeze(&body, scene.ms(1_000, 90_000));
                }
            }
            Turn::Jump => {
                let off = scene.jump();
                match self.somebody().filter(|_| scene.percent(60) || scene.is_real()) {
                    Some(body) => body.off.store(off, Ordering::Relaxed),
                    None if scene.is_real() => return,
                    None => scene.off.store(off, Ordering::Relaxed),
                }
                scene.tell(&format!("a clock is {} s off", off / SECOND));
            }
        }
    }

    fn cut(&mut self, lines: usize) {
        if let Some(cut) = self.base.cut(lines) {
            self.scene.tell(&format!("{lines} connections are cut"));
            self.open.spawn(cut);
        }
    }

    fn somebody(&self) -> Option<Arc<Body>> {
        let bodies: Vec<&Arc<Body>> = self.nodes.values().map(|it| &it.0).collect();
        (!bodies.is_empty()).then(|| self.scene.one(&bodies).clone())
    }

    /// A process is asked to go. It may die on its way.
    fn stop(&mut self) {
        let Some(body) = self.somebody() else { return };
        let Some((_, node)) = self.nodes.remove(&body.name) else { return };
        self.scene.tell(&format!("{} is asked to stop", body.short()));
        inside(&body.desk).take();
        let scene = self.scene.clone();
        self.open.spawn(async move {
            // Whoever asked it to stop has no more patience than that.
            let stopped = tokio::time::timeout(Duration::from_secs(10), node.stop()).await;
            if stopped.is_err() {
                scene.kill(&body, "while stopping");
            }
        });
    }

    /// No more faults; two processes are well, and people answer. Everything comes to its end.
    async fn peace(&mut self) {
        self.scene.tell("peace");
        self.scene.calm.store(true, Ordering::Relaxed);
        self.scene.off.store(0, Ordering::Relaxed);
        for (body, _) in self.nodes.values() {
            body.off.store(0, Ordering::Relaxed);
            body.thaw();
        }
        let in_a_hurry = usize::from(self.scene.is_real());
        while self.nodes.len() < 2 {
            self.start();
            if self.nodes.len() < 2 && self.scene.is_real() {
                self.rest(LOOK / self.scene.pace).await;
            }
        }
        let (begun, mut still, mut all_stand) = (self.scene.elapsed(), 0, false);
        loop {
            self.rest(LOOK / self.scene.pace).await;
            if !all_stand || still > 0 {
                // Whoever acted on an agent may still be on its way, also when it was given up.
                let Some(desk) = self.scene.desk() else { continue };
                all_stand = asks::all_stand(&desk).await && self.open.is_empty();
            }
            if self.open.is_empty() && self.scene.all_go_on() && self.is_over().await {
                break;
            }
            if self.scene.elapsed() - begun > PATIENCE[in_a_hurry] * SECOND {
                self.scene.wrong("not everything came to its end".into());
                break;
            }
            still = if self.helps().await { 0 } else { still + 1 };
            if still > STILL_MAX[in_a_hurry] {
                self.scene.wrong("nothing moves, and nothing is waited for".into());
                break;
            }
        }
        for (_, (body, node)) in std::mem::take(&mut self.nodes) {
            // Who asks here keeps the process, whose world keeps who asks.
            inside(&body.desk).take();
            node.stop().await;
        }
    }

    async fn is_over(&self) -> bool {
        let counts = sure!(self.observer.counts());
        counts.ready + counts.running + counts.waiting == 0
    }

    /// Answers what is asked, and lets go on what was paused. `false` if everything stands still and
    /// waits for neither.
    async fn helps(&self) -> bool {
        if !sure!(self.observer.is_at_rest()) {
            return true;
        }
        let Some(desk) = self.scene.desk() else { return true };
        let open = asks::open(&self.observer).await;
        let mut helped = open.is_empty();
        for run in open {
            let Ok(view) = desk.view(&run, &caller()).await else { continue };
            // The run that has the work waits for a time, be it the deadline.
            helped |= view.queue.as_ref().is_some_and(|it| it.eta_s.is_some());
            let is_paused = view.queue.is_some_and(|it| it.waiting_for.starts_with("paused"));
            if is_paused {
                asks::resume(&desk, &run).await;
            }
            let n_asked = view.questions.len();
            // What may be tried again only after its deadline ends by that, and so by itself.
            let last = sure!(self.observer.latest(&run, 1));
            let is_tried_again =
                |it: &Record| matches!(&it.event, Event::StepFailed(it) if it.retry_at.is_some());
            helped |= last.iter().any(is_tried_again);
            asks::answer(&self.scene, &desk, &view.run, view.questions).await;
            helped |= is_paused || n_asked > 0;
        }
        helped
    }
}

async fn every_record(observer: &Store) -> Vec<Record> {
    let (mut records, mut after) = (Vec::new(), 0);
    loop {
        let page = sure!(observer.log(after, 1_000));
        let Some(last) = page.last() else { return records };
        after = last.0;
        records.extend(page.into_iter().map(|it| it.1));
    }
}
