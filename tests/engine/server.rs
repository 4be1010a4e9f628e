//! A PostgreSQL of this test process, and databases on it.

mod own;
pub(crate) mod script;

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

pub(crate) use own::Eye;
use own::Own;
use script::Script;

/// Whoever made the server owns it.
const USER: &str = "callboard";
const PASSWORD: &str = "not a secret";

/// Makes a database as it was at first, whoever is still in it.
const EMPTY: &str = "
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND pid <> pg_backend_pid();
    DROP SCHEMA public CASCADE;
    CREATE SCHEMA public;";

/// A running server. It ends with this process, however that ends.
pub(crate) struct Server {
    script: Script,
    port: u16,
    made: AtomicU32,
    /// Databases that nobody uses any more.
    idle: Mutex<Vec<Own>>,
}

/// A database on a server, empty at first, for whoever comes next when this is dropped.
pub(crate) struct Database {
    server: Arc<Server>,
    own: Own,
}

impl Server {
    /// The one that all cases share.
    pub(crate) fn shared() -> Arc<Server> {
        static SERVER: OnceLock<Arc<Server>> = OnceLock::new();
        SERVER.get_or_init(|| Arc::new(Server::start())).clone()
    }

    /// One of its own, for who wants to break it.
    pub(crate) fn start() -> Server {
        Server::with(&[])
    }

    /// The same with settings of its own, `name=value`.
    pub(crate) fn with(settings: &[&str]) -> Server {
        let arguments = [&[PASSWORD], settings].concat();
        let (script, said) = Script::start("tests/engine/server.sh", arguments);
        let Some(port) = said.strip_prefix("ready ") else { panic!("{said}") };
        let port = port.parse().expect("a port");
        Server { script, port, made: AtomicU32::new(0), idle: Mutex::default() }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Stops it as a power cut would.
    pub(crate) fn crash(&self) {
        self.script.order("crash", "down");
    }

    /// Starts it after a crash; it answers again when this returns.
    pub(crate) fn rise(&self) {
        self.script.order("start", "up");
    }

    /// From now on it speaks TLS, with the certificate and the key in that folder.
    pub(crate) fn prove(&self, folder: &std::path::Path) {
        self.script.order(&format!("prove {}", folder.display()), "proved");
    }

    /// An empty database. One that was used is emptied: that is much quicker than another one.
    pub(crate) async fn database(self: &Arc<Self>) -> Database {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let Some(own) = idle else {
            let name = format!("case_{}", self.made.fetch_add(1, Ordering::Relaxed));
            return Database {
                server: self.clone(),
                own: Own::make(through(self.port), name).await,
            };
        };
        let reset = format!("ALTER DATABASE {} RESET ALL", own.name());
        let database = Database { server: self.clone(), own };
        let eye = database.look().await;
        eye.client.batch_execute(EMPTY).await.expect("emptied");
        eye.client.batch_execute(&reset).await.expect("as it was");
        database
    }
}

impl Database {
    /// How a store finds it.
    pub(crate) fn address(&self) -> String {
        self.own.address()
    }

    /// The same by another way, such as a proxy.
    pub(crate) fn address_through(&self, port: u16) -> String {
        format!("{}/{}", through(port), self.own.name())
    }

    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    /// A setting of the database, for whoever connects from now on.
    pub(crate) async fn sets(&self, setting: &str, value: &str) {
        let sql = format!("ALTER DATABASE {} SET {setting} = '{value}'", self.own.name());
        self.look().await.client.batch_execute(&sql).await.expect("set");
    }

    pub(crate) async fn look(&self) -> Eye {
        self.own.look().await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // What a case that failed left behind may still write.
        if !std::thread::panicking() {
            let mut idle = self.server.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push(self.own.clone());
        }
    }
}

/// The server at a port, without a database.
fn through(port: u16) -> String {
    format!("postgres://{USER}:{}@127.0.0.1:{port}", PASSWORD.replace(' ', "%20"))
}
