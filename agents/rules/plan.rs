//! The run that leads a plan: it has no model, starts what may begin, and gathers what came of it.

use callboard_config::Mode;
use callboard_trace::{EndState, FailureCode, Finished, MadeBy, Missing, Stop, Summary, Trouble};
use serde_json::{Map, Value, json};

use crate::plan::{Counts, Place, Plan, RESULTS_MAX, Standing};
use crate::rules::outside::until_too_late;
use crate::step::Declared;
use crate::{Draft, Run, Step, words};

/// Steps under way at once. The seats decide how many are at work; this bounds what one write
/// starts, and what waits in the queue.
const OPEN_MAX: usize = 500;
/// Steps told by name where something is missing.
const MISSING_MAX: usize = 50;

/// Rule: a step whose needs have ended well begins, the most urgent first.
pub(crate) fn starts(run: &Run) -> Option<Step> {
    let plan = run.plan.as_ref().filter(|it| it.counts().open < OPEN_MAX)?;
    if run.control.finish {
        return None;
    }
    let place = plan.first_ready()?;
    let step = &place.step;
    Some(Step::HandOff(Draft {
        id: None,
        to: step.to.clone(),
        call: None,
        task: step.task.clone(),
        mode: Mode::Delegate,
        summary: inherited(plan, place),
        artifacts: Vec::new(),
        reason: format!("plan:{}", step.id),
        made_by: MadeBy::Engine,
        also: Vec::new(),
        plan: Some(Declared { step: step.id.clone(), priority: step.priority }),
    }))
}

/// Rule: steps under way are waited for.
pub(crate) fn is_at_it(run: &Run) -> Option<Step> {
    run.plan.as_ref().filter(|it| it.counts().open > 0).map(|_| until_too_late(run))
}

/// Rule: with the last step the plan ends: whole, or with what came of it.
pub(crate) fn is_done(run: &Run) -> Option<Step> {
    let plan = run.plan.as_ref()?;
    let Counts { good, bad, left_out, .. } = plan.counts();
    let all = plan.places().len();
    let mut end = Finished::done(answer(plan));
    if good < all || all == 0 {
        end.state = if good > 0 { EndState::Partial } else { EndState::Failed };
        end.stop = Stop::Error;
        end.missing = missing(plan);
        end.recommendations = recommendations(plan);
        end.error = Some(trouble(plan, bad, left_out));
        if run.control.finish {
            end.error = Some(asked_to_finish(all - good - bad - left_out));
        }
    }
    Some(Step::End(end))
}

/// What a step gets of the steps it waited for.
fn inherited(plan: &Plan, place: &Place) -> Summary {
    let results: Vec<String> = plan.needs(&place.step).map(result_of).collect();
    let names = place.step.after.join(", ");
    let did = if names.is_empty() { String::new() } else { format!("ended before: {names}") };
    Summary { did, must_know: results.join("\n"), ..Summary::default() }
}

fn result_of(place: &Place) -> String {
    let is_part = place.standing == Standing::Ended(EndState::Partial);
    let how = if is_part { " (in part)" } else { "" };
    let run = place.run.as_ref().map_or_else(String::new, |it| format!(", whole: read {it}"));
    let head = place.head.as_deref().unwrap_or_default();
    format!("{} by {}{how}{run}: {head}", place.step.id, place.step.to)
}

fn answer(plan: &Plan) -> Value {
    let told = plan.places().iter().filter(|it| it.head.is_some());
    let results: Map<String, Value> = told.take(RESULTS_MAX).map(line).collect();
    json!({"summary": summary(plan), "confidence": confidence(plan), "results": results})
}

fn line(place: &Place) -> (String, Value) {
    let state = match place.standing {
        Standing::Ended(state) => json!(state),
        Standing::Waiting | Standing::Ready | Standing::Open | Standing::LeftOut => json!("open"),
    };
    let (run, result) = (&place.run, &place.head);
    (place.step.id.clone(), json!({"run": run, "state": state, "result": result}))
}

fn summary(plan: &Plan) -> String {
    let Counts { good, bad, left_out, .. } = plan.counts();
    let all = plan.places().len();
    if good == all {
        return match plan.places() {
            [one] => one.head.clone().unwrap_or_default(),
            _ => format!("all {all} tasks ended well"),
        };
    }
    let names = |is: fn(&Place) -> bool| {
        let ids: Vec<&str> = plan.places().iter().filter(|it| is(it)).map(id).take(5).collect();
        ids.join(", ")
    };
    let mut text = format!("{good} of {all} tasks ended well");
    if bad > 0 {
        text.push_str(&format!("; {bad} failed: {}", names(is_bad)));
    }
    if left_out > 0 {
        let out = names(|it| it.standing == Standing::LeftOut);
        text.push_str(&format!("; {left_out} were left out: {out}"));
    }
    words::cut(&text, 1_000)
}

fn id(place: &Place) -> &str {
    &place.step.id
}

fn is_bad(place: &Place) -> bool {
    matches!(place.standing, Standing::Ended(EndState::Failed | EndState::Cancelled))
}

/// Of all the weight there is, as much as was brought in, each by its own confidence.
fn confidence(plan: &Plan) -> f64 {
    let all: f64 = plan.places().iter().map(|it| it.step.weight).sum();
    let good =
        plan.places().iter().filter(|it| matches!(it.standing, Standing::Ended(_)) && !is_bad(it));
    let sum: f64 = good.map(|it| it.step.weight * it.confidence).sum();
    if all > 0.0 { (sum / all * 100.0).round() / 100.0 } else { 0.0 }
}

fn missing(plan: &Plan) -> Vec<Missing> {
    let lacking = plan.places().iter().filter(|it| {
        let is_begun = !matches!(it.standing, Standing::Waiting | Standing::Ready);
        is_bad(it) || it.standing == Standing::LeftOut || !is_begun
    });
    let told = |place: &Place| {
        let step = &place.step;
        let error = match (place.blamed, &place.trouble) {
            (Some(at), _) => format!("left out: it needs {}", plan.place(at).step.id),
            (None, Some(trouble)) => trouble.message.clone(),
            (None, None) => "it was not begun, or came to nothing".into(),
        };
        let impact = format!("task {} is not done: {}", step.id, words::cut(&step.task, 200));
        Missing { agent: step.to.clone(), error, impact }
    };
    lacking.take(MISSING_MAX).map(told).collect()
}

fn recommendations(plan: &Plan) -> Vec<String> {
    let bad = plan.places().iter().filter(|it| is_bad(it));
    let told = |place: &Place| {
        let hint = place.trouble.as_ref().map(|it| it.hint.as_str()).filter(|it| !it.is_empty());
        format!("{}: {}", place.step.id, hint.unwrap_or("give the task again, to another agent"))
    };
    bad.take(5).map(told).collect()
}

fn asked_to_finish(unbegun: usize) -> Trouble {
    Trouble {
        code: FailureCode::Cancelled,
        message: format!("asked to finish: {unbegun} tasks were not begun"),
        retryable: false,
        hint: "give those that are missing in a new plan".into(),
    }
}

fn trouble(plan: &Plan, bad: usize, left_out: usize) -> Trouble {
    let first = plan.places().iter().find(|it| is_bad(it)).and_then(|it| it.trouble.as_ref());
    Trouble {
        code: first.map_or(FailureCode::Internal, |it| it.code),
        message: format!("{bad} tasks failed and {left_out} that need them were left out"),
        retryable: first.is_some_and(|it| it.retryable),
        hint: "`team_status` with view steps shows each; give those that failed again".into(),
    }
}
