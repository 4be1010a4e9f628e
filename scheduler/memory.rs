//! What runs find in memory, and what the owner does with it.

use callboard_agents::concepts::{Lexicon, overlap};
use callboard_store::look::{Asked, Found};
use callboard_store::{RunRow, Store};
use callboard_trace::memory::{Body, MEMORY, Provenance, Source};
use callboard_trace::{Event, Fact, Record, RunId, Taint};
use chrono::{DateTime, Utc};
use serde_json::{Value, json};

use crate::desk::Desk;
use crate::refusal::{Result, Stored};
use crate::{Refusal, RefusalCode};

/// What is shown of each kind.
const SHOWN: usize = 5;
/// How much tasks have in common whose results are shown.
const ALIKE: f64 = 0.35;
/// Results of so many days are looked through, in microseconds.
const SINCE: i64 = 30 * 86_400_000_000;
/// Words that are looked for.
const WORDS: usize = 32;
/// Characters of an owner's key and text.
const KEY: usize = 80;
const TEXT: usize = 2_000;

/// What concerns a run, as its call wants it.
pub(crate) async fn look(
    store: &Store,
    lexicon: &Lexicon,
    row: &RunRow,
    wanted: &Value,
) -> Stored<Value> {
    let text = |name: &str| wanted.get(name).and_then(Value::as_str);
    let task = text("task").unwrap_or_default();
    let exchanges = wanted.get("exchanges").and_then(Value::as_u64).unwrap_or_default();
    let exchanges = u32::try_from(exchanges).unwrap_or(u32::MAX);
    let is_wide = wanted.get("workspace").and_then(Value::as_bool).unwrap_or_default();
    let asked = Asked {
        workspace: row.workspace.clone(),
        principal: row.principal.clone(),
        session: text("session").map(|it| (it.to_owned(), exchanges)),
        words: if is_wide { words(lexicon, task) } else { Vec::new() },
        since: row.created.saturating_sub(SINCE),
        agent: text("agent").filter(|_| is_wide).map(str::to_owned),
    };
    Ok(told(&store.recall(asked).await?, lexicon, task))
}

/// The words of a task that mean something, as they stand there and as what they stand for.
fn words(lexicon: &Lexicon, text: &str) -> Vec<String> {
    let split = text.split(|it: char| !it.is_alphanumeric()).filter(|it| !it.is_empty());
    let meant = split.filter(|it| !lexicon.of(it).is_empty()).map(str::to_lowercase);
    let mut words: Vec<String> = meant.chain(lexicon.of(text)).collect();
    words.sort();
    words.dedup();
    words.truncate(WORDS);
    words
}

/// What was found, each thing once and no more than is shown.
fn told(found: &Found, lexicon: &Lexicon, task: &str) -> Value {
    let concepts = lexicon.of(task);
    let mut result = json!({});
    let mut put = |name: &str, all: Vec<&Record>, told: fn(&Record) -> Option<Value>| {
        if let (None, Some(by)) = (result.get(Taint::MARK), all.iter().find_map(|it| taint(it))) {
            result[Taint::MARK] = json!(by);
        }
        let told: Vec<Value> = all.into_iter().filter_map(told).collect();
        if !told.is_empty() {
            result[name] = Value::Array(told);
        }
    };
    put("session", found.session.iter().collect(), output);
    let is_told = |it: &Record| found.session.iter().any(|told| told.run == it.run);
    let mut related: Vec<(f64, &Record)> = found
        .related
        .iter()
        .filter(|it| !is_told(it))
        .map(|it| (overlap(&concepts, &lexicon.of(field(it, "task"))), it))
        .filter(|it| it.0 >= ALIKE)
        .collect();
    // The order of the search decides between equals.
    related.sort_by(|one, other| other.0.total_cmp(&one.0));
    related.truncate(SHOWN);
    let is_related = |it: &Record| related.iter().any(|told| told.1.run == it.run);
    let own = found.own.iter().filter(|it| !is_told(it) && !is_related(it));
    put("own", own.collect(), output);
    put("related", related.iter().map(|it| it.1).collect(), output);
    let shared = |it: &Record| {
        let Event::Noted { key, tags, value, .. } = &it.event else { return 0 };
        let said = Body::read(value).map(|it| it.text).unwrap_or_default();
        let about = lexicon.of_all(&format!("{key} {} {said}", tags.join(" ")));
        concepts.iter().filter(|it| about.contains(it)).count()
    };
    let mut memory: Vec<(usize, &Record)> =
        found.memory.iter().map(|it| (shared(it), it)).collect();
    memory.sort_by_key(|it| std::cmp::Reverse(it.0));
    memory.truncate(SHOWN);
    // What the owner wrote goes before what agents did.
    memory.sort_by_key(|it| provenance(it.1).is_some_and(|it| it.source != Source::Owner));
    put(MEMORY, memory.into_iter().map(|it| it.1).collect(), entry);
    result
}

/// The tool that brought content of others into it.
fn taint(record: &Record) -> Option<&str> {
    let Event::Noted { taint, .. } = &record.event else { return None };
    taint.as_deref()
}

