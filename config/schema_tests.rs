//! The committed schemas are those of the types, and they accept what the loader accepts.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::place::{Place, Sink};
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
    for (name, text) in [("team", schema::team()), ("agent", schema::agent())] {
        for folder in FOLDERS {
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

#[test]
fn a_misspelt_key_is_refused_by_the_team_schema() {
    let schema: Value = serde_json::from_str(&schema::team()).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    for text in ["{entri: x}", "{limits: {dept: 3}}", "{providers: {a: {url: x}}}"] {
        let node = yaml::parse(text, &Place::whole("t".as_ref(), true), &Sink::default());
        assert!(!validator.is_valid(&node.unwrap().json()), "{text}");
    }
}
