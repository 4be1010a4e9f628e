//! How the scheduler is to choose and to hold back: resources, breakers, ranking, routes, throttle; and
//! how long what was done is kept.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// When a resource that fails is left alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Breaker {
    /// Failures in a row that open it.
    pub failures: u32,
    /// Seconds until one step may try it again.
    pub reset_s: u64,
    /// Seconds a step waits for an open one before it fails; `None` = as its kind has it.
    pub wait_s: Option<u64>,
}

impl Default for Breaker {
    fn default() -> Breaker {
        Breaker { failures: 3, reset_s: 300, wait_s: None }
    }
}

impl Breaker {
    /// Whether it is as nobody wrote it otherwise.
    pub(crate) fn is_usual(&self) -> bool {
        *self == Breaker::default()
    }
}

/// Something that steps share: an API, a database, a tool server.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Resource {
    /// Units it saves up when idle, and the most one step may take. `None` = no rate.
    pub capacity: Option<f64>,
    /// Units that come back in a second.
    pub refill_per_s: f64,
    /// Steps that hold it at once; `None` = any number.
    pub concurrency: Option<u32>,
    /// Units that one step takes.
    pub cost: f64,
    /// When it is left alone.
    pub breaker: Breaker,
    /// What a step takes in its place that would wait for it for over a minute, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fallback: Vec<String>,
}

/// `resources:` and `tools:` of `team.yaml`.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Resources {
    /// By name.
    pub named: BTreeMap<String, Resource>,
    /// Tools, by name or glob, and the resource each takes; the first that fits counts. A tool
    /// server whose name is a resource's takes that one.
    pub tools: Vec<(String, String)>,
}

impl Resources {
    /// The resource that a tool of a server takes, by name.
    pub fn of_tool(&self, server: Option<&str>, tool: &str) -> Option<(&str, &Resource)> {
        let mapped = self.tools.iter().find(|it| {
            let pattern = [it.0.clone()];
            crate::select::selects(&pattern, tool)
        });
        let name = mapped.map(|it| it.1.as_str()).or(server)?;
        self.named.get_key_value(name).map(|(name, it)| (name.as_str(), it))
    }
}

impl Resources {
    /// The resources that may be taken in the place of one, in order: its fallbacks, each followed by
    /// its own.
    pub fn in_place_of<'a>(&'a self, name: &'a str) -> Vec<&'a str> {
        let mut chain = vec![name];
        self.follow(name, &mut chain);
        chain.split_off(1)
    }

    fn follow<'a>(&'a self, name: &str, chain: &mut Vec<&'a str>) {
        for next in self.named.get(name).into_iter().flat_map(|it| &it.fallback) {
            if !chain.contains(&next.as_str()) {
                chain.push(next);
                self.follow(next, chain);
            }
        }
    }
}

/// `priority:` of `team.yaml`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Ranking {
    /// Whether a run counts more for every other that waits for it.
    pub unblocking: bool,
    /// Seconds that a score of a model is good for.
    pub ttl_s: u64,
    /// Cosine of two tasks' vectors above which the score of one serves the other.
    pub cosine: f64,
    /// The same for the share of concepts in common, where there are no vectors.
    pub overlap: f64,
    /// Words that mean the same, beside the shipped ones: the word and what it stands for.
    pub synonyms: BTreeMap<String, String>,
}

impl Default for Ranking {
    fn default() -> Ranking {
        Ranking {
            unblocking: true,
            ttl_s: 1_800,
            cosine: 0.80,
            overlap: 0.60,
            synonyms: BTreeMap::new(),
        }
    }
}

/// `route:` of `team.yaml`: who gets work that nobody is named for.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Route {
    /// Which way it goes.
    pub mode: RouteMode,
    /// The part of such tasks, 0..1, that goes this way; the rest goes to one agent.
    pub team: f64,
    /// Whether a team route that failed is tried once more by the entry agent alone.
    pub falls_back: bool,
    /// Whether the model `small` judges how complex a task is, instead of the formula.
    pub judged: bool,
}

/// Which way unaddressed work goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum RouteMode {
    /// As complex as it is.
    #[default]
    Auto,
    /// To one agent.
    Simple,
    /// To the full team.
    Team,
}

impl Default for Route {
    fn default() -> Route {
        Route { mode: RouteMode::Auto, team: 1.0, falls_back: true, judged: false }
    }
}

/// `throttle:` of `team.yaml`: no new run while the machine is busy with something else.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Throttle {
    /// Per cent of the machine above which nothing new begins.
    pub high: f64,
    /// Per cent below which it does again.
    pub low: f64,
    /// Seconds that are averaged.
    pub window_s: u64,
}

impl Default for Throttle {
    fn default() -> Throttle {
        Throttle { high: 80.0, low: 70.0, window_s: 5 }
    }
}

/// `retain:` of `team.yaml`: for how many days after its end a task is kept; `None` = for ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Retain {
    /// With all its records.
    pub records: Option<u32>,
    /// With what models replied and tools returned, where that is long; not above `records`.
    pub bodies: Option<u32>,
}

impl Default for Retain {
    fn default() -> Retain {
        Retain { records: Some(365), bodies: Some(90) }
    }
}
