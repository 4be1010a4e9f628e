//! An agent as a tool: it gets a task, and answers with the run that works on it.

use callboard_config::permit::Grants;
use callboard_config::{Act, Agent, AgentName, Limits, Verdict};
use callboard_scheduler::{Ask, Listens, Submitted};
use callboard_trace::Caller;
use serde_json::{Map, Value, json};

use crate::call::{Asked, Call, Patience};
use crate::check::{Result, refused};
use crate::fields::{Field, wait_s};
use crate::follow::{body, follow, started, whole};
use crate::meta;
use crate::published::Annotations;

/// What an agent takes.
pub(crate) fn fields(limits: &Limits) -> Vec<Field> {
    let text = |most: usize| json!({"type": "string", "maxLength": most});
    let task = json!({"type": "string", "minLength": 1, "maxLength": limits.task_chars});
    vec![
        Field::required("task", task, format!("what to do, 1..{} characters", limits.task_chars)),
        Field::optional(
            "context",
            text(limits.context_bytes),
            format!("a text the agent should know, at most {} bytes", limits.context_bytes),
        ),
        wait_s(limits),
    ]
}

/// What is true of an agent: it is as harmless as all it may do.
pub(crate) fn annotations(agent: &Agent) -> Annotations {
    let may = |act: Act| agent.permissions.get(&act).is_some_and(|it| *it != Verdict::Deny);
    let changes = [Act::Write, Act::Run, Act::External].into_iter().any(may);
    let passes_on_more = agent.grants != Grants::Own && !agent.handoffs.is_empty();
    let has_servers = !agent.servers.is_empty();
    let reaches_out = has_servers || [Act::Run, Act::Fetch, Act::External].into_iter().any(may);
    Annotations {
        read_only_hint: (!changes && !passes_on_more).then_some(true),
        open_world_hint: (!reaches_out && !passes_on_more).then_some(false),
        ..Annotations::default()
    }
}

/// Starts the run, or joins the one that the same call started, and waits for it.
///
/// # Errors
/// Nothing was started, unless the hint names a run.
pub(crate) async fn apply(to: &AgentName, asked: Asked<'_>) -> Result<Value> {
    let Asked { desk, arguments, call, caller, patience } = asked;
    let (ask, may_rejoin) = ask(&desk.team().limits, to, arguments, call, caller)?;
    let listens = listens(arguments, patience, may_rejoin);
    let submitted = desk.call(ask, listens).await?;
    answered(&submitted, asked).await
}

/// How a call listens to the run it starts or joins.
pub(crate) fn listens(
    arguments: &Map<String, Value>,
    patience: &Patience,
    may_rejoin: bool,
) -> Listens {
    let waits = !patience.how_long(whole(arguments.get("wait_s"))).is_zero();
    Listens { waits, rejoins: waits && may_rejoin }
}

/// The view of a run that was started or joined, once the caller has waited for it.
pub(crate) async fn answered(
    submitted: &Submitted,
    Asked { desk, arguments, caller, patience, .. }: Asked<'_>,
) -> Result<Value> {
    let wait_s = whole(arguments.get("wait_s"));
    let waits = !patience.how_long(wait_s).is_zero();
    patience.hears(desk.listen(&submitted.run, caller, waits));
    let view = follow(desk, &submitted.run, caller, wait_s, patience)
        .await
        .map_err(|refusal| started(&submitted.run, refusal))?;
    let mut body = body(desk, &view);
    if submitted.joined {
        body.insert("joined".to_owned(), json!(true));
    }
    Ok(Value::Object(body))
}

