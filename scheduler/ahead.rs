//! What is known of the first runs of the queue before they are taken.
//!
//! It counts only for a journal that is no longer than it was. Losing it costs time only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use callboard_agents::Run;
use callboard_config::Team;
use callboard_store::Lease;
use callboard_store::gates::{Opener, Openers, Take};
use callboard_trace::RunId;

use crate::pending::Pending;

/// Runs looked at.
pub(crate) const AHEAD_MAX: u32 = 64;

/// What was decided so long ago is decided anew, in microseconds.
const LASTS: i64 = 1_000_000;

/// What is known of the first runs.
#[derive(Default)]
pub(crate) struct Ahead(Mutex<Arc<View>>);

/// The same at one moment.
#[derive(Default)]
pub(crate) struct View {
    openers: Arc<Openers>,
    pub(crate) runs: HashMap<RunId, Arc<Seen>>,
    /// When it was so, and with which team.
    at: i64,
    team: Option<Arc<Team>>,
}

/// One run that was looked at.
pub(crate) struct Seen {
    /// The length of its journal then.
    seq: u64,
    at: i64,
    team: Arc<Team>,
    /// Its first step; `None` if that is not one to begin at once.
    opener: Option<Arc<Opener>>,
    folded: Mutex<Option<Box<Folded>>>,
}

/// A run and the step it begins with.
pub(crate) struct Folded {
    pub(crate) run: Box<Run>,
    pub(crate) pending: Pending,
    pub(crate) takes: Vec<Take>,
}

impl Seen {
    pub(crate) fn new(
        seq: u64,
        (at, team): (i64, Arc<Team>),
        known: Option<(Opener, Box<Folded>)>,
    ) -> Seen {
        let (opener, folded) = known.map(|it| (Arc::new(it.0), it.1)).unzip();
        Seen { seq, at, team, opener, folded: Mutex::new(folded) }
    }

    /// Whether it is known as it is now.
    pub(crate) fn is_of(&self, seq: u64, now: i64, team: &Arc<Team>) -> bool {
        self.seq == seq && self.lasts(now, team)
    }

    /// Whether what was decided still counts.
    fn lasts(&self, now: i64, team: &Arc<Team>) -> bool {
        self.at > now - LASTS && Arc::ptr_eq(&self.team, team)
    }

    /// Whether nobody has taken it.
    pub(crate) fn is_there(&self) -> bool {
        self.folded.lock().unwrap_or_else(PoisonError::into_inner).is_some()
    }
}

impl Ahead {
    pub(crate) fn view(&self) -> Arc<View> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn show(&self, view: Arc<View>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = view;
    }
}

impl View {
    pub(crate) fn new(runs: HashMap<RunId, Arc<Seen>>, at: i64, team: Arc<Team>) -> View {
        let opener = |(run, it): (&RunId, &Arc<Seen>)| Some((run.clone(), it.opener.clone()?));
        let openers = Arc::new(runs.iter().filter_map(opener).collect());
        View { openers, runs, at, team: Some(team) }
    }

    /// How many more runs there is room for.
    pub(crate) fn room(&self) -> usize {
        (AHEAD_MAX as usize).saturating_sub(self.runs.len())
    }

    /// The steps that may begin with a write of now.
    pub(crate) fn openers(&self, now: i64, team: &Arc<Team>) -> Arc<Openers> {
        let is_of_now =
            self.at > now - LASTS && self.team.as_ref().is_some_and(|it| Arc::ptr_eq(it, team));
        if is_of_now { self.openers.clone() } else { Arc::default() }
    }

    /// What of it still counts, with runs that begin with a write of now.
    pub(crate) fn with(&self, unborn: Vec<(RunId, Seen)>, (at, team): (i64, &Arc<Team>)) -> View {
        let mut runs = self.runs.clone();
        runs.retain(|_, it| it.lasts(at, team));
        runs.extend(unborn.into_iter().map(|(run, seen)| (run, Arc::new(seen))));
        View::new(runs, at, team.clone())
    }

    /// A run that was taken, as it was seen. Nobody else gets it.
    pub(crate) fn of(&self, lease: &Lease) -> Option<Box<Folded>> {
        let seen = self.runs.get(&lease.run)?;
        if lease.begun.is_none() && lease.seq != seen.seq {
            return None;
        }
        seen.opener.iter().for_each(|it| it.spend());
        seen.folded.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_lasts_a_while_and_with_its_team_only() {
        let (team, other) = (Arc::new(Team::default()), Arc::new(Team::default()));
        let run = |it: &str| RunId::from_text(it);
        let seen = |at, team: &Arc<Team>| Seen::new(1, (at, team.clone()), None);
        let names = |view: &View| {
            let mut names: Vec<_> = view.runs.keys().map(RunId::to_string).collect();
            names.sort();
            names
        };
        let first = View::default().with(vec![(run("r_a"), seen(7, &team))], (7, &team));
        let second = first.with(vec![(run("r_b"), seen(LASTS, &team))], (LASTS, &team));
        assert_eq!(names(&second), ["r_a", "r_b"]);
        assert_eq!(second.room(), AHEAD_MAX as usize - 2);
        let third = second.with(vec![(run("r_c"), seen(LASTS + 7, &team))], (LASTS + 7, &team));
        assert_eq!(names(&third), ["r_b", "r_c"], "the first was decided on too long ago");
        assert_eq!(names(&third.with(Vec::new(), (LASTS + 7, &other))), [""; 0], "another team");
        let view = second.runs[&run("r_b")].clone();
        assert!(view.is_of(1, LASTS, &team) && !view.is_of(2, LASTS, &team), "it went on since");
    }
}
