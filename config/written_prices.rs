//! `prices.yaml` as it is written, and what is told where a limit in money meets a model without one.

use std::collections::{BTreeMap, BTreeSet};

use schemars::JsonSchema;

use crate::agent::{Agent, AgentName};
use crate::budget::{Budgets, Price, Prices};
use crate::fields::Fields;
use crate::place::{At, Place, Sink};
use crate::yaml::{Node, Value};

/// Dollars for a million tokens.
const MOST: f64 = 1_000_000.0;

/// The file `prices.yaml` beside `team.yaml`: what models cost. None are built in.
#[derive(Debug, JsonSchema)]
#[schemars(title = "Callboard prices", rename = "prices", deny_unknown_fields)]
#[expect(dead_code, reason = "describes what `read` reads, for the schema")]
pub(crate) struct WrittenPrices {
    /// The day they were looked up, such as `2026-01-31`.
    as_of: Option<String>,
    /// By `provider/model` or the model's name alone, with `*` for anything; the most specific
    /// pattern counts.
    models: Option<BTreeMap<String, WrittenPrice>>,
}

/// US dollars for a million tokens.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "price", deny_unknown_fields)]
#[expect(dead_code, reason = "describes what `price` reads, for the schema")]
pub(crate) struct WrittenPrice {
    /// Prompt tokens.
    #[schemars(range(min = 0))]
    input: f64,
    /// Prompt tokens that the provider read from its cache. Default: as `input`.
    #[schemars(range(min = 0))]
    cached_input: Option<f64>,
    /// Reply tokens.
    #[schemars(range(min = 0))]
    output: f64,
}

/// Reads the file; whatever is wrong is in `sink` and counts as not written.
pub(crate) fn read(node: &Node, sink: &Sink) -> Prices {
    let fields = Fields::open(node, "", sink);
    let as_of = fields.text("as_of").filter(|it| is_date(it, sink)).map(|it| it.value);
    let written = fields.entries("models").iter();
    let mut models: Vec<(String, Price)> = written
        .filter_map(|(key, node)| Some((key.name.trim().to_owned(), price(&key.name, node, sink)?)))
        .collect();
    models.sort_by(|a, b| specific(&a.0).cmp(&specific(&b.0)));
    fields.close();
    Prices { as_of, models, free: vec![] }
}

/// Whole names come first, then patterns, those with more letters before those with fewer.
fn specific(pattern: &str) -> (bool, std::cmp::Reverse<usize>, &str) {
    let n_letters = pattern.chars().filter(|it| *it != '*').count();
    (pattern.contains('*'), std::cmp::Reverse(n_letters), pattern)
}

fn is_date(written: &At<String>, sink: &Sink) -> bool {
    let form = |(nth, it): (usize, char)| match nth {
        4 | 7 => it == '-',
        _ => it.is_ascii_digit(),
    };
    let is_date = written.value.len() == 10 && written.value.chars().enumerate().all(form);
    if !is_date {
        let said = format!("`as_of` cannot be \"{}\"", written.value);
        sink.push(written.place.error(said, "write the day, such as 2026-01-31"));
    }
    is_date
}

fn price(pattern: &str, node: &Node, sink: &Sink) -> Option<Price> {
    let fields = Fields::open(node, format!("models.{pattern}"), sink);
    let usd = |key: &str| fields.real(key, 0.0..=MOST).map(|it| it.value);
    let (input, cached, output) = (usd("input"), usd("cached_input"), usd("output"));
    for key in ["input", "output"] {
        if fields.node(key).is_none() && matches!(node.value, Value::Map(_)) {
            let said = format!("`models.{pattern}` has no `{key}`");
            sink.push(
                node.place
                    .error(said, "write `{input: 2.00, output: 8.00}`, in usd per million tokens"),
            );
        }
    }
    fields.close();
    let (input, output) = (input?, output?);
    Some(Price { input, cached_input: cached.unwrap_or(input), output })
}

/// Names the models without a price that a limit in money, which somebody wrote, will refuse.
pub(crate) fn tell_unpriced(
    agents: &BTreeMap<AgentName, Agent>,
    budgets: &Budgets,
    prices: &Prices,
    team_file: &Place,
    sink: &Sink,
) {
    let everybody = budgets.task.usd_is_written || budgets.day.usd_is_written;
    let counts = |it: &&Agent| everybody || it.budget.unwrap_or(budgets.run).usd_is_written;
    let models = agents.values().filter(counts).flat_map(|it| &it.models);
    let unpriced: BTreeSet<String> = models
        .filter(|it| prices.of(&it.provider, &it.model).is_none())
        .map(|it| format!("{}/{}", it.provider, it.model))
        .collect();
    if unpriced.is_empty() {
        return;
    }
    let names: Vec<String> = unpriced.into_iter().collect();
    let said =
        format!("a limit in usd is written, and nobody said what {} costs", names.join(", "));
    let help = "write its price into `prices.yaml`: until then its runs are refused";
    sink.push(team_file.warning(said, help));
}
