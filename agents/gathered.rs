//! What a plan came to, also where it was cut off: the results there are, and what is missing.

use callboard_trace::{EndState, FailureCode, Finished, Missing, Stop, Trouble};
use serde_json::{Map, Value, json};

use crate::advice::advice;
use crate::plan::{Counts, Place, Plan, RESULTS_MAX, Standing};
use crate::words;

/// Steps told by name where something is missing.
const MISSING_MAX: usize = 50;
/// Of those, in one sentence.
const NAMED: usize = 5;

/// The end of a plan: whole if every step did all it was to, else with what came of it.
pub(crate) fn gathered(plan: &Plan) -> Finished {
    let Counts { good, bad, left_out, .. } = plan.counts();
    let all = plan.places().len();
    let mut end = Finished::done(answer(plan));
    let part = n_part(plan);
    if good - part < all || all == 0 {
        end.state = if good > 0 { EndState::Partial } else { EndState::Failed };
        let trouble = trouble(plan, (bad, left_out, part));
        end.stop = if trouble.code == FailureCode::Budget { Stop::Budget } else { Stop::Error };
        end.missing = missing(plan);
        end.recommendations = recommendations(plan);
        end.error = Some(trouble);
    }
    end
}

/// The end of a plan that was asked to finish before all its steps had begun.
pub(crate) fn asked_to_finish(plan: &Plan) -> Finished {
    let end = gathered(plan);
    let cut_off = plan.places().iter().filter(|it| is_cut_off(it)).count();
    if end.state == EndState::Completed || cut_off == 0 {
        return end;
    }
    let trouble = Trouble::of(
        FailureCode::Cancelled,
        format!("asked to finish: {cut_off} tasks were not begun"),
        "give those that are missing in a new plan",
    );
    Finished { error: Some(trouble), ..end }
}

fn answer(plan: &Plan) -> Value {
    let told = plan.places().iter().filter(|it| it.head.is_some());
    let results: Map<String, Value> = told.take(RESULTS_MAX).map(line).collect();
    let (n_told, n_good) = (results.len(), plan.counts().good);
    let mut answer =
        json!({"summary": summary(plan), "confidence": confidence(plan), "results": results});
    if n_told < n_good {
        answer["more"] = json!(format!(
            "{n_told} of {n_good} results stand here; view steps names the run of each task, and \
             reading a run shows its whole answer"
        ));
    }
    answer
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
    let (all, part) = (plan.places().len(), n_part(plan));
    if good - part == all {
        return match plan.places() {
            [one] => one.head.clone().unwrap_or_default(),
            _ => format!("all {all} tasks ended well"),
        };
    }
    let names = |is: fn(&Place) -> bool| {
        let mut ids = plan.places().iter().filter(|it| is(it)).map(|it| it.step.id.as_str());
        let first: Vec<&str> = ids.by_ref().take(NAMED).collect();
        let more = if ids.next().is_some() { ", …" } else { "" };
        format!("{}{more}", first.join(", "))
    };
    let mut text = format!("{} of {all} tasks ended well", good - part);
    if part > 0 {
        text.push_str(&format!("; {part} in part: {}", names(is_part)));
    }
    if bad > 0 {
        text.push_str(&format!("; {bad} failed: {}", names(is_bad)));
    }
    if left_out > 0 {
        let out = names(|it| it.standing == Standing::LeftOut);
        text.push_str(&format!("; {left_out} left out: {out}"));
    }
    let cut_off = all - good - bad - left_out;
    if cut_off > 0 {
        text.push_str(&format!("; {cut_off} not done: {}", names(is_cut_off)));
    }
    words::cut(&text, 1_000)
}

fn is_cut_off(place: &Place) -> bool {
    matches!(place.standing, Standing::Waiting | Standing::Ready | Standing::Open)
}

/// It gave something usable and not all it was to.
fn is_part(place: &Place) -> bool {
    place.standing == Standing::Ended(EndState::Partial)
}

fn n_part(plan: &Plan) -> usize {
    plan.places().iter().filter(|it| is_part(it)).count()
}

fn is_lacking(place: &Place) -> bool {
    let is_left_out = place.standing == Standing::LeftOut;
    is_bad(place) || is_part(place) || is_cut_off(place) || is_left_out
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
    // The sum of nothing is a negative zero.
    if all > 0.0 { (sum / all * 100.0).round() / 100.0 + 0.0 } else { 0.0 }
}

fn missing(plan: &Plan) -> Vec<Missing> {
    let lacking = plan.places().iter().filter(|it| is_lacking(it));
    let told = |place: &Place| {
        let step = &place.step;
        let error = match (place.blamed, &place.trouble) {
            (Some(at), _) => format!("left out: it needs {}", plan.place(at).step.id),
            (None, Some(trouble)) => trouble.message.clone(),
            (None, None) if is_cut_off(place) => "the plan ended before it was done".into(),
            (None, None) if is_part(place) => "it came to a part only".into(),
            (None, None) => "it came to nothing".into(),
        };
        let how = if is_part(place) { "done in part" } else { "not done" };
        let usual = || format!("task {} is {how}: {}", step.id, words::cut(&step.task, 200));
        let impact = step.impact_if_missing.clone().unwrap_or_else(usual);
        Missing { agent: step.to.clone(), error, impact }
    };
    lacking.take(MISSING_MAX).map(told).collect()
}

/// What to do about the first steps that came to nothing, by their causes; and that a person may
/// give what any step that is missing should have given.
fn recommendations(plan: &Plan) -> Vec<String> {
    let told = |place: &Place| {
        let trouble = place.trouble.as_deref();
        let hint = trouble.map(|it| it.hint.clone()).filter(|it| !it.is_empty());
        let what = trouble.and_then(advice).or(hint);
        let again = || "give the task again, to another agent".to_string();
        format!("{}: {}", place.step.id, what.unwrap_or_else(again))
    };
    let bad = plan.places().iter().filter(|it| is_bad(it) || is_part(it)).take(NAMED).map(told);
    let lacking = plan.places().iter().filter(|it| is_lacking(it));
    let names: Vec<&str> = lacking.take(NAMED).map(|it| &*it.step.id).collect();
    let person = format!("a person may give what is missing: {}", names.join(", "));
    bad.chain((!names.is_empty()).then_some(person)).collect()
}

fn trouble(plan: &Plan, (bad, left_out, part): (usize, usize, usize)) -> Trouble {
    let ended = |is: fn(&Place) -> bool| plan.places().iter().find(|it| is(it));
    let first = ended(is_bad).or_else(|| ended(is_part)).and_then(|it| it.trouble.as_ref());
    let failed = || format!("{bad} of {} tasks failed", plan.places().len());
    let left = || format!("{left_out} that need others were left out");
    let in_part = || format!("{part} came to a part only");
    Trouble {
        code: first.map_or(FailureCode::Internal, |it| it.code),
        message: [(bad, &failed as &dyn Fn() -> String), (left_out, &left), (part, &in_part)]
            .iter()
            .filter_map(|(n, told)| (*n > 0).then(told))
            .collect::<Vec<_>>()
            .join(", "),
        retryable: first.is_some_and(|it| it.retryable),
        hint: "`team_status` with view steps shows each; give those that failed again".into(),
    }
}
