//! Lets go of what is past its time, one node for all: each day is closed with its totals before the
//! first of its tasks leaves.

use std::collections::BTreeMap;
use std::time::Duration;

use callboard_config::policy::Retain;
use callboard_store::{RunRow, StoreError};
use callboard_trace::{Event, Fact, RunId, Work};
use chrono::DateTime;
use serde::Serialize;

use crate::desk::Desk;
use crate::house::House;
use crate::pause::jittered;
use crate::refusal::{Result, Stored};
use crate::{Refusal, RefusalCode};

/// Before the first look: who comes for one task only has other things to do.
const FIRST: Duration = Duration::from_secs(120);
/// Between two looks, and between two that any node takes.
const EVERY: Duration = Duration::from_secs(3_600);
/// Between two passes over all long texts.
const PASS: Duration = Duration::from_secs(86_400);
/// Between two writes: work goes first.
const REST: Duration = Duration::from_millis(50);
/// Tasks that are counted for people.
const COUNTED: usize = 1_000;
/// Microseconds in a day.
const DAY: i64 = 86_400 * 1_000_000;

/// What was done on a day: of the tasks that ended then, with all their runs.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
struct Totals {
    /// By how they ended.
    roots: BTreeMap<String, u64>,
    runs: u64,
    tokens: u64,
    /// Absent where no model had a price.
    usd: Option<f64>,
    model_calls: u64,
    tool_calls: u64,
    #[serde(skip)]
    micro_usd: Option<u64>,
}

/// A task that is past its time.
struct Old {
    pos: u64,
    root: RunId,
    ended: i64,
    outcome: String,
}

/// Looks now and then, for as long as the node works.
pub(crate) async fn retain(house: std::sync::Arc<House>) {
    let mut rest = FIRST;
    loop {
        let look = async {
            tokio::time::sleep(jittered(&house.world, rest)).await;
            look(&house).await
        };
        tokio::select! {
            biased;
            () = house.stopping.cancelled() => return,
            done = look => match done {
                Ok(()) => (),
                Err(StoreError::Closed) => return,
                Err(error) => tracing::warn!(%error, "what is past its time could not leave"),
            },
        }
        rest = EVERY;
    }
}

impl Desk {
    /// How many tasks of the workspace are past their time, counted up to a thousand, and for how many
    /// days they are kept.
    ///
    /// # Errors
    /// `engine_unavailable`.
    pub async fn past_their_time(&self) -> Result<Option<(usize, u32)>> {
        let (team, store) = (self.team(), &self.house.store);
        let Some(days) = team.retain.records else { return Ok(None) };
        let before = past(store.now().await?, days);
        let (mut count, mut after) = (0, Some(0));
        while let Some(place) = after.filter(|_| count < COUNTED) {
            let (old, next) = store.ended_before(&team.workspace, before, place).await?;
            (count, after) = ((count + old.len()).min(COUNTED), next);
        }
        Ok((count > 0).then_some((count, days)))
    }

    /// Refuses to go on from records whose long texts are not kept any more.
    pub(crate) fn is_whole(&self, row: &RunRow) -> Result<()> {
        let Some(days) = self.team().retain.bodies else { return Ok(()) };
        let before = past(self.house.world.now(), days);
        match row.ended.is_some_and(|it| it < before) {
            false => Ok(()),
            true => Err(Refusal::new(
                RefusalCode::Conflict,
                format!("{} ended more than {days} days ago: its long texts are not kept", row.run),
                "give its task again; `retain.bodies_days` in team.yaml says for how long they are",
            )),
        }
    }
}

async fn look(house: &House) -> Stored<()> {
    let (team, store) = (house.crew.team(), &house.store);
    let (Retain { records, bodies }, workspace) = (team.retain, &team.workspace);
    if records.or(bodies).is_none() || !store.turn(&format!("retain {workspace}"), EVERY).await? {
        return Ok(());
    }
    while store.drop_left().await? {
        tokio::time::sleep(REST).await;
    }
    let now = store.now().await?;
    if let Some(days) = records {
        drop_records(house, workspace, past(now, days)).await?;
    }
    let before = bodies.map(|it| past(now, it));
    if store.turn(&format!("pass {workspace}"), PASS).await?
        && store.bodies_are_due(workspace, before).await?
    {
        let swept = store.sweep_bodies(workspace, before).await?;
        tracing::info!(?swept, "looked for long texts that are past their time");
    }
    Ok(())
}

/// What ended before this is past its time: whole days, of which the last was over so long ago.
pub(crate) fn past(now: i64, days: u32) -> i64 {
    (now.div_euclid(DAY) - i64::from(days)) * DAY
}

/// A day by its name, such as `2026-09-10`.
fn name(day: i64) -> String {
    let first = DateTime::from_timestamp_micros(day.saturating_mul(DAY)).unwrap_or_default();
    first.date_naive().to_string()
}

