//! One shared resource as all nodes see it: a bucket, a width, a breaker, and who stands in line.

use std::time::Duration;

use crate::StoreError;
use crate::db::{Row, Tx, Val};
use crate::error::Result;

/// Units are kept in millionths.
pub(crate) const UNIT: f64 = 1e6;
/// A width that was learnt and has grown beyond this is no limit any more.
const WIDE: i64 = 1_000;

/// What a step takes of one resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Take {
    /// The resource, such as `provider acme`; the same in all processes.
    pub name: String,
    /// Units of its bucket.
    pub units: f64,
    /// How the bucket fills, as its owner wrote it.
    pub rate: Option<Rate>,
    /// Steps that may hold it at once, as its owner wrote it.
    pub width: Option<u32>,
    /// When it is left alone after failures; `None` = never.
    pub breaker: Option<Fragile>,
}

/// How a bucket fills.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Units it holds when it is full, and the most one step may take.
    pub capacity: f64,
    /// Units that come back in a second.
    pub per_second: f64,
}

/// When a resource that fails is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fragile {
    /// Failures in a row that open its breaker.
    pub failures: u32,
    /// How long it is open then, until one step may try.
    pub reset: Duration,
    /// How long that one step may take before another may try.
    pub probe: Duration,
    /// How long a step waits for an open one before it is given up.
    pub wait: Duration,
}

/// Why a step may not begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Held {
    /// Its bucket has too little.
    Rate,
    /// As many steps hold it as may.
    Width,
    /// The other side asked for a pause.
    Shut,
    /// It failed too often.
    Breaker,
    /// Somebody paused it.
    Paused,
    /// Others came first.
    Line,
}

/// Whether something takes work.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Standing {
    /// As always.
    #[default]
    Open,
    /// Steps wait until it goes on.
    Paused,
    /// What is there goes on to its end; nothing new begins.
    Draining,
}

/// The row of a resource; all times in microseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Gauge {
    /// Millionths of a unit there were `at`; may be below zero.
    pub(crate) level: i64,
    pub(crate) at: i64,
    /// What the other side said of its bucket, in millionths; 0 = nothing.
    pub(crate) capacity: i64,
    pub(crate) refill: i64,
    /// Steps at once that it took without complaint, in millionths; 0 = not known.
    pub(crate) width: i64,
    /// Steps that hold it.
    pub(crate) used: i64,
    /// Nothing passes until then.
    pub(crate) shut: i64,
    pub(crate) fails: i64,
    /// The breaker is open until then; 0 = closed.
    pub(crate) opened: i64,
    /// A step tries it until then.
    pub(crate) probe: i64,
    /// Whether it takes work, for an agent.
    pub(crate) standing: Standing,
    /// Whether there is a row.
    pub(crate) kept: bool,
    /// What those in line before the asking run need, in millionths, and how many they are.
    pub(crate) before: i64,
    pub(crate) n_before: i64,
}

/// Whom the look at a gauge is for: the run's place, its rank, since when it waits, and for how
/// long at most.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Place {
    pub(crate) pos: i64,
    pub(crate) rank: i64,
    pub(crate) since: i64,
    pub(crate) deadline: i64,
}

impl Standing {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Standing::Open => "",
            Standing::Paused => "paused",
            Standing::Draining => "draining",
        }
    }

    pub(crate) fn parse(text: &str) -> Result<Standing> {
        let all = [Standing::Open, Standing::Paused, Standing::Draining];
        all.into_iter().find(|it| it.as_str() == text).ok_or_else(|| {
            StoreError::Corrupt(format!("{text:?} is no standing; the store is damaged"))
        })
    }
}

/// Asks for a resource.
pub(crate) const FIND: &str =
    "SELECT level, at, capacity, refill, width, used, shut, fails, opened, probe, mode
    FROM gauge WHERE name = $1";

impl Gauge {
    /// With the line before a run.
    pub(crate) fn behind(mut self, tx: &mut dyn Tx, name: &str, place: Place) -> Result<Gauge> {
        // Who stands in line waits for something that is kept.
        if self.kept {
            let sql = "SELECT count(*), CAST(coalesce(sum(need), 0) AS {int}) FROM line
                WHERE name = $1 AND run <> $2 AND (rank, since, run) < ($3, $4, $2)";
            let args = [name.into(), place.pos.into(), place.rank.into(), place.since.into()];
            let line = tx.only(sql, &args)?;
            (self.n_before, self.before) = (line.int(0)?, line.int(1)?);
        }
        Ok(self)
    }

