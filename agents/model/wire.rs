//! One attempt at an OpenAI-compatible endpoint, from the request to a reply or a fault.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_openai::error::OpenAIError;
use async_openai::traits::RequestOptionsBuilder;
use callboard_config::{Endpoint, ExposeSecret, Limits, SecretString};
use callboard_trace::FailureCode;
use futures::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};
use serde::Serialize;
use serde_json::Value;
use tokio::time::timeout;

use super::classify::{Asked, refused, told};
use super::complaint::{Complaint, found};
use super::decode::{Whole, is_held_back, read};
use super::dialect::{Dialect, refuses_chat};
use super::echo::adopt;
use super::embed;
use super::exchange::{Reply, Request};
use super::fault::Fault;
use super::filter::Shape;
use super::manners::Manners;
use super::miss::{Miss, ended, missed};
use super::redact::Secrets;
use super::transport::{Clock, Door, Probe, Transport};
use super::trying::Try;

/// One endpoint: its connections, its secrets, and what was learned about it.
pub(crate) struct Wire {
    provider: String,
    endpoint: Endpoint,
    /// The connections and the headers, or what is wrong with the endpoint.
    ready: Result<(Arc<Transport>, Arc<HeaderMap>), Fault>,
    secrets: Secrets,
    manners: Mutex<BTreeMap<String, Manners>>,
}

/// Further tries of one attempt after a refusal that taught something.
const LESSONS: usize = 2;

/// What is learned about all models of an endpoint.
const EVERY: &str = "";

/// How long the tail of a stream is waited for after the message was complete.
const TAIL: Duration = Duration::from_secs(5);

impl Wire {
    pub(crate) fn new(provider: &str, endpoint: &Endpoint, limits: &Limits, clock: Clock) -> Wire {
        let ready = headers(provider, endpoint).and_then(|headers| {
            let transport = Transport::new(endpoint, limits, clock).map_err(|problem| {
                let message = format!("provider \"{provider}\" cannot be used: {problem}");
                Fault::new(FailureCode::BadRequest, false, message)
            })?;
            Ok((Arc::new(transport), Arc::new(headers)))
        });
        Wire {
            provider: provider.to_owned(),
            endpoint: endpoint.clone(),
            ready,
            secrets: Secrets::of(endpoint),
            manners: Mutex::default(),
        }
    }

    /// Asks once; dropping the future closes the connection.
    pub(crate) async fn ask(&self, request: &Request) -> Result<Reply, Fault> {
        let trying = self.trying(&request.model, request.traceparent.as_deref());
        let answer = self.in_time(&trying, Box::pin(self.converge(&trying, request))).await;
        let ms = trying.begun.elapsed().as_millis() as u64;
        let asked_again = trying.asked_again();
        match answer {
            Ok(reply) => Ok(Reply { ms, asked_again, learned: trying.learned(), ..reply }),
            Err(fault) => Err(Fault { asked_again, ..fault.took(ms) }),
        }
    }

    /// Vectors of the texts, in their order.
    pub(crate) async fn embed(
        &self,
        model: &str,
        texts: &[String],
    ) -> Result<Vec<Vec<f32>>, Fault> {
        let mut vectors = Vec::with_capacity(texts.len());
        for batch in embed::batches(texts) {
            let trying = self.trying(model, None);
            let batch = Box::pin(self.embed_batch(&trying, batch));
            vectors.extend(self.in_time(&trying, batch).await?);
        }
        match embed::is_even(&vectors) {
            true => Ok(vectors),
            false => Err(self.asked(model).bad_reply(&embed::uneven(&self.provider, model))),
        }
    }

