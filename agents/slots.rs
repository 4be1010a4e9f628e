//! The shared context of a task as one run knows it: what was noted, by whom, in which version.

use std::cmp::Reverse;

use callboard_config::memory::{Slot, Slots as Rights};
use callboard_trace::Event;
use callboard_trace::memory::{Entries, Entry, Provenance, is_memory};
use serde_json::Value;

use crate::words;

/// Findings, and cases of tests, that cross to another run.
const FINDINGS: usize = 20;
const TESTS: usize = 30;
/// Of those findings, how many because they are new.
const NEWEST: usize = 10;
/// Names that cross: files, and other notes.
const NAMES: usize = 200;
const NOTES: usize = 20;
/// Bytes of a digest: about 1,500 tokens.
pub(crate) const DIGEST: usize = 6_000;
/// Characters of one line.
const LINE: usize = 400;
/// Earlier versions that an entry names.
const OVER: usize = 20;

/// Every current version. Two of one key stand side by side where their writers did not know of
/// each other.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Slots {
    entries: Vec<Entry>,
    /// Bodies that this run was given.
    given: Vec<String>,
}

impl Slots {
    /// What a run begins with.
    pub(crate) fn of(given: &Entries) -> Slots {
        let bodies = given.0.iter().map(|it| it.artifact.clone()).collect();
        Slots { entries: given.0.clone(), given: bodies }
    }

    /// Takes in a note of the run's own: it takes the place of every version there is.
    pub(crate) fn noted(&mut self, event: &Event) {
        let Event::Noted { slot, key, value, artifact, confidence, provenance, .. } = event else {
            return;
        };
        let (Some(provenance), false) = (provenance, is_memory(slot)) else { return };
        let mut entry = Entry {
            slot: slot.clone(),
            key: key.clone(),
            artifact: artifact.clone(),
            line: line(slot, key, value),
            weight: weight(slot, value, *confidence),
            confidence: *confidence,
            provenance: Provenance::clone(provenance),
            over: Vec::new(),
        };
        let known: Vec<Entry> = self.entries.extract_if(.., |it| is_same(it, &entry)).collect();
        for it in known {
            entry.over.push(it.artifact);
            entry.over.extend(it.over);
        }
        entry.over.retain(|it| *it != entry.artifact);
        entry.over.truncate(OVER);
        self.entries.push(entry);
        self.thin();
    }

    /// Takes in what was noted under the run.
    pub(crate) fn told(&mut self, entries: &Entries) {
        for entry in &entries.0 {
            let knows = |it: &Entry| is_same(it, entry) && it.artifact == entry.artifact;
            let is_older = |it: &Entry| is_same(it, entry) && it.over.contains(&entry.artifact);
            if self.entries.iter().any(|it| knows(it) || is_older(it)) {
                continue;
            }
            self.entries.retain(|it| !(is_same(it, entry) && entry.over.contains(&it.artifact)));
            self.entries.push(entry.clone());
        }
        self.thin();
    }

    /// What a run is given that begins now.
    pub(crate) fn passed(&self) -> Entries {
        Entries(self.entries.clone())
    }

    /// What was noted here and under here.
    pub(crate) fn own(&self) -> Entries {
        let is_new = |it: &&Entry| !self.given.contains(&it.artifact);
        Entries(self.entries.iter().filter(is_new).cloned().collect())
    }

    /// Keeps of every slot what fits its window; what falls out of it never comes in again.
    fn thin(&mut self) {
        let mut kept = Vec::with_capacity(self.entries.len());
        for slot in Slot::ALL {
            let of_slot = |it: &mut Entry| it.slot == slot.as_str();
            let all = self.entries.extract_if(.., of_slot).collect();
            kept.extend(window(slot, all));
        }
        self.entries = kept;
    }
}

/// What of a slot is shown, the first of it first.
fn window(slot: Slot, mut all: Vec<Entry>) -> Vec<Entry> {
    let newest = |it: &Entry| Reverse((it.provenance.at, it.provenance.step));
    all.sort_by_key(newest);
    match slot {
        Slot::Findings => {
            let mut rest = all.split_off(all.len().min(NEWEST));
            rest.sort_by_key(|it| Reverse(it.weight));
            all.extend(rest);
            all.truncate(FINDINGS);
        }
        Slot::Tests => {
            all.sort_by_key(|it| Reverse(it.weight));
            all.truncate(TESTS);
        }
        Slot::Reviews => {
            let last = all.iter().map(|it| it.weight).max();
            all.retain(|it| Some(it.weight) == last);
            all.truncate(NOTES);
        }
        Slot::Implementation => all.truncate(NAMES),
        Slot::Notes => all.truncate(NOTES),
    }
    all
}

