//! What a run asks comes to the user of a client, and what the user says comes to the run.

use std::collections::BTreeMap;
use std::time::Duration;

use callboard_scheduler::{Refusal, RefusalCode};
use callboard_tools::Outcome;
use callboard_trace::{Caller, RunId, RunView};
use rmcp::RoleServer;
use rmcp::model::{ClientResult, ElicitRequest, ErrorData, InputResponses, ServerRequest};
use rmcp::service::{PeerRequestOptions, RequestContext, RequestHandle};
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, timeout_at};

use crate::era::error;
use crate::host::Server;
use crate::questions;

/// How long a user of an older client may take for an answer; the question stays open after it.
const ASKED_FOR: Duration = Duration::from_secs(3_600);

impl Server {
    /// Takes the answers in that are to questions still open, then waits for the run as its call
    /// did. An answer that came before changes nothing. Tells too whether more may be asked.
    pub(crate) async fn resume(
        &self,
        run: &RunId,
        given: &InputResponses,
        caller: &Caller,
        context: &RequestContext<RoleServer>,
    ) -> Result<(Outcome, bool), ErrorData> {
        let answered = match self.take_answers(run, given, caller).await {
            Ok(answered) => answered,
            Err(refusal) => {
                return Ok((Outcome::refused(&refusal), false));
            }
        };
        // Nobody answered: the user is not there, or does not want to. Without any response at all
        // the client has forgotten to ask.
        let wait_s = (!answered).then_some(0);
        let outcome = self.follow(run, wait_s, context).await?;
        Ok((outcome, answered || given.is_empty()))
    }

    /// Writes down what a user answered; whether there was anything.
    async fn take_answers(
        &self,
        run: &RunId,
        given: &InputResponses,
        caller: &Caller,
    ) -> Result<bool, Refusal> {
        let answers = questions::answers(given).map_err(|problems| {
            let hint =
                "answer as the form says: {\"action\": \"accept\", \"content\": {\"answer\": …}}";
            let message = "some of the inputResponses cannot be read";
            Refusal { problems, ..Refusal::new(RefusalCode::InvalidInput, message, hint) }
        })?;
        let view = self.desk().view(run, caller).await?;
        let open = |id: &String| view.questions.iter().any(|it| it.id == *id);
        let answers: BTreeMap<String, String> = answers
            .into_iter()
            .filter(|(id, _)| open(id))
            .filter_map(|(id, it)| Some((id, it.as_str()?.to_owned())))
            .collect();
        if answers.is_empty() {
            return Ok(false);
        }
        self.desk().answer(run, &answers, caller).await.map(|_| true)
    }

    /// Asks the user of an older client, one question after the other, for as long as the call may
    /// take. Who answers later is heard as well.
    pub(crate) async fn ask_along(
        &self,
        mut outcome: Outcome,
        mut view: RunView,
        caller: &Caller,
        since: Instant,
        context: &RequestContext<RoleServer>,
    ) -> Result<Outcome, ErrorData> {
        let until = since + self.deadline(caller).await.most;
        while let Some(answered) = self.ask_first(&view, caller, context).await {
            // The client is not to think that nothing happens while its user thinks.
            let (_named, named) = watch::channel(Some(view.run.clone()));
            let mut news = self.news(caller, named, context);
            let is_answered = tokio::select! {
                answered = timeout_at(until, answered) => matches!(answered, Ok(Ok(true))),
                () = context.ct.cancelled() => false,
            };
            news.shutdown().await;
            if !is_answered {
                break;
            }
            let left = until.saturating_duration_since(Instant::now()).as_secs();
            outcome = self.follow(&view.run, Some(left), context).await?;
            match self.open_run(&outcome, caller).await {
                Some(next) => view = next,
                None => break,
            }
        }
        Ok(outcome)
    }

    /// Puts a run's first question to the user of an older client, once. Tells whether it was
    /// answered. `None` if there is none to put.
    async fn ask_first(
        &self,
        view: &RunView,
        caller: &Caller,
        context: &RequestContext<RoleServer>,
    ) -> Option<oneshot::Receiver<bool>> {
        let question = view.questions.iter().find(|it| self.desk().may_answer(it, caller))?;
        let form = questions::form(&view.run, question)?;
        if !self.put(&question.id) {
            return None;
        }
        let request = ServerRequest::ElicitRequest(ElicitRequest::new(form));
        let options = PeerRequestOptions::with_timeout(ASKED_FOR);
        let sent = context.peer.send_cancellable_request(request, options).await;
        let Ok(handle) = sent.inspect_err(|error| tracing::debug!(%error, "nobody is asked"))
        else {
            self.unput(&question.id);
            return None;
        };
        let (told, answered) = oneshot::channel();
        let (server, caller) = (self.clone(), caller.clone());
        let (run, question) = (view.run.clone(), question.id.clone());
        self.beside().spawn(async move {
            let answer = tokio::select! {
                answer = heard(handle) => answer,
                () = server.ended() => None,
            };
            let done = match answer {
                Some(answer) => {
                    let answers = [(question.clone(), answer)].into();
                    let done = server.desk().answer(&run, &answers, &caller).await;
                    done.inspect_err(|it| tracing::debug!(%run, refusal = %it, "not answered"))
                        .is_ok()
                }
                None => false,
            };
            server.unput(&question);
            // The call may have been answered without it.
            let _ = told.send(done);
        });
        Some(answered)
    }

    /// Takes in what a client answers to a task.
    pub(crate) async fn update(
        &self,
        run: &RunId,
        given: &InputResponses,
        context: &RequestContext<RoleServer>,
    ) -> Result<(), ErrorData> {
        let taken = self.take_answers(run, given, &self.caller(context)).await;
        taken.map(drop).map_err(|it| error(&it))
    }
}

/// What the user of an older client answered.
async fn heard(handle: RequestHandle<RoleServer>) -> Option<String> {
    match handle.await_response().await {
        Ok(ClientResult::ElicitResult(result)) => questions::answer(&result).ok().flatten(),
        Ok(_) | Err(_) => None,
    }
}
