//! A call of a tool, from its arguments to its answer: the result, a question to the user, or a task.

use std::time::Duration;

use callboard_config::http::Scope;
use callboard_scheduler::{Refusal, RefusalCode};
use callboard_tools::{Call, Outcome, Patience, UnknownTool};
use callboard_trace::{Action, Caller, Control, RunId, RunView};
use rmcp::RoleServer;
use rmcp::model::{
    CallToolRequestParams, CallToolResponse, CallToolResult, ContentBlock, ErrorData, GetTaskResult,
};
use rmcp::service::RequestContext;
use serde_json::{Map, Value, json};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::deadline::Deadline;
use crate::era::{error, is_modern};
use crate::host::Server;
use crate::open::Asked;
use crate::progress::Progress;
use crate::{questions, tasks, trace_context, veil};

/// A client that takes tasks goes on with other things: it waits no longer for one by itself.
const TASK_AFTER: Duration = Duration::from_secs(10);
/// The tool that waits for a run, whatever was called first.
const STATUS: &str = "team_status";

impl Server {
    /// Does a call, or goes on with one that waited for answers.
    pub(crate) async fn call(
        &self,
        mut request: CallToolRequestParams,
        context: &RequestContext<RoleServer>,
    ) -> Result<CallToolResponse, ErrorData> {
        let given = request.input_responses.take().unwrap_or_default();
        let state = request.request_state.take();
        let mut meta = context.meta.0.0.clone();
        trace_context::settle(&mut meta, &context.extensions, self.trace());
        let (tool, arguments) = (request.name.into_owned(), request.arguments.unwrap_or_default());
        let call = Call { tool, arguments, meta };
        let since = Instant::now();
        let caller = self.caller(context);
        let bound_to = questions::bound_to(&caller.principal, &call);
        // Its arguments may be very many tasks: they are kept once, and not while it waits.
        let (waits, starts_a_run) =
            (self.waits(&call), self.shown().tools.starts_a_run(&call.tool));
        let (outcome, may_ask) = match state {
            None => (self.answer(call, context).await?, waits),
            Some(state) => {
                let run = questions::resumed(&state, self.seals(), &bound_to);
                let run = run.map_err(|told| ErrorData::invalid_params(told, None))?;
                self.resume(&run, &given, &caller, context).await?
            }
        };
        let asks = may_ask && questions::elicits(context) && questions::asks(&outcome);
        let hands_out = takes_tasks(context) && starts_a_run;
        let view = if asks || hands_out { self.open_run(&outcome, &caller).await } else { None };
        let Some(view) = view else {
            return Ok(self.complete(outcome, context).await.into());
        };
        if !is_modern(context) {
            let outcome = self.ask_along(outcome, view, &caller, since, context).await?;
            return Ok(self.complete(outcome, context).await.into());
        }
        if asks && let Some(mut required) = questions::required(&view, self.seals(), &bound_to) {
            required.meta = self.signed(context);
            return Ok(required.into());
        }
        if hands_out {
            let times = self.desk().times(&view.run, &caller).await.map_err(|it| error(&it))?;
            let mut created = tasks::created(&view, times);
            created.meta = self.signed(context);
            return Ok(created.into());
        }
        Ok(self.complete(outcome, context).await.into())
    }

    /// An outcome as a result that is complete.
    pub(crate) async fn complete(
        &self,
        mut outcome: Outcome,
        context: &RequestContext<RoleServer>,
    ) -> CallToolResult {
        if outcome.is_error {
            veil::over_all(&mut outcome.body);
        }
        let mut meta = self.signed(context);
        if let Some(meta) = &mut meta {
            trace_context::tell(self.desk(), &outcome, &self.caller(context), meta).await;
        }
        let mut result = CallToolResult::success(vec![ContentBlock::text(outcome.text())]);
        result.structured_content = Some(outcome.body);
        result.is_error = Some(outcome.is_error);
        result.with_meta(meta)
    }

