//! How a step begins: it asks its gates, and what they answer decides what becomes of the run.

use callboard_agents::limits::{creation_refused, instead_of};
use callboard_agents::{Asked, Prepared, Run};
use callboard_config::Team;
use callboard_store::gates::{Gate, Growth, Held, Poor, Ruling, Standing, Stands, Take, Wait};
use callboard_store::{Advance, Next};
use callboard_trace::{
    Event, Fact, FailureCode, MadeBy, Purpose, Purse, Spend, Stop, Trouble, Work,
};
use serde_json::json;

use crate::asking::{Asking, LONG};
use crate::batch::{Batch, Rest};
use crate::drive::{After, Drive};
use crate::pending::{Pending, What};
use crate::refusal::Stored;
use crate::{gates, purse, route};

/// What to do about a step that takes more tokens than its provider ever gives at once.
const FEWER_TOKENS: &str = "raise it, or give the agent a smaller `max_output` or a shorter task";

/// What a ruling leads to.
enum Turn {
    /// The gates are asked again, for what the step is now.
    Ask,
    /// The step is dealt with.
    Done(After),
}

impl Drive {
    /// Writes what is decided, and begins a step with the same write if its gates let it. What they
    /// say instead goes into `batch`, and the rules are asked again.
    pub(crate) async fn begin(
        &mut self,
        run: &mut Run,
        (decided, batch): (Batch, &mut Batch),
        pending: Pending,
    ) -> Stored<After> {
        if self.is_pressed(&decided) {
            let advance = self.advance(run, decided, Next::Yield)?;
            self.put(run, advance).await?;
            return Ok(After::Gone(false));
        }
        self.look_back(run).await?;
        let mut asking = Asking::new(&self.house.crew.team(), pending);
        let mut decided = Some(decided);
        loop {
            asking.settled |= asking.is_last(run);
            let (gate, takes) = self.gate(run, &asking);
            let advance = self.advance(run, decided.take().unwrap_or_default(), Next::Go)?;
            let advance = Advance { gate: Some(gate), ..advance };
            let advanced = self.put(run, advance).await?;
            if let Some(event) = &advanced.waits {
                let by = run.name().to_string();
                run.apply(&by, event);
            }
            let purses = self.purses(run, run.now);
            let has_begun = matches!(advanced.ruling, Some(Ruling::Passed));
            let own = if has_begun { asking.pending.set_aside() } else { Spend::default() };
            for alert in purse::crossed(&purses, &advanced.ledger, own, &run.alerts) {
                batch.fact(run, alert);
            }
            let turn = match advanced.ruling {
                Some(Ruling::Passed) => return Ok(self.passes(run, asking.pending, takes)),
                Some(Ruling::Overtaken) | None => {
                    self.anew(run).await?;
                    *batch = Batch::default();
                    Turn::Done(After::Again)
                }
                Some(Ruling::GivenUp(wait)) if is_own(run, &wait) => {
                    self.left_alone(run, batch, (&mut asking, &wait)).await?
                }
                Some(ruling) => self.turns(run, batch, &mut asking, ruling),
            };
            if let Turn::Done(after) = turn {
                return Ok(after);
            }
        }
    }

    /// Whether another run waits for this one's seat that goes before it, between two of its steps.
    fn is_pressed(&self, decided: &Batch) -> bool {
        let may_yield = self.stepped && self.is_idle() && !decided.facts.is_empty();
        may_yield && self.house.pressing.wants(&self.lease)
    }

    pub(crate) fn passes(&mut self, run: &mut Run, pending: Pending, takes: Vec<Take>) -> After {
        let by = run.name().to_string();
        pending.events.iter().for_each(|it| run.apply(&by, it));
        self.told = run.spent;
        if let What::Model(_, prepared) | What::Tool(prepared) = pending.what {
            let step = prepared.begun().step;
            self.held.insert(step, takes);
            self.perform(step, prepared);
        }
        After::Again
    }

