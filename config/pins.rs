//! The tools of a server as they were when it was first used: what it changes or adds later waits
//! until the owner agreed to it.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The folder beside the record of trust.
const FOLDER: &str = "tools";
/// Bytes of a record of one server.
const BYTES: u64 = 32 << 20;
/// Bytes of definitions that are kept to be shown; of what is beyond them only the hash is.
const TOLD_MAX: usize = 4 << 20;

/// What a server told of a tool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// SHA-256 (hex) of its name, description, schemas and annotations, whatever their order.
    pub sha256: String,
    /// All of that, if there was room for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<Value>,
}

impl Definition {
    /// What a server told.
    pub fn of(told: Value) -> Definition {
        let sha256 = hex(sorted(&told).to_string().as_bytes());
        Definition { sha256, told: Some(told) }
    }
}

/// Tools by their server's names for them.
pub type Definitions = BTreeMap<String, Definition>;

/// What was agreed to of each server's tools. Several processes may use it at once.
#[derive(Clone, Debug)]
pub struct Pins {
    folder: PathBuf,
}

/// A tool that is not what was agreed to.
#[derive(Clone, Debug)]
pub struct Change {
    /// What its server calls it.
    pub tool: String,
    /// As it was agreed to; none for one that was not there.
    pub before: Option<Definition>,
    /// As it is now.
    pub now: Definition,
}

#[derive(Default, Serialize, Deserialize)]
struct Written {
    server: String,
    tools: Definitions,
}

impl Pins {
    pub(crate) fn beside(record: &Path) -> Pins {
        Pins { folder: record.with_file_name(FOLDER) }
    }

    /// Holds the tools of a server against what was agreed to, and answers with the names of those
    /// that are not. All tools are agreed to when a server is first used.
    ///
    /// # Errors
    /// When the record cannot be kept; nothing is agreed to then.
    pub fn hold(&self, server: &str, tools: &Definitions) -> io::Result<Vec<String>> {
        let (agreed, waiting) = (self.agreed_file(server), self.waiting_file(server));
        if !agreed.exists() && first(&agreed, &written(server, tools.clone())?)? {
            return Ok(vec![]);
        }
        let known = read(&agreed).unwrap_or_default();
        let is_other = |it: &(&String, &Definition)| {
            known.get(it.0).is_none_or(|old| old.sha256 != it.1.sha256)
        };
        let changed: Definitions =
            tools.iter().filter(is_other).map(|(name, it)| (name.clone(), it.clone())).collect();
        let names = changed.keys().cloned().collect();
        match (changed.is_empty(), waiting.exists()) {
            (true, true) => gone(&waiting)?,
            (true, false) => {}
            (false, _) => {
                let text = written(server, changed)?;
                if fs::read(&waiting).ok().as_deref() != Some(text.as_bytes()) {
                    replace(&waiting, text.as_bytes())?;
                }
            }
        }
        Ok(names)
    }

    /// The changes of a server that wait to be agreed to, as they were seen last.
    pub fn changes(&self, server: &str) -> Vec<Change> {
        let Some(waiting) = read(&self.waiting_file(server)) else { return vec![] };
        let known = read(&self.agreed_file(server)).unwrap_or_default();
        let change = |(tool, now): (String, Definition)| {
            let before = known.get(&tool).cloned();
            Change { tool, before, now }
        };
        waiting.into_iter().map(change).collect()
    }

    /// Agrees to these changes of a server, and to nothing that it changed since they were seen.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub fn agree(&self, server: &str, changes: &[Change]) -> io::Result<()> {
        let mut tools = read(&self.agreed_file(server)).unwrap_or_default();
        tools.extend(changes.iter().map(|it| (it.tool.clone(), it.now.clone())));
        replace(&self.agreed_file(server), written(server, tools.clone())?.as_bytes())?;
        let waiting = read(&self.waiting_file(server)).unwrap_or_default();
        let is_agreed = |(name, it): (&String, &Definition)| {
            tools.get(name).is_some_and(|agreed| agreed.sha256 == it.sha256)
        };
        if waiting.iter().all(is_agreed) { gone(&self.waiting_file(server)) } else { Ok(()) }
    }

    /// Where the changes of a server wait.
    pub(crate) fn waiting_file(&self, server: &str) -> PathBuf {
        self.file(server, "changed")
    }

    fn agreed_file(&self, server: &str) -> PathBuf {
        self.file(server, "agreed")
    }

    fn file(&self, server: &str, what: &str) -> PathBuf {
        self.folder.join(format!("{}.{what}.json", &hex(server.as_bytes())[..32]))
    }
}

