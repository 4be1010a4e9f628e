//! What a run knows of money: what it cost, what had no price, and how far its budgets are used.

use std::collections::{BTreeMap, BTreeSet};

use callboard_config::AgentName;
use callboard_config::budget::Caps;
use callboard_config::servers::ToolServer;
use serde_json::Value;

use crate::story::line;
use crate::{Action, Cost, Event, Purse, Started, StepBegun, Work};

/// One run's part.
#[derive(Clone, Debug, Default)]
pub struct Used {
    /// Millionths of a US dollar.
    pub micro_usd: u64,
    /// Models of replies that have no price.
    pub unpriced: BTreeSet<String>,
    /// What its task may spend with all its runs.
    pub task: Option<Caps>,
    /// Budgets of which a large share is used: whose, the dimension, per cent, and whether no ordinary
    /// step fits any more.
    pub alerts: Vec<(String, String, f64, bool)>,
    /// What guardrails let pass and tell of, and tool servers that are not there.
    pub flags: BTreeSet<String>,
    /// Tool servers that are being asked for their tools, by step.
    listing: BTreeMap<u32, String>,
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
        } else if let Event::BudgetAlerted { node, dimension, used, limit, pct, .. } = event {
            self.alerts.retain(|it| (&it.0, &it.1) != (node, dimension));
            let share = if *limit > 0.0 { (used / limit * 100.0).floor() } else { *pct };
            self.alerts.push((node.clone(), dimension.clone(), share, *pct >= Purse::LANDING));
        } else if let Event::Checked { check, place, verdict, reasons, .. } = event
            && verdict == "flag"
        {
            let why = reasons.join("; ");
            self.flags.insert(format!("guardrail `{check}` flagged the {place}: {why}"));
        } else if let Event::StepBegun(StepBegun { step, work, .. }) = event
            && let Work::Tool { tool, server: Some(server), .. } = work
            && tool == Work::LIST
        {
            self.listing.insert(*step, ToolServer::name_of(server).to_owned());
        } else if let Event::ToolReturned { step, ok, result, .. } = event
            && let Some(server) = self.listing.remove(step)
            && !ok
        {
            let why = result.get("error").and_then(Value::as_str).unwrap_or("it gave no list");
            self.flags.insert(format!("tools of `{server}` are missing: {}", line(why)));
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

/// What some runs cost together: their money, tokens and numbers of replies.
pub(crate) fn cost<'a>(runs: impl Iterator<Item = (&'a Used, u64, u32)>) -> Cost {
    let (mut tokens, mut micro_usd, mut replies, mut is_priced) = (0_u64, 0_u64, 0, true);
    for (used, more, n_replies) in runs {
        tokens = tokens.saturating_add(more);
        micro_usd = micro_usd.saturating_add(used.micro_usd);
        replies += n_replies;
        is_priced &= used.unpriced.is_empty();
    }
    Cost::of(tokens, micro_usd, replies > 0, is_priced)
}

/// What is to be told of some runs: each budget that is used by four fifths or more with its highest
/// share, once they are over the models that have no price, and what guardrails flagged.
pub(crate) fn notices<'a>(
    runs: impl Iterator<Item = (&'a AgentName, &'a Used)>,
    is_over: bool,
) -> Vec<String> {
    let (mut told, mut unpriced) = (Vec::<(String, f64)>::new(), BTreeSet::new());
    let mut flags = BTreeSet::new();
    for (agent, used) in runs {
        flags.extend(used.flags.iter().map(|it| format!("{agent}: {it}")));
        unpriced.extend(&used.unpriced);
        for (node, dimension, share, is_full) in &used.alerts {
            let whose = if node == "run" { agent.as_str() } else { &format!("the {node}") };
            let full = if *is_full { ", and no ordinary step fits any more" } else { "" };
            let what = format!("{whose}'s {dimension} are used{full}");
            match told.iter_mut().find(|it| it.0 == what) {
                Some(it) => it.1 = it.1.max(*share),
                None => told.push((what, *share)),
            }
        }
    }
    let unpriced = unpriced.into_iter().filter(|_| is_over).map(|model| {
        format!("unpriced_model: {model} has no price in prices.yaml, its money is not counted")
    });
    let used = told.into_iter().map(|(what, pct)| format!("{pct} % of {what}"));
    used.chain(unpriced).chain(flags).collect()
}
