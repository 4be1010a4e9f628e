//! A playbook: the rules by which the rehearsal model answers, read from YAML.

use std::path::Path;

use callboard_config::{Problem, Problems, Severity};
use saphyr::{LoadableYamlNode, MarkedYaml, Scalar, YamlData};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::exchange::Request;
use super::rule::{Act, Fail, Rule, ToolCall, When};

/// Rules in the order they are tried.
#[derive(Clone, Debug, Default)]
pub struct Playbook {
    rules: Vec<Rule>,
}

/// Bytes of a playbook.
const BYTES: usize = 1 << 20;

impl Playbook {
    /// Reads the text of `file`; all problems at once, each with its line.
    pub fn parse(file: &Path, text: &str) -> Result<Playbook, Problems> {
        let mut reader = Reader { file, problems: Vec::new() };
        let rules = reader.book(text);
        match reader.problems.is_empty() {
            true => Ok(Playbook { rules }),
            false => Err(Problems(reader.problems)),
        }
    }

    /// The first rule that answers, with its 1-based place.
    pub(crate) fn rule(&self, request: &Request) -> Option<(usize, &Rule)> {
        (1..).zip(&self.rules).find(|(number, it)| it.answers(*number, request))
    }
}

/// Reads one file and gathers what is wrong with it.
struct Reader<'a> {
    file: &'a Path,
    problems: Vec<Problem>,
}

/// One key of a rule, with the line it stands in.
struct Entry {
    key: String,
    line: usize,
    value: Value,
}

/// The keys of a rule that a problem lists.
const KEYS: &str =
    "when, say, answer, handoff, delegate, refuse, note, calls, fail, after_ms, times";

impl Reader<'_> {
    fn book(&mut self, text: &str) -> Vec<Rule> {
        if text.len() > BYTES {
            self.problem(0, format!("is longer than {BYTES} bytes"), "split the playbook");
            return Vec::new();
        }
        let documents = match MarkedYaml::load_from_str(text) {
            Ok(documents) => documents,
            Err(error) => {
                self.problem(
                    error.marker().line(),
                    format!("is no YAML here: {}", error.info()),
                    "",
                );
                return Vec::new();
            }
        };
        match documents.first().map(|it| &it.data) {
            None => Vec::new(),
            Some(YamlData::Sequence(rules)) => rules.iter().map(|it| self.rule(it)).collect(),
            Some(_) => {
                self.problem(1, "a playbook is a list of rules", "begin each rule with `- `");
                Vec::new()
            }
        }
    }

    fn rule(&mut self, node: &MarkedYaml<'_>) -> Rule {
        let line = node.span.start.line();
        let YamlData::Mapping(entries) = &node.data else {
            self.problem(line, "a rule is a map", format!("its keys are {KEYS}"));
            return Rule::default();
        };
        let entries: Vec<Entry> = entries
            .iter()
            .map(|(key, value)| Entry {
                key: key.data.as_str().unwrap_or_default().to_owned(),
                line: key.span.start.line(),
                value: json(value),
            })
            .collect();
        self.build(line, &entries)
    }

    fn build(&mut self, line: usize, entries: &[Entry]) -> Rule {
        let mut rule = Rule::default();
        let (mut say, mut calls, mut alone) = (None, Vec::new(), Vec::new());
        for entry in entries {
            match entry.key.as_str() {
                "when" => rule.when = self.read::<When>(entry).unwrap_or_default(),
                "say" => say = self.read::<String>(entry),
                "answer" => alone.extend(self.read(entry).map(Act::Answer)),
                "handoff" => calls.extend(self.calls(entry, "handoff", &["to"])),
                "delegate" => calls.extend(self.calls(entry, "delegate", &["to"])),
                "refuse" => calls.extend(self.calls(entry, "refuse_handoff", &["reason"])),
                "note" => calls.extend(self.calls(entry, "note", &["slot"])),
                "calls" => calls.extend(self.read::<Vec<ToolCall>>(entry).unwrap_or_default()),
                "fail" => alone.extend(self.fail(entry).map(Act::Fail)),
                "after_ms" => rule.after_ms = self.read(entry).unwrap_or_default(),
                "times" => rule.times = self.read(entry),
                key => self.problem(
                    entry.line,
                    format!("a rule has no key `{key}`"),
                    format!("its keys are {KEYS}"),
                ),
            }
        }
        let speaks = say.is_some() || !calls.is_empty();
        let acts = entries.iter().filter(|it| !["when", "after_ms", "times"].contains(&&*it.key));
        if acts.count() == 0 {
            self.problem(
                line,
                "the rule does nothing",
                "give it one of say, answer, handoff, delegate, refuse, note, calls, fail",
            );
        }
        if alone.len() + usize::from(speaks) > 1 {
            self.problem(
                line,
                "`answer` and `fail` stand alone in a rule",
                "move the rest to a rule of its own",
            );
        }
        rule.act = alone.pop().unwrap_or(Act::Speak { say: say.unwrap_or_default(), calls });
        rule
    }

    /// One call or a list of them, each an object with at least the named arguments.
    fn calls(&mut self, entry: &Entry, tool: &str, needed: &[&str]) -> Vec<ToolCall> {
        let one = std::slice::from_ref(&entry.value);
        let items = entry.value.as_array().map_or(one, Vec::as_slice);
        let mut calls = Vec::new();
        for item in items {
            let missing = needed.iter().find(|it| item.get(**it).and_then(Value::as_str).is_none());
            if let Some(missing) = missing {
                let message = format!("`{}` needs the text `{missing}`", entry.key);
                self.problem(
                    entry.line,
                    message,
                    format!("write `{}: {{{missing}: ...}}`", entry.key),
                );
            }
            let arguments = item.as_object().cloned().unwrap_or_default();
            calls.push(ToolCall { tool: tool.to_owned(), arguments, filled: true });
        }
        calls
    }

    fn fail(&mut self, entry: &Entry) -> Option<Fail> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Refusal {
            status: u16,
            retry_after_s: Option<f64>,
            #[serde(default)]
            message: String,
        }
        match entry.value.as_str() {
            Some("timeout") => return Some(Fail::Timeout),
            Some("cut") => return Some(Fail::Cut),
            Some("garbage") => return Some(Fail::Garbage),
            Some(_) | None => {}
        }
        let help = "write timeout, cut, garbage or {status: 429, retry_after_s: 1}";
        if !entry.value.is_object() {
            self.problem(entry.line, "`fail` names no fault", help);
            return None;
        }
        let Refusal { status, retry_after_s, message } = self.read(entry)?;
        if !(300..=599).contains(&status)
            || retry_after_s.is_some_and(|it| !(0.0..=1e6).contains(&it))
        {
            self.problem(
                entry.line,
                "`fail` takes a status of 300..599 and a pause of 0 or more seconds",
                help,
            );
        }
        Some(Fail::Status { status, retry_after_s, message })
    }

    fn read<T: DeserializeOwned>(&mut self, entry: &Entry) -> Option<T> {
        match serde_json::from_value(entry.value.clone()) {
            Ok(value) => Some(value),
            Err(error) => {
                self.problem(entry.line, format!("`{}`: {error}", entry.key), "");
                None
            }
        }
    }

    fn problem(&mut self, line: usize, message: impl Into<String>, help: impl Into<String>) {
        let help = Some(help.into()).filter(|it| !it.is_empty());
        let file = self.file.to_owned();
        let message = message.into();
        self.problems.push(Problem { file, line, message, help, severity: Severity::Error });
    }
}

