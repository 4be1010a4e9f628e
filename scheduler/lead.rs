//! Looking at a plan: from the run that leads it, without reading the journals of its steps.

use callboard_agents::plan::{Counts, Place, Standing};
use callboard_store::gates::Amounts;
use callboard_store::{RunRow, RunState};
use callboard_trace::{
    Caller, Cost, EndState, Finished, Question, Queued, RunId, RunView, State, Totals, Tree,
};
use serde::Serialize;

use crate::day::used_of_task;
use crate::desk::Desk;
use crate::folds::{Fold, Glance};
use crate::refusal::{Result, Stored};
use crate::{begin, journal};

/// Runs of a plan that wait, of which it is asked whether they ask somebody.
const ASKING_MAX: u32 = 50;
/// Characters of a task on its line.
const TASK: usize = 80;

/// One step of a plan as it stands.
#[derive(Clone, Debug, Serialize)]
pub struct PlanLine {
    /// Its id in the plan.
    pub id: String,
    /// Who does it.
    pub to: String,
    /// `waiting`, `queued`, `open`, `completed`, `partial`, `failed`, `cancelled`, `left_out`.
    pub state: &'static str,
    /// Its run, once it has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub run: Option<RunId>,
    /// The beginning of its task.
    pub task: String,
    /// The steps it waits for.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub after: Vec<String>,
    /// Its share of what the plan may spend.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub share: Option<f64>,
    /// Why it came to nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

impl Desk {
    /// A page of a plan's steps, in the order they were declared; `None` if the run leads no plan.
    ///
    /// # Errors
    /// As [`Desk::view`].
    pub async fn plan_steps(
        &self,
        run: &RunId,
        caller: &Caller,
        after: u64,
        limit: u32,
    ) -> Result<Option<(Vec<PlanLine>, Option<u64>)>> {
        let row = self.row(run, caller).await?;
        if row.agent != begin::PLAN {
            return Ok(None);
        }
        let (seen, led) = self.led(&row).await?;
        let skip = usize::try_from(after).unwrap_or(usize::MAX);
        let page = led.plan.as_ref().map(|plan| {
            let lines = plan.places().iter().skip(skip).take(limit as usize).map(line);
            let next = after.saturating_add(u64::from(limit));
            let more = usize::try_from(next).is_ok_and(|it| it < plan.places().len());
            (lines.collect(), more.then_some(next))
        });
        self.house.folds.put(run, Some((seen, led)));
        Ok(page)
    }

    /// The runs of a plan's tasks that are open, the first few.
    pub(crate) async fn open_tasks(&self, row: &RunRow, limit: usize) -> Result<Vec<RunId>> {
        let (seen, led) = self.led(row).await?;
        let places = led.plan.as_ref().map(|it| it.places()).unwrap_or_default();
        let open = places.iter().filter(|it| it.standing == Standing::Open);
        let names = open.filter_map(|it| it.run.clone()).take(limit).collect();
        self.house.folds.put(&row.run, Some((seen, led)));
        Ok(names)
    }

    /// How a plan stands.
    pub(crate) async fn lead_of(&self, row: &RunRow, spent: &Amounts) -> Result<RunView> {
        let (glance, end) = self.glance(row).await?;
        let caps = glance.caps;
        let mut view = view(glance, end.as_deref(), row, self.house.world.now());
        view.cost.budget_pct = used_of_task(row, caps, spent);
        if !view.state.is_over() {
            view.questions = self.asked_below(row).await?.into_iter().map(|it| it.1).collect();
            match view.questions.first().map(|it| it.kind == "rerun") {
                Some(true) => view.state = State::Halted,
                Some(false) => view.state = State::InputRequired,
                None => (),
            }
        }
        Ok(view)
    }

    /// How a plan stands, and its end if it is over. Where its leader goes on with it just now that is
    /// how it stood at the last write: nobody waits for the leader, who has much to write.
    async fn glance(&self, row: &RunRow) -> Result<(Glance, Option<Box<Finished>>)> {
        let folds = &self.house.folds;
        let is_open = row.state != RunState::Ended;
        let glimpse = || folds.glimpse(&row.run, row.seq).filter(|_| is_open);
        let kept = match journal::taken(&self.house, &row.run, glimpse).await {
            Ok(kept) => kept,
            Err(glance) => return Ok((glance, None)),
        };
        let (seen, led) = is_there(row, journal::fold_on(&self.house, &row.run, kept).await)?;
        let found = (Glance::of(&led), led.end.clone());
        folds.put(&row.run, Some((seen, led)));
        Ok(found)
    }

