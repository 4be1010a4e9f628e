//! What becomes of a run whose creation of another one was refused by a count over all runs.

use callboard_config::AgentName;
use callboard_trace::{Event, FailureCode, Finished, Stop, Trouble};
use serde_json::json;

use crate::{Draft, Run, Step, answer};

/// What a refused creation leads to: its call is answered; a handoff that no call asked for ends
/// the run with the answer it has.
pub fn creation_refused(
    run: &Run,
    draft: &Draft,
    fuse: &str,
    value: u64,
    limit: u64,
    retry_after_s: Option<u64>,
) -> Step {
    let chain = run.started.path.clone();
    let names: Vec<&str> = chain.iter().map(AgentName::as_str).collect();
    let later = retry_after_s.map_or_else(String::new, |it| format!("; again in {it} s"));
    let error = format!(
        "the fuse `{fuse}` allows {limit} (chain: {}){later}; finish the task yourself with what you have",
        names.join(" > ")
    );
    if let Some(call) = &draft.call {
        let mut result = json!({ "error": error });
        if let Some(seconds) = retry_after_s {
            result["retry_after_s"] = json!(seconds);
        }
        let also = vec![Event::FuseBlown { fuse: fuse.to_owned(), value, limit, chain }];
        return Step::Answer { call: call.clone(), ok: false, result, also };
    }
    let whole =
        run.kept.as_ref().filter(|it| answer::problem(it, &run.started.agent.output).is_none());
    let recommendation = format!("the work was to go on at {}: {error}", draft.to);
    Step::End(match whole {
        Some(answer) => {
            Finished { recommendations: vec![recommendation], ..Finished::done(answer.clone()) }
        }
        None => run.stopped(
            Stop::Loop,
            Trouble {
                code: FailureCode::Fuse,
                message: error,
                retryable: false,
                hint: "its handoffs run in circles: look at the trace".into(),
            },
        ),
    })
}
