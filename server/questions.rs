//! What a run asks a person, in the form in which clients ask their users, and what comes back.

use std::time::Duration;

use callboard_tools::{Call, Outcome};
use callboard_trace::{Question, RunId, RunView};
use rmcp::RoleServer;
use rmcp::model::{
    ElicitRequest, ElicitRequestParams, ElicitResult, ElicitationAction, ElicitationSchema,
    InputRequest, InputRequests, InputRequiredResult, InputResponses,
};
use rmcp::service::RequestContext;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::seal::Seals;

/// The field of a form, and the one beside it where a person may say why not.
const FIELD: &str = "answer";
const REASON: &str = "reason";
/// How long a question that was put may be answered.
const GOOD_FOR: Duration = Duration::from_secs(86_400);

/// What a call that waits for answers brings back.
#[derive(Debug, Deserialize, Serialize)]
struct Pending {
    run: RunId,
}

/// A question as a form with one field, or two for an approval. Secrets are never asked for.
pub(crate) fn form(run: &RunId, question: &Question) -> Option<ElicitRequestParams> {
    let mut field = json!({"type": "string", "title": "Answer"});
    if question.options.is_empty() {
        field["minLength"] = json!(1);
    } else {
        field["enum"] = json!(question.options);
    }
    let mut schema = json!({"type": "object", "properties": {FIELD: field}, "required": [FIELD]});
    if question.kind == "approval" {
        schema["properties"][REASON] = json!({"type": "string", "title": "Why not"});
    }
    let Value::Object(schema) = schema else { return None };
    Some(ElicitRequestParams::FormElicitationParams {
        meta: None,
        message: format!("{run} asks: {}", question.prompt),
        requested_schema: ElicitationSchema::from_json_schema(schema).ok()?,
    })
}

/// Whether an outcome shows a run that asks something.
pub(crate) fn asks(outcome: &Outcome) -> bool {
    let asked = outcome.body.get("questions").and_then(Value::as_array);
    !outcome.is_error && asked.is_some_and(|it| !it.is_empty())
}

/// All that a run asks, by the questions' names.
pub(crate) fn requests(view: &RunView) -> InputRequests {
    let asked = view.questions.iter().filter_map(|question| {
        let form = form(&view.run, question)?;
        Some((question.id.clone(), InputRequest::Elicitation(ElicitRequest::new(form))))
    });
    asked.collect()
}

/// The result that asks a client for answers. `None` if there is nothing to ask.
pub(crate) fn required(
    view: &RunView,
    seals: &Seals,
    bound_to: &str,
) -> Option<InputRequiredResult> {
    let requests = Some(requests(view)).filter(|it| !it.is_empty())?;
    let state = seals.seal(&Pending { run: view.run.clone() }, bound_to, GOOD_FOR)?;
    Some(InputRequiredResult::new(Some(requests), Some(state)))
}

/// The run that a repeated call goes on with.
///
/// # Errors
/// We did not give this state out, or not for this call, or too long ago.
pub(crate) fn resumed(state: &str, seals: &Seals, bound_to: &str) -> Result<RunId, String> {
    let pending: Pending = seals.open(state, bound_to).map_err(|told| {
        format!(
            "requestState: {told}; send it back as it came, with the same arguments, or start again"
        )
    })?;
    Ok(pending.run)
}

/// What a state is bound to: whose call it was, and every word of it.
pub(crate) fn bound_to(principal: &str, call: &Call) -> String {
    format!("question\n{principal}\n{}\n{}", call.tool, json!(call.arguments))
}

/// The answers that a user gave; a question that was declined or waved away stays open.
///
/// # Errors
/// Every response that is none.
pub(crate) fn answers(given: &InputResponses) -> Result<Map<String, Value>, Vec<String>> {
    let (mut answers, mut problems) = (Map::new(), Vec::new());
    for (id, response) in given {
        match serde_json::from_value::<ElicitResult>(response.clone()) {
            Ok(result) => match answer(&result) {
                Ok(Some(answer)) => drop(answers.insert(id.clone(), json!(answer))),
                Ok(None) => {}
                Err(told) => problems.push(format!("inputResponses.{id}.{told}")),
            },
            Err(error) => problems.push(format!("inputResponses.{id}: {error}")),
        }
    }
    if problems.is_empty() { Ok(answers) } else { Err(problems) }
}

