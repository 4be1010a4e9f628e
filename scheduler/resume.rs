//! Where a drive begins: at the end of its run's journal.

use callboard_agents::Run;
use callboard_trace::{Event, Failure, FailureCode};

use crate::ahead::Folded;
use crate::batch::Batch;
use crate::drive::Drive;
use crate::refusal::Stored;
use crate::{begin, journal, purse};

impl Drive {
    /// The run as it stands, and what is to be written of it first.
    pub(crate) async fn start(
        &mut self,
        folded: Option<Box<Folded>>,
        batch: &mut Batch,
    ) -> Stored<Box<Run>> {
        let Some(folded) = folded else {
            let mut run = self.load().await?;
            self.doubt(&mut run, batch);
            return Ok(run);
        };
        let Folded { mut run, pending, takes } = *folded;
        self.sees(self.lease.seq);
        self.told = run.spent;
        if let Some(ledger) = self.lease.begun.take() {
            run.now = self.house.world.now();
            let purses = self.purses(&run, run.now);
            for alert in purse::crossed(&purses, &ledger, pending.set_aside(), &run.alerts) {
                batch.fact(&mut run, alert);
            }
            self.passes(&mut run, pending, takes);
        }
        Ok(run)
    }

    /// Folds the run from its journal.
    pub(crate) async fn load(&mut self) -> Stored<Box<Run>> {
        let name = &self.lease.run;
        let folded = if self.lease.agent == begin::PLAN {
            journal::plan(&self.house, name).await?
        } else {
            let records = journal::whole(&self.house.store, name).await?;
            let seen = records.last().map_or(0, |it| it.seq);
            Run::fold(&records).map(|it| (seen, Box::new(it)))
        };
        let (seen, mut run) = folded.ok_or_else(|| journal::not_begun(name))?;
        run.started.agent = self.house.crew.one(run.started.agent.clone());
        self.sees(seen);
        (self.undone, self.told) = (None, run.spent);
        self.unused = 0;
        if let Some(plan) = &run.plan {
            self.house.heirs.leads(&run.id, plan);
        }
        Ok(run)
    }

    /// Folds the run anew, also a plan that is in our own hand.
    pub(crate) async fn anew(&mut self, run: &mut Run) -> Stored<()> {
        if run.plan.is_some() {
            self.house.folds.put(&run.id, None);
        }
        *run = *self.load().await?;
        Ok(())
    }

    /// Steps that an earlier holder began and nobody finished.
    fn doubt(&self, run: &mut Run, batch: &mut Batch) {
        let models = run.open_models().into_iter();
        let tools = run.tools.iter().filter(|it| it.open).map(|it| (it.step, it.lost + 1));
        for it in models.chain(tools).collect::<Vec<_>>() {
            let message = "the process that took this step went away";
            let failure = Failure::of(it, FailureCode::InDoubt, message);
            let failure = Failure { retryable: true, ..failure };
            batch.fact_by(run, &self.house.node, Event::StepFailed(failure));
        }
    }
}
