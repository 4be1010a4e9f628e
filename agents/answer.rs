//! The answer of an agent: found in what the model wrote, and held against its schema.

use callboard_trace::memory::is_memory;
use callboard_trace::{ArtifactRef, Event};
use jsonschema::error::ValidationErrorKind;
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// Longest summary, in characters.
const SUMMARY_MAX: usize = 2_000;
/// Levels of an answer: deeper ones could not be read back from the records that hold them.
const LEVELS_MAX: usize = 64;
/// Confidence of an answer that gives none.
const CONFIDENCE: f64 = 0.5;

/// Reads the answer object out of a reply's text. Plain text becomes the summary of one;
/// `None` if there is no text at all.
pub(crate) fn read(text: &str) -> Option<Value> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let mut answer = object_in(text).unwrap_or_else(|| plain(text));
    let fields = answer.as_object_mut()?;
    if !fields.contains_key("confidence") {
        fields.insert("confidence".into(), json!(CONFIDENCE));
    }
    Some(answer)
}

/// Reads an answer of a caller's own schema: the first JSON value, or the text where there is none.
/// Where a text is what is asked for, it need not be JSON.
pub(crate) fn shaped(text: &str, schema: &Value) -> Option<Value> {
    let text = text.trim();
    if text.is_empty() {
        return None;
    }
    let from = text.find(['{', '[']).map(|at| &text[at..]);
    let whole = serde_json::from_str(text).ok();
    let inside = || {
        let mut values = serde_json::Deserializer::from_str(from?).into_iter::<Value>();
        values.next()?.ok()
    };
    let value: Option<Value> = whole.or_else(inside).filter(is_kept);
    let is_wrong = |it: &Value| problem(it, schema).is_some();
    let as_text = json!(text);
    let is_text = schema["type"] == "string" || !is_wrong(&as_text);
    Some(match value {
        Some(value) if value.is_string() || !is_text || !is_wrong(&value) => value,
        None if !is_text => plain(text),
        Some(_) | None => as_text,
    })
}

/// Whether a text holds an answer object from its first brace to its last.
pub(crate) fn is_whole(text: &str) -> bool {
    object_in(text.trim()).is_some()
}

/// What keeps an answer from meeting its schema: the first problem with its path.
pub(crate) fn problem(answer: &Value, schema: &Value) -> Option<String> {
    let validator = match crate::schema::ready(schema) {
        Ok(validator) => validator,
        Err(error) => return Some(format!("the agent's output schema is unusable: {error}")),
    };
    let error = validator.iter_errors(answer).next()?;
    let path = error.instance_path().to_string();
    let place = if path.is_empty() { "the answer".to_string() } else { format!("`{path}`") };
    let mut said = error.to_string();
    if let ValidationErrorKind::Enum { options } = error.kind() {
        // The library names three of the choices: whoever is to mend it needs them all.
        said = format!("{} is none of {options}", error.instance());
    }
    Some(format!("{place}: {}", crate::words::cut(&said, 300)))
}

/// A note, which may be made of content of others, and what it is called by from then on.
pub fn noted(slot: &str, key: &str, value: Value, taint: Option<String>) -> (Event, ArtifactRef) {
    let id = artifact_id(&value);
    let artifact = artifact(slot, key, &value, &id);
    let (slot, key) = (slot.to_string(), key.to_string());
    let noted = Event::Noted {
        slot,
        key,
        value,
        artifact: id,
        confidence: None,
        taint,
        provenance: None,
        tags: Vec::new(),
        expires: None,
    };
    (noted, artifact)
}

/// What a note is called by; `None` for any other record, for a list of what is to be done, and for
/// what is kept in memory.
pub fn artifact_of(event: &Event) -> Option<ArtifactRef> {
    let Event::Noted { slot, key, value, artifact: id, .. } = event else { return None };
    (slot != Event::TODO && !is_memory(slot)).then(|| artifact(slot, key, value, id))
}

fn artifact(slot: &str, key: &str, value: &Value, id: &str) -> ArtifactRef {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_string);
    ArtifactRef {
        id: id.to_string(),
        why: String::new(),
        name: format!("{slot}/{key}"),
        bytes: text.len(),
        head: crate::words::cut(&text, 400),
    }
}

