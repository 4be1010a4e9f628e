//! The budgets that runs share: what the ledger says must be what the records add up to.

use std::collections::BTreeMap;

use callboard_agents::Run;
use callboard_agents::plan::Standing;
use callboard_config::budget::Caps;
use callboard_trace::{EndState, PlanStep, Purse, Record, Stop};

use crate::history::History;
use crate::laws::Ways;
use crate::scene::sure;

/// Tokens and calls of models: by the records, and by the ledger.
#[derive(Default)]
struct Sum {
    is_limited: [bool; 2],
    spent: [i64; 2],
    kept: [i64; 2],
}

/// What a budget above its runs stands at is what their records add up to. What a share gives back
/// counts as spent there and as come back elsewhere, so all rows of a split add up together; who has a share and is
/// over, or was left out, has none of it any more.
pub(crate) async fn ledger(history: &History, all: &Ways<'_>) -> Vec<String> {
    let mut sums: BTreeMap<String, Sum> = BTreeMap::new();
    let (mut wrong, mut calls) = (Vec::new(), BTreeMap::<String, [u64; 2]>::new());
    for way in all.values() {
        let records: Vec<Record> = way.iter().map(|it| it.1.clone()).collect();
        let Some(run) = Run::fold(&records) else { continue };
        let spent = [run.spent.tokens, run.spent.model_calls];
        for purse in &run.started.purses {
            if let Some(most) = purse.caps.model_calls.filter(|_| !purse.is(Purse::POOL)) {
                let found = calls.entry(purse.node.clone()).or_insert([0, most]);
                found[0] += run.spent.model_calls;
            }
            let is_split = purse.is(Purse::SHARE) || purse.is(Purse::POOL);
            let parts = purse.node.split('/').collect::<Vec<_>>();
            let name = if is_split { format!("split of {}", parts[1]) } else { purse.node.clone() };
            let sum = sums.entry(name).or_default();
            sum.is_limited = [purse.caps.tokens.is_some(), purse.caps.model_calls.is_some()];
            (0..2).for_each(|at| sum.spent[at] += i64::try_from(spent[at]).unwrap_or(i64::MAX));
            if !is_split {
                sum.kept = stands(history, &purse.node).await;
            }
        }
        let shares =
            run.plan.iter().flat_map(|it| it.places()).filter(|it| it.step.share.is_some());
        for place in shares {
            let share = Purse::share(&run.id, &place.step.id, Caps::default()).node;
            let stands = stands(history, &share).await;
            let sum = sums.entry(format!("split of {}", run.id)).or_default();
            (0..2).for_each(|at| sum.kept[at] += stands[at]);
            let cap = shared(&run, &place.step);
            // Where a plan or a step was cut off, steps below go on for a moment; nobody needs it then.
            let is_whole =
                run.end.as_ref().is_some_and(|it| matches!(it.stop, Stop::Done | Stop::Error));
            let is_back = match place.standing {
                Standing::Ended(state) => is_whole && state != EndState::Cancelled,
                Standing::LeftOut => is_whole,
                Standing::Waiting | Standing::Ready | Standing::Open => false,
            };
            if is_back && stands[0] < cap {
                wrong.push(format!(
                    "{share} stands at {} and is over: {cap} were its own",
                    stands[0]
                ));
            }
        }
        if run.plan.is_some() && run.started.purses.iter().any(|it| it.is(Purse::POOL)) {
            let pool = stands(history, &Purse::pool(&run.id, Caps::default()).node).await;
            let back = stands(history, &Purse::back(&run.id)).await;
            let sum = sums.entry(format!("split of {}", run.id)).or_default();
            (0..2).for_each(|at| sum.kept[at] += pool[at] - back[at]);
        }
    }
    // Calls are known before; of tokens as many as a reply has too much of those it was let.
    for (node, [spent, most]) in calls.into_iter().filter(|it| it.1[0] > it.1[1]) {
        wrong.push(format!("{node} spent {spent} model calls of {most}"));
    }
    for (name, Sum { is_limited, spent, kept }) in sums {
        for at in (0..2).filter(|at| is_limited[*at] && spent[*at] != kept[*at]) {
            let (spent, kept) = (spent[at], kept[at]);
            wrong.push(format!(
                "{name} stands at {kept} by the ledger, and at {spent} by its records"
            ));
        }
    }
    wrong
}

/// Tokens and calls of models that a budget has spent, by the ledger.
async fn stands(history: &History, node: &str) -> [i64; 2] {
    let kept = sure!(history.observer.spent(node));
    [kept[0], kept[3]]
}

/// Tokens of a step's share.
fn shared(plan: &Run, step: &PlanStep) -> i64 {
    let task = plan.started.purses.iter().find(|it| it.is(Purse::TASK));
    let part = task.map(|it| it.caps.part(PlanStep::millionths(step.share.unwrap_or_default())));
    part.and_then(|it| it.tokens).map_or(0, |it| i64::try_from(it).unwrap_or(i64::MAX))
}
