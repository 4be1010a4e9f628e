//! `team_answer`: answers what a run asks a person.

use std::collections::BTreeMap;

use callboard_config::Limits;

use callboard_trace::RunId;
use serde_json::{Value, json};

use crate::call::Asked;
use crate::check::Result;
use crate::fields::{Field, run, wait_s};
use crate::follow::{body, follow, whole};

/// Its name.
pub(crate) const NAME: &str = "team_answer";
/// What a model is told of it.
pub(crate) const SAYS: &str = "Answers what a run asks.";

/// What it takes.
pub(crate) fn fields(limits: &Limits) -> Vec<Field> {
    let answers = json!({
        "type": "object", "minProperties": 1, "additionalProperties": {"type": "string"},
    });
    vec![
        Field { required: true, ..run() },
        Field::required("answers", answers, "question id: answer").explained(),
        wait_s(limits),
    ]
}

/// Answers, and shows the run as it goes on.
///
/// # Errors
/// Nothing was answered.
pub(crate) async fn apply(asked: Asked<'_>) -> Result<Value> {
    let Asked { desk, arguments, caller, patience, .. } = asked;
    let run = RunId::from_text(arguments.get("run").and_then(Value::as_str).unwrap_or_default());
    let given = arguments.get("answers").and_then(Value::as_object);
    let answers: BTreeMap<String, String> = given
        .into_iter()
        .flatten()
        .filter_map(|(id, answer)| Some((id.clone(), answer.as_str()?.to_owned())))
        .collect();
    desk.answer(&run, &answers, caller).await?;
    let wait = whole(arguments.get("wait_s"));
    let view = follow(desk, &run, caller, wait, patience).await?;
    Ok(Value::Object(body(desk, &view)))
}
