//! Tells one listener what has changed: lists of the team, and the resources it watches. Runs beside
//! the calls: a client that does not read holds up nothing but its own news.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use callboard_scheduler::{Desk, Refusal, RefusalCode, Reloads};
use callboard_tools::Watched;
use callboard_trace::Caller;
use rmcp::RoleServer;
use rmcp::model::{
    ResourceUpdatedNotification, ResourceUpdatedNotificationParam, ServerNotification,
    SubscriptionFilter,
};
use rmcp::service::{Peer, SubscriptionSink};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::time::{Instant, sleep, sleep_until};

use crate::shown::{LISTS, List, Showcase, Shown};

/// Most uris that a connection may watch.
const WATCHED_MAX: usize = 100;
/// Shortest time between two looks: what changes meanwhile is told after it.
const PAUSE: Duration = Duration::from_millis(300);
/// Longest time between two: the hint that something was written is no more than that.
const LOOK: Duration = Duration::from_secs(5);
/// A list that changed so shortly before somebody listens is told again. The library acknowledges
/// a subscription before it lets us listen, and what changed in between would be lost; a word too
/// many costs one list.
pub(crate) const JUST: Duration = Duration::from_secs(10);
/// Clocks of two processes differ by less.
const SLACK: Duration = Duration::from_secs(1);

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum News {
    /// A list is another one.
    List(List),
    /// What this uri leads to says something else.
    Updated(String),
}

impl News {
    /// Whether a subscription asked for it; what it watches, it asked for.
    pub(crate) fn is_wanted(&self, wants: &SubscriptionFilter) -> bool {
        match self {
            News::List(List::Tools) => wants.tools_list_changed == Some(true),
            News::List(List::Prompts) => wants.prompts_list_changed == Some(true),
            News::List(List::Resources) => wants.resources_list_changed == Some(true),
            News::Updated(_) => true,
        }
    }

    /// As a message.
    pub(crate) fn notification(self) -> ServerNotification {
        use ServerNotification as Of;
        match self {
            News::List(List::Tools) => Of::ToolListChangedNotification(Default::default()),
            News::List(List::Prompts) => Of::PromptListChangedNotification(Default::default()),
            News::List(List::Resources) => Of::ResourceListChangedNotification(Default::default()),
            News::Updated(uri) => {
                let about = ResourceUpdatedNotificationParam::new(uri);
                Of::ResourceUpdatedNotification(ResourceUpdatedNotification::new(about))
            }
        }
    }
}

/// The uris that one listener watches, with their room among those of its connection.
#[derive(Default)]
pub(crate) struct Watching {
    uris: Mutex<BTreeMap<String, (Watched, OwnedSemaphorePermit)>>,
    another: Notify,
}

/// Room for the uris that a connection watches.
#[derive(Clone)]
pub(crate) struct Room(Arc<Semaphore>);

impl Room {
    pub(crate) fn new() -> Room {
        Room(Arc::new(Semaphore::new(WATCHED_MAX)))
    }
}

impl Watching {
    /// Watches a uri. Answers whether it changed within this time.
    ///
    /// # Errors
    /// As reading it; `over_capacity` where too many are watched.
    pub(crate) async fn add(
        &self,
        desk: &Desk,
        uri: String,
        caller: &Caller,
        room: &Room,
        within: Duration,
    ) -> Result<bool, Refusal> {
        let (watched, is_news) = Watched::begin(desk, &uri, caller, within).await?;
        if let Entry::Vacant(free) = self.uris().entry(uri) {
            let Ok(place) = room.0.clone().try_acquire_owned() else { return Err(too_many()) };
            free.insert((watched, place));
            self.another.notify_one();
        }
        Ok(is_news)
    }

    /// Watches a uri no more.
    pub(crate) fn remove(&self, uri: &str) {
        self.uris().remove(uri);
    }

    fn is_empty(&self) -> bool {
        self.uris().is_empty()
    }

    /// Those that changed since they were looked at last.
    async fn changed(&self, desk: &Desk) -> Vec<News> {
        let all: Vec<(String, Watched)> =
            self.uris().iter().map(|(uri, it)| (uri.clone(), it.0.clone())).collect();
        let mut news = Vec::new();
        for (uri, mut watched) in all {
            match watched.is_news(desk).await {
                Ok(is_news) => {
                    if let Some(kept) = self.uris().get_mut(&uri) {
                        kept.0 = watched;
                        news.extend(is_news.then_some(News::Updated(uri)));
                    }
                }
                Err(refusal) => tracing::debug!(%uri, %refusal, "it is looked at again later"),
            }
        }
        news
    }

