//! One run, told to people or as one line of JSON.

use callboard_trace::{RunView, State, Stop};
use serde_json::{Map, Value};

use super::say::Say;
use crate::paint::{Paint, clean, one_line};

/// Artifacts named in one view.
const ARTIFACTS: usize = 5;

/// The view as one line of JSON.
pub(crate) fn line(view: &RunView) -> String {
    serde_json::to_string(view).unwrap_or_default()
}

/// An answer of the caller's own schema.
pub(crate) fn json(answer: &Value, say: Say) -> String {
    let text = format!("{answer:#}");
    if say.out_terminal { clean(&text) } else { text }
}

/// What the agent answered, and the fields of its role below; nothing if there is no answer. What only
/// says why there is none stands in the summary.
pub(crate) fn result(view: &RunView, say: Say) -> Option<String> {
    let is_error = |it: &&String| view.error.as_ref().is_some_and(|error| error.message == **it);
    let mut parts: Vec<String> = Vec::new();
    parts.extend(view.result.as_ref().filter(|it| !is_error(it)).cloned());
    let fields = view.answer.as_ref().and_then(said);
    parts.extend(fields.and_then(|it| serde_json::to_string_pretty(&it).ok()));
    let text = parts.join("\n\n");
    if text.is_empty() {
        return None;
    }
    Some(if say.out_terminal { clean(&text) } else { text })
}

/// The fields of an answer that say something; nothing if none does.
fn said(answer: &Value) -> Option<Value> {
    let is_empty = |it: &Value| match it {
        Value::Null => true,
        Value::Array(items) => items.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::String(_) => false,
    };
    let fields = answer.as_object()?.iter().filter(|(_, it)| !is_empty(it));
    let fields: Map<String, Value> = fields.map(|(key, it)| (key.clone(), it.clone())).collect();
    (!fields.is_empty()).then_some(Value::Object(fields))
}

/// How it came out, in one line and one more for each thing somebody should know.
pub(crate) fn summary(view: &RunView, paint: Paint) -> String {
    let mut lines = vec![head(view, paint)];
    if let Some(error) = &view.error {
        lines.push(format!("  error: {}", one_line(&error.message, 400)));
        if !error.hint.is_empty() {
            lines.push(format!("  help: {}", one_line(&error.hint, 400)));
        }
    }
    for it in &view.missing {
        lines.push(format!("  missing: {}: {}; {}", it.agent, one_line(&it.error, 200), it.impact));
    }
    for it in &view.recommendations {
        lines.push(format!("  recommended: {}", one_line(it, 400)));
    }
    for it in &view.questions {
        let options = if it.options.is_empty() {
            String::new()
        } else {
            format!(" ({})", it.options.join(" | "))
        };
        lines.push(format!("  asks {}:{options}", it.id));
        lines.extend(clean(&it.prompt).lines().map(|line| format!("    {line}")));
    }
    for it in view.artifacts.iter().take(ARTIFACTS) {
        let name = one_line(&it.name, 80);
        lines.push(format!("  artifact: {name}, {} bytes: callboard read {}", it.bytes, it.uri));
    }
    let more = view.artifacts.len().saturating_sub(ARTIFACTS);
    if more > 0 {
        lines.push(format!("  and {more} more: callboard read team://runs/{}/artifacts", view.run));
    }
    for it in &view.notices {
        lines.push(format!("  note: {}", one_line(it, 400)));
    }
    lines.join("\n")
}

fn head(view: &RunView, paint: Paint) -> String {
    let mut facts = vec![format!("{:.1}s", view.elapsed_s)];
    if view.handoffs > 0 {
        facts.push(counted(u64::from(view.handoffs), "handoff"));
    }
    facts.push(counted(view.cost.tokens, "token"));
    facts.extend(view.cost.usd.map(|it| format!("${it:.4}")));
    let stop = view.stop.filter(|it| *it != Stop::Done).map_or_else(String::new, |it| {
        serde_json::to_value(it)
            .ok()
            .and_then(|it| Some(format!(" ({})", it.as_str()?)))
            .unwrap_or_default()
    });
    format!(
        "{}{stop}  {}  {}  {}",
        state(view.state, paint),
        paint.bold(view.agent.as_str()),
        facts.join(", "),
        paint.dim(view.run.as_str())
    )
}

