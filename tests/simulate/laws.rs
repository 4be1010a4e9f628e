//! What must hold at the end of every history, looked for in the records alone.

use std::collections::{BTreeMap, BTreeSet};

use callboard_agents::{Run, Step, next};
use callboard_config::Mode;
use callboard_store::RunState;
use callboard_trace::{
    Action, EndState, Event, Finished, Handoff, PlanStep, Record, RunId, Started, Work,
};
use serde_json::Value;

use crate::cast::{BUCKET, NAMES};
use crate::history::History;
use crate::ledger::ledger;
use crate::scene::{inside, sure};

/// The records of one run, each with its place among all.
pub(crate) type Way<'a> = Vec<(usize, &'a Record)>;
pub(crate) type Ways<'a> = BTreeMap<&'a RunId, Way<'a>>;

/// Looks for everything that must not be, and notes it.
pub(crate) async fn look(history: &History) {
    let mut all = Ways::new();
    for (at, record) in history.records.iter().enumerate() {
        all.entry(&record.run).or_default().push((at, record));
    }
    let mut wrong = Vec::new();
    for (run, way) in &all {
        numbers(run, way, &mut wrong);
    }
    all.retain(|_, way| way.iter().any(|it| matches!(it.1.event, Event::RunStarted(_))));
    for (run, way) in &all {
        let named =
            |problems: Vec<String>| problems.into_iter().map(move |it| format!("{run}: {it}"));
        wrong.extend(named(steps(way)));
        wrong.extend(named(ends(way)));
        wrong.extend(named(truth(way, &all)));
        wrong.extend(named(family(run, way, &all)));
        wrong.extend(named(fuses(way)));
        wrong.extend(named(rests(way)));
    }
    wrong.extend(promises(history, &all));
    wrong.extend(payments(history, &all));
    wrong.extend(bucket(history));
    wrong.extend(holds(history).await);
    wrong.extend(ledger(history, &all).await);
    wrong.extend(index(history, &all).await);
    for it in wrong {
        history.scene.wrong(it);
    }
}

fn started<'a>(way: &Way<'a>) -> Option<&'a Started> {
    way.iter().find_map(|(_, it)| match &it.event {
        Event::RunStarted(it) => Some(&**it),
        _ => None,
    })
}

/// The ends of a run, one for each attempt, with their places.
fn every_end<'a>(way: &Way<'a>) -> Vec<(usize, u32, &'a Finished)> {
    let end = |(at, it): &(usize, &'a Record)| match &it.event {
        Event::RunEnded(end) => Some((*at, it.attempt, &**end)),
        _ => None,
    };
    way.iter().filter_map(end).collect()
}

fn last_end<'a>(way: &Way<'a>) -> Option<&'a Finished> {
    every_end(way).last().map(|it| it.2)
}

fn handoffs<'a>(way: &Way<'a>) -> Vec<(usize, &'a Handoff)> {
    let handed = |(at, it): &(usize, &'a Record)| match &it.event {
        Event::HandedOff(it) => Some((*at, &**it)),
        _ => None,
    };
    way.iter().filter_map(handed).collect()
}

/// A run's records count without a gap.
fn numbers(run: &RunId, way: &Way<'_>, wrong: &mut Vec<String>) {
    for (should, (_, record)) in (1..).zip(way) {
        if record.seq != should {
            return wrong.push(format!("{run}: record {should} has the number {}", record.seq));
        }
    }
}

/// A step with an outcome is never begun again and has no second one; none has one unbegun.
fn steps(way: &Way<'_>) -> Vec<String> {
    let (mut done, mut begun, mut wrong) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
    for (_, record) in way {
        match &record.event {
            Event::StepBegun(it) => {
                begun.insert((it.step, it.attempt));
                if done.contains(&it.step) {
                    wrong.push(format!("step {} has its outcome and is begun again", it.step));
                }
            }
            Event::ModelReplied(it) => {
                let is_begun = begun.iter().any(|begun| begun.0 == it.step);
                // What a person says stands in the place of a reply, and is no step.
                if !done.insert(it.step) || !is_begun {
                    wrong.push(format!("step {} has two outcomes, or never began", it.step));
                }
            }
            Event::ToolReturned { step, .. } if !done.insert(*step) => {
                wrong.push(format!("step {step} has two outcomes"));
            }
            _ => (),
        }
    }
    wrong
}

