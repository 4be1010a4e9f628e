//! All that is kept is moved to another database: asked for by people, by no run.

use std::path::PathBuf;

use callboard_config::database::Database;
use callboard_store::StoreError;
use callboard_store::copy::{Copied, End, Place, Progress, copy};

use crate::checkup::address;
use crate::world::World;

impl World {
    /// Copies the store of one place (a data folder, and a database if the folder does not hold it) to
    /// another one, and checks it there. Dropping the future leaves the new one unfinished, which
    /// nobody can use; the same call goes on with it.
    ///
    /// # Errors
    /// When the old one is in use, or the new one holds anything else; when both are not the same at
    /// the end. The message says what to do.
    pub async fn move_store(
        &self,
        from: (PathBuf, Option<Database>),
        to: (PathBuf, Option<Database>),
        told: &mut (dyn FnMut(Progress) + Send),
    ) -> Result<Copied, StoreError> {
        let (from, to) = (place(from)?, place(to)?);
        let from = self.end(from, false).await?;
        copy(&from, self.end(to, true), told).await
    }

    async fn end(&self, place: Place, is_target: bool) -> Result<End, StoreError> {
        let (chance, shown) = (self.bits.clone(), place.to_string());
        let opening = tokio::task::spawn_blocking(move || match is_target {
            true => End::target(place, chance),
            false => End::source(place, chance),
        });
        let opened = opening.await.unwrap_or_else(|it| Err(StoreError::Db(it.to_string())));
        opened.map_err(|it| StoreError::Db(format!("the store {shown} cannot be opened: {it}")))
    }
}

fn place((folder, database): (PathBuf, Option<Database>)) -> Result<Place, StoreError> {
    Ok(Place { folder, server: database.as_ref().map(address).transpose()? })
}