    /// As it stands, or one that nobody took of yet.
    pub(crate) fn find(tx: &mut dyn Tx, name: &str, at: i64) -> Result<Gauge> {
        Gauge::of(&tx.query(FIND, &[name.into()])?, at)
    }

    /// What was found of it.
    pub(crate) fn of(rows: &[Row], at: i64) -> Result<Gauge> {
        let Some(row) = rows.first() else { return Ok(Gauge { at, ..Gauge::default() }) };
        let was = row.int(1)?;
        // A clock that was set back takes the pauses with it, or all would wait for the jump.
        let back = (was - at).max(0);
        let moved = |it: i64| if it == 0 { 0 } else { it - back };
        Ok(Gauge {
            level: row.int(0)?,
            at: was.min(at),
            capacity: row.int(2)?,
            refill: row.int(3)?,
            width: row.int(4)?,
            used: row.int(5)?,
            shut: moved(row.int(6)?),
            fails: row.int(7)?,
            opened: moved(row.int(8)?),
            probe: moved(row.int(9)?),
            standing: Standing::parse(&row.text(10)?)?,
            kept: true,
            before: 0,
            n_before: 0,
        })
    }

    /// Writes it down.
    pub(crate) fn keep(&self, tx: &mut dyn Tx, name: &str) -> Result<()> {
        let sql = "INSERT INTO gauge(name, level, at, capacity, refill, width, used, shut, fails, opened,
              probe, mode)
            VALUES($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
            ON CONFLICT(name) DO UPDATE SET level = $2, at = $3, capacity = $4, refill = $5, width = $6,
              used = $7, shut = $8, fails = $9, opened = $10, probe = $11, mode = $12";
        let args: [Val; 12] = [
            name.into(),
            self.level.into(),
            self.at.into(),
            self.capacity.into(),
            self.refill.into(),
            self.width.into(),
            self.used.into(),
            self.shut.into(),
            self.fails.into(),
            self.opened.into(),
            self.probe.into(),
            self.standing.as_str().into(),
        ];
        tx.put(sql, &args)
    }

    /// The bucket in force, in millionths: the stricter of what was written and what was learnt.
    fn bucket(&self, take: &Take) -> Option<(i64, i64)> {
        let written = take.rate.map(|it| (micro(it.capacity), micro(it.per_second)));
        let learnt = (self.refill > 0).then_some((self.capacity, self.refill));
        match (written, learnt) {
            (Some(a), Some(b)) => Some((a.0.min(b.0), a.1.min(b.1))),
            (a, b) => a.or(b),
        }
    }

    /// What the bucket holds at that time; a new one is full.
    fn filled(&self, (capacity, refill): (i64, i64), at: i64) -> i64 {
        if !self.kept {
            return capacity;
        }
        let more = i128::from(at - self.at) * i128::from(refill) / 1_000_000;
        let level = i128::from(self.level) + more;
        i64::try_from(level.min(i128::from(capacity))).unwrap_or(capacity)
    }

    /// Why a step may not begin now, and when it may as far as time alone decides.
    pub(crate) fn holds(&self, take: &Take, at: i64) -> Option<(Held, Option<i64>)> {
        if self.standing == Standing::Paused {
            return Some((Held::Paused, None));
        }
        if let Some(until) = self.broken(take, at) {
            return Some((Held::Breaker, Some(until)));
        }
        if self.shut > at {
            return Some((Held::Shut, Some(self.shut)));
        }
        if let Some(bucket) = self.bucket(take) {
            let missing = self.before + micro(take.units) - self.filled(bucket, at);
            if missing > 0 {
                let why = if self.n_before > 0 { Held::Line } else { Held::Rate };
                return Some((why, Some(at + after(missing, bucket.1))));
            }
        }
        let width = self.width_in_force(take)?;
        if self.used + self.n_before >= width {
            let why = if self.used >= width { Held::Width } else { Held::Line };
            return Some((why, None));
        }
        None
    }

    /// When its bucket has so many millionths, if only that has to be waited for.
    pub(crate) fn due(&self, take: &Take, need: i64, at: i64) -> Option<i64> {
        let is_full = self.width_in_force(take).is_some_and(|it| self.used >= it);
        let bucket = self.bucket(take).filter(|_| self.kept && !is_full)?;
        Some(at + after((need - self.filled(bucket, at)).max(0), bucket.1))
    }

    fn broken(&self, take: &Take, at: i64) -> Option<i64> {
        take.breaker.filter(|it| self.opened > 0 && self.fails >= i64::from(it.failures))?;
        let until = self.opened.max(self.probe);
        (until > at).then_some(until)
    }