fn is_same(one: &Entry, other: &Entry) -> bool {
    one.slot == other.slot && one.key == other.key
}

/// The lines of a digest, the most important first: each with its slot, who wrote it, and where it is
/// read whole.
pub(crate) fn digest(entries: &Entries, rights: &Rights) -> Vec<String> {
    let order = [Slot::Implementation, Slot::Reviews, Slot::Tests, Slot::Findings, Slot::Notes];
    let mut lines = Vec::new();
    for slot in order.into_iter().filter(|it| rights.reads(*it)) {
        let of_slot = entries.0.iter().filter(|it| it.slot == slot.as_str());
        lines.extend(of_slot.map(|it| shown(it, &entries.0)));
    }
    let mut room = DIGEST;
    let fits = lines.iter().take_while(|it| {
        let fits = it.len() < room;
        room = room.saturating_sub(it.len() + 1);
        fits
    });
    let n_fit = fits.count();
    let n_more = lines.len() - n_fit;
    lines.truncate(n_fit);
    if n_more > 0 {
        lines.push(format!("- and {n_more} more"));
    }
    lines
}

/// One line of a digest. What others wrote is one JSON string, so that it can look like nothing else.
pub(crate) fn shown(entry: &Entry, all: &[Entry]) -> String {
    let Provenance { agent, taint, .. } = &entry.provenance;
    let rivals = all.iter().filter(|it| is_same(it, entry)).count();
    let mut marks = String::new();
    if let Some(confidence) = entry.confidence {
        marks.push_str(&format!(", confidence {confidence}"));
    }
    if rivals > 1 {
        marks.push_str(&format!(", in conflict: {rivals} values under this key"));
    }
    if *taint {
        marks.push_str(", from untrusted content");
    }
    let (key, line) = (quoted(&entry.key), quoted(&entry.line));
    let (slot, body) = (&entry.slot, &entry.artifact);
    format!("- {slot} {key} by {agent}{marks} ({body}): {line}")
}

/// A text as one JSON string: no line of it begins anything.
pub(crate) fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// What a note says, in one line.
fn line(slot: &str, key: &str, value: &Value) -> String {
    let text = |name: &str| value.get(name).and_then(Value::as_str).unwrap_or_default();
    let said = match (Slot::parse(slot), value) {
        (Some(Slot::Implementation), Value::String(whole)) => format!("{} bytes", whole.len()),
        (Some(Slot::Implementation), Value::Object(_)) => {
            let path = Some(text("path")).filter(|it| !it.is_empty()).unwrap_or(key);
            [path, text("language"), text("purpose"), text("artifact")].join(" ").trim().to_string()
        }
        (Some(Slot::Tests), Value::Object(_)) => {
            [text("result"), text("suite"), text("case"), text("message")].join(" ")
        }
        (Some(Slot::Findings), Value::Object(_)) => {
            let more = value.get("value").map_or_else(String::new, |it| format!(" = {it}"));
            format!("{} {}{more}", text("severity"), text("text")).trim().to_string()
        }
        (_, Value::String(whole)) => whole.clone(),
        (_, other) => other.to_string(),
    };
    words::cut(&said, LINE)
}

/// What comes first in a slot.
fn weight(slot: &str, value: &Value, confidence: Option<f64>) -> i64 {
    match Slot::parse(slot) {
        Some(Slot::Findings) => (confidence.unwrap_or(0.5) * 1_000.0) as i64,
        Some(Slot::Tests) => match value.get("result").and_then(Value::as_str) {
            Some("fail" | "error") => 2,
            Some("skip") => 1,
            Some(_) | None => 0,
        },
        Some(Slot::Reviews) => value.get("round").and_then(Value::as_i64).unwrap_or_default(),
        Some(Slot::Implementation | Slot::Notes) | None => 0,
    }
}
