//! Whether a call may be made: what the permissions say, what the run has read, and what a person
//! said of exactly this act.

use callboard_config::Verdict;
use callboard_config::permit::{Deed, Object, Ruling, is_named, ruling};
use callboard_trace::Call;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::run::{Approval, Word};
use crate::toolbox::{deed_of, is_risky};
use crate::{Run, words};

/// How it begins what is said of a run that read content of others.
pub(crate) const READ: &str = "content of others has reached this run";

/// Whether the call may be made now.
pub(crate) fn is_given(run: &Run, call: &Call) -> bool {
    match judged(run, call).verdict {
        Verdict::Allow => true,
        Verdict::Ask => asked(run, call).is_some_and(|it| it.word == Word::Allowed),
        Verdict::Deny => false,
    }
}

/// What the permissions say, and then what the run has read.
pub(crate) fn judged(run: &Run, call: &Call) -> Ruling {
    let free = || Ruling { verdict: Verdict::Allow, why: String::new() };
    let Some(deed) = deed_of(run, call) else { return free() };
    let ruling = ruling(&run.started.agent, &run.started.grant, &deed);
    match run.tainted.by().filter(|_| run.started.approvals.asks_when_tainted) {
        Some(by)
            if ruling.verdict == Verdict::Allow && is_risky(&deed) && !is_known(run, &deed) =>
        {
            Ruling {
                verdict: Verdict::Ask,
                why: format!("`{}` is allowed, but {}", deed.act.word(), has_read(by)),
            }
        }
        Some(_) | None => ruling,
    }
}

/// Whether the owner, or the task as it came in, names the host that is fetched from: an address can
/// carry away what the run knows.
fn is_known(run: &Run, deed: &Deed) -> bool {
    let Object::Host(Some(host)) = &deed.object else { return false };
    let started = &run.started;
    let is_part = |it: char| it.is_alphanumeric() || ".-_".contains(it);
    let mut told = started.root_task.split(|it| !is_part(it)).map(|it| it.trim_matches('.'));
    told.any(|it| it.eq_ignore_ascii_case(host))
        || is_named(&started.agent, &started.grant, &started.approvals.hosts, deed)
}

pub(crate) fn has_read(by: &str) -> String {
    format!("{READ} by `{}` and may be what asks for this", words::shown(by))
}

/// What was asked about exactly this call.
pub(crate) fn asked<'a>(run: &'a Run, call: &Call) -> Option<&'a Approval> {
    let is_it =
        |it: &&Approval| !it.is_check && it.act.call == call.id && it.act.digest == digest(call);
    run.approvals.iter().find(is_it)
}

/// SHA-256 of a tool and its arguments, as they came.
pub(crate) fn digest(call: &Call) -> String {
    let given = call.arguments.as_ref().map_or_else(String::clone, Value::to_string);
    hash(&format!("{}\n{given}", call.tool))
}

/// The word on what a check asks about.
pub(crate) fn asked_by_check<'a>(run: &'a Run, digest: &str) -> Option<&'a Approval> {
    run.approvals.iter().find(|it| it.is_check && it.act.digest == digest)
}

/// SHA-256 (hex) of a text.
pub(crate) fn hash(text: &str) -> String {
    let hash = Sha256::digest(text);
    hash.iter().map(|it| format!("{it:02x}")).collect()
}
