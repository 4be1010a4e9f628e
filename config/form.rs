//! A schema that somebody outside gives for an answer: bounded, closed in itself, cheap to check by.

use jsonschema::PatternOptions;
use serde_json::Value;

use crate::answer::{BYTES, LEVELS};

/// Parts that a check looks at for one place of an answer, references followed.
const PARTS: usize = 20_000;
/// Bytes that a compiled pattern may take.
const PATTERN_BYTES: usize = 1 << 20;
/// Keywords whose schemas are about the same place of the answer.
const IN_PLACE: [&str; 8] =
    ["allOf", "anyOf", "oneOf", "not", "if", "then", "else", "dependentSchemas"];
/// Keywords whose schemas are about a place inside it.
const INSIDE: [&str; 11] = [
    "properties",
    "patternProperties",
    "additionalProperties",
    "items",
    "prefixItems",
    "additionalItems",
    "contains",
    "propertyNames",
    "unevaluatedItems",
    "unevaluatedProperties",
    "contentSchema",
];
/// Keywords that hold schemas by name.
const MAPS: [&str; 3] = ["properties", "patternProperties", "dependentSchemas"];
/// References other than to a place in the schema itself.
const OTHER_REFERENCES: [&str; 2] = ["$dynamicRef", "$recursiveRef"];

/// What keeps it from being used, with the path inside it.
pub fn problem(schema: &Value) -> Option<String> {
    if !schema.is_object() {
        return Some(
            ": not an object; write a JSON Schema such as {\"type\": \"object\", ..}".into(),
        );
    }
    let bytes = schema.to_string().len();
    if bytes > BYTES {
        return Some(format!(": {bytes} bytes, at most {BYTES}"));
    }
    if levels(schema) > LEVELS {
        return Some(format!(": nested deeper than {LEVELS} levels"));
    }
    if let Some((path, target)) = outside(schema, &mut String::new()) {
        let target: String = target.chars().take(80).collect();
        return Some(format!(
            "{path}: refers to \"{target}\"; copy it into `$defs` and write `#/$defs/NAME`"
        ));
    }
    let mut walk = Walk { root: schema, left: PARTS };
    if let Err(why) = walk.follow(schema, &mut vec![], &mut vec![]) {
        return Some(format!(": {why}"));
    }
    let patterns = PatternOptions::regex().size_limit(PATTERN_BYTES);
    let made = jsonschema::options().with_pattern_options(patterns).build(schema);
    made.err().map(|it| {
        let said: String = it.to_string().chars().take(200).collect();
        format!("{}: {said}", it.instance_path())
    })
}

fn levels(of: &Value) -> usize {
    match of {
        Value::Array(items) => 1 + items.iter().map(levels).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(levels).max().unwrap_or(0),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => 0,
    }
}

/// The first reference that leaves the schema, and where it stands.
fn outside<'a>(of: &'a Value, path: &mut String) -> Option<(String, &'a str)> {
    match of {
        Value::Array(items) => {
            items.iter().enumerate().find_map(|(at, it)| below(path, &at.to_string(), it))
        }
        Value::Object(map) => map.iter().find_map(|(key, it)| {
            let leaves = |to: &&str| match key.as_str() {
                "$ref" => *to != "#" && !to.starts_with("#/"),
                key => OTHER_REFERENCES.contains(&key),
            };
            match it.as_str().filter(leaves) {
                Some(target) => Some((format!("{path}/{key}"), target)),
                None => below(path, key, it),
            }
        }),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    }
}

fn below<'a>(path: &mut String, key: &str, it: &'a Value) -> Option<(String, &'a str)> {
    let length = path.len();
    path.push('/');
    path.push_str(key);
    let found = outside(it, path);
    path.truncate(length);
    found
}

/// Follows a schema as a check does.
struct Walk<'a> {
    root: &'a Value,
    left: usize,
}

