//! Whether a run's own budget bears a step: as it is, with a shorter reply, or not at all.

use callboard_config::budget::Caps;
use callboard_trace::{Event, FailureCode, Purpose, Spend, Stop, Trouble, Work};

use crate::alert::{LANDING, OWN, SPENT, kept_back, shown};
use crate::perform::{LEAST_OUTPUT, Prepared, largest};
use crate::{Run, Step};

/// What a run's own budget says of a step.
#[derive(Debug, PartialEq)]
pub enum Afford {
    /// It bears the step.
    Yes,
    /// It bears one whose reply has at most so many tokens.
    Cut(u32),
    /// It does not; the record to write.
    No(Box<Event>),
    /// The model has no price, and somebody limits money: the run ends.
    Unpriced(Box<Step>),
}

/// What the run's own budget says of a step that is ready to be performed.
pub fn affords(run: &Run, step: &Prepared) -> Afford {
    let budget = &run.started.budget;
    let (is_last, is_model) = match &step.begun().work {
        Work::Model { purpose, .. } => (*purpose == Purpose::Finalise, true),
        Work::Tool { .. } => (false, false),
    };
    let is_strict =
        budget.usd_is_written || run.started.purses.iter().any(|it| it.caps.usd_is_written);
    if is_model && is_strict && step.price().is_none() {
        return Afford::Unpriced(Box::new(unpriced(run, step)));
    }
    let short = |output: u32, keeps: bool| {
        let last = if keeps { step.last_turn_after(output) } else { Spend::default() };
        lacks(run.spent, (step.reserved_with(output), last), budget, is_last)
    };
    let Some(most) = step.max_output() else {
        let tool = (step.begun().reserved, Spend::default());
        return match lacks(run.spent, tool, budget, is_last) {
            Some(it) => Afford::No(Box::new(lacking(budget, it, is_last, step.least(it.0)))),
            None => Afford::Yes,
        };
    };
    // A first step that leaves too little for another is better than none.
    let ways = [true, false].into_iter().take(if run.spent.model_calls == 0 { 2 } else { 1 });
    for keeps in ways {
        match largest(most, |output| short(output, keeps).is_none()) {
            Some(room) if room == most => return Afford::Yes,
            Some(room) => return Afford::Cut(room),
            None => (),
        }
    }
    let Some(it) = short(LEAST_OUTPUT.min(most), true) else { return Afford::Yes };
    Afford::No(Box::new(lacking(budget, it, is_last, step.needs(it.0, is_last))))
}

/// The first dimension that a step would take too much of, and what is used of it. What the last
/// turn after it takes is kept back, unless it is one.
fn lacks(
    spent: Spend,
    (reserved, last): (Spend, Spend),
    budget: &Caps,
    is_last: bool,
) -> Option<(&'static str, u64)> {
    let all =
        spent.beside(budget).into_iter().zip(reserved.beside(budget)).zip(last.beside(budget));
    all.into_iter().find_map(|(((dimension, used, cap), (_, more, _)), (_, last, _))| {
        let cap = cap?;
        let cap = if is_last { cap } else { cap - kept_back(dimension, cap, last) };
        // Time is not set aside: a step may begin as long as there is any.
        let is_over =
            if dimension == "seconds" { used >= cap } else { used + more > cap && more > 0 };
        is_over.then_some((dimension, used))
    })
}

fn lacking(
    budget: &Caps,
    (dimension, used): (&'static str, u64),
    is_last: bool,
    needs: Option<u64>,
) -> Event {
    let all = Spend::default().beside(budget);
    let cap = all.iter().find(|it| it.0 == dimension).and_then(|it| it.2).unwrap_or_default();
    let pct = used as f64 * 100.0 / cap.max(1) as f64;
    let pct = pct.max(if is_last { SPENT } else { LANDING });
    alert(OWN, dimension, (used, cap), pct, needs)
}

/// The record of a budget that is used so far, in the units that its owner writes, with what the
/// step takes at least that does not fit.
pub fn alert(
    node: &str,
    dimension: &str,
    (used, cap): (u64, u64),
    pct: f64,
    needs: Option<u64>,
) -> Event {
    Event::BudgetAlerted {
        node: node.to_owned(),
        dimension: dimension.to_owned(),
        used: shown(dimension, used),
        limit: shown(dimension, cap),
        pct: (pct * 10.0).round() / 10.0,
        needs: needs.map(|it| shown(dimension, it)),
    }
}

fn unpriced(run: &Run, step: &Prepared) -> Step {
    let model = match &step.begun().work {
        Work::Model { provider, model, .. } => format!("{provider}/{model}"),
        Work::Tool { tool, .. } => tool.clone(),
    };
    let trouble = Trouble::of(
        FailureCode::Budget,
        format!("{model} has no price, and a limit in money was set"),
        "write its price into prices.yaml, or limit tokens instead of money",
    );
    Step::End(run.stopped(Stop::Budget, trouble))
}
