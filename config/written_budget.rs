//! `budgets:` and an agent's `budget:` as they are written: amounts over those that are in force.

use schemars::JsonSchema;

use crate::budget::{Budgets, Caps};
use crate::fields::Fields;
use crate::place::Sink;
use crate::units::{Seconds, Unit};
use crate::yaml::Node;

/// The largest amount that is counted.
const AMOUNT: u64 = 1_000_000_000_000;
/// The same in dollars, and in seconds.
const USD: f64 = 1_000_000_000.0;
const SECONDS: u64 = 1_000_000_000;

/// What runs, tasks and days may spend.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "budgets", deny_unknown_fields)]
#[expect(dead_code, reason = "describes what `budgets` reads, for the schema")]
pub(crate) struct WrittenBudgets {
    /// A run of an agent that has no budget of its own. Default: 50,000 tokens, 30 minutes, 200
    /// model calls, 200 tool calls, 100 documents.
    run: Option<WrittenCaps>,
    /// A task with all its runs. Default: ten times a run, and 5 usd.
    task: Option<WrittenCaps>,
    /// The same as `task`.
    root: Option<WrittenCaps>,
    /// The workspace in a day (UTC). Default: 50 usd.
    day: Option<WrittenCaps>,
}

/// Limits on what may be spent. What is left out stays as it is, `null` lifts a limit, 0 is never.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "budget", deny_unknown_fields)]
#[expect(dead_code, reason = "describes what `caps` reads, for the schema")]
pub(crate) struct WrittenCaps {
    /// Tokens in and out, cached input included.
    tokens: Option<u64>,
    /// US dollars, to the millionth. A model without a price is refused under it.
    #[schemars(range(min = 0))]
    usd: Option<f64>,
    /// Seconds inside steps; waiting costs nothing.
    seconds: Option<Seconds>,
    /// The same in minutes.
    minutes: Option<u64>,
    /// Attempts of model steps.
    model_calls: Option<u64>,
    /// Tool steps.
    tool_calls: Option<u64>,
    /// Distinct files, pages and resources shown to the agent.
    documents: Option<u64>,
}

/// Reads `budgets:`; whatever is wrong is in `sink` and counts as not written.
pub(crate) fn budgets(node: &Node, sink: &Sink) -> Budgets {
    let fields = Fields::open(node, "budgets", sink);
    let default = Budgets::default();
    let of = |key: &str, base: Caps| {
        fields.node(key).map_or(base, |it| caps(it, &fields.name(key), base, sink))
    };
    if let (Some(_), Some(root)) = (fields.node("task"), fields.node("root")) {
        fields.wrong(root, "root", "means the same as `budgets.task`", "write one of them");
    }
    let budgets = Budgets {
        run: of("run", default.run),
        task: of("root", of("task", default.task)),
        day: of("day", default.day),
    };
    if let Some(node) = fields.node("agents") {
        let help = "write `agents: {NAME: {budget: ...}}`, or `budget:` in the agent's own file";
        fields.wrong(node, "agents", "is no place for the budgets of agents", help);
    }
    fields.close();
    budgets
}

/// Reads one budget over what holds without it.
pub(crate) fn caps(node: &Node, path: &str, base: Caps, sink: &Sink) -> Caps {
    let fields = Fields::open(node, path, sink);
    let count = |key: &str, or: Option<u64>| {
        let written = fields.whole(key, Unit::Count, 0..=AMOUNT).map(|it| it.value);
        written.or(or.filter(|_| !fields.is_lifted(key)))
    };
    let usd = fields.real("usd", 0.0..=USD).map(|it| (it.value * 1e6).round() as u64);
    let keeps_usd = usd.is_none() && !fields.is_lifted("usd");
    let caps = Caps {
        tokens: count("tokens", base.tokens),
        micro_usd: usd.or(base.micro_usd.filter(|_| keeps_usd)),
        ms: time(&fields, base.ms),
        model_calls: count("model_calls", base.model_calls),
        tool_calls: count("tool_calls", base.tool_calls),
        documents: count("documents", base.documents),
        usd_is_written: usd.is_some() || (keeps_usd && base.usd_is_written),
    };
    fields.close();
    caps
}

/// `seconds` or `minutes`, in milliseconds.
fn time(fields: &Fields<'_>, base: Option<u64>) -> Option<u64> {
    let seconds = fields.whole("seconds", Unit::Seconds, 0..=SECONDS);
    let minutes = fields.whole("minutes", Unit::Count, 0..=SECONDS / 60);
    if let (Some(_), Some(node)) = (&seconds, fields.node("minutes")) {
        fields.wrong(node, "minutes", "stands beside `seconds`", "write one of them");
    }
    let written = seconds.map(|it| it.value * 1_000).or(minutes.map(|it| it.value * 60_000));
    let is_lifted = fields.is_lifted("seconds") || fields.is_lifted("minutes");
    written.or(base.filter(|_| !is_lifted))
}