    fn uris(&self) -> MutexGuard<'_, BTreeMap<String, (Watched, OwnedSemaphorePermit)>> {
        self.uris.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn too_many() -> Refusal {
    let told = format!("{WATCHED_MAX} uris are watched on this connection, the most there may be");
    Refusal::new(RefusalCode::OverCapacity, told, "give one up, or watch team://runs instead")
}

/// Everything one listener hears of.
pub(crate) struct Changes {
    desk: Desk,
    shown: Arc<Showcase>,
    watching: Arc<Watching>,
    reloads: Reloads,
    told: Option<Arc<Shown>>,
    looked: Option<Instant>,
}

impl Changes {
    pub(crate) fn new(desk: &Desk, shown: &Arc<Showcase>, watching: Arc<Watching>) -> Changes {
        let reloads = desk.reloads();
        let (desk, shown) = (desk.clone(), Arc::clone(shown));
        Changes { desk, shown, watching, reloads, told: None, looked: None }
    }

    /// Tells a client of the older era of every list, and of what it watches.
    pub(crate) async fn tell(mut self, peer: Peer<RoleServer>) {
        loop {
            for news in self.next().await {
                tell_peer(&peer, news).await;
            }
        }
    }

    /// Tells a subscription of the newer era what it asked for, and what of it changed since the
    /// request came in, this long ago.
    ///
    /// # Errors
    /// As [`Watching::add`]: a uri that cannot be read ends the subscription.
    pub(crate) async fn serve(
        mut self,
        sink: &SubscriptionSink,
        caller: &Caller,
        room: &Room,
        since: Duration,
    ) -> Result<(), Refusal> {
        let uris = sink.accepted().resource_subscriptions.clone().unwrap_or_default();
        let mut news = self.watch(&uris, caller, room, since).await?;
        loop {
            for one in news {
                tell_subscription(sink, one).await;
            }
            news = self.next().await;
        }
    }

    /// Watches what a subscription asks for. Answers what changed since then, and just before.
    pub(crate) async fn watch(
        &self,
        uris: &[String],
        caller: &Caller,
        room: &Room,
        since: Duration,
    ) -> Result<Vec<News>, Refusal> {
        let within = since + SLACK;
        let shown = self.shown.now();
        let mut news = Vec::new();
        for uri in uris {
            let is_news = self.watching.add(&self.desk, uri.clone(), caller, room, within).await?;
            if is_news || shown.was_made_within(within) {
                news.push(News::Updated(uri.clone()));
            }
        }
        Ok(news)
    }

    /// Resolves when there is something to tell.
    pub(crate) async fn next(&mut self) -> Vec<News> {
        loop {
            if let Some(looked) = self.looked {
                sleep_until(looked + PAUSE).await;
            }
            // Listens before it looks, so that what happens meanwhile is news at once.
            let changed = self.desk.changed();
            self.looked = Some(Instant::now());
            let mut news = self.lists();
            news.extend(self.watching.changed(&self.desk).await);
            if !news.is_empty() {
                return news;
            }
            let watches = !self.watching.is_empty();
            tokio::select! {
                () = self.reloads.next() => (),
                () = self.watching.another.notified() => (),
                () = changed, if watches => (),
                () = sleep(LOOK), if watches => (),
            }
        }
    }

    /// The lists that are other ones than they were; at first, those that have just become so.
    fn lists(&mut self) -> Vec<News> {
        let shown = self.shown.now();
        let is_news = |list: &List| match &self.told {
            Some(told) => shown.differs(*list, told),
            None => shown.is_newer_than(*list, JUST),
        };
        let news = LISTS.into_iter().filter(is_news).map(News::List).collect();
        self.told = Some(shown);
        news
    }
}

/// Tells a client of the older era, once it has shaken hands; it hears of every list.
async fn tell_peer(peer: &Peer<RoleServer>, news: News) {
    if peer.peer_info().is_none() {
        return;
    }
    if let Err(error) = peer.send_notification(news.notification()).await {
        tracing::debug!(%error, "a change was not told");
    }
}

/// Tells a subscription of the newer era what it asked for.
async fn tell_subscription(sink: &SubscriptionSink, news: News) {
    if !news.is_wanted(sink.accepted()) {
        return;
    }
    if let Err(error) = sink.send(news.notification()).await {
        tracing::debug!(%error, "a change was not told");
    }
}