    /// What becomes of a step that did not pass.
    fn turns(
        &mut self,
        run: &mut Run,
        batch: &mut Batch,
        asking: &mut Asking,
        ruling: Ruling,
    ) -> Turn {
        let is_tool = matches!(asking.pending.what, What::Tool(_));
        if is_tool && !asking.settled && stops(&ruling) {
            asking.turns_aside(&ruling, run.now);
            return Turn::Ask;
        }
        match ruling {
            Ruling::Held(wait) if asking.settled && self.is_idle() => {
                self.house.alarm.set(wait.again);
                Turn::Done(After::Gone(false))
            }
            Ruling::Held(wait) if asking.settled => Turn::Done(After::On(Some(wait.again))),
            Ruling::Held(wait) if is_own(run, &wait) => {
                asking.settled = true;
                Turn::Ask
            }
            Ruling::Held(wait) => {
                let is_long = wait.until.is_some_and(|it| it - run.now > LONG);
                let may_turn = wait.why == Held::Breaker || wait.why == Held::Shut && is_long;
                if may_turn {
                    return self.tries_another(run, batch, asking);
                }
                asking.settled = true;
                Turn::Ask
            }
            Ruling::GivenUp(_) if !asking.settled => self.tries_another(run, batch, asking),
            Ruling::GivenUp(wait) => self.gives_up(run, batch, asking, &wait),
            Ruling::Poor(poor) => self.is_poor(run, batch, asking, &poor),
            Ruling::Draining => {
                if let What::HandOff(draft, _) = &asking.pending.what {
                    let message = format!("{} takes no new work: it is being drained", draft.to);
                    batch.nobody(run, draft.clone(), message);
                }
                Turn::Done(After::Again)
            }
            Ruling::Blown(blown) => {
                if let What::HandOff(draft, _) = &asking.pending.what {
                    let (value, limit, after) = (blown.value, blown.limit, blown.retry_after_s);
                    if draft.plan.is_some() {
                        let message = format!("the fuse `{}` allows {limit}", blown.fuse);
                        batch.nobody(run, draft.clone(), message);
                        return Turn::Done(After::Again);
                    }
                    let refused = creation_refused(run, draft, blown.fuse, value, limit, after);
                    batch.refused(run, refused);
                }
                Turn::Done(After::Again)
            }
            Ruling::Never { name, units, capacity } => {
                let (of, hint) = match name.strip_prefix("tokens ") {
                    Some(it) => (format!("`tokens_per_min` of the provider {it}"), FEWER_TOKENS),
                    None => (name, "raise the capacity in `resources`, or ask for less"),
                };
                let message = format!(
                    "the step asks for {units} of {of}, which never has more than {capacity}"
                );
                self.cannot(run, batch, asking, (FailureCode::BadRequest, message, hint))
            }
            Ruling::Passed | Ruling::Overtaken => Turn::Done(After::Again),
        }
    }

    /// Turns to the next model of the chain. When all of them are held, the first one is waited for.
    fn tries_another(&mut self, run: &mut Run, batch: &mut Batch, asking: &mut Asking) -> Turn {
        let What::Model(asked, _) = &asking.pending.what else { return Turn::Ask };
        asking.held.push(asked.model);
        let next = asking.untried(run);
        asking.settled = next.is_none();
        let model = next.unwrap_or(asking.held[0]);
        let turned = Asked { model, ..asked.clone() };
        match batch.ask(&self.house, run, turned) {
            Some(Rest::Gated(pending)) => {
                asking.pending = *pending;
                Turn::Ask
            }
            Some(Rest::Wait(_) | Rest::Over | Rest::Written) | None => Turn::Done(After::Again),
        }
    }

    /// The agent is left alone after runs that failed: what nobody handed to it goes to who fits best
    /// of the others, the rest back to who did.
    async fn left_alone(
        &self,
        run: &mut Run,
        batch: &mut Batch,
        (asking, wait): (&mut Asking, &Wait),
    ) -> Stored<Turn> {
        let team = self.house.crew.team();
        let names = route::in_place_of(&team, &run.started);
        let rows = names.iter().map(|it| gates::of_agent(it.as_str())).collect();
        let stands = self.house.store.standings(rows).await?;
        let mut free = names.into_iter().zip(stands).filter(|(_, it)| takes_work(*it));
        let why = left_until(run, wait);
        if let Some((to, _)) = free.next() {
            let draft = instead_of(run, to, &why);
            return Ok(match batch.hand_off(&self.house, &self.lease.root, run, draft) {
                Some(Rest::Gated(pending)) => {
                    asking.pending = *pending;
                    Turn::Ask
                }
                Some(Rest::Wait(_) | Rest::Over | Rest::Written) | None => Turn::Done(After::Again),
            });
        }
        let trouble = Trouble {
            code: FailureCode::BreakerOpen,
            message: why,
            retryable: true,
            hint: "ask again after that time, or ask another agent".into(),
        };
        batch.end(run, run.stopped(Stop::Breaker, trouble));
        Ok(Turn::Done(After::Again))
    }

    /// A breaker stays open for longer than the step waits.
    fn gives_up(
        &mut self,
        run: &mut Run,
        batch: &mut Batch,
        asking: &mut Asking,
        wait: &Wait,
    ) -> Turn {
        let message = left_until(run, wait);
        let hint = "ask again after that time, or give the model a `fallback` in team.yaml";
        self.cannot(run, batch, asking, (FailureCode::BreakerOpen, message, hint))
    }

    /// A step that will not begin: a tool's is told to the model, a model's ends the run.
    fn cannot(
        &mut self,
        run: &mut Run,
        batch: &mut Batch,
        asking: &mut Asking,
        (code, message, hint): (FailureCode, String, &str),
    ) -> Turn {
        if let Some((Work::Tool { call, .. }, _)) = work(&asking.pending) {
            batch.answer(run, call.clone(), false, json!({ "error": message }));
            return Turn::Done(After::Again);
        }
        let stop = if code == FailureCode::BreakerOpen { Stop::Breaker } else { Stop::Error };
        let retryable = code == FailureCode::BreakerOpen;
        let trouble = Trouble { code, message, retryable, hint: hint.to_owned() };
        batch.end(run, run.stopped(stop, trouble));
        Turn::Done(After::Again)
    }

