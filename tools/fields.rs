//! The arguments of a tool, said once: what clients are shown, and what is checked.

use callboard_config::Limits;
use serde_json::{Map, Value, json};

/// One argument.
pub(crate) struct Field {
    /// Its name.
    pub(crate) name: &'static str,
    /// Its JSON Schema with every bound.
    pub(crate) schema: Value,
    /// What to write there; told when something else is there.
    pub(crate) write: String,
    /// Whether the call is wrong without it.
    pub(crate) required: bool,
    /// Whether clients are shown `write`: where the name does not say it all.
    pub(crate) explained: bool,
    /// Whether clients are shown the outermost types only: `write` says the rest in fewer words.
    pub(crate) brief: bool,
    /// Whether clients are shown it: what few need costs every one of them tokens.
    pub(crate) listed: bool,
}

/// Keywords that are checked and not shown: they cost every client tokens in every conversation.
const BOUNDS: [&str; 9] = [
    "minProperties",
    "minLength",
    "maxLength",
    "minimum",
    "maximum",
    "minItems",
    "maxItems",
    "additionalProperties",
    "patternProperties",
];

impl Field {
    /// An argument that must be there.
    pub(crate) fn required(name: &'static str, schema: Value, write: impl Into<String>) -> Field {
        Field {
            name,
            schema,
            write: write.into(),
            required: true,
            explained: false,
            brief: false,
            listed: true,
        }
    }

    /// An argument that may be there.
    pub(crate) fn optional(name: &'static str, schema: Value, write: impl Into<String>) -> Field {
        Field { required: false, ..Field::required(name, schema, write) }
    }

    /// The same, its explanation shown to clients in place of what is inside it.
    pub(crate) fn brief(self) -> Field {
        Field { explained: true, brief: true, ..self }
    }

    /// The same, taken and not shown.
    pub(crate) fn unlisted(self) -> Field {
        Field { listed: false, ..self }
    }

    /// The same, with its explanation shown to clients.
    pub(crate) fn explained(self) -> Field {
        Field { explained: true, ..self }
    }
}

/// `wait_s`, the same in every tool.
pub(crate) fn wait_s(limits: &Limits) -> Field {
    let most = limits.wait_max_s;
    Field::optional(
        "wait_s",
        json!({"type": "integer", "minimum": 0, "maximum": most}),
        format!("seconds to wait for the result, 0..{most}"),
    )
}

/// `run`, the same in every tool.
pub(crate) fn run() -> Field {
    let schema = json!({"type": "string", "minLength": 1, "maxLength": 64});
    Field::optional("run", schema, "the run's id, `r_…`, from the answer that named it")
}

/// The schema that clients are shown.
pub(crate) fn shown(fields: &[Field]) -> Map<String, Value> {
    let mut properties = Map::new();
    for field in fields.iter().filter(|it| it.listed) {
        let schema = if field.brief { outermost(&field.schema) } else { unbounded(&field.schema) };
        let mut schema = one_type_each(schema);
        if let (true, Value::Object(schema)) = (field.explained, &mut schema) {
            schema.insert("description".to_owned(), json!(field.write));
        }
        properties.insert(field.name.to_owned(), schema);
    }
    object(fields, properties)
}

/// The schema that a call is checked against.
pub(crate) fn strict(fields: &[Field]) -> Value {
    let properties = fields.iter().map(|it| (it.name.to_owned(), it.schema.clone())).collect();
    let mut schema = object(fields, properties);
    schema.insert("additionalProperties".to_owned(), json!(false));
    Value::Object(schema)
}

fn object(fields: &[Field], properties: Map<String, Value>) -> Map<String, Value> {
    let mut schema = Map::new();
    schema.insert("type".to_owned(), json!("object"));
    schema.insert("properties".to_owned(), Value::Object(properties));
    let required: Vec<&str> = fields.iter().filter(|it| it.required).map(|it| it.name).collect();
    if !required.is_empty() {
        schema.insert("required".to_owned(), json!(required));
    }
    schema
}

/// The type, and that of the items: large providers refuse a list without it.
fn outermost(schema: &Value) -> Value {
    let mut outer = json!({"type": schema.get("type")});
    if let Some(items) = schema.get("items") {
        outer["items"] = json!({"type": items.get("type")});
    }
    outer
}

/// Some clients read one type at a time and stumble over a list of them.
fn one_type_each(mut schema: Value) -> Value {
    if let Value::Object(said) = &mut schema
        && let Some(Value::Array(types)) = said.get("type")
    {
        let apart = types.iter().map(|it| json!({"type": it})).collect();
        said.shift_remove("type");
        said.insert("anyOf".to_owned(), apart);
    }
    schema
}

fn unbounded(schema: &Value) -> Value {
    match schema {
        Value::Object(fields) => fields
            .iter()
            .filter(|(key, _)| !BOUNDS.contains(&key.as_str()))
            .map(|(key, value)| (key.clone(), unbounded(value)))
            .collect::<Map<_, _>>()
            .into(),
        Value::Array(items) => items.iter().map(unbounded).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => schema.clone(),
    }
}
