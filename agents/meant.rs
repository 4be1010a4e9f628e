//! A call as it was meant: names and arguments of other products, and slips that are plain.

use callboard_config::hands;
use callboard_trace::Call;
use serde_json::{Map, Number, Value};

use crate::toolbox::{self, Kind, Tool};
use crate::{Run, answer};

/// What arguments are called here, and elsewhere.
const ALSO: [(&str, &[&str]); 9] = [
    ("to", &["subagent_type", "agent", "agentName", "agent_name", "agent_type"]),
    ("task", &["prompt"]),
    ("reason", &["description"]),
    ("file_path", &["path", "filePath", "filepath", "filename", "absolute_path", "target_file"]),
    ("old_string", &["old_str", "oldString"]),
    ("new_string", &["new_str", "newString"]),
    ("content", &["contents", "file_text"]),
    ("command", &["cmd"]),
    ("path", &["dir_path"]),
];

/// The call with the name of a tool that is there, and with arguments as its schema has them, as far as
/// that is plain. What is not stays as it is, to be told to the model.
pub(crate) fn meant(run: &Run, call: &Call) -> Call {
    let tools = toolbox::tools_of(run);
    if let Some(tool) = tools.iter().find(|it| it.name == call.tool) {
        return Call { arguments: fitted(call, tool), ..call.clone() };
    }
    if hands::delegates(&call.tool) {
        let delegate = tools.iter().find(|it| toolbox::kind(&it.name) == Some(Kind::Delegate));
        let arguments = delegate.map_or_else(|| call.arguments.clone(), |it| fitted(call, it));
        return Call { tool: "Task".to_owned(), arguments, ..call.clone() };
    }
    let names = if call.tool.contains('*') { vec![] } else { hands::meant(&call.tool) };
    let all: Vec<&Tool> = tools.iter().filter(|it| names.contains(&&*it.name)).collect();
    let fits = |it: &&&Tool| {
        fitted(call, it).is_ok_and(|given| answer::problem(&given, &it.schema).is_none())
    };
    match all.iter().find(fits).or(all.first()) {
        Some(tool) => {
            Call { tool: tool.name.to_string(), arguments: fitted(call, tool), ..call.clone() }
        }
        None => call.clone(),
    }
}

/// The arguments as the tool's schema has them.
fn fitted(call: &Call, tool: &Tool) -> Result<Value, String> {
    let mut given = call.arguments.clone()?;
    let (Some(fields), Some(known)) =
        (given.as_object_mut(), tool.schema["properties"].as_object())
    else {
        return Ok(given);
    };
    if toolbox::kind(&tool.name).is_some() {
        only_edit(fields, known);
        rename(fields, known);
    }
    let required = tool.schema["required"].as_array();
    let is_required = |key: &str| required.is_some_and(|all| all.iter().any(|it| it == key));
    fields.retain(|key, it| {
        !it.is_null() || is_required(key) || known.get(key).is_none_or(takes_null)
    });
    for (key, value) in fields.iter_mut() {
        let form = known.get(key).and_then(|it| it["type"].as_str()).unwrap_or_default();
        if let Some(read) = read(value, form) {
            *value = read;
        }
    }
    Ok(given)
}

/// `MultiEdit` with one edit is an `Edit`.
fn only_edit(fields: &mut Map<String, Value>, known: &Map<String, Value>) {
    let edits = fields.get("edits").and_then(Value::as_array).filter(|it| it.len() == 1);
    let Some(edit) = edits.and_then(|it| it[0].as_object()).cloned() else { return };
    if known.contains_key("old_string") {
        fields.shift_remove("edits");
        fields.extend(edit);
    }
}

fn rename(fields: &mut Map<String, Value>, known: &Map<String, Value>) {
    for (own, others) in ALSO.iter().filter(|it| known.contains_key(it.0)) {
        let other = others.iter().find(|it| !known.contains_key(**it) && fields.contains_key(**it));
        if let Some(other) = other.filter(|_| !fields.contains_key(*own))
            && let Some(value) = fields.shift_remove(*other)
        {
            fields.insert((*own).to_owned(), value);
        }
    }
}

/// Whether a schema is not plainly one of another type than `null`.
fn takes_null(schema: &Value) -> bool {
    !["string", "integer", "number", "boolean", "array", "object"]
        .contains(&schema["type"].as_str().unwrap_or_default())
}

/// A value that is written as a text, or as a fraction that is none.
fn read(value: &Value, form: &str) -> Option<Value> {
    let text = value.as_str().map(str::trim);
    match form {
        "integer" => {
            let real = value.as_f64().or_else(|| text?.parse::<f64>().ok())?;
            let is_whole = real.fract() == 0.0 && real.abs() < 9e15;
            (is_whole && !value.is_i64() && !value.is_u64()).then(|| Value::from(real as i64))
        }
        "number" => Number::from_f64(text?.parse().ok()?).map(Value::Number),
        "boolean" => text?.parse::<bool>().ok().map(Value::Bool),
        "array" => serde_json::from_str(text?).ok().filter(Value::is_array),
        "object" => serde_json::from_str(text?).ok().filter(Value::is_object),
        _ => None,
    }
}