/// `a_` and 26 letters of the value's hash.
pub(crate) fn artifact_id(value: &Value) -> String {
    let hash = Sha256::digest(value.to_string().as_bytes());
    let bits = hash.iter().take(16).fold(0u128, |bits, byte| (bits << 8) | u128::from(*byte));
    callboard_trace::spell("a_", bits)
}

fn plain(text: &str) -> Value {
    let mut fields = Map::new();
    fields.insert("summary".into(), json!(crate::words::cut(text, SUMMARY_MAX - 1)));
    Value::Object(fields)
}

/// The first JSON object that has a `summary`: the whole text, or a fenced block, or from the
/// first brace on.
fn object_in(text: &str) -> Option<Value> {
    let from_brace = text.find('{').map(|at| &text[at..]);
    [Some(text), from_brace].into_iter().flatten().find_map(|it| {
        let mut values = serde_json::Deserializer::from_str(it).into_iter::<Value>();
        let value = values.next()?.ok()?;
        let is_answer = value.get("summary").is_some_and(Value::is_string);
        (is_answer && is_kept(&value)).then_some(value)
    })
}

/// Whether a value can be read back from the records that hold it.
pub(crate) fn is_kept(value: &Value) -> bool {
    is_shallow(value, LEVELS_MAX)
}

fn is_shallow(value: &Value, levels: usize) -> bool {
    match value {
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => true,
        Value::Array(items) => levels > 0 && items.iter().all(|it| is_shallow(it, levels - 1)),
        Value::Object(map) => levels > 0 && map.values().all(|it| is_shallow(it, levels - 1)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_found_in_whatever_surrounds_it() {
        for text in [
            r#"{"summary":"done","confidence":0.9}"#,
            "Here it is:\n```json\n{\"summary\":\"done\",\"confidence\":0.9}\n```\nBye.",
            "  {\"summary\":\"done\",\"confidence\":0.9} and more",
        ] {
            assert_eq!(read(text).unwrap()["summary"], "done", "{text}");
            assert_eq!(read(text).unwrap()["confidence"], 0.9, "{text}");
        }
        assert_eq!(
            read("just { text").unwrap(),
            json!({"summary": "just { text", "confidence": 0.5})
        );
        assert_eq!(read(" \n"), None);
    }

    #[test]
    fn an_answer_of_a_callers_schema_is_any_value() {
        for (text, value) in [
            (r#"{"city": "Bern"}"#, json!({"city": "Bern"})),
            ("Here:\n```json\n[1, 2]\n```", json!([1, 2])),
            ("7", json!(7)),
            ("It is {not JSON}", json!({"summary": "It is {not JSON}"})),
        ] {
            assert_eq!(shaped(text, &json!({"type": ["object", "array", "number"]})), Some(value));
        }
        assert_eq!(shaped(" ", &json!({})), None);
        let text = json!({"type": "string", "maxLength": 20});
        for (said, value) in [
            ("hello", json!("hello")),
            ("\"hello\"", json!("hello")),
            ("7", json!("7")),
            ("see {\"a\": 1}", json!("see {\"a\": 1}")),
            ("longer than the schema has it", json!("longer than the schema has it")),
        ] {
            assert_eq!(shaped(said, &text), Some(value), "{said}");
        }
        let one_of = json!({"enum": ["yes", "no", 7]});
        assert_eq!(shaped("yes", &one_of), Some(json!("yes")));
        assert_eq!(shaped("7", &one_of), Some(json!(7)));
        assert_eq!(shaped("12", &json!({"type": "integer"})), Some(json!(12)));
    }

    #[test]
    fn a_problem_names_its_path() {
        let schema = json!({"type": "object", "required": ["summary", "verdict"],
            "properties": {"verdict": {"enum": ["approve", "reject"]}}});
        assert_eq!(problem(&json!({"summary": "s", "verdict": "approve"}), &schema), None);
        let wrong = problem(&json!({"summary": "s", "verdict": "maybe"}), &schema).unwrap();
        assert!(wrong.starts_with("`/verdict`"), "{wrong}");
        let absent = problem(&json!({"summary": "s"}), &schema).unwrap();
        assert!(absent.contains("verdict"), "{absent}");
    }
}
