//! The fixture tools that become tasks. `slow_compute` is a run of the server below, so that the
//! suite looks at the product's own tasks. The others ask for what no run of a team does (a task
//! that fails as a protocol error, a result that is an error, answers of the suite's own shape):
//! their tasks are kept here, in memory.

use std::time::Duration;

use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ClientCapabilities, ContentBlock,
    CreateTaskResult, DetailedTask, ErrorData, InputResponses, Tool,
};
use rmcp::service::RequestContext;
use rmcp::task_manager::{TaskContext, TaskExit, TaskFuture, TaskManager, TaskOptions};
use rmcp::{RoleServer, ServerHandler};
use serde_json::{Value, json};
use tokio::time::sleep;

use super::asks::{answered, asking, form};
use super::plain::{no_arguments, tool};

const GREET: &str = "greet";
const SLOW: &str = "slow_compute";
/// Tools that are nothing but a task, and what they do.
const TASKS: [(&str, &str); 5] = [
    ("failing_job", "Ends with a result that is an error"),
    ("protocol_error_job", "Fails as the protocol fails"),
    ("confirm_delete", "Asks the user once on its way"),
    ("multi_input", "Asks the user two things at the same time"),
    ("test_tool_with_task", "Asks first and works then"),
];

/// Long enough for a client to see a task at work.
const WORK: Duration = Duration::from_millis(300);

/// The tasks in memory, and who does the others.
pub(crate) struct Jobs {
    kept: TaskManager,
    worker: &'static str,
}

impl Jobs {
    /// `worker` is an agent of the served team, on a model that takes as long as its task says:
    /// `playbook.yaml`.
    pub(crate) fn new(worker: &'static str) -> Jobs {
        Jobs { kept: TaskManager::new(), worker }
    }

    pub(crate) fn is_one(name: &str) -> bool {
        [GREET, SLOW].contains(&name) || TASKS.iter().any(|(task, _)| *task == name)
    }

    pub(crate) fn tools() -> impl Iterator<Item = Tool> {
        let one =
            |field: &str| json!({"type": "object", "properties": {field: {"type": "string"}}});
        let seconds = json!({"type": "object", "properties": {
            "seconds": {"type": "number"}, "label": {"type": "string"},
        }});
        let others = TASKS.into_iter().map(move |(name, told)| match name {
            "confirm_delete" => tool(name, told, one("filename")),
            _ => no_arguments(name, told),
        });
        let greet = json!({"type": "object", "properties": {"name": {"type": "string"}}});
        [tool(GREET, "Greets at once", greet), tool(SLOW, "Takes so many seconds", seconds)]
            .into_iter()
            .chain(others)
    }

    pub(crate) async fn call(
        &self,
        inner: &impl ServerHandler,
        request: CallToolRequestParams,
        context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let arguments = Value::Object(request.arguments.clone().unwrap_or_default());
        match request.name.as_ref() {
            GREET => return Ok(said(format!("Hello, {}!", word(&arguments["name"]))).into()),
            SLOW => return self.slow(inner, &arguments, context).await,
            _ => {}
        }
        if !context.client_capabilities().is_some_and(|it| it.supports_tasks()) {
            let wanted = ClientCapabilities::builder().enable_tasks().build();
            return Err(ErrorData::missing_required_client_capability(wanted));
        }
        let task = match request.name.as_ref() {
            "failing_job" => self.spawn(|_| Box::pin(failing())),
            "protocol_error_job" => self.spawn(|_| Box::pin(broken())),
            "confirm_delete" => self.spawn(move |it| Box::pin(confirming(it, arguments))),
            "multi_input" => self.spawn(|it| Box::pin(asking_two(it))),
            _ => match answered(request.input_responses.as_ref(), "user_name") {
                Some(answer) => self.spawn(move |_| Box::pin(greeting(answer))),
                None => {
                    let question = form("What is your name?", "name", "string");
                    let asked = asking([("user_name", question)]);
                    return Ok(rmcp::model::InputRequiredResult::from_input_requests(asked).into());
                }
            },
        };
        Ok(task.into())
    }

    /// A run of the team below, handed back at once: who asked for tasks gets it as one.
    async fn slow(
        &self,
        inner: &impl ServerHandler,
        arguments: &Value,
        mut context: RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let seconds = arguments["seconds"].as_f64().unwrap_or_default();
        let task = format!("Compute {} for {seconds} seconds.", word(&arguments["label"]));
        let given = json!({"task": task, "wait_s": 0});
        let given = given.as_object().cloned().unwrap_or_default();
        // Two calls of the suite with the same words are two runs.
        context.meta.0.0.insert("callboard/fresh".to_owned(), json!(true));
        inner
            .call_tool(CallToolRequestParams::new(self.worker).with_arguments(given), context)
            .await
    }

    fn spawn(&self, work: impl FnOnce(TaskContext) -> TaskFuture) -> CreateTaskResult {
        CreateTaskResult::new(self.kept.spawn(TaskOptions::default(), work))
    }

    /// The task, if it is kept here.
    pub(crate) fn get(&self, id: &str) -> Option<DetailedTask> {
        self.kept.get_task(id).ok()
    }

    pub(crate) fn update(&self, id: &str, answers: InputResponses) -> Result<(), ErrorData> {
        self.kept.update_task(id, answers)
    }

    pub(crate) fn cancel(&self, id: &str) -> Result<(), ErrorData> {
        self.kept.cancel_task(id)
    }
}

async fn failing() -> Result<CallToolResult, TaskExit> {
    sleep(WORK).await;
    Ok(CallToolResult::error(vec![ContentBlock::text("the job failed, as it always does")]))
}

async fn broken() -> Result<CallToolResult, TaskExit> {
    sleep(WORK).await;
    Err(TaskExit::Error(ErrorData::internal_error("the job broke the protocol, as it does", None)))
}

async fn confirming(task: TaskContext, arguments: Value) -> Result<CallToolResult, TaskExit> {
    let file = word(&arguments["filename"]).to_owned();
    let question = form(&format!("Delete {file}?"), "confirm", "boolean");
    let answer = task.request_input("confirm", question).await?;
    Ok(said(format!("{file}: confirmed is {}", answer["content"]["confirm"])))
}

async fn asking_two(task: TaskContext) -> Result<CallToolResult, TaskExit> {
    let one = task.request_input("first", form("The first value", "name", "string"));
    let other = task.request_input("second", form("The second value", "name", "string"));
    let (one, other) = tokio::join!(one, other);
    Ok(said(format!("{} and {}", one?["content"], other?["content"])))
}

async fn greeting(answer: Value) -> Result<CallToolResult, TaskExit> {
    sleep(WORK).await;
    Ok(said(format!("Hello, {}!", word(&answer["content"]["name"]))))
}

fn said(text: String) -> CallToolResult {
    CallToolResult::success(vec![ContentBlock::text(text)])
}

fn word(it: &Value) -> &str {
    it.as_str().unwrap_or("nobody")
}
