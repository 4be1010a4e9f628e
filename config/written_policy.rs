//! `priority`, `route`, `throttle` and `retain` of `team.yaml` as they are written.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;

use crate::fields::Fields;
use crate::place::Sink;
use crate::policy::{Ranking, Retain, Route, RouteMode, Throttle};
use crate::units::{OneOf, Seconds, Switch, Unit};
use crate::yaml::{Node, Value};

/// How long a score may be good for.
const TTL_S: u64 = 2_592_000;
/// The longest stretch over which the load is averaged.
const WINDOW_S: u64 = 300;
/// The most days that are counted.
const DAYS: u64 = 36_500;

/// How the order of the queue is found.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "priority", deny_unknown_fields)]
#[expect(dead_code, reason = "describes what `ranking` reads, for the schema")]
pub(crate) struct WrittenRanking {
    /// Whether a run counts 80 points more for every other that waits for it. Default: true.
    unblocking: Option<Switch>,
    /// How long a score of a model is good for. Default: 30m.
    ttl_s: Option<Seconds>,
    /// How like two tasks must be, by their vectors, for one score to serve both. Default: 0.8.
    #[schemars(range(min = 0, max = 1))]
    cosine: Option<f64>,
    /// The same by the words they share, where no model `embed` is set. Default: 0.6.
    #[schemars(range(min = 0, max = 1))]
    overlap: Option<f64>,
    /// Words that mean the same, beside the shipped ones: the word and what it stands for.
    synonyms: Option<BTreeMap<String, String>>,
}

/// Reads `priority:`; whatever is wrong is in `sink` and counts as not written.
pub(crate) fn ranking(node: &Node, sink: &Sink) -> Ranking {
    let fields = Fields::open(node, "priority", sink);
    let default = Ranking::default();
    let share = |key: &str, or: f64| fields.real(key, 0.0..=1.0).map_or(or, |it| it.value);
    let synonym = |word: &str, node: &Node| {
        let meant = fields.text_of(node, &format!("synonyms.{word}"))?;
        Some((word.trim().to_lowercase(), meant.value.to_lowercase()))
    };
    let ranking = Ranking {
        unblocking: fields.flag("unblocking").unwrap_or(default.unblocking),
        ttl_s: fields.whole("ttl_s", Unit::Seconds, 0..=TTL_S).map_or(default.ttl_s, |it| it.value),
        cosine: share("cosine", default.cosine),
        overlap: share("overlap", default.overlap),
        synonyms: fields
            .entries("synonyms")
            .iter()
            .filter_map(|(key, node)| synonym(&key.name, node))
            .collect(),
    };
    fields.close();
    ranking
}

/// Who gets work that nobody is named for.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "route", deny_unknown_fields)]
#[expect(dead_code, reason = "describes what `route` reads, for the schema")]
pub(crate) struct WrittenRoute {
    /// `auto` by how complex the task is, `simple` always one agent, `team` always all of them.
    /// Default: `auto`.
    mode: Option<RouteMode>,
    /// The part of such tasks that goes this way, 0 to 1; the rest goes to one agent. Default: 1.
    #[schemars(range(min = 0, max = 1))]
    team: Option<f64>,
    /// What becomes of a team route that failed: `single` has the entry agent try it once by
    /// itself. Default: `single`.
    fallback: Option<Fallback>,
    /// What says how complex a task is: the formula, or the model `small`. Default: `formula`.
    judge: Option<Judge>,
}

/// What becomes of a team route that failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Fallback {
    /// The entry agent tries it once by itself.
    Single,
    /// It stays failed.
    None,
}

/// What says how complex a task is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Judge {
    /// Domains, separate asks and length.
    Formula,
    /// The model `small`.
    Model,
}

/// Reads `route:`. A model judges only where there is one named `small`.
pub(crate) fn route(node: Option<&Node>, has_small: bool, sink: &Sink) -> Route {
    let default = Route::default();
    let Some(node) = node else { return default };
    let fields = Fields::open(node, "route", sink);
    let fallback = fields.choice::<Fallback>("fallback", &["single", "none"]).map(|it| it.value);
    let judge = fields.choice::<Judge>("judge", &["formula", "model"]).map(|it| it.value);
    if let (Some(Judge::Model), Some(node), false) = (judge, fields.node("judge"), has_small) {
        let help = "name one below `models:`, or leave it out: the formula measures every task";
        fields.wrong(node, "judge", "asks the model `small`, which is not in `models`", help);
    }
    let route = Route {
        mode: fields
            .choice("mode", &["auto", "simple", "team"])
            .map_or(default.mode, |it| it.value),
        team: fields.real("team", 0.0..=1.0).map_or(default.team, |it| it.value),
        falls_back: fallback.map_or(default.falls_back, |it| it == Fallback::Single),
        judged: judge.map_or(default.judged, |it| it == Judge::Model),
    };
    fields.close();
    route
}