/// One end for each attempt, and nothing is done behind it.
fn ends(way: &Way<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    let attempts: BTreeSet<u32> = way.iter().map(|it| it.1.attempt).collect();
    for attempt in attempts {
        let n = every_end(way).iter().filter(|it| it.1 == attempt).count();
        if n != 1 {
            wrong.push(format!("attempt {attempt} has {n} ends"));
        }
    }
    let mut is_over = false;
    for (_, record) in way {
        match &record.event {
            Event::RunEnded(_) => is_over = true,
            Event::Controlled(it) if it.action == Action::Retry => is_over = false,
            Event::Delivered { .. } | Event::CallerLeft { .. } => (),
            other if is_over => wrong.push(format!("{} stands behind the end", other.kind())),
            _ => (),
        }
    }
    wrong
}

/// The end is what the records say: whole only with an answer that meets its schema, cancelled only
/// where somebody cancelled.
fn truth(way: &Way<'_>, all: &Ways<'_>) -> Vec<String> {
    let (Some(started), Some(end)) = (started(way), last_end(way)) else { return vec![] };
    let passed_on = |it: &&RunId| {
        all.get(*it)
            .and_then(|it| last_end(it))
            .is_some_and(|it| (it.state, &it.answer) == (end.state, &end.answer))
    };
    let mut transfers = handoffs(way);
    transfers.retain(|it| it.1.mode == Mode::Transfer && it.1.step.is_none());
    let heir = transfers.last().map(|it| &it.1.run).filter(passed_on);
    let mut wrong = Vec::new();
    match end.state {
        EndState::Completed => match (&end.answer, plan(way)) {
            (None, _) => wrong.push("completed without an answer".into()),
            (Some(_), Some(plan)) => {
                let good = |step: &PlanStep| {
                    let of_step =
                        handoffs(way).into_iter().find(|it| it.1.step.as_ref() == Some(&step.id));
                    let end = of_step.and_then(|it| all.get(&it.1.run)).and_then(|it| last_end(it));
                    end.is_some_and(|it| {
                        matches!(it.state, EndState::Completed | EndState::Partial)
                    })
                };
                if !plan.iter().all(good) {
                    wrong.push("the plan is completed, and not all its steps are".into());
                }
            }
            (Some(answer), None) if heir.is_none() => {
                if !meets(answer, &started.agent.output) {
                    wrong.push(format!("completed with an answer off its schema: {answer}"));
                }
            }
            (Some(_), None) => (),
        },
        EndState::Cancelled => {
            let is_cancel =
                |it: &Event| matches!(it, Event::Controlled(it) if it.action == Action::Cancel);
            if heir.is_none() && !way.iter().any(|it| is_cancel(&it.1.event)) {
                wrong.push("cancelled by nobody".into());
            }
        }
        EndState::Partial if end.answer.is_none() => {
            wrong.push("partial without anything to keep".into());
        }
        EndState::Failed if end.error.is_none() => wrong.push("failed without a reason".into()),
        EndState::Partial | EndState::Failed => (),
    }
    wrong
}

fn meets(answer: &Value, schema: &Value) -> bool {
    jsonschema::validator_for(schema).is_ok_and(|it| it.is_valid(answer))
}

fn plan(way: &Way<'_>) -> Option<Vec<PlanStep>> {
    way.iter().find_map(|(_, it)| match &it.event {
        Event::PlanMade { steps, .. } => serde_json::from_value(steps.clone()).ok(),
        _ => None,
    })
}

