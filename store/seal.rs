//! The key with which all nodes on one server sign what a client is to bring back.

use crate::db::Val;
use crate::error::Result;
use crate::{Store, StoreError};

/// Bytes of the key.
const BYTES: usize = 32;

impl Store {
    /// The key of the server: the first one that any node brought. `None` where a file is the store;
    /// who shares that shares its folder too, and a key can be kept there.
    ///
    /// # Errors
    /// When the server does not answer, or holds something else in its place.
    pub async fn seal(&self, fresh: [u8; BYTES]) -> Result<Option<[u8; BYTES]>> {
        if !self.is_on_server() {
            return Ok(None);
        }
        let kept = self.inner.db.write(move |tx| {
            let fresh = Val::Bytes(fresh.to_vec());
            tx.put("UPDATE callboard SET seal = $1 WHERE seal IS NULL", &[fresh])?;
            let row = tx.only("SELECT seal FROM callboard", &[])?;
            row.bytes(0).map(<[u8]>::to_vec)
        });
        kept.await?.try_into().map(Some).map_err(|_| {
            let told =
                format!("the table callboard holds no key of {BYTES} bytes; set `seal` to NULL");
            StoreError::Corrupt(told)
        })
    }
}
