//! Tool calls that a model wrote into its text, in the forms that local models have for them.
//!
//! A text holds calls only if nothing but calls follows the first one, each names a tool that was
//! offered, and each is complete. A text that merely talks about such forms is left alone.

use serde_json::{Map, Value};

use super::lenient;

/// What a text holds beside its words.
#[derive(Debug, PartialEq)]
pub(crate) struct Spoken<'a> {
    /// Name and arguments of each call.
    pub(crate) calls: Vec<Call>,
    /// The words before the first call.
    pub(crate) words: &'a str,
}

/// A name and its arguments.
pub(crate) type Call = (String, Map<String, Value>);

/// Reads the calls behind a mark, and what follows them.
type Read = fn(&str) -> Option<(Vec<Call>, &str)>;

/// Each form's first mark.
const FORMS: &[(&str, Read)] = &[
    ("<tool_call>", tagged),
    ("<function=", named),
    ("[TOOL_CALLS]", listed),
    ("<|python_tag|>", chained),
    ("<｜tool▁call▁begin｜>", separated),
];

/// What DeepSeek writes before its first call.
const BEGIN: &str = "<｜tool▁calls▁begin｜>";

/// Marks that end a turn and stand behind the last call.
const TAILS: &[&str] = &[
    "<|eom_id|>",
    "<|eot_id|>",
    "<|im_end|>",
    "</s>",
    "<｜end▁of▁sentence｜>",
    "<｜tool▁calls▁end｜>",
];

/// The calls in the text of a complete reply; `is_tool` knows the names on offer.
pub(crate) fn spoken(text: &str, is_tool: impl Fn(&str) -> bool) -> Option<Spoken<'_>> {
    let mut body = text.trim_end();
    while let Some(rest) = TAILS.iter().find_map(|it| body.strip_suffix(it)) {
        body = rest.trim_end();
    }
    let found = FORMS.iter().find_map(|(mark, read)| marked(body, mark, *read));
    let found = found.or_else(|| Some(Spoken { calls: alone(body)?, words: "" }));
    found.filter(|it| !it.calls.is_empty() && it.calls.iter().all(|call| is_tool(&call.0)))
}

/// Calls in one form, from its first mark to the end of the text.
fn marked<'a>(text: &'a str, mark: &str, read: Read) -> Option<Spoken<'a>> {
    let at = text.find(mark)?;
    let words = text[..at].trim_end_matches(BEGIN);
    let begins_a_line =
        words.trim_end_matches([' ', '\t']).ends_with('\n') || words.trim().is_empty();
    let is_quoted = words.matches("```").count() % 2 == 1;
    if !begins_a_line || is_quoted {
        return None;
    }
    let (mut rest, mut calls) = (&text[at..], Vec::new());
    while !rest.is_empty() {
        let (more, after) = read(rest.strip_prefix(mark)?)?;
        calls.extend(more);
        rest = after.trim_start();
    }
    Some(Spoken { calls, words: words.trim_end() })
}

/// `<tool_call>{json}</tool_call>`: Hermes, Qwen.
fn tagged(text: &str) -> Option<(Vec<Call>, &str)> {
    let (value, rest) = lenient::prefix(text, false)?;
    Some((vec![call(&value)?], closed(rest, "</tool_call>")?))
}

/// `<function=name>{json}</function>`: Llama 3.1.
fn named(text: &str) -> Option<(Vec<Call>, &str)> {
    let (name, rest) = text.split_once('>')?;
    let (arguments, rest) = arguments(rest)?;
    Some((vec![(name.trim().to_owned(), arguments)], closed(rest, "</function>")?))
}

/// `[TOOL_CALLS] [{json}, …]`, or a name and its arguments: Mistral.
fn listed(text: &str) -> Option<(Vec<Call>, &str)> {
    if let Some((value, rest)) = lenient::prefix(text, false) {
        return Some((all(&value)?, rest));
    }
    let at = text.find('{')?;
    let name = text[..at].trim().trim_end_matches("[ARGS]").trim();
    let (arguments, rest) = arguments(&text[at..])?;
    Some((vec![(name.to_owned(), arguments)], rest))
}

/// `<|python_tag|>{json}; {json}`: Llama 3.
fn chained(text: &str) -> Option<(Vec<Call>, &str)> {
    let (mut rest, mut calls) = (text, Vec::new());
    loop {
        let (value, after) = lenient::prefix(rest, false)?;
        calls.push(call(&value)?);
        match after.trim_start().strip_prefix(';') {
            Some(more) => rest = more,
            None => return Some((calls, after)),
        }
    }
}

