//! How one step is done: the only place of an agent that waits on the outside.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use callboard_config::Team;
use callboard_config::budget::{Caps, Price};
use callboard_config::guards::{Guard, Kind};
use callboard_trace::secrets::hide_settings;
use callboard_trace::{Event, Failure, FailureCode, Purpose, Spend, StepBegun, Work};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio::time::timeout;

use crate::alert::kept_back;
use crate::model::{JsonList, Models, Request};
use crate::outcome::Outcome;
use crate::recorded::Recorded;
use crate::toolbox::{Board, Errand, Ground, Kit, Known, ToolServers, left, patience, use_tool};
use crate::{Asked, Run, prompt};

/// Tokens of the shortest reply that is worth asking for.
pub const LEAST_OUTPUT: u32 = 256;

/// What an agent reaches the world with.
#[derive(Clone)]
pub struct Hands {
    /// Every model endpoint of the team.
    pub models: Models,
    /// Sight of the task's other runs.
    pub board: Arc<dyn Board>,
    /// What built-in tools reach the machine with.
    pub(crate) ground: Arc<Ground>,
    /// The tool servers of the team.
    pub servers: ToolServers,
    /// Seconds one tool call may take.
    pub tool_timeout: Duration,
    /// Where outcomes come from instead, when a run is taken again from its record.
    pub recorded: Option<Arc<Recorded>>,
}

impl Hands {
    /// Those of a team whose journal is in the folder `data`: no agent writes there.
    pub fn of(
        team: &Team,
        data: &Path,
        models: Models,
        board: Arc<dyn Board>,
        servers: ToolServers,
    ) -> Hands {
        let ground = Arc::new(Ground::of(team, data, servers.keeper().cloned()));
        let tool_timeout = Duration::from_secs(team.limits.tool_timeout_s);
        Hands { models, board, ground, servers, tool_timeout, recorded: None }
    }
}

/// A step ready to be performed: all it needs, so that the run can go on changing meanwhile.
pub struct Prepared {
    begun: StepBegun,
    run: callboard_trace::RunId,
    provider: String,
    request: Option<Request>,
    errand: Option<Box<Errand>>,
    known: Known,
    /// Tokens of the prompt, as its bytes suggest.
    input: u64,
    price: Option<Price>,
    /// How long it may take at most, as the run's budget has it.
    left_ms: Option<u64>,
}

/// Prepares a model step: the prompt is derived here, before the step's own record is folded.
pub fn prepare_model(run: &Run, asked: &Asked, price: Option<Price>) -> Prepared {
    let model = &run.models_for(&asked.purpose)[asked.model];
    let messages = prompt::messages(run, asked.step, &asked.purpose, &model.provider);
    let (tools, tool_choice) = prompt::tools(run, &asked.purpose);
    let n_messages = messages.len();
    let messages = JsonList::written(&messages);
    let hash = Sha256::digest(messages.text());
    let input = tokens(messages.text().len() + tools.text().len());
    let begun = StepBegun {
        step: asked.step,
        attempt: asked.attempt,
        work: Work::Model {
            provider: model.provider.clone(),
            model: model.model.clone(),
            purpose: asked.purpose.clone(),
            messages: n_messages,
            prompt: hex(&hash),
        },
        reserved: reserved(input, model.max_output, price),
        stead: None,
    };
    let request = Request {
        agent: asks(run, &asked.purpose),
        turn: run.turns + u32::from(asked.purpose == Purpose::Turn),
        attempt: asked.attempt,
        purpose: asked.purpose.clone(),
        handed: run.started.handoff.is_some(),
        task: run.started.task.clone(),
        run: run.id.to_string(),
        model: model.model.clone(),
        messages,
        tools,
        tool_choice,
        temperature: run.started.agent.temperature,
        effort: run.started.agent.effort.clone(),
        max_output: model.max_output,
        traceparent: Some(traceparent(run, asked.step)),
        response_format: prompt::form(run, &asked.purpose),
    };
    let (id, provider) = (run.id.clone(), model.provider.clone());
    let of_judge = guard_of(run, &asked.purpose).map(|it| it.timeout_s.saturating_mul(1_000));
    let left_ms = left_ms(run, asked.purpose == Purpose::Finalise);
    let left_ms = [left_ms, of_judge].into_iter().flatten().min();
    Prepared {
        begun,
        run: id,
        provider,
        request: Some(request),
        errand: None,
        known: Known::of(run, false),
        input,
        price,
        left_ms,
    }
}

/// The longest reply that fits, if one does that is worth asking for.
pub(crate) fn largest(most: u32, fits: impl Fn(u32) -> bool) -> Option<u32> {
    let (mut low, mut high) = (LEAST_OUTPUT.min(most), most);
    if !fits(low) {
        return None;
    }
    while low < high {
        let middle = low + (high - low).div_ceil(2);
        (low, high) = if fits(middle) { (middle, high) } else { (low, middle - 1) };
    }
    Some(low)
}

/// Tokens of so many bytes, where nobody counted them.
fn tokens(bytes: usize) -> u64 {
    bytes.div_ceil(4) as u64
}

