//! One simulated world: its clocks, its chance, its processes, and what was noticed in it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use callboard_scheduler::{Desk, World};
use callboard_store::Store;
use callboard_store::simulated::{Fate, Lot};
use callboard_trace::RunId;
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::cast::WIDTHS;
use crate::dice::Dice;

/// When every world begins, microseconds since 1970.
const EPOCH: i64 = 1_700_000_000_000_000;
/// Microseconds in a second.
pub(crate) const SECOND: i64 = 1_000_000;

/// Reads as an observer, for whom a database that is away is no finding: it may be meant to be.
macro_rules! sure {
    ($read:expr) => {{
        let mut tries = 0;
        loop {
            match $read.await {
                Ok(it) => break it,
                Err(error) => assert!(tries < 10, "the observer does not read: {error}"),
            }
            tries += 1;
            tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        }
    }};
}
pub(crate) use sure;

/// How rough a history is, decided by its seed. Chances are out of 10,000 a write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Weather {
    pub(crate) nodes: usize,
    pub(crate) seats: u32,
    pub(crate) dies: usize,
    pub(crate) refuses: usize,
    pub(crate) forgets: usize,
    pub(crate) freezes: usize,
    pub(crate) slow: usize,
    /// Whether clocks jump.
    pub(crate) jumps: bool,
    /// Attempts at a model out of 100 that bring no reply.
    pub(crate) faults: usize,
    /// Seconds before everything is well again.
    pub(crate) lasts: i64,
}

impl Weather {
    fn of(dice: &mut Dice) -> Weather {
        let or_none = |dice: &mut Dice, most| if dice.below(3) == 0 { 0 } else { dice.below(most) };
        Weather {
            nodes: 2 + dice.below(2),
            seats: *dice.one(&[1, 2, 3, 3, 6]),
            dies: or_none(dice, 300),
            refuses: or_none(dice, 300),
            forgets: or_none(dice, 500),
            freezes: or_none(dice, 200),
            slow: or_none(dice, 300),
            jumps: dice.below(8) == 0,
            faults: *dice.one(&[0, 5, 15, 40]),
            lasts: 8 + i64::try_from(dice.below(40)).unwrap_or(0),
        }
    }
}

/// Everything that the processes of one history share, and what is noted of it.
pub(crate) struct Scene {
    pub(crate) weather: Weather,
    /// How many times as fast as usual everything goes: more than 1 where time is real.
    pub(crate) pace: u32,
    /// When it began, microseconds since 1970.
    epoch: i64,
    dice: Mutex<Dice>,
    begun: Instant,
    /// How far the database's clock is off, microseconds.
    pub(crate) off: AtomicI64,
    /// Until when some process stands still at the longest, microseconds since the beginning.
    still: AtomicI64,
    /// Everything is well from now on.
    pub(crate) calm: AtomicBool,
    pub(crate) bodies: Mutex<Vec<Arc<Body>>>,
    dying: mpsc::UnboundedSender<Arc<Body>>,
    pub(crate) noted: Mutex<Noted>,
}

/// What the outside saw, to be compared with what is on record.
#[derive(Default)]
pub(crate) struct Noted {
    /// What happened to the world, with its time.
    pub(crate) story: Vec<String>,
    /// What must not be.
    pub(crate) wrong: Vec<String>,
    /// Runs whose acceptance was told, each with the key it was asked under.
    pub(crate) accepted: BTreeMap<RunId, BTreeSet<String>>,
    /// Cancels whose acceptance was told.
    pub(crate) cancelled: BTreeSet<RunId>,
    /// How often the payment of each token was begun, and by whose call.
    pub(crate) paid: BTreeMap<String, u32>,
    /// The run to whose model each token was given.
    pub(crate) tokens: BTreeMap<String, RunId>,
    /// Performances under way: whose, at which node, and of what.
    pub(crate) under_way: BTreeMap<u64, (RunId, String, String)>,
    /// Performances so far.
    pub(crate) performed: u64,
}

/// One process.
pub(crate) struct Body {
    pub(crate) name: String,
    /// How far its clock is off, microseconds.
    pub(crate) off: AtomicI64,
    dead: AtomicBool,
    /// Whether its death shows at once, or only by its silence.
    pub(crate) shows: AtomicBool,
    /// Until when it does nothing, microseconds since the beginning.
    frozen: AtomicI64,
    /// Where its callers ask; none once it is dead.
    pub(crate) desk: Mutex<Option<Desk>>,
}

