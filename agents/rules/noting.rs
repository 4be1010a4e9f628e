//! What agents write down: for the task they share, and for the workspace to remember.

use callboard_config::memory::Slot;
use callboard_trace::memory::{Body, MEMORY, Provenance, Source};
use callboard_trace::{Call, Event};
use serde_json::{Map, Value, json};

use crate::rules::rejected::reject;
use crate::toolbox::{self, Kind};
use crate::{Run, Step, answer};

/// Bytes of one note.
const NOTE_MAX: usize = 64 << 10;
/// Days that an agent's memory lasts at most.
const DAYS: i64 = 90;
const DAY: i64 = 86_400_000_000;

/// Rule: what is written down, remembered or forgotten is so at once.
pub(crate) fn is_done(run: &Run) -> Option<Step> {
    run.calls.iter().find_map(|call| match toolbox::kind(&call.tool)? {
        Kind::Note if call.tool == "note" => Some(note(run, call)),
        Kind::Note => Some(toolbox::todo(call, run.tainted.by())),
        Kind::Remember => Some(remember(run, call)),
        Kind::Forget => Some(forget(call)),
        Kind::HandOff
        | Kind::Delegate
        | Kind::Refuse
        | Kind::AskOwner
        | Kind::Plan
        | Kind::Performed => None,
    })
}

/// Where what the run writes now comes from.
fn provenance(run: &Run, source: Source) -> Option<Box<Provenance>> {
    let (agent, at, taint) = (run.name().to_string(), run.now, run.tainted.by().is_some());
    let (run, step) = (run.id.clone(), run.steps + 1);
    Some(Box::new(Provenance { run, step, agent, at, taint, source }))
}

fn note(run: &Run, call: &Call) -> Step {
    let given = call.arguments.clone().unwrap_or_default();
    let text = |name: &str| given.get(name).and_then(Value::as_str).unwrap_or_default();
    let (slot, key) = (text("slot"), text("key"));
    let writes = run.started.agent.slots.writes();
    let Some(slot) = Slot::parse(slot).filter(|it| writes.contains(it)) else {
        let names: Vec<&str> = writes.iter().map(|it| it.as_str()).collect();
        let names = if names.is_empty() { "none".into() } else { names.join(", ") };
        let error = format!(
            "not_allowed: {} may not write into `{slot}`; it may into: {names}",
            run.name()
        );
        return reject(&call.id, &error);
    };
    let value = match entry(slot, &given) {
        Ok(value) => value,
        Err(problem) => return reject(&call.id, &problem),
    };
    let bytes = value.to_string().len();
    if bytes > NOTE_MAX {
        let error = format!("a note holds at most {NOTE_MAX} bytes, this has {bytes}");
        return reject(&call.id, &error);
    }
    let artifact = answer::artifact_id(&value);
    let noted = Event::Noted {
        slot: slot.as_str().into(),
        key: key.into(),
        value,
        artifact: artifact.clone(),
        confidence: given.get("confidence").and_then(Value::as_f64),
        taint: run.tainted.by().map(str::to_owned),
        provenance: provenance(run, Source::Model),
        tags: Vec::new(),
        expires: None,
    };
    let result = json!({ "noted": true, "artifact": artifact });
    Step::Answer { call: call.id.clone(), ok: true, result, also: vec![noted] }
}

/// The value of an entry of that slot, or what is wrong with it: the field and what it needs.
fn entry(slot: Slot, given: &Value) -> Result<Value, String> {
    let text = given.get("text").and_then(Value::as_str).filter(|it| !it.is_empty());
    let value = given.get("value").filter(|it| !it.is_null());
    let typed = match (slot, text, value) {
        (_, None, None) => return Err("the note is empty: give its `text`, or a `value`".into()),
        (Slot::Findings, Some(text), value) => finding(text, value, given),
        (Slot::Findings, None, Some(value)) if !value.is_object() => {
            return Err("`text` is missing: a finding says something in words".into());
        }
        (_, _, Some(value)) => value.clone(),
        (_, Some(text), None) => return Ok(json!(text)),
    };
    let (schema, is_typed) = (shape(slot), typed.is_object() && slot != Slot::Notes);
    if !is_typed {
        return Ok(typed);
    }
    match (answer::problem(&typed, &schema), text) {
        (Some(problem), _) => Err(problem.replacen("the answer", "the entry", 1)),
        // A finding of nothing but words is kept as its words.
        (None, Some(text)) if typed.as_object().is_some_and(|it| it.len() == 1) => Ok(json!(text)),
        (None, _) => Ok(typed),
    }
}

