//! What the connections of one process share.

use std::io;
use std::sync::Arc;

use callboard_config::http::Scope;
use callboard_scheduler::Desk;

use crate::seal::Seals;
use crate::shown::{Showcase, Shown};

/// The desk, what is shown of its team, and the key that signs for it. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Shared {
    pub(crate) desk: Desk,
    pub(crate) seals: Arc<Seals>,
    pub(crate) shown: Arc<Showcase>,
}

impl Shared {
    /// Of a desk, with the key of its store: so that what one process signs, another knows.
    ///
    /// # Errors
    /// When the key can neither be read nor made.
    pub(crate) async fn new(desk: Desk) -> io::Result<Shared> {
        let seals = match desk.key().await.map_err(io::Error::other)? {
            (key, true) => Seals::new(key),
            (fresh, false) => Seals::kept_in(desk.data(), fresh)?,
        };
        let shown = Arc::new(Showcase::new(&desk));
        Ok(Shared { desk, seals: Arc::new(seals), shown })
    }

    /// What is shown of the team as it is now.
    pub(crate) fn shown(&self) -> Arc<Shown> {
        self.shown.now()
    }

    /// What a caller must be allowed to do to use a tool.
    pub(crate) fn needs(&self, tool: &str) -> Scope {
        if self.shown().tools.looks_only(tool) { Scope::Read } else { Scope::Run }
    }
}
