//! Checks that need no model: what is wrong with content, and the content without it. Pure.

mod cases;
mod patterns;
mod personal;

use std::ops::Range;

use callboard_config::guards::Kind;
use callboard_trace::secrets;
use serde_json::{Value, json};

use crate::answer;

pub(crate) use cases::{cases, failing};

/// Reasons told of one check; the rest is counted.
const REASONS: usize = 10;
/// What stands in the place of what was taken out.
const REDACTED: &str = "[redacted]";

/// Why content does not pass; none = it does. `failing` are the tests that the run knows to fail.
/// What a model or a person has to say is not asked here.
pub(crate) fn faults(kind: &Kind, content: &Value, failing: &[String]) -> Vec<String> {
    let mut reasons = match kind {
        Kind::Size { min, max } => size(content, *min, *max),
        Kind::Pattern { allow, .. } => {
            let lacks = !allow.is_empty() && !is_allowed(allow, content);
            let lacking = format!("it has none of the forms asked for: {}", allow.join(", "));
            lacks.then_some(lacking).into_iter().chain(offences(kind, content)).collect()
        }
        Kind::Banned { .. } | Kind::Secrets | Kind::Personal { .. } => offences(kind, content),
        Kind::Schema { schema } => answer::problem(content, schema).into_iter().collect(),
        Kind::Required { paths } => {
            let absent = paths.iter().filter(|it| is_empty(content.pointer(it)));
            absent.map(|it| format!("`{it}` is not there")).collect()
        }
        Kind::Evidence => {
            bare_findings(content).iter().map(|it| format!("{it} names no evidence")).collect()
        }
        Kind::TestsPass => failing.to_vec(),
        Kind::Judge { .. } | Kind::Approval => Vec::new(),
    };
    reasons.dedup();
    let spare = reasons.len().saturating_sub(REASONS);
    reasons.truncate(REASONS);
    reasons.extend((spare > 0).then(|| format!("and {spare} more")));
    reasons
}

/// The content without the parts that offend, and where they stood.
pub(crate) fn without(kind: &Kind, content: &Value) -> (Value, Vec<String>) {
    let mut paths = Vec::new();
    let value = walk(content, &mut String::new(), &mut |path, text| {
        let cut = cut(kind, text)?;
        paths.push(if path.is_empty() { "/".to_owned() } else { path.to_owned() });
        Some(cut)
    });
    (value, paths)
}

/// What may be shown of an answer that did not pass, and what was withheld. A part that can be named
/// is taken out; an answer that lacks something stays as it is; of any other nothing is shown.
pub(crate) fn presentable(kind: &Kind, content: &Value) -> (Option<Value>, String) {
    match kind {
        Kind::Pattern { allow, .. } if !allow.is_empty() => (None, "the answer".into()),
        Kind::Pattern { .. } | Kind::Banned { .. } | Kind::Secrets | Kind::Personal { .. } => {
            let (value, paths) = without(kind, content);
            (Some(value), paths.join(", "))
        }
        Kind::Evidence => {
            let mut value = content.clone();
            if let Some(findings) = value.get_mut("findings").and_then(Value::as_array_mut) {
                findings.retain(has_evidence);
            }
            (Some(value), bare_findings(content).join(", "))
        }
        Kind::Required { .. } | Kind::TestsPass => (Some(content.clone()), String::new()),
        Kind::Size { .. } | Kind::Schema { .. } | Kind::Judge { .. } | Kind::Approval => {
            (None, "the answer".into())
        }
    }
}

/// The answer object in the place of one that is withheld.
pub(crate) fn withheld(why: &str) -> Value {
    json!({"summary": format!("withheld: {why}"), "confidence": 0.0})
}

/// Whether a known secret stood there, or something that looks like one.
pub(crate) fn tells_secrets(content: &Value) -> bool {
    texts(content).iter().any(|it| it.contains(secrets::INSTEAD) || secrets::is_told(it))
}

fn size(content: &Value, min: Option<u64>, max: Option<u64>) -> Vec<String> {
    let letters: u64 = texts(content).iter().map(|it| it.chars().count() as u64).sum();
    match (min, max) {
        (Some(min), _) if letters < min => vec![format!("{letters} letters, at least {min}")],
        (_, Some(max)) if letters > max => vec![format!("{letters} letters, at most {max}")],
        _ => Vec::new(),
    }
}

fn is_allowed(allow: &[String], content: &Value) -> bool {
    let whole = content.as_str().map_or_else(|| content.to_string(), str::to_owned);
    allow.iter().filter_map(|it| patterns::ready(it)).any(|it| it.is_match(&whole))
}

