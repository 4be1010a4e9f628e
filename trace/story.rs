//! The journal as text, one line a record: for people, and for golden tests.

use serde_json::Value;

use crate::{
    Action, Control, Event, Failure, Finish, Finished, Handoff, ModelReplied, PlanStep, Purpose,
    Record, RunId, Started, StepBegun, Work,
};

/// Characters of one line of the story.
const LINE_MAX: usize = 400;
/// Characters of one part of it.
const PART_MAX: usize = 100;

/// The records as lines, in the order given.
pub fn story(records: &[Record]) -> String {
    let mut text = String::new();
    for record in records {
        text.push_str(&story_line(record));
        text.push('\n');
    }
    text
}

/// One record as one line of at most 400 characters: the short run name, the agent, and what
/// happened.
pub fn story_line(record: &Record) -> String {
    let who = record.agent.as_ref().map_or("-", |it| it.as_str());
    flat(&format!("{} {who}: {}", short(&record.run), told(&record.event, &record.by)), LINE_MAX)
}

/// A run's name, short enough for people: `r_7k2m`.
pub fn short(run: &RunId) -> &str {
    head(run.as_str())
}

fn told(event: &Event, by: &str) -> String {
    match event {
        Event::TaskAccepted(task) => format!("accepted from {}: {}", line(by), line(&task.text)),
        Event::RunStarted(started) => begun(started),
        Event::StepBegun(step) => step_begun(step),
        Event::ModelReplied(reply) => replied(reply),
        Event::ToolReturned { step, ok, result, .. } => {
            let how = if *ok { "returned" } else { "refused" };
            format!("step {step} {how}: {}", value(result))
        }
        Event::StepFailed(failure) => failed(failure),
        Event::HandedOff(handoff) => handed_off(handoff),
        Event::HandoffAccepted { .. } => "accepted the handoff".into(),
        Event::HandoffRefused { run, reason, .. } => {
            format!("handoff refused by {}: {}", short(run), line(reason))
        }
        Event::HandoffFailed { to, stage, reason, .. } => {
            format!("handoff to {to} failed (stage {stage}): {}", line(reason))
        }
        Event::ChildEnded { child, agent, end, .. } => {
            format!("told that {agent} ({}) ended {}", short(child), tag(&end.state))
        }
        Event::Noted { slot, key, artifact, .. } => {
            format!("noted {} ({})", line(&format!("{slot}/{key}")), head(artifact))
        }
        Event::QuestionAsked { prompt, options, .. } if options.is_empty() => {
            format!("asks: {}", line(prompt))
        }
        Event::QuestionAsked { prompt, options, .. } => {
            format!("asks: {} [{}]", line(prompt), line(&options.join(", ")))
        }
        Event::QuestionClosed { answer: Some(answer), .. } => {
            format!("question closed: {}", line(answer))
        }
        Event::QuestionClosed { answer: None, .. } => "question withdrawn".into(),
        Event::FuseBlown { fuse, value, limit, .. } => {
            format!("fuse {} blown: {value} over {limit}", line(fuse))
        }
        Event::Checked { check, place, verdict, reasons, .. } => {
            checked(check, place, verdict, &reasons.join("; "))
        }
        Event::Controlled(control) => controlled(control, by),
        Event::RunEnded(end) => ended(end),
        Event::NodeStarted { version, .. } => format!("process started, version {}", line(version)),
        Event::NodeStopped { reason, .. } => format!("process stopped: {}", line(reason)),
        Event::TeamLoaded { agents, problems, .. } => {
            format!("team loaded: {} agents, {} problems", agents.len(), problems.len())
        }
        Event::PlanMade { steps, .. } => {
            format!("plan made: {} tasks", PlanStep::read(steps).len())
        }
        Event::AdmissionChanged { .. }
        | Event::Routed(_)
        | Event::PlanChanged { .. }
        | Event::RankSet(_)
        | Event::Embedded { .. }
        | Event::StepWaiting(_)
        | Event::StepDecided { .. }
        | Event::LimitsLearned { .. }
        | Event::BreakerChanged { .. }
        | Event::Forgotten { .. }
        | Event::BudgetAlerted { .. }
        | Event::BudgetSet { .. }
        | Event::Checkpointed { .. }
        | Event::Delivered { .. }
        | Event::CallerLeft { .. }
        | Event::Exported { .. }
        | Event::DayClosed { .. } => aside(event).unwrap_or_else(|| plainly(event)),
    }
}

/// What is observed beside a run's own doing.
fn aside(event: &Event) -> Option<String> {
    Some(if let Event::Routed(it) = event {
        let way = if it.way.is_empty() { &it.arm } else { &it.way };
        format!("routed to {}, {}: complexity {:.2}", it.to, line(way).replace('_', " "), it.score)
    } else if let Event::RankSet(it) = event {
        format!("priority {} ({})", it.base, line(&it.source))
    } else if let Event::StepWaiting(it) = event {
        let eta = it.eta_s.map_or_else(String::new, |it| format!(", about {it:.1} s"));
        let ahead = if it.ahead > 0 { format!(", {} ahead", it.ahead) } else { String::new() };
        format!("step {} waits for {}{ahead}{eta}", it.step, line(&it.resource))
    } else if let Event::StepDecided { step, decision } = event {
        format!("step {step} is decided: {}", line(decision))
    } else if let Event::BreakerChanged { resource, from, to, failures } = event {
        let [what, from, to] = [resource, from, to].map(|it| line(it));
        format!("breaker of {what} after {failures} failures: {from}, now {to}")
    } else if let Event::BudgetAlerted { node, dimension, used, limit, .. } = event {
        format!("of the {}'s budget {used} of {limit} {} are used", line(node), line(dimension))
    } else if let Event::Delivered { to, .. } = event {
        format!("its end was told to {}", line(to))
    } else if let Event::CallerLeft { after_s } = event {
        format!("its caller left after {after_s} s")
    } else {
        return None;
    })
}

