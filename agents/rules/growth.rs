//! Runs that are not begun, because a count forbids another.

use callboard_config::AgentName;
use callboard_trace::{Event, FailureCode, Finished, Stop, Trouble};
use serde_json::json;

use crate::loops::Blown;
use crate::{Draft, Run, Step, answer};

/// What becomes of a handoff that would begin one run too many: the model is told, or else the
/// run ends with what it has.
pub fn creation_refused(
    run: &Run,
    draft: &Draft,
    fuse: &str,
    value: u64,
    limit: u64,
    retry_after_s: Option<u64>,
) -> Step {
    let chain = run.started.path.clone();
    let Some(call) = draft.call.clone() else {
        return Step::End(kept_back(run, draft, &allows(fuse, limit, &chain), retry_after_s));
    };
    let mut result = json!({ "error": refusal(fuse, limit, &chain) });
    if let Some(seconds) = retry_after_s {
        result["retry_after_s"] = json!(seconds);
    }
    let also = vec![Event::FuseBlown { fuse: fuse.into(), value, limit, chain }];
    Step::Answer { call, ok: false, result, also }
}

/// The end of a run whose model asked for one too many again and again.
pub(super) fn stopped(run: &Run, times: u32, last: &Blown) -> Step {
    let Blown { fuse, value, limit, chain } = last;
    let trouble = Trouble::of(
        FailureCode::Fuse,
        format!(
            "{times} creations in a row were refused, the last as number {value}: {}",
            allows(fuse, *limit, chain)
        ),
        format!(
            "its trace shows who began what; raise `{}` in `limits` of team.yaml if it is meant",
            if fuse == "spawn_rate" { "spawn_burst" } else { fuse }
        ),
    );
    Step::End(run.stopped(Stop::Loop, trouble))
}

/// What the model is told of a run that is not begun.
pub(super) fn refusal(fuse: &str, limit: u64, chain: &[AgentName]) -> String {
    format!("{}; finish the task yourself with what you have", allows(fuse, limit, chain))
}

fn allows(fuse: &str, limit: u64, chain: &[AgentName]) -> String {
    let names: Vec<&str> = chain.iter().map(AgentName::as_str).collect();
    format!("the fuse `{fuse}` allows {limit} (chain: {})", names.join(" > "))
}

/// The end of a run that has no model to be told: whole if its answer is.
fn kept_back(run: &Run, draft: &Draft, why: &str, retry_after_s: Option<u64>) -> Finished {
    let when = retry_after_s.map_or_else(String::new, |it| format!(" in {it} s"));
    let advice = format!("{} was not asked: {why}; give it the rest{when} as a task", draft.to);
    let fits = |it: &&_| answer::problem(it, run.started.answer_schema()).is_none();
    let mut end = match run.kept.as_ref().filter(fits) {
        Some(answer) => Finished::done(answer.clone()),
        None => run.stopped(
            Stop::Loop,
            Trouble {
                code: FailureCode::Fuse,
                message: format!("{} was not asked: {why}", draft.to),
                retryable: retry_after_s.is_some(),
                hint: "its trace shows who began what; raise the fuse in `limits` if it is meant"
                    .into(),
            },
        ),
    };
    end.recommendations.push(advice);
    end
}
