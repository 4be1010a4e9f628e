//! A plan that an agent makes: a graph of runs below it, whose results are what its call brings.

use std::collections::HashSet;

use callboard_config::{AgentName, Mode};
use callboard_trace::{Call, PlanStep};
use serde::Deserialize;
use serde_json::Value;

use crate::plan::cycle;
use crate::rules::calls::is_passed_on;
use crate::rules::handoff::{Rejected, composed, fuse, refused};
use crate::rules::loops;
use crate::toolbox::{self, Kind};
use crate::{Draft, Run, Step};

/// Steps of one plan, and the bytes of all their tasks together.
const STEPS_MAX: usize = 500;
const BYTES_MAX: usize = 1 << 20;

/// Rule: a plan begins at once, led by a run of its own.
pub(crate) fn is_made(run: &Run) -> Option<Step> {
    let wanted = |it: &&Call| toolbox::kind(&it.tool) == Some(Kind::Plan) && !is_passed_on(run, it);
    let call = run.calls.iter().find(wanted)?;
    Some(draft(run, call).map_or_else(Rejected::step, Step::HandOff))
}

#[derive(Deserialize)]
struct Given {
    steps: Vec<GivenStep>,
}

#[derive(Deserialize)]
struct GivenStep {
    id: Option<String>,
    to: String,
    task: String,
    #[serde(default)]
    after: Vec<String>,
}

fn draft(run: &Run, call: &Call) -> Result<Draft, Rejected> {
    let given: Value = call.arguments.as_ref().ok().cloned().unwrap_or_default();
    let given: Given =
        serde_json::from_value(given).map_err(|it| refused(call, None, &it.to_string()))?;
    let steps = steps(run, given.steps).map_err(|it| refused(call, None, &it))?;
    fuse(run, call, Mode::Delegate)?;
    let ids: Vec<&str> = steps.iter().map(|it| it.id.as_str()).collect();
    let to = AgentName::parse("plan").ok_or_else(|| refused(call, None, "no plans here"))?;
    let task = format!("a plan of {}: {}", run.name(), crate::words::cut(&ids.join(", "), 200));
    Ok(Draft {
        call: Some(call.id.clone()),
        reason: "model: a plan".into(),
        mark: loops::mark(run),
        leads: steps,
        ..Draft::plain(to, task, Mode::Delegate, composed(run))
    })
}

/// The steps of a graph that holds together, or what is wrong with it.
fn steps(run: &Run, given: Vec<GivenStep>) -> Result<Vec<PlanStep>, String> {
    let bytes: usize = given.iter().map(|it| it.task.len()).sum();
    if given.is_empty() || given.len() > STEPS_MAX || bytes > BYTES_MAX {
        return Err(format!(
            "`steps` takes 1 to {STEPS_MAX}, with {BYTES_MAX} bytes of tasks in all"
        ));
    }
    let mut steps = Vec::with_capacity(given.len());
    for (nth, it) in (1..).zip(given) {
        let id = it.id.unwrap_or_else(|| nth.to_string());
        let edges = &run.started.agent.handoffs;
        let Some(edge) = edges.iter().find(|edge| edge.to.as_str() == it.to.to_lowercase()) else {
            let names: Vec<&str> = edges.iter().map(|it| it.to.as_str()).collect();
            let (name, names) = (run.name(), names.join(", "));
            return Err(format!("`{id}`: {name} gives no work to \"{}\"; allowed: {names}", it.to));
        };
        if id.is_empty() || id.chars().count() > 80 {
            return Err(format!("`steps[{nth}].id` takes 1 to 80 characters"));
        }
        if it.task.trim().is_empty() || it.task.chars().count() > 8_000 {
            return Err(format!("`{id}`: `task` takes 1 to 8,000 characters"));
        }
        steps.push(PlanStep {
            id,
            to: edge.to.clone(),
            task: it.task,
            after: it.after,
            priority: None,
            weight: 1.0,
            impact_if_missing: None,
            share: None,
        });
    }
    holds_together(&steps)?;
    Ok(steps)
}

fn holds_together(steps: &[PlanStep]) -> Result<(), String> {
    let mut ids = HashSet::new();
    if let Some(twice) = steps.iter().find(|it| !ids.insert(it.id.as_str())) {
        return Err(format!("the step `{}` is there twice", twice.id));
    }
    for step in steps {
        if let Some(need) = step.after.iter().find(|it| !ids.contains(it.as_str())) {
            return Err(format!("`{}` is after `{need}`, which is no step", step.id));
        }
    }
    match cycle(steps) {
        Some(chain) => Err(format!("steps wait for each other: {}", chain.join(" → "))),
        None => Ok(()),
    }
}
