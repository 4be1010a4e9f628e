//! Codex writes its agents in TOML: the same parts under other names.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::front_matter::Parts;
use crate::place::{Place, Sink};
use crate::yaml::{Key, Node, Value};

/// What its keys are called in our agent files.
const NAMES: [(&str, &str); 2] =
    [("developer_instructions", "prompt"), ("model_reasoning_effort", "effort")];

/// Reads a file. `None` if it is no TOML; why is in `sink`.
pub(crate) fn split(text: &str, whole: &Place, sink: &Sink) -> Option<Parts> {
    let file = File { text, whole };
    match DeTable::parse(text) {
        Ok(table) => Some(Parts {
            front: Node { place: whole.at(1), value: file.map(table.get_ref(), &NAMES) },
            body: String::new(),
        }),
        Err(error) => {
            let place = file.place(error.span().unwrap_or_default());
            let said = error.message().lines().next().unwrap_or_default();
            sink.push(place.error(format!("is no TOML here: {said}"), ""));
            None
        }
    }
}

struct File<'a> {
    text: &'a str,
    whole: &'a Place,
}

impl File<'_> {
    fn place(&self, span: Range<usize>) -> Place {
        let before = self.text.as_bytes().get(..span.start).unwrap_or_default();
        self.whole.at(1 + before.iter().filter(|it| **it == b'\n').count())
    }

    fn map(&self, table: &DeTable<'_>, names: &[(&str, &str)]) -> Value {
        let entry = |(key, value): (&Spanned<_>, &Spanned<DeValue<'_>>)| {
            let written: &std::borrow::Cow<'_, str> = key.get_ref();
            let ours = names.iter().find(|it| it.0 == written).map_or(&**written, |it| it.1);
            let key = Key { place: self.place(key.span()), name: ours.to_owned() };
            (key, self.node(value))
        };
        Value::Map(table.iter().map(entry).collect())
    }

    /// The library bounds how deep values are nested.
    fn node(&self, value: &Spanned<DeValue<'_>>) -> Node {
        let found = match value.get_ref() {
            DeValue::String(it) => Value::Text(it.to_string()),
            DeValue::Integer(it) => i64::from_str_radix(it.as_str(), it.radix())
                .map_or_else(|_| Value::Text(it.as_str().to_owned()), Value::Whole),
            DeValue::Float(it) => Value::Real(it.as_str().parse().unwrap_or(f64::NAN)),
            DeValue::Boolean(it) => Value::Flag(*it),
            DeValue::Datetime(it) => Value::Text(it.to_string()),
            DeValue::Array(items) => Value::List(items.iter().map(|it| self.node(it)).collect()),
            DeValue::Table(table) => self.map(table, &[]),
        };
        Node { place: self.place(value.span()), value: found }
    }
}
