//! Whether a step may begin: it takes all it needs at once, or nothing, and waits without a seat.

use callboard_trace::{Event, Fact, Waiting};

use crate::db::Tx;
use crate::error::Result;
use crate::gauge::{Gauge, Held, Place, Standing, Take, micro, micros};
use crate::holds::{call_first, hold};
use crate::ink::{Ink, Line};
use crate::journal;
use crate::known::Known;
use crate::ledger::{Amounts, Charge, Poor};
use crate::own::Own;
use crate::submit::{Entry, admit_new};
use crate::{NewRun, Submitted, spawn};

/// A wait that is shorter is not worth a record, in microseconds.
const WORTH: i64 = 1_000_000;
/// Who waits for what time does not bring looks again after so long, whoever forgot to wake it.
const AGAIN: i64 = 60_000_000;
/// Who waits with steps of its own under way is woken by nobody, and looks again after so long.
const AGAIN_BUSY: i64 = 1_000_000;
/// Who waits for a time looks again after an hour: the clock may be set meanwhile.
const AGAIN_TIMED: i64 = 3_600_000_000;

/// What a step needs to begin, and what is written if it gets it.
#[derive(Clone, Debug, Default)]
pub struct Gate {
    /// The step's number.
    pub step: u32,
    /// Its records, written only with what it takes.
    pub facts: Vec<Fact>,
    /// Runs that start with it.
    pub spawn: Vec<NewRun>,
    /// What it takes: all of it or nothing.
    pub takes: Vec<Take>,
    /// What it sets aside in the budgets above its run.
    pub charges: Vec<Charge>,
    /// What a new run is for that starts with it: it must not be draining.
    pub starts: Option<String>,
    /// The bounds on what agents create, if this creates a run.
    pub growth: Option<spawn::Growth>,
    /// Since when it waits, microseconds since 1970; `None` = it is asked for the first time.
    pub since: Option<i64>,
    /// What a record says that it waits for.
    pub told: Option<String>,
    /// Whether the run rests while the step waits: nothing else of it is in progress.
    pub parks: bool,
}

/// What the gate said.
#[derive(Clone, Debug, PartialEq)]
pub enum Ruling {
    /// The step begins.
    Passed,
    /// It waits.
    Held(Wait),
    /// It would wait for a breaker for longer than it is to.
    GivenUp(Wait),
    /// A budget above the run has too little left.
    Poor(Poor),
    /// A fuse forbids another run.
    Blown(spawn::Blown),
    /// It asks for more units of a resource than there ever are.
    Never {
        /// The resource.
        name: String,
        /// What the step asks for.
        units: f64,
        /// What there is at most.
        capacity: f64,
    },
    /// What it would start a run for takes no new work.
    Draining,
    /// Somebody wrote into the journal: the rules are to be asked again.
    Overtaken,
}

/// What a step waits for.
#[derive(Clone, Debug, PartialEq)]
pub struct Wait {
    /// The resource.
    pub name: String,
    /// What is wrong with it.
    pub why: Held,
    /// Until when, microseconds since 1970, as far as time alone decides.
    pub until: Option<i64>,
    /// When it looks again.
    pub again: i64,
    /// Waiters before it.
    pub ahead: u64,
    /// Since when it waits.
    pub since: i64,
}

/// A gate with its records ready to be kept.
pub(crate) struct Barrier {
    gate: Gate,
    lines: Vec<Line>,
    spawn: Vec<Entry>,
    by: String,
}

/// What became of a gate in a transaction.
pub(crate) struct Opened {
    pub(crate) ruling: Ruling,
    /// The record that says that the step waits.
    pub(crate) waits: Option<(Event, Line)>,
    /// What the budgets stand at that were charged.
    pub(crate) ledger: Vec<(String, Amounts)>,
}

impl Opened {
    /// The step does not begin.
    pub(crate) fn shut(ruling: Ruling) -> Opened {
        Opened { ruling, waits: None, ledger: Vec::new() }
    }
}