/// `function<｜tool▁sep｜>name` and fenced arguments, or `name<｜tool▁sep｜>{json}`: DeepSeek.
fn separated(text: &str) -> Option<(Vec<Call>, &str)> {
    let (before, rest) = text.split_once("<｜tool▁sep｜>")?;
    let at = rest.find('{')?;
    let between = rest[..at].trim().trim_end_matches("json").trim_end_matches("```").trim();
    let name = if between.is_empty() { before.trim() } else { between };
    let (arguments, rest) = arguments(&rest[at..])?;
    let rest = rest.trim_start().trim_start_matches("```");
    Some((vec![(name.to_owned(), arguments)], closed(rest, "<｜tool▁call▁end｜>")?))
}

/// The text behind a closing mark, which may be missing at the very end.
fn closed<'a>(text: &'a str, mark: &str) -> Option<&'a str> {
    let text = text.trim_start();
    text.strip_prefix(mark).or_else(|| text.is_empty().then_some(text))
}

/// A text that is JSON and nothing else, fenced or not, and says what is called with what.
fn alone(text: &str) -> Option<Vec<Call>> {
    let text = text.trim();
    let fenced = text.strip_prefix("```").and_then(|it| it.strip_suffix("```"));
    let text = fenced.map_or(text, |it| it.strip_prefix("json").unwrap_or(it).trim());
    let (value, rest) = lenient::prefix(text, false)?;
    let has_arguments = |it: &Value| ARGUMENTS.iter().any(|name| it.get(name).is_some());
    let told = value.as_array().map_or(std::slice::from_ref(&value), Vec::as_slice);
    (rest.trim().is_empty() && told.iter().all(has_arguments)).then(|| all(&value))?
}

fn all(value: &Value) -> Option<Vec<Call>> {
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice).iter().map(call).collect()
}

/// Names of the field that holds the arguments.
const ARGUMENTS: &[&str] = &["arguments", "parameters", "args", "input"];

/// A call as an object: a name, arguments, and nothing that a call has not.
fn call(value: &Value) -> Option<Call> {
    let fields = value.as_object()?;
    if let Some(inner) = fields.get("function").filter(|it| it.is_object()) {
        return call(inner);
    }
    let known = ["name", "tool", "tool_name", "function", "id", "type"];
    if fields.keys().any(|it| !known.contains(&it.as_str()) && !ARGUMENTS.contains(&it.as_str())) {
        return None;
    }
    let name = known[..4].iter().find_map(|it| fields.get(*it)?.as_str())?;
    let arguments = match ARGUMENTS.iter().find_map(|it| fields.get(*it)) {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(arguments)) => arguments.clone(),
        Some(Value::String(text)) => lenient::object(text, false)?,
        Some(Value::Bool(_) | Value::Number(_) | Value::Array(_)) => return None,
    };
    Some((name.trim().to_owned(), arguments))
}

