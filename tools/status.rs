//! `team_status`: where a run stands, seen from several sides, or the whole team at a glance.

use callboard_config::{Limits, permit};
use callboard_scheduler::{AgentLine, Desk, Refusal, RefusalCode};
use callboard_trace::{Caller, Cost, Record, RunId, Spent, story_line};
use serde_json::{Value, json};

use crate::call::Asked;
use crate::check::{Result, refused};
use crate::fields::{Field, run, wait_s};
use crate::follow::{body, follow, whole};
use crate::handoffs::Handoffs;
use crate::steps::Steps;

/// Its name.
pub(crate) const NAME: &str = "team_status";
/// What a model is told of it.
pub(crate) const SAYS: &str = "With `run`: waits for news and shows it, or another view. \
     Without: unread results, agents, queue, runs.";
/// Records of a page, unless the caller says otherwise.
const PAGE: u32 = 50;
/// Records of the largest page.
const PAGE_MAX: u32 = 200;

/// The sides from which a run, or the team, can be seen.
const VIEWS: [&str; 8] =
    ["summary", "steps", "trace", "handoffs", "cost", "why", "agents", "queue"];

/// What it takes.
pub(crate) fn fields(limits: &Limits) -> Vec<Field> {
    let view = json!({"type": "string", "enum": VIEWS});
    let after = json!({"type": "integer", "minimum": 0});
    let limit = json!({"type": "integer", "minimum": 1, "maximum": PAGE_MAX});
    vec![
        run(),
        Field {
            write: format!("seconds to wait for news, 0..{}", limits.wait_max_s),
            ..wait_s(limits)
        },
        Field::optional("view", view, VIEWS.join(", ")),
        Field::optional("after", after, "`next` of the page before"),
        Field::optional("limit", limit, format!("how many, 1..{PAGE_MAX}")),
    ]
}

/// Shows what was asked for.
///
/// # Errors
/// `not_found` for a run that is not the caller's, `invalid_input` where run and view do not fit.
pub(crate) async fn apply(asked: Asked<'_>) -> Result<Value> {
    let Asked { desk, arguments, caller, patience, .. } = asked;
    let text = |name: &str| arguments.get(name).and_then(Value::as_str);
    let view = text("view").unwrap_or(VIEWS[0]);
    let Some(run) = text("run") else { return team(desk, view, caller).await };
    let run = RunId::from_text(run);
    if matches!(view, "agents" | "queue") {
        let problem = format!("view: \"{view}\" is of the whole team; leave out run");
        return Err(refused(NAME, vec![problem]));
    }
    let wait_s = whole(arguments.get("wait_s"));
    if view == VIEWS[0] {
        let seen = follow(desk, &run, caller, wait_s, patience).await?;
        return Ok(Value::Object(body(desk, &seen)));
    }
    if wait_s.is_some_and(|it| it > 0) {
        follow(desk, &run, caller, wait_s, patience).await?;
    }
    let after = whole(arguments.get("after")).unwrap_or(0);
    let limit = whole(arguments.get("limit")).and_then(|it| u32::try_from(it).ok());
    of_run(desk, &run, caller, view, (after, limit.unwrap_or(PAGE))).await
}

/// A side of one run.
pub(crate) async fn of_run(
    desk: &Desk,
    run: &RunId,
    caller: &Caller,
    view: &str,
    (after, limit): (u64, u32),
) -> Result<Value> {
    let mut shown = json!({ "run": run });
    let part = match view {
        "trace" => trace(desk, run, caller, after, limit).await?,
        "steps" => match desk.plan_steps(run, caller, after, limit).await? {
            Some((steps, next)) => {
                let mut page = json!({ "steps": steps });
                if let Some(next) = next {
                    page["next"] = json!(next);
                }
                page
            }
            None => {
                let mut steps = Steps::new(after, limit);
                desk.walk(run, caller, |it| steps.take(it)).await?;
                steps.page()
            }
        },
        "handoffs" => {
            let mut handoffs = Handoffs::new(after, limit);
            desk.walk(run, caller, |it| handoffs.take(it)).await?;
            handoffs.page()
        }
        "why" => json!(desk.why(run, caller).await?),
        _ => cost(desk, run, caller).await?,
    };
    if let (Value::Object(shown), Value::Object(part)) = (&mut shown, part) {
        shown.extend(part);
    }
    Ok(shown)
}

async fn cost(desk: &Desk, run: &RunId, caller: &Caller) -> Result<Value> {
    let mut spent: Vec<Spent> = Vec::new();
    let walk = |it: &Record| {
        Spent::take(&mut spent, it);
        true
    };
    desk.walk(run, caller, walk).await?;
    let used = spent.iter().map(|it| it.usage.input.saturating_add(it.usage.output));
    let tokens = used.fold(0, u64::saturating_add);
    let view = desk.view(run, caller).await?;
    let cost = Cost { tokens, ..view.cost };
    Ok(json!({"cost": cost, "agents": spent}))
}

async fn team(desk: &Desk, view: &str, caller: &Caller) -> Result<Value> {
    if !matches!(view, "summary" | "agents" | "queue") {
        let problem = format!("run: missing; \"{view}\" is of one run, name it");
        return Err(refused(NAME, vec![problem]));
    }
    of_team(desk, view, caller).await
}

/// A side of the team.
pub(crate) async fn of_team(desk: &Desk, view: &str, caller: &Caller) -> Result<Value> {
    let board = match view {
        "agents" => desk.board_of_agents(caller).await?,
        _ => desk.board(caller).await?,
    };
    let shown = match view {
        "agents" => {
            let team = desk.team();
            let described = |line: &AgentLine| {
                let known = team.agents.get(&line.name);
                let mut shown = json!(line);
                if let Some(known) = known {
                    shown["description"] = json!(known.description);
                    let to: Vec<_> = known.handoffs.iter().map(|it| &it.to).collect();
                    shown["handoffs"] = json!(to);
                    shown["permissions"] = permit::effective(&team, known);
                }
                shown
            };
            json!({"agents": board.agents.iter().map(described).collect::<Vec<_>>()})
        }
        "queue" => json!({"queue": board.queue}),
        "runs" => json!({"runs": board.runs}),
        _ => serde_json::to_value(board).map_err(|error| {
            Refusal::new(RefusalCode::Internal, format!("the board cannot be shown: {error}"), "")
        })?,
    };
    Ok(shown)
}

/// A page of the story: one line a record.
async fn trace(desk: &Desk, run: &RunId, caller: &Caller, after: u64, limit: u32) -> Result<Value> {
    let page = desk.page(run, caller, after, limit).await?;
    let lines: Vec<String> =
        page.records.iter().map(|(_, it)| story_line(&desk.told(it))).collect();
    let mut shown = json!({ "trace": lines });
    if let Some(next) = page.next {
        shown["next"] = json!(next);
    }
    Ok(shown)
}
