//! `guardrails` as they are written, in `team.yaml` and in agent files: read strictly in both, since
//! a check that is not made is worse than a team that does not start.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::Value as Json;

use crate::fields::Fields;
use crate::form;
use crate::guards::{Border, Guard, Kind, OnFail, Personal};
use crate::nearest::did_you_mean;
use crate::place::{At, Sink};
use crate::units::{OneOf, Seconds, Unit};
use crate::written_applies::{AppliesTo, applies_to};
use crate::yaml::{Node, Value};

const BORDERS: [&str; 5] = ["input", "tool_call", "tool_result", "handoff", "output"];
const KINDS: [&str; 11] = [
    "size",
    "pattern",
    "banned",
    "schema",
    "secrets",
    "personal",
    "required",
    "evidence",
    "tests_pass",
    "judge",
    "approval",
];
const ACTIONS: [&str; 8] = ["retry", "repair", "block", "stop", "redact", "flag", "warn", "ask"];
const PERSONAL: [&str; 5] = ["email", "phone", "iban", "card", "national_id"];
/// Checks of one list.
const GUARDS: usize = 100;
/// Bytes that a compiled pattern may take.
const PATTERN_BYTES: usize = 1 << 20;
/// Seconds that a judge may take.
const TIMEOUT_S: u64 = 60;
/// The least score that passes.
const PASS: f64 = 0.7;

/// One check, as written; for the schema of the files.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "guardrail", deny_unknown_fields)]
#[expect(dead_code, reason = "stands here for the schema; the keys are read one by one")]
pub(crate) struct WrittenGuard {
    /// What records and messages call it. Default: its kind and place.
    name: Option<String>,
    /// Where it stands.
    on: Border,
    /// What it looks for.
    kind: KindWord,
    /// What becomes of what does not pass. `repair` is `retry`, `warn` is `flag`. Default: `retry`
    /// for output, else `block`.
    on_fail: Option<Action>,
    /// Time that a judge may take, 60 s.
    timeout_s: Option<Seconds>,
    /// The agents and tools it is about. Default: all.
    applies_to: Option<AppliesTo>,
    /// `size`: letters, at least.
    min: Option<u64>,
    /// `size`: letters, at most.
    max: Option<u64>,
    /// `pattern`: one of these has to be found.
    allow: Option<OneOf<Vec<String>, String>>,
    /// `pattern`: none of these may be.
    deny: Option<OneOf<Vec<String>, String>>,
    /// `banned`: words that may not stand there.
    words: Option<OneOf<Vec<String>, String>>,
    /// `schema`: the JSON Schema.
    schema: Option<BTreeMap<String, Json>>,
    /// `personal`: which data. Default: all.
    data: Option<OneOf<Vec<Personal>, String>>,
    /// `required`: paths such as `/findings/0` or `findings.0`.
    paths: Option<OneOf<Vec<String>, String>>,
    /// `judge`: an agent, or an alias of `models`.
    by: Option<String>,
    /// `judge`: what is judged.
    criteria: Option<String>,
    /// `judge`: the least score that passes, 0.7.
    #[schemars(range(min = 0, max = 1))]
    pass: Option<f64>,
}

/// The words of `kind`.
#[derive(Clone, Copy, Debug, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum KindWord {
    Size,
    Pattern,
    Banned,
    Schema,
    Secrets,
    Personal,
    Required,
    Evidence,
    TestsPass,
    Judge,
    Approval,
}

/// The words of `on_fail`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub(crate) enum Action {
    Retry,
    Repair,
    Block,
    Stop,
    Redact,
    Flag,
    Warn,
    Ask,
}

/// One check that was read; its judge and agents are looked up when all are known.
#[derive(Clone, Debug)]
pub(crate) struct Read {
    pub(crate) guard: Guard,
    pub(crate) by: Option<At<String>>,
    pub(crate) agents: Option<Vec<At<String>>>,
}

/// Reads a list of checks; whatever is wrong is in `sink`.
pub(crate) fn read(outer: &Fields<'_>) -> Vec<Read> {
    let Some(node) = outer.node("guardrails") else { return vec![] };
    let Value::List(items) = &node.value else {
        outer.expected(node, "guardrails", "a list of checks", "write `- {on: output, kind: ..}`");
        return vec![];
    };
    if items.len() > GUARDS {
        outer.wrong(node, "guardrails", &format!("holds {}, more than {GUARDS}", items.len()), "");
        return vec![];
    }
    let mut all: Vec<Read> = Vec::new();
    for (at, item) in items.iter().enumerate() {
        let path = outer.name(&format!("guardrails[{at}]"));
        let Some(read) = one(item, path, outer.sink) else { continue };
        if all.iter().any(|it| it.guard.name == read.guard.name) {
            let said = format!("a second check is named \"{}\"", read.guard.name);
            outer.sink.push(item.place.error(said, "give it another `name`"));
        }
        all.push(read);
    }
    all
}

