//! How one step is done: the only place of an agent that waits on the outside.

use std::sync::Arc;

use callboard_trace::{Event, Failure, ModelReplied, Purpose, Spend, StepBegun, Work};
use serde_json::json;
use sha2::{Digest, Sha256};

use crate::model::{Models, Request};
use crate::outcome::Outcome;
use crate::recorded::Recorded;
use crate::shelf::LIST;
use crate::toolbox::{Board, Errand, ToolServers, use_tool};
use crate::{Asked, Run, answer, prompt};

/// What an agent reaches the world with.
#[derive(Clone)]
pub struct Hands {
    /// Every model endpoint of the team.
    pub models: Models,
    /// Sight of the task's other runs.
    pub board: Arc<dyn Board>,
    /// The tool servers of the team.
    pub servers: ToolServers,
    /// Seconds one tool call may take.
    pub tool_timeout: std::time::Duration,
    /// Where outcomes come from instead, when a run is taken again from its record.
    pub recorded: Option<Arc<Recorded>>,
}

/// A step ready to be performed: all it needs, so that the run can go on changing meanwhile.
pub struct Prepared {
    begun: StepBegun,
    run: callboard_trace::RunId,
    provider: String,
    request: Option<Request>,
    errand: Option<Errand>,
}

/// Prepares a model step: the prompt is derived here, before the step's own record is folded.
pub fn prepare_model(run: &Run, asked: &Asked) -> Prepared {
    let model = &run.started.agent.models[asked.model];
    let messages = prompt::messages(run, asked.step, &asked.purpose, &model.provider);
    let (tools, tool_choice) = prompt::tools(run, &asked.purpose);
    let hash = Sha256::digest(serde_json::to_vec(&messages).unwrap_or_default());
    let begun = StepBegun {
        step: asked.step,
        attempt: asked.attempt,
        work: Work::Model {
            provider: model.provider.clone(),
            model: model.model.clone(),
            purpose: asked.purpose.clone(),
            messages: messages.len(),
            prompt: hex(&hash),
        },
        reserved: Spend::default(),
    };
    let request = Request {
        agent: run.name().to_string(),
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
    let (run, provider) = (run.id.clone(), model.provider.clone());
    Prepared { begun, run, provider, request: Some(request), errand: None }
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
pub fn prepare_tool(run: &Run, begun: StepBegun) -> Prepared {
    let errand = match &begun.work {
        Work::Tool { tool, server: Some(server), .. } => Some(Errand {
            server: server.clone(),
            tool: (tool != LIST).then(|| run.shelf.card(tool).map(|it| it.tool.clone())).flatten(),
            agent: run.started.agent.clone(),
            traceparent: traceparent(run, begun.step),
        }),
        Work::Tool { server: None, .. } | Work::Model { .. } => None,
    };
    Prepared { begun, run: run.id.clone(), provider: String::new(), request: None, errand }
}

impl Prepared {
    /// The record that says it begins.
    pub fn begun(&self) -> &StepBegun {
        &self.begun
    }
}

/// Performs one attempt of a step. Dropping the future closes its connections.
pub async fn perform(hands: &Hands, step: Prepared) -> Outcome {
    if let Some(recorded) = &hands.recorded {
        return recorded.perform(step.run, step.begun).await;
    }
    match (step.begun.work, step.request) {
        (Work::Model { provider, model, .. }, Some(request)) => {
            let name = format!("{provider}/{model}");
            let begun = (step.begun.step, step.begun.attempt);
            ask(hands, begun, &step.provider, &name, &request).await
        }
        (Work::Tool { call, tool, arguments, .. }, _) => {
            let started = tokio::time::Instant::now();
            let ms = || u64::try_from(started.elapsed().as_millis()).unwrap_or(u64::MAX);
            let step_no = step.begun.step;
            if let Some(errand) = step.errand {
                let done = hands.servers.run(&errand, &arguments).await;
                let key = format!("{tool} ({call})");
                let left = done.whole.map(|it| answer::noted("notes", &key, it).0);
                let (ok, result) = (done.ok, done.result);
                let returned = Event::ToolReturned {
                    step: step_no,
                    call,
                    ok,
                    result,
                    ms: ms(),
                    documents: vec![],
                };
                return Outcome::done(left.into_iter().chain([returned]).collect());
            }
            let using = use_tool(hands.board.as_ref(), &step.run, &tool, &arguments);
            let result = tokio::time::timeout(hands.tool_timeout, using).await;
            let result = result.unwrap_or_else(|_| {
                Err(format!("`{tool}` gave no answer in {} s", hands.tool_timeout.as_secs()))
            });
            let (ok, result) = match result {
                Ok(result) => (true, result),
                Err(error) => (false, json!({ "error": error })),
            };
            let returned = Event::ToolReturned {
                step: step_no,
                call,
                ok,
                result,
                ms: ms(),
                documents: vec![],
            };
            Outcome::done(vec![returned])
        }
        (Work::Model { .. }, None) => unreachable!("a model step is prepared with its request"),
    }
}

async fn ask(
    hands: &Hands,
    (step, attempt): (u32, u32),
    provider: &str,
    name: &str,
    request: &Request,
) -> Outcome {
    match hands.models.ask(provider, request).await {
        Ok(reply) => Outcome::Done {
            events: vec![Event::ModelReplied(Box::new(ModelReplied {
                step,
                reply: reply.raw,
                text: reply.text,
                calls: reply.calls,
                finish: reply.finish,
                usage: reply.usage,
                model: name.to_string(),
                first_token_ms: reply.first_token_ms,
                ms: reply.ms,
                asked_again: reply.asked_again,
                micro_usd: None,
            }))],
            learned: reply.learned,
        },
        Err(fault) => Outcome::Failed {
            failure: Failure {
                step,
                attempt,
                code: fault.code,
                message: fault.message,
                retryable: fault.retryable,
                retry_at: None,
                ms: fault.ms,
                asked_again: fault.asked_again,
            },
            retry_after: fault.retry_after,
            learned: fault.learned,
        },
    }
}
