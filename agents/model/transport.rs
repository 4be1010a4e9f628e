//! One HTTP exchange under the client library: deadlines, caps, and the status before anything else.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_openai::Client;
use async_openai::config::Config;
use async_openai::error::OpenAIError;
use async_openai::middleware::HttpRequestFactory;
use callboard_config::{Endpoint, Limits, SecretString};
use futures::{Stream, StreamExt, stream};
use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use tokio::time::{Instant, timeout};

use super::filter::{Filter, Seen, Shape, Stop};
use super::learned::{Learned, learned};
use super::retry_after::retry_after;

/// Microseconds since 1970.
pub(super) type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The connections to one endpoint and the bounds on what they bring.
pub(crate) struct Transport {
    http: reqwest::Client,
    base_url: String,
    idle: Duration,
    connect: Duration,
    reply_bytes: usize,
    event_bytes: usize,
    error_bytes: usize,
    retry_after_max: Duration,
    clock: Clock,
}

/// Why an exchange ended early.
#[derive(Debug)]
pub(crate) enum Broken {
    /// The answer was not 2xx.
    Refused { status: u16, body: String, retry_after: Option<Duration> },
    /// No answer began.
    Unreachable(reqwest::Error),
    /// No byte came in this time.
    Idle(Duration),
    /// The connection broke inside the answer.
    Cut(reqwest::Error),
    /// The answer is not one.
    Stopped(Stop),
}

/// What is known about one exchange while it goes on.
#[derive(Default)]
pub(crate) struct Probe(Mutex<Known>);

#[derive(Default)]
struct Known {
    broken: Option<Broken>,
    seen: Seen,
    first_byte: Option<Instant>,
    learned: Vec<Learned>,
}

impl Probe {
    pub(crate) fn broken(&self) -> Option<Broken> {
        self.with(|it| it.broken.take())
    }

    pub(crate) fn seen(&self) -> Seen {
        self.with(|it| it.seen.clone())
    }

    pub(crate) fn first_byte(&self) -> Option<Instant> {
        self.with(|it| it.first_byte)
    }

    pub(crate) fn learned(&self) -> Vec<Learned> {
        self.with(|it| it.learned.clone())
    }