fn one(node: &Node, path: String, sink: &Sink) -> Option<Read> {
    let fields = Fields::open(node, path, sink);
    for key in ["on", "kind"] {
        if matches!(node.value, Value::Map(_)) && fields.node(key).is_none() {
            let words = if key == "on" { BORDERS.join(", ") } else { KINDS.join(", ") };
            fields.wrong(node, key, "is missing", &format!("write one of {words}"));
        }
    }
    let on = fields.choice::<Border>("on", &BORDERS);
    let word = fields.choice::<KindWord>("kind", &KINDS);
    let name = fields.text("name");
    let timeout_s = fields.whole("timeout_s", Unit::Seconds, 1..=3_600);
    let action = fields.choice::<Action>("on_fail", &ACTIONS);
    let (agents, tools) = applies_to(&fields);
    let (kind, by) = word.as_ref().map_or((None, None), |it| kind(it.value, node, &fields));
    // Also in files where other keys are left alone: this one would not be acted on.
    let known = fields.known();
    for (key, place) in fields.rest() {
        let near = did_you_mean(key, known.iter().map(String::as_str));
        let said = format!("key `{}` is not known there{near}", fields.name(key));
        sink.push(place.error(said, ""));
    }
    let (on, word, kind) = (on?.value, word?.value, kind?);
    let on_fail = on_fail(action.as_ref(), on, &kind, &fields)?;
    if tools.is_some() && !matches!(on, Border::ToolCall | Border::ToolResult) {
        fields.wrong(node, "applies_to.tools", "is only for tool_call and tool_result", "");
    }
    let is_of_answers = matches!(word, KindWord::Evidence | KindWord::TestsPass);
    if is_of_answers && on != Border::Output {
        fields.wrong(node, "kind", "of that name is only for output", "write `on: output`");
    }
    let usual = || format!("{}_{}", spelt(word), on.as_str());
    let guard = Guard {
        name: name.map_or_else(usual, |it| it.value),
        on,
        kind,
        on_fail,
        timeout_s: timeout_s.map_or(TIMEOUT_S, |it| it.value),
        tools: tools.unwrap_or_default().into_iter().map(|it| it.value).collect(),
    };
    Some(Read { guard, by, agents })
}

/// The word of a kind, as it is written.
fn spelt(word: KindWord) -> &'static str {
    KINDS[word as usize]
}

fn kind(word: KindWord, node: &Node, fields: &Fields<'_>) -> (Option<Kind>, Option<At<String>>) {
    let lacks = |key: &str, help: &str| {
        fields.wrong(node, key, "is missing", help);
        None
    };
    let texts = |key: &str| -> Vec<String> {
        let all = fields.node(key).map(|it| match it.text() {
            // A pattern may hold a comma.
            Some(_) => fields.text_of(it, key).into_iter().collect(),
            None => fields.texts_of(it, key),
        });
        all.into_iter().flatten().map(|it| it.value).collect()
    };
    let kind = match word {
        KindWord::Size => {
            let of = |key| fields.whole(key, Unit::Count, 0..=u64::MAX).map(|it| it.value);
            let (min, max) = (of("min"), of("max"));
            if min.zip(max).is_some_and(|(min, max)| min > max) {
                fields.wrong(node, "min", "is more than `max`", "");
                return (None, None);
            }
            if min.is_none() && max.is_none() {
                return (lacks("max", "write `max: LETTERS`, or `min`"), None);
            }
            Some(Kind::Size { min, max })
        }
        KindWord::Pattern => {
            let (allow, deny) = (texts("allow"), texts("deny"));
            if allow.is_empty() && deny.is_empty() {
                return (lacks("deny", "write `deny: PATTERN`, or `allow`"), None);
            }
            let fits = ["allow", "deny"].map(|key| compiles(key, fields));
            fits.iter().all(|it| *it).then_some(Kind::Pattern { allow, deny })
        }
        KindWord::Banned => {
            let words: Vec<String> =
                fields.texts("words").into_iter().flatten().map(|it| it.value).collect();
            if words.is_empty() {
                return (lacks("words", "write `words: [one, two]`"), None);
            }
            Some(Kind::Banned { words })
        }
        KindWord::Schema => {
            let Some(written) = fields.node("schema") else {
                return (lacks("schema", "write a JSON Schema"), None);
            };
            let schema = written.json();
            let problem = form::problem(&schema);
            if let Some(problem) = &problem {
                fields.wrong(written, "schema", &format!("cannot be used: {problem}"), "");
            }
            problem.is_none().then_some(Kind::Schema { schema })
        }
        KindWord::Secrets => Some(Kind::Secrets),
        KindWord::Personal => Some(Kind::Personal { data: personal(fields) }),
        KindWord::Required => {
            let paths: Vec<String> = texts("paths").iter().map(|it| pointer(it)).collect();
            if paths.is_empty() {
                return (lacks("paths", "write `paths: [/findings/0]`"), None);
            }
            Some(Kind::Required { paths })
        }
        KindWord::Evidence => Some(Kind::Evidence),
        KindWord::TestsPass => Some(Kind::TestsPass),
        KindWord::Judge => return judge(fields, &lacks),
        KindWord::Approval => Some(Kind::Approval),
    };
    (kind, None)
}

