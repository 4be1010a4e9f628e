//! The budgets above a run: what a step sets aside there, and when a share of one is used.

use callboard_agents::Run;
use callboard_agents::limits::{Alert, LANDING, NEAR, alert, kept_back};
use callboard_agents::plan::Plan;
use callboard_config::Team;
use callboard_config::budget::Caps;
use callboard_store::gates::{Amounts, Charge, DIMENSIONS, Poor, Return, Spent};
use callboard_trace::{Event, Purse, RunId, Spend};

/// Microseconds in a day.
const DAY: i64 = 86_400 * 1_000_000;

/// The budgets that a run shares with others: its task's, its share of a plan, its workspace's day.
/// What is nobody's share is more by what came `back`.
pub(crate) fn purses(team: &Team, run: &Run, now: i64, back: &Amounts) -> Vec<Purse> {
    let mut purses = run.started.purses.clone();
    for pool in purses.iter_mut().filter(|it| it.is(Purse::POOL)) {
        pool.caps = more(pool.caps, back);
    }
    if !team.budgets.day.is_unlimited() {
        purses.push(Purse { node: day(&team.workspace, now), caps: team.budgets.day });
    }
    purses
}

/// What the task of a run may spend with all its runs.
pub(crate) fn of_task(run: &Run) -> Option<Caps> {
    run.started.purses.iter().find(|it| it.is(Purse::TASK)).map(|it| it.caps)
}