    /// The run of an outcome, while it is open.
    pub(crate) async fn open_run(&self, outcome: &Outcome, caller: &Caller) -> Option<RunView> {
        if outcome.is_error || outcome.is_end() {
            return None;
        }
        let run = RunId::from_text(outcome.body.get("run")?.as_str()?);
        let mut view = self.desk().view(&run, caller).await.ok()?;
        view.questions.retain(|it| self.desk().may_answer(it, caller));
        (!view.state.is_over()).then_some(view)
    }

    /// Whether a call stays for what comes, so that its user may be asked meanwhile.
    fn waits(&self, call: &Call) -> bool {
        let wait_s = call.arguments.get("wait_s").and_then(Value::as_f64);
        self.shown().tools.waits(&call.tool) && wait_s.is_none_or(|it| it > 0.0)
    }

    /// Shows how a run stands, at once or after a while.
    pub(crate) async fn follow(
        &self,
        run: &RunId,
        wait_s: Option<u64>,
        context: &RequestContext<RoleServer>,
    ) -> Result<Outcome, ErrorData> {
        let mut arguments = Map::from_iter([("run".to_owned(), json!(run))]);
        if let Some(wait_s) = wait_s {
            arguments.insert("wait_s".to_owned(), json!(wait_s));
        }
        let call = Call { tool: STATUS.to_owned(), arguments, meta: Map::new() };
        self.answer(call, context).await
    }

    /// How long calls of a client may take.
    pub(crate) async fn deadline(&self, caller: &Caller) -> Deadline {
        let gives_up = self.desk().gives_up_after(&caller.client).await;
        Deadline::of(&caller.client, &self.desk().team().limits, gives_up)
    }

    /// Does a call in a task of its own, with news of it going out beside.
    pub(crate) async fn answer(
        &self,
        call: Call,
        context: &RequestContext<RoleServer>,
    ) -> Result<Outcome, ErrorData> {
        let caller = self.caller(context);
        let deadline = self.deadline(&caller).await;
        let left = self.ending();
        let asked = self.asked(context);
        let ear = asked.as_ref().map(Asked::ear).unwrap_or_default();
        let shown = self.shown();
        let starts_a_run = shown.tools.starts_a_run(&call.tool);
        let usual = match takes_tasks(context) && starts_a_run {
            true => deadline.usual.min(TASK_AFTER),
            false => deadline.usual,
        };
        let (patience, named) = Patience::new(usual, deadline.most, left.clone());
        let patience = patience.with_ear(ear);
        let mut news = self.news(&caller, named.clone(), context);
        let mut body = JoinSet::new();
        let (desk, whose) = (self.desk().clone(), caller.clone());
        body.spawn(async move { shown.tools.apply(&desk, call, &whose, &patience).await });
        let done = tokio::select! {
            done = body.join_next() => done,
            () = context.ct.cancelled() => {
                left.cancel();
                if let Some(asked) = asked.as_ref().filter(|it| it.timed_out()) {
                    self.desk().gave_up(&caller.client, asked.elapsed()).await;
                }
                let done = body.join_next().await;
                let run = named.borrow().clone().filter(|_| starts_a_run);
                if let Some(run) = run.filter(|_| asked.as_ref().is_some_and(Asked::by_user)) {
                    self.stop(&run, &caller).await;
                }
                done
            }
        };
        news.shutdown().await;
        match done {
            Some(Ok(Ok(outcome))) => {
                // Who may only look takes no notice away from who acts under the same name.
                let counts = outcome.is_end() && self.principal(context).scope > Scope::Read;
                asked.filter(|_| counts).inspect(Asked::is_end);
                Ok(outcome)
            }
            Some(Ok(Err(UnknownTool(told)))) => Err(ErrorData::invalid_params(told, None)),
            Some(Err(_)) | None => Ok(broke_down()),
        }
    }

