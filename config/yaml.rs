//! Bounded YAML: text becomes nodes that know their file and line.

use std::borrow::Cow;
use std::collections::BTreeMap;

use saphyr::{Scalar, ScalarStyle, Tag};
use saphyr_parser::{Event, Parser, Span};
use serde_json::Value as Json;

use crate::place::{Place, Sink};
use crate::problem::Problem;

/// Levels of lists and maps in one file.
const DEPTH: usize = 128;
/// Values in one file, copies made by aliases included.
const NODES: usize = 100_000;

/// One value of a YAML document.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: Place,
    pub(crate) value: Value,
}

/// What a node holds.
#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Flag(bool),
    Whole(i64),
    Real(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<(Key, Node)>),
}

/// A key of a map.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) place: Place,
    pub(crate) name: String,
}

/// JSON is read as YAML, and called what it is.
fn form(place: &Place) -> &'static str {
    if place.source.path.extension().is_some_and(|it| it == "json") { "JSON" } else { "YAML" }
}

/// Reads one document; `start` is the line before its first. `None` after a syntax error, which is
/// in `sink` then. A key that stands twice is a problem and the first one counts.
pub(crate) fn parse(text: &str, start: &Place, sink: &Sink) -> Option<Node> {
    let mut tree =
        Tree { start, sink, open: vec![], anchors: BTreeMap::new(), left: NODES, root: None };
    let mut parser = Parser::new_from_str(text);
    while let Some(event) = parser.next_event() {
        let step = match event {
            Ok((event, span)) => tree.event(event, span),
            Err(error) => Err(start
                .at(start.line + error.marker().line())
                .error(format!("is no {} here: {}", form(start), error.info()), "")),
        };
        if let Err(problem) = step {
            sink.push(problem);
            return None;
        }
    }
    Some(tree.root.unwrap_or(Node { place: start.at(start.line + 1), value: Value::Null }))
}

impl Node {
    /// What it is, in words for a message; never the value itself, which may be a secret.
    pub(crate) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Null => "nothing",
            Value::Flag(_) => "true or false",
            Value::Whole(_) | Value::Real(_) => "a number",
            Value::Text(_) => "text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }

    /// Its text, if it is text.
    pub(crate) fn text(&self) -> Option<&str> {
        if let Value::Text(text) = &self.value { Some(text) } else { None }
    }

    /// The same value as JSON.
    pub(crate) fn json(&self) -> Json {
        match &self.value {
            Value::Null => Json::Null,
            Value::Flag(it) => Json::from(*it),
            Value::Whole(it) => Json::from(*it),
            Value::Real(it) => Json::from(*it),
            Value::Text(it) => Json::from(it.as_str()),
            Value::List(items) => items.iter().map(Node::json).collect(),
            Value::Map(entries) => Json::Object(
                entries.iter().map(|(key, it)| (key.name.clone(), it.json())).collect(),
            ),
        }
    }

    /// Levels of lists and maps, itself included.
    pub(crate) fn depth(&self) -> usize {
        match &self.value {
            Value::List(items) => 1 + items.iter().map(Node::depth).max().unwrap_or(0),
            Value::Map(entries) => 1 + entries.iter().map(|(_, it)| it.depth()).max().unwrap_or(0),
            Value::Null | Value::Flag(_) | Value::Whole(_) | Value::Real(_) | Value::Text(_) => 0,
        }
    }

    fn size(&self) -> usize {
        match &self.value {
            Value::List(items) => 1 + items.iter().map(Node::size).sum::<usize>(),
            Value::Map(entries) => 1 + entries.iter().map(|(_, it)| 1 + it.size()).sum::<usize>(),
            Value::Null | Value::Flag(_) | Value::Whole(_) | Value::Real(_) | Value::Text(_) => 1,
        }
    }
}

/// A document that is being built from events, without recursion.
struct Tree<'a> {
    start: &'a Place,
    sink: &'a Sink,
    open: Vec<Open>,
    anchors: BTreeMap<usize, Node>,
    left: usize,
    root: Option<Node>,
}

/// A list or map whose end has not come yet; a map may hold a key that waits for its value.
struct Open {
    anchor: usize,
    node: Node,
    key: Option<Key>,
    /// The keys so far and their lines.
    seen: BTreeMap<String, usize>,
}