/// Each dimension that is limited: what is used of it, and how much there may be, in its units.
pub(crate) fn shares(limits: &Caps, used: &Amounts) -> Vec<(&'static str, f64, f64)> {
    let unit = |dimension| match dimension {
        "usd" => 1e6,
        "seconds" => 1e3,
        _ => 1.0,
    };
    let all = DIMENSIONS.into_iter().zip(caps(limits)).zip(used);
    let shown = |((dimension, cap), used): ((&'static str, Option<i64>), &i64)| {
        let unit = unit(dimension);
        Some((dimension, (*used).max(0) as f64 / unit, cap? as f64 / unit))
    };
    all.filter_map(shown).collect()
}

/// Microseconds until the day is over.
pub(crate) fn day_ends_in(now: i64) -> i64 {
    DAY - now.rem_euclid(DAY)
}

/// The row of a root's task.
pub(crate) fn of_root(root: &RunId) -> String {
    Purse::task(root, Caps::default()).node
}

/// The row of a workspace's day.
pub(crate) fn day(workspace: &str, now: i64) -> String {
    format!("day/{workspace}/{}", now.div_euclid(DAY))
}

/// What a step sets aside in each of them. All but a last turn leave what one takes after them.
pub(crate) fn charges(
    purses: &[Purse],
    reserved: Spend,
    last_turn: Spend,
    is_last: bool,
) -> Vec<Charge> {
    let (add, last) = (amounts(reserved), amounts(last_turn));
    let charge = |purse: &Purse| Charge {
        node: purse.node.clone(),
        add,
        caps: std::array::from_fn(|at| {
            let cap = caps(&purse.caps)[at]?;
            let whole = |it: i64| u64::try_from(it).unwrap_or_default();
            let kept = kept_back(DIMENSIONS[at], whole(cap), whole(last[at]));
            Some(if is_last { cap } else { cap - number(kept) })
        }),
    };
    purses.iter().filter(|it| counts(&it.caps, &add)).map(charge).collect()
}

/// What was spent since the last write, beyond what had been set aside.
pub(crate) fn spent(purses: &[Purse], before: Spend, now: Spend) -> Vec<Spent> {
    let (before, now) = (amounts(before), amounts(now));
    let add: Amounts = std::array::from_fn(|at| now[at] - before[at]);
    let spent = |it: &Purse| Spent { node: it.node.clone(), add };
    purses.iter().filter(|it| counts(&it.caps, &add)).map(spent).collect()
}

/// The shares that go into the pool: that of a step that is over, and those of the steps that a plan
/// left out, but for the first `known`.
pub(crate) fn returns(run: &Run, root: &RunId, is_over: bool, known: usize) -> Vec<Return> {
    let is_own = |it: &&Purse| is_over && run.started.is_step() && it.is(Purse::SHARE);
    let own = run.started.purses.iter().filter(is_own).cloned();
    let unused = run.plan.as_deref().into_iter().flat_map(Plan::unused_shares).skip(known);
    let unused = unused.map(|(step, caps)| Purse::share(root, step, caps));
    let to = Purse::back(root);
    let back = |it: Purse| Return { caps: caps(&it.caps), node: it.node, to: to.clone() };
    own.chain(unused).map(back).collect()
}

/// What is told of budgets that are used by four fifths, once to each run: what the step that has just
/// begun set aside is not used.
pub(crate) fn crossed(
    purses: &[Purse],
    ledger: &[(String, Amounts)],
    set_aside: Spend,
    known: &[Alert],
) -> Vec<Event> {
    let (mut told, set_aside) = (Vec::<Event>::new(), amounts(set_aside));
    for (node, stands) in ledger {
        let Some(purse) = purses.iter().find(|it| it.node == *node) else { continue };
        for (at, dimension) in DIMENSIONS.iter().enumerate() {
            let Some(cap) = caps(&purse.caps)[at].filter(|it| *it > 0) else { continue };
            let stands = stands[at] - set_aside[at];
            let pct = stands as f64 * 100.0 / cap as f64;
            let is_known = |it: &Alert| it.node == kind(node) && it.dimension == *dimension;
            if pct >= NEAR && !known.iter().any(is_known) {
                told.push(alerted(node, dimension, (stands, cap), pct.min(LANDING - 1.0), None));
            }
        }
    }
    told.dedup();
    told
}

/// A budget's kind, out of its row's name.
fn kind(node: &str) -> &str {
    node.split('/').next().unwrap_or(node)
}

/// What is written when a budget has too little left for a step, which takes so much at least.
pub(crate) fn lacking(poor: &Poor, purses: &[Purse], is_last: bool, needs: Option<u64>) -> Event {
    let at = DIMENSIONS.iter().position(|it| *it == poor.dimension).unwrap_or_default();
    let purse = purses.iter().find(|it| it.node == poor.node);
    let cap = purse.and_then(|it| caps(&it.caps)[at]).unwrap_or(poor.cap);
    let pct = poor.used as f64 * 100.0 / cap.max(1) as f64;
    let is_over = is_last || pct >= 100.0;
    let pct = if is_over { pct.max(100.0) } else { pct.clamp(LANDING, 99.9) };
    alerted(&poor.node, poor.dimension, (poor.used, cap), pct, needs)
}

/// What is left of the budget for a step.
pub(crate) fn left(poor: &Poor) -> u64 {
    u64::try_from(poor.cap - poor.used).unwrap_or_default()
}

fn alerted(
    node: &str,
    dimension: &str,
    (used, limit): (i64, i64),
    pct: f64,
    needs: Option<u64>,
) -> Event {
    let whole = |it: i64| u64::try_from(it).unwrap_or_default();
    alert(kind(node), dimension, (whole(used), whole(limit)), pct, needs)
}

fn more(caps: Caps, by: &Amounts) -> Caps {
    let more = |cap: Option<u64>, at: usize| cap.map(|it| it.saturating_add_signed(by[at]));
    Caps {
        tokens: more(caps.tokens, 0),
        micro_usd: more(caps.micro_usd, 1),
        ms: more(caps.ms, 2),
        model_calls: more(caps.model_calls, 3),
        tool_calls: more(caps.tool_calls, 4),
        documents: more(caps.documents, 5),
        ..caps
    }
}

/// Whether such an amount says anything under these limits.
fn counts(limits: &Caps, add: &Amounts) -> bool {
    caps(limits).iter().zip(add).any(|(cap, add)| cap.is_some() && *add != 0)
}

fn caps(caps: &Caps) -> [Option<i64>; 6] {
    let all = Spend::default().beside(caps);
    std::array::from_fn(|at| all[at].2.map(number))
}

fn amounts(spend: Spend) -> Amounts {
    let all = spend.beside(&Caps::default());
    std::array::from_fn(|at| number(all[at].1))
}

fn number(it: u64) -> i64 {
    i64::try_from(it).unwrap_or(i64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn purse(tokens: u64) -> Purse {
        Purse { node: "task/r_a".into(), caps: Caps { tokens: Some(tokens), ..Caps::default() } }
    }

    fn tokens(tokens: u64) -> Spend {
        Spend { tokens, model_calls: 1, ..Spend::default() }
    }

    #[test]
    fn what_came_back_is_for_who_has_no_share() {
        let caps = Caps { tokens: Some(1_000), ms: Some(5), ..Caps::default() };
        let back = [500, 7, -9, 1, 0, 0];
        let enlarged = more(caps, &back);
        assert_eq!(enlarged, Caps { tokens: Some(1_500), ms: Some(0), ..Caps::default() });
        let pool = Purse::pool(&RunId::from_text("r_a"), enlarged);
        assert_eq!(
            charges(&[pool], tokens(10), tokens(20), false)[0].caps[0],
            Some(900),
            "with its reserve"
        );
    }

    #[test]
    fn a_step_leaves_something_for_a_last_turn() {
        let cap = |tokens_cap, is_last| {
            charges(&[purse(tokens_cap)], tokens(10), tokens(20), is_last)[0].caps[0]
                .expect("a limit")
        };
        assert_eq!(cap(10_000, false), 9_400);
        assert_eq!(cap(100_000, false), 95_000);
        assert_eq!(cap(800, false), 400);
        let large = charges(&[purse(10_000)], tokens(10), tokens(3_000), false);
        assert_eq!(large[0].caps[0], Some(7_000), "what the last turn takes is there for it");
        assert_eq!(cap(10_000, true), 10_000);
        let seconds = Spend { ms: 5, ..Spend::default() };
        assert!(
            charges(&[purse(9)], seconds, seconds, false).is_empty(),
            "nothing of it is limited"
        );
    }

    #[test]
    fn the_difference_is_settled_and_a_crossing_is_told_once() {
        let purses = [purse(1_000)];
        assert_eq!(spent(&purses, tokens(100), tokens(40))[0].add[0], -60);
        assert!(spent(&purses, tokens(7), tokens(7)).is_empty());
        let ledger = |stands| vec![("task/r_a".to_owned(), [stands, 0, 0, 0, 0, 0])];
        let none = Spend::default();
        assert_eq!(crossed(&purses, &ledger(799), none, &[]), []);
        assert_eq!(
            crossed(&purses, &ledger(999), tokens(200), &[]),
            [],
            "what was set aside is not used"
        );
        let told = crossed(&purses, &ledger(1_000), tokens(150), &[]);
        let Event::BudgetAlerted { node, dimension, used, limit, pct, .. } = &told[0] else {
            panic!()
        };
        assert_eq!((node.as_str(), dimension.as_str()), ("task", "tokens"));
        assert_eq!((*used, *limit, *pct), (850.0, 1_000.0, 85.0));
        let known = Alert {
            node: node.clone(),
            dimension: dimension.clone(),
            used: *used,
            limit: *limit,
            pct: *pct,
            needs: None,
            is_told: false,
        };
        assert_eq!(crossed(&purses, &ledger(900), none, &[known]), []);
    }

    #[test]
    fn what_does_not_fit_lands_and_then_stops() {
        let poor = |used| Poor { node: "task/r_a".into(), dimension: "tokens", used, cap: 400 };
        let pct = |event| {
            let Event::BudgetAlerted { pct, .. } = event else { panic!() };
            pct
        };
        assert_eq!(pct(lacking(&poor(300), &[purse(1_000)], false, None)), 95.0);
        assert_eq!(pct(lacking(&poor(300), &[purse(1_000)], true, None)), 100.0);
        assert_eq!(pct(lacking(&poor(1_200), &[purse(1_000)], false, None)), 120.0);
        assert_eq!((left(&poor(100)), left(&poor(500))), (300, 0));
    }
}
