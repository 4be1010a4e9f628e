//! Plays a record to a replay: one thing at a time, and only while nothing in it moves.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use callboard_agents::Recorded;
use callboard_store::{NewRun, Store};
use callboard_trace::{Event, Fact, Record, RunId, StepBegun, Work};
use tokio::time::{Instant, sleep};

use crate::cue::{Cue, Does, outcome_of};
use crate::house::House;
use crate::journal;
use crate::refusal::Stored;

/// How often a replay that does not fit its record is looked at before that is believed.
const LOOKS: u32 = 20;
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// How long a replay may move without anything from the record.
const RESTLESS: Duration = Duration::from_secs(120);

/// Hands out what the record holds.
pub(crate) struct Conductor {
    house: Arc<House>,
    recorded: Arc<Recorded>,
    written: Written,
    /// Outcomes handed out.
    pub(crate) answered: usize,
    /// For each run the first prompt that differs.
    pub(crate) notes: BTreeMap<RunId, String>,
}

impl Conductor {
    /// For the replay of this run.
    pub(crate) fn new(house: Arc<House>, recorded: Arc<Recorded>, root: &RunId) -> Conductor {
        let (written, notes) = (Written::nothing(root), BTreeMap::new());
        Conductor { house, recorded, written, answered: 0, notes }
    }

    /// Plays as far as the replay goes along; answers with the records it wrote.
    pub(crate) async fn play(&mut self, top: NewRun, cues: &[Cue<'_>]) -> Stored<Vec<Record>> {
        self.house.store.submit(top).await?;
        self.house.ready.notify_one();
        for (nth, cue) in cues.iter().enumerate() {
            // What came in one breath, such as a cancel of a whole tree, goes in one breath.
            let with_last = nth > 0 && is_told(cue) && is_told(&cues[nth - 1]);
            if !(with_last || self.settles().await?) || !self.gives(cue).await? {
                break;
            }
        }
        self.settles().await?;
        Ok(std::mem::take(&mut self.written.records))
    }

    /// Gives one thing to the replay. `false` if nothing there waits for it.
    async fn gives(&mut self, cue: &Cue<'_>) -> Stored<bool> {
        let (prompt, (left, event)) = match &cue.does {
            Does::Told { records, acts } => {
                let fact = |it: &&Record| Fact::new(it.by.as_str(), it.event.clone());
                let facts = records.iter().map(fact).collect();
                let told = self.house.store.signal(cue.run, facts, true).await?;
                self.house.ready.notify_one();
                if let (Some(length), true) = (told, acts) {
                    self.outgrows(cue.run, length).await?;
                }
                return Ok(told.is_some());
            }
            Does::Model { prompt, event } => (Some(*prompt), (None, *event)),
            Does::Tool { event, left, .. } => (None, (*left, *event)),
        };
        for _ in 0..LOOKS {
            let waiting = self.recorded.waiting();
            let fits =
                |it: &&(RunId, StepBegun)| it.0 == *cue.run && answers(&cue.does, &it.1.work);
            // Of several models that are asked side by side the one that was asked the same.
            let same = waiting.iter().filter(fits).find(|it| asks(&it.1.work, prompt));
            if let Some((run, begun)) = same.or_else(|| waiting.iter().find(fits)) {
                self.heeds(run, begun, prompt);
                self.answered += 1;
                return Ok(self.recorded.answer(run, begun.step, left, event));
            }
            sleep(LOOK).await;
        }
        Ok(false)
    }

    /// Notes a prompt that is another one than in the record.
    fn heeds(&mut self, run: &RunId, begun: &StepBegun, was: Option<&str>) {
        let Work::Model { prompt, .. } = &begun.work else { return };
        if was.is_some_and(|it| it != prompt) {
            let (step, name) = (begun.step, callboard_trace::short(run));
            self.notes.entry(run.clone()).or_insert_with(|| {
                format!(
                    "prompt of step {step} of {name} differs: the agent's definition or the program changed"
                )
            });
        }
    }

    /// Waits until nothing moves: every step in progress waits for its outcome, and every other run
    /// for something else. `false` if that never comes to be.
    async fn settles(&mut self) -> Stored<bool> {
        let until = Instant::now() + RESTLESS;
        while Instant::now() < until {
            let changed = self.house.store.changed();
            if self.is_still().await? {
                return Ok(true);
            }
            tokio::select! {
                () = changed => {}
                () = self.recorded.changed() => {}
                () = sleep(LOOK) => {}
            }
        }
        Ok(false)
    }

    async fn is_still(&mut self) -> Stored<bool> {
        let counts = self.house.store.counts().await?;
        self.written.catch_up(&self.house.store).await?;
        let waiting = self.recorded.waiting();
        let busy: BTreeSet<&RunId> = waiting.iter().map(|it| &it.0).collect();
        let has_read = |(run, seen): &(RunId, u64)| self.written.lengths.get(run) == Some(seen);
        Ok(counts.ready == 0
            && counts.running == busy.len() as u64
            && self.written.in_progress.len() == waiting.len()
            && self.house.driven.all().iter().all(has_read))
    }

    /// Waits until a run wrote more than that.
    async fn outgrows(&self, run: &RunId, length: u64) -> Stored<()> {
        for _ in 0..LOOKS * 10 {
            if self.house.store.row(run).await?.is_none_or(|it| it.seq > length) {
                break;
            }
            sleep(LOOK / 10).await;
        }
        Ok(())
    }
}

/// What the replay wrote so far.
struct Written {
    root: RunId,
    place: u64,
    records: Vec<Record>,
    lengths: HashMap<RunId, u64>,
    /// Steps that began and have no outcome.
    in_progress: BTreeSet<(RunId, u32)>,
}

impl Written {
    fn nothing(root: &RunId) -> Written {
        Written {
            root: root.clone(),
            place: 0,
            records: Vec::new(),
            lengths: HashMap::new(),
            in_progress: BTreeSet::new(),
        }
    }

    async fn catch_up(&mut self, store: &Store) -> Stored<()> {
        loop {
            let page = store.tree(&self.root, self.place, journal::PAGE).await?;
            let is_last = page.len() < journal::PAGE as usize;
            for (place, record) in page {
                self.place = place;
                self.lengths.insert(record.run.clone(), record.seq);
                if let Event::StepBegun(begun) = &record.event {
                    self.in_progress.insert((record.run.clone(), begun.step));
                } else if let Some(step) = outcome_of(&record.event) {
                    self.in_progress.remove(&(record.run.clone(), step));
                }
                self.records.push(record);
            }
            if is_last {
                return Ok(());
            }
        }
    }
}

fn is_told(cue: &Cue<'_>) -> bool {
    matches!(cue.does, Does::Told { .. })
}

/// Whether a model is asked exactly that.
fn asks(work: &Work, asked: Option<&str>) -> bool {
    matches!(work, Work::Model { prompt, .. } if Some(&**prompt) == asked)
}

/// Whether what came is the outcome of such work.
fn answers(does: &Does<'_>, work: &Work) -> bool {
    match (does, work) {
        (Does::Model { .. }, Work::Model { .. }) => true,
        (Does::Tool { call, .. }, Work::Tool { call: waiting, .. }) => call == waiting,
        (Does::Model { .. }, Work::Tool { .. })
        | (Does::Tool { .. }, Work::Model { .. })
        | (Does::Told { .. }, _) => false,
    }
}