impl Barrier {
    pub(crate) fn new(mut gate: Gate, ink: &Ink) -> Result<Barrier> {
        let by = gate.facts.first().map_or_else(String::new, |it| it.by.clone());
        let lines = ink.write_all(std::mem::take(&mut gate.facts))?.1;
        let spawn = std::mem::take(&mut gate.spawn);
        let spawn = spawn.into_iter().map(|it| Entry::new(it, ink)).collect::<Result<_, _>>()?;
        Ok(Barrier { gate, lines, spawn, by })
    }

    /// Whether the run rests if the step has to wait.
    pub(crate) fn parks(&self) -> bool {
        self.gate.parks
    }

    /// Takes all that the step needs and writes its records, or says why not.
    pub(crate) fn pass(
        &self,
        tx: &mut dyn Tx,
        (own, known): (&mut Own, &mut Known),
        at: i64,
        ink: &Ink,
    ) -> Result<Opened> {
        let shut = |ruling| Ok(Opened::shut(ruling));
        let place = own.place(self.gate.since, at);
        let (names, nodes) = self.looks_at();
        known.ask(tx, names, nodes, Vec::new())?;
        let mut gauges = Vec::with_capacity(self.gate.takes.len());
        for take in &self.gate.takes {
            let gauge = known.look(tx, &take.name, place)?;
            if let Some(capacity) = gauge.never(take) {
                let (name, units) = (take.name.clone(), take.units);
                return shut(Ruling::Never { name, units, capacity });
            }
            if let Some((why, until)) = gauge.holds(take, at) {
                let wait = self.wait(take, &gauge, (why, until), place, at);
                if is_too_long(take, &wait) {
                    own.leave_line(tx, &[])?;
                    return shut(Ruling::GivenUp(wait));
                }
                own.stand_in_line(tx, take, (place, micro(take.units)))?;
                let waits = self.waits((&wait, place, at), ink)?;
                return Ok(Opened { waits, ..Opened::shut(Ruling::Held(wait)) });
            }
            gauges.push(gauge);
        }
        if let Some(poor) = known.lacks(tx, &self.gate.charges)? {
            return shut(Ruling::Poor(poor));
        }
        if let Some(name) = &self.gate.starts
            && known.gauge(tx, name)?.standing == Standing::Draining
        {
            return shut(Ruling::Draining);
        }
        if let Some(growth) = &self.gate.growth
            && let Some(blown) = growth.forbids(tx, known, at)?
        {
            return shut(Ruling::Blown(blown));
        }
        self.begin(tx, (own, known), gauges, at)
    }

    /// The resources and the budgets that a step looks at which starts no run.
    pub(crate) fn looks_at(
        &self,
    ) -> (impl Iterator<Item = &String>, impl Iterator<Item = &String>) {
        let names = self.gate.takes.iter().map(|it| &it.name);
        (names, self.gate.charges.iter().map(|it| &it.node))
    }

    /// Begins the step, which starts no run, if nothing holds it: what the budgets stand at then. Else
    /// nothing is written.
    pub(crate) fn at_once(
        &self,
        tx: &mut dyn Tx,
        (own, known): (&mut Own, &mut Known),
        at: i64,
    ) -> Result<Option<Vec<(String, Amounts)>>> {
        let place = own.place(self.gate.since, at);
        let mut gauges = Vec::with_capacity(self.gate.takes.len());
        for take in &self.gate.takes {
            let gauge = known.look(tx, &take.name, place)?;
            if gauge.never(take).is_some() || gauge.holds(take, at).is_some() {
                return Ok(None);
            }
            gauges.push(gauge);
        }
        if known.lacks(tx, &self.gate.charges)?.is_some() {
            return Ok(None);
        }
        self.begin(tx, (own, known), gauges, at).map(|it| Some(it.ledger))
    }