impl Tree<'_> {
    fn event(&mut self, event: Event<'_>, span: Span) -> Result<(), Problem> {
        let place = self.start.at(self.start.line + span.start.line());
        match event {
            Event::Nothing | Event::StreamStart | Event::StreamEnd | Event::DocumentEnd => Ok(()),
            Event::DocumentStart(_) if self.root.is_none() => Ok(()),
            Event::DocumentStart(_) => {
                Err(place
                    .error("holds a second document", "keep one document and remove the `---`"))
            }
            Event::SequenceStart(anchor, _) => self.begin(place, anchor, Value::List(vec![])),
            Event::MappingStart(anchor, _) => self.begin(place, anchor, Value::Map(vec![])),
            Event::SequenceEnd | Event::MappingEnd => match self.open.pop() {
                Some(done) => self.put(done.node, done.anchor, None),
                None => Ok(()),
            },
            Event::Scalar(text, style, anchor, tag) => {
                let name = text.to_string();
                let value = scalar(text, style, tag.as_ref()).ok_or_else(|| {
                    place.error("holds a value that does not fit its tag", "remove the tag")
                })?;
                self.spend(1, &place)?;
                self.put(Node { place, value }, anchor, Some(name))
            }
            Event::Alias(anchor) => {
                let node = self.anchors.get(&anchor).cloned();
                let node = node.ok_or_else(|| place.error("names an anchor inside itself", ""))?;
                self.spend(node.size(), &place)?;
                let name = node.text().map(str::to_owned);
                self.put(node, 0, name)
            }
        }
    }

    fn begin(&mut self, place: Place, anchor: usize, value: Value) -> Result<(), Problem> {
        if self.open.len() == DEPTH {
            return Err(place.error(format!("is nested deeper than {DEPTH} levels"), ""));
        }
        self.spend(1, &place)?;
        self.open.push(Open {
            anchor,
            node: Node { place, value },
            key: None,
            seen: BTreeMap::new(),
        });
        Ok(())
    }

    /// Puts a finished node where it belongs; `name` is its text if it can be a key.
    fn put(&mut self, node: Node, anchor: usize, name: Option<String>) -> Result<(), Problem> {
        if anchor > 0 {
            self.spend(node.size(), &node.place)?;
            self.anchors.insert(anchor, node.clone());
        }
        let Some(parent) = self.open.last_mut() else {
            self.root = Some(node);
            return Ok(());
        };
        match (&mut parent.node.value, parent.key.take()) {
            (Value::Map(entries), Some(key)) => {
                match parent.seen.insert(key.name.clone(), key.place.line) {
                    Some(first) => self.sink.push(key.place.error(
                        format!("key `{}` stands twice", key.name),
                        format!("it stands in line {first} already"),
                    )),
                    None => entries.push((key, node)),
                }
            }
            (Value::Map(_), None) => {
                let name = name.ok_or_else(|| node.place.error("a key must be a word", ""))?;
                parent.key = Some(Key { place: node.place, name });
            }
            (Value::List(items), _) => items.push(node),
            (
                Value::Null | Value::Flag(_) | Value::Whole(_) | Value::Real(_) | Value::Text(_),
                _,
            ) => {}
        }
        Ok(())
    }

    fn spend(&mut self, nodes: usize, place: &Place) -> Result<(), Problem> {
        self.left = self.left.checked_sub(nodes).ok_or_else(|| {
            place
                .error(format!("holds more than {NODES} values"), "aliases count as what they copy")
        })?;
        Ok(())
    }
}

fn scalar(text: Cow<'_, str>, style: ScalarStyle, tag: Option<&Cow<'_, Tag>>) -> Option<Value> {
    Some(match Scalar::parse_from_cow_and_metadata(text, style, tag)? {
        Scalar::Null => Value::Null,
        Scalar::Boolean(it) => Value::Flag(it),
        Scalar::Integer(it) => Value::Whole(it),
        Scalar::FloatingPoint(it) => Value::Real(it.into_inner()),
        Scalar::String(it) => Value::Text(it.into_owned()),
    })
}
