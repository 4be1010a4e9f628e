//! The two ends of a copy: stores that are opened without entering a node.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::db::{Db, Tx};
use crate::error::Result;
use crate::node::{Life, life};
use crate::store::Served;
use crate::writer::Chance;
use crate::{Address, StoreError, open, postgres, threads, unfinished};

/// A node of which nothing was heard for so long is gone.
const SILENT: Duration = Duration::from_secs(30);

/// Where a store is.
#[derive(Clone, Debug)]
pub struct Place {
    /// The data folder.
    pub folder: PathBuf,
    /// The PostgreSQL that keeps it; `None` = a file in the folder.
    pub server: Option<Address>,
}

/// One end. The order of the fields is the order in which they end.
pub struct End {
    pub(crate) db: Db,
    _served: Served,
    pub(crate) place: Place,
    pub(crate) chance: Chance,
}

impl Place {
    /// Whether a file is there; of a server that is only known by asking it.
    pub fn is_there(&self) -> bool {
        self.server.is_some() || self.folder.join(open::FILE).is_file()
    }
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.server {
            Some(address) => write!(f, "at {address}"),
            None => {
                let folder = std::path::absolute(&self.folder);
                write!(f, "in {}", folder.as_deref().unwrap_or(&self.folder).display())
            }
        }
    }
}

impl End {
    /// Opens the store that is read, and leaves it as it is. Blocks.
    ///
    /// # Errors
    /// When there is none, or not in the newest format.
    pub fn source(place: Place, chance: Chance) -> Result<End> {
        End::open(place, chance, false)
    }

    /// Opens the store that is filled, and makes it if it is not there. Blocks.
    ///
    /// # Errors
    /// As [`crate::Store::open`].
    pub fn target(place: Place, chance: Chance) -> Result<End> {
        End::open(place, chance, true)
    }

    fn open(place: Place, chance: Chance, is_target: bool) -> Result<End> {
        let hint = Arc::new(Notify::new());
        if let Some(address) = &place.server {
            let enter: Option<postgres::Enter> = match is_target {
                true => Some(Box::new(|_: &mut dyn Tx| Ok(()))),
                false => None,
            };
            let (db, lanes) = postgres::open(address, enter, hint)?;
            return Ok(End { db, _served: Served::Lanes { _own: lanes }, place, chance });
        }
        let conn = match is_target {
            true => open::prepare(&place.folder, None)?,
            false => open::look(&place.folder)?,
        };
        let file = place.folder.join(open::FILE);
        let (db, threads) = threads::start(conn, &file, chance.clone(), hint)?;
        Ok(End { db, _served: Served::Threads { _own: threads }, place, chance })
    }

    /// Who works on it, or on another machine may do so: a sentence each.
    ///
    /// # Errors
    /// When it was moved or is not whole, and the message says what to do; when it cannot be read.
    pub async fn at_work(&self) -> Result<Vec<String>> {
        self.db.read(unfinished::refuse).await?;
        self.nodes().await
    }

    /// Refuses a store on which a node is alive.
    ///
    /// # Errors
    /// When one is: the message says which process to stop.
    pub async fn is_at_rest(&self) -> Result<()> {
        let Some(who) = self.nodes().await?.into_iter().next() else { return Ok(()) };
        Err(StoreError::Db(format!(
            "the store {} is in use: {who}; stop that, and move again (30 s after a death elsewhere)",
            self.place
        )))
    }

    async fn nodes(&self) -> Result<Vec<String>> {
        let look = self.db.read(|tx| {
            let sql = "SELECT id, seen FROM node ORDER BY id";
            let rows = tx.query(sql, &[])?;
            let nodes = rows.iter().map(|it| Ok((it.text(0)?, it.int(1)?)));
            Ok((tx.now()?, nodes.collect::<Result<Vec<_>>>()?))
        });
        let (at, nodes) = look.await?;
        let who = |(node, seen): (String, i64)| {
            let ago = Duration::from_micros(u64::try_from(at - seen).unwrap_or_default());
            match life(&self.place.folder, &node) {
                Life::Ended => None,
                Life::Unknown if ago > SILENT => None,
                Life::Alive(Some(process)) => Some(format!("process {process} works on it")),
                Life::Alive(None) => Some(format!("node {node} works on it")),
                Life::Unknown => Some(format!(
                    "node {node} of another machine or data folder was there {} s ago",
                    ago.as_secs()
                )),
            }
        };
        Ok(nodes.into_iter().filter_map(who).collect())
    }
}
