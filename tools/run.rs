//! `team_run`: work for the team as a whole, one task or a graph of them.

use callboard_config::amounts::amounts;
use callboard_config::budget::Caps;
use callboard_config::{Limits, schema};
use callboard_scheduler::{Ask, PlanAsk, TaskAsk};
use serde_json::{Map, Value, json};

use crate::call::Asked;
use crate::check::{Result, refused};
use crate::fields::{Field, wait_s};
use crate::follow::whole;
use crate::{agent, handoff};

/// Its name.
pub(crate) const NAME: &str = "team_run";
/// What a model is told of it.
pub(crate) const SAYS: &str = "Gives the team a `task`, or `tasks`, each `after` the ids it needs.";
/// Characters of a task's id.
const ID_CHARS: usize = 80;

/// What it takes.
pub(crate) fn fields(limits: &Limits) -> Vec<Field> {
    let text = json!({"type": "string", "minLength": 1});
    let id = json!({"type": "string", "minLength": 1, "maxLength": ID_CHARS});
    let priority = json!({"type": "integer", "minimum": 0, "maximum": 1000});
    let share = json!({"type": "number", "minimum": 0, "maximum": 1});
    let split = json!({"type": "object", "additionalProperties": share});
    let step = json!({
        "type": "object",
        "properties": {
            "id": id, "to": text, "task": text,
            "after": {"type": "array", "items": {"type": "string"}},
            "priority": priority,
        },
        // These are not shown either.
        "patternProperties": {"^share$": share, "^impact_if_missing$": text},
        "required": ["task"],
        "additionalProperties": false,
    });
    let (most, bytes) = (limits.plan_steps, limits.context_bytes);
    let steps = json!({"type": "array", "minItems": 1, "maxItems": most, "items": step});
    vec![
        Field::optional("task", text.clone(), "what to do, or `tasks`"),
        Field::optional("to", text, "an agent's name; without it the team decides"),
        Field::optional("tasks", steps, "tasks, each after the ids it needs"),
        Field::optional(
            "context",
            json!({"type": "string", "maxLength": bytes}),
            format!("a text the agents should know, at most {bytes} bytes"),
        ),
        Field::optional("priority", priority, "0..1000, 100 is normal"),
        Field::optional(
            "budget",
            json!({"type": "object"}),
            "usd, tokens, minutes; `split` beside it: shares by task",
        )
        .brief(),
        Field::optional("output_schema", json!({"type": "object"}), "a JSON Schema of the answer"),
        Field::optional("split", split, "shares of the budget, by task or agent").unlisted(),
        wait_s(limits),
    ]
}

/// Starts the run or the plan, or joins the one that the same call started, and waits for it.
///
/// # Errors
/// Nothing was started, unless the hint names a run.
pub(crate) async fn apply(asked: Asked<'_>) -> Result<Value> {
    let Asked { desk, arguments, call, caller, patience } = asked;
    let given = |name: &str| arguments.contains_key(name);
    let wrong = |text: &str| Err(refused(NAME, vec![text.to_owned()]));
    let own = budget(arguments)?;
    let own_form = form(arguments)?;
    let submitted = match (given("task"), given("tasks")) {
        (true, true) => return wrong("task: there is `tasks` too; write one of the two"),
        (false, false) => return wrong("task: missing; write what to do, or `tasks`"),
        (true, false) if given("split") => return wrong("split: only `tasks` have shares"),
        (true, false) => {
            let team = desk.team();
            let named = arguments.get("to").and_then(Value::as_str);
            let to = named.map_or(Ok(team.entry.clone()), |it| handoff::agent(&team, it))?;
            let (ask, may_rejoin) = agent::ask(&team.limits, &to, arguments, call, caller)?;
            let priority = priority(arguments).or(ask.priority);
            let output_schema = own_form.or(ask.output_schema);
            let ask = Ask { priority, budget: own.or(ask.budget), output_schema, ..ask };
            let listens = agent::listens(arguments, patience, may_rejoin);
            match named {
                Some(_) => desk.call(ask, listens).await?,
                None => desk.call_team(ask, listens).await?,
            }
        }
        (false, true) if own_form.is_some() => {
            return wrong(
                "output_schema: only for one `task`; those of a plan answer in their own form",
            );
        }
        (false, true) if given("to") => return wrong("to: write it into each of the tasks"),
        (false, true) => {
            let team = desk.team();
            // What stands beside the tasks is read as it is of one task; that has a text.
            let beside = arguments.iter().filter(|it| it.0 != "tasks");
            let mut named: Map<String, Value> =
                beside.map(|(name, value)| (name.clone(), value.clone())).collect();
            named.insert("task".to_owned(), json!("a plan"));
            let (ask, may_rejoin) = agent::ask(&team.limits, &team.entry, &named, call, caller)?;
            let priority = priority(arguments).or(ask.priority);
            let tasks = arguments.get("tasks").and_then(Value::as_array);
            let tasks = tasks.into_iter().flatten().map(task).collect();
            let listens = agent::listens(arguments, patience, may_rejoin);
            let ask = Ask { priority, budget: own.or(ask.budget), ..ask };
            let split = arguments.get("split").and_then(Value::as_object).into_iter().flatten();
            let split = split.filter_map(|(name, it)| Some((name.clone(), it.as_f64()?))).collect();
            desk.call_plan(PlanAsk { tasks, split, ask }, listens).await?
        }
    };
    agent::answered(&submitted, asked).await
}

/// What the task may spend with all its runs, if that was written.
fn budget(of: &Map<String, Value>) -> Result<Option<Caps>> {
    let Some(given) = of.get("budget") else { return Ok(None) };
    let amounts = amounts(given, "budget").map_err(|told| refused(NAME, told))?;
    Ok(Some(Caps::of_amounts(&amounts)))
}

/// The schema that the answer has to meet, if one was written and can be checked by.
fn form(of: &Map<String, Value>) -> Result<Option<Value>> {
    let Some(given) = of.get("output_schema") else { return Ok(None) };
    let problem =
        schema::problem(given).map(|it| refused(NAME, vec![format!("output_schema{it}")]));
    problem.map_or_else(|| Ok(Some(given.clone())), Err)
}

fn priority(of: &Map<String, Value>) -> Option<u16> {
    whole(of.get("priority")).and_then(|it| u16::try_from(it).ok())
}

fn task(given: &Value) -> TaskAsk {
    let text = |name: &str| given.get(name).and_then(Value::as_str).map(str::to_owned);
    let after = given.get("after").and_then(Value::as_array);
    let after = after.into_iter().flatten().filter_map(Value::as_str).map(str::to_owned);
    TaskAsk {
        id: text("id"),
        to: text("to"),
        task: text("task").unwrap_or_default(),
        after: after.collect(),
        priority: given.as_object().and_then(priority),
        impact_if_missing: text("impact_if_missing"),
        share: given.get("share").and_then(Value::as_f64),
    }
}
