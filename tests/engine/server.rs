//! A PostgreSQL of this test process, and databases on it.

use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};

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
    child: Child,
    voice: Mutex<Voice>,
    port: u16,
    made: AtomicU32,
    /// Databases that nobody uses any more.
    idle: Mutex<Vec<String>>,
}

struct Voice {
    orders: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
}

/// A database on a server, empty at first, for whoever comes next when this is dropped.
pub(crate) struct Database {
    server: Arc<Server>,
    name: String,
}

/// A connection to look with, beside the store.
pub(crate) struct Eye {
    pub(crate) client: Client,
    _link: JoinSet<()>,
}

impl Server {
    /// The one that all cases share.
    pub(crate) fn shared() -> Arc<Server> {
        static SERVER: OnceLock<Arc<Server>> = OnceLock::new();
        SERVER.get_or_init(|| Arc::new(Server::start())).clone()
    }

    /// One of its own, for who wants to break it.
    pub(crate) fn start() -> Server {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/engine/server.sh");
        let mut child = Command::new("bash")
            .arg(script)
            .arg(PASSWORD)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("bash starts");
        let orders = child.stdin.take();
        let mut answers = BufReader::new(child.stdout.take().expect("its output")).lines();
        let said = answers.next().expect("a word of the server").expect("its output is read");
        let Some(port) = said.strip_prefix("ready ") else { panic!("{said}") };
        let port = port.parse().expect("a port");
        let voice = Mutex::new(Voice { orders, answers });
        Server { child, voice, port, made: AtomicU32::new(0), idle: Mutex::default() }
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Stops it as a power cut would.
    pub(crate) fn crash(&self) {
        self.order("crash", "down");
    }

    /// Starts it after a crash; it answers again when this returns.
    pub(crate) fn rise(&self) {
        self.order("start", "up");
    }

    fn order(&self, order: &str, wanted: &str) {
        let mut voice = self.voice.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(voice.orders.as_mut().expect("it listens"), "{order}").expect("it listens");
        let said = voice.answers.next().expect("it lives").expect("its output is read");
        assert_eq!(said, wanted);
    }

    /// An empty database. One that was used is emptied: that is much quicker than another one.
    pub(crate) async fn database(self: &Arc<Self>) -> Database {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let Some(name) = idle else {
            let name = format!("case_{}", self.made.fetch_add(1, Ordering::Relaxed));
            let eye = Eye::open(&self.address("postgres")).await;
            eye.client.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("made");
            return Database { server: self.clone(), name };
        };
        let reset = format!("ALTER DATABASE {name} RESET ALL");
        let database = Database { server: self.clone(), name };
        let eye = database.look().await;
        eye.client.batch_execute(EMPTY).await.expect("emptied");
        eye.client.batch_execute(&reset).await.expect("as it was");
        database
    }

    fn address(&self, name: &str) -> String {
        through(self.port, name)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The end of its input is the order to end.
        self.voice.lock().unwrap_or_else(PoisonError::into_inner).orders = None;
        let _ = self.child.wait();
    }
}

impl Database {
    /// How a store finds it.
    pub(crate) fn address(&self) -> String {
        self.server.address(&self.name)
    }

    /// The same by another way, such as a proxy.
    pub(crate) fn address_through(&self, port: u16) -> String {
        through(port, &self.name)
    }

    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    /// A setting of the database, for whoever connects from now on.
    pub(crate) async fn sets(&self, setting: &str, value: &str) {
        let sql = format!("ALTER DATABASE {} SET {setting} = '{value}'", self.name);
        self.look().await.client.batch_execute(&sql).await.expect("set");
    }

    pub(crate) async fn look(&self) -> Eye {
        Eye::open(&self.address()).await
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // What a case that failed left behind may still write.
        if !std::thread::panicking() {
            let mut idle = self.server.idle.lock().unwrap_or_else(PoisonError::into_inner);
            idle.push(self.name.clone());
        }
    }
}

impl Eye {
    async fn open(address: &str) -> Eye {
        let connected = tokio_postgres::connect(address, NoTls).await;
        let (client, connection) = connected.expect("the server answers");
        let mut link = JoinSet::new();
        link.spawn(async move { drop(connection.await) });
        Eye { client, _link: link }
    }

    /// All bytes of all rows of all tables.
    pub(crate) async fn everything(&self) -> Vec<u8> {
        use futures::TryStreamExt;
        let sql = "SELECT table_name FROM information_schema.tables
            WHERE table_schema = 'public' AND table_type = 'BASE TABLE'";
        let tables = self.client.query(sql, &[]).await.expect("its tables");
        assert!(!tables.is_empty(), "there are tables");
        let mut all = Vec::new();
        for table in tables {
            let name: String = table.get(0);
            let sql = format!("COPY (SELECT * FROM \"{name}\") TO STDOUT (FORMAT binary)");
            let rows = self.client.copy_out(&sql).await.expect("its rows");
            let pieces: Vec<_> = rows.try_collect().await.expect("its rows");
            all.extend(pieces.concat());
        }
        all
    }
}

fn through(port: u16, name: &str) -> String {
    format!("postgres://{USER}:{}@127.0.0.1:{port}/{name}", PASSWORD.replace(' ', "%20"))
}