/// Day after day, the oldest first.
async fn drop_records(house: &House, workspace: &str, before: i64) -> Stored<()> {
    let (store, mut from) = (&house.store, i64::MIN);
    let remembered = store.remembered_under(workspace).await?;
    while let Some((day, mut old)) = oldest(house, workspace, from, before).await? {
        let ends = (day + 1) * DAY;
        close(house, workspace, day, &old).await?;
        old.retain(|it| !remembered.contains(&it.pos));
        old.sort_by_key(|it| it.ended);
        let places: Vec<u64> = old.iter().map(|it| it.pos).collect();
        let mut left = &places[..];
        while !left.is_empty() {
            let dropped = store.drop_roots(left, ends).await?;
            left = &left[dropped.looked_at.max(1).min(left.len())..];
            tokio::time::sleep(REST).await;
        }
        from = ends;
    }
    Ok(())
}

/// The first day in this time on which a task ended, with all that ended on it.
async fn oldest(
    house: &House,
    workspace: &str,
    from: i64,
    before: i64,
) -> Stored<Option<(i64, Vec<Old>)>> {
    let (mut before, mut found, mut after) = (before, Vec::<Old>::new(), Some(0));
    while let Some(place) = after {
        let (page, next) = house.store.ended_before(workspace, before, place).await?;
        found.extend(page.into_iter().filter_map(|it| old(it, from)));
        if let Some(first) = found.iter().map(|it| it.ended.div_euclid(DAY)).min() {
            before = before.min((first + 1) * DAY);
            found.retain(|it| it.ended < before);
        }
        after = next;
    }
    let day = found.first().map(|it| it.ended.div_euclid(DAY));
    Ok(day.map(|day| (day, found)))
}

fn old(row: RunRow, from: i64) -> Option<Old> {
    let ended = row.ended.filter(|it| *it >= from)?;
    Some(Old { pos: row.pos, root: row.run, ended, outcome: row.outcome.unwrap_or_default() })
}

/// Writes a day's totals, unless they are written: then some of its tasks may be gone.
async fn close(house: &House, workspace: &str, day: i64, old: &[Old]) -> Stored<()> {
    let (store, day) = (&house.store, name(day));
    if store.last_closed(workspace).await?.is_some_and(|it| it >= day) {
        return Ok(());
    }
    let mut totals = Totals::default();
    for it in old {
        *totals.roots.entry(it.outcome.clone()).or_default() += 1;
        totals.runs += store.runs_under(&it.root).await?;
        let mut after = Some(0);
        while let Some(place) = after {
            let (steps, next) = store.steps_under(&it.root, place).await?;
            steps.iter().for_each(|step| totals.take(step));
            after = next;
        }
    }
    totals.usd = totals.micro_usd.map(|it| it as f64 / 1e6);
    let totals = serde_json::to_value(&totals).unwrap_or_default();
    let closed = Event::DayClosed { day, totals };
    store.close_day(workspace, Fact::new(house.node.as_str(), closed)).await?;
    Ok(())
}

impl Totals {
    fn take(&mut self, event: &Event) {
        if let Event::ModelReplied(reply) = event {
            let used = reply.usage.input.saturating_add(reply.usage.output);
            self.tokens = self.tokens.saturating_add(used);
            if let Some(more) = reply.micro_usd {
                self.micro_usd = Some(self.micro_usd.unwrap_or(0).saturating_add(more));
            }
        } else if let Event::StepBegun(begun) = event {
            match &begun.work {
                Work::Model { .. } => self.model_calls += 1,
                // To look into memory is no act of an agent's.
                Work::Tool { tool, .. } if tool == Work::LOOK => (),
                Work::Tool { .. } => self.tool_calls += u64::from(begun.attempt == 1),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use callboard_trace::StepBegun;

    use super::*;

    #[test]
    fn days_are_past_as_a_whole() {
        let noon = 20_000 * DAY + DAY / 2;
        assert_eq!(past(noon, 1), 19_999 * DAY, "what ended yesterday stays");
        assert_eq!(past(noon, 365), 19_635 * DAY);
        assert_eq!(past(20_000 * DAY, 1), past(20_001 * DAY - 1, 1));
        assert_eq!(name(19_635), "2023-10-05");
        assert_eq!(name(i64::MAX), "1970-01-01", "no clock says so, and it is no fault");
    }

    #[test]
    fn totals_add_up() {
        let model = |attempt| {
            let work = json!({"of": "model", "provider": "p", "model": "m", "purpose": "turn",
                "messages": 1, "prompt": "x"});
            StepBegun::new(1, attempt, serde_json::from_value(work).expect("work"))
        };
        let tool = |tool: &str, attempt| {
            let work = json!({"of": "tool", "call": "c", "tool": tool, "arguments": {},
                "repeatable": true});
            StepBegun::new(2, attempt, serde_json::from_value(work).expect("work"))
        };
        let mut totals = Totals::default();
        let begun = [model(1), model(2), tool("Read", 1), tool("Read", 2), tool(Work::LOOK, 1)];
        begun.into_iter().for_each(|it| totals.take(&Event::StepBegun(it)));
        assert_eq!((totals.model_calls, totals.tool_calls), (2, 1));
        let reply = json!({"kind": "model_replied", "step": 1, "reply": {}, "finish": "stop",
            "usage": {"input": 5, "cached": 0, "output": 2, "reasoning": 0}, "model": "p/m",
            "first_token_ms": 1, "ms": 2, "micro_usd": 7});
        let reply: Event = serde_json::from_value(reply).expect("a reply");
        totals.take(&reply);
        totals.take(&reply);
        assert_eq!((totals.tokens, totals.micro_usd), (14, Some(14)));
    }
}
