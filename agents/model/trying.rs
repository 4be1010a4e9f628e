//! One attempt while it goes on: when it began, and the exchanges it took.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::time::Instant;

use super::classify::Asked;
use super::filter::Seen;
use super::learned::Learned;
use super::transport::Probe;

/// One attempt while it goes on.
pub(crate) struct Try<'a> {
    pub(crate) asked: Asked<'a>,
    pub(crate) trace: Option<&'a str>,
    pub(crate) begun: Instant,
    /// Exchanges begun.
    count: AtomicU32,
    /// What is known of each of them.
    probes: Mutex<Vec<Arc<Probe>>>,
}

impl<'a> Try<'a> {
    pub(crate) fn new(asked: Asked<'a>, trace: Option<&'a str>) -> Try<'a> {
        let (count, probes) = (AtomicU32::new(0), Mutex::default());
        Try { asked, trace, begun: Instant::now(), count, probes }
    }

    /// Counts what is about to be sent.
    pub(crate) fn exchange<T>(&self, chat: T) -> T {
        self.count.fetch_add(1, Ordering::Relaxed);
        chat
    }

    /// Exchanges beyond the first.
    pub(crate) fn asked_again(&self) -> u32 {
        self.count.load(Ordering::Relaxed).saturating_sub(1)
    }

    /// A probe for the next exchange.
    pub(crate) fn probe(&self) -> Arc<Probe> {
        let probe = Arc::new(Probe::default());
        self.probes.lock().unwrap_or_else(PoisonError::into_inner).push(probe.clone());
        probe
    }

    /// What the bytes of the last answer showed.
    pub(crate) fn seen(&self) -> Seen {
        let probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
        probes.last().map(|it| it.seen()).unwrap_or_default()
    }

    /// What the last answer that spoke of limits told of them.
    pub(crate) fn learned(&self) -> Vec<Learned> {
        let probes = self.probes.lock().unwrap_or_else(PoisonError::into_inner);
        let mut told = probes.iter().rev().map(|it| it.learned());
        told.find(|it| !it.is_empty()).unwrap_or_default()
    }
}
