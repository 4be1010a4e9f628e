//! Which model a name means: aliases, `provider/model`, fallback chains, the team default.

use std::collections::BTreeMap;

use crate::model::Model;
use crate::nearest::did_you_mean;
use crate::place::{At, Sink};
use crate::provider::{Provider, ProviderKind};
use crate::secret::Outside;
use crate::written_team::{WrittenModel, WrittenTeam};

/// The alias of the team's default model.
const DEFAULT: &str = "default";
/// The alias of what texts are made vectors with.
const EMBED: &str = "embed";
/// The alias of the model that tasks are ranked with.
const SMALL: &str = "small";
/// What is asked for if nobody names a model.
const MODEL: &str = "gpt-5-mini";
const CONTEXT: u32 = 128_000;
const MAX_OUTPUT: u32 = 4_096;

/// The models of a team, with every alias resolved.
#[derive(Debug)]
pub(crate) struct Models {
    providers: Vec<String>,
    aliases: BTreeMap<String, Vec<Model>>,
}

impl Models {
    /// Resolves the aliases; whatever cannot be resolved is in `sink`.
    pub(crate) fn build(
        team: &WrittenTeam,
        providers: &BTreeMap<String, Provider>,
        outside: &Outside<'_>,
        sink: &Sink,
    ) -> Models {
        let written = team.providers.iter().map(|it| it.name.value.clone());
        let names: Vec<String> =
            if team.providers.is_empty() { vec![DEFAULT.to_owned()] } else { written.collect() };
        let heads: BTreeMap<&str, (&WrittenModel, Model)> = team
            .models
            .iter()
            .filter_map(|it| Some((it.alias.value.as_str(), (it, head(it, &names, sink)?))))
            .collect();
        let mut models = Models { providers: names, aliases: BTreeMap::new() };
        for alias in heads.keys() {
            let mut chain = vec![];
            models.follow(alias, &heads, &mut chain, &mut vec![], sink);
            models.aliases.insert((*alias).to_owned(), chain);
        }
        if !models.aliases.contains_key(DEFAULT)
            && let Some(model) = unwritten_default(providers, outside)
        {
            models.aliases.insert(DEFAULT.to_owned(), vec![model]);
        }
        models
    }

    /// The models an agent asks for, in order; empty only if the team has no default. A name this
    /// team does not know means the default and is told.
    pub(crate) fn chain(&self, asked: &[At<String>], sink: &Sink) -> Vec<Model> {
        let mut chain = vec![];
        for name in asked {
            let known = self.aliases.get(&name.value).cloned();
            let found = known.or_else(|| Some(vec![self.direct(&name.value)?]));
            if found.is_none() && name.value != "inherit" {
                let near = did_you_mean(&name.value, self.aliases.keys().map(String::as_str));
                sink.push(name.place.warning(
                    format!(
                        "model \"{}\" is not in `models`; the team default is used{near}",
                        name.value
                    ),
                    format!("write `{}: PROVIDER/MODEL` below `models:` in team.yaml", name.value),
                ));
            }
            append(&mut chain, found.unwrap_or_else(|| self.default_chain()));
        }
        if chain.is_empty() { self.default_chain() } else { chain }
    }

    /// The models of an alias, or of `provider/model`.
    pub(crate) fn named(&self, name: &str) -> Option<Vec<Model>> {
        self.aliases.get(name).cloned().or_else(|| Some(vec![self.direct(name)?]))
    }

    /// Every alias.
    pub(crate) fn aliases(&self) -> impl Iterator<Item = &str> {
        self.aliases.keys().map(String::as_str)
    }

    /// The first model of the alias `embed`.
    pub(crate) fn embed(&self) -> Option<Model> {
        self.aliases.get(EMBED)?.first().cloned()
    }

    /// The first model of the alias `small`.
    pub(crate) fn small(&self) -> Option<Model> {
        self.aliases.get(SMALL)?.first().cloned()
    }

    fn default_chain(&self) -> Vec<Model> {
        self.aliases.get(DEFAULT).cloned().unwrap_or_default()
    }

    /// `provider/model` with a provider of this team.
    fn direct(&self, name: &str) -> Option<Model> {
        let (provider, model) = name.split_once('/')?;
        let known = self.providers.iter().any(|it| it == provider) && !model.is_empty();
        known.then(|| plain(provider, model))
    }

