//! An agent file: YAML between `---` lines, and the instructions below them.

use crate::place::{Place, Sink};
use crate::yaml::{self, Node};

/// The two parts of an agent file.
#[derive(Debug)]
pub(crate) struct Parts {
    /// The front matter.
    pub(crate) front: Node,
    /// The instructions, with plain line ends.
    pub(crate) body: String,
}

/// Splits a file. `None` if it has no readable front matter; why is in `sink`.
pub(crate) fn split(text: &str, whole: &Place, sink: &Sink) -> Option<Parts> {
    let text = text.replace("\r\n", "\n");
    let Some((front, body)) = cut(&text) else {
        let said = if is_fence(text.lines().next().unwrap_or_default()) {
            "the front matter has no end"
        } else {
            "has no front matter"
        };
        let help = "begin with a `---` line, write `description: ...`, and end with another `---`";
        sink.push(whole.at(1).error(said, help));
        return None;
    };
    let front = read(front, &whole.at(1), sink)?;
    Some(Parts { front, body: body.trim().to_owned() })
}

fn cut(text: &str) -> Option<(&str, &str)> {
    let first = text.find('\n')?;
    if !is_fence(&text[..first]) {
        return None;
    }
    let mut end = first + 1;
    for line in text[first + 1..].split_inclusive('\n') {
        if is_fence(line) {
            return Some((&text[first + 1..end], &text[end + line.len()..]));
        }
        end += line.len();
    }
    None
}

fn is_fence(line: &str) -> bool {
    line.trim_end() == "---"
}

/// Strict YAML first. Other products write `description: Use it when: ...` without quotes, which
/// is no YAML; values that alone are none either are read once more as plain text.
fn read(front: &str, start: &Place, sink: &Sink) -> Option<Node> {
    let strict = Sink::default();
    let node = yaml::parse(front, start, &strict);
    if node.is_some() {
        sink.absorb(strict);
        return node;
    }
    let loose = Sink::default();
    let (quoted, line) = quote_plain_values(front, start);
    let node = line.and_then(|_| yaml::parse(&quoted, start, &loose));
    if node.is_none() {
        sink.absorb(strict);
        return None;
    }
    sink.absorb(loose);
    sink.push(
        start
            .at(start.line + line.unwrap_or_default())
            .warning("a value that is no YAML was read as plain text", "put the value in quotes"),
    );
    node
}

/// Puts top-level values that are no YAML into quotes, as many lines as before; also the first line
/// of the first of them, 1-based.
fn quote_plain_values(front: &str, start: &Place) -> (String, Option<usize>) {
    let lines: Vec<&str> = front.lines().collect();
    let mut heads: Vec<(&str, usize)> = vec![];
    for (at, line) in lines.iter().enumerate() {
        // A key that comes again is a word of an example in the value before it.
        if let Some(key) = key_of(line).filter(|key| heads.iter().all(|it| it.0 != *key)) {
            heads.push((key, at));
        }
    }
    let mut quoted = String::with_capacity(front.len() + 16);
    let mut first = None;
    let begin = heads.first().map_or(lines.len(), |it| it.1);
    lines[..begin].iter().for_each(|it| push(&mut quoted, it));
    for (nth, (key, at)) in heads.iter().enumerate() {
        let group = &lines[*at..heads.get(nth + 1).map_or(lines.len(), |it| it.1)];
        let is_yaml = |text: &str| yaml::parse(text, start, &Sink::default()).is_some();
        match quoted_value(key, group).filter(|_| !is_yaml(&group.join("\n"))) {
            Some(line) => {
                first = first.or(Some(at + 1));
                push(&mut quoted, &line);
                group[1..].iter().for_each(|_| quoted.push('\n'));
            }
            None => group.iter().for_each(|it| push(&mut quoted, it)),
        }
    }
    (quoted, first)
}

fn push(text: &mut String, line: &str) {
    text.push_str(line);
    text.push('\n');
}

/// The key that a line at the top begins with.
fn key_of(line: &str) -> Option<&str> {
    let (key, rest) = line.split_once(':')?;
    let is_key = |it: u8| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_');
    let fits = !key.is_empty() && key.bytes().all(is_key);
    (fits && (rest.is_empty() || rest.starts_with([' ', '\t']))).then_some(key)
}

/// A value over some lines as one in quotes; `None` if it was meant as something else and is broken.
fn quoted_value(key: &str, group: &[&str]) -> Option<String> {
    let words = group.iter().map(|it| it.trim()).collect::<Vec<_>>().join(" ");
    let value = words.get(key.len() + 1..)?.trim();
    let first = value.chars().next()?;
    let closed_by = |end: char| value[1..].contains(end);
    let value = match first {
        '[' | '{' if !ends_early(value) => return None,
        '"' | '\'' if !closed_by(first) => return None,
        '"' | '\'' => value[1..].strip_suffix(first).unwrap_or(value),
        '|' | '>' if group[0][key.len() + 1..].trim().len() < 3 => return None,
        '-' if value.starts_with("- ") => return None,
        _ => value,
    };
    Some(format!("{key}: '{}'", value.replace('\'', "''")))
}

/// Whether more comes after the bracket that closes the first: `[draft] Reviews`.
fn ends_early(value: &str) -> bool {
    let mut depth = 0_i32;
    let end = value.char_indices().find(|(_, it)| {
        depth += i32::from(matches!(it, '[' | '{')) - i32::from(matches!(it, ']' | '}'));
        depth == 0
    });
    end.is_some_and(|(at, _)| at + 1 < value.len())
}