pub(crate) fn inside<T>(of: &Mutex<T>) -> MutexGuard<'_, T> {
    of.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Scene {
    pub(crate) fn new(seed: u64, pace: u32) -> (Arc<Scene>, mpsc::UnboundedReceiver<Arc<Body>>) {
        let mut dice = Dice::new(seed);
        let weather = Weather::of(&mut dice);
        let (dying, deaths) = mpsc::unbounded_channel();
        let scene = Scene {
            weather,
            pace,
            epoch: if pace == 1 { EPOCH } else { World::real().now() },
            dice: Mutex::new(dice),
            begun: Instant::now(),
            off: AtomicI64::new(0),
            still: AtomicI64::new(0),
            calm: AtomicBool::new(false),
            bodies: Mutex::default(),
            dying,
            noted: Mutex::default(),
        };
        (Arc::new(scene), deaths)
    }

    /// A number below `most`.
    pub(crate) fn below(&self, most: usize) -> usize {
        inside(&self.dice).below(most)
    }

    /// Whether something of that many in a hundred happens.
    pub(crate) fn percent(&self, chance: usize) -> bool {
        self.below(100) < chance
    }

    pub(crate) fn one<T: Clone>(&self, of: &[T]) -> T {
        inside(&self.dice).one(of).clone()
    }

    pub(crate) fn bits(&self) -> u128 {
        let mut dice = inside(&self.dice);
        (u128::from(dice.roll()) << 64) | u128::from(dice.roll())
    }

    /// A time between these two, in milliseconds of a world that is not in a hurry.
    pub(crate) fn ms(&self, from: usize, to: usize) -> Duration {
        Duration::from_millis((from + self.below(to - from + 1)) as u64) / self.pace
    }

    /// As many seconds as these are of a world that is not in a hurry.
    pub(crate) fn s(&self, usual: usize) -> u64 {
        (usual as u64 / u64::from(self.pace)).max(1)
    }

    /// How long there is trouble, microseconds.
    pub(crate) fn lasts(&self) -> i64 {
        self.weather.lasts * SECOND / i64::from(self.pace)
    }

    /// Whether time and the database are real.
    pub(crate) fn is_real(&self) -> bool {
        self.pace > 1
    }

    /// Microseconds since the beginning: the time that nobody in the world sees.
    pub(crate) fn elapsed(&self) -> i64 {
        i64::try_from(self.begun.elapsed().as_micros()).unwrap_or(i64::MAX)
    }

    /// The database's clock.
    pub(crate) fn db_now(&self) -> i64 {
        self.epoch + self.elapsed() + self.off.load(Ordering::Relaxed)
    }

    pub(crate) fn is_calm(&self) -> bool {
        self.calm.load(Ordering::Relaxed)
    }

    pub(crate) fn tell(&self, what: &str) {
        let at = self.elapsed() as f64 / 1e6;
        inside(&self.noted).story.push(format!("{at:>9.3} {what}"));
    }

    pub(crate) fn wrong(&self, what: String) {
        self.tell(&format!("WRONG: {what}"));
        inside(&self.noted).wrong.push(what);
    }

    /// A new process, with a name never used before.
    pub(crate) fn body(self: &Arc<Self>) -> (Arc<Body>, World) {
        let off = if self.weather.jumps { self.jump() } else { 0 };
        let scene = self.clone();
        let bits = Arc::new(move || scene.bits());
        let body = Arc::new(Body {
            name: callboard_trace::spell("n_", self.bits()),
            off: AtomicI64::new(if self.is_calm() { 0 } else { off }),
            dead: AtomicBool::new(false),
            shows: AtomicBool::new(self.percent(60)),
            frozen: AtomicI64::new(0),
            desk: Mutex::default(),
        });
        let (scene, of) = (self.clone(), body.clone());
        let now = Arc::new(move || scene.epoch + scene.elapsed() + of.off.load(Ordering::Relaxed));
        inside(&self.bodies).push(body.clone());
        (body, World { now, bits, load: Arc::new(|| None) })
    }

    /// How far a clock is off after a jump: seconds, or hours, to either side.
    pub(crate) fn jump(&self) -> i64 {
        let far = if self.percent(30) { 7_200 } else { 40 };
        (i64::try_from(self.below(2 * far + 1)).unwrap_or(0) - far as i64) * SECOND
    }

    /// The lot of the next job of a process.
    pub(crate) fn lot(&self, body: &Arc<Body>, is_write: bool) -> Lot {
        let lot = |before, fate, after| Lot { before, fate, after };
        if body.is_dead() {
            return lot(Duration::ZERO, Fate::Dead { kept: false }, Duration::ZERO);
        }
        let before = body.frozen_for(self.elapsed());
        if !is_write {
            return lot(before, Fate::Done, Duration::ZERO);
        }
        let before = before + self.ms(0, 3);
        if self.is_calm() {
            return lot(before, Fate::Done, Duration::ZERO);
        }
        self.rough(body, before)
    }

    /// The lot of a write while the weather is bad.
    fn rough(&self, body: &Arc<Body>, before: Duration) -> Lot {
        let Weather { dies, refuses, forgets, freezes, slow, .. } = self.weather;
        let (mut before, mut after, kept) = (before, Duration::ZERO, self.percent(50));
        let mut left = self.below(10_000);
        let mut falls = |chance: usize| {
            let falls = left < chance;
            left = left.wrapping_sub(if falls { 0 } else { chance });
            falls
        };
        let mut fate = Fate::Done;
        if falls(dies) {
            self.kill(body, "at a write");
            fate = Fate::Dead { kept };
        } else if falls(refuses) {
            fate = Fate::Refused;
        } else if falls(forgets) {
            fate = Fate::Unknown { kept };
        } else if falls(freezes) {
            let long = self.ms(100, 70_000);
            // Between a commit and its answer is where most depends on it.
            *(if kept { &mut after } else { &mut before }) += long;
            self.freeze(body, before + after);
        } else if falls(slow) {
            before += self.ms(10, 3_000);
        }
        Lot { before, fate, after }
    }

    /// The process ends here and now; what it holds is dropped by whoever keeps it.
    pub(crate) fn kill(&self, body: &Arc<Body>, how: &str) {
        if body.dead.swap(true, Ordering::Relaxed) {
            return;
        }
        inside(&body.desk).take();
        let shows = if body.shows.load(Ordering::Relaxed) { "seen" } else { "unseen" };
        self.tell(&format!("{} dies {how}, {shows}", body.short()));
        // Nobody listens after the end of the history.
        let _ = self.dying.send(body.clone());
    }

    pub(crate) fn freeze(&self, body: &Arc<Body>, long: Duration) {
        self.tell(&format!("{} stands still for {long:?}", body.short()));
        let until = self.elapsed() + i64::try_from(long.as_micros()).unwrap_or(0);
        body.frozen.fetch_max(until, Ordering::Relaxed);
        // What was asked of it before is done when it goes on, also after the end of all trouble.
        self.still.fetch_max(until + SECOND, Ordering::Relaxed);
    }

    /// Whether every process goes on that stood still.
    pub(crate) fn all_go_on(&self) -> bool {
        self.elapsed() > self.still.load(Ordering::Relaxed)
    }

    /// Whether it is proved that the node of that name is dead.
    pub(crate) fn is_proved_dead(&self, name: &str) -> bool {
        let bodies = inside(&self.bodies);
        let body = bodies.iter().find(|it| it.name == name);
        body.is_some_and(|it| it.is_dead() && it.shows.load(Ordering::Relaxed))
    }

    /// The desk of some process that is not known to be dead.
    pub(crate) fn desk(&self) -> Option<Desk> {
        let bodies = inside(&self.bodies);
        let desks: Vec<Desk> = bodies.iter().filter_map(|it| inside(&it.desk).clone()).collect();
        drop(bodies);
        (!desks.is_empty()).then(|| self.one(&desks))
    }

    /// A performance begins; it is over when what this returns is dropped.
    pub(crate) fn performs(self: &Arc<Self>, run: &RunId, body: &Body, of: &str) -> Performance {
        let mut noted = inside(&self.noted);
        noted.performed += 1;
        let number = noted.performed;
        noted.under_way.insert(number, (run.clone(), body.name.clone(), of.to_owned()));
        Performance { scene: self.clone(), number }
    }

    /// Fails if more runs are at work, each at the node that holds it, than there are seats; or more
    /// of their steps at something shared than it takes.
    pub(crate) async fn counts(&self, observer: &Store) {
        let under_way: Vec<_> = inside(&self.noted).under_way.values().cloned().collect();
        let mut held = Vec::new();
        for (run, node, of) in &under_way {
            let row = sure!(observer.row(run));
            held.extend(row.filter(|it| it.node.as_ref() == Some(node)).map(|_| (run, of)));
        }
        let taken: BTreeSet<&RunId> = held.iter().map(|it| it.0).collect();
        let seats = self.weather.seats as usize;
        if taken.len() > seats {
            self.wrong(format!("{} runs are at work on {seats} seats: {held:?}", taken.len()));
        }
        for (name, width) in WIDTHS {
            let n_steps = held.iter().filter(|it| it.1 == name).count();
            if n_steps > width {
                self.wrong(format!("{n_steps} steps are at {name}, which takes {width}: {held:?}"));
            }
        }
    }
}

/// One performance under way.
pub(crate) struct Performance {
    scene: Arc<Scene>,
    number: u64,
}

impl Drop for Performance {
    fn drop(&mut self) {
        inside(&self.scene.noted).under_way.remove(&self.number);
    }
}

impl Body {
    pub(crate) fn is_dead(&self) -> bool {
        self.dead.load(Ordering::Relaxed)
    }

    pub(crate) fn short(&self) -> &str {
        &self.name[..8]
    }

    pub(crate) fn thaw(&self) {
        self.frozen.store(0, Ordering::Relaxed);
    }

    pub(crate) fn frozen_for(&self, elapsed: i64) -> Duration {
        let micros = self.frozen.load(Ordering::Relaxed).saturating_sub(elapsed);
        Duration::from_micros(u64::try_from(micros).unwrap_or(0))
    }
}
