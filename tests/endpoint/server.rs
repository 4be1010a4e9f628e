//! The endpoint itself: a server on a thread of its own, which ends when it is dropped.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::extract::{Request as HttpRequest, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::{get, post};
use futures::{Stream, stream};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::time::Instant;

use super::act::{Act, End};
use super::ask::Ask;
use super::pieces::pieces;

/// A scripted server; its connections break when it is dropped.
pub(crate) struct Endpoint {
    address: SocketAddr,
    log: Arc<Log>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

/// One request that came in.
#[derive(Clone, Debug)]
pub(crate) struct Request {
    /// Behind the version, such as `/chat/completions`.
    pub(crate) path: String,
    /// The body as sent; null if it was no JSON.
    pub(crate) body: Value,
    /// The headers as sent.
    pub(crate) headers: HeaderMap,
    /// Since the endpoint began.
    pub(crate) at: Duration,
    /// How long after it came the client went away, if it did before the answer was whole.
    pub(crate) left: Option<Duration>,
    /// The answer was sent to its end.
    pub(crate) answered: bool,
    /// The status it was answered with.
    pub(crate) status: u16,
    /// The message it was answered with; null where it was none.
    pub(crate) said: Value,
}

type Script = dyn Fn(&Ask) -> Act + Send + Sync;

/// All requests, and a bell for each change.
struct Log {
    begun: Instant,
    requests: Mutex<Vec<Request>>,
    changed: watch::Sender<()>,
}

impl Log {
    fn with<T>(&self, look: impl FnOnce(&mut Vec<Request>) -> T) -> T {
        let found = look(&mut self.requests.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.send_replace(());
        found
    }
}

impl Endpoint {
    /// Listens on a free port of loopback and answers as the script says.
    pub(crate) async fn start(script: impl Fn(&Ask) -> Act + Send + Sync + 'static) -> Endpoint {
        let (changed, _) = watch::channel(());
        let log = Arc::new(Log { begun: Instant::now(), requests: Mutex::default(), changed });
        let (stop, stopped) = oneshot::channel();
        let (tell, told) = oneshot::channel();
        let state = House { script: Arc::new(script), log: Arc::clone(&log) };
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("a runtime for the endpoint");
            runtime.block_on(async move {
                let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
                tell.send(listener.local_addr().expect("its address")).expect("a listener");
                let app = Router::new()
                    .route("/v1/chat/completions", post(answer))
                    .route("/v1/responses", post(answer))
                    .route("/v1/embeddings", post(answer))
                    .route("/v1/models", get(answer));
                let serving = axum::serve(listener, app.with_state(state));
                tokio::select! {
                    _ = async { serving.await } => {}
                    _ = stopped => {}
                }
            });
        });
        let address = told.await.expect("the endpoint listens");
        Endpoint { address, log, stop: Some(stop), thread: Some(thread) }
    }

    /// What a provider's `base_url` is to be.
    pub(crate) fn base_url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// All requests so far, in order.
    pub(crate) fn requests(&self) -> Vec<Request> {
        self.log.requests.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until the requests are as wanted; fails the test after 10 seconds.
    pub(crate) async fn until(&self, wanted: impl Fn(&[Request]) -> bool) {
        let mut changed = self.log.changed.subscribe();
        let seen = async {
            while !wanted(&self.requests()) {
                changed.changed().await.expect("the endpoint is there");
            }
        };
        let seen = tokio::time::timeout(Duration::from_secs(10), seen).await;
        assert!(seen.is_ok(), "never came to be; the requests are {:#?}", self.requests());
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[derive(Clone)]
struct House {
    script: Arc<Script>,
    log: Arc<Log>,
}

async fn answer(State(house): State<House>, request: HttpRequest) -> Response {
    let (parts, body) = request.into_parts();
    let bytes = axum::body::to_bytes(body, 64 << 20).await.unwrap_or_default();
    let body: Value = serde_json::from_slice(&bytes).unwrap_or_default();
    let path = parts.uri.path().trim_start_matches("/v1").to_owned();
    let at = house.log.begun.elapsed();
    let nth = house.log.with(|it| {
        let (headers, body, path) = (parts.headers, body.clone(), path.clone());
        let (left, answered, status, said) = (None, false, 0, Value::Null);
        it.push(Request { path, body, headers, at, left, answered, status, said });
        it.len() - 1
    });
    let watch = Watch { log: Arc::clone(&house.log), nth, came: Instant::now() };
    let ask = Ask { path, body, nth };
    let act = (house.script)(&ask);
    house.log.with(|it| (it[nth].status, it[nth].said) = (act.status, act.said()));
    tokio::time::sleep(act.before).await;
    if act.end == End::Stall(0) {
        std::future::pending::<()>().await;
    }
    let (kind, pieces) = pieces(&act, &ask);
    let mut response = Response::new(Body::from_stream(sent(pieces, act.clone(), watch)));
    *response.status_mut() = StatusCode::from_u16(act.status).expect("a status");
    let headers = response.headers_mut();
    headers.insert("content-type", kind.parse().expect("a content type"));
    for (name, value) in &act.headers {
        let name: axum::http::HeaderName = name.parse().expect("a header's name");
        headers.insert(name, value.parse().expect("a header's value"));
    }
    response
}

/// The pieces with the pauses and the end that the act wants.
fn sent(
    pieces: Vec<Vec<u8>>,
    act: Act,
    watch: Watch,
) -> impl Stream<Item = Result<Vec<u8>, std::io::Error>> {
    let state = (pieces.into_iter(), 0_usize, watch);
    stream::unfold(state, move |(mut pieces, count, watch)| {
        let (end, between) = (act.end, act.between);
        async move {
            if count > 0 {
                tokio::time::sleep(between).await;
            }
            match end {
                End::Cut(after) if after == count => {
                    tokio::time::sleep(FLUSHED).await;
                    watch.answered();
                    let broken = std::io::Error::other("cut, as scripted");
                    return Some((Err(broken), (Vec::new().into_iter(), count + 1, watch)));
                }
                End::Stall(after) if after == count => std::future::pending::<()>().await,
                End::Short(after) if after == count => return None,
                End::Cut(_) | End::Stall(_) | End::Short(_) | End::Whole => {}
            }
            let piece = pieces.next();
            let is_last = match end {
                End::Short(after) => after == count + 1 || pieces.len() == 0,
                End::Whole => pieces.len() == 0,
                End::Cut(_) | End::Stall(_) => false,
            };
            if is_last {
                watch.answered();
            }
            Some((Ok(piece?), (pieces, count + 1, watch)))
        }
    })
}

/// What was sent before a cut needs this long to leave.
const FLUSHED: Duration = Duration::from_millis(5);

/// Notes how a request ended; dropped before its answer was whole, the client has left.
struct Watch {
    log: Arc<Log>,
    nth: usize,
    came: Instant,
}

impl Watch {
    fn answered(&self) {
        self.log.with(|it| it[self.nth].answered = true);
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        let (nth, stayed) = (self.nth, self.came.elapsed());
        self.log.with(|it| {
            if !it[nth].answered {
                it[nth].left = Some(stayed);
            }
        });
    }
}
