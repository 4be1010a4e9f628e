//! The committed schemas are those of the types, and they accept what the loader accepts.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::place::{Place, Sink};
use crate::testing::{PLAIN, try_load};
use crate::{front_matter, pack, schema, yaml};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// Where editors look for them: the docs, and every team that is copied as a folder.
const FOLDERS: [&str; 4] = [
    "docs/schema",
    "examples/engineering/.callboard",
    "examples/research-desk/.callboard",
    "examples/support-triage/.callboard",
];

/// Set UPDATE_SCHEMA=1 to write the files anew.
#[test]
fn committed_schemas_are_current() {
    let update = crate::environment("UPDATE_SCHEMA").is_some();
    // No team is shipped with prices: who writes some asks `callboard schema prices`.
    for (name, text, folders) in [
        ("team", schema::team(), &FOLDERS[..]),
        ("agent", schema::agent(), &FOLDERS[..]),
        ("prices", schema::prices(), &FOLDERS[..1]),
    ] {
        for folder in folders {
            let path = root().join(folder).join(format!("{name}.schema.json"));
            if update {
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(&path, &text).unwrap();
            }
            let committed = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(committed == text, "{} is old: run with UPDATE_SCHEMA=1", path.display());
        }
    }
}

#[test]
fn the_pack_is_valid_by_its_schemas() {
    let read = |text: String| -> Value { serde_json::from_str(&text).unwrap() };
    let team = jsonschema::validator_for(&read(schema::team())).unwrap();
    let agent = jsonschema::validator_for(&read(schema::agent())).unwrap();
    let sink = Sink::default();
    for (path, text) in pack::engineering() {
        let place = Place::whole(path.as_ref(), true);
        let (validator, node) = match path {
            "team.yaml" => (&team, yaml::parse(text, &place, &sink).unwrap()),
            path if path.ends_with(".md") => {
                (&agent, front_matter::split(text, &place, &sink).unwrap().front)
            }
            _ => continue,
        };
        let errors: Vec<String> =
            validator.iter_errors(&node.json()).map(|it| it.to_string()).collect();
        assert!(errors.is_empty(), "{path}: {errors:?}");
    }
}

/// What the schema says of a text, and what the loader says of it, are one.
#[test]
fn the_schemas_take_what_the_loader_takes() {
    let read = |text: String| -> Value { serde_json::from_str(&text).unwrap() };
    let team = jsonschema::validator_for(&read(schema::team())).unwrap();
    let prices = jsonschema::validator_for(&read(schema::prices())).unwrap();
    let cases = [
        ("team.yaml", "budgets: {run: {tokens: null, minutes: 5}, day: {usd: 0.5}}", true),
        ("team.yaml", "budgets: {root: {seconds: 5m}}", true),
        ("team.yaml", "budgets: {run: {usd: -1}}", false),
        ("team.yaml", "budgets: {run: {tokens: many}}", false),
        ("team.yaml", "budgets: {runs: {}}", false),
        ("team.yaml", "agents: {lead: {budget: {documents: 0}, max_parallel: 2}}", true),
        (
            "team.yaml",
            "resources: {api: {capacity: 20, refill_per_s: 0.5}}\ntools: {\"mcp__*\": api}",
            true,
        ),
        ("team.yaml", "resources: {api: {concurrency: 2, breaker: {reset_s: 5m}}}", true),
        ("team.yaml", "resources: {api: {breaker: {failures: 0}}}", false),
        ("team.yaml", "resources: {api: {capacity: 1, refill_per_s: 0}}", false),
        ("team.yaml", "agents: {lead: {max_parallel: 0}}", false),
        ("team.yaml", "priority: {unblocking: off, synonyms: {memo: article}}", true),
        ("team.yaml", "priority: {cosine: 2}", false),
        ("team.yaml", "route: {mode: team, team: 0.2, fallback: none, judge: formula}", true),
        ("team.yaml", "route: {mode: both}", false),
        ("team.yaml", "throttle: off", true),
        ("team.yaml", "throttle: {high: 90, low: 50, window_s: 10s}", true),
        ("team.yaml", "throttle: {high: 101}", false),
        ("team.yaml", "retain: off", true),
        ("team.yaml", "retain: {records_days: 30, bodies_days: off}", true),
        ("team.yaml", "retain: {records_days: 0}", false),
        ("team.yaml", "retain: {days: 3}", false),
        ("prices.yaml", "{as_of: 2026-01-31, models: {m: {input: 1, output: 2}}}", true),
        ("prices.yaml", "models: {m: {input: 1}}", false),
        ("prices.yaml", "models: {m: {input: 1, output: -2}}", false),
        ("prices.yaml", "modls: {}", false),
    ];
    for (file, text, holds) in cases {
        let validator = if file == "team.yaml" { &team } else { &prices };
        let node = yaml::parse(text, &Place::whole("t".as_ref(), true), &Sink::default());
        assert_eq!(validator.is_valid(&node.unwrap().json()), holds, "{text}");
        let files = [(file, text), ("agents/lead.md", PLAIN)];
        let loaded = try_load(&files);
        assert_eq!(loaded.is_ok(), holds, "{text}: {:?}", loaded.err());
    }
}

#[test]
fn a_misspelt_key_is_refused_by_the_team_schema() {
    let schema: Value = serde_json::from_str(&schema::team()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for text in ["{entri: x}", "{limits: {dept: 3}}", "{providers: {a: {url: x}}}"] {
        let node = yaml::parse(text, &Place::whole("t".as_ref(), true), &Sink::default());
        assert!(!validator.is_valid(&node.unwrap().json()), "{text}");
    }
}
