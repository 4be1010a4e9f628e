//! How callers hand work on: into a live run, from an ended one, or into a new one.

use callboard_agents::{artifact_of, noted};
use callboard_config::{Agent, Mode, permit};
use callboard_store::{Listens, RunState};
use callboard_trace::{
    Action, ArtifactRef, Caller, Control, Event, Fact, Handoff, MadeBy, Record, RunId, Tree,
};
use serde_json::json;

use crate::desk::Desk;
use crate::intake::member;
use crate::refusal::Result;
use crate::same::fingerprint;
use crate::{Ask, HandedOver, HandoffAsk, Refusal, RefusalCode, begin, journal};

impl Desk {
    /// A handoff from outside: a live run is redirected at its next step, an ended one continued
    /// in a new run, and without a run a new one begins with the summary.
    ///
    /// # Errors
    /// `unknown_agent`; `not_found` for the run or an artifact; `engine_unavailable`.
    pub async fn handoff(
        &self,
        ask: HandoffAsk,
        caller: &Caller,
        listens: Listens,
    ) -> Result<HandedOver> {
        let team = self.team();
        let agent = member(&team, &ask.to)?;
        let Some(run) = ask.run.clone() else {
            let nothing = Estate::default();
            nothing.holds(&ask.artifacts)?;
            return self.seed(&ask, agent, caller, (nothing, listens)).await;
        };
        let row = self.row(&run, caller).await?;
        let is_plan = row.agent == begin::PLAN;
        if is_plan && row.state != RunState::Ended {
            let message = format!("{run} is a plan, which nobody can take over as a whole");
            let hint = "hand on the run of one of its tasks: view steps names them";
            return Err(Refusal::new(RefusalCode::Conflict, message, hint));
        }
        let store = &self.house.store;
        let records = match is_plan {
            true => journal::whole(store, &run).await,
            false => journal::below(store, &run).await,
        };
        let records = records?;
        let tree = Tree::fold(&records);
        let estate = Estate::of(&run, &tree, &records);
        estate.holds(&ask.artifacts)?;
        if row.state == RunState::Ended {
            return self.seed(&ask, agent, caller, (estate, listens)).await;
        }
        self.redirect(&run, ask, &tree, caller).await
    }

    async fn redirect(
        &self,
        run: &RunId,
        ask: HandoffAsk,
        tree: &Tree,
        caller: &Caller,
    ) -> Result<HandedOver> {
        if let Some(drained) = self.is_drained(&[ask.to.as_str()]).await? {
            return Err(drained);
        }
        let (leaf, from) = at_work(tree, run);
        let handoff = self.house.world.name("h_");
        let value = json!({
            "id": handoff, "to": ask.to, "task": ask.task, "summary": ask.summary,
        });
        let control = Control { action: Action::Redirect, value, reason: String::new() };
        let fact = Fact::new(caller.principal.as_str(), Event::Controlled(control));
        let told = self.house.store.signal(&leaf, vec![fact], false).await;
        match told? {
            Some(_) => Ok(HandedOver { run: run.clone(), handoff, from, to: ask.to }),
            None => Err(Refusal::new(
                RefusalCode::Conflict,
                format!("{run} ended just now"),
                "ask again: an ended run is continued in a new one",
            )),
        }
    }

    async fn seed(
        &self,
        ask: &HandoffAsk,
        agent: &Agent,
        caller: &Caller,
        (estate, listens): (Estate, Listens),
    ) -> Result<HandedOver> {
        let from = estate.from.clone().unwrap_or_else(|| "outside".into());
        let handoff = Handoff {
            id: self.house.world.name("h_"),
            source: from.clone(),
            target: ask.to.clone(),
            run: self.house.world.run(),
            call: None,
            task: ask.task.clone(),
            mode: Mode::Transfer,
            summary: ask.summary.clone(),
            artifacts: estate.passed(&ask.artifacts),
            reason: "outside".into(),
            made_by: MadeBy::Outside,
            step: None,
            mark: String::new(),
            dropped: permit::dropped(agent, &permit::of_root(&self.team())),
            taint: estate.taint.clone(),
        };
        let plain = Ask {
            to: ask.to.clone(),
            task: ask.task.clone(),
            context: estate.context,
            priority: None,
            key: None,
            fresh: true,
            deadline_s: None,
            budget: None,
            output_schema: None,
            tasks: 1,
            traceparent: None,
            session: estate.session.clone(),
            caller: caller.clone(),
        };
        let id = handoff.id.clone();
        let mut new = begin::root(&self.team(), agent, &plain, &self.house.world, Some(handoff));
        let by = caller.principal.as_str();
        new.facts.extend(estate.notes.into_iter().map(|it| Fact::new(by, it)));
        new.fingerprint = asked_for(ask);
        let submitted = self.take_in(new, &[ask.to.as_str()], listens).await?;
        let handoff = if submitted.joined { self.handoff_of(&submitted.run).await? } else { id };
        Ok(HandedOver { run: submitted.run, handoff, from, to: ask.to.clone() })
    }

