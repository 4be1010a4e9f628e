//! `team_status`: where a run stands, seen from several sides, or the whole team at a glance.

use callboard_config::Limits;
use callboard_scheduler::{Desk, Refusal, RefusalCode};
use callboard_trace::{Caller, Record, RunId, story_line};
use serde_json::{Map, Value, json};

use crate::call::Patience;
use crate::check::refused;
use crate::fields::{self, Field, run, wait_s};
use crate::follow::{body, follow, whole};
use crate::published::{Annotations, Published};
use crate::{handoffs, steps};

/// Its name.
pub(crate) const NAME: &str = "team_status";
/// Records of a page, unless the caller says otherwise.
const PAGE: u32 = 50;
/// Records of the largest page.
const PAGE_MAX: u32 = 200;
/// Pages that one view is folded from.
const PAGES_MAX: usize = 100;

/// The sides from which a run, or the team, can be seen.
const VIEWS: [&str; 7] = ["summary", "steps", "trace", "handoffs", "cost", "agents", "queue"];

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

/// How it is published.
pub(crate) fn published(limits: &Limits) -> Published {
    Published {
        name: NAME.to_owned(),
        description: "With `run`: waits for news and shows it, or its steps, trace, handoffs or \
                      cost. Without: agents, queue, recent runs."
            .to_owned(),
        input_schema: fields::shown(&fields(limits)),
        annotations: Annotations {
            read_only_hint: Some(true),
            idempotent_hint: Some(true),
            open_world_hint: Some(false),
            ..Annotations::default()
        },
    }
}

/// Shows what was asked for.
///
/// # Errors
/// `not_found` for a run that is not the caller's, `invalid_input` where run and view do not fit.
pub(crate) async fn apply(
    desk: &Desk,
    arguments: &Map<String, Value>,
    caller: &Caller,
    patience: &Patience,
) -> Result<Value, Refusal> {
    let text = |name: &str| arguments.get(name).and_then(Value::as_str);
    let view = text("view").unwrap_or(VIEWS[0]);
    let Some(run) = text("run") else { return team(desk, view, caller).await };
    let run = RunId::from_text(run);
    if matches!(view, "agents" | "queue") {
        let problem = format!("view: \"{view}\" is of the whole team; leave out run");
        return Err(refused(NAME, vec![problem]));
    }
    let wait_s = match view {
        "summary" => whole(arguments.get("wait_s")),
        _ => Some(whole(arguments.get("wait_s")).unwrap_or(0)),
    };
    let seen = follow(desk, &run, caller, wait_s, patience).await?;
    let after = whole(arguments.get("after")).unwrap_or(0);
    let limit = whole(arguments.get("limit")).and_then(|it| u32::try_from(it).ok());
    let limit = limit.unwrap_or(PAGE);
    match view {
        "trace" => trace(desk, &run, caller, after, limit).await,
        "steps" => {
            if let Some((steps, next)) = desk.plan_steps(&run, caller, after, limit).await? {
                let mut shown = json!({"run": run, "steps": steps});
                if let Some(next) = next {
                    shown["next"] = json!(next);
                }
                return Ok(shown);
            }
            let all = records(desk, &run, caller).await?;
            Ok(part(&run, "steps", steps::steps(&all), after, limit))
        }
        "handoffs" => {
            let all = records(desk, &run, caller).await?;
            Ok(part(&run, "handoffs", handoffs::handoffs(&all), after, limit))
        }
        "cost" => {
            let all = records(desk, &run, caller).await?;
            Ok(json!({"run": run, "cost": seen.cost, "agents": callboard_trace::spent(&all)}))
        }
        _ => Ok(Value::Object(body(&seen))),
    }
}

async fn team(desk: &Desk, view: &str, caller: &Caller) -> Result<Value, Refusal> {
    if !matches!(view, "summary" | "agents" | "queue") {
        let problem = format!("run: missing; \"{view}\" is of one run, name it");
        return Err(refused(NAME, vec![problem]));
    }
    let board = desk.board(caller).await?;
    let shown = match view {
        "agents" => {
            let team = desk.team();
            let described = |line: &callboard_scheduler::AgentLine| {
                let known = team.agents.get(&line.name);
                let mut shown = json!(line);
                if let Some(known) = known {
                    shown["description"] = json!(known.description);
                    let to: Vec<_> = known.handoffs.iter().map(|it| &it.to).collect();
                    shown["handoffs"] = json!(to);
                }
                shown
            };
            json!({"agents": board.agents.iter().map(described).collect::<Vec<_>>()})
        }
        "queue" => json!({"queue": board.queue}),
        _ => serde_json::to_value(board).map_err(|error| {
            Refusal::new(RefusalCode::Internal, format!("the board cannot be shown: {error}"), "")
        })?,
    };
    Ok(shown)
}

/// A page of the story: one line a record.
async fn trace(
    desk: &Desk,
    run: &RunId,
    caller: &Caller,
    after: u64,
    limit: u32,
) -> Result<Value, Refusal> {
    let page = desk.page(run, caller, after, limit).await?;
    let lines: Vec<String> = page.records.iter().map(|(_, it)| story_line(it)).collect();
    let mut shown = json!({"run": run, "trace": lines});
    if let Some(next) = page.next {
        shown["next"] = json!(next);
    }
    Ok(shown)
}

/// Every record of the run's tree, up to a bound.
async fn records(desk: &Desk, run: &RunId, caller: &Caller) -> Result<Vec<Record>, Refusal> {
    let mut all = Vec::new();
    let mut after = 0;
    for _ in 0..PAGES_MAX {
        let page = desk.page(run, caller, after, PAGE_MAX).await?;
        all.extend(page.records.into_iter().map(|(_, record)| record));
        match page.next {
            Some(next) => after = next,
            None => break,
        }
    }
    Ok(all)
}

/// The entries after `after`, and where to go on.
fn part(run: &RunId, name: &str, entries: Vec<Value>, after: u64, limit: u32) -> Value {
    let n_all = entries.len() as u64;
    let n_shown = u64::from(limit);
    let skip = usize::try_from(after).unwrap_or(usize::MAX);
    let shown: Vec<Value> = entries.into_iter().skip(skip).take(limit as usize).collect();
    let mut body = json!({"run": run, name: shown});
    if after.saturating_add(n_shown) < n_all {
        body["next"] = json!(after + n_shown);
    }
    body
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_list_is_told_in_parts() {
        let run = RunId::from_text("r_a");
        let entries = || (0..5).map(|it| json!(it)).collect::<Vec<_>>();
        let first = part(&run, "steps", entries(), 0, 2);
        assert_eq!(first, json!({"run": "r_a", "steps": [0, 1], "next": 2}));
        let last = part(&run, "steps", entries(), 4, 2);
        assert_eq!(last, json!({"run": "r_a", "steps": [4]}));
        let beyond = part(&run, "steps", entries(), u64::MAX, 2);
        assert_eq!(beyond, json!({"run": "r_a", "steps": []}));
    }
}
