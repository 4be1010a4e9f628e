//! A database to test on, and the few words the cases are written in.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use callboard_store::{
    Address, Advance, Lease, NewRun, Next, OpenOptions, Store, StoreError, Wanted,
};
use callboard_trace::{Event, Fact, Record, RunId};
use serde_json::Value;
use tempfile::TempDir;
use tokio::time::Instant;

use crate::server::{Database, Server};

/// One empty database and how nodes open it.
pub(crate) struct Fixture {
    place: Place,
    database: Option<Database>,
    _home: TempDir,
}

/// Where a database is: the data folder, and the server if the folder does not hold it.
#[derive(Clone)]
pub(crate) struct Place {
    pub(crate) path: PathBuf,
    pub(crate) address: Option<String>,
}

impl Fixture {
    pub(crate) fn sqlite() -> Fixture {
        Fixture::at(None)
    }

    /// In a folder that is there or not, and stays.
    pub(crate) fn in_folder(path: &std::path::Path) -> Fixture {
        let place = Place { path: path.to_path_buf(), address: None };
        Fixture { place, database: None, _home: tempfile::tempdir().unwrap() }
    }

    pub(crate) async fn postgres() -> Fixture {
        Fixture::on(&Server::shared()).await
    }

    /// On a server of its own, which may be broken.
    pub(crate) async fn alone() -> Fixture {
        Fixture::on(&Arc::new(Server::start())).await
    }

    async fn on(server: &Arc<Server>) -> Fixture {
        Fixture::at(Some(server.database().await))
    }

    fn at(database: Option<Database>) -> Fixture {
        let home = tempfile::tempdir().unwrap();
        let address = database.as_ref().map(Database::address);
        let place = Place { path: home.path().join("data"), address };
        Fixture { place, database, _home: home }
    }

    /// How another process finds the same database.
    pub(crate) fn place(&self) -> &Place {
        &self.place
    }

    /// The data folder.
    pub(crate) fn path(&self) -> &std::path::Path {
        &self.place.path
    }

    /// The database, where it is on a server.
    pub(crate) fn database(&self) -> Option<&Database> {
        self.database.as_ref()
    }

    /// Another way to the same database.
    pub(crate) fn through(&self, address: String) -> Place {
        Place { address: Some(address), ..self.place.clone() }
    }

    pub(crate) fn open(&self, node: &str) -> Store {
        self.open_with(node, |_| {}).unwrap()
    }

    pub(crate) fn open_with(
        &self,
        node: &str,
        change: impl FnOnce(&mut OpenOptions),
    ) -> Result<Store, StoreError> {
        self.place.open(node, change)
    }

    /// A node that is taken for dead soon.
    pub(crate) fn open_hasty(&self, node: &str) -> Store {
        self.open_with(node, hasty).unwrap()
    }
}

/// The ttl of hasty nodes.
pub(crate) const TTL: Duration = Duration::from_millis(400);

pub(crate) fn hasty(options: &mut OpenOptions) {
    options.ttl = TTL;
    options.beat = TTL / 4;
}

impl Place {
    pub(crate) fn open(
        &self,
        node: &str,
        change: impl FnOnce(&mut OpenOptions),
    ) -> Result<Store, StoreError> {
        let mut options = OpenOptions::new(&self.path, node, Arc::new(chance));
        options.server = self.address.as_deref().map(Address::parse).transpose()?;
        change(&mut options);
        Store::open(options)
    }
}

/// Chance from the standard library's own seeds.
pub(crate) fn chance() -> u128 {
    let half = || u128::from(RandomState::new().build_hasher().finish());
    half() << 64 | half()
}

pub(crate) fn id(n: u128) -> RunId {
    RunId::new(n)
}

pub(crate) fn fact(text: &str) -> Fact {
    said(text, Value::Null)
}

pub(crate) fn said(text: &str, value: Value) -> Fact {
    Fact::new("tester", Event::PlanChanged { plan: text.to_owned(), change: value })
}

/// What was said, as one line: `a b c`.
pub(crate) fn story<'a>(records: impl IntoIterator<Item = &'a Record>) -> String {
    let word = |it: &Record| {
        if let Event::PlanChanged { plan, .. } = &it.event {
            return plan.clone();
        }
        it.event.kind().to_owned()
    };
    records.into_iter().map(word).collect::<Vec<_>>().join(" ")
}

/// A root with one record, `begin`.
pub(crate) fn root(n: u128, priority: u16) -> NewRun {
    NewRun {
        run: id(n),
        root: None,
        parent: None,
        agent: "coder".to_owned(),
        workspace: "default".to_owned(),
        principal: "me".to_owned(),
        key: None,
        fingerprint: "same".to_owned(),
        priority,
        points: callboard_trace::rank::Points::default(),
        unscored: false,
        deadline: i64::MAX,
        facts: vec![fact("begin")],
        queue_cap: 1_000_000,
    }
}

pub(crate) fn child(n: u128, parent: &Lease) -> NewRun {
    let (root_run, parent) = (Some(parent.root.clone()), Some(parent.run.clone()));
    NewRun { root: root_run, parent, ..root(n, 100) }
}

/// A step that starts these too.
pub(crate) fn starts(store: &Store, write: Advance, new: Vec<NewRun>) -> Advance {
    let spawn = new.into_iter().map(|it| store.entry(it).unwrap()).collect();
    Advance { spawn, ..write }
}

/// A step that says these words.
pub(crate) fn step(seen: u64, words: &[&str], next: Next) -> Advance {
    let facts = words.iter().map(|it| fact(it)).collect();
    Advance::new(seen, facts, next)
}

pub(crate) fn park() -> Next {
    Next::Park { until: None }
}

pub(crate) fn end() -> Next {
    Next::End { state: "completed".to_owned() }
}

/// The words of the store that many cases begin with.
pub(crate) trait Words {
    async fn begin(&self, n: u128) -> RunId;
    async fn take(&self) -> Lease;
    async fn claim_of(&self, root: &RunId, max: u32, seats: u32) -> Result<Vec<Lease>, StoreError>;
    async fn all(&self, run: &RunId) -> Vec<Record>;
    async fn story(&self, run: &RunId) -> String;
    async fn sweep_at_last(&self) -> Duration;
}

impl Words for Store {
    async fn begin(&self, n: u128) -> RunId {
        self.submit(root(n, 100)).await.unwrap().run
    }

    async fn take(&self) -> Lease {
        let mut taken = self.claim(1, 1_000).await.unwrap();
        taken.pop().expect("a run is ready")
    }

    /// Takes runs of one root.
    async fn claim_of(&self, root: &RunId, max: u32, seats: u32) -> Result<Vec<Lease>, StoreError> {
        let root = Some(root.clone());
        let wanted = Wanted { max, seats, root, ..Wanted::default() };
        Ok(self.claim_or_press(wanted, seats).await?.0)
    }

    async fn all(&self, run: &RunId) -> Vec<Record> {
        self.journal(run, 0, u32::MAX).await.unwrap()
    }

    async fn story(&self, run: &RunId) -> String {
        story(&self.all(run).await)
    }

    /// Beats until a sweep takes something back; answers how long that took.
    async fn sweep_at_last(&self) -> Duration {
        let start = Instant::now();
        loop {
            self.beat().await.unwrap();
            if self.sweep().await.unwrap() > 0 {
                return start.elapsed();
            }
            assert!(start.elapsed() < Duration::from_secs(20), "it was never swept");
            tokio::time::sleep(self.beat_every()).await;
        }
    }
}
