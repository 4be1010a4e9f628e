//! All model endpoints of a team behind one question.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use callboard_config::{Limits, Provider, ProviderKind};
use callboard_trace::FailureCode;

use super::exchange::{Reply, Request};
use super::fault::Fault;
use super::rehearsal::Rehearsal;
use super::wire::Wire;

/// The providers of a team. Cheap to clone; clones share connections and what was learned.
#[derive(Clone)]
pub struct Models {
    sources: Arc<BTreeMap<String, Source>>,
}

/// Who answers.
enum Source {
    Wire(Box<Wire>),
    Rehearsal(Rehearsal),
}

impl Models {
    /// Opens no connection yet. `clock` tells microseconds since 1970, for pauses given as dates.
    pub fn new(
        providers: &BTreeMap<String, Provider>,
        limits: &Limits,
        clock: fn() -> i64,
    ) -> Models {
        let source = |name: &String, provider: &Provider| match &provider.kind {
            ProviderKind::OpenAi(endpoint) => {
                Source::Wire(Box::new(Wire::new(name, endpoint, limits, clock)))
            }
            ProviderKind::Rehearsal { playbook } => {
                let most = Duration::from_secs(limits.retry_after_max_s);
                let playbook = playbook.as_ref().map(|(file, text)| (Path::new(file), &**text));
                Source::Rehearsal(Rehearsal::new(name, playbook, most))
            }
        };
        let sources = providers.iter().map(|(name, it)| (name.clone(), source(name, it)));
        Models { sources: Arc::new(sources.collect()) }
    }

    /// Makes exactly one attempt. Dropping the future closes the connection at once.
    pub async fn ask(&self, provider: &str, request: &Request) -> Result<Reply, Fault> {
        match self.sources.get(provider) {
            Some(Source::Wire(wire)) => wire.ask(request).await,
            Some(Source::Rehearsal(rehearsal)) => rehearsal.ask(request).await,
            None => {
                let message = format!(
                    "provider \"{provider}\" is not in this team; add it under providers in team.yaml"
                );
                Err(Fault::new(FailureCode::ModelUnavailable, false, message))
            }
        }
    }
}