    fn begin(
        &self,
        tx: &mut dyn Tx,
        (own, known): (&mut Own, &mut Known),
        gauges: Vec<Gauge>,
        at: i64,
    ) -> Result<Opened> {
        for (take, mut gauge) in self.gate.takes.iter().zip(gauges) {
            let counts = gauge.counts(take);
            if gauge.take(take, at) {
                known.keep(tx, &take.name, gauge)?;
            }
            if counts {
                hold(tx, own.tail.pos, self.gate.step, &take.name)?;
            }
        }
        let ledger = known.count(tx, self.gate.charges.iter().map(|it| (&it.node, &it.add)))?;
        if !self.gate.takes.is_empty() {
            own.leave_line(tx, &self.gate.takes)?;
        }
        for take in &self.gate.takes {
            let gauge = known.gauge(tx, &take.name)?;
            if gauge.due(take, 0, at).is_some() {
                call_first(tx, &take.name, |need| gauge.due(take, need, at))?;
            }
        }
        journal::append(tx, &mut own.tail, at, &self.lines)?;
        Ok(Opened { ruling: Ruling::Passed, waits: None, ledger })
    }

    /// Starts the runs that start with the step, once the run's row is written.
    pub(crate) fn start(
        &self,
        tx: &mut dyn Tx,
        known: &mut Known,
        at: i64,
    ) -> Result<Vec<Submitted>> {
        let started = admit_new(tx, &self.spawn, at)?;
        if let Some(growth) = &self.gate.growth {
            for entry in &self.spawn {
                growth.count(tx, known, entry, at)?;
            }
        }
        Ok(started)
    }

    fn wait(
        &self,
        take: &Take,
        gauge: &Gauge,
        (why, until): (Held, Option<i64>),
        place: Place,
        at: i64,
    ) -> Wait {
        let look = match (self.gate.parks, why) {
            (false, _) => AGAIN_BUSY,
            // Whoever paused it wakes all who wait for it.
            (true, Held::Paused) => i64::MAX - at,
            (true, Held::Rate | Held::Width | Held::Shut | Held::Breaker | Held::Line) => AGAIN,
        };
        let timed = until.map(|it| it.min(at + AGAIN_TIMED));
        let again = timed.unwrap_or(at + look).min(place.deadline);
        Wait {
            name: take.name.clone(),
            why,
            until,
            again,
            ahead: u64::try_from(gauge.n_before).unwrap_or_default(),
            since: place.since,
        }
    }

    /// The record of a wait, if that is worth one.
    fn waits(
        &self,
        (wait, place, at): (&Wait, Place, i64),
        ink: &Ink,
    ) -> Result<Option<(Event, Line)>> {
        let long = wait.until.is_none_or(|it| it - place.since > WORTH);
        if !long || self.gate.told.as_deref() == Some(told(wait).as_str()) {
            return Ok(None);
        }
        let eta_s = wait.until.map(|it| ((it - at).max(0) / 1_000) as f64 / 1_000.0);
        let waiting = Waiting {
            step: self.gate.step,
            resource: told(wait),
            ahead: wait.ahead,
            eta_s,
            since: Some(place.since),
        };
        let fact = Fact::new(self.by.as_str(), Event::StepWaiting(waiting));
        let (said, line) = ink.write(fact)?;
        Ok(Some((said.event, line)))
    }
}

/// Whether a breaker stays open for longer than the step waits for it.
fn is_too_long(take: &Take, wait: &Wait) -> bool {
    let most = take.breaker.map_or(i64::MAX, |it| wait.since.saturating_add(micros(it.wait)));
    wait.why == Held::Breaker && wait.until.is_some_and(|it| it > most)
}

/// What a wait is for, in the words of a record.
fn told(wait: &Wait) -> String {
    let name = &wait.name;
    match wait.why {
        Held::Rate | Held::Line => name.clone(),
        Held::Width => format!("{name}: as many steps at once as it takes"),
        Held::Shut => format!("{name}: a pause it asked for"),
        Held::Breaker => format!("{name}: left alone after failures"),
        Held::Paused => format!("{name}: paused"),
    }
}