    /// A budget above the run has too little left: a shorter reply, or word of it in the journal.
    fn is_poor(
        &mut self,
        run: &mut Run,
        batch: &mut Batch,
        asking: &mut Asking,
        poor: &Poor,
    ) -> Turn {
        let Some((work, prepared)) = work(&asking.pending) else {
            return Turn::Done(After::Again);
        };
        let is_last = is_last_turn(work);
        let call = match work {
            Work::Tool { call, .. } => Some(call.clone()),
            Work::Model { .. } => None,
        };
        let (room, needs) = (
            prepared.longest(poor.dimension, purse::left(poor)),
            prepared.needs(poor.dimension, is_last),
        );
        if let (What::Model(_, prepared), Some(room)) = (&mut asking.pending.what, room)
            && prepared.cut(room)
        {
            asking.pending.events = vec![Event::StepBegun(prepared.begun().clone())];
            return Turn::Ask;
        }
        let purses = self.purses(run, run.now);
        batch.fact(run, purse::lacking(poor, &purses, is_last, needs));
        if let Some(call) = call {
            let message = format!("the budget of the {} has none left", poor.dimension);
            batch.answer(run, call, false, json!({ "error": message }));
        }
        Turn::Done(After::Again)
    }

    /// The gate of a step, and what it takes there.
    fn gate(&self, run: &Run, asking: &Asking) -> (Gate, Vec<Take>) {
        let pending = &asking.pending;
        let purses = self.purses(run, run.now);
        let (mut gate, takes) = opening(&self.house.crew.team(), run, pending, &purses);
        if let What::HandOff(draft, new) = &pending.what {
            gate.spawn = vec![new.clone()];
            gate.starts = Some(gates::of_agent(draft.to.as_str()));
            gate.growth = (draft.made_by != MadeBy::Outside).then(|| self.growth(run));
        }
        gate.parks = self.is_idle() && asking.settled;
        (gate, takes)
    }

    /// The bounds on what agents create; callers create as many as the queue takes.
    fn growth(&self, run: &Run) -> Growth {
        let bounds = run.started.fuses.growth;
        Growth {
            root: self.lease.root.to_string(),
            tasks_per_root: bounds.tasks_per_root,
            workspace: self.house.crew.team().workspace.clone(),
            tasks_per_workspace: bounds.tasks_per_workspace,
            burst: bounds.burst,
            rate: bounds.rate,
        }
    }
}

/// The gate of a step by itself, and what it takes there.
pub(crate) fn opening(
    team: &Team,
    run: &Run,
    pending: &Pending,
    purses: &[Purse],
) -> (Gate, Vec<Take>) {
    let mut gate = Gate { step: run.steps + 1, ..Gate::default() };
    if let Some((work, prepared)) = work(pending) {
        let reserved = prepared.begun().reserved;
        gate.step = prepared.begun().step;
        gate.takes = gates::takes(team, run, prepared.begun());
        // A first step that leaves too little for another is better than none.
        let is_first = run.spent.model_calls == 0;
        let last = if is_first { Spend::default() } else { prepared.last_turn() };
        gate.charges = purse::charges(purses, reserved, last, is_last_turn(work));
        let waited = run.held.as_ref().filter(|it| it.step == gate.step);
        gate.since = waited.and_then(|it| it.since);
        gate.told = waited.map(|it| it.resource.clone());
    }
    let by = run.name().to_string();
    let fact = |it: &Event| Fact::new(by.as_str(), it.clone());
    gate.facts = pending.events.iter().map(fact).collect();
    let takes = gate.takes.clone();
    (gate, takes)
}

/// Whether a step did not begin for want of what it takes.
fn stops(ruling: &Ruling) -> bool {
    matches!(ruling, Ruling::Held(_) | Ruling::GivenUp(_) | Ruling::Never { .. })
}

/// Whether a step waits for the breaker of its own agent.
fn is_own(run: &Run, wait: &Wait) -> bool {
    wait.why == Held::Breaker && wait.name == gates::of_agent(run.name().as_str())
}

fn takes_work(it: Stands) -> bool {
    it.standing == Standing::Open && it.left_alone == 0
}

fn left_until(run: &Run, wait: &Wait) -> String {
    let seconds = wait.until.map_or(0, |it| (it - run.now).max(0) / 1_000_000 + 1);
    format!("{} is left alone after failures; again in {seconds} s", wait.name)
}

/// The work of a step, and what it is performed with; a handoff is no work.
fn work(pending: &Pending) -> Option<(&Work, &Prepared)> {
    match &pending.what {
        What::Model(_, prepared) | What::Tool(prepared) => Some((&prepared.begun().work, prepared)),
        What::HandOff(..) => None,
    }
}

fn is_last_turn(work: &Work) -> bool {
    matches!(work, Work::Model { purpose: Purpose::Finalise, .. })
}
