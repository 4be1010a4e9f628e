//! Secrets are written as references; their values never stand in a file or a message.

use std::path::{Path, PathBuf};

use secrecy::SecretString;

use crate::place::{At, Place, Sink};

/// Words in the name of a variable or header whose value is a secret.
const DELICATE: [&str; 8] =
    ["auth", "key", "token", "secret", "cookie", "password", "passwd", "credential"];

/// What lies outside the files of the team: handed in, so that only `load` reaches for it.
pub(crate) struct Outside<'a> {
    /// The team's folder, which relative paths start from.
    pub(crate) folder: &'a Path,
    /// A variable of the environment.
    pub(crate) env: &'a dyn Fn(&str) -> Option<String>,
    /// The folder at a path with every link resolved, if there is one.
    pub(crate) folder_at: &'a dyn Fn(&Path) -> Option<PathBuf>,
    /// A small text file, or why it cannot be read.
    pub(crate) read: &'a dyn Fn(&Path) -> Result<String, String>,
}

impl Outside<'_> {
    /// A path from the team's folder; `~/` is the home folder.
    pub(crate) fn path(&self, written: &str) -> PathBuf {
        match (written.strip_prefix("~/"), (self.env)("HOME")) {
            (Some(rest), Some(home)) => Path::new(&home).join(rest),
            _ => self.folder.join(written),
        }
    }
}

/// Whether the value of a variable or header with this name is a secret.
pub(crate) fn is_delicate(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    DELICATE.iter().any(|it| lower.contains(it))
}

/// Whether a value is written as a reference.
pub(crate) fn is_reference(text: &str) -> bool {
    ["env:", "file:", "cmd:", "keyring:"].iter().any(|it| text.starts_with(it))
}

/// The secret a reference stands for. `None` if there is none yet (a warning that names where it
/// was looked for) or the reference is wrong (an error).
pub(crate) fn resolve(
    written: &At<String>,
    key: &str,
    outside: &Outside<'_>,
    sink: &Sink,
) -> Option<SecretString> {
    let reference = written.value.as_str();
    let place = &written.place;
    let found = if let Some(name) = reference.strip_prefix("env:") {
        let name = name.trim();
        if !is_variable(name) {
            sink.push(place.error(format!("`{key}` names no variable"), "write `env:NAME`"));
            return None;
        }
        (outside.env)(name).ok_or_else(|| format!("the variable {name} is not set"))
    } else if let Some(path) = reference.strip_prefix("file:") {
        let path = outside.path(path.trim());
        (outside.read)(&path).map_err(|error| format!("{}: {error}", path.display()))
    } else if is_reference(reference) {
        let form = reference.split(':').next().unwrap_or_default();
        let said = format!("`{key}`: `{form}:` references are not supported by this version");
        sink.push(place.error(said, "write `env:NAME` or `file:PATH`"));
        return None;
    } else {
        let said = format!("`{key}` holds a secret itself; it belongs outside the file");
        sink.push(place.error(said, "write `env:NAME` or `file:PATH`"));
        return None;
    };
    match found {
        Ok(text) => checked(&text, key, place, sink),
        Err(why) => {
            sink.push(place.warning(format!("`{key}` has no value: {why}"), ""));
            None
        }
    }
}

/// A secret that can stand in a header: trimmed, not empty, printable ASCII.
pub(crate) fn checked(text: &str, key: &str, place: &Place, sink: &Sink) -> Option<SecretString> {
    let text = text.trim();
    if text.is_empty() {
        sink.push(place.warning(format!("`{key}` has no value: it is empty where it is kept"), ""));
        return None;
    }
    if !text.bytes().all(|it| (b' '..=b'~').contains(&it)) {
        let said = format!("`{key}` holds a character that cannot stand in a header");
        sink.push(place.error(said, "look for a line break or a stray letter inside the secret"));
        return None;
    }
    Some(SecretString::from(text.to_owned()))
}

pub(crate) fn is_variable(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|it| it.is_ascii_alphanumeric() || it == b'_')
}