    /// How a run stands, as a task.
    pub(crate) async fn look(
        &self,
        run: &RunId,
        context: &RequestContext<RoleServer>,
    ) -> Result<GetTaskResult, ErrorData> {
        let caller = self.caller(context);
        let mut view = self.desk().view(run, &caller).await.map_err(|it| error(&it))?;
        view.questions.retain(|it| self.desk().may_answer(it, &caller));
        let times = self.desk().times(run, &caller).await.map_err(|it| error(&it))?;
        // Who reads this has been told of the end, as by the answer of a call.
        let result = if view.state.is_over() {
            let outcome = self.follow(run, Some(0), context).await?;
            match serde_json::to_value(self.complete(outcome, context).await) {
                Ok(Value::Object(result)) => result,
                Ok(_) | Err(_) => Map::new(),
            }
        } else {
            Map::new()
        };
        let asks = questions::elicits(context);
        let mut task = GetTaskResult::new(tasks::detailed(&view, times, asks, || result));
        task.meta = self.signed(context);
        Ok(task)
    }

    /// Stops the run of a task. What is over cannot be stopped, and need not be.
    pub(crate) async fn end(
        &self,
        run: &RunId,
        context: &RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let cancel = cancel("its task was cancelled");
        match self.desk().control(run, cancel, &self.caller(context)).await {
            Err(refusal) if refusal.code == RefusalCode::Conflict => Ok(()),
            cancelled => cancelled.map(drop).map_err(|it| error(&it)),
        }
    }

    /// Tells the client of a call how its run gets on, for as long as this is held; nothing to one
    /// that does not want to know.
    pub(crate) fn news(
        &self,
        caller: &Caller,
        named: watch::Receiver<Option<RunId>>,
        context: &RequestContext<RoleServer>,
    ) -> JoinSet<()> {
        let mut news = JoinSet::new();
        if let Some(token) = context.meta.get_progress_token() {
            let (desk, peer) = (self.desk().clone(), context.peer.clone());
            let n_told = self.asked(context).map(|it| it.n_told()).unwrap_or_default();
            let caller = caller.clone();
            news.spawn(Progress { desk, caller, named, peer, token, n_told }.tell());
        }
        news
    }

    /// A user who stops a call stops its run.
    async fn stop(&self, run: &RunId, caller: &Caller) {
        let cancel = cancel("the user of the client asked to stop");
        if let Err(refusal) = self.desk().control(run, cancel, caller).await {
            tracing::debug!(%run, %refusal, "the run goes on");
        }
    }
}

/// What a call came to, in a word, for who reads the log.
pub(crate) fn told(done: &Result<CallToolResponse, ErrorData>) -> String {
    match done {
        Ok(CallToolResponse::Complete(it)) => {
            let body = it.structured_content.as_ref();
            let text = |name: &str| body.and_then(|it| it.get(name)).and_then(Value::as_str);
            let (run, state) = (text("run").unwrap_or_default(), text("state").unwrap_or("done"));
            match it.is_error {
                Some(true) => format!("refused, {}", text("code").unwrap_or_default()),
                _ => format!("{state} {run}"),
            }
        }
        Ok(CallToolResponse::InputRequired(_)) => "asks its user".to_owned(),
        Ok(CallToolResponse::Task(it)) => format!("task {}", it.task.task_id),
        Ok(_) => String::new(),
        Err(error) => format!("error {}", error.code.0),
    }
}

/// That a run is to end.
fn cancel(reason: &str) -> Control {
    Control { action: Action::Cancel, value: Value::Null, reason: reason.to_owned() }
}

fn takes_tasks(context: &RequestContext<RoleServer>) -> bool {
    is_modern(context) && context.client_capabilities().is_some_and(|it| it.supports_tasks())
}

/// A call that broke down in our own code: the client is answered all the same.
fn broke_down() -> Outcome {
    let message = "the call broke down inside the server";
    let hint = "what it had started goes on; `team_status` without arguments lists recent runs";
    Outcome::refused(&Refusal::new(RefusalCode::Internal, message, hint))
}