/// The task that the arguments and `_meta` make, or everything that is wrong with them; and whether
/// it may join the run that an equal call left behind.
pub(crate) fn ask(
    limits: &Limits,
    to: &AgentName,
    arguments: &Map<String, Value>,
    call: &Call,
    caller: &Caller,
) -> Result<(Ask, bool)> {
    let text = |name: &str| arguments.get(name).and_then(Value::as_str).unwrap_or_default();
    let (task, context) = (text("task"), text("context"));
    let mut problems = Vec::new();
    if task.trim().is_empty() {
        problems.push("task: empty; write what to do".to_owned());
    }
    if context.len() > limits.context_bytes {
        let (bytes, most) = (context.len(), limits.context_bytes);
        problems.push(format!("context: {bytes} bytes, at most {most}; write what matters of it"));
    }
    let asked = meta::read(&call.meta, &caller.client, limits).unwrap_or_else(|told| {
        problems.extend(told);
        meta::Asked::default()
    });
    if !problems.is_empty() {
        return Err(refused(&call.tool, problems));
    }
    let ask = Ask {
        to: to.clone(),
        task: task.to_owned(),
        context: context.to_owned(),
        priority: asked.priority,
        key: asked.key,
        fresh: asked.fresh,
        deadline_s: asked.deadline_s,
        budget: asked.budget,
        output_schema: asked.output_schema,
        tasks: 1,
        traceparent: asked.traceparent,
        session: asked.session,
        caller: caller.clone(),
    };
    Ok((ask, asked.may_rejoin))
}

#[cfg(test)]
pub(crate) mod tests {
    use std::collections::BTreeMap;

    use callboard_config::{Edge, Mode};

    use super::*;
    use crate::toolset::tests::an_agent;

    /// A handoff to that agent, without conditions.
    pub(crate) fn an_edge(to: AgentName) -> Edge {
        Edge {
            to,
            triggers: Vec::new(),
            when: None,
            task: None,
            mode: Mode::Transfer,
            description: String::new(),
            capabilities: Vec::new(),
        }
    }

    fn caller() -> Caller {
        let text = str::to_owned;
        Caller {
            principal: text("local"),
            client: text("codex"),
            version: text("1"),
            transport: text("stdio"),
        }
    }

    #[test]
    fn an_agent_is_as_harmless_as_all_it_may_do() {
        let with = |permissions: &[(Act, Verdict)], grants: Grants| {
            let mut agent = an_agent("coder");
            agent.permissions = permissions.iter().copied().collect::<BTreeMap<_, _>>();
            agent.grants = grants;
            agent.handoffs = vec![an_edge(AgentName::parse("tester").expect("a name"))];
            let found = annotations(&agent);
            (found.read_only_hint, found.open_world_hint)
        };
        let reads = [(Act::Read, Verdict::Allow), (Act::Write, Verdict::Deny)];
        assert_eq!(with(&reads, Grants::Own), (Some(true), Some(false)));
        assert_eq!(with(&reads, Grants::Team), (None, None), "it passes on more than it may");
        let fetches = [(Act::Fetch, Verdict::Ask)];
        assert_eq!(with(&fetches, Grants::Own), (Some(true), None));
        let writes = [(Act::Write, Verdict::Ask)];
        assert_eq!(with(&writes, Grants::Own), (None, Some(false)));
    }

    #[test]
    fn the_bytes_of_a_context_and_a_blank_task_are_refused_together() {
        let to = AgentName::parse("coder").expect("a name");
        let limits = Limits { context_bytes: 8, ..Limits::default() };
        let wrong = json!({"task": "  ", "context": "ääääää"});
        let Value::Object(wrong) = wrong else { panic!("an object") };
        let meta = Map::from_iter([("callboard/priority".to_owned(), json!("high"))]);
        let call = Call { tool: "coder".to_owned(), arguments: wrong.clone(), meta };
        let refusal = ask(&limits, &to, &wrong, &call, &caller()).expect_err("three problems");
        assert_eq!(
            refusal.problems,
            [
                "task: empty; write what to do",
                "context: 12 bytes, at most 8; write what matters of it",
                "_meta.callboard/priority: does not fit; write an integer, 0..1000",
            ]
        );
    }
}
