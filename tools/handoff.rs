//! `team_handoff`: passes work to an agent, with what it has to know.

use callboard_config::{AgentName, Limits, Team};
use callboard_scheduler::{HandoffAsk, Listens, Refusal, RefusalCode};
use callboard_trace::{ArtifactRef, RunId, Summary};
use serde_json::{Map, Value, json};

use crate::call::Asked;
use crate::check::{Result, refused};
use crate::fields::{Field, run, wait_s};
use crate::follow::{body, follow, started, whole};
use crate::nearest::{did_you_mean, quoted};

/// Its name.
pub(crate) const NAME: &str = "team_handoff";
/// What a model is told of it.
pub(crate) const SAYS: &str = "Hands work on with what must be known: redirects a live run, \
     continues an ended one, or starts one.";
/// Characters of a handoff's task.
const TASK_CHARS: usize = 8_000;
/// Characters of a summary in all.
const SUMMARY_CHARS: usize = 6_000;

/// What it takes.
pub(crate) fn fields(limits: &Limits) -> Vec<Field> {
    let text = json!({"type": "string"});
    let name = json!({"type": "string", "minLength": 1, "maxLength": 64});
    let summary = json!({
        "type": ["string", "object"],
        "properties": {
            "did": text, "must_know": text, "do_next": text,
            "open_questions": {"type": "array", "maxItems": 10, "items": text}
        },
        "additionalProperties": false
    });
    let task = json!({"type": "string", "minLength": 1, "maxLength": TASK_CHARS});
    let artifacts = json!({"type": "array", "maxItems": 20, "items": {
        "type": "object",
        "properties": {"id": name, "why": {"type": "string", "maxLength": 200}},
        "required": ["id"],
        "additionalProperties": false
    }});
    vec![
        Field::required("to", name, "the name of an agent"),
        Field::required("summary", summary, "a text, or {did, must_know, open_questions, do_next}")
            .brief(),
        Field::required("task", task, format!("what to do, 1..{TASK_CHARS} characters")),
        Field { write: "the run to redirect or continue".to_owned(), ..run() },
        Field::optional("artifacts", artifacts, "at most 20 {id, why}").brief(),
        wait_s(limits),
    ]
}

/// Hands over, waits, and shows the run with the handoff.
///
/// # Errors
/// Nothing was handed over, unless the hint names a run.
pub(crate) async fn apply(asked: Asked<'_>) -> Result<Value> {
    let Asked { desk, arguments, caller, patience, .. } = asked;
    let ask = ask(&desk.team(), arguments)?;
    let wait_s = whole(arguments.get("wait_s"));
    let waits = !patience.how_long(wait_s).is_zero();
    let handed = desk.handoff(ask, caller, Listens { waits, rejoins: waits }).await?;
    patience.hears(desk.listen(&handed.run, caller, waits));
    let view = follow(desk, &handed.run, caller, wait_s, patience)
        .await
        .map_err(|refusal| started(&handed.run, refusal))?;
    let mut body = body(desk, &view);
    let handoff = json!({
        "id": handed.handoff, "from": handed.from, "to": handed.to, "accepted": true
    });
    body.insert("handoff".to_owned(), handoff);
    Ok(Value::Object(body))
}

/// An agent of the team by its name.
///
/// # Errors
/// `unknown_agent`, with the nearest name.
pub(crate) fn agent(team: &Team, name: &str) -> Result<AgentName> {
    let known = AgentName::parse(name).filter(|it| team.agents.contains_key(it));
    known.ok_or_else(|| {
        let names = team.agents.keys().map(AgentName::as_str);
        let way_out = did_you_mean(name, names, "there are");
        let message = format!("agent {} is not in this team{way_out}", quoted(name));
        Refusal::new(RefusalCode::UnknownAgent, message, "nothing was started; name one of them")
    })
}

