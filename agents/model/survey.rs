//! What can an endpoint do? A few small questions, one thing each, and what came of them.

use callboard_config::{Endpoint, Limits, Provider, ProviderKind};
use callboard_trace::FailureCode;
use serde_json::Value;

use super::asking::Asking;
pub use super::asking::{Finding, Survey};
use super::classify::refused;
use super::manners::Manners;
use super::miss::Miss;
use super::transport::Clock;
use super::wire::Wire;

/// Who is asked: a model for words and one for vectors, as far as the team names them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Subjects<'a> {
    /// Without one the first that the endpoint lists is asked.
    pub model: Option<&'a str>,
    /// Without one no vectors are asked for.
    pub embed: Option<&'a str>,
}

/// Asks the endpoint of a provider what it can do. Every request has its deadline, `limits.probe_s`,
/// and its most tokens, `limits.probe_tokens`; without an answer to the first nothing more is asked.
pub async fn survey(
    provider: &Provider,
    subjects: Subjects<'_>,
    limits: &Limits,
    clock: Clock,
) -> Survey {
    let (name, found) = (provider.name.clone(), Vec::new());
    let empty = Survey {
        provider: name,
        model: String::new(),
        requests: 0,
        tokens: 0,
        answers: false,
        found,
    };
    let ProviderKind::OpenAi(endpoint) = &provider.kind else {
        let said = "is the built-in rehearsal model: there is no endpoint".to_owned();
        let found = vec![Finding { what: "address", works: None, said }];
        return Survey { answers: true, found, ..empty };
    };
    let most = limits.probe_s;
    let endpoint = Endpoint {
        connect_s: endpoint.connect_s.min(most),
        idle_s: most,
        total_s: most,
        stream: false,
        ..endpoint.clone()
    };
    let wire = Wire::new(&provider.name, &endpoint, limits, clock);
    let tokens = u32::try_from(limits.probe_tokens).unwrap_or(u32::MAX);
    let mut asking = Asking { wire, endpoint, tokens, survey: empty, limits: Vec::new() };
    asking.all(subjects).await;
    asking.survey
}

impl Asking {
    async fn all(&mut self, subjects: Subjects<'_>) {
        let Ok(first) = self.models(subjects.model).await else { return };
        let Some(model) = subjects.model.map(str::to_owned).or(first) else {
            return self.tell(
                "answer",
                None,
                "no model to ask: no agent names one of this provider",
            );
        };
        self.survey.model.clone_from(&model);
        if !self.answer().await {
            return;
        }
        self.streaming().await;
        self.tools().await;
        self.form().await;
        self.fields().await;
        self.limits();
        if let Some(embed) = subjects.embed {
            self.vectors(embed).await;
        }
    }

    /// Whether there is anybody, and which models are listed: the first of them. An error if there is
    /// nobody.
    async fn models(&mut self, wanted: Option<&str>) -> Result<Option<String>, ()> {
        let trying = self.wire.trying("", None);
        let asked = async {
            match self.wire.get(&trying, "/models").await {
                Ok(answer) => Ok(Ok(answer)),
                Err(Miss::Refused { status, told, retry_after }) => {
                    Ok(Err(refused(&trying.asked, status, &told, retry_after)))
                }
                Err(Miss::Fault(fault)) if fault.code == FailureCode::BadReply => Ok(Err(fault)),
                Err(Miss::Fault(fault)) => Err(fault),
            }
        };
        let answer = self.wire.in_time(&trying, Box::pin(asked)).await;
        self.survey.requests += 1;
        let ms = trying.begun.elapsed().as_millis();
        let answer = match answer {
            Err(fault) => {
                self.fails("address", &fault);
                return Err(());
            }
            Ok(answer) => answer,
        };
        self.tell("address", true, format!("answered in {ms} ms"));
        let answer = match answer {
            Ok(answer) => answer,
            Err(fault) => {
                self.fails("models", &fault);
                return Ok(None);
            }
        };
        let list = answer["data"].as_array().or(answer["models"].as_array()).or(answer.as_array());
        let name = |it: &Value| {
            ["id", "name", "model"].iter().find_map(|key| it[key].as_str().map(str::to_owned))
        };
        let names: Vec<String> = list.into_iter().flatten().filter_map(name).collect();
        let count = names.len();
        match wanted {
            _ if list.is_none() => self.tell("models", false, "its answer is no list"),
            Some(wanted) if !names.iter().any(|it| it == wanted) => {
                self.tell(
                    "models",
                    false,
                    format!("{count} listed, \"{wanted}\" is not among them"),
                );
            }
            _ => self.tell("models", true, format!("{count} listed")),
        }
        Ok(names.into_iter().next())
    }

    /// Whether the model answers, and what it had to be asked differently for.
    async fn answer(&mut self) -> bool {
        let request = self.request("Reply with the one word: ready");
        let reply = self.wire.ask(&request).await;
        let asked_again = reply.as_ref().map_or_else(|it| it.asked_again, |it| it.asked_again);
        let reply = self.counted(reply, asked_again);
        match reply {
            Err(fault) => {
                let works = fault.code == FailureCode::Unauthorized;
                self.fails("answer", &fault);
                if works {
                    self.tell("key", false, "it is not taken");
                }
                false
            }
            Ok(reply) => {
                self.survey.answers = true;
                let key =
                    if self.endpoint.api_key.is_some() { "it is taken" } else { "none is needed" };
                let manners = self.wire.known(&self.survey.model);
                self.tell("answer", true, format!("in {} ms{}", reply.ms, habits(&manners)));
                self.tell("key", true, key);
                match reply.usage.estimated {
                    true => self.tell("usage", false, "not told; tokens are estimated"),
                    false => self.tell("usage", true, "tokens are told"),
                }
                true
            }
        }
    }
}

/// What an endpoint turned out to want otherwise, as the end of a sentence.
fn habits(manners: &Manners) -> String {
    let mut all: Vec<String> = manners.dropped.iter().map(|it| format!("without `{it}`")).collect();
    let flags = [
        (manners.has_no_chat, "over the Responses API"),
        (manners.swaps_max, "the output limit goes by its other name"),
    ];
    all.extend(flags.into_iter().filter(|it| it.0).map(|it| it.1.to_owned()));
    all.into_iter().map(|it| format!("; {it}")).collect()
}
