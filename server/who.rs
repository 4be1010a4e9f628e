//! Who calls, and what a request brought along over HTTP.

use callboard_config::http::Scope;
use http::request::Parts;
use rmcp::model::Extensions;

/// Whose requests these are, and how much it may ask for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Principal {
    /// As runs are filed under it.
    pub(crate) name: String,
    /// What it may do.
    pub(crate) scope: Scope,
}

impl Principal {
    /// The user of this machine.
    pub(crate) fn local() -> Principal {
        Principal { name: "local".to_owned(), scope: Scope::Admin }
    }
}

/// What was put beside a request on its way in over HTTP.
pub(crate) fn brought<T: Clone + Send + Sync + 'static>(extensions: &Extensions) -> Option<T> {
    extensions.get::<Parts>().and_then(|it| it.extensions.get::<T>()).cloned()
}