/// What each text of it holds that offends.
fn offences(kind: &Kind, content: &Value) -> Vec<String> {
    let mut all: Vec<String> =
        texts(content).iter().flat_map(|it| parts(kind, it)).map(|it| it.1).collect();
    all.sort();
    all
}

/// The parts of a text that offend, in their order, with what they are; never the text itself.
fn parts(kind: &Kind, text: &str) -> Vec<(Range<usize>, String)> {
    let by = |pattern: &str, said: &str| {
        let ready = patterns::ready(pattern);
        let finds = ready.iter().flat_map(|it| it.find_iter(text).map(|it| it.range()));
        finds.filter(|it| !it.is_empty()).map(|it| (it, said.to_owned())).collect::<Vec<_>>()
    };
    match kind {
        Kind::Pattern { deny, .. } => {
            deny.iter().flat_map(|it| by(it, &format!("it matches `{it}`"))).collect()
        }
        Kind::Banned { words } => {
            by(&patterns::of_words(words), "it holds a word that may not stand there")
        }
        Kind::Secrets => text
            .match_indices(secrets::INSTEAD)
            .map(|(at, it)| (at..at + it.len(), "it held a secret, which was taken out".to_owned()))
            .collect(),
        Kind::Personal { data } => {
            let found = personal::found(text, data).into_iter();
            found.map(|(at, name)| (at, format!("it holds {name}"))).collect()
        }
        Kind::Size { .. }
        | Kind::Schema { .. }
        | Kind::Required { .. }
        | Kind::Evidence
        | Kind::TestsPass
        | Kind::Judge { .. }
        | Kind::Approval => Vec::new(),
    }
}

/// The text with every part that offends replaced; `None` if there is none.
fn cut(kind: &Kind, text: &str) -> Option<String> {
    let mut parts = parts(kind, text);
    if parts.is_empty() {
        return None;
    }
    parts.sort_by_key(|it| it.0.start);
    let instead = if *kind == Kind::Secrets { secrets::INSTEAD } else { REDACTED };
    let (mut cut, mut at) = (String::new(), 0);
    for (part, _) in parts {
        if part.start >= at {
            cut.push_str(&text[at..part.start]);
            cut.push_str(instead);
        }
        at = at.max(part.end);
    }
    cut.push_str(&text[at..]);
    Some(cut)
}

/// The value with its texts changed; `change` is told the path of each.
fn walk(
    value: &Value,
    path: &mut String,
    change: &mut dyn FnMut(&str, &str) -> Option<String>,
) -> Value {
    let mut inside = |key: &str, it: &Value| {
        let length = path.len();
        path.push('/');
        path.push_str(key);
        let walked = walk(it, path, change);
        path.truncate(length);
        walked
    };
    match value {
        Value::String(text) => change(path, text).map_or_else(|| value.clone(), Value::String),
        Value::Array(items) => {
            items.iter().enumerate().map(|(at, it)| inside(&at.to_string(), it)).collect()
        }
        Value::Object(map) => {
            Value::Object(map.iter().map(|(key, it)| (key.clone(), inside(key, it))).collect())
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => value.clone(),
    }
}

/// Everything that is written in a value, names of fields aside.
fn texts(value: &Value) -> Vec<&str> {
    match value {
        Value::String(text) => vec![text],
        Value::Array(items) => items.iter().flat_map(texts).collect(),
        Value::Object(map) => map.values().flat_map(texts).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) => Vec::new(),
    }
}

fn is_empty(value: Option<&Value>) -> bool {
    match value {
        None | Some(Value::Null) => true,
        Some(Value::String(text)) => text.trim().is_empty(),
        Some(Value::Array(items)) => items.is_empty(),
        Some(Value::Object(map)) => map.is_empty(),
        Some(Value::Bool(_) | Value::Number(_)) => false,
    }
}

fn has_evidence(finding: &Value) -> bool {
    !is_empty(finding.get("evidence"))
}

/// The findings that name no evidence, by their keys or places.
fn bare_findings(content: &Value) -> Vec<String> {
    let findings = content.get("findings").and_then(Value::as_array).into_iter().flatten();
    let bare = findings.enumerate().filter(|(_, it)| !has_evidence(it));
    let name = |(at, it): (usize, &Value)| match it.get("key").and_then(Value::as_str) {
        Some(key) => format!("finding `{key}`"),
        None => format!("`/findings/{at}`"),
    };
    bare.map(name).collect()
}

#[cfg(test)]
mod tests;