/// A handoff is whole: who handed on names the run that began with it, and the reverse; and each end
/// is told to the run above, once, if that was open.
fn family(run: &RunId, way: &Way<'_>, all: &Ways<'_>) -> Vec<String> {
    let mut wrong = Vec::new();
    for (_, handoff) in handoffs(way) {
        let child = all.get(&handoff.run).and_then(started);
        let is_its = |it: &Started| {
            it.parent.as_ref() == Some(run)
                && it.handoff.as_ref().is_some_and(|it| it.id == handoff.id)
        };
        if !child.is_some_and(is_its) {
            wrong.push(format!(
                "{} handed on to {}, which began otherwise",
                handoff.id, handoff.run
            ));
        }
    }
    let parent = started(way).and_then(|it| it.parent.as_ref());
    let Some(above) = parent.map(|it| all.get(it)) else { return wrong };
    let Some(above) = above else {
        wrong.push("the run above it is not there".into());
        return wrong;
    };
    let n_named = handoffs(above).iter().filter(|it| it.1.run == *run).count();
    if n_named != 1 {
        wrong.push(format!("the run above it names it {n_named} times"));
    }
    let n_told = above
        .iter()
        .filter(|it| matches!(&it.1.event, Event::ChildEnded { child, .. } if child == run))
        .count();
    let n_heard = every_end(way).iter().filter(|it| is_open_at(above, it.0)).count();
    if n_told != n_heard {
        wrong.push(format!(
            "it ended {n_heard} times while the run above was open, which was told {n_told} times"
        ));
    }
    wrong
}

/// Whether a run is open at a place.
fn is_open_at(way: &Way<'_>, place: usize) -> bool {
    let before = way.iter().take_while(|it| it.0 < place);
    before.fold(true, |is_open, (_, record)| match &record.event {
        Event::RunEnded(_) => false,
        Event::Controlled(it) if it.action == Action::Retry => true,
        _ => is_open,
    })
}

/// No count is over its fuse.
fn fuses(way: &Way<'_>) -> Vec<String> {
    let Some(started) = started(way) else { return vec![] };
    let (fuses, mut wrong) = (started.fuses, Vec::new());
    let children = handoffs(way).iter().filter(|it| it.1.step.is_none()).count();
    if children > fuses.fan_out as usize + n_from_outside(way) {
        wrong.push(format!("{children} children, and the fuse is {}", fuses.fan_out));
    }
    if started.depth > fuses.depth {
        wrong.push(format!("depth {}, and the fuse is {}", started.depth, fuses.depth));
    }
    wrong
}

/// Handoffs that a caller asked for: no fuse holds them back.
fn n_from_outside(way: &Way<'_>) -> usize {
    handoffs(way).iter().filter(|it| it.1.reason.starts_with("outside")).count()
}

/// Folded once more, the run rests.
fn rests(way: &Way<'_>) -> Vec<String> {
    let records: Vec<Record> = way.iter().map(|it| it.1.clone()).collect();
    let Some(run) = Run::fold(&records) else { return vec!["its records are no run".into()] };
    let step = next(&run);
    if step == Step::Wait(None) { vec![] } else { vec![format!("there is more to do: {step:?}")] }
}

/// What callers were told holds: accepted is there, under one name a key; cancelled was heard.
fn promises(history: &History, all: &Ways<'_>) -> Vec<String> {
    let noted = inside(&history.scene.noted);
    let mut wrong = Vec::new();
    let mut keys: BTreeMap<&String, &RunId> = BTreeMap::new();
    for (run, of) in &noted.accepted {
        if !all.contains_key(run) {
            wrong.push(format!("{run} was accepted, and is not there"));
        }
        for key in of {
            if let Some(other) = keys.insert(key, run) {
                wrong.push(format!("{key} is {run} and {other}"));
            }
        }
    }
    for run in &noted.cancelled {
        let is_cancel =
            |it: &Event| matches!(it, Event::Controlled(it) if it.action == Action::Cancel);
        let heard = all.get(run).is_some_and(|it| it.iter().any(|it| is_cancel(&it.1.event)));
        if !heard {
            wrong.push(format!("the cancel of {run} was accepted, and it never heard of it"));
        }
    }
    wrong
}

