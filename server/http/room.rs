//! How much may be going on at once, in all and for one caller.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use callboard_config::Limits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Room for calls and for streams.
pub(crate) struct Room {
    calls: Rows,
    streams: Rows,
}

/// Places of one kind, and how many of them each caller has.
struct Rows {
    what: (&'static str, &'static str),
    n_all: usize,
    free: Arc<Semaphore>,
    held: Arc<Mutex<HashMap<String, usize>>>,
}

/// A place that is taken until this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    _share: Share,
}

#[derive(Debug)]
struct Share {
    held: Arc<Mutex<HashMap<String, usize>>>,
    whose: String,
}

/// What there is no room for, and how much of it there may be.
pub(crate) type Full = (&'static str, usize);

impl Room {
    /// As much as the limits say.
    pub(crate) fn new(limits: &Limits) -> Room {
        Room {
            calls: Rows::new(
                ("calls in flight", "calls of one caller in flight"),
                limits.in_flight_all,
            ),
            streams: Rows::new(("streams", "streams of one caller"), limits.streams),
        }
    }

    /// Room for one more call.
    pub(crate) fn call(&self, whose: &str) -> Result<Place, Full> {
        self.calls.take(whose)
    }

    /// Whether somebody waits for an answer.
    pub(crate) fn is_in_call(&self) -> bool {
        self.calls.free.available_permits() < self.calls.n_all.min(Semaphore::MAX_PERMITS)
    }

    /// Room for one more stream.
    pub(crate) fn stream(&self, whose: &str) -> Result<Place, Full> {
        self.streams.take(whose)
    }
}

impl Rows {
    fn new(what: (&'static str, &'static str), n_all: usize) -> Rows {
        let free = Arc::new(Semaphore::new(n_all.min(Semaphore::MAX_PERMITS)));
        Rows { what, n_all, free, held: Arc::default() }
    }

    /// A caller has half of the places at most, so that there are some for others.
    fn take(&self, whose: &str) -> Result<Place, Full> {
        let permit = Arc::clone(&self.free).try_acquire_owned();
        let permit = permit.map_err(|_| (self.what.0, self.n_all))?;
        let most = self.n_all.div_ceil(2);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let n_held = held.get(whose).copied().unwrap_or_default();
        if n_held >= most {
            return Err((self.what.1, most));
        }
        held.insert(whose.to_owned(), n_held + 1);
        drop(held);
        let share = Share { held: Arc::clone(&self.held), whose: whose.to_owned() };
        Ok(Place { _permit: permit, _share: share })
    }
}

impl Drop for Share {
    fn drop(&mut self) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(n_held) = held.get_mut(&self.whose) {
            *n_held -= 1;
            if *n_held == 0 {
                held.remove(&self.whose);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_takes_all_the_room() {
        let room = Room::new(&Limits { in_flight_all: 4, streams: 2, ..Limits::default() });
        let mine = [room.call("ann"), room.call("ann")].map(|it| it.expect("room"));
        assert_eq!(room.call("ann").err(), Some(("calls of one caller in flight", 2)));
        let theirs = [room.call("ben"), room.call("ben")].map(|it| it.expect("room"));
        assert_eq!(room.call("eve").err(), Some(("calls in flight", 4)));
        drop(mine);
        assert!(room.call("ann").is_ok());
        drop(theirs);
        let stream = room.stream("ann").expect("room");
        assert_eq!(room.stream("ann").err(), Some(("streams of one caller", 1)));
        let theirs = room.stream("ben").expect("room");
        assert_eq!(room.stream("eve").err(), Some(("streams", 2)));
        drop((stream, theirs));
        assert!(room.stream("ann").is_ok());
    }
}
