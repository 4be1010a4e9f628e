//! A share of a budget is used: how much of what, and what is said of it.

use callboard_trace::Purse;

/// The run's own budget, as alerts name it.
pub(crate) const OWN: &str = "run";
/// Percents that are told of: near the end, time for a last turn, the end.
const LEVELS: [f64; 3] = [SPENT, LANDING, NEAR];
/// From here on it is told of.
pub const NEAR: f64 = 80.0;
/// From here on nothing but a last turn is asked for.
pub const LANDING: f64 = Purse::LANDING;
/// Nothing more is asked for.
pub(crate) const SPENT: f64 = 100.0;

/// A last turn should have so long, milliseconds.
const LAST_TURN_MS: u64 = 10_000;

/// A share of a budget is used.
#[derive(Clone, Debug, PartialEq)]
pub struct Alert {
    /// `run`, `task`, `share` or `day`.
    pub node: String,
    /// `tokens`, `usd`, `seconds`, `model_calls`, `tool_calls`, `documents`.
    pub dimension: String,
    /// So much was used.
    pub used: f64,
    /// Of so much.
    pub limit: f64,
    /// Percent, as far as the budget is at its end.
    pub pct: f64,
    /// What the step takes at least that did not fit any more, with the last turn behind it.
    pub needs: Option<f64>,
    /// Whether the model was told.
    pub is_told: bool,
}

impl Alert {
    /// The highest level it has reached.
    pub(crate) fn level(&self) -> f64 {
        level(self.pct).unwrap_or_default()
    }

    /// What it says of the budget, as a fragment.
    pub(crate) fn said(&self) -> String {
        let (used, limit, dimension) = (self.used, self.limit, &self.dimension);
        let needs = self.needs.map_or_else(String::new, |it| {
            format!(", and the next step takes at least {it} with the last turn behind it")
        });
        format!("{used} of {limit} {dimension} of the {}'s budget are used{needs}", self.node)
    }

    /// The line that the model is told before its next turn.
    pub(crate) fn line(&self) -> String {
        format!("{} ({} %): bring the work to its end.", self.said(), self.pct)
    }
}

/// The highest level that so many percent have reached.
pub(crate) fn level(pct: f64) -> Option<f64> {
    LEVELS.into_iter().find(|it| pct >= *it)
}

/// Percent used of a limit, never rounded up.
pub(crate) fn percent(used: u64, limit: u64) -> f64 {
    if limit == 0 {
        return if used == 0 { 0.0 } else { SPENT };
    }
    (u128::from(used) * 1_000 / u128::from(limit)) as f64 / 10.0
}

/// An amount of a ledger in the units that people read.
pub(crate) fn shown(dimension: &str, amount: u64) -> f64 {
    match dimension {
        "usd" => amount as f64 / 1_000_000.0,
        "seconds" => amount as f64 / 1_000.0,
        _ => amount as f64,
    }
}

/// What is kept back of a limit for a last turn that takes so much: a twentieth, of tokens at least
/// 600, of time ten seconds and of model calls one, and what the last turn takes, at most half. It
/// needs no tool.
pub fn kept_back(dimension: &str, cap: u64, last: u64) -> u64 {
    match dimension {
        "tokens" => (cap / 20).max(600).max(last).min(cap / 2),
        "usd" => (cap / 20).max(last).min(cap / 2),
        "seconds" => (cap / 20).max(LAST_TURN_MS).min(cap / 2),
        "model_calls" => (cap / 20).max(1).min(cap / 2),
        _ => 0,
    }
}
