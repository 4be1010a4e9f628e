//! `resources`, `tools` and every `breaker` of `team.yaml` as they are written.

use std::collections::BTreeMap;

use schemars::JsonSchema;

use crate::fields::Fields;
use crate::nearest::did_you_mean;
use crate::place::{At, Place, Sink};
use crate::policy::{Breaker, Resource, Resources};
use crate::units::{OneOf, Seconds, Unit};
use crate::yaml::Node;

/// The largest and the smallest amount of units.
const UNITS: f64 = 1_000_000_000.0;
const FEWEST: f64 = 0.000_001;
/// The most steps that a resource counts, and failures that a breaker does.
const STEPS: u64 = 10_000;
/// The longest time a breaker stays open, or a step waits for it.
const DAY_S: u64 = 86_400;

/// Something that steps share: an API, a database, a tool server.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "resource", deny_unknown_fields)]
#[expect(dead_code, reason = "describes what `resources` reads, for the schema")]
pub(crate) struct WrittenResource {
    /// Units it saves up while idle, and the most one step may take. Default: no rate.
    #[schemars(extend("exclusiveMinimum" = 0))]
    capacity: Option<f64>,
    /// Units that come back in a second; above 0.
    #[schemars(extend("exclusiveMinimum" = 0))]
    refill_per_s: Option<f64>,
    /// Steps that hold it at once. Default: any number.
    concurrency: Option<u32>,
    /// Units that one step takes. Default: 1.
    #[schemars(range(min = 0))]
    cost: Option<f64>,
    /// When it is left alone.
    breaker: Option<WrittenBreaker>,
    /// Resources that a step takes in its place, the first that lets it, where this one would have it
    /// wait for over a minute or is left alone.
    fallback: Option<OneOf<Vec<String>, String>>,
}

/// When something that fails is left alone.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "breaker", deny_unknown_fields)]
#[expect(dead_code, reason = "describes what `breaker` reads, for the schema")]
pub(crate) struct WrittenBreaker {
    /// Failures in a row that open it. Default: 3.
    #[schemars(range(min = 1))]
    failures: Option<u32>,
    /// Time until one step may try it again. Default: 5m.
    reset_s: Option<Seconds>,
    /// Time that a step waits for an open one before it fails. Default: 330s for a model, else 0.
    wait_s: Option<Seconds>,
}

/// Reads `resources:` and `tools:`; whatever is wrong is in the sink and counts as not written.
pub(crate) fn resources(team: &Fields<'_>) -> Resources {
    let mut edges = Vec::new();
    let mut read = |name: &str, place: &Place, node: &Node| {
        let plain = |it: char| it.is_ascii_alphanumeric() || it == '-' || it == '_';
        if name.is_empty() || name.len() > 64 || !name.chars().all(plain) {
            let said = format!("\"{name}\" is no name for a resource");
            team.sink.push(place.error(said, "use up to 64 letters, digits, `-` and `_`"));
        }
        let (resource, fallback) = resource(name, node, team.sink);
        edges.extend(fallback.into_iter().map(|it| (name.to_owned(), it)));
        (name.to_owned(), resource)
    };
    let written = team.entries("resources").iter();
    let mut named: BTreeMap<_, _> =
        written.map(|(key, node)| read(&key.name, &key.place, node)).collect();
    edges.into_iter().for_each(|(from, to)| join(&mut named, &from, &to, team.sink));
    let tools = team.entries("tools").iter().filter_map(|(key, node)| {
        let taken = team.text_of(node, &format!("tools.{}", key.name))?;
        is_there(&key.name, &taken, &named, team.sink).then(|| (key.name.clone(), taken.value))
    });
    let tools = tools.collect();
    Resources { named, tools }
}

