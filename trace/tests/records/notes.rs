//! Notes as they cross from run to run, and what runs look for, of hostile values.

use callboard_trace::memory::{Entries, Entry, Provenance, Recall, Source};
use proptest::collection::vec;
use proptest::option::of;
use proptest::prelude::*;

use crate::any::{float, run, text, texts};

pub(crate) fn provenance() -> BoxedStrategy<Provenance> {
    let source = proptest::sample::select(&[Source::Model, Source::Tool, Source::Owner][..]);
    (run(), any::<u32>(), text(), any::<i64>(), any::<bool>(), source)
        .prop_map(|(run, step, agent, at, taint, source)| Provenance {
            run,
            step,
            agent,
            at,
            taint,
            source,
        })
        .boxed()
}

pub(crate) fn entries() -> BoxedStrategy<Entries> {
    let said = (text(), text(), text(), text(), any::<i64>(), of(float()));
    let entry = (said, provenance(), texts()).prop_map(|(said, provenance, over)| {
        let (slot, key, artifact, line, weight, confidence) = said;
        Entry { slot, key, artifact, line, weight, confidence, provenance, over }
    });
    vec(entry, 0..3).prop_map(Entries).boxed()
}

pub(crate) fn recall() -> BoxedStrategy<Recall> {
    (of(text()), any::<u32>(), any::<bool>())
        .prop_map(|(session, exchanges, workspace)| Recall { session, exchanges, workspace })
        .boxed()
}
