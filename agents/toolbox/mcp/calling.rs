//! One call of a tool to its end: at once, as a task that is asked after, or up to a question.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, ElicitRequestParams, GetTaskParams, InputRequest,
    InputRequests, TaskPayload, UpdateTaskParams,
};
use rmcp::service::ServiceError;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::line::{Line, Loan};
use super::reply;
use crate::asked_back::{Asks, DECLINE, Form, Given};
use crate::words;

/// Times that a tool may ask to be called again at once, and the pause before it is.
const ROUNDS_MAX: usize = 10;
const PAUSE: Duration = Duration::from_millis(200);
/// Between two looks at a task.
const POLL_MIN: Duration = Duration::from_millis(100);
const POLL_USUAL: Duration = Duration::from_secs(1);
const POLL_MAX: Duration = Duration::from_secs(10);
/// Questions of one call at once, bytes of the shape of an answer, and of what a tool is handed back.
const FORMS_MAX: usize = 10;
const SHAPE_MAX: usize = 16 << 10;
const STATE_MAX: usize = 64 << 10;
/// Characters of a question.
const MESSAGE_MAX: usize = 2_000;

/// What came of a call.
pub(super) enum Came {
    /// Whether it went well, the text, and the bytes of the whole answer.
    Told(bool, String, usize),
    /// It goes on when a person answered.
    Asks(Asks),
}

impl Came {
    /// What is told of a call that did not do what was asked.
    pub(super) fn badly(text: String) -> Came {
        let bytes = text.len();
        Came::Told(false, text, bytes)
    }
}

/// Calls a tool, or goes on with a call that asked something.
pub(super) async fn call(
    line: &Line,
    loan: &Loan,
    mut params: CallToolRequestParams,
    given: Option<&Given>,
    until: Instant,
) -> Result<Came, String> {
    let lost = |it: ServiceError| failed(line, loan, &it);
    if let Some(given) = given {
        if let Some(task) = &given.task {
            let update = UpdateTaskParams::new(task.clone(), given.responses.clone());
            loan.peer.update_task(update).await.map_err(lost)?;
            let known = given.responses.keys().cloned().collect();
            return follow(line, loan, task.clone(), known, until).await;
        }
        params.input_responses = Some(given.responses.clone());
        params.request_state.clone_from(&given.state);
    }
    for _ in 0..ROUNDS_MAX {
        match loan.peer.call_tool_once(params.clone()).await.map_err(lost)? {
            CallToolResponse::Complete(result) => {
                let (ok, text, bytes) = reply::text(&result);
                return Ok(Came::Told(ok, text, bytes));
            }
            CallToolResponse::Task(made) => {
                return follow(line, loan, made.task.task_id, BTreeSet::new(), until).await;
            }
            CallToolResponse::InputRequired(asked) => {
                let asks = asks(asked.input_requests.unwrap_or_default(), asked.request_state)?;
                if !asks.forms.is_empty() {
                    return Ok(Came::Asks(asks));
                }
                params.input_responses = Some(declined(&asks));
                params.request_state = asks.state;
                sleep(PAUSE).await;
            }
            _ => return Err(line.told("answered in a form that is not known here")),
        }
    }
    Err(line.told(&format!("asked {ROUNDS_MAX} times to be called again, and is not")))
}

/// Waits for the end of a task. One that nobody waits for any more is cancelled.
async fn follow(
    line: &Line,
    loan: &Loan,
    task: String,
    mut known: BTreeSet<String>,
    until: Instant,
) -> Result<Came, String> {
    let lost = |it: ServiceError| failed(line, loan, &it);
    let mut open = loan.cancels_task(task.clone());
    let mut pause = POLL_MIN;
    loop {
        sleep(pause).await;
        if Instant::now() >= until {
            return Ok(Came::badly(
                line.told("was not done with its task in time: it is cancelled"),
            ));
        }
        let now = loan.peer.get_task(GetTaskParams::new(task.clone())).await.map_err(lost)?.task;
        pause = now.task.poll_interval_ms.map_or(POLL_USUAL, Duration::from_millis);
        pause = pause.clamp(POLL_MIN, POLL_MAX);
        match now.payload {
            TaskPayload::Working => {}
            TaskPayload::InputRequired { mut input_requests } => {
                input_requests.retain(|key, _| !known.contains(key));
                let asks = Asks { task: Some(task.clone()), ..asks(input_requests, None)? };
                if !asks.forms.is_empty() {
                    open.settle();
                    return Ok(Came::Asks(asks));
                }
                known.extend(asks.declined.iter().cloned());
                if !asks.declined.is_empty() {
                    let update = UpdateTaskParams::new(task.clone(), declined(&asks));
                    loan.peer.update_task(update).await.map_err(lost)?;
                }
            }
            TaskPayload::Completed { result } => {
                open.settle();
                let read = serde_json::from_value(Value::Object(result));
                let (ok, text, bytes) =
                    reply::text(&read.map_err(|it| {
                        line.told(&format!("brought a result that is none: {it}"))
                    })?);
                return Ok(Came::Told(ok, text, bytes));
            }
            TaskPayload::Failed { error } => {
                open.settle();
                let why = error.get("message").and_then(Value::as_str).unwrap_or_default();
                let why = words::cut(why, 1_000);
                return Ok(Came::badly(line.told(&format!("failed in its task: {why}"))));
            }
            TaskPayload::Cancelled => {
                open.settle();
                return Ok(Came::badly(line.told("cancelled its task")));
            }
            _ => return Err(line.told("has a task in a state that is not known here")),
        }
    }
}

/// What a tool asks, within bounds. A page that it wants opened is declined.
fn asks(requests: InputRequests, state: Option<String>) -> Result<Asks, String> {
    let mut asks = Asks { state, ..Asks::default() };
    for (key, request) in requests {
        let InputRequest::Elicitation(asked) = request else {
            return Err("the tool wants a model or folders from here, which it does not get".into());
        };
        match asked.params {
            ElicitRequestParams::FormElicitationParams { message, requested_schema, .. } => {
                let schema = serde_json::to_value(requested_schema).unwrap_or_default();
                let message = words::cut(&message, MESSAGE_MAX);
                asks.forms.insert(key, Form { message, schema });
            }
            ElicitRequestParams::UrlElicitationParams { .. } | _ => asks.declined.push(key),
        }
    }
    let shapes: usize =
        asks.forms.iter().map(|it| it.0.len() + it.1.schema.to_string().len()).sum();
    let state = asks.state.as_ref().map_or(0, String::len);
    if asks.forms.len() > FORMS_MAX || shapes > SHAPE_MAX || state > STATE_MAX {
        return Err("the tool asks more than it may".into());
    }
    Ok(asks)
}

fn declined(asks: &Asks) -> BTreeMap<String, Value> {
    asks.declined.iter().map(|it| (it.clone(), json!({"action": DECLINE}))).collect()
}

/// What went wrong on the way, in words for the model.
pub(super) fn failed(line: &Line, loan: &Loan, error: &ServiceError) -> String {
    if let ServiceError::McpError(refusal) = error {
        return line.told(&format!("refused: {}", words::cut(&refusal.message, 1_000)));
    }
    let lost = "was lost during the call: whether it was done is not known";
    match (loan.is_lost(), loan.last_words()) {
        (true, said) if said.is_empty() => line.told(lost),
        (true, said) => line.told(&format!("{lost}; it said: {said}")),
        (false, _) => line.told(&words::cut(&error.to_string(), 300)),
    }
}
