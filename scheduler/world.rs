//! Time, chance and the load of the machine, as they are handed to a node: everything of this room
//! takes them from here.

use std::sync::Arc;

use callboard_trace::{RunId, spell};

use crate::{chance, clock, load};

/// Time, chance and load. Cloning is cheap; clones tell the same time.
#[derive(Clone)]
pub struct World {
    /// Microseconds since 1970.
    pub now: Arc<dyn Fn() -> i64 + Send + Sync>,
    /// 128 random bits.
    pub bits: Arc<dyn Fn() -> u128 + Send + Sync>,
    /// Ticks of all processors so far: those that other processes used, and all; `None` = unknown.
    pub load: Arc<dyn Fn() -> Option<(u64, u64)> + Send + Sync>,
}

impl World {
    /// The wall clock, the system's own randomness, and this machine's load.
    pub fn real() -> World {
        World {
            now: Arc::new(clock::now),
            bits: Arc::new(chance::bits),
            load: Arc::new(load::read),
        }
    }

    /// Microseconds since 1970.
    pub fn now(&self) -> i64 {
        (self.now)()
    }

    /// 128 random bits.
    pub fn bits(&self) -> u128 {
        (self.bits)()
    }

    /// A new run's name.
    pub fn run(&self) -> RunId {
        RunId::new(self.bits())
    }

    /// A new name with that prefix.
    pub fn name(&self, prefix: &str) -> String {
        spell(prefix, self.bits())
    }

    /// A number from 0 up to, not including, `below`; 0 if that is 0.
    pub fn below(&self, below: u64) -> u64 {
        let low = self.bits() & u128::from(u64::MAX);
        u64::try_from(low).unwrap_or_default().checked_rem(below).unwrap_or_default()
    }
}