impl<'a> Walk<'a> {
    /// `here`: references followed at this place of the answer, `all`: on the way to it.
    fn follow(
        &mut self,
        schema: &'a Value,
        here: &mut Vec<&'a str>,
        all: &mut Vec<&'a str>,
    ) -> Result<(), &'static str> {
        self.left = self.left.checked_sub(1).ok_or("its references multiply without end")?;
        let Value::Object(map) = schema else { return Ok(()) };
        if let Some(to) = map.get("$ref").and_then(Value::as_str) {
            self.refers(to, here, all)?;
        }
        for (key, it) in map {
            if IN_PLACE.contains(&key.as_str()) {
                parts(key, it).into_iter().try_for_each(|it| self.follow(it, here, all))?;
            } else if INSIDE.contains(&key.as_str()) {
                let mut each = parts(key, it).into_iter();
                each.try_for_each(|it| self.follow(it, &mut vec![], all))?;
            }
        }
        Ok(())
    }

    fn refers(
        &mut self,
        to: &'a str,
        here: &mut Vec<&'a str>,
        all: &mut Vec<&'a str>,
    ) -> Result<(), &'static str> {
        if here.contains(&to) {
            return Err("refers to itself at one and the same place");
        }
        let target = self.root.pointer(&to[1..]);
        if all.contains(&to) {
            // A list of lists, a tree: as deep as the answer is.
            return Ok(());
        }
        let Some(target) = target else { return Ok(()) };
        here.push(to);
        all.push(to);
        let followed = self.follow(target, here, all);
        all.pop();
        here.pop();
        followed
    }
}

/// The schemas that a keyword holds: one, a list of them, or a map.
fn parts<'a>(key: &str, of: &'a Value) -> Vec<&'a Value> {
    match of {
        Value::Array(items) => items.iter().collect(),
        Value::Object(map) if MAPS.contains(&key) => map.values().collect(),
        Value::Object(_) | Value::Bool(_) | Value::Null | Value::Number(_) | Value::String(_) => {
            vec![of]
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    #[test]
    fn what_programs_write_is_taken() {
        let all = [
            json!({}),
            json!({"type": "object", "properties": {"properties": {"type": "string"}}}),
            json!({"type": "array", "items": {"$ref": "#"}}),
            json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "string",
                "pattern": "^(a+)+$"}),
            json!({"$defs": {"tree": {"type": "object", "properties": {
                "left": {"$ref": "#/$defs/tree"}, "right": {"$ref": "#/$defs/tree"}}}},
                "$ref": "#/$defs/tree"}),
            json!({"anyOf": [{"type": "null"}, {"type": "array", "items": {"$ref": "#"}}]}),
        ];
        for schema in all {
            assert_eq!(problem(&schema), None, "{schema}");
        }
    }

    #[test]
    fn what_is_hostile_is_refused_with_its_path() {
        let deep = (0..70).fold(json!({}), |it, _| json!({"not": it}));
        let large = json!({"description": "x".repeat(300 << 10)});
        let doubles: Map<String, Value> = (1..60)
            .map(|it| {
                let to = json!({"$ref": format!("#/$defs/d{}", it - 1)});
                (format!("d{it}"), json!({"allOf": [to, to]}))
            })
            .chain([("d0".to_owned(), json!({"type": "string"}))])
            .collect();
        let inside = |it: Value| json!({"type": "object", "properties": {"a": it}});
        let all = [
            (json!([]), ": not an object"),
            (deep, ": nested deeper than 64 levels"),
            (large, ": 307218 bytes, at most 262144"),
            (inside(json!({"$ref": "http://10.0.0.1/s"})), "/properties/a/$ref: refers to"),
            (inside(json!({"$ref": "file:///etc/passwd"})), "/properties/a/$ref: refers to"),
            (inside(json!({"$dynamicRef": "#x"})), "/properties/a/$dynamicRef: refers to"),
            (json!({"$ref": "#"}), ": refers to itself"),
            (json!({"allOf": [{"$ref": "#/allOf/0"}]}), ": refers to itself"),
            (json!({"$ref": "#/$defs/d59", "$defs": doubles}), ": its references multiply"),
            (inside(json!({"pattern": "(a)\\1"})), "/properties/a/pattern: "),
            (inside(json!({"pattern": "(?:a{1000}){1000}"})), "/properties/a/pattern: "),
            (inside(json!({"type": "strnig"})), "/properties/a/type: "),
            (json!({"$ref": "#/$defs/none"}), ": "),
        ];
        for (schema, start) in all {
            let found = problem(&schema).unwrap_or_default();
            assert!(found.starts_with(start), "{start}: {found}");
        }
    }
}
