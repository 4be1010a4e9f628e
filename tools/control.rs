//! `team_control`: acts on a run.

use callboard_config::Limits;
use callboard_scheduler::{Desk, Refusal};
use callboard_trace::{Action, Caller, Control, RunId};
use serde_json::{Map, Value, json};

use crate::check::refused;
use crate::fields::{Field, run};
use crate::follow::{body, tell_next, whole};
use crate::published::{Annotations, Published};
use crate::{call::Patience, fields};

/// Its name.
pub(crate) const NAME: &str = "team_control";

const ACTIONS: [&str; 4] = ["cancel", "pause", "resume", "set_priority"];

/// What it takes.
pub(crate) fn fields(_limits: &Limits) -> Vec<Field> {
    let actions = json!({"type": "string", "enum": ACTIONS});
    let value = json!({"type": "integer", "minimum": 0, "maximum": 1000});
    let reason = json!({"type": "string", "maxLength": 500});
    vec![
        Field { required: true, ..run() },
        Field::required("action", actions, ACTIONS.join(", ")),
        Field::optional("value", value, "the new priority, 0..1000").explained(),
        Field::optional("reason", reason, "why, at most 500 characters"),
    ]
}

/// How it is published.
pub(crate) fn published(limits: &Limits) -> Published {
    Published {
        name: NAME.to_owned(),
        description: "Cancels, pauses, resumes or reprioritises a run; what a cancelled run has \
                      done stays readable."
            .to_owned(),
        input_schema: fields::shown(&fields(limits)),
        annotations: Annotations {
            idempotent_hint: Some(true),
            open_world_hint: Some(false),
            ..Annotations::default()
        },
    }
}

/// Acts, and shows the run as it is then.
///
/// # Errors
/// Nothing was done.
pub(crate) async fn apply(
    desk: &Desk,
    arguments: &Map<String, Value>,
    caller: &Caller,
    patience: &Patience,
) -> Result<Value, Refusal> {
    let text = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or_default();
    let run = RunId::from_text(text("run"));
    let control = control(text("action"), whole(arguments.get("value")), text("reason"))?;
    patience.names(&run);
    let mut view = desk.control(&run, control, caller).await?;
    tell_next(&mut view, patience);
    Ok(Value::Object(body(&view)))
}

fn control(action: &str, value: Option<u64>, reason: &str) -> Result<Control, Refusal> {
    let action = match action {
        "cancel" => Action::Cancel,
        "pause" => Action::Pause,
        "resume" => Action::Resume,
        _ => Action::SetPriority,
    };
    let value = match (action, value) {
        (Action::SetPriority, Some(value)) => json!(value),
        (Action::SetPriority, None) => {
            let problem = "value: missing; write the new priority, 0..1000";
            return Err(refused(NAME, vec![problem.to_owned()]));
        }
        (_, None) => Value::Null,
        (_, Some(_)) => {
            let problem = "value: only set_priority takes one; leave it out";
            return Err(refused(NAME, vec![problem.to_owned()]));
        }
    };
    Ok(Control { action, value, reason: reason.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_priority_takes_a_value_and_it_needs_one() {
        let cancel = control("cancel", None, "wrong way").expect("fits");
        assert_eq!((cancel.action, cancel.reason.as_str()), (Action::Cancel, "wrong way"));
        let urgent = control("set_priority", Some(900), "").expect("fits");
        assert_eq!((urgent.action, urgent.value), (Action::SetPriority, json!(900)));
        for (action, value) in [("set_priority", None), ("pause", Some(1))] {
            let refusal = control(action, value, "").expect_err("does not fit");
            assert!(refusal.problems[0].starts_with("value: "), "{refusal}");
        }
    }
}