/// When nothing new begins because the machine is busy with something else.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "throttle", deny_unknown_fields)]
#[expect(dead_code, reason = "describes what `throttle` reads, for the schema")]
pub(crate) struct WrittenThrottle {
    /// Per cent of the machine above which no new run begins. Default: 80.
    #[schemars(range(min = 0, max = 100))]
    high: Option<f64>,
    /// Per cent below which they begin again. Default: 70.
    #[schemars(range(min = 0, max = 100))]
    low: Option<f64>,
    /// The time that is averaged. Default: 5s.
    window_s: Option<Seconds>,
}

/// Reads `throttle:`; `None` = off.
pub(crate) fn throttle(node: Option<&Node>, sink: &Sink) -> Option<Throttle> {
    let default = Throttle::default();
    let Some(node) = node else { return Some(default) };
    match (&node.value, node.text()) {
        (Value::Flag(false), _) | (_, Some("off" | "no")) => return None,
        (Value::Flag(true), _) | (_, Some("on" | "yes")) => return Some(default),
        (_, Some(_)) => {
            let help = "write `throttle: off`, or `{high: 80, low: 70, window_s: 5}`";
            sink.push(node.place.error("`throttle` must be `off` or a map", help));
            return Some(default);
        }
        _ => {}
    }
    let fields = Fields::open(node, "throttle", sink);
    let per_cent = |key: &str, or: f64| match fields.node(key) {
        Some(_) => fields.real(key, 0.0..=100.0).map(|it| it.value),
        None => Some(or),
    };
    let (high, low) = (per_cent("high", default.high), per_cent("low", default.low));
    let window = fields.whole("window_s", Unit::Seconds, 1..=WINDOW_S);
    if let (Some(high), Some(low)) = (high, low)
        && low >= high
    {
        let said = format!("is {low}, not below `throttle.high` {high}");
        let node = fields.node("low").unwrap_or(node);
        fields.wrong(node, "low", &said, "write both, such as `{high: 80, low: 70}`");
    }
    fields.close();
    Some(Throttle {
        high: high.unwrap_or(default.high),
        low: low.unwrap_or(default.low),
        window_s: window.map_or(default.window_s, |it| it.value),
    })
}

/// For how many days after its end a task is kept; `off` = for ever.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "retain", deny_unknown_fields)]
#[expect(dead_code, reason = "describes what `retain` reads, for the schema")]
pub(crate) struct WrittenRetain {
    /// With all its records. Default: 365.
    #[schemars(with = "Option<OneOf<Days, Switch>>")]
    records_days: Option<u32>,
    /// With the long texts of what models replied, tools returned and agents noted. Default: 90, or
    /// as long as the records where that is less.
    #[schemars(with = "Option<OneOf<Days, Switch>>")]
    bodies_days: Option<u32>,
}

/// A number of days.
#[derive(Debug, JsonSchema)]
#[schemars(inline)]
#[expect(dead_code, reason = "describes what `retain` reads, for the schema")]
struct Days(#[schemars(range(min = 1, max = 36_500))] u32);

/// Reads `retain:`; what is wrong counts as not written.
pub(crate) fn retain(team: &Fields<'_>) -> Retain {
    let default = Retain::default();
    let Some(node) = team.node("retain") else { return default };
    match switch(node) {
        Some(false) => return Retain { records: None, bodies: None },
        Some(true) => return default,
        None if matches!(node.value, Value::Map(_) | Value::Null) => {}
        None => {
            let help = "write `retain: off`, or `records_days` and `bodies_days` below it";
            team.sink.push(node.place.error("`retain` must be `off` or a map", help));
            return default;
        }
    }
    let fields = Fields::open(node, "retain", team.sink);
    let days = |key: &str| match fields.node(key) {
        Some(node) => match switch(node) {
            Some(false) => Some(None),
            Some(true) => None,
            None => {
                let days = fields.whole_of(node, key, Unit::Count, 1..=DAYS)?;
                u32::try_from(days.value).ok().map(Some)
            }
        },
        None => fields.is_lifted(key).then_some(None),
    };
    let (written, records) = (days("bodies_days"), days("records_days"));
    let records = records.unwrap_or(default.records);
    let most = records.unwrap_or(u32::MAX);
    let bodies = written.unwrap_or(default.bodies.map(|it| it.min(most)));
    if let (Some(Some(bodies)), Some(records)) = (written, records)
        && bodies > records
    {
        let said = format!("is {bodies}, above `retain.records_days` {records}");
        let node = fields.node("bodies_days").unwrap_or(node);
        fields.wrong(node, "bodies_days", &said, "what a task said leaves with its records");
    }
    fields.close();
    Retain { records, bodies }
}

/// A switch that stands in the place of something longer.
fn switch(node: &Node) -> Option<bool> {
    match (&node.value, node.text()) {
        (Value::Flag(it), _) => Some(*it),
        (_, Some("on" | "yes")) => Some(true),
        (_, Some("off" | "no")) => Some(false),
        _ => None,
    }
}
