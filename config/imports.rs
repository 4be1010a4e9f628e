//! The JSON files of other products that say who may hand to whom: laid over the agent files.

use std::collections::BTreeMap;

use serde_json::Value as Json;

use crate::fields::Fields;
use crate::front_matter::Parts;
use crate::member;
use crate::nearest::loose;
use crate::place::{At, Place, Sink};
use crate::written_agent;
use crate::yaml::{self, Key, Node, Value};

/// What each key of these files is in an agent file; lists add to what stands there.
const LISTS: [(&str, &str); 6] = [
    ("capabilities", "capabilities"),
    ("handoffs", "handoffs"),
    ("handoffs_to", "handoffs"),
    ("handoffs_from", "handoffs_from"),
    ("handoffs_deny", "handoffs_deny"),
    ("triggers", "triggers"),
];

/// Everything these files say, by the loose name of the agent.
pub(crate) type Imports = BTreeMap<String, Import>;

/// What they say of one agent.
#[derive(Debug)]
pub(crate) struct Import {
    /// As it was written first.
    pub(crate) name: At<String>,
    lists: Vec<(&'static str, Vec<At<String>>)>,
    class: Option<Node>,
}

/// Reads one file. Whatever is wrong with it is in `sink`, and counts as not written.
pub(crate) fn read(text: &str, whole: &Place, sink: &Sink, imports: &mut Imports) {
    let Some(node) = parse(text, whole, sink) else { return };
    // Opened for its complaint: it must be a map.
    Fields::open(&node, "", sink);
    let Value::Map(entries) = node.value else { return };
    let is_agent = |key: &Key| !key.name.starts_with(['$', '_']);
    for (key, node) in entries.into_iter().filter(|it| is_agent(&it.0)) {
        let import = imports.entry(loose(&key.name)).or_insert_with(|| Import {
            name: At { place: key.place.clone(), value: key.name.clone() },
            lists: vec![],
            class: None,
        });
        import.add(Fields::open(&node, key.name, sink));
    }
}

/// JSON with the line of every value, by the reader of YAML, of which it is a part.
fn parse(text: &str, whole: &Place, sink: &Sink) -> Option<Node> {
    let json = match serde_json::from_str::<Json>(text) {
        Ok(json) => json,
        Err(error) => {
            let said = error.to_string();
            let said = said.split(" at line ").next().unwrap_or_default();
            sink.push(whole.at(error.line()).error(format!("is no JSON here: {said}"), ""));
            return None;
        }
    };
    // A tab is no space to YAML; in valid JSON it only ever stands between values.
    let own = Sink::default();
    let node = yaml::parse(&text.replace('\t', " "), whole, &own);
    if node.is_some() {
        sink.absorb(own);
        return node;
    }
    // Escapes that YAML does not know: read all the same, without lines.
    Some(plain(&json, whole))
}

fn plain(json: &Json, place: &Place) -> Node {
    let value = match json {
        Json::Null => Value::Null,
        Json::Bool(it) => Value::Flag(*it),
        Json::Number(it) => {
            it.as_i64().map_or_else(|| Value::Real(it.as_f64().unwrap_or_default()), Value::Whole)
        }
        Json::String(it) => Value::Text(it.clone()),
        Json::Array(items) => Value::List(items.iter().map(|it| plain(it, place)).collect()),
        Json::Object(map) => {
            let key = |name: &String| Key { place: place.clone(), name: name.clone() };
            Value::Map(map.iter().map(|(name, it)| (key(name), plain(it, place))).collect())
        }
    };
    Node { place: place.clone(), value }
}

impl Import {
    fn add(&mut self, fields: Fields<'_>) {
        for (key, target) in LISTS {
            let mut texts = fields.texts(key).unwrap_or_default();
            if target == "capabilities" {
                texts.retain(|it| member::slug(it, fields.sink).is_some());
            }
            self.lists.push((target, texts));
        }
        let written = fields.either(&["priority", "class"]);
        if let Some(node) = written.filter(|_| written_agent::class(&fields).is_some()) {
            self.class = Some(node.clone());
        }
        fields.close();
    }

