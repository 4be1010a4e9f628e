//! What is known of runs before they are taken.
//!
//! It counts only for a journal that is no longer than it was. Losing it costs time only.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use callboard_agents::Run;
use callboard_config::Team;
use callboard_store::Lease;
use callboard_store::gates::{Opener, Openers, Take};
use callboard_trace::RunId;

use crate::pending::Pending;

/// Runs known at once, with what a write starts and takes beyond that.
const KNOWN_MAX: usize = 512;
/// What was decided so long ago is decided anew, in microseconds.
const LASTS: i64 = 1_000_000;
/// What began so long ago, and was not taken here, did not begin.
const BEGAN: i64 = 60 * LASTS;

/// What is known, and the steps that may begin with a write.
#[derive(Default)]
pub(crate) struct Ahead {
    known: Mutex<Known>,
    openers: Arc<Openers>,
}

#[derive(Default)]
struct Known {
    runs: HashMap<RunId, Seen>,
    /// The team they were decided with.
    team: Option<Arc<Team>>,
    /// When the old ones were dropped last.
    swept: i64,
}

/// One run that was looked at.
pub(crate) struct Seen {
    /// The length of its journal then.
    seq: u64,
    at: i64,
    /// Its first step; `None` if that is not one to begin at once.
    opener: Option<Arc<Opener>>,
    folded: Option<Box<Folded>>,
}

/// A run and the step it begins with.
pub(crate) struct Folded {
    pub(crate) run: Box<Run>,
    pub(crate) pending: Pending,
    pub(crate) takes: Vec<Take>,
}

impl Seen {
    pub(crate) fn new(seq: u64, at: i64, known: Option<(Opener, Box<Folded>)>) -> Seen {
        let (opener, folded) = known.map(|it| (Arc::new(it.0), it.1)).unzip();
        Seen { seq, at, opener, folded }
    }

    /// Whether it is to be decided anew.
    fn is_old(&self, now: i64) -> bool {
        self.at <= now - LASTS
    }

    /// Whether nobody will ask for it any more, at that time; if so its step does not begin.
    fn is_past(&self, is_other_team: bool, now: i64) -> bool {
        (is_other_team || self.is_old(now))
            && (!self.opener.as_ref().is_some_and(|it| it.spend()) || self.at <= now - BEGAN)
    }
}

impl Ahead {
    /// The steps that may begin with a write of now, with that team.
    pub(crate) fn openers(&self, now: i64, team: &Arc<Team>) -> Arc<Openers> {
        let mut known = self.known();
        let is_other = !known.team.as_ref().is_some_and(|it| Arc::ptr_eq(it, team));
        if is_other || known.swept <= now - LASTS / 8 {
            (known.team, known.swept) = (Some(team.clone()), now);
            let past: Vec<_> = known.runs.extract_if(|_, it| it.is_past(is_other, now)).collect();
            past.iter().for_each(|it| drop(self.openers.remove(&it.0)));
            // They are dropped while others may look.
            drop(known);
        }
        self.openers.clone()
    }

    /// How many more runs there is room for.
    pub(crate) fn room(&self) -> usize {
        KNOWN_MAX.saturating_sub(self.known().runs.len())
    }

    /// This is known of that run.
    pub(crate) fn put(&self, run: RunId, seen: Seen) {
        let opener = seen.opener.clone();
        self.known().runs.insert(run.clone(), seen);
        // Last: who takes the run with its step looks for the rest of it at once.
        match opener {
            Some(opener) => self.openers.put(run, opener),
            None => drop(self.openers.remove(&run)),
        }
    }

    /// Whether it is known as it is now, with a journal that long.
    pub(crate) fn knows(&self, run: &RunId, seq: u64, now: i64) -> bool {
        self.known().runs.get(run).is_some_and(|it| it.seq == seq && !it.is_old(now))
    }

    /// Whether nobody has taken it here.
    pub(crate) fn has(&self, run: &RunId) -> bool {
        self.known().runs.contains_key(run)
    }

    /// A run that was taken, as it was seen. Nobody else gets it.
    pub(crate) fn take(&self, lease: &Lease) -> Option<Box<Folded>> {
        let seen = self.known().runs.remove(&lease.run)?;
        if let Some(opener) = self.openers.remove(&lease.run) {
            opener.spend();
        }
        seen.folded.filter(|_| lease.begun.is_some() || lease.seq == seen.seq)
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_known_lasts_a_while_and_with_its_team_only() {
        let (team, other) = (Arc::new(Team::default()), Arc::new(Team::default()));
        let run = |it: &str| RunId::from_text(it);
        let ahead = Ahead::default();
        let left = |now, team| {
            ahead.openers(now, team);
            ["r_a", "r_b"].map(|it| ahead.knows(&run(it), 1, now))
        };
        left(7, &team);
        ahead.put(run("r_a"), Seen::new(1, 7, None));
        ahead.put(run("r_b"), Seen::new(1, LASTS, None));
        assert_eq!(ahead.room(), KNOWN_MAX - 2);
        assert_eq!(left(LASTS, &team), [true, true]);
        assert!(!ahead.knows(&run("r_b"), 2, LASTS), "it went on since");
        assert_eq!(left(LASTS + 7, &team), [false, true], "decided on too long ago");
        left(2 * LASTS - 1, &team);
        assert_eq!(ahead.room(), KNOWN_MAX - 1, "and dropped");
        assert_eq!(left(2 * LASTS - 1, &other), [false, false], "another team");
    }
}
