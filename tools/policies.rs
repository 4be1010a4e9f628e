//! What steers the scheduler, in the words of `team.yaml`: budgets, prices, resources, order, routes.

use callboard_config::Team;
use callboard_config::budget::{Caps, Prices};
use callboard_config::policy::Route;
use serde_json::{Map, Value, json};

/// The keys of `team.yaml` that the scheduler goes by, and the price file.
pub(crate) fn policies(team: &Team) -> [(&'static str, Value); 7] {
    let budgets = team.budgets;
    let tools = team.resources.tools.iter().map(|it| (it.0.clone(), json!(it.1)));
    [
        (
            "budgets",
            json!({"run": caps(&budgets.run), "task": caps(&budgets.task), "day": caps(&budgets.day)}),
        ),
        ("prices", prices(&team.prices)),
        ("resources", json!(team.resources.named)),
        ("tools", Value::Object(tools.collect())),
        ("priority", json!(team.ranking)),
        ("route", route(team.route)),
        ("throttle", team.throttle.map_or(json!("off"), |it| json!(it))),
    ]
}

/// Limits on what may be spent; `null` = none.
pub(crate) fn caps(caps: &Caps) -> Value {
    json!({
        "tokens": caps.tokens, "usd": caps.micro_usd.map(|it| it as f64 / 1e6),
        "seconds": caps.ms.map(|it| it as f64 / 1e3), "model_calls": caps.model_calls,
        "tool_calls": caps.tool_calls, "documents": caps.documents,
    })
}

fn prices(prices: &Prices) -> Value {
    let models = prices.models.iter().map(|(pattern, it)| (pattern.clone(), json!(it)));
    json!({"as_of": prices.as_of, "models": models.collect::<Map<_, _>>(), "free": prices.free})
}

fn route(route: Route) -> Value {
    json!({
        "mode": route.mode, "team": route.team,
        "fallback": if route.falls_back { "single" } else { "none" },
        "judge": if route.judged { "model" } else { "formula" },
    })
}