    async fn embed_batch(
        &self,
        trying: &Try<'_>,
        texts: &[String],
    ) -> Result<Vec<Vec<f32>>, Fault> {
        let (asked, model) = (&trying.asked, trying.asked.model);
        let mut lessons = LESSONS;
        loop {
            let manners = self.known(model);
            let body = embed::body(model, texts, &manners);
            let (status, told, retry_after) = match self.post(trying, embed::PATH, &body).await {
                Ok((_, answer)) => return embed::vectors(asked, &answer, texts.len()),
                Err(Miss::Fault(fault)) => return Err(fault),
                Err(Miss::Refused { status, told, retry_after }) => (status, told, retry_after),
            };
            let teaches = matches!(status, 400 | 422) && lessons > 0;
            if !(teaches && self.teach(model, &manners, &told, &body)) {
                return Err(refused(asked, status, &told, retry_after));
            }
            lessons -= 1;
        }
    }

    pub(super) fn trying<'a>(&'a self, model: &'a str, trace: Option<&'a str>) -> Try<'a> {
        Try::new(self.asked(model), trace)
    }

    /// Boxed by who asks: taken in as it is, its room would be kept twice while ten thousand wait.
    pub(super) async fn in_time<T>(
        &self,
        trying: &Try<'_>,
        work: Pin<Box<impl Future<Output = Result<T, Fault>>>>,
    ) -> Result<T, Fault> {
        let total = Duration::from_secs(self.endpoint.total_s);
        let answer = timeout(total, work).await;
        let answer = answer.unwrap_or_else(|_| Err(self.too_late(&trying.asked)));
        answer.map_err(|fault| Fault { learned: trying.learned(), ..fault })
    }

    async fn converge(&self, trying: &Try<'_>, request: &Request) -> Result<Reply, Fault> {
        let model = &request.model;
        let (mut lessons, mut turned_away) = (LESSONS, None::<Box<Fault>>);
        loop {
            let manners = self.known(model);
            let dialect = Dialect::of(&self.endpoint, &manners);
            let calls_at_risk = manners.loses_calls && !request.tools.is_empty();
            let streams = self.endpoint.stream && !manners.has_no_stream && !calls_at_risk;
            // Made anew where it is looked at: nobody keeps it while the other side thinks.
            let body = || dialect.body(request, &self.endpoint, &manners, streams);
            let answer = match streams {
                true => self.streamed(trying, request, dialect, body()).await,
                false => self.plain(trying, request, dialect, body()).await,
            };
            let (status, told, retry_after) = match answer {
                Ok(reply) => return Ok(reply),
                Err(Miss::Fault(fault)) => return Err(fault),
                Err(Miss::Refused { status, told, retry_after }) => (status, told, retry_after),
            };
            let fault = refused(&trying.asked, status, &told, retry_after);
            if let (Some(first), 404 | 405) = (&turned_away, status) {
                for scope in [model, EVERY] {
                    self.learn(scope, |it| it.has_no_chat = false);
                }
                return Err(Fault::clone(first));
            }
            let has_turned = self.turns_away(dialect, status, &told, model);
            let teaches = matches!(status, 400 | 422);
            let learned =
                || has_turned || teaches && self.teach(model, &manners, &told, &body().value());
            if lessons == 0 || !learned() {
                return Err(fault);
            }
            turned_away = has_turned.then(|| Box::new(fault)).or(turned_away);
            lessons -= 1;
        }
    }

    pub(super) async fn streamed(
        &self,
        trying: &Try<'_>,
        request: &Request,
        dialect: Dialect,
        body: impl Serialize,
    ) -> Result<Reply, Miss> {
        let asked = &trying.asked;
        let (probe, client) = self.client(trying, Shape::Expected)?;
        let chat = client.chat().path(dialect.path());
        let chat = trying.exchange(chat.map_err(|it| missed(asked, &probe, &it))?);
        let opened = chat.create_stream_byot::<_, Value>(body).await;
        let mut events = opened.map_err(|it| missed(asked, &probe, &it))?;
        let mut arrived = dialect.nothing();
        loop {
            let tail = if arrived.is_complete(false) { TAIL } else { Duration::MAX };
            let Ok(Some(item)) = timeout(tail, events.next()).await else { break };
            match item {
                Ok(event) => match found(&event) {
                    Some(error) => return Err(told(asked, error).into()),
                    None => arrived.take(event),
                },
                Err(OpenAIError::JSONDeserialize(_, text)) if text.trim().is_empty() => {}
                Err(OpenAIError::JSONDeserialize(_, text)) if text.trim() == "[DONE]" => break,
                Err(_) if arrived.is_complete(probe.seen().done) => break,
                Err(error) => return Err(missed(asked, &probe, &error)),
            }
        }
        drop(events);
        if !arrived.is_complete(probe.seen().done) {
            return Err(ended(asked, &probe, arrived.is_empty()));
        }
        let is_silent = arrived.is_silent() && !request.tools.is_empty();
        let whole = arrived.whole(asked)?;
        if is_silent && !is_held_back(asked, &whole) {
            return Box::pin(self.unstreamed(trying, request, dialect)).await;
        }
        self.reply(trying, request, whole, &probe)
    }

    /// Asks again without streaming, after a stream that was complete and said nothing.
    async fn unstreamed(
        &self,
        trying: &Try<'_>,
        request: &Request,
        dialect: Dialect,
    ) -> Result<Reply, Miss> {
        let model = &request.model;
        let body = dialect.body(request, &self.endpoint, &self.known(model), false);
        let reply = self.plain(trying, request, dialect, body).await?;
        if !reply.calls.is_empty() {
            self.learn(model, |it| it.loses_calls = true);
        }
        Ok(reply)
    }

    pub(super) async fn plain(
        &self,
        trying: &Try<'_>,
        request: &Request,
        dialect: Dialect,
        body: impl Serialize,
    ) -> Result<Reply, Miss> {
        let (probe, answer) = self.post(trying, dialect.path(), body).await?;
        self.reply(trying, request, dialect.whole(&trying.asked, answer)?, &probe)
    }

    /// One exchange that brings one JSON value.
    async fn post(
        &self,
        trying: &Try<'_>,
        path: &str,
        body: impl Serialize,
    ) -> Result<(Arc<Probe>, Value), Miss> {
        let (probe, client) = self.client(trying, Shape::Body)?;
        let missed = |it: OpenAIError| missed(&trying.asked, &probe, &it);
        let chat = trying.exchange(client.chat().path(path).map_err(missed)?);
        let answer = chat.create_byot::<_, Value>(body).await.map_err(missed)?;
        Ok((probe, answer))
    }

    /// One exchange that only reads what stands at an address.
    pub(super) async fn get(&self, trying: &Try<'_>, path: &str) -> Result<Value, Miss> {
        let (transport, headers) = self.ready.as_ref().map_err(Fault::clone)?;
        let probe = trying.exchange(trying.probe());
        let answer = transport.get(path, (headers.clone(), None), &probe).await;
        answer.map_err(|it| missed(&trying.asked, &probe, &it))
    }

    fn reply(
        &self,
        trying: &Try<'_>,
        request: &Request,
        whole: Whole,
        probe: &Probe,
    ) -> Result<Reply, Miss> {
        let asked = &trying.asked;
        let sent = request.messages.text().len() + request.tools.text().len();
        let mut reply = read(asked, whole, request.turn, sent)?;
        adopt(&mut reply, request);
        if probe.seen().replaced {
            tracing::warn!(provider = asked.provider, "invalid UTF-8 in a reply was replaced");
        }
        let first = probe.first_byte().map_or(Duration::ZERO, |it| it.duration_since(trying.begun));
        Ok(Reply { first_token_ms: first.as_millis() as u64, ..reply })
    }

    fn client(
        &self,
        trying: &Try<'_>,
        shape: Shape,
    ) -> Result<(Arc<Probe>, async_openai::Client<Door>), Fault> {
        let (transport, headers) = self.ready.as_ref().map_err(Fault::clone)?;
        let trace = trying.trace.and_then(|it| HeaderValue::from_str(it).ok());
        let probe = trying.probe();
        let client = transport.client((headers.clone(), trace), shape, &probe);
        Ok((probe, client))
    }

    fn asked<'a>(&'a self, model: &'a str) -> Asked<'a> {
        Asked {
            provider: &self.provider,
            model,
            key_source: self.endpoint.key_source.as_deref(),
            has_key: self.endpoint.api_key.is_some(),
            secrets: &self.secrets,
        }
    }

    fn too_late(&self, asked: &Asked<'_>) -> Fault {
        let (name, total_s) = (&self.provider, self.endpoint.total_s);
        let message = format!(
            "provider \"{name}\" was not done in {total_s} s; raise providers.{name}.total_s"
        );
        asked.fault(FailureCode::Timeout, true, &message)
    }

    /// Learns that chat is not served: for this model if the refusal speaks of models, else for all.
    fn turns_away(&self, dialect: Dialect, status: u16, told: &Complaint, model: &str) -> bool {
        let may_turn = self.endpoint.chat.is_none() && dialect == Dialect::Chat;
        if !may_turn || !refuses_chat(status, told) {
            return false;
        }
        let scope = if told.says(&["model"]) { model } else { EVERY };
        self.learn(scope, |it| it.has_no_chat = true);
        true
    }

    /// What was learned about a model.
    pub(super) fn known(&self, model: &str) -> Manners {
        merged(&self.manners.lock().unwrap_or_else(PoisonError::into_inner), model)
    }

    /// Takes a refusal to heart. Answers whether the next request would be another one than that
    /// asked with these manners: others may have learned in the meantime, and nothing twice.
    fn teach(&self, model: &str, manners: &Manners, told: &Complaint, body: &Value) -> bool {
        let mut all = self.manners.lock().unwrap_or_else(PoisonError::into_inner);
        if merged(&all, model) != *manners {
            return true;
        }
        let learned = all.entry(model.to_owned()).or_default().learn(told, body);
        tracing::debug!(provider = self.provider, model, learned, "a lesson about an endpoint");
        learned
    }

    fn learn(&self, model: &str, lesson: impl FnOnce(&mut Manners)) {
        let mut all = self.manners.lock().unwrap_or_else(PoisonError::into_inner);
        lesson(all.entry(model.to_owned()).or_default());
        tracing::debug!(provider = self.provider, model, "a lesson about an endpoint");
    }
}

