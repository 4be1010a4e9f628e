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
/// is no YAML; such lines are read once more as plain text.
fn read(front: &str, start: &Place, sink: &Sink) -> Option<Node> {
    let strict = Sink::default();
    let node = yaml::parse(front, start, &strict);
    if node.is_some() {
        sink.absorb(strict);
        return node;
    }
    let loose = Sink::default();
    let (quoted, line) = quote_plain_values(front);
    let node = line.and_then(|_| yaml::parse(&quoted, start, &loose));
    if node.is_none() {
        sink.absorb(strict);
        return None;
    }
    sink.absorb(loose);
    sink.push(start.at(start.line + line.unwrap_or_default()).warning(
        "a value with `: ` in it is no YAML; it was read as plain text",
        "put the value in quotes",
    ));
    node
}

/// Puts plain top-level values that hold `: ` into quotes; also the first such line, 1-based.
fn quote_plain_values(front: &str) -> (String, Option<usize>) {
    let mut first = None;
    let mut quoted = String::with_capacity(front.len() + 16);
    for (at, line) in front.lines().enumerate() {
        match line.split_once(": ") {
            Some((key, value)) if is_key(key) && is_plain(value.trim()) => {
                first = first.or(Some(at + 1));
                let value = value.trim().replace('\'', "''");
                quoted.push_str(&format!("{key}: '{value}'\n"));
            }
            Some(_) | None => {
                quoted.push_str(line);
                quoted.push('\n');
            }
        }
    }
    (quoted, first)
}

fn is_key(text: &str) -> bool {
    !text.is_empty()
        && text.bytes().all(|it| it.is_ascii_alphanumeric() || matches!(it, b'-' | b'_'))
}

fn is_plain(value: &str) -> bool {
    let opens = value.starts_with(['"', '\'', '[', '{', '|', '>', '&', '*', '!']);
    !opens && (value.contains(": ") || value.ends_with(':'))
}
