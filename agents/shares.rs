//! How the budget of a plan is split: the shares of its steps, and the pool of what is nobody's.

use callboard_config::budget::Caps;
use callboard_trace::{PlanStep, Purse};

use crate::Run;
use crate::plan::Plan;

impl Run {
    /// Takes in the plan it leads. Shares are parts of what there was when the plan was made:
    /// whatever is added later is the pool's.
    pub(crate) fn plan_made(&mut self, mut plan: Plan) {
        let task = self.started.purses.iter().find(|it| it.is(Purse::TASK));
        plan.whole = task.map(|it| it.caps).unwrap_or_default();
        let shares: Vec<Caps> =
            plan.places().iter().filter_map(|it| plan.share(&it.step)).collect();
        if !shares.is_empty() {
            let rest = shares.into_iter().fold(plan.whole, Caps::less);
            self.started.purses.insert(0, Purse::pool(&self.id, rest));
        }
        self.plan = Some(Box::new(plan));
    }
}

impl Plan {
    /// What a step may spend that has a share.
    pub(crate) fn share(&self, step: &PlanStep) -> Option<Caps> {
        step.share.map(|it| self.whole.part(PlanStep::millionths(it)))
    }

    /// The shares of steps that will never begin, in the order in which that became known.
    pub fn unused_shares(&self) -> impl Iterator<Item = (&str, Caps)> {
        let share = |at: &usize| {
            let step = &self.place(*at).step;
            Some((step.id.as_str(), self.share(step)?))
        };
        self.unused.iter().filter_map(share)
    }
}
