//! What an endpoint turned out not to take, learned from its refusals, once for each model.

use std::collections::BTreeSet;

use serde_json::Value;

use super::classify::is_overflow;
use super::complaint::Complaint;

/// How one model at one endpoint wants to be asked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Manners {
    /// Fields of the request that are left out.
    pub(crate) dropped: BTreeSet<String>,
    /// The other name of the output limit is meant.
    pub(crate) swaps_max: bool,
    /// It knows no role `developer`.
    pub(crate) has_no_developer: bool,
    /// It knows no `strict`.
    pub(crate) has_no_strict: bool,
    /// It does not stream.
    pub(crate) has_no_stream: bool,
    /// It streams, but loses tool calls when it does.
    pub(crate) loses_calls: bool,
    /// It serves no chat completions: it is asked over the Responses API.
    pub(crate) has_no_chat: bool,
}

/// The two names of the output limit.
pub(crate) const MAX_FIELDS: [&str; 2] = ["max_tokens", "max_completion_tokens"];

/// Without these there is no request.
const ESSENTIAL: &[&str] = &["model", "messages", "input", "tools", "stream"];

/// Words of a refusal that is about a field itself, not about its value.
const UNSUPPORTED: &[&str] = &[
    "unsupported",
    "not support",
    "n't support",
    "unknown",
    "unrecognized",
    "unrecognised",
    "unexpected",
    "not permitted",
    "not allowed",
    "extra_forbidden",
    "extra field",
    "extra input",
    "not available",
    "deprecated",
    "only the default",
];

/// Words of a refusal that is about the form of the answer, however it is worded.
const FORM: &[&str] = &["response_format", "json_schema", "response mime type", "grammar"];

impl Manners {
    /// Takes a refusal of `body` to heart. Answers whether the next request would be another one.
    pub(crate) fn learn(&mut self, told: &Complaint, body: &Value) -> bool {
        if is_overflow(told) {
            return false;
        }
        let format = ["response_format", "text"].into_iter().find(|it| body.get(it).is_some());
        if let Some(format) = format.filter(|_| told.says(FORM)) {
            // Some take an output format and some take tools, and not both at once.
            return self.dropped.insert(format.to_owned());
        }
        if !told.says(UNSUPPORTED) {
            return false;
        }
        let before = self.clone();
        let names = |it: &str| told.param == it || names(&told.message, it);
        let has = |it: &str| body.get(it).is_some();
        let fields = body.as_object().into_iter().flat_map(|it| it.keys());
        let mut named = fields.filter(|it| !ESSENTIAL.contains(&it.as_str()) && names(it));
        if MAX_FIELDS.iter().any(|it| has(it) && names(it)) {
            self.max_refused();
        } else if names("developer") && roles(body).any(|it| it == "developer") {
            self.has_no_developer = true;
        } else if names("strict") || told.param.ends_with(".strict") {
            self.has_no_strict = true;
        } else if let Some(field) = named.next() {
            self.dropped.insert(field.clone());
        } else if (names("stream") || names("streaming")) && body["stream"] == true {
            self.has_no_stream = true;
        }
        *self != before
    }

    /// First the other name is tried, then none.
    fn max_refused(&mut self) {
        match self.swaps_max {
            false => self.swaps_max = true,
            true => self.dropped.extend(MAX_FIELDS.map(str::to_owned)),
        }
    }
}

fn roles(body: &Value) -> impl Iterator<Item = &str> {
    let messages = body.get("messages").and_then(Value::as_array).into_iter().flatten();
    messages.filter_map(|it| it.get("role")?.as_str())
}

/// Whether the text holds the name as a word of its own.
fn names(text: &str, name: &str) -> bool {
    let inside = |it: Option<char>| it.is_some_and(|it| it.is_alphanumeric() || it == '_');
    text.match_indices(name).any(|(at, found)| {
        let after = text[at + found.len()..].chars().next();
        !inside(text[..at].chars().next_back()) && !inside(after)
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn learned(manners: &mut Manners, refusal: &Value) -> bool {
        let body = json!({"model": "m", "stream": true, "stream_options": {"include_usage": true},
            "max_tokens": 9,
            "temperature": 0.2, "reasoning_effort": "low", "response_format": {"type": "json_schema"},
            "messages": [{"role": "developer", "content": "x"}], "tools": [{}], "tool_choice": "auto"});
        manners.learn(&Complaint::of_body(&refusal.to_string()), &body)
    }

    fn after(message: &str) -> Manners {
        let mut manners = Manners::default();
        assert!(learned(&mut manners, &json!({"error": {"message": message}})), "{message}");
        manners
    }

    #[test]
    fn refusals_of_a_field_are_understood() {
        for (message, field) in [
            ("Unsupported parameter: 'stream_options'", "stream_options"),
            (
                "Unsupported value: 'temperature' does not support 0.2 with this model. \
                 Only the default (1) value is supported.",
                "temperature",
            ),
            ("Unrecognized request argument supplied: reasoning_effort", "reasoning_effort"),
            ("response_format is not supported by this model", "response_format"),
            ("unknown field \"tool_choice\"", "tool_choice"),
        ] {
            assert_eq!(
                after(message).dropped.into_iter().collect::<Vec<_>>(),
                [field],
                "{message}"
            );
        }
        let swap = "Unsupported parameter: 'max_tokens' is not supported with this model. \
                    Use 'max_completion_tokens' instead.";
        assert!(after(swap).swaps_max);
        assert!(after("role 'developer' is not supported").has_no_developer);
        assert!(after("Unknown parameter: 'tools[0].function.strict'").has_no_strict);
        assert!(after("streaming is not supported").has_no_stream);
    }

    #[test]
    fn a_field_named_only_by_its_place_is_understood() {
        let mut manners = Manners::default();
        let refusal = json!({"detail": [{"type": "extra_forbidden", "loc": ["body", "stream_options"],
            "msg": "Extra inputs are not permitted"}]});
        assert!(learned(&mut manners, &refusal));
        assert!(manners.dropped.contains("stream_options"));
        let refusal = json!({"error": {"message": "unsupported", "param": "temperature"}});
        assert!(learned(&mut manners, &refusal));
        assert!(manners.dropped.contains("temperature"));
    }

    #[test]
    fn other_refusals_teach_nothing() {
        for message in [
            "max_tokens is too large: 32000",
            "temperature must be at most 1",
            "messages: unexpected role",
            "This model's maximum context length is 8; max_tokens is not supported",
            "unsupported",
        ] {
            let mut manners = Manners::default();
            assert!(!learned(&mut manners, &json!({"error": {"message": message}})), "{message}");
        }
    }

    #[test]
    fn the_limit_is_renamed_and_then_left_out() {
        let refusal = json!({"error": {"message": "unknown field max_tokens"}});
        let mut manners = Manners::default();
        assert!(learned(&mut manners, &refusal) && manners.dropped.is_empty());
        assert!(learned(&mut manners, &refusal));
        assert!(manners.dropped.contains("max_completion_tokens"));
        assert!(!learned(&mut manners, &refusal));
    }
}
