//! What `docs/scheduling.md` says: its examples load without a word, its figures are the defaults.

use serde_json::{Value, json};

use crate::budget::{Budgets, Caps};
use crate::policy::{Breaker, Ranking, Retain, Throttle};
use crate::testing::{PLAIN, team};
use crate::{Class, Limits};

const PAGE: &str = include_str!("../docs/scheduling.md");

/// Every example and the file it is of.
fn examples() -> Vec<(&'static str, &'static str)> {
    let parts = PAGE.split("```yaml\n# ").skip(1);
    let examples = parts.map(|it| it.split_once('\n').unwrap());
    examples.map(|(file, rest)| (file, rest.split_once("```").unwrap().0)).collect()
}

/// The cells of the rows that begin with a word of code.
fn rows() -> impl Iterator<Item = (&'static str, Vec<&'static str>)> {
    let rows = PAGE.lines().filter_map(|it| it.strip_prefix("| `")?.split_once("` | "));
    rows.map(|(key, rest)| (key, rest.trim_end_matches(" |").split(" | ").collect()))
}

#[test]
fn every_example_loads_and_leaves_nothing_to_say() {
    let examples = examples();
    assert_eq!(examples.len(), PAGE.matches("```yaml").count());
    let prices = examples.iter().find(|it| it.0 == "prices.yaml").unwrap().1;
    let of_team: Vec<&str> =
        examples.iter().filter(|it| it.0 == "team.yaml").map(|it| it.1).collect();
    assert_eq!(of_team.len() + 1, examples.len());
    for text in of_team {
        let files = [
            ("team.yaml", text),
            ("prices.yaml", prices),
            ("agents/archivist.md", PLAIN),
            ("agents/coordinator.md", PLAIN),
            ("agents/escalation.md", PLAIN),
            ("agents/researcher.md", PLAIN),
        ];
        assert_eq!(team(&files).problems, [], "{text}");
    }
}

#[test]
fn the_figures_are_the_defaults() {
    let Value::Object(limits) = json!(Limits::default()) else { panic!("no map") };
    let fuses: Vec<_> = rows().filter(|it| limits.contains_key(it.0)).collect();
    assert_eq!(fuses.len(), 12);
    for (key, cells) in fuses {
        assert_eq!(limits[key].to_string(), cells[0], "{key}");
    }
    let budgets = Budgets::default();
    for (key, caps) in [("run", budgets.run), ("task", budgets.task), ("day", budgets.day)] {
        let (_, cells) = rows().find(|it| it.0 == key).unwrap();
        assert_eq!(cells, shown(&caps), "{key}");
    }
    let classes = ["critical", "high", "quality", "normal", "low", "background"].map(|it| {
        let class: Class = serde_json::from_value(it.into()).unwrap();
        format!("`{it}` {}", class.priority())
    });
    assert!(PAGE.contains(&classes.join(", ")));
    let (ranking, throttle, breaker) =
        (Ranking::default(), Throttle::default(), Breaker::default());
    let said = [
        format!("ttl_s: {}m ", ranking.ttl_s / 60),
        format!("cosine: {} ", ranking.cosine),
        format!("overlap: {} ", ranking.overlap),
        format!("than {} % over five seconds", throttle.high),
        format!("below {} %", throttle.low),
        format!(
            "After {} failures in a row it opens; after {} s",
            breaker.failures, breaker.reset_s
        ),
        format!("Default: {}\n", Limits::default().concurrent),
        format!("kept for {} days after its end", Retain::default().records.unwrap()),
        format!("leaves after {} days", Retain::default().bodies.unwrap()),
    ];
    for said in said {
        assert!(PAGE.contains(&said), "{said}");
    }
}

/// A budget as the table has it.
fn shown(caps: &Caps) -> Vec<String> {
    let units = |it: Option<u64>, unit: u64| it.map(|it| it / unit);
    let amounts = [
        caps.tokens,
        units(caps.micro_usd, 1_000_000),
        units(caps.ms, 1_000),
        caps.model_calls,
        caps.tool_calls,
        caps.documents,
    ];
    amounts.map(|it| it.map_or("–".to_owned(), |it| it.to_string())).into()
}
