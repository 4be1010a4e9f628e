//! Who is at work in this process hears of records in its journal before a look there would show them.

use std::sync::OnceLock;

use callboard_trace::{Fact, RunId};

/// Hears of a record with its place; the last is [`Advance::undone`](crate::Advance).
type Ear = dyn Fn(&RunId, (u64, Fact), Option<u64>) + Send + Sync;

/// Whom steps tell.
#[derive(Default)]
pub(crate) struct Ears(OnceLock<Box<Ear>>);

impl Ears {
    pub(crate) fn open(
        &self,
        ear: impl Fn(&RunId, (u64, Fact), Option<u64>) + Send + Sync + 'static,
    ) {
        let _ = self.0.set(Box::new(ear));
    }

    pub(crate) fn tell<'a>(
        &self,
        told: impl Iterator<Item = (&'a RunId, u64, &'a Fact)>,
        undone: Option<u64>,
    ) {
        let Some(ear) = self.0.get() else { return };
        told.for_each(|(run, seq, fact)| ear(run, (seq, fact.clone()), undone));
    }
}