/// A payment is made at most once, and once more for each time a person said so.
fn payments(history: &History, all: &Ways<'_>) -> Vec<String> {
    let noted = inside(&history.scene.noted);
    let mut wrong = Vec::new();
    for (token, n_paid) in &noted.paid {
        let Some(way) = noted.tokens.get(token).and_then(|it| all.get(it)) else {
            wrong.push(format!("{token} was paid for no run"));
            continue;
        };
        let step = way.iter().find_map(|(_, it)| match &it.event {
            Event::StepBegun(it) => match &it.work {
                Work::Tool { arguments, .. } if arguments["token"] == **token => Some(it.step),
                Work::Tool { .. } | Work::Model { .. } => None,
            },
            _ => None,
        });
        let said = |it: &Event| {
            matches!(it, Event::StepDecided { step: of, decision }
                if Some(*of) == step && decision == "rerun")
        };
        let n_said = way.iter().filter(|it| said(&it.1.event)).count() as u32;
        if *n_paid > 1 + n_said {
            wrong.push(format!(
                "{token} was paid {n_paid} times, and a person said so {n_said} times"
            ));
        }
    }
    wrong
}

/// The bank is never used faster than its bucket fills.
fn bucket(history: &History) -> Vec<String> {
    if history.scene.weather.jumps {
        return vec![];
    }
    let is_use = |it: &&Record| {
        let Event::StepBegun(it) = &it.event else { return false };
        matches!(&it.work, Work::Tool { server: Some(_), tool, .. } if tool.ends_with("pay") || tool.ends_with("look"))
    };
    let mut times: Vec<i64> = history.records.iter().filter(is_use).map(|it| it.at).collect();
    times.sort_unstable();
    let (holds, fills) = (BUCKET.0, BUCKET.1 * f64::from(history.scene.pace));
    let mut wrong = Vec::new();
    for (from, first) in times.iter().enumerate() {
        for (to, last) in times.iter().enumerate().skip(from) {
            let (used, most) =
                ((to - from + 1) as f64, holds + (last - first) as f64 / 1e6 * fills);
            if used > most + 0.01 {
                wrong.push(format!("the bank was used {used} times where {most:.2} were there"));
            }
        }
    }
    wrong
}

/// At the end nothing is held any more.
async fn holds(history: &History) -> Vec<String> {
    let shared = ["provider one", "resource bank"].map(str::to_owned).into_iter();
    let names: Vec<String> = shared.chain(NAMES.map(|it| format!("agent {it}"))).collect();
    let stands = sure!(history.observer.standings(names.clone()));
    let held = names.iter().zip(stands).filter(|it| it.1.used > 0);
    held.map(|(name, it)| format!("{name} is held by {} steps of nobody", it.used)).collect()
}

/// The index agrees with the records, and the chains hold.
async fn index(history: &History, all: &Ways<'_>) -> Vec<String> {
    let (observer, mut wrong) = (&history.observer, Vec::new());
    for (run, way) in all {
        let Some(row) = sure!(observer.row(run)) else {
            wrong.push(format!("{run} is not in the index"));
            continue;
        };
        let state = last_end(way).map(|it| format!("{:?}", it.state).to_lowercase());
        if (row.state, row.outcome.as_ref()) != (RunState::Ended, state.as_ref()) {
            wrong.push(format!("{run} is {:?} {:?} in the index", row.state, row.outcome));
        }
        if row.seq != way.len() as u64 || row.node.is_some() {
            wrong.push(format!("{run} has {} records, {} by the index", way.len(), row.seq));
        }
        if row.root == **run {
            let verdict = sure!(observer.verify(run));
            wrong.extend(verdict.breaks.iter().map(|it| format!("{}: {}", it.run, it.why)));
        }
    }
    wrong
}