fn judge(
    fields: &Fields<'_>,
    lacks: &dyn Fn(&str, &str) -> Option<Kind>,
) -> (Option<Kind>, Option<At<String>>) {
    let (criteria, by) = (fields.text("criteria"), fields.text("by"));
    let pass = fields.real("pass", 0.0..=1.0).map_or(PASS, |it| it.value);
    if criteria.is_none() {
        lacks("criteria", "say what is judged");
    }
    if by.is_none() {
        return (lacks("by", "name an agent, or an alias of `models`"), None);
    }
    let kind = criteria.map(|it| Kind::Judge {
        by: String::new(),
        instructions: String::new(),
        criteria: it.value,
        pass,
        models: vec![],
    });
    (kind, by)
}

fn personal(fields: &Fields<'_>) -> Vec<Personal> {
    let Some(node) = fields.node("data") else { return vec![] };
    let Value::List(items) = &node.value else {
        return fields.choice_of(node, "data", &PERSONAL).map(|it| it.value).into_iter().collect();
    };
    items
        .iter()
        .filter_map(|it| fields.choice_of(it, "data", &PERSONAL).map(|it| it.value))
        .collect()
}

/// Whether all patterns of a key are regular expressions that take linear time.
fn compiles(key: &str, fields: &Fields<'_>) -> bool {
    let Some(node) = fields.node(key) else { return true };
    let items = match &node.value {
        Value::List(items) => items.as_slice(),
        Value::Null
        | Value::Flag(_)
        | Value::Whole(_)
        | Value::Real(_)
        | Value::Text(_)
        | Value::Map(_) => std::slice::from_ref(node),
    };
    let mut fit = true;
    for item in items {
        let Some(text) = item.text() else { continue };
        if let Err(error) = regex::RegexBuilder::new(text).size_limit(PATTERN_BYTES).build() {
            let said = error.to_string();
            let why = said.lines().last().unwrap_or_default().trim_start_matches("error: ");
            let help = "patterns have no look-around and no back-references";
            fields.wrong(item, key, &format!("is no pattern: {why}"), help);
            fit = false;
        }
    }
    fit
}

/// `findings.0.evidence` means `/findings/0/evidence`.
fn pointer(written: &str) -> String {
    if written.starts_with('/') {
        written.to_owned()
    } else {
        format!("/{}", written.replace('.', "/"))
    }
}

/// What is done where, as far as it can be done there.
fn on_fail(
    written: Option<&At<Action>>,
    on: Border,
    kind: &Kind,
    fields: &Fields<'_>,
) -> Option<OnFail> {
    let usual = if on == Border::Output { OnFail::Retry } else { OnFail::Block };
    let Some(written) = written else { return Some(usual) };
    let (action, problem) = match written.value {
        Action::Retry | Action::Repair if on != Border::Output => {
            (OnFail::Retry, Some("is only for output: elsewhere the model is told of a `block`"))
        }
        Action::Retry | Action::Repair => (OnFail::Retry, None),
        Action::Block => (OnFail::Block, None),
        Action::Stop => (OnFail::Stop, None),
        Action::Redact if !kind.names_parts() => (
            OnFail::Redact,
            Some(
                "needs a check that names what offends: pattern with deny, banned, secrets, personal",
            ),
        ),
        Action::Redact if matches!(on, Border::ToolCall | Border::Handoff) => (
            OnFail::Redact,
            Some("is not done to what an agent says: `block` has it say something else"),
        ),
        Action::Redact => (OnFail::Redact, None),
        Action::Flag | Action::Warn => (OnFail::Flag, None),
        Action::Ask => (OnFail::Ask, None),
    };
    match problem {
        None => Some(action),
        Some(problem) => {
            let said = format!("`{}` of that name {problem}", fields.name("on_fail"));
            fields.sink.push(written.place.error(said, ""));
            None
        }
    }
}
