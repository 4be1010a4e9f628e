//! Plans that wait, as they were folded last, and what is told of one that somebody has in hand.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use callboard_agents::Run;
use callboard_agents::plan::{Counts, Plan};
use callboard_config::AgentName;
use callboard_config::budget::Caps;
use callboard_trace::{RunId, Totals};

use crate::purse;

/// Whoever goes on with a plan, or looks at it, reads only what came since it was put back. Losing
/// one costs time only.
#[derive(Default)]
pub(crate) struct Folds(Mutex<HashMap<RunId, Slot>>);

/// A run, and the number of the last record that is folded into it.
pub(crate) type Fold = (u64, Box<Run>);

/// The place of one plan; without its fold it is in somebody's hand.
#[derive(Default)]
struct Slot {
    fold: Option<Fold>,
    /// With the number of the last record that is seen in it.
    glance: Option<(u64, Glance)>,
}

/// What is told of a plan without going through its steps.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Glance {
    pub(crate) agent: AgentName,
    /// How many steps stand where, of how many.
    pub(crate) counts: Counts,
    pub(crate) all: usize,
    pub(crate) totals: Totals,
    /// What its task may spend with all its runs.
    pub(crate) caps: Option<Caps>,
    /// By whom it is paused.
    pub(crate) paused: Option<String>,
}

impl Glance {
    pub(crate) fn of(run: &Run) -> Glance {
        Glance {
            agent: run.name().clone(),
            counts: run.plan.as_deref().map(Plan::counts).unwrap_or_default(),
            all: run.plan.as_ref().map_or(0, |it| it.places().len()),
            totals: run.totals,
            caps: purse::of_task(run),
            paused: run.control.paused.clone(),
        }
    }
}

/// Plans kept folded at once.
const FOLDS_MAX: usize = 64;
/// Of those, such as are over.
const ENDED_MAX: usize = 4;

impl Folds {
    fn inside(&self) -> MutexGuard<'_, HashMap<RunId, Slot>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes a plan out. `Err` if somebody has it in hand just now.
    pub(crate) fn take(&self, run: &RunId) -> Result<Option<Fold>, ()> {
        let mut folds = self.inside();
        match folds.get_mut(run) {
            Some(slot) => slot.fold.take().map(Some).ok_or(()),
            None => {
                folds.insert(run.clone(), Slot::default());
                Ok(None)
            }
        }
    }

    /// How a plan stands whose journal is so long. Of one that is in somebody's hand, how it stood
    /// when that somebody wrote last.
    pub(crate) fn glimpse(&self, run: &RunId, seq: u64) -> Option<Glance> {
        let folds = self.inside();
        let Slot { fold, glance } = folds.get(run)?;
        let glance = glance.as_ref().filter(|it| fold.is_none() || it.0 >= seq);
        glance.map(|it| it.1.clone())
    }

    /// How a plan stands that is in our hand.
    pub(crate) fn shows(&self, run: &Run, seen: u64) {
        if let Some(slot) = self.inside().get_mut(&run.id) {
            slot.glance = Some((seen, Glance::of(run)));
        }
    }

    /// Puts a plan back, or says that nobody has it in hand any more.
    pub(crate) fn put(&self, name: &RunId, fold: Option<Fold>) {
        let mut folds = self.inside();
        folds.remove(name);
        let is_over = |it: &Slot| it.fold.as_ref().is_some_and(|(_, run)| run.end.is_some());
        if folds.values().filter(|it| is_over(it)).count() >= ENDED_MAX {
            folds.retain(|_, it| !is_over(it));
        }
        if let Some(fold) = fold.filter(|_| folds.len() < FOLDS_MAX) {
            let glance = Some((fold.0, Glance::of(&fold.1)));
            folds.insert(name.clone(), Slot { fold: Some(fold), glance });
        }
    }
}

#[cfg(test)]
mod tests {
    use callboard_trace::{Caller, Event};

    use super::*;
    use crate::{Ask, World, begin, plan};

    #[test]
    fn a_plan_in_hand_is_told_of_as_it_was_put_back() {
        let team = callboard_config::Team::nobody(vec![]);
        let agent = plan::leader();
        let ask = Ask {
            to: agent.name.clone(),
            task: "all of it".into(),
            context: String::new(),
            priority: None,
            key: None,
            fresh: false,
            deadline_s: None,
            budget: None,
            output_schema: None,
            tasks: 1,
            traceparent: None,
            session: None,
            caller: Caller {
                principal: "ann".into(),
                client: "test".into(),
                version: "1".into(),
                transport: "stdio".into(),
            },
        };
        let new = begin::root(&team, &agent, &ask, &World::real(), None);
        let Event::RunStarted(started) = &new.facts[1].event else { panic!("{:?}", new.facts) };
        let mut run = Run::new(new.run.clone(), (**started).clone());
        let (folds, name) = (Folds::default(), new.run);
        assert_eq!(folds.take(&name).map(|it| it.is_none()), Ok(true));
        assert_eq!(folds.glimpse(&name, 0), None, "nobody has seen it yet");
        run.control.paused = Some("local".into());
        folds.put(&name, Some((7, Box::new(run))));
        assert!(folds.glimpse(&name, 7).is_some(), "nothing came since");
        assert_eq!(folds.glimpse(&name, 8), None, "it is there to be folded on");
        let (seen, mut run) = folds.take(&name).ok().flatten().expect("it is there");
        assert_eq!((seen, folds.take(&name).is_err()), (7, true));
        run.control.paused = None;
        let paused = |seq| folds.glimpse(&name, seq).map(|it| it.paused);
        assert_eq!(paused(8), Some(Some("local".into())), "as it was put back");
        folds.shows(&run, 8);
        assert_eq!(paused(9), Some(None), "as it was written last");
        folds.put(&name, Some((8, run)));
        assert_eq!(folds.take(&name).ok().flatten().map(|it| it.0), Some(8));
        folds.put(&name, None);
        assert_eq!(folds.glimpse(&name, 0), None, "its holder lost it");
    }
}
