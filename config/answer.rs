//! The answer every agent ends with: the base schema, and a role's own fields over it.

use serde_json::{Value as Json, json};

use crate::place::{Place, Sink};
use crate::yaml::{Node, Value};

/// Bytes of a schema.
pub(crate) const BYTES: usize = 256 << 10;
/// Levels of a schema.
pub(crate) const LEVELS: usize = 64;

/// The base schema `answer`: what every agent's final answer holds at least.
pub fn answer_schema() -> Json {
    json!({
        "type": "object",
        "properties": {
            "summary": {
                "type": "string", "minLength": 1, "maxLength": 2000,
                "description": "The conclusion first.",
            },
            "confidence": {"type": "number", "minimum": 0, "maximum": 1},
            "findings": {"type": "array", "items": finding_schema()},
            "artifacts": {
                "type": "array", "items": {"type": "string"},
                "description": "Ids of the artifacts that belong to the answer.",
            },
            "open_questions": {"type": "array", "maxItems": 10, "items": {"type": "string"}},
            "do_next": {
                "type": "string", "maxLength": 500,
                "description": "What should be done next, and by whom.",
            },
        },
        "required": ["summary", "confidence"],
    })
}

fn finding_schema() -> Json {
    json!({
        "type": "object",
        "properties": {
            "key": {"type": "string", "pattern": "^[a-z0-9][a-z0-9_.-]{0,79}$"},
            "text": {"type": "string", "maxLength": 1000},
            "value": {},
            "confidence": {"type": "number", "minimum": 0, "maximum": 1},
            "severity": {"enum": ["info", "low", "medium", "high", "critical"]},
            "evidence": {"type": "array", "maxItems": 10, "items": {"type": "string"}},
        },
        "required": ["key", "text", "confidence"],
    })
}

/// The base schema with the fields of `output` added; problems with `output` leave the base alone.
pub(crate) fn with_output(output: Option<&Node>, sink: &Sink) -> Json {
    let mut schema = answer_schema();
    let Some(node) = output else { return schema };
    if node.text() == Some("answer") {
        return schema;
    }
    let Value::Map(entries) = &node.value else {
        let said = format!("`output` must be a JSON Schema or `answer`, found {}", node.kind());
        sink.push(node.place.error(said, "write `properties:` with the role's own fields"));
        return schema;
    };
    if !is_bounded(node, sink) {
        return schema;
    }
    for (key, value) in entries {
        match key.name.as_str() {
            "type" if value.text() == Some("object") => {}
            "type" => sink.push(value.place.error("`output.type` must be \"object\"", "")),
            "properties" => add_properties(&mut schema, value, sink),
            "required" => add_required(&mut schema, value),
            other => schema[other] = value.json(),
        }
    }
    if let Err(error) = jsonschema::validator_for(&schema) {
        let said = format!("`output` is no JSON Schema: {error} at {}", error.instance_path());
        sink.push(node.place.error(said, ""));
    }
    schema
}

fn is_bounded(node: &Node, sink: &Sink) -> bool {
    if node.depth() > LEVELS {
        let said = format!("`output` is nested deeper than {LEVELS} levels");
        sink.push(node.place.error(said, ""));
        return false;
    }
    let bytes = node.json().to_string().len();
    if bytes > BYTES {
        let said = format!("`output` has {bytes} bytes, more than {BYTES}");
        sink.push(node.place.error(said, ""));
        return false;
    }
    if let Some((place, target)) = outside_reference(node) {
        sink.push(place.error(
            format!("`output` refers to \"{target}\" outside the file"),
            "copy the schema into `$defs` and refer to it as `#/$defs/NAME`",
        ));
        return false;
    }
    true
}

/// The first `$ref` that leaves the document.
fn outside_reference(node: &Node) -> Option<(&Place, &str)> {
    match &node.value {
        Value::List(items) => items.iter().find_map(outside_reference),
        Value::Map(entries) => entries.iter().find_map(|(key, value)| {
            let refers = matches!(key.name.as_str(), "$ref" | "$dynamicRef" | "$recursiveRef");
            match value.text() {
                Some(target) if refers && !target.starts_with('#') => Some((&value.place, target)),
                _ => outside_reference(value),
            }
        }),
        Value::Null | Value::Flag(_) | Value::Whole(_) | Value::Real(_) | Value::Text(_) => None,
    }
}

fn add_properties(schema: &mut Json, node: &Node, sink: &Sink) {
    let Value::Map(entries) = &node.value else {
        let said = format!("`output.properties` must be a map, found {}", node.kind());
        sink.push(node.place.error(said, ""));
        return;
    };
    let Some(properties) = schema.get_mut("properties").and_then(Json::as_object_mut) else {
        return;
    };
    for (key, value) in entries {
        if properties.contains_key(&key.name) {
            sink.push(key.place.error(
                format!("`output.properties.{}` stands in every answer already", key.name),
                "remove it, or give the field another name",
            ));
        } else {
            properties.insert(key.name.clone(), value.json());
        }
    }
}

fn add_required(schema: &mut Json, node: &Node) {
    let (Some(required), Json::Array(more)) =
        (schema.get_mut("required").and_then(Json::as_array_mut), node.json())
    else {
        return schema["required"] = node.json();
    };
    let new: Vec<Json> = more.into_iter().filter(|it| !required.contains(it)).collect();
    required.extend(new);
}