/// The most that a model step may cost.
fn reserved(input: u64, max_output: u32, price: Option<Price>) -> Spend {
    let output = u64::from(max_output);
    Spend {
        tokens: input + output,
        micro_usd: price.map_or(0, |it| it.micro_usd(input, 0, output)),
        model_calls: 1,
        ..Spend::default()
    }
}

/// What is left of the run's time inside steps, without that of the last turn unless it is one.
fn left_ms(run: &Run, is_last: bool) -> Option<u64> {
    let cap = run.started.budget.ms?;
    let kept = if is_last { 0 } else { kept_back("seconds", cap, 0) };
    Some((cap - kept).saturating_sub(run.spent.ms).max(1))
}

/// Who asks: the agent, or the judge of one of its checks.
fn asks(run: &Run, purpose: &Purpose) -> String {
    let judge = guard_of(run, purpose)
        .and_then(|it| if let Kind::Judge { by, .. } = &it.kind { Some(by.clone()) } else { None });
    judge.unwrap_or_else(|| run.name().to_string())
}

/// The check that a judge is asked for.
fn guard_of<'a>(run: &'a Run, purpose: &Purpose) -> Option<&'a Guard> {
    let Purpose::Judge { check, .. } = purpose else { return None };
    run.started.agent.guards.iter().find(|it| it.name == *check)
}

/// The W3C trace context of a step: the root's trace, and a span made of the step's own name.
fn traceparent(run: &Run, step: u32) -> String {
    let span = Sha256::digest(format!("{}/{step}", run.id));
    format!("00-{}-{}-01", run.started.trace, hex(&span[..8]))
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|it| format!("{it:02x}")).collect()
}

/// Prepares a tool step.
pub fn prepare_tool(run: &Run, mut begun: StepBegun) -> Prepared {
    // To look into memory is no act of the agent's, and costs it nothing.
    let is_look = matches!(&begun.work, Work::Tool { tool, .. } if tool == Work::LOOK);
    begun.reserved = Spend { tool_calls: u64::from(!is_look), ..Spend::default() };
    let card = |tool: &str| run.shelf.card(tool).filter(|_| tool != Work::LIST);
    let errand = match &begun.work {
        Work::Tool { call, tool, server: Some(server), .. } => Some(Box::new(Errand {
            server: server.clone(),
            tool: card(tool).map(|it| it.tool.clone()),
            given: run.asked_back.get(call).map(|it| it.given(&run.id, &run.heard)),
            sha256: card(tool).and_then(|it| it.sha256.clone()),
            agent: run.started.agent.clone(),
            traceparent: traceparent(run, begun.step),
        })),
        Work::Tool { server: None, .. } | Work::Model { .. } => None,
    };
    let left_ms = left_ms(run, false);
    let known = Known::of(run, errand.is_none());
    let (run, provider) = (run.id.clone(), String::new());
    Prepared { begun, run, provider, request: None, errand, known, input: 0, price: None, left_ms }
}

impl Prepared {
    /// The record that says it begins.
    pub fn begun(&self) -> &StepBegun {
        &self.begun
    }

    /// It takes another resource than its own from here on, or its own again.
    pub fn takes(&mut self, stead: Option<(&str, &str)>) {
        self.begun.takes(stead);
    }

    /// Tokens of its prompt, as its bytes suggest.
    pub fn input(&self) -> u64 {
        self.input
    }

    /// What its model costs, if anybody said.
    pub(crate) fn price(&self) -> Option<Price> {
        self.price
    }

    /// Tokens that its reply may have at most; `None` for a tool.
    pub(crate) fn max_output(&self) -> Option<u32> {
        self.request.as_ref().map(|it| it.max_output)
    }

    /// What a last turn takes at least that follows it, with its reply in the prompt.
    pub fn last_turn(&self) -> Spend {
        self.max_output().map_or_else(Spend::default, |it| self.last_turn_after(it))
    }

    /// The same after a reply of so many tokens.
    pub(crate) fn last_turn_after(&self, output: u32) -> Spend {
        reserved(self.input.saturating_add(u64::from(output)), LEAST_OUTPUT, self.price)
    }

    /// What it sets aside with a shorter reply.
    pub(crate) fn reserved_with(&self, max_output: u32) -> Spend {
        reserved(self.input, max_output, self.price)
    }

    /// The least it takes of a dimension; `None` where it takes nothing, or of time, which nobody
    /// knows before.
    pub fn least(&self, dimension: &str) -> Option<u64> {
        let least = match self.request {
            Some(_) => self.reserved_with(LEAST_OUTPUT),
            None => self.begun.reserved,
        };
        let all = least.beside(&Caps::default());
        all.iter().find(|it| it.0 == dimension && dimension != "seconds" && it.1 > 0).map(|it| it.1)
    }

    /// The same with the least that a last turn behind it takes, unless it is one.
    pub fn needs(&self, dimension: &str, is_last: bool) -> Option<u64> {
        let turn = self.last_turn_after(LEAST_OUTPUT).beside(&Caps::default());
        let turn = turn.iter().find(|it| it.0 == dimension && self.request.is_some() && !is_last);
        Some(self.least(dimension)? + turn.map_or(0, |it| it.1))
    }