/// The record as text, with no more definitions than there is room for.
fn written(server: &str, mut tools: Definitions) -> io::Result<String> {
    let mut room = TOLD_MAX;
    for tool in tools.values_mut() {
        let size = tool.told.as_ref().map_or(0, |it| it.to_string().len());
        match room.checked_sub(size) {
            Some(left) => room = left,
            None => tool.told = None,
        }
    }
    Ok(serde_json::to_string_pretty(&Written { server: server.to_owned(), tools })?)
}

/// What is written there; none if it is not there or cannot be read: then nothing is agreed to.
fn read(file: &Path) -> Option<Definitions> {
    let mut text = String::new();
    fs::File::open(file).ok()?.take(BYTES).read_to_string(&mut text).ok()?;
    serde_json::from_str::<Written>(&text).ok().map(|it| it.tools)
}

/// Writes a file that is not there yet, whole or not at all. `false` if another process was first.
fn first(file: &Path, text: &str) -> io::Result<bool> {
    let fresh = fresh(file, text.as_bytes())?;
    let linked = fs::hard_link(&fresh, file);
    match linked {
        Ok(()) => gone(&fresh)?,
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
            gone(&fresh)?;
            return Ok(false);
        }
        // A file system without links.
        Err(_) => fs::rename(&fresh, file)?,
    }
    settle(file)?;
    Ok(true)
}

/// Puts a file in the place of another, whole or not at all; only its owner reads it.
pub(crate) fn replace(file: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::rename(fresh(file, bytes)?, file)?;
    settle(file)
}

/// The bytes in a file of this process, on the disk.
fn fresh(file: &Path, bytes: &[u8]) -> io::Result<PathBuf> {
    let folder = file.parent().unwrap_or(Path::new("."));
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(folder)?;
    let fresh = file.with_extension(format!("{}-{:?}.new", std::process::id(), thread()));
    let mut options = fs::OpenOptions::new();
    options.write(true).create(true).truncate(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut out = options.open(&fresh)?;
    out.write_all(bytes)?;
    out.sync_all()?;
    Ok(fresh)
}

/// Two threads of a process never write the same file.
fn thread() -> std::thread::ThreadId {
    std::thread::current().id()
}

/// A new name is on the disk when its folder is.
fn settle(file: &Path) -> io::Result<()> {
    match file.parent() {
        Some(folder) if cfg!(unix) => fs::File::open(folder)?.sync_all(),
        Some(_) | None => Ok(()),
    }
}

/// Removes a file; that it is gone already is as good.
fn gone(file: &Path) -> io::Result<()> {
    match fs::remove_file(file) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        Ok(()) | Err(_) => Ok(()),
    }
}

