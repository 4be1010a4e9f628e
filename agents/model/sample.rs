//! The smallest value that a JSON Schema takes, for answers that nobody thought about.

use serde_json::{Map, Value, json};

/// Schemas nested deeper than this are answered with null.
const DEPTH: usize = 32;

/// Texts tried where a schema asks for a pattern.
const TRIES: &[&str] =
    &["item", "a", "A", "0", "1", "a1", "A1", "item_1", "item-1", "1.0.0", "a/b", "2026-01-01"];

/// A value for the schema; its texts begin with `voice` where they are free to.
pub(crate) fn sample(schema: &Value, voice: &str) -> Value {
    Sampler { root: schema, voice }.value(schema, "", 0)
}

struct Sampler<'a> {
    root: &'a Value,
    voice: &'a str,
}

impl Sampler<'_> {
    fn value(&self, schema: &Value, name: &str, depth: usize) -> Value {
        if depth > DEPTH {
            return Value::Null;
        }
        let listed = schema.pointer("/enum/0").or_else(|| schema.get("const"));
        if let Some(given) = listed.or_else(|| schema.get("default")) {
            return given.clone();
        }
        if let Some(at) = schema.get("$ref").and_then(Value::as_str) {
            let target = at.strip_prefix('#').and_then(|it| self.root.pointer(it));
            return target.map_or(Value::Null, |it| self.value(it, name, depth + 1));
        }
        let either = ["anyOf", "oneOf"].iter().find_map(|it| schema.get(it)?.get(0));
        if let Some(first) = either {
            return self.value(first, name, depth + 1);
        }
        match kind(schema) {
            "object" => self.object(schema, depth),
            "array" => self.list(schema, name, depth),
            "string" => Value::String(self.text(schema, name)),
            "integer" => json!(least(schema).ceil() as i64),
            "number" => json!(if name == "confidence" { 0.8 } else { least(schema) }),
            "boolean" => Value::Bool(false),
            _ => Value::Null,
        }
    }

    fn object(&self, schema: &Value, depth: usize) -> Value {
        let mut fields = Map::new();
        let parts = schema.get("allOf").and_then(Value::as_array).into_iter().flatten();
        for part in parts {
            if let Value::Object(more) = self.value(part, "", depth + 1) {
                fields.extend(more);
            }
        }
        let required = schema.get("required").and_then(Value::as_array).into_iter().flatten();
        for name in required.filter_map(Value::as_str) {
            let of = schema.get("properties").and_then(|it| it.get(name)).unwrap_or(&Value::Null);
            fields.insert(name.to_owned(), self.value(of, name, depth + 1));
        }
        Value::Object(fields)
    }

    fn list(&self, schema: &Value, name: &str, depth: usize) -> Value {
        let least = schema.get("minItems").and_then(Value::as_u64).unwrap_or(0).min(100);
        let of = schema.get("items").unwrap_or(&Value::Null);
        (0..least).map(|_| self.value(of, name, depth + 1)).collect()
    }

    fn text(&self, schema: &Value, name: &str) -> String {
        if schema.get("pattern").is_some() {
            let ready = crate::schema::ready(schema).ok();
            let fits = |it: &&&str| ready.as_ref().is_some_and(|ready| ready.is_valid(&json!(it)));
            return TRIES.iter().find(fits).unwrap_or(&"item").to_string();
        }
        let format = schema.get("format").and_then(Value::as_str).and_then(example);
        let bound = |key: &str| schema.get(key).and_then(Value::as_u64).map(|it| it as usize);
        let mut text = format.map_or_else(|| self.spoken(name), str::to_owned);
        let least = bound("minLength").unwrap_or(0).min(10_000);
        text.extend(std::iter::repeat_n('.', least.saturating_sub(text.chars().count())));
        bound("maxLength").map_or(text.clone(), |most| text.chars().take(most).collect())
    }

    fn spoken(&self, name: &str) -> String {
        match name {
            "summary" | "" => self.voice.to_owned(),
            name => format!("{}: {}", self.voice, name.replace('_', " ")),
        }
    }
}

/// The first type that is not null; an object where only its properties are told.
fn kind(schema: &Value) -> &str {
    let one = |it: &'_ Value| it.as_str().is_some_and(|it| it != "null");
    let named = match schema.get("type") {
        Some(Value::Array(many)) => many.iter().find(|it| one(it)),
        single => single,
    };
    let told = named.and_then(Value::as_str);
    let is_object = ["properties", "required", "allOf"].iter().any(|it| schema.get(it).is_some());
    match told {
        Some(it) => it,
        None if is_object => "object",
        None if schema.get("items").is_some() => "array",
        None => "string",
    }
}

fn least(schema: &Value) -> f64 {
    let bound = |key: &str| schema.get(key).and_then(Value::as_f64);
    let above = bound("exclusiveMinimum").map(|it| it + 1.0);
    let below = bound("maximum").filter(|it| *it < 0.0);
    bound("minimum").or(above).or(below).unwrap_or(0.0)
}

fn example(format: &str) -> Option<&'static str> {
    Some(match format {
        "date-time" => "2026-01-01T00:00:00Z",
        "date" => "2026-01-01",
        "time" => "00:00:00Z",
        "uri" | "url" | "iri" => "https://example.org/",
        "email" => "rehearsal@example.org",
        "uuid" => "00000000-0000-4000-8000-000000000000",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sample_meets_its_schema() {
        let schemas = [
            json!({"type": "object", "required": ["summary", "confidence", "findings"], "properties": {
                "summary": {"type": "string", "minLength": 1, "maxLength": 2000},
                "confidence": {"type": "number", "minimum": 0, "maximum": 1},
                "findings": {"type": "array", "minItems": 2, "items": {"$ref": "#/$defs/finding"}}},
                "$defs": {"finding": {"type": "object", 
                    "required": ["key", "severity", "text"], "properties": {
                    "key": {"type": "string", "pattern": "^[a-z][a-z0-9_-]*$"},
                    "severity": {"enum": ["info", "low"]},
                    "text": {"type": "string", "minLength": 40}}}}}),
            json!({"type": ["null", "string"], "maxLength": 3}),
            json!({"anyOf": [{"type": "integer", "exclusiveMinimum": 3}, {"type": "null"}]}),
            json!({"required": ["at", "id"], "properties": {
                "at": {"type": "string", "format": "date-time"}, "id": {"const": 7}}}),
            json!({"allOf": [{"required": ["a"], "properties": {"a": {"type": "boolean"}}}],
                "required": ["b"], "properties": {"b": {"type": "number", "maximum": -2}}}),
            json!({"type": "string", "pattern": "^\\d+\\.\\d+\\.\\d+$"}),
            json!({}),
            json!(true),
        ];
        for schema in schemas {
            let value = sample(&schema, "[rehearsal] words");
            assert!(jsonschema::is_valid(&schema, &value), "{schema} against {value}");
        }
    }

    #[test]
    fn a_schema_that_holds_itself_ends() {
        let schema = json!({"required": ["next"], "properties": {"next": {"$ref": "#"}}});
        let text = sample(&schema, "x").to_string();
        assert!(text.contains("null"), "{text}");
    }
}
