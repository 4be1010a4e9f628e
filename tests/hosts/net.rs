//! The five hosts, and who looks at the databases on them past the network.

use std::path::PathBuf;

use tokio::task::JoinSet;
use tokio_postgres::{Client, NoTls};

use crate::script::Script;

/// The hosts with a database: the primary, and the one that follows it.
pub(crate) const PRIMARY: &str = "pg1";
pub(crate) const STANDBY: &str = "pg2";
/// How the nodes find whichever of them takes writes.
pub(crate) const ADDRESS: &str =
    "postgres://callboard@10.77.0.4:5432,10.77.0.5:5432/callboard?target_session_attrs=read-write";

/// Hosts and databases; all of it is gone when this is dropped, or when this process ends.
pub(crate) struct Net {
    script: Script,
    namespaces: String,
    folder: PathBuf,
}

impl Net {
    /// Lays the cables and starts the databases; why not, where there may be no such hosts.
    pub(crate) fn start() -> Result<Net, String> {
        let (script, said) = Script::start("tests/hosts/net.sh", [""; 0]);
        if let Some(why) = said.strip_prefix("cannot: ") {
            return Err(why.to_owned());
        }
        let ready = said.strip_prefix("ready ").and_then(|it| it.split_once(' '));
        let Some((namespaces, folder)) = ready else { panic!("{said}") };
        let (namespaces, folder) = (namespaces.to_owned(), folder.into());
        Ok(Net { script, namespaces, folder })
    }

    /// Takes the cable of a host out.
    pub(crate) fn cut(&self, host: &str) {
        self.script.order(&format!("cut {host}"), "done");
    }

    /// Puts it in again.
    pub(crate) fn mend(&self, host: &str) {
        self.script.order(&format!("mend {host}"), "done");
    }

    /// Makes the standby the primary.
    pub(crate) fn promote(&self) {
        self.script.order("promote", "done");
    }

    /// A command that runs on a host.
    pub(crate) fn on(&self, host: &str, program: &str) -> tokio::process::Command {
        let mut command = tokio::process::Command::new("ip");
        command.args(["netns", "exec", &format!("{}-{host}", self.namespaces), program]);
        command
    }

    /// How a store finds a database by its socket in the file system: no cut is in that way.
    pub(crate) fn past(&self, host: &str) -> String {
        let folder = self.folder.join(format!("of-{host}"));
        let folder = folder.to_string_lossy().replace('/', "%2F");
        format!("postgres://callboard@{folder}/callboard")
    }

    pub(crate) async fn look(&self, host: &str) -> Eye {
        Eye::open(&self.past(host)).await
    }
}

/// A connection to look with.
pub(crate) struct Eye {
    client: Client,
    _link: JoinSet<()>,
}

impl Eye {
    async fn open(address: &str) -> Eye {
        let (client, connection) =
            tokio_postgres::connect(address, NoTls).await.expect("the database answers");
        let mut link = JoinSet::new();
        link.spawn(async move { drop(connection.await) });
        Eye { client, _link: link }
    }

    /// The place of the last record that is kept.
    pub(crate) async fn last(&self) -> i64 {
        self.number("SELECT coalesce(max(pos), 0) FROM journal WHERE pos > $1", 0).await
    }

    /// Whether a step was begun and came to its outcome, both behind that place.
    pub(crate) async fn has_moved(&self, place: i64) -> bool {
        let sql = "SELECT CAST(EXISTS (SELECT 1 FROM journal b JOIN journal r ON r.run = b.run
            WHERE b.pos > $1 AND b.kind = 'step_begun' AND r.pos > b.pos
              AND r.kind = 'model_replied') AS INT)::BIGINT";
        self.number(sql, place).await == 1
    }

    /// Runs that are not over.
    pub(crate) async fn open_runs(&self) -> i64 {
        let sql = "SELECT count(*) FROM run WHERE pos > $1
            AND state IN ('ready', 'running', 'waiting')";
        self.number(sql, 0).await
    }

    async fn number(&self, sql: &str, place: i64) -> i64 {
        self.client.query_one(sql, &[&place]).await.expect("it answers").get(0)
    }
}
