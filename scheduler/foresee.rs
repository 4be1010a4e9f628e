//! The first runs of the queue, read and decided on while others have the seats.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use callboard_agents::Run;
use callboard_config::Team;
use callboard_store::gates::{Amounts, Opener};
use callboard_trace::{Event, Fact, Purse, Record, RunId, Started};

use crate::ahead::{Folded, Seen};
use crate::batch::{Batch, Rest};
use crate::gated::opening;
use crate::house::House;
use crate::pending::What;
use crate::purse;
use crate::refusal::Stored;

/// Runs looked at.
const AHEAD_MAX: u32 = 64;
/// A run with more records than these is not looked at.
const RECORDS_MAX: u32 = 100;
/// With more seats than these nobody looks ahead: where so many wait, memory is short.
const SEATS_MAX: u32 = 1_000;
/// At most one look in this time.
const REST: Duration = Duration::from_millis(10);
/// The same where most of what was seen was taken before it was of use.
const REST_IDLE: Duration = Duration::from_millis(50);

/// Looks ahead for as long as this process works.
pub(crate) async fn look_ahead(house: Arc<House>) {
    let mut last = Vec::new();
    loop {
        let changed = house.store.changed();
        let helps = tokio::select! {
            biased;
            () = house.stopping.cancelled() => return,
            seen = see(&house, &mut last) => seen.unwrap_or_else(|error| {
                tracing::debug!(%error, "could not look ahead");
                true
            }),
        };
        tokio::select! {
            biased;
            () = house.stopping.cancelled() => return,
            () = changed => (),
        }
        tokio::time::sleep(if helps { REST } else { REST_IDLE }).await;
    }
}

/// Whether what came first the last time was of use.
async fn see(house: &House, last: &mut Vec<RunId>) -> Stored<bool> {
    let team = house.crew.team();
    let seats = house.admission.share(team.limits.concurrent);
    // While many seats are free nobody waits for one for long.
    let is_full = seats <= SEATS_MAX && house.driven.seated() * 4 >= seats as usize * 3;
    let first = match is_full {
        true => house.store.next_up(AHEAD_MAX.min(team.limits.concurrent)).await?,
        false => Vec::new(),
    };
    let now = house.world.now();
    house.ahead.openers(now, &team);
    let names: HashSet<RunId> = first.iter().map(|it| it.0.clone()).collect();
    let is_unknown = |it: &(RunId, RunId, u64)| !house.ahead.knows(&it.0, it.2, now);
    let unknown: Vec<_> = first.into_iter().filter(is_unknown).collect();
    let unread = unknown.iter().map(|it| it.0.clone()).collect();
    let journals = house.store.journals(unread, RECORDS_MAX).await?;
    for ((run, root, seq), records) in unknown.into_iter().zip(journals) {
        let known = foresee(house, &team, (&root, seq), &records)?;
        house.ahead.put(run, Seen::new(seq, house.world.now(), known));
    }
    let gone = last.iter().filter(|it| !names.contains(*it));
    let (idle, used): (Vec<_>, Vec<_>) = gone.partition(|it| house.ahead.has(it));
    let helps = idle.len() <= used.len();
    *last = names.into_iter().collect();
    Ok(helps)
}

/// A run that another one starts with its next write.
pub(crate) fn unborn((run, facts): (&RunId, &[Fact])) -> Option<Run> {
    let [first] = facts else { return None };
    let Event::RunStarted(started) = &first.event else { return None };
    Some(Run::new(run.clone(), Started::clone(started)))
}

/// Looks at what it begins with.
pub(crate) fn foresee_unborn(house: &House, (team, now): (&Team, i64), root: &RunId, run: Run) {
    let name = run.id.clone();
    if let Ok(Some(known)) = opener(house, team, (root, 1), run) {
        house.ahead.put(name, Seen::new(1, now, Some(known)));
    }
}

/// What a run begins with, by its whole journal.
fn foresee(
    house: &House,
    team: &Team,
    (root, seq): (&RunId, u64),
    records: &[Record],
) -> Stored<Option<(Opener, Box<Folded>)>> {
    let is_whole = records.last().is_some_and(|it| it.seq == seq);
    let Some(run) = Run::fold(records).filter(|_| is_whole) else { return Ok(None) };
    opener(house, team, (root, seq), run)
}

/// What it begins with, if that is a question to a model and nothing is to be written before.
fn opener(
    house: &House,
    team: &Team,
    (root, seq): (&RunId, u64),
    mut run: Run,
) -> Stored<Option<(Opener, Box<Folded>)>> {
    run.started.agent = house.crew.one(run.started.agent.clone());
    // Lost steps, places in line and what comes back of shares are looked at by who has the run.
    let is_plain = run.open_models().is_empty()
        && !run.tools.iter().any(|it| it.open)
        && run.held.is_none()
        && !run.started.purses.iter().any(|it| it.is(Purse::POOL));
    if !is_plain {
        return Ok(None);
    }
    run.now = house.world.now();
    let mut batch = Batch::default();
    let Rest::Gated(pending) = batch.decide(house, root, &mut run) else { return Ok(None) };
    if !batch.is_empty() || !matches!(pending.what, What::Model(..)) {
        return Ok(None);
    }
    let purses = purse::purses(team, &run, run.now, &Amounts::default());
    let (gate, takes) = opening(team, &run, &pending, &purses);
    let opener = house.store.opener(seq, gate)?;
    Ok(Some((opener, Box::new(Folded { run: Box::new(run), pending: *pending, takes }))))
}
