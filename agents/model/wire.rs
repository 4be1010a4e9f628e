//! One attempt at an OpenAI-compatible endpoint, from the request to a reply or a fault.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_openai::error::OpenAIError;
use callboard_config::{Endpoint, ExposeSecret, Limits, SecretString};
use callboard_trace::FailureCode;
use futures::StreamExt;
use http::{HeaderMap, HeaderName, HeaderValue, header::AUTHORIZATION};
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::assembly::Assembly;
use super::body::body;
use super::classify::{Asked, refused, told};
use super::complaint::found;
use super::decode::{Whole, is_held_back, read, whole};
use super::exchange::{Reply, Request};
use super::fault::Fault;
use super::filter::Shape;
use super::manners::Manners;
use super::miss::{Miss, ended, missed};
use super::redact::Secrets;
use super::transport::{Door, Probe, Transport};

/// One endpoint: its connections, its secrets, and what was learned about it.
pub(crate) struct Wire {
    provider: String,
    endpoint: Endpoint,
    /// The connections and the headers, or what is wrong with the endpoint.
    ready: Result<(Arc<Transport>, HeaderMap), Fault>,
    secrets: Secrets,
    manners: Mutex<BTreeMap<String, Manners>>,
}

/// Further tries of one attempt after a refusal that taught something.
const LESSONS: usize = 2;

/// How long the tail of a stream is waited for after the message was complete.
const TAIL: Duration = Duration::from_secs(5);

