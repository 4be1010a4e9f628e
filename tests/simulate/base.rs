//! What the processes of a history share: a database in memory under a simulated clock, with faults
//! drawn for each job; or one on a PostgreSQL, where time and faults are real.

use std::path::PathBuf;
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use callboard_scheduler::World;
use callboard_store::simulated::{Fate, Lot, Simulated};
use callboard_store::{Address, OpenOptions, Store, StoreError};
use tempfile::TempDir;

use crate::scene::{Body, Scene, inside};
use crate::server::{Database, Eye};

/// How many times as fast as usual everything goes where time is real.
const PACE: u32 = 20;
/// After what silence a process is taken for dead where time is real, and how often it beats.
const TTL: Duration = Duration::from_secs(2);
const BEAT: Duration = Duration::from_millis(400);

/// Where a history is played: in memory, or on an empty database of a server.
pub(crate) enum Ground {
    Memory,
    Server(Mutex<Option<Database>>),
}

/// The database of one history.
pub(crate) enum Base {
    Memory(Simulated),
    Server { database: Database, folder: TempDir },
}

impl Ground {
    pub(crate) fn pace(&self) -> u32 {
        match self {
            Ground::Memory => 1,
            Ground::Server(_) => PACE,
        }
    }

    pub(crate) fn base(&self, scene: &Arc<Scene>) -> Base {
        match self {
            Ground::Memory => {
                let (clock, proof) = (scene.clone(), scene.clone());
                let made = Simulated::new(
                    Arc::new(move || clock.db_now()),
                    Arc::new(move |name| proof.is_proved_dead(name)),
                );
                Base::Memory(made.expect("a database"))
            }
            Ground::Server(database) => Base::Server {
                database: inside(database).take().expect("one history a database"),
                folder: tempfile::tempdir().expect("a folder"),
            },
        }
    }
}

impl Base {
    /// A store for who only looks, and to which nothing happens; a connection may be lost all the same.
    pub(crate) fn observer(&self) -> Store {
        let name = "n_observer";
        let options = || self.options(name, name, Arc::new(|| 0));
        if let Base::Memory(memory) = self {
            let well = Lot { before: Duration::ZERO, fate: Fate::Done, after: Duration::ZERO };
            return memory.open(options(), Arc::new(move |_| well)).expect("a store");
        }
        // The server may be down just now.
        let mut tries = 0;
        loop {
            match Store::open(options()) {
                Ok(it) => return it,
                Err(error) => assert!(tries < 20, "{error}"),
            }
            tries += 1;
            std::thread::sleep(Duration::from_millis(500));
        }
    }

    /// The store of a process.
    pub(crate) fn open(
        &self,
        scene: &Arc<Scene>,
        body: &Arc<Body>,
        world: &World,
    ) -> Result<Store, StoreError> {
        let bits = world.bits.clone();
        if let Base::Memory(memory) = self {
            let options = self.options(&body.name, "", bits);
            let (scene, of) = (scene.clone(), body.clone());
            return memory.open(options, Arc::new(move |is_write| scene.lot(&of, is_write)));
        }
        // Whose lock is in another folder, as on another machine, is known to be dead by time only.
        let shows = body.shows.load(Ordering::Relaxed);
        let folder = if shows { "shared" } else { body.name.as_str() };
        Store::open(self.options(&body.name, folder, bits))
    }

    fn options(
        &self,
        name: &str,
        folder: &str,
        bits: Arc<dyn Fn() -> u128 + Send + Sync>,
    ) -> OpenOptions {
        let mut options = OpenOptions::new(PathBuf::new(), name, bits);
        if let Base::Server { database, folder: home } = self {
            options.path = home.path().join(folder);
            options.server = Some(Address::parse(&database.address()).expect("an address"));
            (options.ttl, options.beat) = (TTL, BEAT);
        }
        options
    }

    /// Ends some connections of some processes, wherever they are in what they do.
    pub(crate) fn cut(&self, lines: usize) -> Option<impl Future<Output = ()> + Send + use<>> {
        let Base::Server { database, .. } = self else { return None };
        let address = database.address();
        Some(async move {
            // The server may be down just now.
            let Some(eye) = Eye::try_open(&address).await else { return };
            let sql = format!(
                "SELECT pg_terminate_backend(pid) FROM (SELECT pid FROM pg_stat_activity
                 WHERE datname = current_database() AND pid <> pg_backend_pid()
                 ORDER BY state = 'idle', random() LIMIT {lines}) AS some"
            );
            let _ = eye.client.batch_execute(&sql).await;
        })
    }
}
