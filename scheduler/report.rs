//! How well it went, side by side: ended roots in groups, out of the index and their records.

use std::collections::BTreeMap;

use callboard_store::{List, RunRow};
use callboard_trace::{Caller, Event, Record};
use serde::Serialize;

use crate::busy::{AtWork, Hours};
use crate::desk::{Desk, sees};
use crate::journal;
use crate::refusal::Result;

/// Roots that are looked at, the newest.
const ROOTS_MAX: usize = 1_000;
/// Roots read at once.
const PAGE: u32 = 100;
/// Records of one root that are read.
const OF_A_ROOT: usize = 2_000;
/// Records that are read for one report.
const RECORDS_MAX: usize = 100_000;

/// What is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum By {
    /// The side of the comparison of routes; roots with a named agent stand on none.
    Arm,
    /// The agent that a root began with.
    Agent,
}

/// Groups of ended roots, by their names.
#[derive(Clone, Debug, Serialize)]
pub struct Report {
    by: By,
    /// Ended roots that were looked at, the newest.
    looked_at: usize,
    /// Whether there are more, or more records than are read.
    is_cut: bool,
    /// The last day whose tasks are no longer kept, if there is one: its totals stand in the journal.
    #[serde(skip_serializing_if = "Option::is_none")]
    gone_up_to: Option<String>,
    groups: Vec<Group>,
    /// Every agent that worked on one of these roots.
    agents: Vec<AtWork>,
}

/// One side of a comparison.
#[derive(Clone, Debug, PartialEq, Serialize)]
struct Group {
    name: String,
    runs: usize,
    completed: usize,
    partial: usize,
    failed: usize,
    cancelled: usize,
    /// Of those that nobody cancelled, the part that completed.
    success: f64,
    p50_s: f64,
    p95_s: f64,
    tokens: u64,
    /// Absent where no model had a price.
    #[serde(skip_serializing_if = "Option::is_none")]
    usd: Option<f64>,
    handoffs_per_run: f64,
}

/// One ended root.
#[derive(Clone, Debug, Default)]
struct Ended {
    outcome: String,
    elapsed_s: f64,
    arm: Option<String>,
    tokens: u64,
    micro_usd: Option<u64>,
    handoffs: usize,
}

impl Desk {
    /// The caller's newest ended roots, compared by `agent` or else by `arm`.
    ///
    /// # Errors
    /// `engine_unavailable`.
    pub async fn report(&self, by: &str, caller: &Caller) -> Result<Report> {
        let by = if by == "agent" { By::Agent } else { By::Arm };
        let mut groups: BTreeMap<String, Vec<Ended>> = BTreeMap::new();
        let (mut looked_at, mut n_left, mut before) = (0, RECORDS_MAX, None);
        let (mut is_cut, mut hours) = (true, Hours::default());
        while looked_at < ROOTS_MAX && n_left > 0 {
            let principal = sees(caller).map(str::to_owned);
            let list =
                List { principal, open: Some(false), before, limit: PAGE, ..List::default() };
            let page = self.house.store.list(list).await?;
            for row in &page {
                let ended = self.ended(row, (&mut n_left, &mut hours)).await?;
                looked_at += 1;
                let name = match by {
                    By::Arm => ended.arm.clone(),
                    By::Agent => Some(row.agent.clone()),
                };
                if let Some(name) = name {
                    groups.entry(name).or_default().push(ended);
                }
            }
            before = page.last().map(|it| it.pos);
            if page.len() < PAGE as usize {
                is_cut = n_left == 0;
                break;
            }
        }
        let groups = groups.into_iter().map(|(name, all)| group(name, &all)).collect();
        let gone_up_to = self.house.store.last_closed(&self.team().workspace).await?;
        Ok(Report { by, looked_at, is_cut, gone_up_to, groups, agents: hours.told() })
    }

