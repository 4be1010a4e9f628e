//! Circles: a path of agents that comes round, a call or a reply that comes again and again.

use callboard_config::AgentName;
use callboard_trace::{Event, FailureCode, Stop, Trouble};
use serde_json::{Value, json};

use crate::loops::{Blown, CALLS, CALLS_ALL, LAPS, LOOP, REPLIES};
use crate::rules::calls;
use crate::{Run, Step, same};

/// Agents in the longest lap that is looked for.
const LAP_MAX: usize = 6;
/// What the note is called that an answer becomes when a trigger passes the work on.
pub(super) const ANSWER_OF: &str = "answer of";

/// What there is to show, as a hash: notes, findings and verdicts, and behind a dot the files as
/// whoever wrote some last left them. An answer that was only worded anew is nothing new.
pub(crate) fn mark(run: &Run) -> String {
    let is_answer = |name: &str| name.strip_prefix("notes/").unwrap_or(name).starts_with(ANSWER_OF);
    let notes = run.artifacts.iter().filter(|it| !is_answer(&it.name));
    let mut known: Vec<String> = notes.map(|it| it.id.clone()).collect();
    let ends = run.children.iter().filter_map(|it| it.end.as_ref()?.answer.as_ref());
    for answer in ends.chain(&run.kept) {
        let fields = ["verdict", "findings"].into_iter().filter_map(|it| answer.get(it));
        known.extend(fields.map(Value::to_string));
    }
    known.sort();
    known.dedup();
    let known = same::short(&known.join("\n"));
    written(run).map_or_else(|| known.clone(), |files| format!("{known}.{files}"))
}

/// The files that the run wrote, as a hash; if it wrote none, what those before it left.
fn written(run: &Run) -> Option<String> {
    if run.written.is_empty() {
        return Some(run.started.marks.last()?.split_once('.')?.1.to_owned());
    }
    let files: Vec<String> =
        run.written.iter().map(|(path, hash)| format!("{path} {hash}")).collect();
    Some(same::short(&files.join("\n")))
}

/// The lap that the path would end with if the work went on to that agent, where that is one
/// too many: the first with nothing new, or more than `laps` with something.
pub(super) fn lap(run: &Run, to: &AgentName) -> Option<Blown> {
    let mut chain = run.started.path.clone();
    chain.push(to.clone());
    let times = run.loops.rounds() + 1;
    if run.loops.is_closed(to) {
        return Some(Blown::round(times, run.loops.circle().cloned().unwrap_or(chain)));
    }
    let limit = u64::from(run.started.fuses.repeats.laps);
    for length in 1..=LAP_MAX {
        let laps = laps(&chain, length);
        if laps > 0 && !has_progressed(run, length) {
            return Some(Blown::round(times, chain));
        }
        if laps > limit {
            return Some(Blown { fuse: LAPS.into(), value: laps, limit, chain });
        }
    }
    None
}

/// Rule: who goes on in circles after being told is stopped.
pub(crate) fn is_over(run: &Run) -> Option<Step> {
    if run.loops.is_over {
        return run.loops.blown.as_ref().map(|it| stopped(run, it));
    }
    let limit = run.started.fuses.repeats.replies.max(2);
    let value = run.loops.replies();
    let chain = run.started.path.clone();
    let (fuse, value, limit) = (REPLIES.into(), u64::from(value), u64::from(limit));
    (value >= limit).then(|| Step::Record(event(&Blown { fuse, value, limit, chain })))
}

/// Rule: a call that came often enough is not done again, and the model is told.
pub(crate) fn is_a_repeat(run: &Run) -> Option<Step> {
    let mut open = run.calls.iter().filter(|it| !calls::is_begun(run, it));
    open.find_map(|call| {
        let blown = repeat(run, &same::call(call)?)?;
        let error = format!(
            "not done again: {}; its result stands above, so go on with that or do something else",
            said(&blown)
        );
        let result = json!({ "error": error, "repeated": blown.value });
        Some(Step::Answer { call: call.id.clone(), ok: false, result, also: vec![event(&blown)] })
    })
}

/// The end of a run that goes in circles.
pub(super) fn stopped(run: &Run, blown: &Blown) -> Step {
    let trouble = Trouble::of(
        FailureCode::Loop,
        said(blown),
        match blown.fuse.as_str() {
            LOOP => {
                "its trace shows the circle; work comes round only with something new: a note, a \
                finding, a file"
                    .into()
            }
            fuse => format!(
                "its trace shows the circle; raise `{fuse}` in `limits` of team.yaml if it is meant"
            ),
        },
    );
    Step::End(run.stopped(Stop::Loop, trouble))
}

/// The record of it.
pub(super) fn event(blown: &Blown) -> Event {
    let Blown { fuse, value, limit, chain } = blown.clone();
    Event::FuseBlown { fuse, value, limit, chain }
}

/// What came how often, with the limit and the chain.
pub(super) fn said(blown: &Blown) -> String {
    let Blown { fuse, value, limit, chain } = blown;
    let what = match fuse.as_str() {
        LOOP => "the work went round with nothing new",
        LAPS => "the work went round",
        CALLS => "the same call came in a row",
        REPLIES => "the same reply came in a row",
        _ => "the same call came",
    };
    let names: Vec<&str> = chain.iter().map(AgentName::as_str).collect();
    let times = if *value == 1 { "once".to_string() } else { format!("{value} times") };
    let limit = match fuse.as_str() {
        LOOP => "the fuse `loop` allows none of that".to_string(),
        _ => format!("the fuse `{fuse}` is {limit}"),
    };
    format!("{what} {times}, and {limit} (chain: {})", names.join(" > "))
}

/// The fuse that one more of a call reaches, or the circle by which the work failed that it gave away.
/// Zero and one both mean that nothing comes twice.
fn repeat(run: &Run, call: &str) -> Option<Blown> {
    if let Some(chain) = run.loops.circles.get(call).cloned() {
        return Some(Blown::round(run.loops.rounds() + 1, chain));
    }
    let (row, all) = run.loops.with(call);
    let limits = run.started.fuses.repeats;
    let counts = [(CALLS, row, limits.calls), (CALLS_ALL, all, limits.calls_all)];
    let (fuse, value, limit) =
        counts.into_iter().find(|(_, value, limit)| value >= limit.max(&2))?;
    let chain = run.started.path.clone();
    Some(Blown { fuse: fuse.into(), value: value.into(), limit: limit.into(), chain })
}

/// How often the end of a path of that length repeats the part before it.
fn laps(path: &[AgentName], length: usize) -> u64 {
    let mut parts = path.rchunks_exact(length);
    let last = parts.next();
    parts.take_while(|it| Some(*it) == last).count() as u64
}

/// Whether there is something new since the work was a lap before; where nobody wrote it down,
/// there may be.
fn has_progressed(run: &Run, length: usize) -> bool {
    let marks = &run.started.marks;
    let before = marks.len().checked_sub(length).map(|at| &marks[at]);
    before.is_none_or(|it| it.is_empty() || *it != mark(run))
}
