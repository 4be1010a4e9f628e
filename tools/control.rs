//! `team_control`: acts on a run, or on an agent.

use callboard_config::amounts::amounts;
use callboard_config::{AgentName, Limits};
use callboard_scheduler::Desk;
use callboard_trace::{Action, Caller, Control, RunId};
use serde_json::{Value, json};

use crate::call::Asked;
use crate::check::{Result, refused};
use crate::fields::{Field, run};
use crate::follow::{body, tell_next, whole};

/// Its name.
pub(crate) const NAME: &str = "team_control";
/// What a model is told of it.
pub(crate) const SAYS: &str = "Acts on a run or `all` of yours, or pauses, resumes or drains an \
     `agent`; what a cancelled run did stays readable.";
/// Instead of a run: all of the caller's that are open.
pub const ALL: &str = "all";
/// What may be asked of a run, in the words of every caller.
pub const ACTIONS: [&str; 9] = [
    "cancel",
    "pause",
    "resume",
    "drain",
    "retry",
    "finish_now",
    "set_budget",
    "set_priority",
    "message",
];
/// Characters of a message.
const MESSAGE_CHARS: usize = 8_000;

/// What it takes.
pub(crate) fn fields(_limits: &Limits) -> Vec<Field> {
    let actions = json!({"type": "string", "enum": ACTIONS});
    let value = json!({
        "type": ["integer", "string", "object"], "minimum": 0, "maximum": 1000, "maxLength": MESSAGE_CHARS,
    });
    let reason = json!({"type": "string", "maxLength": 500});
    let agent = json!({"type": "string", "minLength": 1, "maxLength": 64});
    vec![
        run(),
        Field::optional("agent", agent, "an agent's name instead of a run: pause, resume, drain"),
        Field::required("action", actions, ACTIONS.join(", ")),
        Field::optional("value", value, "a priority, 0..1000, a message, or a budget").explained(),
        Field::optional("reason", reason, "why, at most 500 characters"),
    ]
}

/// Acts, and shows the run as it is then.
///
/// # Errors
/// Nothing was done.
pub(crate) async fn apply(asked: Asked<'_>) -> Result<Value> {
    let Asked { desk, arguments, caller, patience, .. } = asked;
    let text = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or_default();
    let control = control(text("action"), arguments.get("value"), text("reason"))?;
    let run = match (text("run"), text("agent")) {
        ("", "") => {
            let problem = "run: missing; write the run's id, or an agent's name as `agent`";
            return Err(refused(NAME, vec![problem.to_owned()]));
        }
        ("", agent) => return on_agent(desk, agent, control, caller).await,
        (ALL, "") => {
            let action = control.action;
            let n_told = desk.control_all(control, caller).await?;
            return Ok(json!({"action": action, "runs": n_told, "next": "team_status"}));
        }
        (run, "") => RunId::from_text(run),
        (_, _) => {
            let problem = "agent: stands instead of `run`; leave one of them out";
            return Err(refused(NAME, vec![problem.to_owned()]));
        }
    };
    let is_budget = control.action == Action::SetBudget;
    let mut view = desk.control(&run, control, caller).await?;
    if is_budget && view.state.is_over() {
        // What was recommended is done; the run itself stands as it ended.
        view.recommendations.clear();
        let again = json!({"run": run, "action": "retry"});
        view.next = Some(format!("team_control {again}"));
    }
    patience.hears(desk.listen(&run, caller, false));
    tell_next(&mut view, patience);
    Ok(Value::Object(body(desk, &view)))
}

async fn on_agent(desk: &Desk, name: &str, control: Control, caller: &Caller) -> Result<Value> {
    let Some(known) = AgentName::parse(name) else {
        let problem = format!("agent: {name:?} is no agent's name; `team_status` lists them");
        return Err(refused(NAME, vec![problem]));
    };
    Ok(json!(desk.control_agent(&known, control, caller).await?))
}

fn control(action: &str, value: Option<&Value>, reason: &str) -> Result<Control> {
    let action = match action {
        "cancel" => Action::Cancel,
        "pause" => Action::Pause,
        "resume" => Action::Resume,
        "drain" => Action::Drain,
        "retry" => Action::Retry,
        "finish_now" => Action::FinishNow,
        "message" => Action::Message,
        "set_budget" => Action::SetBudget,
        _ => Action::SetPriority,
    };
    let text = || value.and_then(Value::as_str).filter(|it| !it.trim().is_empty());
    let operand = match action {
        Action::SetPriority => whole(value).map(|it| json!(it)).ok_or("the new priority, 0..1000"),
        Action::Message => text().map(|it| json!(it)).ok_or("the text of the message"),
        Action::SetBudget => match value.map(|it| amounts(it, "value")) {
            Some(Ok(amounts)) => Ok(Value::Object(amounts)),
            Some(Err(told)) => return Err(refused(NAME, told)),
            None => Err("the new limits, such as {\"tokens\": 20000}"),
        },
        Action::Cancel
        | Action::Pause
        | Action::Resume
        | Action::Drain
        | Action::FinishNow
        | Action::Retry
        | Action::Redirect => Ok(Value::Null),
    };
    let problem = match (operand, value) {
        (Ok(operand), given) if given.is_none() || !operand.is_null() => {
            return Ok(Control { action, value: operand, reason: reason.to_owned() });
        }
        (Ok(_), _) => {
            "value: only set_budget, set_priority and message take one; leave it out".to_owned()
        }
        (Err(write), None) => format!("value: missing; write {write}"),
        (Err(write), Some(_)) => format!("value: does not fit; write {write}"),
    };
    Err(refused(NAME, vec![problem]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_priority_a_message_and_a_budget_take_a_value_and_nothing_else_does() {
        let cancel = control("cancel", None, "wrong way").expect("fits");
        assert_eq!((cancel.action, cancel.reason.as_str()), (Action::Cancel, "wrong way"));
        let urgent = control("set_priority", Some(&json!(900.0)), "").expect("fits");
        assert_eq!((urgent.action, urgent.value), (Action::SetPriority, json!(900)));
        let told = control("message", Some(&json!("be quick")), "").expect("fits");
        assert_eq!((told.action, told.value), (Action::Message, json!("be quick")));
        let more = control("set_budget", Some(&json!({"usd": 1.5, "documents": null})), "");
        let more = more.expect("fits").value;
        assert_eq!(more, json!({"micro_usd": 1_500_000, "documents": null}));
        let problem = |action, value: Option<Value>| {
            control(action, value.as_ref(), "").expect_err("does not fit").problems.remove(0)
        };
        let cases = [
            ("set_priority", None, "value: missing; write the new priority, 0..1000"),
            (
                "set_budget",
                None,
                "value: missing; write the new limits, such as {\"tokens\": 20000}",
            ),
            (
                "set_budget",
                Some(json!({"tokens": -1})),
                "value.tokens: does not fit; write a whole number from 0 on",
            ),
            (
                "set_priority",
                Some(json!("9")),
                "value: does not fit; write the new priority, 0..1000",
            ),
            ("message", None, "value: missing; write the text of the message"),
            ("message", Some(json!(" ")), "value: does not fit; write the text of the message"),
            (
                "pause",
                Some(json!(1)),
                "value: only set_budget, set_priority and message take one; leave it out",
            ),
        ];
        for (action, value, told) in cases {
            assert_eq!(problem(action, value), told);
        }
    }
}