fn ask(team: &Team, arguments: &Map<String, Value>) -> Result<HandoffAsk> {
    let text = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or_default();
    let summary = summary(arguments.get("summary"));
    let parts = [&summary.did, &summary.must_know, &summary.do_next];
    let parts = parts.into_iter().chain(&summary.open_questions);
    let n_letters: usize = parts.map(|it| it.trim().chars().count()).sum();
    let mut problems = Vec::new();
    if n_letters == 0 {
        problems.push("summary: empty; write what the receiver must know".to_owned());
    }
    if n_letters > SUMMARY_CHARS {
        problems.push(format!(
            "summary: {n_letters} characters, at most {SUMMARY_CHARS}; pass the rest as artifacts"
        ));
    }
    if text("task").trim().is_empty() {
        problems.push("task: empty; write what to do".to_owned());
    }
    if !problems.is_empty() {
        return Err(refused(NAME, problems));
    }
    let artifacts = arguments.get("artifacts").and_then(Value::as_array);
    Ok(HandoffAsk {
        to: agent(team, text("to"))?,
        summary,
        task: text("task").to_owned(),
        run: arguments.get("run").and_then(Value::as_str).map(RunId::from_text),
        artifacts: artifacts.into_iter().flatten().map(artifact).collect(),
    })
}

/// A plain text is the one thing the receiver must know.
fn summary(given: Option<&Value>) -> Summary {
    let Some(Value::Object(parts)) = given else {
        let must_know = given.and_then(Value::as_str).unwrap_or_default().to_owned();
        return Summary { must_know, ..Summary::default() };
    };
    let text = |value: &Value| value.as_str().map(str::to_owned);
    let part = |name: &str| parts.get(name).and_then(text).unwrap_or_default();
    let questions = parts.get("open_questions").and_then(Value::as_array);
    Summary {
        did: part("did"),
        must_know: part("must_know"),
        open_questions: questions.into_iter().flatten().filter_map(text).collect(),
        do_next: part("do_next"),
    }
}

fn artifact(given: &Value) -> ArtifactRef {
    let text = |name: &str| given.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    // What the artifact is called and holds is for the desk to fill in: it has the journal.
    let (name, head) = (String::new(), String::new());
    ArtifactRef { id: text("id"), why: text("why"), name, bytes: 0, head }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::toolset::tests::a_team;

    fn asked(arguments: Value) -> Result<HandoffAsk> {
        let Value::Object(arguments) = arguments else { panic!("an object") };
        ask(&a_team(&["coder", "reviewer"]), &arguments)
    }

    #[test]
    fn a_plain_summary_is_what_must_be_known() {
        let plain = asked(json!({"to": "coder", "summary": "mind the lock", "task": "t"}));
        assert_eq!(plain.expect("fits").summary.must_know, "mind the lock");
        let parts = json!({"did": "a", "do_next": "b", "open_questions": ["c"]});
        let whole = json!({"to": "coder", "summary": parts, "task": "t", "run": "r_a",
            "artifacts": [{"id": "a_1", "why": "w"}, {"id": "a_2"}]});
        let whole = asked(whole).expect("fits");
        assert_eq!(whole.summary.open_questions, ["c"]);
        assert_eq!(whole.artifacts[0].why, "w");
        assert_eq!(whole.run, Some(RunId::from_text("r_a")));
    }

    #[test]
    fn an_unknown_agent_is_told_the_nearest_name() {
        let refusal = asked(json!({"to": "reviwer", "summary": "s", "task": "t"}));
        let refusal = refusal.expect_err("no such agent");
        assert_eq!(refusal.code, RefusalCode::UnknownAgent);
        assert_eq!(
            refusal.message,
            "agent \"reviwer\" is not in this team; did you mean \"reviewer\"?"
        );
    }

    #[test]
    fn an_empty_or_endless_summary_is_refused() {
        for summary in [json!(" "), json!({}), json!("x".repeat(6_001))] {
            let refusal = asked(json!({"to": "coder", "summary": summary, "task": "t"}));
            let refusal = refusal.expect_err("does not fit");
            assert!(refusal.problems[0].starts_with("summary: "), "{refusal}");
        }
    }
}