    /// The handoff that a run began with.
    async fn handoff_of(&self, run: &RunId) -> Result<String> {
        let first = self.house.store.journal(run, 0, 2).await?;
        let begun = first.iter().find_map(|it| {
            let Event::RunStarted(started) = &it.event else { return None };
            started.handoff.as_ref().map(|it| it.id.clone())
        });
        Ok(begun.unwrap_or_default())
    }
}

/// A handoff as a hash: the same one comes again where its caller did not hear of it.
fn asked_for(ask: &HandoffAsk) -> String {
    let run = ask.run.as_ref().map_or("", RunId::as_str);
    let told = &ask.summary;
    let parts = ["team_handoff", ask.to.as_str(), run, &ask.task, &told.did, &told.must_know];
    let more = std::iter::once(told.do_next.as_str());
    let more = more.chain(told.open_questions.iter().map(String::as_str)).chain([""]);
    fingerprint(parts.into_iter().chain(more).chain(ask.artifacts.iter().map(|it| it.id.as_str())))
}

/// What a run leaves behind: its notes and its answer, to be read in the run that goes on from it.
#[derive(Default)]
struct Estate {
    from: Option<String>,
    context: String,
    notes: Vec<Event>,
    /// What content of others is in it.
    taint: Option<String>,
    /// The conversation it belongs to.
    session: Option<String>,
}

impl Estate {
    fn of(run: &RunId, tree: &Tree, records: &[Record]) -> Estate {
        let below = tree.names_below(run);
        let is_note = |it: &&Record| below.contains(&it.run) && artifact_of(&it.event).is_some();
        let mut notes: Vec<Event> =
            records.iter().filter(is_note).map(|it| it.event.clone()).collect();
        let Some(branch) = tree.runs.get(run) else { return Estate::default() };
        let session = records.iter().find_map(|it| {
            let Event::TaskAccepted(task) = &it.event else { return None };
            task.session.clone()
        });
        let (from, task) = (at_work(tree, run).1, &branch.task);
        let taint = tree.below(run).iter().find_map(|it| it.taint.by()).map(str::to_owned);
        let Some(end) = &branch.end else {
            return Estate { from: Some(from), context: String::new(), notes, taint, session };
        };
        let result = end.summary();
        let last = end.answer.clone();
        notes.extend(last.map(|it| noted("notes", "the answer before", it, taint.clone()).0));
        let context =
            format!("This goes on from {run}, which was asked: {task}\nIt ended with: {result}");
        Estate { from: Some(from), context, notes, taint, session }
    }

    /// Whether every artifact that is asked for is there; all that are not, at once.
    fn holds(&self, asked: &[ArtifactRef]) -> Result<()> {
        let has = |id: &str| self.notes.iter().filter_map(artifact_of).any(|it| it.id == id);
        let problems: Vec<String> = asked
            .iter()
            .filter(|it| !has(&it.id))
            .map(|it| format!("artifacts: there is no `{}` in that run", it.id))
            .collect();
        if problems.is_empty() {
            return Ok(());
        }
        let hint =
            "name the `run` whose artifacts they are; `team_status` with view trace lists them";
        let message = "not every artifact was found";
        Err(Refusal { problems, ..Refusal::new(RefusalCode::NotFound, message, hint) })
    }

    /// The artifacts the receiver is shown: those asked for with their reasons, or else all.
    fn passed(&self, asked: &[ArtifactRef]) -> Vec<ArtifactRef> {
        let why = |id: &str| asked.iter().find(|it| it.id == id).map(|it| it.why.clone());
        let all = self.notes.iter().filter_map(artifact_of);
        all.filter(|it| asked.is_empty() || why(&it.id).is_some())
            .map(|it| ArtifactRef { why: why(&it.id).unwrap_or_default(), ..it })
            .collect()
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
