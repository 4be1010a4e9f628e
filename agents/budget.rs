//! What a run knows of its budget: the alerts it was told, and new limits that take them back.

use callboard_trace::{Event, Purse, Spend};
use serde_json::Value;

use crate::alert::{Alert, LANDING, OWN, percent, shown};
use crate::run::Run;

impl Run {
    /// Whether a budget leaves no more than a last turn. People cost nothing.
    pub(crate) fn lands(&self) -> bool {
        !self.is_human() && self.alerts.iter().any(|it| it.pct >= LANDING)
    }

    /// Takes in an alert; of one dimension of one node the last one counts.
    pub(crate) fn alerted(&mut self, event: &Event) {
        let Event::BudgetAlerted { node, dimension, used, limit, pct, needs } = event else {
            return;
        };
        self.alerts.retain(|it| (&it.node, &it.dimension) != (node, dimension));
        self.alerts.push(Alert {
            node: node.clone(),
            dimension: dimension.clone(),
            used: *used,
            limit: *limit,
            pct: *pct,
            needs: *needs,
            is_told: false,
        });
    }

    /// What the model is to be told of its budget and was not.
    pub(crate) fn untold_alerts(&self) -> impl Iterator<Item = String> {
        self.alerts.iter().filter(|it| !it.is_told && it.pct < LANDING).map(Alert::line)
    }

    /// Replaces the limits that are given, `null` lifting one; alerts of lower limits are over. What
    /// a plan gets more is the pool's, and what it gets less is missing there.
    pub(crate) fn set_budget(&mut self, value: &Value) {
        let is_task = value.get("node").and_then(Value::as_str) == Some(Purse::TASK);
        let purses = &mut self.started.purses;
        let caps = if is_task {
            purses.iter_mut().find(|it| it.is(Purse::TASK)).map(|it| &mut it.caps)
        } else {
            Some(&mut self.started.budget)
        };
        let Some(caps) = caps else { return };
        let before = *caps;
        *caps = caps.replaced(value);
        let after = *caps;
        let limits = Spend::default().beside(&after);
        let is_as_low = |it: &Alert| {
            let limit = limits.iter().find(|limit| limit.0 == it.dimension).and_then(|it| it.2);
            limit.is_some_and(|limit| shown(&it.dimension, limit) <= it.limit)
        };
        let node = if is_task { Purse::TASK } else { OWN };
        self.alerts.retain(|it| it.node != node || is_as_low(it));
        if is_task && let Some(pool) = purses.iter_mut().find(|it| it.is(Purse::POOL)) {
            pool.caps = pool.caps.moved(before, after);
            self.alerts.retain(|it| it.node != Purse::POOL);
        }
    }

    /// A run that goes on keeps the alerts that its own spending still stands for; what was said
    /// of other budgets, and of steps that did not fit, is found out anew.
    pub(crate) fn recheck_alerts(&mut self) {
        let shares = self.spent.beside(&self.started.budget);
        self.alerts.retain(|it| {
            let share = shares.iter().find(|share| it.node == OWN && share.0 == it.dimension);
            share.is_some_and(|(_, used, limit)| {
                limit.is_some_and(|limit| percent(*used, limit) >= it.level())
            })
        });
    }
}