    async fn led(&self, row: &RunRow) -> Result<Fold> {
        is_there(row, journal::plan(&self.house, &row.run).await)
    }

    /// What a run and those under it ask a person, each with the run that asks.
    pub(crate) async fn asked_below(&self, row: &RunRow) -> Result<Vec<(RunId, Question)>> {
        let store = &self.house.store;
        let mut records = Vec::new();
        if row.agent == begin::PLAN {
            for it in store.asking_under(&row.root, &row.run, ASKING_MAX).await? {
                records.extend(journal::whole(store, &it.run).await?);
            }
        } else {
            records = journal::below(store, &row.run).await?;
        }
        let now = self.house.world.now();
        let runs = Tree::fold(&records).runs.into_iter();
        let all = runs.flat_map(|(run, it)| {
            it.questions.into_iter().map(move |question| (run.clone(), question.at(now)))
        });
        Ok(all.collect())
    }
}

fn is_there(row: &RunRow, folded: Stored<Option<Fold>>) -> Result<Fold> {
    Ok(folded?.ok_or_else(|| journal::not_begun(&row.run))?)
}

fn view(glance: Glance, end: Option<&Finished>, row: &RunRow, now: i64) -> RunView {
    let Glance { agent, counts, all, totals, caps: _, paused } = glance;
    let state = match end.map(|it| it.state) {
        Some(EndState::Completed) => State::Completed,
        Some(EndState::Partial) => State::Partial,
        Some(EndState::Failed) => State::Failed,
        Some(EndState::Cancelled) => State::Cancelled,
        None if paused.is_some() => State::Queued,
        None => State::Working,
    };
    let until = row.ended.unwrap_or(now.max(row.created));
    let paused = paused.filter(|_| end.is_none());
    let mut view = RunView {
        run: row.run.clone(),
        state,
        stop: end.map(|it| it.stop),
        agent,
        result: None,
        answer: None,
        confidence: None,
        step: end.is_none().then(|| step(counts, all)),
        todo: None,
        queue: paused.map(|by| Queued {
            pos: None,
            waiting_for: format!("paused by {by}"),
            eta_s: None,
        }),
        questions: Vec::new(),
        missing: Vec::new(),
        recommendations: Vec::new(),
        error: None,
        degraded: false,
        cost: cost(totals),
        artifacts: Vec::new(),
        handoffs: totals.handoffs,
        elapsed_s: ((until - row.created).max(0) / 1_000) as f64 / 1_000.0,
        next: None,
        notices: Vec::new(),
    };
    if let Some(end) = end {
        view.finish(end);
    }
    view
}

fn cost(totals: Totals) -> Cost {
    Cost::of(totals.tokens, totals.micro_usd, totals.replies > 0, totals.unpriced == 0)
}

fn step(counts: Counts, all: usize) -> String {
    let Counts { open, good, bad, left_out } = counts;
    let mut text = format!("{} of {all} tasks ended, {open} begun", good + bad);
    if bad + left_out > 0 {
        text.push_str(&format!(", {bad} failed, {left_out} left out"));
    }
    text
}

fn line(place: &Place) -> PlanLine {
    let state = match place.standing {
        Standing::Waiting => "waiting",
        Standing::Ready => "queued",
        Standing::Open => "open",
        Standing::Ended(EndState::Completed) => "completed",
        Standing::Ended(EndState::Partial) => "partial",
        Standing::Ended(EndState::Failed) => "failed",
        Standing::Ended(EndState::Cancelled) => "cancelled",
        Standing::LeftOut => "left_out",
    };
    PlanLine {
        id: place.step.id.clone(),
        to: place.step.to.to_string(),
        state,
        run: place.run.clone(),
        task: place.step.task.chars().take(TASK).collect(),
        after: place.step.after.clone(),
        share: place.step.share,
        error: place.trouble.as_ref().map(|it| it.message.clone()),
    }
}
