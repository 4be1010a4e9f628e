//! The store of one node: opened once, shared by cloning.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use callboard_trace::{Event, Fact, RunId};
use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;
use tokio::task::JoinSet;

use crate::StoreError;
use crate::db::{Db, Tx};
use crate::ears::Ears;
use crate::error::Result;
use crate::held::Held;
use crate::ink::Ink;
use crate::node::Locks;
use crate::open;
use crate::postgres::{self, Address, Lanes};
use crate::threads::{self, Threads};
use crate::unfinished;
use crate::writer::Chance;

/// How a store is opened.
#[derive(Clone)]
pub struct OpenOptions {
    /// The data folder. Made with mode 0700 if it is not there; the file in it has mode 0600.
    pub path: PathBuf,
    /// The PostgreSQL that keeps the store; `None` = a file in `path`, where only the nodes' locks
    /// are otherwise.
    pub server: Option<Address>,
    /// The name of this process among the nodes, `n_…`: never used before.
    pub node: String,
    /// Values taken out of every body before it is written. Shorter ones than 8 bytes are ignored.
    pub secrets: Vec<String>,
    /// After this silence another node's runs are taken back.
    pub ttl: Duration,
    /// How often the owner of the store calls [`Store::beat`].
    pub beat: Duration,
    /// Where chance comes from: 128 random bits a call.
    pub chance: Arc<dyn Fn() -> u128 + Send + Sync>,
    /// The most bytes the database may have; `None` = as many as the disk has.
    pub max_bytes: Option<u64>,
}

/// One node's hold on the shared store. Cloning shares it; the last clone closes it.
#[derive(Clone)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

/// What the clones share. The order of the fields is the order in which they end.
pub(crate) struct Inner {
    pub(crate) db: Db,
    served: Served,
    pub(crate) locks: Locks,
    pub(crate) held: Arc<Held>,
    pub(crate) ink: Ink,
    pub(crate) node: String,
    pub(crate) ttl: Duration,
    pub(crate) beat: Duration,
    pub(crate) steady: Mutex<Option<Steady>>,
    pub(crate) ears: Ears,
    hint: Arc<Notify>,
    chance: Chance,
    left: AtomicBool,
}

/// Who runs the jobs of a store; they end with it.
pub(crate) enum Served {
    Threads { _own: Threads },
    Lanes { _own: Lanes },
    Tasks { _own: JoinSet<()> },
}

/// Since when, and until when, this node's heartbeat worked without a gap; the database's clock.
#[derive(Clone, Copy)]
pub(crate) struct Steady {
    pub(crate) since: i64,
    pub(crate) last: i64,
}

impl OpenOptions {
    /// The usual times: a beat every 5 s, taken for dead after 30 s.
    pub fn new(
        path: impl Into<PathBuf>,
        node: impl Into<String>,
        chance: Arc<dyn Fn() -> u128 + Send + Sync>,
    ) -> OpenOptions {
        OpenOptions {
            path: path.into(),
            server: None,
            node: node.into(),
            secrets: Vec::new(),
            ttl: Duration::from_secs(30),
            beat: Duration::from_secs(5),
            chance,
            max_bytes: None,
        }
    }
}

impl Store {
    /// Opens the store, makes it if it is not there, and enters this node. Blocks.
    ///
    /// Fails on a newer, damaged or foreign file, a read-only folder, a full disk; on a server that
    /// cannot be reached, does not let us in, is a standby, or holds tables of somebody else.
    pub fn open(options: OpenOptions) -> Result<Store> {
        if options.beat * 2 > options.ttl {
            let text =
                "the heartbeat must fit twice into the ttl; raise the ttl or beat more often";
            return Err(StoreError::Db(text.to_owned()));
        }
        let hint = Arc::new(Notify::new());
        if let Some(address) = &options.server {
            let locks = Locks::take(&options.path, &options.node)?;
            let node = options.node.clone();
            let enter = Box::new(move |tx: &mut dyn Tx| {
                unfinished::refuse(tx)?;
                tx.put(open::ENTER, &[(&node).into()])
            });
            let opened = postgres::open(address, Some(enter), hint.clone());
            let (db, lanes) = opened.inspect_err(|_| locks.leave())?;
            return Ok(Store::on(options, db, Served::Lanes { _own: lanes }, (locks, hint)));
        }
        let mut conn = open::prepare(&options.path, options.max_bytes)?;
        let locks = Locks::take(&options.path, &options.node)?;
        open::enter(&mut conn, &options.node).inspect_err(|_| locks.leave())?;
        let file = options.path.join(open::FILE);
        let (db, threads) = threads::start(conn, &file, options.chance.clone(), hint.clone())?;
        Ok(Store::on(options, db, Served::Threads { _own: threads }, (locks, hint)))
    }

    /// On a database that is served already.
    pub(crate) fn on(
        options: OpenOptions,
        db: Db,
        served: Served,
        (locks, hint): (Locks, Arc<Notify>),
    ) -> Store {
        let inner = Inner {
            db,
            served,
            locks,
            held: Arc::default(),
            ink: Ink::new(&options.secrets),
            node: options.node,
            ttl: options.ttl,
            beat: options.beat,
            steady: Mutex::new(None),
            ears: Ears::default(),
            hint,
            chance: options.chance,
            left: AtomicBool::new(false),
        };
        Store { inner: Arc::new(inner) }
    }

    /// This node's name.
    pub fn node(&self) -> &str {
        &self.inner.node
    }

    /// Values that must never reach a record from here on, besides those it was opened with.
    pub fn learn(&self, secrets: &[String]) {
        self.inner.ink.learn(secrets);
    }

    /// From now on `ear` hears of the records that steps of this process write into other runs' journals,
    /// each with its place, where the database is written: it must not wait. `Some` says that the record is
    /// about to be kept, and how often writes were undone before it: who acts on it says so with its own
    /// step ([`Advance::undone`](crate::Advance)), and tells nobody before that is kept. Only the first
    /// call counts.
    pub fn hears(&self, ear: impl Fn(&RunId, (u64, Fact), Option<u64>) + Send + Sync + 'static) {
        self.inner.ears.open(ear);
    }

    /// What happened, as it will be kept: without secrets.
    pub fn told(&self, event: Event) -> Event {
        self.inner.ink.told(event)
    }

    /// How often [`Store::beat`] wants to be called.
    pub fn beat_every(&self) -> Duration {
        self.inner.beat
    }

    /// Resolves when something was written here or by another process since this call. A hint
    /// only: a poll now and then is the truth.
    pub fn changed(&self) -> OwnedNotified {
        self.inner.hint.clone().notified_owned()
    }

    /// The database's clock, in microseconds since 1970.
    pub async fn now(&self) -> Result<i64> {
        self.inner.db.read(|tx| tx.now()).await
    }

    pub(crate) fn ring(&self) {
        self.inner.hint.notify_waiters();
    }

    /// 63 random bits.
    pub(crate) fn token(&self) -> i64 {
        ((self.inner.chance)() as u64 >> 1) as i64
    }

    pub(crate) fn is_on_server(&self) -> bool {
        matches!(self.inner.served, Served::Lanes { .. })
    }

    pub(crate) fn is_left(&self) -> bool {
        self.inner.left.load(Ordering::Relaxed)
    }

    pub(crate) fn set_left(&self) {
        self.inner.left.store(true, Ordering::Relaxed);
    }
}
