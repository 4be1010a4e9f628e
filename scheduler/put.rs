//! What a drive writes: a step with all that belongs to it, and who hears of it at once.

use callboard_agents::Run;
use callboard_store::{Advance, Advanced, Next};
use callboard_trace::{EndState, Event, Purse};

use crate::batch::{Batch, SPAWN_MAX};
use crate::begin::PLAN;
use crate::drive::Drive;
use crate::foresee::{foresee_unborn, unborn};
use crate::refusal::Stored;
use crate::relay::By;
use crate::{gates, purse};

impl Drive {
    /// A write of what is decided, with what ended steps give back and what was spent.
    pub(crate) fn advance(&mut self, run: &Run, batch: Batch, next: Next) -> Stored<Advance> {
        let (now, is_over) = (self.house.world.now(), matches!(next, Next::End { .. }));
        let purses = self.purses(run, now);
        let by = match (next != Next::Go, &run.plan) {
            (true, plan) => {
                let (is_seated, before) = (plan.is_none(), self.heir(run, &batch));
                Some(By::Leaver { is_seated, before })
            }
            (false, Some(_)) if batch.spawn.len() >= SPAWN_MAX => {
                Some(By::Plan { run: &run.id, most: SPAWN_MAX as u32 })
            }
            (false, Some(_)) => Some(By::Plan { run: &run.id, most: u32::MAX }),
            (false, None) => None,
        };
        let takes = by.and_then(|it| self.relay.wanted(&self.house, &it));
        let returns = purse::returns(run, &self.lease.root, is_over, self.unused);
        let said = batch.state.and_then(|it| gates::of_end(run, it, self.lease.attempt));
        self.gives.extend(said);
        self.unused = run.plan.as_ref().map_or(0, |it| it.unused_shares().count());
        let spawn = batch.spawn.into_iter().map(|it| self.house.store.entry(it));
        Ok(Advance {
            returns,
            spawn: spawn.collect::<Result<_, _>>()?,
            tell: batch.tell,
            hurry: batch.hurry,
            gives: std::mem::take(&mut self.gives),
            spent: purse::spent(&purses, self.told, run.spent),
            takes,
            undone: self.undone,
            ..Advance::new(self.seen(), batch.facts, next)
        })
    }

    /// The budgets above the run.
    pub(crate) fn purses(&self, run: &Run, now: i64) -> Vec<Purse> {
        let back = self.back.as_deref().copied().unwrap_or_default();
        purse::purses(&self.house.crew.team(), run, now, &back)
    }

    /// Looks for what came back of shares, if that is for this run.
    pub(crate) async fn look_back(&mut self, run: &Run) -> Stored<()> {
        if run.started.purses.iter().any(|it| it.is(Purse::POOL)) {
            let back = self.house.store.spent(&Purse::back(&self.lease.root)).await?;
            self.back = Some(Box::new(back));
        }
        Ok(())
    }

    /// Writes, and tells at once who is told of it and at work here.
    pub(crate) async fn put(&mut self, run: &Run, mut write: Advance) -> Stored<Advanced> {
        self.written = self.house.world.now();
        let (house, team) = (self.house.clone(), self.house.crew.team());
        let foresee = |it| foresee_unborn(&house, (&team, self.written), &self.lease.root, it);
        let openers = house.ahead.openers(self.written, &team);
        let seats = write.takes.as_ref().map_or(0, |it| it.max as usize);
        let unborn = write.spawn.iter().filter_map(|it| unborn((it.run(), it.facts())));
        let mut unborn: Vec<Run> = unborn.take(seats.max(house.ahead.room())).collect();
        // What may begin with this write is decided before it, the rest while it is on its way.
        unborn.drain(..seats.min(unborn.len())).for_each(foresee);
        if let Some(takes) = &mut write.takes {
            takes.openers = openers;
        }
        let may_leave = write.takes.as_ref().is_some_and(|it| it.before.is_some());
        let rest = async { unborn.into_iter().for_each(foresee) };
        let (advanced, ()) = tokio::join!(biased; house.store.advance(&self.lease, write), rest);
        if may_leave
            && advanced.as_ref().map_or(true, |it| it.taken.iter().any(|it| it.agent != PLAN))
            && let Some(leader) = &run.started.parent
        {
            self.house.heirs.keeps(leader, &run.id);
        }
        let mut advanced = advanced?;
        self.relay.send(&self.house, std::mem::take(&mut advanced.taken)).await;
        self.kept(run, &advanced);
        Ok(advanced)
    }

    /// The rank of the most urgent step of the same plan that may begin with the end of this one.
    fn heir(&self, run: &Run, batch: &Batch) -> Option<i64> {
        let is_good = matches!(batch.state?, EndState::Completed | EndState::Partial);
        let leader = run.started.parent.as_ref().filter(|_| is_good && run.started.is_step())?;
        self.house.heirs.leaves(leader, &run.id, self.lease.rank, self.house.world.now())
    }

    /// Takes in what a plan hears of its steps.
    pub(crate) fn hears(&self, run: &Run, event: &Event) {
        if let (Some(_), Event::ChildEnded { child, .. }) = (&run.plan, event) {
            self.house.heirs.hears(&run.id, child);
        }
    }

    /// A plan has nothing more to do with what it heard: seats that were left to it are anybody's.
    pub(crate) fn acted(&self, run: &Run) {
        if run.plan.is_some() && self.house.heirs.acted(&run.id) {
            self.house.ready.notify_one();
        }
    }

    /// Takes in that a write is kept.
    fn kept(&mut self, run: &Run, advanced: &Advanced) {
        self.sees(advanced.seq);
        self.undone = None;
        self.told = run.spent;
        if let Some(plan) = &run.plan {
            self.house.folds.shows(run, self.seen());
            self.house.heirs.begin(&run.id, plan, &advanced.children);
        }
        if !advanced.children.is_empty() {
            self.house.ready.notify_one();
        }
        self.house.tell(advanced.turned.clone());
    }
}
