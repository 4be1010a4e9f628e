//! Who waits for a seat and finds none: whoever is less urgent, or has its share of the seats, gives
//! its own up between two steps.

use std::sync::{Mutex, PoisonError};

use callboard_store::{EXEMPT_FROM, Lease};

/// What presses, as it was when nobody found a seat.
pub(crate) struct Pressing(Mutex<Press>);

struct Press {
    /// The rank of the first run in the queue; the largest number while seats are free.
    rank: i64,
    /// Workspaces that have their share of the seats while another has less.
    over: Vec<String>,
}

impl Default for Pressing {
    fn default() -> Pressing {
        Pressing(Mutex::new(Press { rank: i64::MAX, over: Vec::new() }))
    }
}

impl Pressing {
    /// The first run of the queue that found no seat, if there is one, and who has enough of them.
    pub(crate) fn set(&self, first: Option<i64>, over: Vec<String>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) =
            Press { rank: first.unwrap_or(i64::MAX), over };
    }

    /// Whether this seat is wanted.
    pub(crate) fn wants(&self, lease: &Lease) -> bool {
        let press = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_over = lease.priority < EXEMPT_FROM && press.over.contains(&lease.workspace);
        press.rank < lease.rank || is_over
    }
}
