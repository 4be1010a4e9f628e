//! `limits:` as it is written: numbers over the defaults, large ones only on purpose.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde_json::{Map, Value, json};

use crate::fields::Fields;
use crate::limits::Limits;
use crate::place::Sink;
use crate::units::Unit;
use crate::yaml::Node;

/// A value this many times its default must be meant.
const MOST: u64 = 10;

/// Bounds under which nothing can be served.
const LEAST: [(&str, u64); 17] = [
    ("concurrent", 1),
    ("deadline_s", 1),
    ("turns", 1),
    ("line_bytes", 1_024),
    ("json_depth", 8),
    ("in_flight", 1),
    ("in_flight_all", 2),
    ("connections", 1),
    ("streams", 2),
    ("sessions", 2),
    ("head_s", 1),
    ("body_s", 1),
    ("program_memory_mib", 64),
    ("program_file_mib", 1),
    ("program_files", 64),
    ("program_processes", 16),
    ("tool_timeout_s", 1),
];

/// No bound is larger than what every field can count.
const COUNTED: u64 = u32::MAX as u64;

/// The form of `limits:` for the schema: every limit, and `raise`.
pub(crate) struct WrittenLimits;

/// Reads the limits over their defaults. Where zero is allowed it means never.
pub(crate) fn read(node: &Node, sink: &Sink) -> Limits {
    let fields = Fields::open(node, "limits", sink);
    let raise = fields.flag("raise").unwrap_or(false);
    let mut limits = defaults();
    for (key, value) in &mut limits {
        let default = value.as_u64().unwrap_or_default();
        let Some(node) = fields.node(key) else { continue };
        let least = LEAST.iter().find(|it| it.0 == key).map_or(0, |it| it.1);
        let range = least..=COUNTED;
        let Some(wanted) = fields.whole_of(node, key, unit(key), range) else { continue };
        if wanted.value > default * MOST && !raise {
            fields.wrong(
                node,
                key,
                &format!("is {}, more than {MOST} times its default {default}", wanted.value),
                "write `raise: true` in `limits` if it is meant",
            );
        }
        *value = wanted.value.into();
    }
    fields.close();
    serde_json::from_value(Value::Object(limits)).unwrap_or_else(|error| {
        let said = format!("`limits` holds a number that cannot be counted: {error}");
        sink.push(node.place.error(said, ""));
        Limits::default()
    })
}

fn defaults() -> Map<String, Value> {
    match serde_json::to_value(Limits::default()) {
        Ok(Value::Object(map)) => map,
        Ok(_) | Err(_) => Map::new(),
    }
}

fn unit(key: &str) -> Unit {
    if key.ends_with("_s") {
        Unit::Seconds
    } else if key.ends_with("_bytes") {
        Unit::Bytes
    } else {
        Unit::Count
    }
}

impl JsonSchema for WrittenLimits {
    fn schema_name() -> Cow<'static, str> {
        "Limits".into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = Limits::json_schema(generator);
        let Some(Value::Object(properties)) = schema.get_mut("properties") else { return schema };
        for (key, form) in properties.iter_mut() {
            let pattern = match unit(key) {
                Unit::Count => None,
                Unit::Seconds => Some("^[0-9]+ *[smhd]?$"),
                Unit::Bytes => Some("^[0-9]+ *([KMG]iB|[KkM]?B)?$"),
            };
            if let (Some(pattern), Some(form)) = (pattern, form.as_object_mut()) {
                form.remove("format");
                form.insert("type".into(), json!(["integer", "string"]));
                form.insert("pattern".into(), pattern.into());
            }
        }
        properties.insert(
            "raise".into(),
            json!({
                "description": "Says that values above ten times their default are meant.",
                "type": "boolean",
                "default": false,
            }),
        );
        schema
    }
}