fn arguments(text: &str) -> Option<(Map<String, Value>, &str)> {
    match lenient::prefix(text, false)? {
        (Value::Object(arguments), rest) => Some((arguments, rest)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<(String, String)> {
        let it = spoken(text, |name| name == "note" || name == "read")?;
        let call = |it: &Call| format!("{}{}", it.0, Value::Object(it.1.clone()));
        let calls: Vec<String> = it.calls.iter().map(call).collect();
        Some((it.words.to_owned(), calls.join(" ")))
    }

    #[test]
    fn every_known_form_is_read() {
        let a = r#"note{"a":1}"#;
        let ab = r#"note{"a":1} read{"b":"x"}"#;
        let json = r#"{"name": "note", "arguments": {"a": 1}}"#;
        let other = r#"{"name": "read", "arguments": {"b": "x"}}"#;
        let llama = json.replace("arguments", "parameters");
        let fenced = |name: &str, json: &str| {
            let fence = format!("```json\n{json}\n```<｜tool▁call▁end｜>");
            format!("<｜tool▁call▁begin｜>function<｜tool▁sep｜>{name}\n{fence}")
        };
        let both = [fenced("note", "{\"a\": 1}"), fenced("read", "{\"b\": \"x\"}")].join("\n");
        for (text, words, calls) in [
            (format!("<tool_call>\n{json}\n</tool_call>"), "", a),
            (
                format!(
                    "I look.\n<tool_call>{json}</tool_call>\n<tool_call>{other}</tool_call><|im_end|>"
                ),
                "I look.",
                ab,
            ),
            ("<tool_call>{'name': 'note', 'arguments': {'a': 1,}}".to_owned(), "", a),
            (
                format!("<tool_call>{}</tool_call>", json.replace("{\"a\": 1}", "\"{'a': 1}\"")),
                "",
                a,
            ),
            (format!("[TOOL_CALLS] [{json}, {other}]</s>"), "", ab),
            (
                "[TOOL_CALLS]note[ARGS]{\"a\": 1}[TOOL_CALLS]read[ARGS]{\"b\": \"x\"}".to_owned(),
                "",
                ab,
            ),
            ("[TOOL_CALLS]note{\"a\": 1}".to_owned(), "", a),
            (format!("<|python_tag|>{llama}<|eom_id|>"), "", a),
            (format!("<|python_tag|>{llama}; {other}<|eot_id|>"), "", ab),
            (llama.clone(), "", a),
            (format!("[{llama}]"), "", a),
            (format!("```json\n{}\n```", json.replace("name", "tool")), "", a),
            (format!("```\n{json}\n```"), "", a),
            (
                "<function=note>{\"a\": 1}</function>\n<function=read>{\"b\": \"x\"}</function>"
                    .to_owned(),
                "",
                ab,
            ),
            (
                format!(
                    "ok\n<｜tool▁calls▁begin｜>{both}<｜tool▁calls▁end｜><｜end▁of▁sentence｜>"
                ),
                "ok",
                ab,
            ),
            (
                "<｜tool▁call▁begin｜>note<｜tool▁sep｜>{\"a\": 1}<｜tool▁call▁end｜>".to_owned(),
                "",
                a,
            ),
        ] {
            assert_eq!(read(&text), Some((words.to_owned(), calls.to_owned())), "{text}");
        }
    }

    #[test]
    fn a_text_that_talks_about_calls_is_left_alone() {
        for text in [
            "",
            "note",
            "{\"summary\": \"done\", \"confidence\": 1}",
            "{\"name\": \"note\", \"parameters\": {}, \"summary\": \"done\"}",
            "{\"name\": \"note\"}",
            "{\"name\": \"unknown\", \"parameters\": {}}",
            "{\"name\": \"note\", \"parameters\": {}} is how it is called",
            "Write `<tool_call>{\"name\":\"note\",\"arguments\":{}}</tool_call>` to call it",
            "It writes <tool_call>{\"name\":\"note\",\"arguments\":{}}</tool_call>",
            "<tool_call>{\"name\":\"note\",\"arguments\":{}}</tool_call>\nis what Qwen writes.",
            "Like this:\n```\n<tool_call>{\"name\":\"note\",\"arguments\":{}}</tool_call>",
            "Use\n```json\n{\"tool\": \"note\", \"arguments\": {}}\n```",
            "<tool_call>{\"name\":\"unknown\",\"arguments\":{}}</tool_call>",
            "[TOOL_CALLS] is a token of Mistral",
            "<function=note> is a tag",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    #[test]
    fn a_call_that_was_cut_is_none() {
        let whole =
            "<tool_call>{\"name\": \"note\", \"arguments\": {\"a\": \"rm -r build\"}}</tool_call>";
        let json_ends = whole.rfind('<').unwrap();
        for at in 1..json_ends {
            assert_eq!(read(&whole[..at]), None, "{}", &whole[..at]);
        }
        for text in [
            "<function=note>{\"a\": 1",
            "[TOOL_CALLS] [{\"name\": \"note\", \"arguments\": {\"a\": 1}}",
            "<|python_tag|>{\"name\": \"note\", \"parameters\": {\"a\": 1}",
            "```json\n{\"tool\": \"note\", \"arguments\": {\"a\": 1}",
            "<｜tool▁call▁begin｜>note<｜tool▁sep｜>{\"a\": 1",
            "<tool_call>{\"name\": \"note\", \"arguments\": \"{\\\"a\\\": \"}</tool_call>",
        ] {
            assert_eq!(read(text), None, "{text}");
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_breaks_the_reader(
            parts in proptest::collection::vec(proptest::sample::select(vec![
                "<tool_call>", "</tool_call>", "<function=", ">", "[TOOL_CALLS]", "[ARGS]", "<|python_tag|>",
                "<｜tool▁call▁begin｜>", "<｜tool▁sep｜>", "{\"name\":\"note\"}", "{", "}", "```",
                "json", "note", "\n", ";", " ", "é",
            ]), 0..12),
        ) {
            let _ = read(&parts.concat());
        }
    }
}
