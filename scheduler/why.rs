//! Why a run stands where it stands: its priority, its rank, and what it waits for.

use callboard_config::AgentName;
use callboard_store::{RunRow, RunState};
use callboard_trace::rank::{Ranked, Routed};
use callboard_trace::{Action, Caller, Event, Question, Record, RunId, State, Tree};
use serde::Serialize;

use crate::begin::{PLAN, SECOND};
use crate::desk::Desk;
use crate::refusal::Result;
use crate::{Refusal, journal};

/// First records of a run that say how it was asked for.
const FIRST: u32 = 8;
/// Last records of a run that say who changed its priority.
const LAST: u32 = 1_000;
/// Runs named of those that are waited for.
const NAMED: usize = 20;
/// Candidates of a route that are named.
const CANDIDATES: usize = 5;

/// What decides when a run goes on, as far as it is known.
#[derive(Clone, Debug, Serialize)]
pub struct Why {
    /// The run.
    pub run: RunId,
    /// Where it stands.
    pub state: State,
    /// 0..1000, as it counts now: the sum of the addends.
    pub priority: u16,
    /// Where its base is from: `caller`, `class normal`, `a model`, or `set by …`.
    pub priority_from: String,
    /// What the priority is made of.
    pub addends: Addends,
    /// All of it in words.
    pub words: Vec<String>,
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

/// What a priority is made of; the sum is cut at 1000.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Addends {
    /// 0..1000.
    pub base: u16,
    /// 80 for each unfinished run that waits for it, at most 800.
    pub unblocking: u16,
    /// 0..300, for how well its task fits the team's goal.
    pub goal_fit: u16,
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
    pub async fn why(&self, run: &RunId, caller: &Caller) -> Result<Why> {
        let look = self.look(run, caller).await?;
        let row = look.row.clone();
        let mut view = self.view_of(look).await?;
        self.hide_asked(&mut view.questions, caller);
        let store = &self.house.store;
        let first = store.journal(run, 0, FIRST).await?;
        let last = store.latest(run, LAST).await?;
        let now = self.house.world.now();
        let (queue, is_over) = (view.queue, view.state.is_over());
        let until = row.ended.unwrap_or(now);
        let waits_for_runs = if is_over { Vec::new() } else { self.held_by(&row).await? };
        let passed = self.passed_over(&row).await?;
        let addends = Addends { base: row.priority, unblocking: row.boost, goal_fit: row.fit };
        let mut why = Why {
            run: run.clone(),
            state: view.state,
            priority: row.effective(),
            priority_from: priority_from(&first, &last),
            addends,
            words: Vec::new(),
            waited_s: seconds(until - row.root_at),
            rank: seconds(row.rank - until),
            place: row.position,
            node: row.node,
            eta_s: queue.as_ref().and_then(|it| it.eta_s),
            waiting_for: passed.or_else(|| queue.map(|it| it.waiting_for)),
            waits_for_runs,
            questions: view.questions,
            routed: first.iter().map(|it| &it.event).find(is_routed).cloned(),
            handed_over: first.iter().find_map(handed_over),
        };
        why.words = words(&why);
        Ok(why)
    }

    /// What a ready run waits for whose workspace has its share of the seats, in words.
    async fn passed_over(&self, row: &RunRow) -> Result<Option<String>> {
        if row.state != RunState::Ready {
            return Ok(None);
        }
        let seats = self.team().limits.concurrent;
        let found = self.house.store.passed_over(row, seats).await?;
        let name = &row.workspace;
        Ok(found.map(|it| {
            let (held, among) = (it.held(name), it.workspaces);
            format!(
                "a seat: workspace {name} holds {held} of {seats}, its share among {among} workspaces, \
                 and another has less"
            )
        }))
    }

    /// The open runs it handed work to: its own records name them, and only theirs are read.
    async fn held_by(&self, row: &RunRow) -> Result<Vec<Waited>> {
        let whole = async |run: &RunId| {
            let records = journal::whole(&self.house.store, run).await;
            Ok::<_, Refusal>(Tree::fold(&records?).runs.remove(run))
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
    let set = |it: &Record| {
        if let Event::RankSet(ranked) = &it.event {
            return scored(ranked);
        }
        let Event::Controlled(control) = &it.event else { return None };
        (control.action == Action::SetPriority).then(|| format!("set by {}", it.by))
    };
    if let Some(set) = last.iter().rev().find_map(set) {
        return set;
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

/// Where a score is from, if it is one.
fn scored(ranked: &Ranked) -> Option<String> {
    match (ranked.source.as_str(), ranked.distance) {
        ("model", _) => Some("a model".into()),
        ("cache", Some(far)) if far > 0.0 => Some(format!("a model, of a task {far:.2} away")),
        ("cache", _) => Some("a model, of the same task".into()),
        _ => None,
    }
}

/// A line for each thing that decides.
fn words(why: &Why) -> Vec<String> {
    let mut lines = vec![priority(why)];
    let waited = why.waited_s;
    let place = why.place.map_or_else(String::new, |it| format!(", number {it} of the ready runs"));
    let rank = why.rank;
    lines.push(format!("accepted {waited:.0} s ago, a point each: rank {rank:.0}{place}"));
    if let Some(resource) = &why.waiting_for {
        let eta = why.eta_s.map_or_else(String::new, |it| format!(", about {it:.0} s more"));
        lines.push(format!("waits for {resource}{eta}"));
    }
    if !why.waits_for_runs.is_empty() {
        let n = why.waits_for_runs.len();
        let runs = if n == 1 { "run" } else { "runs" };
        lines.push(format!("waits for {n} {runs} it handed work to"));
    }
    if let Some(Event::Routed(routed)) = &why.routed {
        lines.push(route(routed));
    }
    lines
}

fn priority(why: &Why) -> String {
    let (sum, base, from) = (why.priority, why.addends.base, &why.priority_from);
    let mut line = format!("priority {sum} = base {base} ({from})");
    if why.addends.unblocking > 0 {
        let runs = why.addends.unblocking / 80;
        line.push_str(&format!(" + {runs} waiting for it × 80"));
    }
    if why.addends.goal_fit > 0 {
        line.push_str(&format!(" + goal fit {}", why.addends.goal_fit));
    }
    let all = why.addends.base + why.addends.unblocking + why.addends.goal_fit;
    if all > sum {
        line.push_str(", cut at 1000");
    }
    line
}

fn route(routed: &Routed) -> String {
    let Routed { to, score, domains, asks, tokens, arm, way, .. } = routed;
    let way = way.replace('_', " ");
    let both = routed.candidates.iter().zip(&routed.matches).take(CANDIDATES);
    let named: Vec<String> = both.map(|(name, n)| format!("{name} {n}")).collect();
    let named = if named.is_empty() { "nobody".to_owned() } else { named.join(", ") };
    let formula = format!("of {domains} domains, {asks} asks, {tokens} tokens");
    let measure = match routed.judge.as_ref().map(|it| (&it.model, &it.problem)) {
        None => formula,
        Some((model, None)) => format!("as {model} judged it"),
        Some((model, Some(problem))) => {
            format!("{formula}, since {model} was not heard: {problem}")
        }
    };
    format!(
        "routed to {to}, {way}, arm {arm}: complexity {score:.2} {measure}; words matched: {named}"
    )
}

fn seconds(micros: i64) -> f64 {
    (micros / (SECOND / 1_000)) as f64 / 1_000.0
}
