//! What a drive writes: a step with all that belongs to it, and who hears of it at once.

use callboard_agents::Run;
use callboard_store::{Advance, Advanced, Next, StoreError};
use callboard_trace::{Purse, RunId};

use crate::batch::Batch;
use crate::drive::Drive;
use crate::purse;

impl Drive {
    /// A write of what is decided, with what ended steps give back and what was spent.
    pub(crate) fn advance(&mut self, run: &Run, batch: Batch, next: Next) -> Advance {
        let purses = self.purses(run, self.house.world.now());
        let (is_over, leaves) = (matches!(next, Next::End { .. }), next != Next::Go);
        let takes = (run.plan.is_some() || leaves)
            .then(|| self.relay.wanted(&self.house, leaves))
            .flatten();
        let returns = purse::returns(run, &self.lease.root, is_over, self.unused);
        self.unused = run.plan.as_ref().map_or(0, |it| it.unused_shares().count());
        Advance {
            returns,
            spawn: batch.spawn,
            tell: batch.tell,
            hurry: batch.hurry,
            gives: std::mem::take(&mut self.gives),
            spent: purse::spent(&purses, self.told, run.spent),
            takes,
            ..Advance::new(self.seen, batch.facts, next)
        }
    }

    /// The budgets above the run.
    pub(crate) fn purses(&self, run: &Run, now: i64) -> Vec<Purse> {
        purse::purses(&self.house.crew.team(), run, now, &self.back)
    }

    /// Looks for what came back of shares, if that is for this run.
    pub(crate) async fn look_back(&mut self, run: &Run) -> Result<(), StoreError> {
        if run.started.purses.iter().any(|it| it.is(Purse::POOL)) {
            self.back = self.house.store.spent(&Purse::back(&self.lease.root)).await?;
        }
        Ok(())
    }

    /// Writes, and tells at once who is told of it and at work here.
    pub(crate) async fn put(&mut self, run: &Run, write: Advance) -> Result<Advanced, StoreError> {
        self.written = self.house.world.now();
        let told: Vec<RunId> = write.tell.iter().map(|it| it.0.clone()).collect();
        let mut advanced = self.house.store.advance(&self.lease, write).await?;
        told.iter()
            .filter_map(|it| self.house.driven.wheel(it))
            .for_each(|it| it.poke.notify_one());
        self.relay.send(std::mem::take(&mut advanced.taken)).await;
        self.kept(run, &advanced);
        Ok(advanced)
    }

    /// Takes in that a write is kept.
    fn kept(&mut self, run: &Run, advanced: &Advanced) {
        self.seen = advanced.seq;
        self.told = run.spent;
        self.house.driven.seen(&self.lease.run, self.seen);
        if run.plan.is_some() {
            self.house.folds.shows(run, self.seen);
        }
        if !advanced.children.is_empty() {
            self.house.ready.notify_one();
        }
        self.house.tell(advanced.turned.clone());
    }
}