    /// The longest reply that takes no more than this of a dimension, if one does that is worth asking
    /// for.
    pub fn longest(&self, dimension: &str, left: u64) -> Option<u32> {
        let takes = |output: u32| {
            let all = self.reserved_with(output).beside(&Caps::default());
            all.iter().find(|it| it.0 == dimension).map_or(0, |it| it.1)
        };
        self.max_output().and_then(|most| largest(most, |output| takes(output) <= left))
    }

    /// Lets the reply have so many tokens at most. `false` if it had no more before.
    pub fn cut(&mut self, max_output: u32) -> bool {
        let Some(request) = self.request.as_mut().filter(|it| it.max_output > max_output) else {
            return false;
        };
        request.max_output = max_output;
        self.begun.reserved = reserved(self.input, max_output, self.price);
        true
    }
}

/// Performs one attempt of a step. Dropping the future closes its connections.
pub async fn perform(hands: &Hands, step: &Prepared) -> Outcome {
    if let Some(recorded) = &hands.recorded {
        return recorded.perform(step.run.clone(), step.begun.clone()).await;
    }
    match (&step.begun.work, &step.request) {
        (Work::Model { .. }, Some(request)) => {
            let left = step.left_ms.map_or(Duration::MAX, Duration::from_millis);
            let asked = timeout(left, ask(hands, step, request)).await;
            asked.unwrap_or_else(|_| out_of_time(step, left))
        }
        // Boxed: it is far larger than a question to a model, of which very many wait at once.
        (Work::Tool { .. }, _) => Box::pin(call(hands, step)).await,
        (Work::Model { .. }, None) => unreachable!("a model step is prepared with its request"),
    }
}

/// The run's own budget ends the step before anything else does, or a judge's patience.
fn out_of_time(step: &Prepared, left: Duration) -> Outcome {
    let seconds = left.as_secs_f64();
    let message = format!("no reply in the {seconds:.1} s that the step had left");
    let is_judge = matches!(&step.begun.work, Work::Model { purpose: Purpose::Judge { .. }, .. });
    let code = if is_judge { FailureCode::Timeout } else { FailureCode::Budget };
    let failure = Failure::of((step.begun.step, step.begun.attempt), code, &message);
    let ms = u64::try_from(left.as_millis()).unwrap_or(u64::MAX);
    let failure = Failure { ms, ..failure };
    Outcome::Failed { failure, retry_after: None, learned: Vec::new() }
}

async fn call(hands: &Hands, step: &Prepared) -> Outcome {
    let Work::Tool { call, tool, arguments, server, .. } = &step.begun.work else {
        unreachable!("only a tool is called")
    };
    let started = tokio::time::Instant::now();
    let own = patience(&hands.ground, tool, arguments).filter(|_| step.errand.is_none());
    let most = own.unwrap_or(hands.tool_timeout);
    let most = step.left_ms.map_or(most, |it| most.min(Duration::from_millis(it)));
    let late = || format!("`{tool}` gave no answer in {} s", most.as_secs());
    let (mut whole, mut documents, mut files) = (None, Vec::new(), Vec::new());
    let (ok, mut result) = match &step.errand {
        Some(errand) => {
            let done = hands.servers.run(errand, arguments, most).await;
            whole = done.whole;
            (done.ok, done.result)
        }
        None => {
            let kit = Kit {
                board: hands.board.as_ref(),
                ground: &hands.ground,
                run: &step.run,
                call,
                attempt: step.begun.attempt,
                known: &step.known,
            };
            let using = use_tool(&kit, tool, arguments);
            match timeout(most, using).await.unwrap_or_else(|_| Err(late())) {
                Ok(used) => {
                    (whole, documents, files) = (used.whole, used.documents, used.files);
                    (true, used.result)
                }
                Err(error) => (false, json!({ "error": error })),
            }
        }
    };
    let ms = u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
    whole.iter_mut().chain([&mut result]).for_each(hide_settings);
    let whole = whole.map(|it| left(tool, server.as_deref(), call, it));
    let (step, call) = (step.begun.step, call.clone());
    let returned = Event::ToolReturned { step, call, ok, result, ms, documents, files };
    Outcome::done(whole.into_iter().chain([returned]).collect())
}

async fn ask(hands: &Hands, step: &Prepared, request: &Request) -> Outcome {
    let StepBegun { step: number, attempt, .. } = step.begun;
    match hands.models.ask(&step.provider, request).await {
        Ok(mut reply) => {
            let learned = std::mem::take(&mut reply.learned);
            let name = format!("{}/{}", step.provider, request.model);
            let replied = reply.recorded(number, name, step.price);
            Outcome::Done { events: vec![Event::ModelReplied(Box::new(replied))], learned }
        }
        Err(fault) => Outcome::Failed {
            failure: fault.recorded(number, attempt),
            retry_after: fault.retry_after,
            learned: fault.learned,
        },
    }
}
