//! A step that asks its gates, and what it turns to where they hold it: the next model of its agent's
//! chain, or a resource that stands in for its own.

use callboard_agents::Run;
use callboard_config::Team;
use callboard_store::gates::{Held, Ruling};
use callboard_trace::{Event, Work};

use crate::gates;
use crate::pending::{Pending, What};

/// A pause for which something else is asked at once, in microseconds.
pub(crate) const LONG: i64 = 60_000_000;

pub(crate) struct Asking {
    pub(crate) pending: Pending,
    /// Models of the agent that were held, by their place in its chain.
    pub(crate) held: Vec<usize>,
    /// Whether it stays with what it asks for now, and waits if need be.
    pub(crate) settled: bool,
    /// Resources of which one is taken: the step's own, and what stands in for it.
    resources: Vec<String>,
    /// Which of them is asked for.
    at: usize,
}

impl Asking {
    pub(crate) fn new(team: &Team, pending: Pending) -> Asking {
        let resources = match &pending.what {
            What::Tool(prepared) => resources(team, &prepared.begun().work),
            What::Model(..) | What::HandOff(..) => Vec::new(),
        };
        Asking { pending, held: Vec::new(), settled: false, resources, at: 0 }
    }

    /// Whether nothing else is left to turn to.
    pub(crate) fn is_last(&self, run: &Run) -> bool {
        self.untried(run).is_none() && self.resources.len() < 2
    }

    /// The next model of the agent's chain that was not held yet.
    pub(crate) fn untried(&self, run: &Run) -> Option<usize> {
        let What::Model(asked, _) = &self.pending.what else { return None };
        let chain = run.models_for(&asked.purpose);
        (0..chain.len()).find(|at| *at > asked.model && !self.held.contains(at))
    }

    /// Turns to the next resource that stands in, if this ruling is about the one that is asked for; if
    /// none lets the step, or something else holds it, the step stays and waits.
    pub(crate) fn turns_aside(&mut self, ruling: &Ruling, now: i64) {
        let What::Tool(prepared) = &mut self.pending.what else { return };
        let asked = self.resources.get(self.at).map(|it| gates::of_resource_named(it));
        let is_held = asked.as_deref().is_some_and(|it| holds(ruling, it, self.at > 0, now));
        if is_held {
            self.at = (self.at + 1) % self.resources.len();
        }
        self.settled = !is_held || self.at == 0;
        let spare = self.resources.get(self.at).filter(|_| self.at > 0);
        let own = self.resources.first();
        prepared.takes(spare.zip(own).map(|(spare, own)| (spare.as_str(), own.as_str())));
        self.pending.events = vec![Event::StepBegun(prepared.begun().clone())];
    }
}

/// The resource that a call takes, and those that may stand in for it.
fn resources(team: &Team, work: &Work) -> Vec<String> {
    let Some((own, _)) = gates::resource_of(team, work) else { return Vec::new() };
    let others = team.resources.in_place_of(own);
    std::iter::once(own).chain(others).map(str::to_owned).collect()
}

/// Whether a resource has no room for a step: for over a minute, or for now if it only stands in.
fn holds(ruling: &Ruling, resource: &str, is_spare: bool, now: i64) -> bool {
    match ruling {
        Ruling::Held(wait) | Ruling::GivenUp(wait) => {
            let is_long = wait.until.is_some_and(|it| it - now > LONG);
            wait.name == resource && (is_spare || wait.why == Held::Breaker || is_long)
        }
        Ruling::Never { name, .. } => is_spare && name == resource,
        Ruling::Passed
        | Ruling::Poor(_)
        | Ruling::Blown(_)
        | Ruling::Draining
        | Ruling::Overtaken => false,
    }
}

#[cfg(test)]
mod tests {
    use callboard_store::gates::Wait;

    use super::*;

    #[test]
    fn a_minute_or_a_breaker_is_too_long_for_its_own_and_anything_for_what_stands_in() {
        let wait = |name: &str, why, until| Wait {
            name: name.into(),
            why,
            until,
            again: 0,
            ahead: 0,
            since: 0,
        };
        let never = Ruling::Never { name: "resource a".into(), units: 2.0, capacity: 1.0 };
        for (ruling, own, spare) in [
            (Ruling::Held(wait("resource a", Held::Rate, Some(LONG + 1))), true, true),
            (Ruling::Held(wait("resource a", Held::Line, Some(LONG))), false, true),
            (Ruling::Held(wait("resource a", Held::Width, None)), false, true),
            (Ruling::Held(wait("resource a", Held::Breaker, Some(1))), true, true),
            (Ruling::GivenUp(wait("resource a", Held::Breaker, Some(1))), true, true),
            (Ruling::GivenUp(wait("server a", Held::Breaker, Some(1))), false, false),
            (never, false, true),
            (Ruling::Passed, false, false),
        ] {
            assert_eq!(holds(&ruling, "resource a", false, 0), own, "{ruling:?}");
            assert_eq!(holds(&ruling, "resource a", true, 0), spare, "{ruling:?}");
        }
    }
}