/// The same with all keys in order.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let sorted: BTreeMap<&String, Value> =
                map.iter().map(|(key, it)| (key, sorted(it))).collect();
            Value::Object(sorted.into_iter().map(|(key, it)| (key.clone(), it)).collect())
        }
        Value::Array(items) => Value::Array(items.iter().map(sorted).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|it| format!("{it:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn tools(all: &[(&str, &str)]) -> Definitions {
        let one = |it: &(&str, &str)| {
            let told =
                json!({"name": it.0, "description": it.1, "inputSchema": {"type": "object"}});
            (it.0.to_owned(), Definition::of(told))
        };
        all.iter().map(one).collect()
    }

    fn pins() -> (tempfile::TempDir, Pins) {
        let folder = tempfile::tempdir().unwrap();
        let pins = Pins::beside(&folder.path().join("data/trust.json"));
        (folder, pins)
    }

    #[test]
    fn what_changes_after_the_first_use_waits_until_it_is_agreed_to() {
        let (_folder, pins) = pins();
        let first = tools(&[("a", "one"), ("b", "two")]);
        assert_eq!(pins.hold("x", &first).unwrap(), [""; 0], "the first use agrees to all");
        assert_eq!(pins.hold("x", &first).unwrap(), [""; 0]);
        let other = tools(&[("a", "one"), ("b", "evil"), ("c", "new")]);
        assert_eq!(pins.hold("x", &other).unwrap(), ["b", "c"]);
        assert_eq!(pins.hold("y", &other).unwrap(), [""; 0], "another server is another matter");
        let changes = pins.changes("x");
        let told = |it: &Option<Definition>| {
            it.as_ref().map(|it| it.told.as_ref().unwrap()["description"].clone())
        };
        assert_eq!(changes.len(), 2);
        assert_eq!(
            (told(&changes[0].before), told(&changes[1].before)),
            (Some(json!("two")), None)
        );
        pins.agree("x", &changes).unwrap();
        assert!(pins.changes("x").is_empty());
        assert_eq!(pins.hold("x", &other).unwrap(), [""; 0]);
        assert_eq!(pins.hold("x", &first).unwrap(), ["b"], "also the way back is a change");
        assert_eq!(pins.hold("x", &tools(&[("a", "one")])).unwrap(), [""; 0], "one may be missing");
        assert!(pins.changes("x").is_empty(), "what is no longer told waits for nobody");
    }

    #[test]
    fn only_what_was_shown_is_agreed_to() {
        let (_folder, pins) = pins();
        pins.hold("x", &tools(&[("a", "one")])).unwrap();
        pins.hold("x", &tools(&[("a", "two")])).unwrap();
        let shown = pins.changes("x");
        pins.hold("x", &tools(&[("a", "three")])).unwrap();
        pins.agree("x", &shown).unwrap();
        assert_eq!(pins.changes("x").len(), 1, "the later change still waits");
        assert_eq!(pins.hold("x", &tools(&[("a", "three")])).unwrap(), ["a"]);
        assert_eq!(pins.hold("x", &tools(&[("a", "two")])).unwrap(), [""; 0]);
    }

    #[test]
    fn every_part_of_a_definition_counts_and_no_order_does() {
        let base = json!({"name": "a", "description": "d", "inputSchema": {"a": 1, "b": [{"c": 2}]},
            "outputSchema": {"type": "object"}, "annotations": {"readOnlyHint": true}});
        let hash = |it: &Value| Definition::of(it.clone()).sha256;
        for (at, new) in [
            ("/name", json!("b")),
            ("/description", json!("d ")),
            ("/inputSchema/b/0/c", json!(3)),
            ("/outputSchema/type", json!("array")),
            ("/annotations/readOnlyHint", json!(false)),
        ] {
            let mut other = base.clone();
            *other.pointer_mut(at).unwrap() = new;
            assert_ne!(hash(&other), hash(&base), "{at}");
        }
        let turned = json!({"annotations": {"readOnlyHint": true}, "outputSchema": {"type": "object"},
            "inputSchema": {"b": [{"c": 2}], "a": 1}, "description": "d", "name": "a"});
        assert_eq!(hash(&turned), hash(&base));
    }

    #[test]
    fn a_broken_record_agrees_to_nothing_until_the_owner_does() {
        let (_folder, pins) = pins();
        let all = tools(&[("a", "one")]);
        pins.hold("x", &all).unwrap();
        for text in ["", "{\"server\":\"x\",\"tools\":", "[]"] {
            fs::write(pins.agreed_file("x"), text).unwrap();
            assert_eq!(pins.hold("x", &all).unwrap(), ["a"], "{text}");
        }
        pins.agree("x", &pins.changes("x")).unwrap();
        assert_eq!(pins.hold("x", &all).unwrap(), [""; 0]);
    }

    #[test]
    fn of_many_first_uses_at_once_one_counts() {
        let (_folder, pins) = pins();
        let one = |nth: usize| tools(&[("a", &format!("{nth}"))]);
        let held: Vec<bool> = std::thread::scope(|all| {
            let begun: Vec<_> = (0..8)
                .map(|nth| {
                    let pins = &pins;
                    all.spawn(move || pins.hold("x", &one(nth)).unwrap().is_empty())
                })
                .collect();
            begun.into_iter().map(|it| it.join().unwrap()).collect()
        });
        assert_eq!(held.iter().filter(|it| **it).count(), 1, "{held:?}");
        let left: Vec<_> = fs::read_dir(&pins.folder).unwrap().flatten().collect();
        assert!(left.len() <= 2, "nothing half written is left: {left:?}");
    }

    #[test]
    fn a_flood_of_definitions_is_kept_as_hashes() {
        let (_folder, pins) = pins();
        let long = "x".repeat(TOLD_MAX / 2);
        let all = tools(&[("a", &long), ("b", &long), ("c", "short")]);
        pins.hold("x", &all).unwrap();
        assert!(fs::metadata(pins.agreed_file("x")).unwrap().len() < TOLD_MAX as u64);
        assert_eq!(pins.hold("x", &all).unwrap(), [""; 0]);
        let known = read(&pins.agreed_file("x")).unwrap();
        assert_eq!(known["b"].told, None);
    }
}