/// The answer of one form. `None` if the user gave none.
pub(crate) fn answer(result: &ElicitResult) -> Result<Option<String>, String> {
    if result.action != ElicitationAction::Accept {
        return Ok(None);
    }
    let field = result.content.as_ref().and_then(|it| it.get(FIELD));
    let what = if field.is_some() { "is no text" } else { "missing" };
    let text = field.and_then(Value::as_str);
    let reason = result.content.as_ref().and_then(|it| it.get(REASON)).and_then(Value::as_str);
    let reason = reason.filter(|it| text == Some("deny") && !it.trim().is_empty());
    let text = text.map(|it| reason.map_or_else(|| it.to_owned(), |why| format!("{it}: {why}")));
    text.map(Some).ok_or_else(|| format!("content.{FIELD}: {what}; write a text"))
}

/// Whether a client can show a form to its user.
pub(crate) fn elicits(context: &RequestContext<RoleServer>) -> bool {
    let can = context.client_capabilities().and_then(|it| it.elicitation);
    // An empty capability is that of the time before there were urls.
    can.is_some_and(|it| it.form.is_some() || it.url.is_none())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::KEY_BYTES;

    fn view() -> RunView {
        let view = json!({"run": "r_a", "state": "input_required", "agent": "coder",
            "cost": {"tokens": 0}, "handoffs": 0, "elapsed_s": 1.0, "questions": [
                {"id": "q_1", "kind": "approval", "prompt": "may I?", "options": ["yes", "no"]},
                {"id": "q_2", "kind": "text", "prompt": "how many?"}]});
        serde_json::from_value(view).expect("a view")
    }

    #[test]
    fn each_question_is_a_form_with_one_field() {
        let asked = serde_json::to_value(requests(&view())).expect("JSON");
        let form = &asked["q_1"]["params"];
        assert_eq!(asked["q_1"]["method"], "elicitation/create");
        assert_eq!(form["message"], "r_a asks: may I?");
        assert_eq!(form["requestedSchema"]["properties"]["answer"]["enum"], json!(["yes", "no"]));
        assert_eq!(form["requestedSchema"]["required"], json!(["answer"]));
        assert_eq!(
            asked["q_2"]["params"]["requestedSchema"]["properties"]["answer"]["type"],
            "string"
        );
    }

    #[test]
    fn a_state_is_good_for_its_caller_and_its_words_only() {
        let seals = Seals::new([5; KEY_BYTES]);
        let call = |task: &str| Call {
            tool: "coder".to_owned(),
            arguments: Map::from_iter([("task".to_owned(), json!(task))]),
            ..Call::default()
        };
        let bound = bound_to("ann", &call("a"));
        let state =
            required(&view(), &seals, &bound).expect("it asks").request_state.expect("a state");
        assert_eq!(resumed(&state, &seals, &bound), Ok(RunId::from_text("r_a")));
        for other in [bound_to("ben", &call("a")), bound_to("ann", &call("b")), String::new()] {
            let told = resumed(&state, &seals, &other).expect_err("not for this call");
            assert!(told.starts_with("requestState: "), "{told}");
        }
        assert!(resumed("garbage", &seals, &bound).is_err());
    }

    #[test]
    fn only_what_was_accepted_is_an_answer() {
        let of = |given: Value| answers(&serde_json::from_value(given).expect("responses"));
        let given = json!({
            "q_1": {"action": "accept", "content": {"answer": "yes"}},
            "q_2": {"action": "decline"}, "q_3": {"action": "cancel"},
        });
        assert_eq!(json!(of(given)), json!({"Ok": {"q_1": "yes"}}));
        let wrong = json!({"q_1": {"action": "accept"}, "q_2": 5,
            "q_3": {"action": "accept", "content": {"answer": 7}}});
        let problems = of(wrong).expect_err("three problems");
        assert_eq!(problems.len(), 3, "{problems:?}");
        assert_eq!(problems[0], "inputResponses.q_1.content.answer: missing; write a text");
    }
}
