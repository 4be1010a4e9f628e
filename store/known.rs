//! What all share, as one write knows it: each row is asked for once, and several on one way.

use std::collections::HashMap;
use std::collections::hash_map::Entry;

use crate::db::{Ask, Row, Tx};
use crate::error::Result;
use crate::gauge::{self, Gauge, Place};
use crate::ledger::{self, Amounts, Charge, DIMENSIONS, Poor, Return};

/// The rows of resources and budgets, as they stand in a write: nobody else writes meanwhile.
pub(crate) struct Known {
    at: i64,
    gauges: HashMap<String, Gauge>,
    ledger: HashMap<String, Amounts>,
}

impl Known {
    /// Nothing yet, at that time.
    pub(crate) fn new(at: i64) -> Known {
        Known { at, gauges: HashMap::new(), ledger: HashMap::new() }
    }

    /// Asks for those that are not known, and for more; answers the latter.
    pub(crate) fn ask<'a>(
        &mut self,
        tx: &mut dyn Tx,
        gauges: impl Iterator<Item = &'a String>,
        nodes: impl Iterator<Item = &'a String>,
        more: Vec<Ask>,
    ) -> Result<Vec<Vec<Row>>> {
        let mut gauges: Vec<&String> = gauges.filter(|it| !self.gauges.contains_key(*it)).collect();
        let mut nodes: Vec<&String> = nodes.filter(|it| !self.ledger.contains_key(*it)).collect();
        for names in [&mut gauges, &mut nodes] {
            names.sort_unstable();
            names.dedup();
        }
        let (own, mut asked) = (more.len(), more);
        asked.extend(gauges.iter().map(|it| (gauge::FIND, vec![(*it).into()])));
        asked.extend(nodes.iter().map(|it| (ledger::FIND, vec![(*it).into()])));
        if asked.is_empty() {
            return Ok(Vec::new());
        }
        let mut answers = tx.all(&asked)?;
        let mut rows = answers.split_off(own).into_iter();
        for (name, rows) in gauges.into_iter().zip(&mut rows) {
            self.gauges.insert(name.clone(), Gauge::of(&rows, self.at)?);
        }
        for (node, rows) in nodes.into_iter().zip(&mut rows) {
            self.ledger.insert(node.clone(), ledger::of(&rows)?);
        }
        Ok(answers)
    }

    /// A resource as it stands.
    pub(crate) fn gauge(&mut self, tx: &mut dyn Tx, name: &str) -> Result<Gauge> {
        if let Some(gauge) = self.gauges.get(name) {
            return Ok(gauge.clone());
        }
        let gauge = Gauge::find(tx, name, self.at)?;
        self.gauges.insert(name.to_owned(), gauge.clone());
        Ok(gauge)
    }

    /// The same, with the line before a run.
    pub(crate) fn look(&mut self, tx: &mut dyn Tx, name: &str, place: Place) -> Result<Gauge> {
        self.gauge(tx, name)?.behind(tx, name, place)
    }

    /// Writes down how a resource stands from here on.
    pub(crate) fn keep(&mut self, tx: &mut dyn Tx, name: &str, gauge: Gauge) -> Result<()> {
        gauge.keep(tx, name)?;
        self.turns(name, Gauge { kept: true, ..gauge });
        Ok(())
    }

    /// A resource stands so, which is written down already.
    pub(crate) fn turns(&mut self, name: &str, gauge: Gauge) {
        self.gauges.insert(name.to_owned(), Gauge { before: 0, n_before: 0, ..gauge });
    }

    /// What a budget has spent and set aside.
    fn spent(&mut self, tx: &mut dyn Tx, node: &str) -> Result<Amounts> {
        Ok(match self.ledger.entry(node.to_owned()) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(new) => *new.insert(ledger::read(tx, node)?),
        })
    }

    fn add(&mut self, tx: &mut dyn Tx, node: &str, more: &Amounts) -> Result<Amounts> {
        let was = self.spent(tx, node)?;
        let now: Amounts = std::array::from_fn(|at| was[at].saturating_add(more[at]));
        ledger::keep(tx, node, &now)?;
        self.ledger.insert(node.to_owned(), now);
        Ok(now)
    }

    /// The first budget that cannot bear what the step sets aside.
    pub(crate) fn lacks(&mut self, tx: &mut dyn Tx, charges: &[Charge]) -> Result<Option<Poor>> {
        for charge in charges {
            let used = self.spent(tx, &charge.node)?;
            let over = (0..6).find(|at| {
                charge.add[*at] > 0
                    && charge.caps[*at].is_some_and(|cap| used[*at] + charge.add[*at] > cap)
            });
            if let Some(at) = over {
                let cap = charge.caps[at].unwrap_or_default();
                let (node, dimension) = (charge.node.clone(), DIMENSIONS[at]);
                return Ok(Some(Poor { node, dimension, used: used[at], cap }));
            }
        }
        Ok(None)
    }

    /// Counts what is set aside or was spent; answers what each budget stands at then.
    pub(crate) fn count<'a>(
        &mut self,
        tx: &mut dyn Tx,
        all: impl Iterator<Item = (&'a String, &'a Amounts)>,
    ) -> Result<Vec<(String, Amounts)>> {
        all.map(|(node, more)| Ok((node.clone(), self.add(tx, node, more)?))).collect()
    }

    /// Moves what is left of shares: it counts as spent there, and as come back in the other row. What
    /// was spent beyond a share is taken from the other. Doing it again moves nothing.
    pub(crate) fn give_back(&mut self, tx: &mut dyn Tx, returns: &[Return]) -> Result<()> {
        for it in returns {
            let used = self.spent(tx, &it.node)?;
            let left: Amounts =
                std::array::from_fn(|at| it.caps[at].map_or(0, |cap| cap - used[at]));
            if left != [0; 6] {
                self.add(tx, &it.node, &left)?;
                self.add(tx, &it.to, &left)?;
            }
        }
        Ok(())
    }
}
