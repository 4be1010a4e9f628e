//! All model endpoints of a team behind one question.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use callboard_config::{Limits, Provider, ProviderKind};
use callboard_trace::FailureCode;
use futures::future::BoxFuture;

use super::exchange::{Reply, Request};
use super::fault::Fault;
use super::rehearsal::Rehearsal;
use super::transport::Clock;
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
    Simulated(Answers),
}

/// What answers in a simulation: called once for each attempt.
type Answers = Arc<dyn Fn(&Request) -> BoxFuture<'static, Result<Reply, Fault>> + Send + Sync>;

impl Models {
    /// Opens no connection yet. `clock` tells microseconds since 1970, for pauses given as dates.
    pub fn new(providers: &BTreeMap<String, Provider>, limits: &Limits, clock: Clock) -> Models {
        let source = |name: &String, provider: &Provider| match &provider.kind {
            ProviderKind::OpenAi(endpoint) => {
                Source::Wire(Box::new(Wire::new(name, endpoint, limits, clock.clone())))
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

    /// The same names, and behind all of them a simulation.
    pub fn simulated(providers: &BTreeMap<String, Provider>, answers: Answers) -> Models {
        let source = |name: &String| (name.clone(), Source::Simulated(answers.clone()));
        Models { sources: Arc::new(providers.keys().map(source).collect()) }
    }

    /// Vectors of the texts, in their order and all of one length; in portions, an attempt each.
    ///
    /// # Errors
    /// As for a question. One bad portion spoils them all.
    pub async fn embed(
        &self,
        provider: &str,
        model: &str,
        texts: &[String],
    ) -> Result<Vec<Vec<f32>>, Fault> {
        match self.sources.get(provider) {
            Some(Source::Wire(wire)) => wire.embed(model, texts).await,
            Some(Source::Rehearsal(_) | Source::Simulated(_)) => {
                let message = format!("provider \"{provider}\" rehearses and has no embeddings");
                Err(Fault::new(FailureCode::BadRequest, false, message))
            }
            None => Err(absent(provider)),
        }
    }

    /// Makes exactly one attempt. Dropping the future closes the connection at once.
    pub async fn ask(&self, provider: &str, request: &Request) -> Result<Reply, Fault> {
        match self.sources.get(provider) {
            Some(Source::Wire(wire)) => wire.ask(request).await,
            Some(Source::Rehearsal(rehearsal)) => Box::pin(rehearsal.ask(request)).await,
            Some(Source::Simulated(answers)) => answers(request).await,
            None => Err(absent(provider)),
        }
    }
}

fn absent(provider: &str) -> Fault {
    let message =
        format!("provider \"{provider}\" is not in this team; add it under providers in team.yaml");
    Fault::new(FailureCode::ModelUnavailable, false, message)
}
