//! How much may be going on at once, in all and for one caller.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use callboard_config::Limits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Room for calls and for streams.
pub(crate) struct Room {
    calls: Arc<Semaphore>,
    n_calls: usize,
    streams: Arc<Semaphore>,
    n_streams: usize,
    held: Arc<Mutex<HashMap<String, usize>>>,
}

/// A place that is taken until this is dropped.
#[derive(Debug)]
pub(crate) struct Place {
    _permit: OwnedSemaphorePermit,
    _share: Option<Share>,
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
        let semaphore = |most: usize| Arc::new(Semaphore::new(most.min(Semaphore::MAX_PERMITS)));
        Room {
            calls: semaphore(limits.in_flight_all),
            n_calls: limits.in_flight_all,
            streams: semaphore(limits.streams),
            n_streams: limits.streams,
            held: Arc::default(),
        }
    }

    /// Room for one more call; a caller has half of it at most, so that there is some for others.
    pub(crate) fn call(&self, whose: &str) -> Result<Place, Full> {
        let permit = Arc::clone(&self.calls).try_acquire_owned();
        let permit = permit.map_err(|_| ("calls in flight", self.n_calls))?;
        let most = self.n_calls.div_ceil(2);
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let n_held = held.entry(whose.to_owned()).or_default();
        if *n_held >= most {
            return Err(("calls of one caller in flight", most));
        }
        *n_held += 1;
        drop(held);
        let share = Share { held: Arc::clone(&self.held), whose: whose.to_owned() };
        Ok(Place { _permit: permit, _share: Some(share) })
    }

    /// Room for one more stream.
    pub(crate) fn stream(&self) -> Result<Place, Full> {
        let permit = Arc::clone(&self.streams).try_acquire_owned();
        let permit = permit.map_err(|_| ("streams", self.n_streams))?;
        Ok(Place { _permit: permit, _share: None })
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
        let room = Room::new(&Limits { in_flight_all: 4, streams: 1, ..Limits::default() });
        let mine = [room.call("ann"), room.call("ann")].map(|it| it.expect("room"));
        assert_eq!(room.call("ann").err(), Some(("calls of one caller in flight", 2)));
        let theirs = [room.call("ben"), room.call("ben")].map(|it| it.expect("room"));
        assert_eq!(room.call("eve").err(), Some(("calls in flight", 4)));
        drop(mine);
        assert!(room.call("ann").is_ok());
        drop(theirs);
        let stream = room.stream().expect("room");
        assert_eq!(room.stream().err(), Some(("streams", 1)));
        drop(stream);
        assert!(room.stream().is_ok());
    }
}
