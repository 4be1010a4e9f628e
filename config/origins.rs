//! Where each key of the team was written; what is not there has its default.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::yaml::{Node, Value};

/// Every key that was written, with its file and line: `limits.depth`, `agents.coder.model`.
pub type Origins = BTreeMap<String, (PathBuf, usize)>;

/// Levels of keys of `team.yaml` that are kept: `providers.local.base_url` is the deepest.
pub(crate) const LEVELS: usize = 3;

/// Adds the keys below a map to so many levels, each with `path` before it.
pub(crate) fn add(node: &Node, path: &str, deep: usize, origins: &mut Origins) {
    let Value::Map(entries) = &node.value else { return };
    for (key, value) in entries {
        let path = if path.is_empty() { key.name.clone() } else { format!("{path}.{}", key.name) };
        let is_inner = matches!(&value.value, Value::Map(it) if !it.is_empty());
        if is_inner && deep > 1 {
            add(value, &path, deep - 1, origins);
        } else {
            origins.insert(path, (key.place.source.path.clone(), key.place.line));
        }
    }
}
