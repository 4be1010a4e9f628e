//! What a provider says about its own error, whatever shape it comes in.

use serde_json::Value;

/// The parts of an error object, coerced to text; empty where there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Complaint {
    /// `error.code`, a word or a number.
    pub(crate) code: String,
    /// `error.type`, or `error.status` where that is a word.
    pub(crate) kind: String,
    /// The parameter it is about.
    pub(crate) param: String,
    /// What it says.
    pub(crate) message: String,
}

impl Complaint {
    /// Reads an error body; text that is no JSON is the message itself.
    pub(crate) fn of_body(body: &str) -> Complaint {
        match serde_json::from_str::<Value>(body) {
            Ok(it) => found(&it).map(Complaint::of).unwrap_or_else(|| Complaint::of(&it)),
            Err(_) if body.trim_start().starts_with('<') => Complaint::default(),
            Err(_) => Complaint { message: body.trim().to_owned(), ..Complaint::default() },
        }
    }

    /// Reads the error object itself, or what stands in its place.
    pub(crate) fn of(error: &Value) -> Complaint {
        if let Value::String(text) = error {
            return Complaint { message: text.clone(), ..Complaint::default() };
        }
        let text = |names: &[&str]| {
            let mut found = names.iter().filter_map(|it| error.get(it)).map(words);
            found.find(|it| !it.is_empty()).unwrap_or_default()
        };
        let inner = error.pointer("/metadata/raw").map(words).unwrap_or_default();
        let message = text(&["message", "msg", "detail", "error_description", "reason"]);
        let more = !inner.is_empty() && !message.contains(&inner);
        Complaint {
            code: text(&["code"]),
            kind: text(&["type", "status"]),
            param: text(&["param"]),
            message: if more { format!("{message}: {inner}") } else { message },
        }
    }

    /// The HTTP status that the code stands for, if it is one of an error.
    pub(crate) fn status(&self) -> Option<u16> {
        self.code.parse().ok().filter(|it| (400..=599).contains(it))
    }

    /// Whether any part holds one of the words; `words` are lower-case.
    pub(crate) fn says(&self, words: &[&str]) -> bool {
        let parts = [&self.code, &self.kind, &self.message].map(|it| it.to_lowercase());
        words.iter().any(|word| parts.iter().any(|it| it.contains(word)))
    }
}

/// The error that a body or an event of a stream holds, if it holds one; errors win over choices.
pub(crate) fn found(body: &Value) -> Option<&Value> {
    let told = |it: &&Value| match it {
        Value::Null | Value::Bool(false) => false,
        Value::String(text) => !text.is_empty(),
        Value::Object(fields) => !fields.is_empty(),
        Value::Array(items) => !items.is_empty(),
        Value::Bool(true) | Value::Number(_) => true,
    };
    let first = body.as_array().and_then(|it| it.first());
    let beside = body.pointer("/choices/0/error");
    let top = body.get("error").filter(told).or_else(|| beside.filter(told));
    let is_error = |name: &str| body.get(name).is_some_and(|it| it == "error");
    let bare = || (is_error("object") || is_error("type")).then_some(body);
    top.or_else(bare).or_else(|| first.and_then(|it| it.get("error")))
}

fn words(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        Value::Bool(_) | Value::Number(_) => value.to_string(),
        Value::Array(items) => items.iter().map(in_list).collect::<Vec<_>>().join("; "),
        Value::Object(_) => in_list(value),
    }
}

/// Validation errors come as lists of objects with a message and a place each.
fn in_list(value: &Value) -> String {
    let told = value.get("msg").or_else(|| value.get("message")).and_then(Value::as_str);
    let place = value.get("loc").and_then(Value::as_array).into_iter().flatten();
    let place: Vec<&str> = place.filter_map(Value::as_str).collect();
    match told {
        None => value.to_string(),
        Some(told) if place.is_empty() => told.to_owned(),
        Some(told) => format!("{}: {told}", place.join(".")),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn errors_of_every_shape_are_read() {
        let cases = [
            (
                json!({"error": {"message": "m", "type": "t", "param": null, "code": "c"}}),
                ["c", "t", "m"],
            ),
            (
                json!({"error": {"message": "m", "type": "t", "param": null, "code": 400}}),
                ["400", "t", "m"],
            ),
            (
                json!({"error": {"code": 400, "status": "INVALID_ARGUMENT"}}),
                ["400", "INVALID_ARGUMENT", ""],
            ),
            (json!([{"error": {"code": 404, "message": "m"}}]), ["404", "", "m"]),
            (json!({"error": "m"}), ["", "", "m"]),
            (json!({"detail": "m"}), ["", "", "m"]),
            (
                json!({"detail": [{"loc": ["body", "x"], "msg": "m"}, {"msg": "n"}]}),
                ["", "", "body.x: m; n"],
            ),
            (
                json!({"object": "error", "message": "m", "type": "t", "code": 40303}),
                ["40303", "t", "m"],
            ),
            (
                json!({"error": {"message": "Provider returned error", "code": 502,
                    "metadata": {"raw": "boom"}}}),
                ["502", "", "Provider returned error: boom"],
            ),
            (json!(null), ["", "", ""]),
        ];
        for (body, [code, kind, message]) in cases {
            let told = Complaint::of_body(&body.to_string());
            assert_eq!([&*told.code, &*told.kind, &*told.message], [code, kind, message], "{body}");
        }
    }

    #[test]
    fn a_page_says_nothing_and_plain_text_is_the_message() {
        assert_eq!(Complaint::of_body("<html>busy</html>"), Complaint::default());
        assert_eq!(Complaint::of_body(" upstream busy\n").message, "upstream busy");
        assert_eq!(Complaint::of_body("").message, "");
    }

    #[test]
    fn an_error_is_found_wherever_it_stands() {
        for body in [
            json!({"error": {"message": "boom"}}),
            json!({"choices": [{"delta": {}}], "error": {"code": 429}}),
            json!({"choices": [{"delta": {}, "error": {"code": 502}}]}),
            json!({"error": "boom"}),
            json!({"type": "error", "code": "server_error", "message": "boom"}),
            json!([{"error": {"code": 500}}]),
        ] {
            assert!(found(&body).is_some(), "{body}");
        }
        for body in [
            json!({"error": null, "choices": []}),
            json!({"error": {}}),
            json!({"error": ""}),
            json!({}),
        ] {
            assert!(found(&body).is_none(), "{body}");
        }
    }
}
