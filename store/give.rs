//! What a step gives back when its outcome is known, and what that says of what it held.

use std::time::Duration;

use callboard_trace::Event;

use crate::db::Tx;
use crate::error::Result;
use crate::gates::Take;
use crate::gauge::{Gauge, Rate, micro};
use crate::holds::{drop_hold, wake_line};
use crate::known::Known;
use crate::seats::held;

/// Who waits for a resource that came back is woken, at most so many at once.
const WOKEN: i64 = 1_000;

/// A resource that a step held.
#[derive(Clone, Debug, PartialEq)]
pub struct Give {
    /// The step's number; 0 = it is said of the whole run.
    pub step: u32,
    /// What it took.
    pub take: Take,
    /// Units it really used; `None` = as many as it took.
    pub used: Option<f64>,
    /// How it went, as far as that says something of the resource.
    pub went: Went,
    /// What the other side said of its bucket: how it fills, and what is left.
    pub learned: Option<Learned>,
}

/// How it went with a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Went {
    /// Well.
    Good,
    /// It failed, and may do so again.
    Bad,
    /// It was asked too much; it wants a pause of so long.
    Limited(Option<Duration>),
    /// Nothing is to be learnt from it.
    Neither,
}

/// What the other side said of a bucket.
#[derive(Clone, Debug, PartialEq)]
pub struct Learned {
    /// How it fills; `None` = it did not say.
    pub rate: Option<Rate>,
    /// Units that are left.
    pub left: Option<f64>,
    /// How long nothing is to pass, if nothing is left.
    pub shut: Option<Duration>,
    /// The header that says it.
    pub header: String,
}

impl Give {
    /// Gives it back; answers what others should know. `held` is what the steps of the run in that place
    /// held before.
    pub(crate) fn give(
        &self,
        tx: &mut dyn Tx,
        known: &mut Known,
        (pos, held): (i64, &[(i64, String)]),
        at: i64,
    ) -> Result<Vec<Event>> {
        let name = &self.take.name;
        let mut was = known.gauge(tx, name)?;
        if held.iter().any(|it| it.0 == i64::from(self.step) && it.1 == *name) {
            drop_hold(tx, pos, i64::from(self.step), name)?;
            was.used = (was.used - 1).max(0);
        }
        let mut gauge = was.clone();
        if let Some(used) = self.used
            && (self.take.rate.is_some() || gauge.refill > 0)
        {
            gauge.level += micro(self.take.units - used);
        }
        let turned = self.judge(tx, &mut gauge, at)?;
        let mut told: Vec<Event> = turned
            .map(|(from, to)| Event::BreakerChanged {
                resource: name.clone(),
                from: from.into(),
                to: to.into(),
                failures: u32::try_from(gauge.fails).unwrap_or(u32::MAX),
            })
            .into_iter()
            .collect();
        if let Some(learned) = &self.learned {
            told.extend(self.learns(&mut gauge, learned, at));
        }
        if turned.is_some_and(|it| it.1 == "closed") || was.width < gauge.width {
            wake_line(tx, name, WOKEN)?;
        }
        match gauge == was {
            true => known.turns(name, was),
            false => known.keep(tx, name, gauge)?,
        }
        Ok(told)
    }

    fn judge(
        &self,
        tx: &mut dyn Tx,
        gauge: &mut Gauge,
        at: i64,
    ) -> Result<Option<(&'static str, &'static str)>> {
        Ok(match (self.went, self.take.breaker) {
            (Went::Good, _) => gauge.good().map(|from| (from, "closed")),
            (Went::Bad, Some(breaker)) => gauge.bad(breaker, at).map(|from| (from, "open")),
            (Went::Limited(pause), _) => {
                gauge.limited(pause, held(tx)? as i64, at);
                None
            }
            (Went::Bad, None) | (Went::Neither, _) => None,
        })
    }

    fn learns(&self, gauge: &mut Gauge, learned: &Learned, at: i64) -> Option<Event> {
        let changed = gauge.learn(learned.rate, learned.left, at);
        if let Some(shut) = learned.shut {
            gauge.shut = gauge.shut.max(at + crate::gauge::micros(shut));
        }
        changed.then(|| Event::LimitsLearned {
            resource: self.take.name.clone(),
            limit: learned.rate.map(|it| it.capacity),
            remaining: learned.left,
            header: learned.header.clone(),
        })
    }
}
