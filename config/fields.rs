//! Reads a map key by key and names every problem: wrong type, out of range, unknown key.

use std::cell::RefCell;
use std::ops::RangeInclusive;

use serde::de::DeserializeOwned;

use crate::nearest::did_you_mean;
use crate::place::{At, Place, Sink};
use crate::units::Unit;
use crate::yaml::{Key, Node, Value};

/// A map that is being read; what was asked for is known, the rest is told by `close`.
pub(crate) struct Fields<'a> {
    /// Such as `providers.local`; empty at the top.
    path: String,
    entries: &'a [(Key, Node)],
    known: RefCell<Vec<String>>,
    pub(crate) sink: &'a Sink,
}

impl<'a> Fields<'a> {
    /// Opens a map. A value of another type is a problem; no value at all is an empty map.
    pub(crate) fn open(node: &'a Node, path: impl Into<String>, sink: &'a Sink) -> Fields<'a> {
        let path = path.into();
        let entries: &[(Key, Node)] = match &node.value {
            Value::Map(entries) => entries,
            Value::Null => &[],
            Value::Flag(_) | Value::Whole(_) | Value::Real(_) | Value::Text(_) | Value::List(_) => {
                let name = if path.is_empty() { "the file".into() } else { format!("`{path}`") };
                sink.push(node.place.error(
                    format!("{name} must be a map, found {}", node.kind()),
                    "write `key: value` lines",
                ));
                &[]
            }
        };
        Fields { path, entries, known: RefCell::default(), sink }
    }

    /// The value of a key; nothing written counts as absent.
    pub(crate) fn node(&self, key: &str) -> Option<&'a Node> {
        self.known.borrow_mut().push(key.to_owned());
        let found = self.entries.iter().find(|(it, _)| it.name == key)?;
        (!matches!(found.1.value, Value::Null)).then_some(&found.1)
    }

    /// Whether a key stands there with nothing, which lifts a limit.
    pub(crate) fn is_lifted(&self, key: &str) -> bool {
        let is_it = |it: &&(Key, Node)| it.0.name == key;
        self.entries.iter().find(is_it).is_some_and(|it| matches!(it.1.value, Value::Null))
    }

    /// The value of the first key of several that mean the same.
    pub(crate) fn either(&self, keys: &[&str]) -> Option<&'a Node> {
        keys.iter().filter_map(|key| self.node(key)).collect::<Vec<_>>().first().copied()
    }

    pub(crate) fn text(&self, key: &str) -> Option<At<String>> {
        let node = self.node(key)?;
        self.text_of(node, key)
    }

    pub(crate) fn text_of(&self, node: &Node, key: &str) -> Option<At<String>> {
        match node.text() {
            Some(text) if !text.trim().is_empty() => Some(at(node, text.trim().to_owned())),
            Some(_) => {
                self.wrong(node, key, "must not be empty", "");
                None
            }
            None => {
                self.expected(node, key, "text", "put it in quotes if it is meant as text");
                None
            }
        }
    }

    /// `true`/`false`, `on`/`off`, `yes`/`no`.
    pub(crate) fn flag(&self, key: &str) -> Option<bool> {
        let node = self.node(key)?;
        match (&node.value, node.text()) {
            (Value::Flag(it), _) => Some(*it),
            (_, Some("on" | "yes")) => Some(true),
            (_, Some("off" | "no")) => Some(false),
            _ => {
                self.expected(node, key, "`true` or `false`", "");
                None
            }
        }
    }

    /// A whole number; with a unit also as text such as `5m`.
    pub(crate) fn whole(
        &self,
        key: &str,
        unit: Unit,
        range: RangeInclusive<u64>,
    ) -> Option<At<u64>> {
        let node = self.node(key)?;
        self.whole_of(node, key, unit, range)
    }

    pub(crate) fn whole_of(
        &self,
        node: &Node,
        key: &str,
        unit: Unit,
        range: RangeInclusive<u64>,
    ) -> Option<At<u64>> {
        let number = match (&node.value, node.text()) {
            (Value::Whole(it), _) => u64::try_from(*it).ok(),
            (_, Some(text)) if unit != Unit::Count => {
                let Some(number) = unit.parse(text) else {
                    self.expected(node, key, unit.example(), "");
                    return None;
                };
                Some(number)
            }
            _ => {
                self.expected(node, key, unit.example(), "");
                return None;
            }
        };
        let fits = number.filter(|it| range.contains(it));
        if fits.is_none() {
            let most = match range.end() {
                &u64::MAX => "or more".to_owned(),
                end => format!("to {end}"),
            };
            self.wrong(node, key, &format!("must be {} {most}", range.start()), "");
        }
        fits.map(|it| at(node, it))
    }

    pub(crate) fn real(&self, key: &str, range: RangeInclusive<f64>) -> Option<At<f64>> {
        let node = self.node(key)?;
        let number = match &node.value {
            Value::Whole(it) => *it as f64,
            Value::Real(it) => *it,
            Value::Null | Value::Flag(_) | Value::Text(_) | Value::List(_) | Value::Map(_) => {
                self.expected(node, key, "a number", "");
                return None;
            }
        };
        if !range.contains(&number) {
            let said = format!("must be {} to {}", range.start(), range.end());
            self.wrong(node, key, &said, "");
            return None;
        }
        Some(at(node, number))
    }

    /// A list of texts, or one text with commas.
    pub(crate) fn texts(&self, key: &str) -> Option<Vec<At<String>>> {
        let node = self.node(key)?;
        Some(self.texts_of(node, key))
    }

    pub(crate) fn texts_of(&self, node: &Node, key: &str) -> Vec<At<String>> {
        match &node.value {
            Value::Text(text) => split(text).map(|it| at(node, it.to_owned())).collect(),
            Value::List(items) => items.iter().filter_map(|it| self.text_of(it, key)).collect(),
            Value::Null | Value::Flag(_) | Value::Whole(_) | Value::Real(_) | Value::Map(_) => {
                self.expected(node, key, "a list of names", "write `[one, two]`");
                vec![]
            }
        }
    }

    /// One of a few names, which are those of a public enum.
    pub(crate) fn choice<T: DeserializeOwned>(
        &self,
        key: &str,
        names: &[&'static str],
    ) -> Option<At<T>> {
        let node = self.node(key)?;
        self.choice_of(node, key, names)
    }

    pub(crate) fn choice_of<T: DeserializeOwned>(
        &self,
        node: &Node,
        key: &str,
        names: &[&'static str],
    ) -> Option<At<T>> {
        let text = self.text_of(node, key)?;
        let found = serde_json::from_value(text.value.clone().into()).ok();
        if found.is_none() {
            let said = format!(
                "cannot be \"{}\"{}",
                text.value,
                did_you_mean(&text.value, names.iter().copied())
            );
            self.wrong(node, key, &said, &format!("write one of {}", names.join(", ")));
        }
        found.map(|value| At { place: text.place, value })
    }

    /// The entries of a map below a key.
    pub(crate) fn entries(&self, key: &str) -> &'a [(Key, Node)] {
        let Some(node) = self.node(key) else { return &[] };
        Fields::open(node, self.name(key), self.sink).entries
    }

    /// Ends the reading: keys nobody asked for are errors in a strict file, else warnings.
    pub(crate) fn close(self) {
        let known = self.known.borrow();
        for (key, _) in self.entries {
            if !known.contains(&key.name) {
                let near = did_you_mean(&key.name, known.iter().map(String::as_str));
                let said = format!("key `{}` is not known{near}", self.name(&key.name));
                self.sink.push(if key.place.source.strict {
                    key.place.error(said, "")
                } else {
                    key.place.warning(said, "")
                });
            }
        }
    }

    /// Keys nobody asked for, with their places.
    pub(crate) fn rest(&self) -> Vec<(&'a str, &'a Place)> {
        let known = self.known.borrow();
        let rest = self.entries.iter().filter(|(key, _)| !known.contains(&key.name));
        rest.map(|(key, _)| (key.name.as_str(), &key.place)).collect()
    }

    /// All keys that were asked for.
    pub(crate) fn known(&self) -> Vec<String> {
        self.known.borrow().clone()
    }

    /// The key with its path, such as `providers.local.base_url`.
    pub(crate) fn name(&self, key: &str) -> String {
        if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) }
    }

    /// Tells what a key holds and what it should.
    pub(crate) fn expected(&self, node: &Node, key: &str, wanted: &str, help: &str) {
        self.wrong(node, key, &format!("must be {wanted}, found {}", node.kind()), help);
    }

    /// Tells what is wrong with a key.
    pub(crate) fn wrong(&self, node: &Node, key: &str, what: &str, help: &str) {
        self.sink.push(node.place.error(format!("`{}` {what}", self.name(key)), help));
    }
}

/// The parts of a comma text, without the commas inside brackets: `Bash(git a,b), Read`.
fn split(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    text.split(move |it| {
        match it {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        it == ',' && depth == 0
    })
    .map(str::trim)
    .filter(|it| !it.is_empty())
}

fn at<T>(node: &Node, value: T) -> At<T> {
    At { place: node.place.clone(), value }
}
