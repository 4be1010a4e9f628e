//! All that is kept is moved to another database: asked for by people, by no run.

use std::path::PathBuf;

use callboard_config::database::Database;
use callboard_store::StoreError;
use callboard_store::copy::{Copied, End, Place, Progress, copy};

use crate::checkup::place;
use crate::refusal::Stored;
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
    ) -> Stored<Copied> {
        let (from, to) = (place(from)?, place(to)?);
        let from = self.opened(from, false).await?;
        copy(&from, self.opened(to, true), told).await
    }

    async fn opened(&self, place: Place, is_target: bool) -> Stored<End> {
        let shown = place.to_string();
        let opened = self.end(place, is_target).await;
        opened.map_err(|it| StoreError::Db(format!("the store {shown} cannot be opened: {it}")))
    }

    /// One end of a move, or a look at a store by who is no node of it.
    pub(crate) async fn end(&self, place: Place, is_target: bool) -> Stored<End> {
        let chance = self.bits.clone();
        let opening = tokio::task::spawn_blocking(move || match is_target {
            true => End::target(place, chance),
            false => End::source(place, chance),
        });
        opening.await.unwrap_or_else(|it| Err(StoreError::Db(it.to_string())))
    }
}