    /// Steps that may hold it at once.
    pub(crate) fn width_in_force(&self, take: &Take) -> Option<i64> {
        let learnt = (self.width > 0).then_some((self.width / 1_000_000).max(1));
        match (take.width.map(i64::from), learnt) {
            (Some(a), Some(b)) => Some(a.min(b)),
            (a, b) => a.or(b),
        }
    }

    /// More than the bucket ever holds, in units: the step could never begin.
    pub(crate) fn never(&self, take: &Take) -> Option<f64> {
        let (capacity, _) = self.bucket(take)?;
        (micro(take.units) > capacity).then_some(capacity as f64 / UNIT)
    }

    /// Takes what the step needs. `true` if there is something to keep: a bucket that nobody took of
    /// yet is full, so one that was just emptied is not the same, whatever its figures.
    pub(crate) fn take(&mut self, take: &Take, at: i64) -> bool {
        let before = self.clone();
        let is_new = !self.kept && self.bucket(take).is_some();
        if let Some(bucket) = self.bucket(take) {
            (self.level, self.at) = (self.filled(bucket, at) - micro(take.units), at);
        }
        if take.breaker.is_some_and(|it| self.opened > 0 && self.fails >= i64::from(it.failures)) {
            let probe = take.breaker.map_or(0, |it| micros(it.probe));
            self.probe = at + probe;
        }
        if self.counts(take) {
            self.used += 1;
        }
        is_new || *self != before
    }

    /// Whether those who hold it are counted.
    pub(crate) fn counts(&self, take: &Take) -> bool {
        take.width.is_some() || self.width > 0 || self.refill > 0
    }

    /// It answered well: the breaker closes, and a learnt width grows by one a round.
    pub(crate) fn good(&mut self) -> Option<&'static str> {
        let was = (self.opened > 0).then_some("half_open");
        (self.fails, self.opened, self.probe) = (0, 0, 0);
        if self.width > 0 {
            self.width += 1_000_000 / (self.width / 1_000_000).max(1);
            if self.width > WIDE * 1_000_000 {
                self.width = 0;
            }
        }
        was
    }

    /// It failed: the breaker may open.
    pub(crate) fn bad(&mut self, breaker: Fragile, at: i64) -> Option<&'static str> {
        let was = if self.opened > 0 { "half_open" } else { "closed" };
        self.fails += 1;
        self.probe = 0;
        // A failure of a step that began before it opened says nothing new.
        if self.fails < i64::from(breaker.failures) || self.opened > at {
            return None;
        }
        self.opened = at + micros(breaker.reset);
        Some(was)
    }

    /// It was asked too much: a pause, and half as many at once from then on.
    pub(crate) fn limited(&mut self, pause: Option<Duration>, running: i64, at: i64) {
        let is_new = self.shut <= at;
        if let Some(pause) = pause {
            self.shut = self.shut.max(at + micros(pause));
        }
        if is_new {
            let now = if self.width > 0 { self.width } else { running.max(2) * 1_000_000 };
            self.width = (now / 2).max(1_000_000);
        }
    }

    /// What the other side said of its bucket. `true` if it is another one than was known.
    pub(crate) fn learn(&mut self, rate: Option<Rate>, left: Option<f64>, at: i64) -> bool {
        let before = (self.capacity, self.refill);
        if let Some(rate) = rate {
            (self.capacity, self.refill) = (micro(rate.capacity), micro(rate.per_second));
            if !self.kept || before.1 == 0 {
                (self.level, self.at) = (self.capacity, at);
            }
        }
        if let Some(left) = left
            && self.refill > 0
        {
            // Of those that are under way the other side may not have heard yet.
            let left = (micro(left) - self.used * 1_000_000).max(0);
            let level = self.filled((self.capacity, self.refill), at).min(left);
            (self.level, self.at) = (level, at);
        }
        before != (self.capacity, self.refill)
    }
}

/// Microseconds until so many millionths have come back.
fn after(missing: i64, refill: i64) -> i64 {
    let refill = i128::from(refill.max(1));
    let wait = (i128::from(missing) * 1_000_000 + refill - 1) / refill;
    i64::try_from(wait).unwrap_or(i64::MAX / 4)
}

/// Units in millionths.
pub(crate) fn micro(units: f64) -> i64 {
    (units * UNIT).round() as i64
}

/// A time in microseconds.
pub(crate) fn micros(it: Duration) -> i64 {
    i64::try_from(it.as_micros()).unwrap_or(i64::MAX / 4)
}
