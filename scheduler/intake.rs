//! How work comes in: checked, written down, answered, in that order.

use callboard_agents::Run;
use callboard_config::{Agent, AgentName};
use callboard_store::RunState;
use callboard_trace::{
    Action, ArtifactRef, Caller, Control, Event, Fact, Handoff, MadeBy, RunId, Tree,
};
use serde_json::json;

use crate::desk::{Desk, unavailable};
use crate::{
    Ask, HandedOver, HandoffAsk, Refusal, RefusalCode, Submitted, begin, chance, clock, journal,
};

impl Desk {
    /// Takes a task in. It is on disk when this returns; the same key joins the run it started.
    ///
    /// # Errors
    /// `unknown_agent`, `conflict` (the key was used for something else), `over_capacity`,
    /// `engine_unavailable`. Nothing was started then.
    pub async fn submit(&self, ask: Ask) -> Result<Submitted, Refusal> {
        let agent = self.agent(&ask.to)?;
        let new = begin::root(self.team(), agent, &ask, clock::now(), None);
        let submitted = self.house.store.submit(new).await.map_err(|it| unavailable(&it))?;
        self.house.ready.notify_one();
        Ok(Submitted { run: submitted.run, joined: submitted.joined })
    }

    /// A handoff from outside: a live run is redirected at its next step, an ended one continued
    /// in a new run, and without a run a new one begins with the summary.
    ///
    /// # Errors
    /// `unknown_agent`, `not_found`, `engine_unavailable`.
    pub async fn handoff(&self, ask: HandoffAsk, caller: &Caller) -> Result<HandedOver, Refusal> {
        let agent = self.agent(&ask.to)?;
        let Some(run) = &ask.run else {
            return self.seed(&ask, agent, caller, Seed::outside(&ask)).await;
        };
        let row = self.row(run, caller).await?;
        let records = journal::tree(&self.house.store, &row.root).await;
        let records = records.map_err(|it| unavailable(&it))?;
        let tree = Tree::fold(records.iter().map(|it| &it.1));
        if row.state == RunState::Ended {
            let of_run: Vec<_> =
                records.iter().filter(|it| it.1.run == *run).map(|it| it.1.clone()).collect();
            let folded = Run::fold(&of_run);
            return self.seed(&ask, agent, caller, Seed::after(&ask, run, folded.as_ref())).await;
        }
        let (leaf, from) = at_work(&tree, run);
        let handoff = chance::name("h_");
        let value = json!({
            "id": handoff, "to": ask.to, "task": ask.task, "summary": ask.summary,
        });
        let control = Control { action: Action::Redirect, value, reason: String::new() };
        let fact = Fact::new(caller.principal.as_str(), Event::Controlled(control));
        let told = self.house.store.signal(&leaf, vec![fact], false).await;
        match told.map_err(|it| unavailable(&it))? {
            Some(_) => Ok(HandedOver { run: run.clone(), handoff, from, to: ask.to }),
            None => Err(Refusal::new(
                RefusalCode::Conflict,
                format!("{run} ended just now"),
                "ask again: an ended run is continued in a new one",
            )),
        }
    }

    fn agent(&self, name: &AgentName) -> Result<&Agent, Refusal> {
        self.team().agents.get(name).ok_or_else(|| {
            let names: Vec<&str> = self.team().agents.keys().map(AgentName::as_str).collect();
            let near = self.team().nearest(name.as_str());
            let near = near.map_or_else(String::new, |it| format!("; did you mean \"{it}\"?"));
            Refusal::new(
                RefusalCode::UnknownAgent,
                format!("agent \"{name}\" is not in this team{near}"),
                format!("there are: {}", names.join(", ")),
            )
        })
    }

    async fn seed(
        &self,
        ask: &HandoffAsk,
        agent: &Agent,
        caller: &Caller,
        seed: Seed,
    ) -> Result<HandedOver, Refusal> {
        let handoff = Handoff {
            id: chance::name("h_"),
            source: seed.from.clone(),
            target: ask.to.clone(),
            run: chance::run(),
            call: None,
            task: ask.task.clone(),
            mode: callboard_config::Mode::Transfer,
            summary: ask.summary.clone(),
            artifacts: seed.artifacts,
            reason: "outside".into(),
            made_by: MadeBy::Outside,
        };
        let plain = Ask {
            to: ask.to.clone(),
            task: ask.task.clone(),
            context: seed.context,
            priority: None,
            key: None,
            fresh: true,
            deadline_s: None,
            traceparent: None,
            caller: caller.clone(),
        };
        let id = handoff.id.clone();
        let new = begin::root(self.team(), agent, &plain, clock::now(), Some(handoff));
        let submitted = self.house.store.submit(new).await.map_err(|it| unavailable(&it))?;
        self.house.ready.notify_one();
        Ok(HandedOver { run: submitted.run, handoff: id, from: seed.from, to: ask.to.clone() })
    }
}

/// What a new root from outside starts with.
struct Seed {
    from: String,
    context: String,
    artifacts: Vec<ArtifactRef>,
}

impl Seed {
    fn outside(ask: &HandoffAsk) -> Seed {
        Seed { from: "outside".into(), context: String::new(), artifacts: ask.artifacts.clone() }
    }

    /// The continuation of an ended run: its result and its artifacts go along.
    fn after(ask: &HandoffAsk, run: &RunId, ended: Option<&Run>) -> Seed {
        let Some(ended) = ended else { return Seed::outside(ask) };
        let result = ended.end.as_ref().map(|it| it.summary().to_string()).unwrap_or_default();
        let task = &ended.started.root_task;
        Seed {
            from: ended.name().to_string(),
            context: format!(
                "This goes on from {run}, which was asked: {task}\nIt ended with: {result}"
            ),
            artifacts: ended.artifacts.clone(),
        }
    }
}

/// The open run that has the work now, and its agent.
fn at_work(tree: &Tree, run: &RunId) -> (RunId, String) {
    let mut at = run.clone();
    while let Some(branch) = tree.runs.get(&at) {
        let open = branch.handoffs.iter().rev().find(|it| {
            let open = tree.runs.get(&it.run).is_some_and(|child| child.end.is_none());
            open && it.mode == callboard_config::Mode::Transfer
        });
        match open {
            Some(next) => at = next.run.clone(),
            None => return (at, branch.agent.to_string()),
        }
    }
    (at, "outside".into())
}
