//! A database of one's own on a PostgreSQL that is there, and a look into it.
#![allow(dead_code, reason = "who starts a server and who is told of one need a part each")]

use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};

/// A database on a server, empty when it is made.
#[derive(Clone)]
pub(crate) struct Own {
    /// The server's address, with whoever may make databases there and without one of them.
    server: String,
    name: String,
}

/// A connection to look with, beside the store.
pub(crate) struct Eye {
    pub(crate) client: Client,
    _link: JoinSet<()>,
}

impl Own {
    pub(crate) async fn make(server: String, name: String) -> Own {
        let eye = Eye::open(&format!("{server}/postgres")).await;
        eye.client.batch_execute(&format!("CREATE DATABASE {name}")).await.expect("made");
        Own { server, name }
    }

    /// How a store finds it.
    pub(crate) fn address(&self) -> String {
        format!("{}/{}", self.server, self.name)
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) async fn look(&self) -> Eye {
        Eye::open(&self.address()).await
    }

    /// It goes, whoever is still in it.
    pub(crate) async fn remove(self) {
        let eye = Eye::open(&format!("{}/postgres", self.server)).await;
        let order = format!("DROP DATABASE {} WITH (FORCE)", self.name);
        eye.client.batch_execute(&order).await.expect("removed");
    }
}

/// Waits for it on a thread of its own: whoever asks may be a task itself.
pub(crate) fn beside<T: Send + 'static>(
    what: impl Future<Output = T> + Send + 'static,
) -> Option<T> {
    let waits = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        Some(runtime.block_on(what))
    });
    waits.join().ok()?
}

impl Eye {
    async fn open(address: &str) -> Eye {
        Eye::opened(address).await.expect("the server answers")
    }

    pub(crate) async fn try_open(address: &str) -> Option<Eye> {
        Eye::opened(address).await.ok()
    }

    async fn opened(address: &str) -> Result<Eye, tokio_postgres::Error> {
        let (client, connection) = tokio_postgres::connect(address, NoTls).await?;
        let mut link = JoinSet::new();
        link.spawn(async move { drop(connection.await) });
        Ok(Eye { client, _link: link })
    }

    /// How many records are in its journal; none if no store was ever there.
    pub(crate) async fn records(&self) -> i64 {
        let there = "SELECT to_regclass('journal') IS NOT NULL";
        let is_there: bool = self.client.query_one(there, &[]).await.expect("it answers").get(0);
        if !is_there {
            return 0;
        }
        let count = "SELECT count(*) FROM journal";
        self.client.query_one(count, &[]).await.expect("it answers").get(0)
    }

    /// The open runs, the resources and the processes, a line each.
    pub(crate) async fn standing(&self) -> String {
        let sql = "SELECT 'run ' || row_to_json(it) FROM run it WHERE state <> 'ended'
            UNION ALL SELECT 'line ' || row_to_json(it) FROM line it
            UNION ALL SELECT 'gauge ' || row_to_json(it) FROM gauge it
            UNION ALL SELECT 'node ' || row_to_json(it) FROM node it
            UNION ALL SELECT 'now ' || clock_timestamp()";
        let rows = self.client.query(sql, &[]).await.expect("its rows");
        rows.iter().map(|it| it.get::<_, String>(0) + "\n").collect()
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