/// A finding of its parts.
fn finding(text: &str, value: Option<&Value>, given: &Value) -> Value {
    let parts = ["severity", "evidence"].into_iter().filter_map(|name| {
        Some((name.to_string(), given.get(name).filter(|it| !it.is_null())?.clone()))
    });
    let mut fields: Map<String, Value> = parts.collect();
    fields.extend(value.map(|it| ("value".to_string(), it.clone())));
    fields.insert("text".into(), json!(text));
    Value::Object(fields)
}

/// The shape of a typed entry; fields beyond it are kept.
fn shape(slot: Slot) -> Value {
    let text = |most: usize| json!({"type": "string", "maxLength": most});
    match slot {
        Slot::Findings => json!({
            "required": ["text"],
            "properties": {
                "text": {"type": "string", "minLength": 1, "maxLength": 1_000},
                "severity": {"enum": ["info", "low", "medium", "high", "critical"]},
                "evidence": {"type": "array", "items": text(1_000), "maxItems": 10},
            },
        }),
        Slot::Implementation => json!({
            "properties": {
                "path": text(500), "artifact": text(100), "language": text(50),
                "purpose": text(1_000),
                "satisfies": {"type": "array", "items": text(200), "maxItems": 50},
            },
        }),
        Slot::Tests => json!({
            "required": ["result"],
            "properties": {
                "suite": text(200), "case": text(200),
                "result": {"enum": ["pass", "fail", "skip", "error"]},
                "ms": {"type": "number", "minimum": 0},
                "message": text(2_000), "artifact": text(100),
            },
        }),
        Slot::Reviews => json!({
            "required": ["verdict"],
            "properties": {
                "verdict": {"enum": ["approve", "changes", "reject"]},
                "round": {"type": "integer", "minimum": 0},
                "items": {"type": "array", "maxItems": 100},
            },
        }),
        Slot::Notes => json!({}),
    }
}

/// Memory is kept apart, so that it can be erased; it is the workspace's, and no artifact of the task.
fn remember(run: &Run, call: &Call) -> Step {
    let given = call.arguments.clone().unwrap_or_default();
    let text = |name: &str| given.get(name).and_then(Value::as_str).unwrap_or_default().to_string();
    let (key, said) = (text("key"), text("text"));
    if let Some(field) = [("key", &key), ("text", &said)].iter().find(|it| it.1.trim().is_empty()) {
        return reject(&call.id, &format!("`{}` is empty", field.0));
    }
    let listed = given.get("tags").and_then(Value::as_array);
    let tags = listed.into_iter().flatten().filter_map(Value::as_str).map(String::from).collect();
    let days = given.get("expires").and_then(Value::as_i64).unwrap_or(DAYS).clamp(1, DAYS);
    let value = Body { text: said, of: format!("{}/{}", run.id, run.steps + 1) }.value();
    let noted = Event::Noted {
        slot: MEMORY.into(),
        key: key.clone(),
        artifact: answer::artifact_id(&value),
        value,
        confidence: None,
        taint: run.tainted.by().map(str::to_owned),
        provenance: provenance(run, Source::Model),
        tags,
        expires: Some(run.now.saturating_add(days * DAY)),
    };
    let result = json!({ "remembered": key, "days": days });
    Step::Answer { call: call.id.clone(), ok: true, result, also: vec![noted] }
}

fn forget(call: &Call) -> Step {
    let given = call.arguments.clone().unwrap_or_default();
    let key = given.get("key").and_then(Value::as_str).unwrap_or_default().to_string();
    // Only the store knows whether there was anything.
    let result = json!(format!("nothing of yours is remembered under \"{key}\" any more"));
    let also = vec![Event::Forgotten { key }];
    Step::Answer { call: call.id.clone(), ok: true, result, also }
}