    async fn ended(
        &self,
        row: &RunRow,
        (n_left, hours): (&mut usize, &mut Hours),
    ) -> Result<Ended> {
        let elapsed = row.ended.unwrap_or(row.created).saturating_sub(row.created).max(0);
        let mut ended = Ended {
            outcome: row.outcome.clone().unwrap_or_default(),
            elapsed_s: (elapsed / 1_000) as f64 / 1_000.0,
            ..Ended::default()
        };
        let mut n_read = 0;
        let walk = |record: &Record| {
            ended.take(record);
            hours.take(record);
            n_read += 1;
            *n_left = n_left.saturating_sub(1);
            n_read < OF_A_ROOT && *n_left > 0
        };
        journal::each(&self.house.store, row, walk).await?;
        Ok(ended)
    }
}

impl Ended {
    fn take(&mut self, record: &Record) {
        if let Event::Routed(routed) = &record.event {
            self.arm = Some(routed.arm.clone());
        } else if let Event::ModelReplied(reply) = &record.event {
            let used = reply.usage.input.saturating_add(reply.usage.output);
            self.tokens = self.tokens.saturating_add(used);
            if let Some(cost) = reply.micro_usd {
                self.micro_usd = Some(self.micro_usd.unwrap_or(0).saturating_add(cost));
            }
        } else if let Event::HandedOff(handoff) = &record.event {
            self.handoffs += usize::from(handoff.step.is_none());
        }
    }
}

fn group(name: String, all: &[Ended]) -> Group {
    let n_with = |outcome: &str| all.iter().filter(|it| it.outcome == outcome).count();
    let (completed, cancelled) = (n_with("completed"), n_with("cancelled"));
    let mut times: Vec<f64> = all.iter().map(|it| it.elapsed_s).collect();
    times.sort_by(f64::total_cmp);
    let part = |of: usize, all: usize| if all == 0 { 0.0 } else { of as f64 / all as f64 };
    let costs = all.iter().filter_map(|it| it.micro_usd);
    let cost = costs.reduce(u64::saturating_add);
    Group {
        name,
        runs: all.len(),
        completed,
        partial: n_with("partial"),
        failed: n_with("failed"),
        cancelled,
        success: part(completed, all.len() - cancelled),
        p50_s: nearest(&times, 50),
        p95_s: nearest(&times, 95),
        tokens: all.iter().fold(0, |sum, it| sum.saturating_add(it.tokens)),
        usd: cost.map(|it| it as f64 / 1e6),
        handoffs_per_run: part(all.iter().map(|it| it.handoffs).sum(), all.len()),
    }
}

/// The nearest of sorted times that so many per cent do not exceed.
pub(crate) fn nearest(sorted: &[f64], per_cent: usize) -> f64 {
    let at = (sorted.len() * per_cent).div_ceil(100).saturating_sub(1);
    sorted.get(at).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_adds_up() {
        let one = |outcome: &str, elapsed_s: f64, micro_usd: Option<u64>| Ended {
            outcome: outcome.into(),
            elapsed_s,
            tokens: 10,
            micro_usd,
            handoffs: 2,
            arm: None,
        };
        let all = [
            one("completed", 3.0, Some(1_500_000)),
            one("failed", 1.0, None),
            one("cancelled", 9.0, Some(500_000)),
            one("partial", 2.0, None),
        ];
        let found = group("team".into(), &all);
        assert_eq!((found.runs, found.completed, found.partial, found.failed), (4, 1, 1, 1));
        assert_eq!((found.p50_s, found.p95_s, found.tokens), (2.0, 9.0, 40));
        assert!((found.success - 1.0 / 3.0).abs() < 1e-9);
        assert_eq!((found.usd, found.handoffs_per_run), (Some(2.0), 2.0));
        let nothing = group("none".into(), &[]);
        assert_eq!((nothing.success, nothing.p95_s, nothing.usd), (0.0, 0.0, None));
    }

    #[test]
    fn percentiles_are_times_that_were_there() {
        let times: Vec<f64> = (1..=100).map(f64::from).collect();
        assert_eq!((nearest(&times, 50), nearest(&times, 95)), (50.0, 95.0));
        assert_eq!((nearest(&[7.0], 50), nearest(&[7.0], 95)), (7.0, 7.0));
    }
}