/// One resource stands in for another, unless it is not there or the way would lead back.
fn join(named: &mut BTreeMap<String, Resource>, from: &str, to: &At<String>, sink: &Sink) {
    let key = format!("resources.{from}.fallback");
    if !named.contains_key(&to.value) {
        let near = did_you_mean(&to.value, named.keys().map(String::as_str));
        let said = format!("`{key}`: \"{}\" is not in `resources`{near}", to.value);
        sink.push(to.place.error(said, "write it below `resources:`, with what it can take"));
    } else if let Some(way) = way(named, &to.value, from) {
        let said = format!("`{key}` goes round: {from} → {}", way.join(" → "));
        sink.push(to.place.error(said, "take one of these out"));
    } else if let Some(resource) = named.get_mut(from) {
        resource.fallback.push(to.value.clone());
    }
}

/// The way from one resource to another over what stands in for them; there is no circle yet.
fn way(named: &BTreeMap<String, Resource>, from: &str, to: &str) -> Option<Vec<String>> {
    let mut way = vec![from.to_owned()];
    if from != to {
        let next = named.get(from)?.fallback.iter().find_map(|it| self::way(named, it, to))?;
        way.extend(next);
    }
    Some(way)
}

fn is_there(
    tool: &str,
    taken: &At<String>,
    named: &BTreeMap<String, Resource>,
    sink: &Sink,
) -> bool {
    let is_there = named.contains_key(&taken.value);
    if !is_there {
        let near = did_you_mean(&taken.value, named.keys().map(String::as_str));
        let said = format!("`tools.{tool}`: \"{}\" is not in `resources`{near}", taken.value);
        sink.push(taken.place.error(said, "write it below `resources:`, with what it can take"));
    }
    is_there
}

fn resource(name: &str, node: &Node, sink: &Sink) -> (Resource, Vec<At<String>>) {
    let fields = Fields::open(node, format!("resources.{name}"), sink);
    let units = |key: &str, least: f64| fields.real(key, least..=UNITS).map(|it| it.value);
    let capacity = units("capacity", FEWEST);
    let refill = units("refill_per_s", FEWEST);
    let cost = units("cost", 0.0).unwrap_or(1.0);
    let of_rate = |key: &str| fields.node(key);
    match (of_rate("capacity"), of_rate("refill_per_s"), of_rate("cost")) {
        (Some(node), None, _) => {
            fields.wrong(node, "capacity", "needs `refill_per_s` beside it", "");
        }
        (None, Some(node), _) => {
            fields.wrong(node, "refill_per_s", "needs `capacity` beside it", "");
        }
        (None, None, Some(node)) => {
            let help = "write `capacity` and `refill_per_s` too, or remove it";
            fields.wrong(node, "cost", "is taken from nothing", help);
        }
        (Some(rate), Some(_), written) => {
            if let Some(most) = capacity.filter(|it| cost > *it) {
                let said = format!("is {cost}, above its capacity {most}");
                fields.wrong(written.unwrap_or(rate), "cost", &said, "no step could ever take it");
            }
        }
        (None, None, None) => {}
    }
    let resource = Resource {
        capacity,
        refill_per_s: refill.unwrap_or_default(),
        concurrency: concurrency(&fields),
        cost,
        breaker: breaker(&fields),
        fallback: Vec::new(),
    };
    let fallback = fields.texts("fallback").unwrap_or_default();
    fields.close();
    (resource, fallback)
}

/// Steps in progress at once.
pub(crate) fn concurrency(fields: &Fields<'_>) -> Option<u32> {
    let written = fields.whole("concurrency", Unit::Count, 1..=STEPS)?;
    u32::try_from(written.value).ok()
}

/// `breaker:` below something that can fail.
pub(crate) fn breaker(fields: &Fields<'_>) -> Breaker {
    let default = Breaker::default();
    let Some(node) = fields.node("breaker") else { return default };
    let inner = Fields::open(node, fields.name("breaker"), fields.sink);
    let failures = inner.whole("failures", Unit::Count, 1..=STEPS);
    let time = |key: &str, least: u64| inner.whole(key, Unit::Seconds, least..=DAY_S);
    let breaker = Breaker {
        failures: failures.and_then(|it| u32::try_from(it.value).ok()).unwrap_or(default.failures),
        reset_s: time("reset_s", 1).map_or(default.reset_s, |it| it.value),
        wait_s: time("wait_s", 0).map(|it| it.value),
    };
    inner.close();
    breaker
}
