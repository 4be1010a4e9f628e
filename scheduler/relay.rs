//! The way from the queue to work, for whoever took a run.

use std::sync::Arc;

use callboard_store::{Lease, Wanted};
use callboard_trace::RunId;
use tokio::sync::mpsc;

use crate::ahead::Folded;
use crate::house::House;

/// The way to a task for whoever took a run.
#[derive(Clone)]
pub(crate) struct Relay {
    pub(crate) to: mpsc::Sender<Taken>,
    /// Of this root only.
    pub(crate) root: Option<RunId>,
}

/// A run that was taken, as it was seen before if it was.
pub(crate) struct Taken {
    pub(crate) lease: Lease,
    pub(crate) folded: Option<Box<Folded>>,
}

/// Who takes runs with what it writes.
pub(crate) enum By<'a> {
    /// A plan, which begins others.
    Plan { run: &'a RunId, most: u32 },
    /// Who gives its seat up, if it has one: to nobody whose rank is behind this.
    Leaver { is_seated: bool, before: Option<i64> },
}

impl Relay {
    /// Runs for the seats that are free here, or for that of a run that leaves.
    pub(crate) fn wanted(&self, house: &House, by: &By<'_>) -> Option<Wanted> {
        if house.draining.is_cancelled() {
            return None;
        }
        let seated = house.driven.seated();
        let (max, seats, before) = match by {
            By::Plan { run, most } => {
                // Runs that left their seats to it may still be here, on their way out.
                let seats = |but| house.heirs.seats(house.world.now(), but);
                let left = seats(Some(run));
                let leavers = seats(None).saturating_sub(left);
                let others = seated.saturating_sub(leavers as usize);
                let (max, seats) = bounds(house, others, left);
                (max.min(*most), seats, None)
            }
            By::Leaver { is_seated, before } => {
                // With more beside a seat that is left, some are on their way out: the store counts.
                let beside = house.admission.share(u32::MAX).saturating_sub(1) as usize;
                let others = if *is_seated { seated.saturating_sub(1).min(beside) } else { seated };
                let (max, seats) = bounds(house, others, 0);
                (max.min(1), seats, *before)
            }
        };
        let (own, openers) = (house.admission.own(), Arc::default());
        Some(Wanted { max, seats, own, root: self.root.clone(), before, openers })
            .filter(|_| max > 0)
    }

    /// Sets runs on their way. When the process goes they are dropped, and given back with the rest.
    pub(crate) async fn send(&self, house: &House, leases: Vec<Lease>) {
        for lease in leases {
            let folded = house.ahead.take(&lease);
            if self.to.send(Taken { lease, folded }).await.is_err() {
                return;
            }
        }
    }
}

/// How many may be taken by a process with so many under way, and within how many seats, where so
/// many are left to others.
pub(crate) fn bounds(house: &House, driven: usize, left: u32) -> (u32, u32) {
    let seats = house.crew.team().limits.concurrent.saturating_sub(left);
    let free = seats.saturating_sub(u32::try_from(driven).unwrap_or(u32::MAX));
    house.admission.bounds(free.max(1), seats, driven)
}