    /// Puts it over the front matter of the agent's own file.
    pub(crate) fn lay_over(&self, front: &mut Node) {
        if matches!(front.value, Value::Null) {
            front.value = Value::Map(vec![]);
        }
        let Value::Map(entries) = &mut front.value else { return };
        for (key, texts) in &self.lists {
            let Some(first) = texts.first() else { continue };
            let at = entries.iter().position(|(it, _)| it.name == *key).unwrap_or_else(|| {
                entries.push(entry(key, Value::List(vec![]), &first.place));
                entries.len() - 1
            });
            append(&mut entries[at].1, texts);
        }
        if let Some(class) = &self.class {
            entries.retain(|(it, _)| !matches!(it.name.as_str(), "class" | "priority"));
            entries.push(entry("class", class.value.clone(), &class.place));
        }
    }

    /// Says that the agent has no file of its own.
    pub(crate) fn tell(&self, sink: &Sink) {
        let name = snake(&self.name.value);
        let said = format!("agent \"{name}\" has no file; it is made from its capabilities");
        let help = format!("write `agents/{name}.md` with its instructions");
        sink.push(self.name.place.warning(said, help));
    }

    /// The parts of the file that it would have, made from what the agent is good at.
    pub(crate) fn parts(&self) -> Parts {
        let place = &self.name.place;
        let name = snake(&self.name.value);
        let capabilities = self.lists.iter().filter(|(key, _)| *key == "capabilities");
        let skills: Vec<&str> =
            capabilities.flat_map(|it| &it.1).map(|it| it.value.as_str()).collect();
        let (who, skills) = (name.replace('_', " "), skills.join(", "));
        let (description, good) = if skills.is_empty() {
            (format!("The {who} of the team."), String::new())
        } else {
            (format!("The {who} of the team: {skills}."), format!(" You are good at: {skills}."))
        };
        let text = |key, text: &str| entry(key, Value::Text(text.to_owned()), place);
        let front = vec![text("name", &name), text("description", &description)];
        let mut front = Node { place: place.clone(), value: Value::Map(front) };
        self.lay_over(&mut front);
        let body = format!(
            "You are the {who} of a team.{good} Do the part of the task that is yours, say what \
             you did and how sure you are, and name what is left to others."
        );
        Parts { front, body }
    }
}

fn entry(name: &str, value: Value, place: &Place) -> (Key, Node) {
    let key = Key { place: place.clone(), name: name.to_owned() };
    (key, Node { place: place.clone(), value })
}

/// Adds texts to a list, or to the comma text that stands for one.
fn append(node: &mut Node, texts: &[At<String>]) {
    let text =
        |it: &At<String>| Node { place: it.place.clone(), value: Value::Text(it.value.clone()) };
    if let Value::Text(written) = &node.value {
        let parts = written.split(',').map(str::trim).filter(|it| !it.is_empty());
        let place = &node.place;
        let parts = parts.map(|it| text(&At { place: place.clone(), value: it.to_owned() }));
        node.value = Value::List(parts.collect());
    } else if matches!(node.value, Value::Null) {
        node.value = Value::List(vec![]);
    }
    let Value::List(items) = &mut node.value else { return };
    for more in texts {
        let is_there = |it: &Node| it.text().is_some_and(|it| loose(it) == loose(&more.value));
        if !items.iter().any(is_there) {
            items.push(text(more));
        }
    }
}

/// `IntegrationTester` is `integration_tester`.
fn snake(name: &str) -> String {
    let mut snake = String::with_capacity(name.len() + 4);
    let mut was_small = false;
    for letter in name.trim().chars() {
        if letter.is_uppercase() && was_small {
            snake.push('_');
        }
        was_small = letter.is_lowercase() || letter.is_ascii_digit();
        snake
            .extend(letter.to_lowercase().map(|it| if matches!(it, ' ' | '-') { '_' } else { it }));
    }
    snake
}
