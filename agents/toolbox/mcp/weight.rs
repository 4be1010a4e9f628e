//! How much work a schema makes: one that is small may be written so that a check never ends.

use std::collections::HashMap;

use serde_json::Value;

/// Schemas that one value is held against at most, counted with every way that leads to them.
const WEIGHT_MAX: u64 = 10_000;
/// References that lead from one to the next at most.
const CHAIN_MAX: usize = 100;

/// What keeps a schema from being used, if it makes more work than it may or refers to what is not
/// in it.
pub(super) fn problem(schema: &Value) -> Option<String> {
    let mut scales = Scales { whole: schema, known: HashMap::new() };
    let mut parts = vec![schema];
    while let Some(part) = parts.pop() {
        if let Err(why) = scales.weigh(part, 0) {
            return Some(why.to_owned());
        }
        match part {
            Value::Object(map) => parts.extend(map.values()),
            Value::Array(items) => parts.extend(items),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    None
}

struct Scales<'a> {
    whole: &'a Value,
    /// By the place in memory of a part; none while it is weighed.
    known: HashMap<*const Value, Option<u64>>,
}

impl<'a> Scales<'a> {
    /// How many schemas a value is held against that is held against this one.
    fn weigh(&mut self, part: &'a Value, chain: usize) -> Result<u64, &'static str> {
        let Value::Object(map) = part else { return Ok(1) };
        match self.known.get(&std::ptr::from_ref(part)) {
            Some(Some(weight)) => return Ok(*weight),
            Some(None) => return Err("its schema refers to itself without a step inwards"),
            None if chain > CHAIN_MAX => return Err("its schema refers on and on"),
            None => {}
        }
        self.known.insert(part, None);
        let mut weight = 1_u64;
        for (key, value) in map {
            let under: Vec<&Value> = match (key.as_str(), value) {
                ("$ref", Value::String(to)) => vec![self.at(to)?],
                ("$dynamicRef" | "$recursiveRef", Value::String(_)) => return Err(ELSEWHERE),
                ("$id" | "id", Value::String(_)) if !std::ptr::eq(part, self.whole) => {
                    return Err(ELSEWHERE);
                }
                ("allOf" | "anyOf" | "oneOf", Value::Array(all)) => all.iter().collect(),
                ("not" | "if" | "then" | "else", one) => vec![one],
                ("dependentSchemas" | "dependencies", Value::Object(all)) => all.values().collect(),
                _ => vec![],
            };
            for one in under {
                weight = weight.saturating_add(self.weigh(one, chain + 1)?);
            }
        }
        if weight > WEIGHT_MAX {
            return Err("its schema makes more work than it may");
        }
        self.known.insert(part, Some(weight));
        Ok(weight)
    }

    /// The part that a reference names.
    fn at(&self, to: &str) -> Result<&'a Value, &'static str> {
        let pointer = to.strip_prefix('#').filter(|it| it.is_empty() || it.starts_with('/'));
        let found = pointer.and_then(|it| self.whole.pointer(&decoded(it)));
        found.ok_or(ELSEWHERE)
    }
}

const ELSEWHERE: &str = "its schema refers to what is not in it";

/// A pointer in an address may have its letters in hex.
fn decoded(pointer: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = pointer.as_bytes();
    while let [first, tail @ ..] = rest {
        let hex = tail.get(..2).and_then(|it| std::str::from_utf8(it).ok());
        match hex.and_then(|it| u8::from_str_radix(it, 16).ok()).filter(|_| *first == b'%') {
            Some(byte) => (bytes.push(byte), rest = &tail[2..]).1,
            None => (bytes.push(*first), rest = tail).1,
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, json};

    use super::*;

    /// Each of so many definitions leads twice to the next.
    fn bomb(levels: usize) -> Value {
        let name = |it: usize| json!({"$ref": format!("#/$defs/d{it}")});
        let mut defs: Map<String, Value> = (0..levels)
            .map(|it| (format!("d{it}"), json!({"allOf": [name(it + 1), name(it + 1)]})))
            .collect();
        defs.insert(format!("d{levels}"), json!({"type": "object"}));
        json!({"type": "object", "properties": {"a": name(0)}, "$defs": defs})
    }

    #[test]
    fn a_schema_may_be_a_tree_and_refer_to_its_parts() {
        for fine in [
            json!({}),
            json!({"type": "object", "properties": {"a": {"$ref": "#"}, "b": {"type": "array",
                "items": {"$ref": "#"}}}}),
            json!({"$id": "https://example.org/a", "$ref": "#/$defs/a~1b%20c",
                "$defs": {"a/b c": {"anyOf": [{"type": "string"}, {"not": {"const": 1}}]}}}),
            json!({"properties": {"$ref": {"type": "string"}, "$id": {"type": "string"}}}),
            bomb(5),
        ] {
            assert_eq!(problem(&fine), None, "{fine}");
        }
    }

    #[test]
    fn a_schema_that_makes_endless_work_or_leads_elsewhere_is_refused() {
        let long: Map<String, Value> = (0..5_000)
            .map(|it| (format!("d{it}"), json!({"$ref": format!("#/$defs/d{}", it + 1)})))
            .collect();
        for (bad, why) in [
            (bomb(40), "more work"),
            (json!({"$ref": "#"}), "refers to itself"),
            (json!({"properties": {"a": {"allOf": [{"$ref": "#/properties/a"}]}}}), "to itself"),
            (json!({"$ref": "#/$defs/d0", "$defs": long}), "on and on"),
            (json!({"properties": {"a": {"$ref": "http://127.0.0.1:9/a.json"}}}), "not in it"),
            (json!({"$ref": "file:///etc/passwd"}), "not in it"),
            (json!({"$ref": "#/nowhere"}), "not in it"),
            (json!({"$ref": "#name", "$defs": {"a": {"$anchor": "name"}}}), "not in it"),
            (json!({"$defs": {"a": {"$id": "b", "$ref": "#"}}}), "not in it"),
        ] {
            let told = problem(&bad).unwrap_or_default();
            assert!(told.contains(why), "{told}: {:.200}", bad.to_string());
        }
    }
}