fn json(node: &MarkedYaml<'_>) -> Value {
    match &node.data {
        YamlData::Value(Scalar::Boolean(it)) => Value::from(*it),
        YamlData::Value(Scalar::Integer(it)) => Value::from(*it),
        YamlData::Value(Scalar::FloatingPoint(it)) => Value::from(it.into_inner()),
        YamlData::Value(Scalar::String(it)) => Value::from(it.as_ref()),
        YamlData::Sequence(items) => items.iter().map(json).collect(),
        YamlData::Mapping(entries) => {
            let named = entries.iter().filter_map(|(key, it)| Some((key.data.as_str()?, json(it))));
            Value::Object(named.map(|(key, it)| (key.to_owned(), it)).collect::<Map<_, _>>())
        }
        YamlData::Tagged(_, inner) => json(inner),
        YamlData::Value(Scalar::Null)
        | YamlData::Representation(..)
        | YamlData::Alias(_)
        | YamlData::BadValue => Value::Null,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        let found = Playbook::parse(Path::new("p.yaml"), text).map(|_| ()).unwrap_err();
        found.0.iter().map(|it| it.to_string().lines().next().unwrap().to_owned()).collect()
    }

    #[test]
    fn all_problems_are_told_at_once_with_their_lines() {
        let text = "\
- when: {agnet: coder}
  say: x
- sya: x
- answer: {summary: a}
  say: x
- fail: {status: 200}
- fail: soon
- fail: {status: 500, after: 1}
- handoff: {task: a}
- when: {turn: one}
  times: many
  say: x
- when: {purpose: talk}
  say: x
- 7
";
        let found = problems(text);
        let starts = [
            "p.yaml:1: `when`: unknown field `agnet`",
            "p.yaml:3: a rule has no key `sya`",
            "p.yaml:4: `answer` and `fail` stand alone in a rule",
            "p.yaml:6: `fail` takes a status of 300..599",
            "p.yaml:7: `fail` names no fault",
            "p.yaml:8: `fail`: unknown field `after`",
            "p.yaml:9: `handoff` needs the text `to`",
            "p.yaml:10: `when`: invalid type: string \"one\", expected u32",
            "p.yaml:11: `times`: invalid type",
            "p.yaml:13: `when`: unknown variant `talk`",
            "p.yaml:15: a rule is a map",
        ];
        assert_eq!(found.len(), starts.len(), "{found:#?}");
        for (found, start) in found.iter().zip(starts) {
            assert!(found.starts_with(start), "{found} is not {start}");
        }
    }

    #[test]
    fn what_is_no_playbook_is_told() {
        assert_eq!(problems("a: 1"), ["p.yaml:1: a playbook is a list of rules"]);
        assert!(problems("- say: [\n")[0].contains("is no YAML here"));
        assert_eq!(problems("- when: {turn: 1}\n"), ["p.yaml:1: the rule does nothing"]);
        assert!(problems(&"#".repeat(BYTES + 1))[0].contains("longer"));
        assert!(Playbook::parse(Path::new("p.yaml"), "").is_ok());
    }

    #[test]
    fn copies_of_copies_do_not_fill_the_memory() {
        let mut text = String::from("- calls: &a0 [{tool: t}]\n");
        for level in 1..40 {
            let from = level - 1;
            text.push_str(&format!("- calls: &a{level} [*a{from}, *a{from}]\n"));
        }
        assert!(Playbook::parse(Path::new("p.yaml"), &text).is_err());
    }
}
