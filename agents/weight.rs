//! How much work a schema makes: one that is small may be written so that a check never ends.

use std::collections::HashMap;

use serde_json::{Map, Value};

/// Schemas that one value is held against at most, counted with every way that leads to them.
const WEIGHT_MAX: u64 = 10_000;
/// The same for a value with all that is in it.
const WORK_MAX: u64 = 1_000_000;
/// References that lead from one to the next at most.
const CHAIN_MAX: usize = 32;
/// Levels of a value.
const LEVELS_MAX: usize = 64;

/// What keeps a schema from being used, if it makes more work than it may or refers to what is not
/// in it.
pub(crate) fn problem(schema: &Value) -> Option<String> {
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

/// Whether to hold a value against a schema, in which `problem` found none, takes too long.
pub(crate) fn is_endless(schema: &Value, value: &Value) -> bool {
    let mut work = Work { whole: schema, known: HashMap::new() };
    work.of(schema, value, 0) > WORK_MAX
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
        if map.get("$id").or(map.get("id")).is_some_and(Value::is_string)
            && !std::ptr::eq(part, self.whole)
        {
            return Err(ELSEWHERE);
        }
        self.known.insert(part, None);
        let mut weight = 1_u64;
        for one in beside(self.whole, map)? {
            weight = weight.saturating_add(self.weigh(one, chain + 1)?);
        }
        if weight > WEIGHT_MAX {
            return Err("its schema makes more work than it may");
        }
        self.known.insert(part, Some(weight));
        Ok(weight)
    }
}

struct Work<'a> {
    whole: &'a Value,
    /// By the places in memory of a part and a value.
    known: HashMap<(*const Value, *const Value), u64>,
}

impl<'a> Work<'a> {
    /// How many times something is held against something.
    fn of(&mut self, part: &'a Value, value: &'a Value, level: usize) -> u64 {
        let Value::Object(map) = part else { return 1 };
        let key = (std::ptr::from_ref(part), std::ptr::from_ref(value));
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        if level > LEVELS_MAX || self.known.len() as u64 > WORK_MAX {
            return u64::MAX;
        }
        self.known.insert(key, 1);
        let mut work = 1_u64;
        for one in beside(self.whole, map).unwrap_or_default() {
            work = work.saturating_add(self.of(one, value, level));
        }
        for (one, inner) in inwards(map, value) {
            work = work.saturating_add(self.of(one, inner, level + 1));
        }
        self.known.insert(key, work);
        work
    }
}

/// The schemas that whatever is held against this one is held against too.
fn beside<'a>(
    whole: &'a Value,
    map: &'a Map<String, Value>,
) -> Result<Vec<&'a Value>, &'static str> {
    let mut all = Vec::new();
    for (key, value) in map {
        match (key.as_str(), value) {
            ("$ref", Value::String(to)) => all.push(at(whole, to)?),
            ("$dynamicRef" | "$recursiveRef", Value::String(_)) => return Err(ELSEWHERE),
            ("allOf" | "anyOf" | "oneOf", Value::Array(some)) => all.extend(some),
            ("not" | "if" | "then" | "else", one) => all.push(one),
            ("dependentSchemas" | "dependencies", Value::Object(some)) => all.extend(some.values()),
            _ => {}
        }
    }
    Ok(all)
}

/// The schemas that what is in a value is held against, and what that is: rather too many.
fn inwards<'a>(map: &'a Map<String, Value>, value: &'a Value) -> Vec<(&'a Value, &'a Value)> {
    let under = |keys: &[&str]| -> Vec<&'a Value> {
        let found = keys.iter().filter_map(|it| map.get(*it));
        found.flat_map(|it| it.as_array().map_or(std::slice::from_ref(it), Vec::as_slice)).collect()
    };
    let mut all = Vec::new();
    match value {
        Value::Object(fields) => {
            let mut every = under(&["additionalProperties", "unevaluatedProperties"]);
            let patterns = map.get("patternProperties").and_then(Value::as_object);
            every.extend(patterns.into_iter().flat_map(Map::values));
            for (name, inner) in fields {
                let named = map.get("properties").and_then(|it| it.get(name));
                all.extend(named.iter().chain(&every).map(|it| (*it, inner)));
            }
        }
        Value::Array(items) => {
            let keys = ["items", "prefixItems", "additionalItems", "unevaluatedItems", "contains"];
            let every = under(&keys);
            all.extend(items.iter().flat_map(|inner| every.iter().map(move |it| (*it, inner))));
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
    all
}

/// The part that a reference names.
fn at<'a>(whole: &'a Value, to: &str) -> Result<&'a Value, &'static str> {
    let pointer = to.strip_prefix('#').filter(|it| it.is_empty() || it.starts_with('/'));
    pointer.and_then(|it| whole.pointer(&decoded(it))).ok_or(ELSEWHERE)
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
    use serde_json::json;

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

    fn nested(levels: usize) -> Value {
        (0..levels).fold(json!({}), |inner, _| json!({ "a": inner }))
    }

    #[test]
    fn what_grows_with_every_level_of_a_value_is_not_begun() {
        let tree = json!({"properties": {"a": {"$ref": "#"}, "b": {"items": {"$ref": "#"}}}});
        let twice = json!({"properties": {"a": {"allOf": [{"$ref": "#"}, {"$ref": "#"}]}}});
        let kinds: Vec<Value> = (0..20)
            .map(|it| json!({"properties": {"kind": {"const": it}, "a": {"$ref": "#"}}}))
            .collect();
        let kinds = json!({"type": "object", "oneOf": kinds});
        for (schema, levels) in [(&tree, 60), (&twice, 10), (&kinds, 3)] {
            assert_eq!(problem(schema), None, "{schema}");
            assert!(!is_endless(schema, &nested(levels)), "{levels} {schema}");
        }
        for (schema, levels) in [(&tree, 70), (&twice, 40), (&kinds, 40)] {
            assert!(is_endless(schema, &nested(levels)), "{levels} {schema}");
        }
        let wide: Vec<Value> = (0..50_000).map(|it| json!(it)).collect();
        let numbers = json!({"properties": {"a": {"items": {"type": "number", "minimum": 0}}}});
        assert!(!is_endless(&numbers, &json!({ "a": wide })));
    }
}
