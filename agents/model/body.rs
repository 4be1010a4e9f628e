//! The body of a chat request, as one endpoint wants it.

use serde::ser::{Serialize, SerializeMap, Serializer};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

use super::exchange::{ITEMS, Request};
use super::manners::{MAX_FIELDS, Manners};

/// A request as an endpoint is sent it; what is there as text goes as it is.
pub(crate) struct Body<'a> {
    pub(crate) fields: Map<String, Value>,
    pub(crate) lists: Vec<(&'static str, &'a RawValue)>,
}

impl Body<'_> {
    pub(crate) fn value(&self) -> Value {
        serde_json::to_value(self).unwrap_or_default()
    }
}

impl Serialize for Body<'_> {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        let mut map = to.serialize_map(None)?;
        self.fields.iter().try_for_each(|(name, it)| map.serialize_entry(name, it))?;
        self.lists.iter().try_for_each(|(name, it)| map.serialize_entry(name, it))?;
        map.end()
    }
}

/// The request as JSON; `max_field` is the endpoint's name of the output limit.
pub(crate) fn body<'a>(
    request: &'a Request,
    max_field: &str,
    manners: &Manners,
    stream: bool,
) -> Body<'a> {
    let (mut body, mut lists) = (Map::new(), Vec::new());
    let mut put = |name: &str, value: Value| {
        if !value.is_null() && !manners.dropped.contains(name) {
            body.insert(name.to_owned(), value);
        }
    };
    put("model", json!(request.model));
    // Read only where something in it has to become something else.
    match ["\"developer\"", ITEMS].iter().any(|it| request.messages.text().contains(it)) {
        true => put("messages", messages(request, manners)),
        false => lists.push(("messages", request.messages.raw())),
    }
    if !request.tools.is_empty() {
        match manners.has_no_strict {
            true => {
                put("tools", request.tools.all().iter().map(|it| lenient(it, manners)).collect())
            }
            false => lists.push(("tools", request.tools.raw())),
        }
        put("tool_choice", json!(request.tool_choice));
    }
    put(output_limit(max_field, manners), json!(request.max_output));
    put("temperature", json!(request.temperature));
    put("reasoning_effort", json!(request.effort));
    let format = request.response_format.as_ref();
    put("response_format", format.map_or(Value::Null, |it| lenient(it, manners)));
    put("stream", json!(stream));
    if stream {
        put("stream_options", json!({"include_usage": true}));
    }
    lists.retain(|it| !manners.dropped.contains(it.0));
    Body { fields: body, lists }
}

fn output_limit<'a>(max_field: &'a str, manners: &Manners) -> &'a str {
    let other = MAX_FIELDS.into_iter().find(|it| *it != max_field);
    if manners.swaps_max { other.unwrap_or(max_field) } else { max_field }
}

/// Every message as it is; only a role that the endpoint does not know is renamed.
fn messages(request: &Request, manners: &Manners) -> Value {
    let one = |message: &Value| {
        let mut message = message.clone();
        if message["role"] == "developer" {
            message["role"] = role(&message, manners);
        }
        if let Some(fields) = message.as_object_mut() {
            fields.shift_remove(ITEMS);
        }
        message
    };
    request.messages.all().iter().map(one).collect()
}

/// The role of a message, as the endpoint knows it.
pub(crate) fn role(message: &Value, manners: &Manners) -> Value {
    match message["role"].as_str() {
        Some("developer") if manners.has_no_developer => Value::from("system"),
        Some(_) | None => message["role"].clone(),
    }
}

/// A tool or an output format without `strict`, where that is unknown.
pub(crate) fn lenient(it: &Value, manners: &Manners) -> Value {
    let mut it = it.clone();
    let inner = ["function", "json_schema"].into_iter().find(|name| it.get(name).is_some());
    let strict = inner.and_then(|name| it[name].as_object_mut());
    if let Some(fields) = strict.filter(|_| manners.has_no_strict) {
        fields.shift_remove("strict");
    }
    it
}

#[cfg(test)]
mod tests {
    use callboard_trace::Purpose;

    use super::*;

    fn request() -> Request {
        Request {
            agent: "coder".to_owned(),
            turn: 1,
            attempt: 1,
            run: "r_1".to_owned(),
            task: "t".to_owned(),
            handed: false,
            purpose: Purpose::Turn,
            model: "m".to_owned(),
            messages: vec![json!({"role": "developer", "content": "x", "z": 1, "a": 2})].into(),
            tools: vec![json!({"type": "function", "function": {"name": "f", "strict": true}})]
                .into(),
            tool_choice: Some(json!("auto")),
            temperature: None,
            effort: Some("low".to_owned()),
            max_output: 64,
            traceparent: None,
            response_format: Some(json!({"type": "json_schema", "json_schema": {"strict": true}})),
        }
    }

    #[test]
    fn nothing_but_the_request_is_sent() {
        for role in ["developer", "user"] {
            let message = json!({"role": role, "content": "x", "z": 1, "a": 2});
            let request = Request { messages: vec![message.clone()].into(), ..request() };
            let body = body(&request, "max_tokens", &Manners::default(), true);
            let sent = serde_json::to_string(&body).unwrap();
            assert!(sent.contains(&format!("\"messages\":[{message}]")), "as it was: {sent}");
            let whole = json!({"model": "m", "messages": [message],
                "tools": [{"type": "function", "function": {"name": "f", "strict": true}}],
                "tool_choice": "auto",
                "max_tokens": 64, "reasoning_effort": "low",
                "response_format": {"type": "json_schema", "json_schema": {"strict": true}},
                "stream": true, "stream_options": {"include_usage": true}});
            assert_eq!(
                (body.value(), serde_json::from_str(&sent).ok()),
                (whole.clone(), Some(whole))
            );
        }
    }

    #[test]
    fn manners_change_what_they_name() {
        let manners = Manners {
            dropped: ["reasoning_effort", "stream_options"].map(str::to_owned).into(),
            swaps_max: true,
            has_no_developer: true,
            has_no_strict: true,
            ..Manners::default()
        };
        let request = request();
        let it = body(&request, "max_tokens", &manners, true).value();
        assert_eq!(it["max_completion_tokens"], 64);
        assert_eq!(it["messages"][0]["role"], "system");
        assert_eq!(it["tools"][0]["function"], json!({"name": "f"}));
        assert_eq!(it["response_format"]["json_schema"], json!({}));
        for gone in ["max_tokens", "reasoning_effort", "stream_options"] {
            assert!(it.get(gone).is_none(), "{gone}");
        }
        let back =
            Manners { swaps_max: true, dropped: ["tools".to_owned()].into(), ..Manners::default() };
        let it = body(&request, "max_completion_tokens", &back, false).value();
        assert_eq!((&it["max_tokens"], it.get("tools")), (&json!(64), None));
    }

    #[test]
    fn without_tools_none_can_be_chosen() {
        let bare = Request { tools: Vec::new().into(), ..request() };
        let it = body(&bare, "max_tokens", &Manners::default(), false).value();
        assert!(it.get("tools").is_none() && it.get("tool_choice").is_none());
        assert!(it.get("stream_options").is_none());
    }
}