/// What is known about a model, with what is known about all.
fn merged(all: &BTreeMap<String, Manners>, model: &str) -> Manners {
    let mut known = all.get(model).cloned().unwrap_or_default();
    known.has_no_chat |= all.get(EVERY).is_some_and(|it| it.has_no_chat);
    known
}

/// The headers of every request; no key means no `Authorization` at all.
fn headers(provider: &str, endpoint: &Endpoint) -> Result<HeaderMap, Fault> {
    let mut headers = HeaderMap::new();
    for (name, value) in &endpoint.headers {
        let sendable =
            HeaderName::from_bytes(name.as_bytes()).ok().zip(secret(value.expose_secret()));
        let (name, value) = sendable.ok_or_else(|| {
            let message =
                format!("provider \"{provider}\" has a header \"{name}\" that cannot be sent");
            Fault::new(FailureCode::BadRequest, false, message)
        })?;
        headers.insert(name, value);
    }
    if let Some(key) = endpoint.api_key.as_ref().map(SecretString::expose_secret) {
        let place = format!("providers.{provider}.api_key");
        let place = endpoint.key_source.as_ref().unwrap_or(&place);
        let bearer = secret(&format!("Bearer {}", key.trim())).ok_or_else(|| {
            let message = format!(
                "provider \"{provider}\" has a key that no header can carry; check {place}"
            );
            Fault::new(FailureCode::Unauthorized, false, message)
        })?;
        headers.insert(AUTHORIZATION, bearer);
    }
    Ok(headers)
}

fn secret(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}