    fn with<T>(&self, look: impl FnOnce(&mut Known) -> T) -> T {
        look(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Keeps why it broke; what the client library is told is only that it did.
    fn broke<T>(&self, why: Broken) -> Result<T, std::io::Error> {
        self.with(|it| it.broken = Some(why));
        Err(std::io::Error::other("the exchange ended early"))
    }
}

impl Transport {
    pub(crate) fn new(
        endpoint: &Endpoint,
        limits: &Limits,
        clock: Clock,
    ) -> Result<Transport, String> {
        let connect = Duration::from_secs(endpoint.connect_s);
        let mut builder = reqwest::Client::builder()
            .connect_timeout(connect)
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .user_agent(concat!("callboard/", env!("CARGO_PKG_VERSION")));
        if is_local(&endpoint.base_url)? {
            builder = builder.no_proxy();
        }
        Ok(Transport {
            http: builder.build().map_err(|it| it.to_string())?,
            base_url: endpoint.base_url.clone(),
            idle: Duration::from_secs(endpoint.idle_s),
            connect,
            reply_bytes: limits.reply_bytes,
            event_bytes: limits.event_bytes,
            error_bytes: limits.error_bytes,
            retry_after_max: Duration::from_secs(limits.retry_after_max_s),
            clock,
        })
    }

    /// A client for one exchange, which the probe watches.
    pub(crate) fn client(
        self: &Arc<Self>,
        headers: Headers,
        shape: Shape,
        probe: &Arc<Probe>,
    ) -> Client<Door> {
        let door = self.door(headers);
        let (transport, probe) = (Arc::clone(self), Arc::clone(probe));
        let service = tower::service_fn(move |factory: HttpRequestFactory| {
            let (transport, probe) = (Arc::clone(&transport), Arc::clone(&probe));
            async move { transport.exchange(factory, shape, probe).await }
        });
        Client::build(self.http.clone(), door).with_http_service(service)
    }

    async fn exchange(
        self: Arc<Self>,
        factory: HttpRequestFactory,
        shape: Shape,
        probe: Arc<Probe>,
    ) -> Result<reqwest::Response, OpenAIError> {
        // Nobody sends it again, so nobody keeps it while the other side thinks: neither what made
        // it nor the client, which would hold on to a body that it can copy.
        let sent = {
            let mut request = factory.build().await?;
            let body = request.body_mut().take();
            *request.body_mut() = body.map(reqwest::Body::wrap);
            self.http.execute(request)
        };
        drop(factory);
        self.send(sent, shape, probe).await
    }

    /// What stands at an address that is only read, as one JSON value.
    pub(crate) async fn get(
        self: &Arc<Self>,
        path: &str,
        headers: Headers,
        probe: &Arc<Probe>,
    ) -> Result<Value, OpenAIError> {
        let door = self.door(headers);
        let request = self.http.get(door.url(path)).headers(door.headers()).build();
        let request = request.map_err(OpenAIError::Reqwest)?;
        let sent = self.http.execute(request);
        let response = self.send(sent, Shape::Body, Arc::clone(probe)).await?;
        let bytes = response.bytes().await.map_err(OpenAIError::Reqwest)?;
        serde_json::from_slice(&bytes)
            .map_err(|error| OpenAIError::JSONDeserialize(error, String::new()))
    }

    fn door(self: &Arc<Self>, headers: Headers) -> Door {
        Door { transport: Arc::clone(self), headers, key: SecretString::default() }
    }

    async fn send(
        &self,
        sent: impl Future<Output = reqwest::Result<reqwest::Response>>,
        shape: Shape,
        probe: Arc<Probe>,
    ) -> Result<reqwest::Response, OpenAIError> {
        let answer = timeout(self.connect + self.idle, sent).await;
        let response = match answer {
            Err(_) => return probe.broke(Broken::Idle(self.idle)).map_err(boxed),
            Ok(Err(error)) => return probe.broke(Broken::Unreachable(error)).map_err(boxed),
            Ok(Ok(response)) => response,
        };
        let (status, headers) = (response.status(), response.headers().clone());
        let now = (self.clock)();
        probe.with(|it| it.learned = learned(&headers, now));
        if !status.is_success() {
            let retry_after = retry_after(&headers, now, self.retry_after_max);
            let body = Box::pin(self.error_body(response)).await;
            let broken = Broken::Refused { status: status.as_u16(), body, retry_after };
            return probe.broke(broken).map_err(boxed);
        }
        let filter = Filter::new(shape, self.reply_bytes, self.event_bytes);
        let body = reqwest::Body::wrap_stream(cleaned(response, filter, self.idle, probe));
        let mut clean = http::Response::new(body);
        *clean.status_mut() = status;
        Ok(clean.into())
    }

    /// As much of an error's body as is read at all.
    async fn error_body(&self, response: reqwest::Response) -> String {
        let mut bytes = Vec::new();
        let mut body = response.bytes_stream();
        while let Ok(Some(Ok(more))) = timeout(self.idle, body.next()).await {
            let room = self.error_bytes - bytes.len();
            bytes.extend_from_slice(&more[..more.len().min(room)]);
            if bytes.len() == self.error_bytes {
                break;
            }
        }
        String::from_utf8_lossy(&bytes).into_owned()
    }
}

/// The answer's bytes through the filter, with a deadline on each wait.
fn cleaned(
    response: reqwest::Response,
    filter: Filter,
    idle: Duration,
    probe: Arc<Probe>,
) -> impl Stream<Item = Result<String, std::io::Error>> + Send + 'static {
    let bytes = Box::pin(response.bytes_stream());
    stream::unfold(Some((bytes, filter)), move |state| {
        let probe = Arc::clone(&probe);
        async move {
            let (mut bytes, mut filter) = state?;
            let next = match timeout(idle, bytes.next()).await {
                Err(_) => return Some((probe.broke(Broken::Idle(idle)), None)),
                Ok(Some(Err(error))) => return Some((probe.broke(Broken::Cut(error)), None)),
                Ok(Some(Ok(more))) => more,
                Ok(None) => return Some((last(filter, &probe), None)),
            };
            probe.with(|it| *it.first_byte.get_or_insert_with(Instant::now));
            match filter.push(&next) {
                Err(stop) => Some((probe.broke(Broken::Stopped(stop)), None)),
                Ok(text) => {
                    probe.with(|it| it.seen = filter.seen().clone());
                    Some((Ok(text), Some((bytes, filter))))
                }
            }
        }
    })
}

fn last(filter: Filter, probe: &Probe) -> Result<String, std::io::Error> {
    match filter.finish() {
        Err(stop) => probe.broke(Broken::Stopped(stop)),
        Ok((rest, seen)) => {
            probe.with(|it| it.seen = seen);
            Ok(rest)
        }
    }
}

fn boxed(error: std::io::Error) -> OpenAIError {
    OpenAIError::Boxed(Box::new(error))
}

/// Whether the address is this machine: no proxy stands before it.
fn is_local(base_url: &str) -> Result<bool, String> {
    let url = reqwest::Url::parse(base_url).map_err(|it| it.to_string())?;
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    let is_loopback = host.parse::<std::net::IpAddr>().is_ok_and(|it| it.is_loopback());
    Ok(is_loopback || host == "localhost")
}

/// What a request carries: the headers of all of them, which are there once, and its own trace context.
pub(crate) type Headers = (Arc<HeaderMap>, Option<HeaderValue>);

/// Where a request goes and what it carries; nothing is taken from the environment.
pub(crate) struct Door {
    transport: Arc<Transport>,
    headers: Headers,
    key: SecretString,
}

impl Config for Door {
    fn headers(&self) -> HeaderMap {
        let (all, trace) = &self.headers;
        let mut headers = HeaderMap::clone(all);
        headers.extend(trace.clone().map(|it| (HeaderName::from_static("traceparent"), it)));
        headers
    }

    fn url(&self, path: &str) -> String {
        match self.api_base().split_once('?') {
            None => format!("{}{path}", self.api_base().trim_end_matches('/')),
            Some((base, query)) => format!("{}{path}?{query}", base.trim_end_matches('/')),
        }
    }

    fn query(&self) -> Vec<(&str, &str)> {
        Vec::new()
    }

    fn api_base(&self) -> &str {
        &self.transport.base_url
    }

    fn api_key(&self) -> &SecretString {
        &self.key
    }
}
