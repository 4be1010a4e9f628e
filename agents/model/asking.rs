//! One endpoint that is asked what it can do: a request at a time, and a list of what was found.

use callboard_config::Endpoint;
use serde::Serialize;
use serde_json::{Value, json};

use super::classify::refused;
use super::dialect::Dialect;
use super::exchange::{Reply, Request};
use super::fault::{Fault, one_line};
use super::learned::Learned;
use super::miss::Miss;
use super::wire::Wire;

/// What was found out about one endpoint.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Survey {
    /// A key of `providers`.
    pub provider: String,
    /// The model that was asked; empty if none was.
    pub model: String,
    /// Requests that were sent.
    pub requests: u32,
    /// Tokens that they took, in and out.
    pub tokens: u64,
    /// Whether the model answers at all.
    pub answers: bool,
    /// One line for each thing, in the order they were tried.
    pub found: Vec<Finding>,
}

/// One thing that an endpoint can do or cannot.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Such as `streaming`.
    pub what: &'static str,
    /// `None` = it was not tried, or cannot be told.
    pub works: Option<bool>,
    /// How, or why not, on one line and without a secret.
    pub said: String,
}

/// An endpoint that is being asked, and what was found so far.
pub(super) struct Asking {
    pub(super) wire: Wire,
    pub(super) endpoint: Endpoint,
    /// Most tokens of a reply.
    pub(super) tokens: u32,
    pub(super) survey: Survey,
    /// What was told of rate limits last.
    pub(super) limits: Vec<Learned>,
}

impl Asking {
    pub(super) fn tell(
        &mut self,
        what: &'static str,
        works: impl Into<Option<bool>>,
        said: impl AsRef<str>,
    ) {
        let said = one_line(said.as_ref());
        self.survey.found.push(Finding { what, works: works.into(), said });
    }

    /// Tells a failure. How long it is waited for is a limit of its own here.
    pub(super) fn fails(&mut self, what: &'static str, fault: &Fault) {
        match fault.message.split_once("; raise providers.") {
            Some((head, _)) => self.tell(what, false, format!("{head}; raise limits.probe_s")),
            None => self.tell(what, false, &fault.message),
        }
    }

    pub(super) fn request(&self, task: &str) -> Request {
        Request {
            agent: "doctor".to_owned(),
            turn: 1,
            attempt: 1,
            task: task.to_owned(),
            model: self.survey.model.clone(),
            messages: vec![json!({"role": "user", "content": task})].into(),
            max_output: self.tokens,
            ..Request::default()
        }
    }

    /// One exchange with a changed body, from which nothing is learnt; also whether the answer came as
    /// a whole where a stream was asked for.
    pub(super) async fn raw(
        &mut self,
        request: &Request,
        stream: bool,
        change: impl FnOnce(&mut Value),
    ) -> Result<(Reply, bool), Fault> {
        let manners = self.wire.known(&request.model);
        let dialect = Dialect::of(&self.endpoint, &manners);
        let mut body = dialect.body(request, &self.endpoint, &manners, stream).value();
        change(&mut body);
        let trying = self.wire.trying(&request.model, None);
        let work = async {
            let answer = match stream {
                true => self.wire.streamed(&trying, request, dialect, body).await,
                false => self.wire.plain(&trying, request, dialect, body).await,
            };
            answer.map_err(|miss| match miss {
                Miss::Fault(fault) => fault,
                Miss::Refused { status, told, retry_after } => {
                    refused(&trying.asked, status, &told, retry_after)
                }
            })
        };
        let answer = self.wire.in_time(&trying, Box::pin(work)).await;
        let (is_whole, asked_again) = (trying.seen().is_json, trying.asked_again());
        let answer = answer.map(|it| Reply { learned: trying.learned(), ..it });
        drop(trying);
        Ok((self.counted(answer, asked_again)?, is_whole))
    }

    pub(super) fn counted(
        &mut self,
        answer: Result<Reply, Fault>,
        asked_again: u32,
    ) -> Result<Reply, Fault> {
        self.survey.requests += 1 + asked_again;
        let learned = match &answer {
            Ok(reply) => {
                self.survey.tokens += reply.usage.input + reply.usage.output;
                &reply.learned
            }
            Err(fault) => &fault.learned,
        };
        if !learned.is_empty() {
            self.limits.clone_from(learned);
        }
        answer
    }
}