fn provenance(record: &Record) -> Option<&Provenance> {
    let Event::Noted { provenance, .. } = &record.event else { return None };
    provenance.as_deref()
}

fn field<'a>(record: &'a Record, name: &str) -> &'a str {
    let Event::Noted { value, .. } = &record.event else { return "" };
    value.get(name).and_then(Value::as_str).unwrap_or_default()
}

fn output(record: &Record) -> Option<Value> {
    let from = provenance(record)?;
    let (task, result) = (field(record, "task"), field(record, "result"));
    Some(json!({
        "run": from.run, "agent": from.agent, "at": day(from.at), "task": task, "result": result,
        "taint": from.taint,
    }))
}

fn entry(record: &Record) -> Option<Value> {
    let Event::Noted { key, value, .. } = &record.event else { return None };
    let from = provenance(record)?;
    Some(json!({
        "key": key, "body": value, "by": from.agent, "at": day(from.at), "taint": from.taint,
    }))
}

fn day(at: i64) -> String {
    let at: Option<DateTime<Utc>> = DateTime::from_timestamp_micros(at);
    at.map_or_else(String::new, |it| it.format("%Y-%m-%d").to_string())
}

impl Desk {
    /// The entries of the team's workspace as objects `{key, text, at, tags?, caller?, agent?, run?,
    /// expires?, taint?}`, newest first; with words, those that hold one of them, the
    /// best match first.
    ///
    /// # Errors
    /// `engine_unavailable`.
    pub async fn remembered(&self, search: Option<&str>) -> Result<Vec<Value>> {
        let words = search.map(|it| it.split_whitespace().map(str::to_owned).collect());
        let found =
            self.house.store.remembered(&self.team().workspace, words.unwrap_or_default()).await?;
        Ok(found.into_iter().filter_map(|(caller, it)| remembered(&caller, &it)).collect())
    }

    /// Remembers something as the owner, for every caller, until it is forgotten.
    ///
    /// # Errors
    /// `invalid_input`; `engine_unavailable`.
    pub async fn remember(&self, key: &str, text: &str, tags: &[String]) -> Result<()> {
        let mut problems = Vec::new();
        for (name, text, most) in [("key", key, KEY), ("text", text, TEXT)] {
            let length = text.chars().count();
            if text.trim().is_empty() || length > most {
                problems.push(format!("{name}: {length} characters, 1 to {most} are taken"));
            }
        }
        if !problems.is_empty() {
            let hint = "nothing was kept; write less, or put the whole into a file";
            let refusal = Refusal::new(RefusalCode::InvalidInput, "this is no entry", hint);
            return Err(Refusal { problems, ..refusal });
        }
        let at = self.house.world.now();
        let of = self.house.world.name("m_");
        let value = Body { text: text.to_owned(), of: of.clone() }.value();
        let run = RunId::from_text(of);
        let (agent, source) = (String::new(), Source::Owner);
        let provenance = Provenance { run, step: 0, agent, at, taint: false, source };
        let noted = Event::Noted {
            slot: MEMORY.into(),
            key: key.into(),
            artifact: String::new(),
            value,
            confidence: None,
            taint: None,
            provenance: Some(Box::new(provenance)),
            tags: tags.to_vec(),
            expires: None,
        };
        self.keep(noted).await
    }

    /// Erases what is remembered under that key, whoever wrote it.
    ///
    /// # Errors
    /// `not_found` if nothing is; `engine_unavailable`.
    pub async fn forget(&self, key: &str) -> Result<()> {
        if !self.remembered(None).await?.iter().any(|it| it["key"] == key) {
            let message = format!("nothing is remembered under \"{key}\"");
            let hint = "`callboard memory list` shows what is";
            return Err(Refusal::new(RefusalCode::NotFound, message, hint));
        }
        self.keep(Event::Forgotten { key: key.into() }).await
    }

    /// Makes the index over memory anew from the records; answers how many it is made of.
    ///
    /// # Errors
    /// `engine_unavailable`.
    pub async fn rebuild_memory(&self) -> Result<u64> {
        self.house.store.rebuild_memory().await.map_err(Refusal::from)
    }

    async fn keep(&self, event: Event) -> Result<()> {
        let facts = vec![Fact::new("local", event)];
        Ok(self.house.store.note_memory(&self.team().workspace, facts).await?)
    }
}

/// An entry as its owner sees it: `caller` is whose runs it is shown to, if not to all; `agent` and `run`
/// wrote it, if the owner did not.
fn remembered(caller: &str, record: &Record) -> Option<Value> {
    let Event::Noted { key, value, tags, expires, .. } = &record.event else { return None };
    let from = provenance(record)?;
    let mut told = json!({"key": key, "text": Body::read(value)?.text, "at": day(from.at)});
    if !tags.is_empty() {
        told["tags"] = json!(tags);
    }
    if !caller.is_empty() {
        told["caller"] = json!(caller);
    }
    if from.source != Source::Owner {
        (told["agent"], told["run"]) = (json!(from.agent), json!(from.run));
    }
    if let Some(expires) = expires {
        told["expires"] = json!(day(*expires));
    }
    if from.taint {
        told["taint"] = json!(true);
    }
    Some(told)
}