fn counted(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// The state in its own word and its own colour.
pub(crate) fn state(state: State, paint: Paint) -> String {
    match state {
        State::Queued => paint.dim("queued"),
        State::Working => paint.yellow("working"),
        State::InputRequired => paint.yellow("input_required"),
        State::Halted => paint.yellow("halted"),
        State::Completed => paint.green("completed"),
        State::Partial => paint.yellow("partial"),
        State::Failed => paint.red("failed"),
        State::Cancelled => paint.dim("cancelled"),
    }
}

/// Everything that is known of a run, open or over.
pub(crate) fn whole(view: &RunView, full: bool, say: Say) -> String {
    let mut lines = vec![summary(view, say.out_paint)];
    if let Some(step) = &view.step {
        lines.push(format!("  step {}", one_line(step, 200)));
    }
    if let Some(queue) = &view.queue {
        let ahead = queue.pos.map_or_else(String::new, |it| format!(", {it} before it"));
        let verb = if queue.waiting_for.starts_with("paused") { "is" } else { "waits for" };
        lines.push(format!("  {verb} {}{ahead}", queue.waiting_for));
    }
    if let Some(next) = &view.next {
        lines.push(format!("  next: {}", one_line(next, 400)));
    }
    let result = if full { result(view, say) } else { view.result.as_deref().map(clean) };
    lines.extend(result.map(|it| format!("\n{it}")));
    lines.join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn plain() -> Say {
        let paint = Paint::new(false);
        Say {
            quiet: false,
            verbose: false,
            out_paint: paint,
            paint,
            out_terminal: true,
            terminal: false,
            width: None,
        }
    }

    #[test]
    fn a_run_that_is_not_whole_says_what_is_missing_and_what_to_do() {
        let view: RunView = serde_json::from_value(json!({
            "run": "r_7k2m", "state": "partial", "stop": "turns", "agent": "reviewer",
            "result": "half\u{1b}[2J of it", "answer": {"items": [], "verdict": "changes"},
            "error": {"code": "fuse", "message": "20 turns are over", "retryable": true,
                "hint": "raise max_turns"},
            "missing": [{"agent": "tester", "error": "declined", "impact": "nobody tested it"}],
            "recommendations": ["ask again with less"],
            "questions": [{"id": "q_a", "kind": "choice", "prompt": "go on?", "options": ["yes", "no"]}],
            "cost": {"usd": 0.0412, "tokens": 18230}, "handoffs": 1, "elapsed_s": 71.23,
            "notices": ["r_x completed, unread"]
        }))
        .expect("a view");
        insta::assert_snapshot!(whole(&view, true, plain()), @r#"
        partial (turns)  reviewer  71.2s, 1 handoff, 18230 tokens, $0.0412  r_7k2m
          error: 20 turns are over
          help: raise max_turns
          missing: tester: declined; nobody tested it
          recommended: ask again with less
          asks q_a: (yes | no)
            go on?
          note: r_x completed, unread

        half[2J of it

        {
          "verdict": "changes"
        }
        "#);
    }

    #[test]
    fn a_queued_run_says_what_it_waits_for() {
        let view: RunView = serde_json::from_value(json!({
            "run": "r_7k2m", "state": "queued", "agent": "coder", "step": "3: note",
            "queue": {"pos": 4, "waiting_for": "a seat"}, "next": "team_status {\"run\":\"r_7k2m\"}",
            "cost": {"tokens": 1}, "handoffs": 0, "elapsed_s": 0.5
        }))
        .expect("a view");
        insta::assert_snapshot!(whole(&view, false, plain()), @r#"
        queued  coder  0.5s, 1 token  r_7k2m
          step 3: note
          waits for a seat, 4 before it
          next: team_status {"run":"r_7k2m"}
        "#);
    }
}
