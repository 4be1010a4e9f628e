//! Why a run stands where it stands: its priority, its rank, and what it waits for.

use callboard_config::AgentName;
use callboard_store::RunRow;
use callboard_trace::{Action, Caller, Event, Question, Record, RunId, State, Tree};
use serde::Serialize;

use crate::begin::{PLAN, SECOND};
use crate::desk::{Desk, unavailable};
use crate::{Refusal, journal};

/// First records of a run that say how it was asked for.
const FIRST: u32 = 8;
/// Last records of a run that say who changed its priority.
const LAST: u32 = 1_000;
/// Runs named of those that are waited for.
const NAMED: usize = 20;

/// What decides when a run goes on, as far as it is known.
#[derive(Clone, Debug, Serialize)]
pub struct Why {
    /// The run.
    pub run: RunId,
    /// Where it stands.
    pub state: State,
    /// 0..1000, as it counts now.
    pub priority: u16,
    /// `caller`, `class normal`, or `set by …`.
    pub priority_from: String,
    /// Seconds since its root was accepted; each is worth a point of priority.
    pub waited_s: f64,
    /// Minus the points that both add up to: the smallest goes first.
    pub rank: f64,
    /// Its place among the ready runs, 1-based, while it is one of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub place: Option<u64>,
    /// The process that holds it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub node: Option<String>,
    /// What holds it up: a seat, a provider's pause, whoever paused it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_for: Option<String>,
    /// Seconds until it goes on by itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eta_s: Option<f64>,
    /// The open runs it handed work to, at most 20.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub waits_for_runs: Vec<Waited>,
    /// What a person is asked.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub questions: Vec<Question>,
    /// How the agent was chosen, where that was not the caller's word.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub routed: Option<Event>,
    /// The handoff that brought it to this agent: its reason.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handed_over: Option<String>,
}

/// An open run that another waits for.
#[derive(Clone, Debug, Serialize)]
pub struct Waited {
    /// Its name.
    run: RunId,
    /// Whose it is.
    agent: AgentName,
    /// Its last step.
    step: Option<String>,
}

impl Desk {
    /// Why a run stands where it stands.
    ///
    /// # Errors
    /// As [`Desk::view`].
    pub async fn why(&self, run: &RunId, caller: &Caller) -> Result<Why, Refusal> {
        let row = self.row(run, caller).await?;
        let view = self.view_of(&row).await?;
        let store = &self.house.store;
        let first = store.journal(run, 0, FIRST).await.map_err(|it| unavailable(&it))?;
        let last = store.latest(run, LAST).await.map_err(|it| unavailable(&it))?;
        let now = self.house.world.now();
        let (queue, is_over) = (view.queue, view.state.is_over());
        let until = row.ended.unwrap_or(now);
        let waits_for_runs = if is_over { Vec::new() } else { self.held_by(&row).await? };
        Ok(Why {
            run: run.clone(),
            state: view.state,
            priority: row.priority,
            priority_from: priority_from(&first, &last),
            waited_s: seconds(until - row.root_at),
            rank: seconds(row.rank - until),
            place: row.position,
            node: row.node,
            eta_s: queue.as_ref().and_then(|it| it.eta_s),
            waiting_for: queue.map(|it| it.waiting_for),
            waits_for_runs,
            questions: view.questions,
            routed: first.iter().map(|it| &it.event).find(is_routed).cloned(),
            handed_over: first.iter().find_map(handed_over),
        })
    }

    /// The open runs it handed work to: its own records name them, and only theirs are read.
    async fn held_by(&self, row: &RunRow) -> Result<Vec<Waited>, Refusal> {
        let whole = async |run: &RunId| {
            let records = journal::whole(&self.house.store, run).await;
            Ok::<_, Refusal>(Tree::fold(&records.map_err(|it| unavailable(&it))?).runs.remove(run))
        };
        let names = if row.agent == PLAN {
            self.open_tasks(row, NAMED).await?
        } else {
            let handoffs = whole(&row.run).await?.map(|it| it.handoffs).unwrap_or_default();
            handoffs.into_iter().map(|it| it.run).collect()
        };
        let mut held_by = Vec::new();
        for run in names {
            if let Some(child) = whole(&run).await?.filter(|it| it.end.is_none()) {
                held_by.push(Waited { run, agent: child.agent, step: child.step });
            }
        }
        held_by.truncate(NAMED);
        Ok(held_by)
    }
}

fn is_routed(event: &&Event) -> bool {
    matches!(event, Event::Routed { .. })
}

fn handed_over(record: &Record) -> Option<String> {
    let Event::RunStarted(started) = &record.event else { return None };
    started.handoff.as_ref().map(|it| format!("{}: {}", it.source, it.reason))
}

/// The last who set it, or else the caller, or the class of the agent.
fn priority_from(first: &[Record], last: &[Record]) -> String {
    let set = last
        .iter()
        .rev()
        .find(|it| matches!(&it.event, Event::Controlled(it) if it.action == Action::SetPriority));
    if let Some(set) = set {
        return format!("set by {}", set.by);
    }
    let by_caller =
        |it: &Record| matches!(&it.event, Event::TaskAccepted(it) if it.priority.is_some());
    if first.iter().any(by_caller) {
        return "caller".to_owned();
    }
    let class = first.iter().find_map(|it| {
        let Event::RunStarted(started) = &it.event else { return None };
        started.parent.is_none().then(|| format!("class {:?}", started.agent.class).to_lowercase())
    });
    class.unwrap_or_else(|| "its root".to_owned())
}

fn seconds(micros: i64) -> f64 {
    (micros / (SECOND / 1_000)) as f64 / 1_000.0
}