impl Wire {
    pub(crate) fn new(
        provider: &str,
        endpoint: &Endpoint,
        limits: &Limits,
        clock: fn() -> i64,
    ) -> Wire {
        let ready = headers(provider, endpoint).and_then(|headers| {
            let transport = Transport::new(endpoint, limits, clock).map_err(|problem| {
                let message = format!("provider \"{provider}\" cannot be used: {problem}");
                Fault::new(FailureCode::BadRequest, false, message)
            })?;
            Ok((Arc::new(transport), headers))
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
        let begun = Instant::now();
        let total = Duration::from_secs(self.endpoint.total_s);
        let answer = timeout(total, Box::pin(self.converge(request, begun))).await;
        let ms = begun.elapsed().as_millis() as u64;
        match answer {
            Ok(Ok(reply)) => Ok(Reply { ms, ..reply }),
            Ok(Err(fault)) => Err(fault.took(ms)),
            Err(_) => {
                let Endpoint { total_s, .. } = self.endpoint;
                let name = &self.provider;
                let message = format!(
                    "provider \"{name}\" was not done in {total_s} s; raise providers.{name}.total_s"
                );
                Err(self.asked(request).fault(FailureCode::Timeout, true, &message).took(ms))
            }
        }
    }

    async fn converge(&self, request: &Request, begun: Instant) -> Result<Reply, Fault> {
        let asked = self.asked(request);
        let mut lessons = LESSONS;
        loop {
            let manners = self.known(&request.model);
            let calls_at_risk = manners.loses_calls && !request.tools.is_empty();
            let streams = self.endpoint.stream && !manners.has_no_stream && !calls_at_risk;
            let body = body(request, &self.endpoint.max_tokens_field, &manners, streams);
            let answer = match streams {
                true => self.streamed(&asked, request, &body, begun).await,
                false => self.plain(&asked, request, &body, begun).await,
            };
            match answer {
                Ok(reply) => return Ok(reply),
                Err(Miss::Fault(fault)) => return Err(fault),
                Err(Miss::Refused { status, told, retry_after }) => {
                    let teaches = matches!(status, 400 | 422) && lessons > 0;
                    if !(teaches && self.learn(&request.model, |it| it.learn(&told, &body))) {
                        return Err(refused(&asked, status, &told, retry_after));
                    }
                    lessons -= 1;
                }
            }
        }
    }

    async fn streamed(
        &self,
        asked: &Asked<'_>,
        request: &Request,
        body: &Value,
        begun: Instant,
    ) -> Result<Reply, Miss> {
        let (probe, client) = self.client(request, Shape::Expected)?;
        let opened = client.chat().create_stream_byot::<_, Value>(body).await;
        let mut events = opened.map_err(|it| missed(asked, &probe, &it))?;
        let mut assembly = Assembly::default();
        loop {
            let tail = if assembly.is_complete(false) { TAIL } else { Duration::MAX };
            let Ok(Some(item)) = timeout(tail, events.next()).await else { break };
            match item {
                Ok(event) => match found(&event) {
                    Some(error) => return Err(told(asked, error).into()),
                    None => assembly.take(event),
                },
                Err(OpenAIError::JSONDeserialize(_, text)) if text.trim().is_empty() => {}
                Err(OpenAIError::JSONDeserialize(_, text)) if text.trim() == "[DONE]" => break,
                Err(_) if assembly.is_complete(probe.seen().done) => break,
                Err(error) => return Err(missed(asked, &probe, &error)),
            }
        }
        drop(events);
        if !assembly.is_complete(probe.seen().done) {
            return Err(ended(asked, &probe, assembly.is_empty()));
        }
        let is_silent = assembly.is_silent() && !request.tools.is_empty();
        let whole = assembly.whole();
        if is_silent && !is_held_back(asked, &whole) {
            return self.unstreamed(asked, request, begun).await;
        }
        self.reply(asked, request, whole, (&probe, begun))
    }

    /// Asks again without streaming, after a stream that was complete and said nothing.
    async fn unstreamed(
        &self,
        asked: &Asked<'_>,
        request: &Request,
        begun: Instant,
    ) -> Result<Reply, Miss> {
        let manners = self.known(&request.model);
        let body = body(request, &self.endpoint.max_tokens_field, &manners, false);
        let reply = self.plain(asked, request, &body, begun).await?;
        if !reply.calls.is_empty() {
            self.learn(&request.model, |it| !std::mem::replace(&mut it.loses_calls, true));
        }
        Ok(reply)
    }

    async fn plain(
        &self,
        asked: &Asked<'_>,
        request: &Request,
        body: &Value,
        begun: Instant,
    ) -> Result<Reply, Miss> {
        let (probe, client) = self.client(request, Shape::Body)?;
        let answer = client.chat().create_byot::<_, Value>(body).await;
        let answer = answer.map_err(|it| missed(asked, &probe, &it))?;
        self.reply(asked, request, whole(asked, answer)?, (&probe, begun))
    }

    fn reply(
        &self,
        asked: &Asked<'_>,
        request: &Request,
        whole: Whole,
        (probe, begun): (&Probe, Instant),
    ) -> Result<Reply, Miss> {
        let sent = request.messages.iter().chain(&request.tools).map(|it| it.to_string().len());
        let reply = read(asked, whole, request.turn, sent.sum())?;
        if probe.seen().replaced {
            tracing::warn!(provider = asked.provider, "invalid UTF-8 in a reply was replaced");
        }
        let first = probe.first_byte().map_or(Duration::ZERO, |it| it.duration_since(begun));
        Ok(Reply { first_token_ms: first.as_millis() as u64, ..reply })
    }

    fn client(
        &self,
        request: &Request,
        shape: Shape,
    ) -> Result<(Arc<Probe>, async_openai::Client<Door>), Fault> {
        let (transport, headers) = self.ready.as_ref().map_err(Fault::clone)?;
        let mut headers = headers.clone();
        let trace = request.traceparent.as_deref().map(HeaderValue::from_str);
        if let Some(Ok(trace)) = trace {
            headers.insert("traceparent", trace);
        }
        let probe = Arc::new(Probe::default());
        let client = transport.client(headers, shape, &probe);
        Ok((probe, client))
    }

    fn asked<'a>(&'a self, request: &'a Request) -> Asked<'a> {
        Asked {
            provider: &self.provider,
            model: &request.model,
            key_source: self.endpoint.key_source.as_deref(),
            has_key: self.endpoint.api_key.is_some(),
            secrets: &self.secrets,
        }
    }

    fn known(&self, model: &str) -> Manners {
        let all = self.manners.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(model).cloned().unwrap_or_default()
    }

    fn learn(&self, model: &str, lesson: impl FnOnce(&mut Manners) -> bool) -> bool {
        let mut all = self.manners.lock().unwrap_or_else(PoisonError::into_inner);
        let learned = lesson(all.entry(model.to_owned()).or_default());
        tracing::debug!(provider = self.provider, model, learned, "a lesson about an endpoint");
        learned
    }
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