    /// An alias and what follows it; an alias met twice on the way adds nothing.
    fn follow<'a>(
        &self,
        alias: &'a str,
        heads: &BTreeMap<&'a str, (&'a WrittenModel, Model)>,
        chain: &mut Vec<Model>,
        met: &mut Vec<&'a str>,
        sink: &Sink,
    ) {
        let Some((written, model)) = heads.get(alias) else { return };
        if met.contains(&alias) {
            return;
        }
        met.push(alias);
        append(chain, vec![model.clone()]);
        for next in &written.fallback {
            match (heads.contains_key(next.value.as_str()), self.direct(&next.value)) {
                (true, _) => self.follow(&next.value, heads, chain, met, sink),
                (false, Some(model)) => append(chain, vec![model]),
                (false, None) if met.len() == 1 => {
                    let near = did_you_mean(&next.value, heads.keys().copied());
                    sink.push(next.place.error(
                        format!(
                            "`models.{alias}.fallback` names \"{}\", which is no model{near}",
                            next.value
                        ),
                        "name an alias of `models`, or write PROVIDER/MODEL",
                    ));
                }
                (false, None) => {}
            }
        }
    }
}

fn head(written: &WrittenModel, providers: &[String], sink: &Sink) -> Option<Model> {
    let alias = &written.alias.value;
    let known = |name: &str| providers.iter().any(|it| it == name);
    let (provider, model, place) = match (&written.provider, written.model.value.split_once('/')) {
        (Some(provider), _) => {
            (provider.value.as_str(), written.model.value.as_str(), &provider.place)
        }
        (None, Some((provider, model))) if known(provider) || providers.len() != 1 => {
            (provider, model, &written.model.place)
        }
        (None, None | Some(_)) if providers.len() == 1 => {
            (providers[0].as_str(), written.model.value.as_str(), &written.model.place)
        }
        (None, None | Some(_)) => {
            sink.push(written.model.place.error(
                format!("`models.{alias}` names no provider"),
                "write PROVIDER/MODEL with a key of `providers`",
            ));
            return None;
        }
    };
    if !known(provider) {
        let near = did_you_mean(provider, providers.iter().map(String::as_str));
        sink.push(place.error(
            format!("`models.{alias}`: \"{provider}\" is not in `providers`{near}"),
            "write PROVIDER/MODEL with a key of `providers`",
        ));
        return None;
    }
    let tokens = |it: &Option<At<u64>>, default| {
        it.as_ref().and_then(|it| u32::try_from(it.value).ok()).unwrap_or(default)
    };
    let context = tokens(&written.context, CONTEXT);
    let max_output = tokens(&written.max_output, MAX_OUTPUT);
    if max_output >= context {
        sink.push(written.alias.place.error(
            format!(
                "`models.{alias}`: `max_output` {max_output} leaves no room in `context` {context}"
            ),
            "",
        ));
    }
    let (provider, model) = (provider.to_owned(), model.to_owned());
    Some(Model { provider, model, max_output, context })
}

/// The default nobody wrote: by OPENAI_MODEL, or what a single provider surely has.
fn unwritten_default(
    providers: &BTreeMap<String, Provider>,
    outside: &Outside<'_>,
) -> Option<Model> {
    let mut all = providers.values();
    let (Some(provider), None) = (all.next(), all.next()) else { return None };
    let asked = (outside.env)("OPENAI_MODEL").map(|it| it.trim().to_owned());
    let asked = asked.filter(|it| !it.is_empty());
    match &provider.kind {
        ProviderKind::Rehearsal { .. } => Some(plain(&provider.name, "rehearsal")),
        ProviderKind::OpenAi(_) if provider.name == DEFAULT => {
            Some(plain(&provider.name, asked.as_deref().unwrap_or(MODEL)))
        }
        ProviderKind::OpenAi(_) => asked.map(|it| plain(&provider.name, &it)),
    }
}

fn plain(provider: &str, model: &str) -> Model {
    let (provider, model) = (provider.to_owned(), model.to_owned());
    Model { provider, model, max_output: MAX_OUTPUT, context: CONTEXT }
}

fn append(chain: &mut Vec<Model>, more: Vec<Model>) {
    for model in more {
        if !chain.contains(&model) {
            chain.push(model);
        }
    }
}
