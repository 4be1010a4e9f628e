//! What a run knows of money: what it cost, what had no price, and how far its budgets are used.

use std::collections::BTreeSet;

use callboard_config::budget::Caps;
use serde_json::Value;

use crate::tree::Branch;
use crate::{Action, Cost, Event, Started};

/// One run's part.
#[derive(Clone, Debug, Default)]
pub struct Used {
    /// Millionths of a US dollar.
    pub micro_usd: u64,
    /// Models of replies that have no price.
    pub unpriced: BTreeSet<String>,
    /// What its task may spend with all its runs.
    pub task: Option<Caps>,
    /// Budgets of which a large share is used: whose, the dimension, per cent.
    pub alerts: Vec<(String, String, f64)>,
}

impl Used {
    pub(crate) fn begun(started: &Started) -> Used {
        let task = started.purses.iter().find(|it| it.node.starts_with("task/"));
        Used { task: task.map(|it| it.caps), ..Used::default() }
    }

    pub(crate) fn apply(&mut self, event: &Event) {
        if let Event::ModelReplied(reply) = event {
            match reply.micro_usd {
                Some(more) => self.micro_usd = self.micro_usd.saturating_add(more),
                None => drop(self.unpriced.insert(reply.model.clone())),
            }
        } else if let Event::BudgetAlerted { node, dimension, pct, .. } = event {
            self.alerts.retain(|it| (&it.0, &it.1) != (node, dimension));
            self.alerts.push((node.clone(), dimension.clone(), *pct));
        } else if let Event::Controlled(control) = event
            && control.action == Action::SetBudget
        {
            let node = control.value.get("node").and_then(Value::as_str).unwrap_or("run");
            self.alerts.retain(|it| it.0 != node);
            self.task = self.task.map(|it| match node {
                "task" => it.replaced(&control.value),
                _ => it,
            });
        }
    }
}

/// What some runs cost together.
pub(crate) fn cost(runs: &[&Branch]) -> Cost {
    let sum = |of: fn(&Branch) -> u64| runs.iter().map(|it| of(it)).fold(0, u64::saturating_add);
    let is_priced = runs.iter().all(|it| it.used.unpriced.is_empty());
    let has_replies = runs.iter().any(|it| it.replies > 0);
    Cost::of(sum(|it| it.tokens), sum(|it| it.used.micro_usd), has_replies, is_priced)
}

/// What is to be told of the money of some runs: each budget that is used by four fifths or more
/// with its highest share, and once they are over the models that have no price.
pub(crate) fn notices(runs: &[&Branch], is_over: bool) -> Vec<String> {
    let mut told: Vec<(String, f64)> = Vec::new();
    for run in runs {
        for (node, dimension, pct) in &run.used.alerts {
            let whose = if node == "run" { run.agent.as_str() } else { &format!("the {node}") };
            let what = format!("{whose}'s {dimension} are used");
            match told.iter_mut().find(|it| it.0 == what) {
                Some(it) => it.1 = it.1.max(*pct),
                None => told.push((what, *pct)),
            }
        }
    }
    let unpriced: BTreeSet<&String> = runs.iter().flat_map(|it| &it.used.unpriced).collect();
    let unpriced = unpriced.into_iter().filter(|_| is_over).map(|model| {
        format!("unpriced_model: {model} has no price in prices.yaml, its money is not counted")
    });
    told.into_iter().map(|(what, pct)| format!("{pct:.0} % of {what}")).chain(unpriced).collect()
}