/// The kind and its fields, for what needs no words of its own.
fn plainly(event: &Event) -> String {
    let mut fields = serde_json::to_value(event).unwrap_or_default();
    if let Some(fields) = fields.as_object_mut() {
        fields.shift_remove("kind");
    }
    format!("{}: {}", event.kind(), value(&fields))
}

fn begun(started: &Started) -> String {
    let task = line(&started.task);
    match started.handoff.as_ref().filter(|it| it.step.is_none()) {
        Some(handoff) => format!("started, handed over by {}: {task}", line(&handoff.source)),
        None => format!("started: {task}"),
    }
}

fn checked(check: &str, place: &str, verdict: &str, why: &str) -> String {
    let why = if why.is_empty() { String::new() } else { format!(": {}", line(why)) };
    format!("checked {} ({}): {}{why}", line(place), line(check), line(verdict))
}

fn controlled(control: &Control, by: &str) -> String {
    let mut text = format!("{} by {}", tag(&control.action), line(by));
    if !control.value.is_null() && control.action != Action::Retry {
        text.push_str(&format!(", {}", value(&control.value)));
    }
    if !control.reason.is_empty() {
        text.push_str(&format!(": {}", line(&control.reason)));
    }
    text
}

fn step_begun(begun: &StepBegun) -> String {
    let again =
        if begun.attempt > 1 { format!(" (attempt {})", begun.attempt) } else { String::new() };
    let what = match &begun.work {
        Work::Model { provider, model, purpose, .. } => {
            let why = match purpose {
                Purpose::Turn => String::new(),
                Purpose::Finalise => " for its last turn".into(),
                Purpose::Repair { problem } => format!(" to mend its answer: {}", line(problem)),
                Purpose::Judge { check, place, .. } => {
                    format!(" to judge the {} ({})", line(place), line(check))
                }
                Purpose::Summarise { to, trigger } => {
                    format!(" for a summary to {to} (trigger: {})", line(trigger))
                }
            };
            format!("asks {}{why}", line(&format!("{provider}/{model}")))
        }
        // The names of a server's own tools name it.
        Work::Tool { tool, server: Some(server), .. } if !tool.starts_with("mcp__") => {
            format!("asks {} for {}", line(server), line(tool))
        }
        Work::Tool { tool, arguments, .. } => format!("calls {} {}", line(tool), value(arguments)),
    };
    let stead = begun.stead.as_ref().map_or_else(String::new, |it| {
        format!(", on {} in the place of {}", line(&it.resource), line(&it.of))
    });
    format!("step {} {what}{again}{stead}", begun.step)
}

fn replied(reply: &ModelReplied) -> String {
    let step = reply.step;
    if !reply.calls.is_empty() {
        let names: Vec<&str> = reply.calls.iter().map(|it| it.tool.as_str()).collect();
        return format!("step {step} model wants {}", line(&names.join(", ")));
    }
    let cut = match &reply.finish {
        Finish::Stop | Finish::ToolCalls => String::new(),
        Finish::Length => " (cut)".into(),
        Finish::ContentFilter => " (declined)".into(),
        Finish::Other(why) => format!(" ({})", line(why)),
    };
    format!("step {step} model said{cut}: {}", line(&reply.text))
}

fn failed(failure: &Failure) -> String {
    let after = if failure.retry_at.is_some() { ", will be tried again" } else { "" };
    let (step, code) = (failure.step, tag(&failure.code));
    format!("step {step} failed ({code}{after}): {}", line(&failure.message))
}

fn handed_off(handoff: &Handoff) -> String {
    if let Some(step) = &handoff.step {
        let (step, to, run) = (line(step), &handoff.target, short(&handoff.run));
        return format!("task {step} begins with {to} ({run}): {}", line(&handoff.task));
    }
    let mode = match handoff.mode {
        callboard_config::Mode::Transfer => "handed off",
        callboard_config::Mode::Delegate => "delegated",
    };
    let (to, run, reason) = (&handoff.target, short(&handoff.run), line(&handoff.reason));
    format!("{mode} to {to} ({run}), {reason}: {}", line(&handoff.summary.must_know))
}

fn ended(end: &Finished) -> String {
    format!("ended {} ({}): {}", tag(&end.state), tag(&end.stop), line(end.summary()))
}

/// The word a value is written as.
pub(crate) fn tag(value: &impl serde::Serialize) -> String {
    let value = serde_json::to_value(value).unwrap_or_default();
    value.as_str().map_or_else(|| value.to_string(), str::to_string)
}

/// A value on one line, at most 100 characters.
fn value(value: &Value) -> String {
    match value.get("error").and_then(Value::as_str) {
        Some(error) => line(error),
        None => line(&value.to_string()),
    }
}

/// The first six bytes of a name, or less where that would cut a letter.
fn head(name: &str) -> &str {
    &name[..name.floor_char_boundary(6)]
}

/// A text on one line, at most 100 characters.
pub(crate) fn line(text: &str) -> String {
    flat(text, PART_MAX)
}

/// A text without what breaks a line, moves a cursor or turns the direction of reading.
fn flat(text: &str, most: usize) -> String {
    let breaks = |it: char| {
        it.is_control() || matches!(it, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    let mut plain = text.chars().map(|it| if breaks(it) { ' ' } else { it });
    let mut flat: String = plain.by_ref().take(most).collect();
    if plain.next().is_some() {
        flat.push('…');
    }
    flat
}
