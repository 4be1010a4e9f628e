//! A subscription over HTTP, from its acknowledgement to its end. The library says yes, and how it
//! ends; what comes in between is told from here: its loop holds more than many who only wait may
//! take.

use std::convert::Infallible;
use std::time::Duration;

use axum::response::IntoResponse;
use axum::response::sse::{Event, KeepAlive, Sse};
use callboard_trace::Caller;
use futures::stream::{self, Stream, StreamExt};
use rmcp::model::{ErrorData, GetMeta, RequestId, ServerJsonRpcMessage, SubscriptionFilter};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use crate::changes::{Changes, News, Room};
use crate::era;

/// A comment now and then keeps a silent stream alive, and finds out that nobody listens.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What one subscription hears.
pub(crate) struct Listening {
    pub(crate) id: RequestId,
    pub(crate) changes: Changes,
    pub(crate) caller: Caller,
    pub(crate) since: Instant,
    pub(crate) ending: CancellationToken,
}

/// Where a subscription is.
enum Step {
    /// The uris it watches are not looked at yet.
    Begins,
    /// It hears what changes.
    Waits,
    /// Nothing more is said.
    Over,
}

/// A subscription that was acknowledged.
struct Open {
    listening: Listening,
    accepted: SubscriptionFilter,
    end: String,
    step: Step,
}

impl Listening {
    /// The body of the answer, where the library said yes in these two events: that it listens, and
    /// how it ends. `None` if it said something else.
    pub(crate) fn body(self, said: &[u8]) -> Option<axum::body::Body> {
        let said = str::from_utf8(said).ok()?;
        let mut events = said.lines().filter_map(|it| it.strip_prefix("data:")).map(str::trim);
        let (Some(begin), Some(end), None) = (events.next(), events.next(), events.next()) else {
            return None;
        };
        let acknowledged: serde_json::Value = serde_json::from_str(begin).ok()?;
        let accepted = acknowledged.get("params")?.get("notifications")?.clone();
        let accepted = serde_json::from_value(accepted).ok()?;
        let open = Open { listening: self, accepted, end: end.to_owned(), step: Step::Begins };
        let first = Event::default().data(begin);
        let events = stream::iter([Ok::<_, Infallible>(first)]).chain(open.events());
        let alive = KeepAlive::new().interval(KEEP_ALIVE);
        Some(Sse::new(events).keep_alive(alive).into_response().into_body())
    }
}

impl Open {
    fn events(self) -> impl Stream<Item = Result<Event, Infallible>> + Send {
        stream::unfold(self, async |mut open| {
            let texts = open.next().await?;
            Some((stream::iter(texts.into_iter().map(|it| Ok(Event::default().data(it)))), open))
        })
        .flatten()
        .boxed()
    }

    /// What is said next; `None` after the end.
    async fn next(&mut self) -> Option<Vec<String>> {
        let ending = self.listening.ending.clone();
        let news = match self.step {
            Step::Over => return None,
            Step::Begins => Box::pin(self.begin()).await,
            Step::Waits => tokio::select! {
                () = ending.cancelled() => {
                    self.step = Step::Over;
                    return Some(vec![self.end.clone()]);
                }
                news = self.listening.changes.next() => Ok(news),
            },
        };
        match news {
            Ok(news) => {
                self.step = Step::Waits;
                Some(news.into_iter().filter_map(|it| self.told(it)).collect())
            }
            Err(error) => {
                self.step = Step::Over;
                let id = Some(self.listening.id.clone());
                serde_json::to_string(&ServerJsonRpcMessage::error(error, id))
                    .ok()
                    .map(|it| vec![it])
            }
        }
    }

    async fn begin(&self) -> Result<Vec<News>, ErrorData> {
        let Listening { changes, caller, since, .. } = &self.listening;
        let uris = self.accepted.resource_subscriptions.clone().unwrap_or_default();
        let watched = changes.watch(&uris, caller, &Room::new(), since.elapsed()).await;
        watched.map_err(|it| era::error(&it))
    }

    /// A piece of news as a message, if it was asked for.
    fn told(&self, news: News) -> Option<String> {
        if !news.is_wanted(&self.accepted) {
            return None;
        }
        let mut notification = news.notification();
        notification.get_meta_mut().set_subscription_id(self.listening.id.clone());
        serde_json::to_string(&ServerJsonRpcMessage::notification(notification)).ok()
    }
}
