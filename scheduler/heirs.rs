//! Which runs leave their seat to a more urgent step of their plan that begins with their end.
//!
//! All of it are hints that cost milliseconds where they are wrong.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use callboard_agents::plan::{Heir, Plan};
use callboard_store::Submitted;
use callboard_trace::RunId;
use callboard_trace::rank::POINT;

/// How long a seat is left free for a plan that does not take it, in microseconds.
const LEFT: i64 = 100_000;
/// Plans looked after at once.
const LEADS_MAX: usize = 64;

/// The open steps of plans that are led here, by the run that leads.
#[derive(Default)]
pub(crate) struct Heirs(Mutex<HashMap<RunId, Lead>>);

#[derive(Default)]
struct Lead {
    /// The open runs, each with its step and those that wait for it.
    open: HashMap<RunId, (Heir, Vec<Heir>)>,
    /// How many open steps each of those waits for, also where the plan has not heard of an end.
    unmet: HashMap<usize, usize>,
    /// By whose end seats are left, and until when.
    left: HashMap<RunId, i64>,
    /// Of such whose end the plan has heard of and has not acted on.
    heard: HashMap<RunId, i64>,
}

impl Heirs {
    fn inside(&self) -> MutexGuard<'_, HashMap<RunId, Lead>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A plan is led here from now on.
    pub(crate) fn leads(&self, leader: &RunId, plan: &Plan) {
        let mut leads = self.inside();
        if leads.len() >= LEADS_MAX {
            leads.clear();
        }
        let lead = leads.entry(leader.clone()).or_default();
        (lead.open, lead.unmet) = (HashMap::new(), HashMap::new());
        plan.open_runs().for_each(|it| lead.begins(plan, &it));
        let heard = lead.left.extract_if(|it, _| !lead.open.contains_key(it));
        lead.heard.extend(heard);
    }

    /// Steps of it have begun.
    pub(crate) fn begin(&self, leader: &RunId, plan: &Plan, began: &[Submitted]) {
        if let Some(lead) = self.inside().get_mut(leader) {
            began.iter().for_each(|it| lead.begins(plan, &it.run));
        }
    }

    /// A run with this rank ends well: the rank of the most urgent step that may begin with it, if
    /// there is one. The seat is left to it from now on.
    pub(crate) fn leaves(&self, leader: &RunId, run: &RunId, rank: i64, now: i64) -> Option<i64> {
        let mut leads = self.inside();
        let lead = leads.get_mut(leader)?;
        let (own, of_heir) = lead.ends(run)?;
        lead.left.insert(run.clone(), now + LEFT);
        Some(rank + (i64::from(own) - i64::from(of_heir)) * POINT)
    }

    /// Its seat was not left, or its end was not written.
    pub(crate) fn keeps(&self, leader: &RunId, run: &RunId) {
        if let Some(lead) = self.inside().get_mut(leader) {
            lead.left.remove(run);
        }
    }

    /// The plan has heard of the end of a run.
    pub(crate) fn hears(&self, leader: &RunId, run: &RunId) {
        if let Some(lead) = self.inside().get_mut(leader) {
            lead.ends(run);
            lead.heard.extend(lead.left.remove_entry(run));
        }
    }

    /// The plan has acted on what it heard; whether seats were left to it.
    pub(crate) fn acted(&self, leader: &RunId) -> bool {
        let mut leads = self.inside();
        leads.get_mut(leader).is_some_and(|it| !std::mem::take(&mut it.heard).is_empty())
    }

    /// The plan is led here no more.
    pub(crate) fn forget(&self, leader: &RunId) {
        self.inside().remove(leader);
    }

    /// Seats that are left to plans, but for those that this one may take now.
    pub(crate) fn seats(&self, now: i64, but: Option<&RunId>) -> u32 {
        let mut leads = self.inside();
        // Later than that is left of a clock that was set back.
        let is_left = |until: i64| (now + 1..=now + LEFT).contains(&until);
        let of = |(name, lead): (&RunId, &mut Lead)| {
            lead.left.retain(|_, until| is_left(*until));
            lead.heard.retain(|_, until| is_left(*until));
            lead.left.len() + if Some(name) == but { 0 } else { lead.heard.len() }
        };
        u32::try_from(leads.iter_mut().map(of).sum::<usize>()).unwrap_or(u32::MAX)
    }
}

impl Lead {
    fn begins(&mut self, plan: &Plan, run: &RunId) {
        let Some((step, heirs)) = plan.heirs(run).filter(|it| !it.1.is_empty()) else { return };
        for heir in &heirs {
            self.unmet.entry(heir.at).or_insert(heir.unmet);
        }
        self.open.insert(run.clone(), (step, heirs));
    }

    /// Takes the end of a run in, once: its points, and those of the most urgent step that waits for
    /// nothing else.
    fn ends(&mut self, run: &RunId) -> Option<(u16, u16)> {
        let (step, heirs) = self.open.remove(run)?;
        let mut first = None;
        for heir in heirs {
            let Some(unmet) = self.unmet.get_mut(&heir.at) else { continue };
            *unmet = unmet.saturating_sub(1);
            if *unmet == 0 {
                self.unmet.remove(&heir.at);
                first = first.max(Some(heir.points));
            }
        }
        first.map(|it| (step.points, it))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seat_is_left_once_to_who_waits_for_nothing_else_and_for_a_while() {
        let name = |it: &str| RunId::from_text(it);
        let (leader, a, b) = (name("r_lead"), name("r_a"), name("r_b"));
        let step = |at, unmet, points| Heir { at, unmet, points };
        let both = step(2, 2, 300);
        let mut lead = Lead::default();
        lead.open.insert(a.clone(), (step(0, 0, 500), vec![both]));
        lead.open.insert(b.clone(), (step(1, 0, 400), vec![both, step(3, 2, 900)]));
        lead.unmet = HashMap::from([(2, 2), (3, 2)]);
        let heirs = Heirs(Mutex::new(HashMap::from([(leader.clone(), lead)])));
        assert_eq!(heirs.leaves(&leader, &a, 7, 0), None, "its heir waits for another");
        assert_eq!(heirs.leaves(&leader, &b, 7, 0), Some(7 + 100 * POINT));
        assert_eq!(heirs.leaves(&leader, &b, 7, 0), None, "it ended before");
        let seats = |now| (heirs.seats(now, None), heirs.seats(now, Some(&leader)));
        assert_eq!(seats(0), (1, 1), "the plan has not heard of it");
        heirs.hears(&leader, &b);
        assert_eq!(seats(0), (1, 0), "it is the plan's own");
        assert_eq!((heirs.acted(&leader), heirs.acted(&leader)), (true, false));
        assert_eq!(seats(0), (0, 0));
        heirs.inside().entry(leader.clone()).or_default().left.insert(b.clone(), LEFT);
        assert_eq!(seats(LEFT - 1), (1, 1));
        assert_eq!(seats(LEFT), (0, 0), "nobody came for it");
        heirs.inside().entry(leader.clone()).or_default().left.insert(b.clone(), LEFT);
        assert_eq!(seats(-1), (0, 0), "the clock was set back meanwhile");
        heirs.forget(&leader);
        assert_eq!(heirs.leaves(&leader, &b, 7, 0), None);
    }
}
