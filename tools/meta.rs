//! What a call carries beside its arguments, in `_meta`: who repeats itself, what is urgent.

use callboard_config::amounts::amounts;
use callboard_config::budget::Caps;
use callboard_config::{Limits, schema};
use serde_json::{Map, Value};

/// What is taken from `_meta`.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Asked {
    /// The same key joins the run it started.
    pub(crate) key: Option<String>,
    /// Starts anew whatever the key says.
    pub(crate) fresh: bool,
    /// The caller named no key of its own: an equal call that was left may be joined. A client's
    /// call id does not forbid it, since a model that calls again gets a new one.
    pub(crate) may_rejoin: bool,
    /// 0..1000.
    pub(crate) priority: Option<u16>,
    /// Seconds until the run ends.
    pub(crate) deadline_s: Option<u64>,
    /// What it may spend, at most what the team allows.
    pub(crate) budget: Option<Caps>,
    /// The conversation: the caller's own name for it, else the client's.
    pub(crate) session: Option<String>,
    /// The JSON Schema that the answer has to meet.
    pub(crate) output_schema: Option<Value>,
    /// W3C trace context.
    pub(crate) traceparent: Option<String>,
}

/// Characters of a key.
const KEY_CHARS: usize = 200;
/// Where clients put the id of a call: the same id means the same call.
const CALL_IDS: [&str; 2] = ["claudecode/toolUseId", "callId"];
/// Where clients put the id of a conversation, which makes short call ids unique.
const THREAD_IDS: [&str; 2] = ["threadId", "sessionId"];

/// Reads `_meta`. Fields of others are not ours to judge; each of ours that does not fit is told.
pub(crate) fn read(
    meta: &Map<String, Value>,
    client: &str,
    limits: &Limits,
) -> Result<Asked, Vec<String>> {
    let mut problems = Vec::new();
    let mut told = |name: &str, write: String| {
        problems.push(format!("_meta.callboard/{name}: does not fit; write {write}"));
    };
    let may_rejoin = meta.get("callboard/key").is_none_or(Value::is_null);
    let key = name(meta.get("callboard/key"), || call_id(meta, client)).unwrap_or_else(|write| {
        told("key", write);
        None
    });
    let session = meta.get("callboard/session");
    let session = name(session, || thread_id(meta, client)).unwrap_or_else(|write| {
        told("session", write);
        None
    });
    let fresh = match meta.get("callboard/fresh") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(fresh)) => *fresh,
        Some(_) => {
            told("fresh", "true or false".to_owned());
            false
        }
    };
    let priority = number(meta, "callboard/priority", 0..=1000)
        .unwrap_or_else(|()| {
            told("priority", "an integer, 0..1000".to_owned());
            None
        })
        .and_then(|it| u16::try_from(it).ok());
    let longest = limits.deadline_s;
    let deadline_s = number(meta, "callboard/deadline_s", 1..=longest).unwrap_or_else(|()| {
        told("deadline_s", format!("seconds, 1..{longest}"));
        None
    });
    let budget = meta.get("callboard/budget").filter(|it| !it.is_null());
    let budget = budget.and_then(|it| match amounts(it, "_meta.callboard/budget") {
        Ok(amounts) => Some(Caps::of_amounts(&amounts)),
        Err(told) => {
            problems.extend(told);
            None
        }
    });
    let output_schema = meta.get("callboard/output_schema").filter(|it| !it.is_null()).cloned();
    let misfit = output_schema.as_ref().and_then(schema::problem);
    problems.extend(misfit.map(|it| format!("_meta.callboard/output_schema{it}")));
    let traceparent = meta.get("traceparent").and_then(Value::as_str).map(str::to_owned);
    if problems.is_empty() {
        Ok(Asked {
            key,
            fresh,
            may_rejoin,
            priority,
            deadline_s,
            budget,
            session,
            output_schema,
            traceparent,
        })
    } else {
        Err(problems)
    }
}

/// A name that the caller gave, else the usual one; or what to write.
fn name(
    given: Option<&Value>,
    usual: impl FnOnce() -> Option<String>,
) -> Result<Option<String>, String> {
    match given {
        None | Some(Value::Null) => Ok(usual()),
        Some(Value::String(name)) if (1..=KEY_CHARS).contains(&name.chars().count()) => {
            Ok(Some(name.clone()))
        }
        Some(_) => Err(format!("a text of 1..{KEY_CHARS} characters")),
    }
}

/// The client's own id of this call, named after the client and its conversation.
fn call_id(meta: &Map<String, Value>, client: &str) -> Option<String> {
    let text = |name: &&str| meta.get(*name).and_then(Value::as_str).filter(|it| !it.is_empty());
    let id = CALL_IDS.iter().find_map(text)?;
    let thread = THREAD_IDS.iter().find_map(text).unwrap_or_default();
    Some(format!("{client}/{thread}/{id}").chars().take(KEY_CHARS).collect())
}

/// The client's own id of the conversation, named after the client.
fn thread_id(meta: &Map<String, Value>, client: &str) -> Option<String> {
    let text = |name: &&str| meta.get(*name).and_then(Value::as_str).filter(|it| !it.is_empty());
    let id = THREAD_IDS.iter().find_map(text)?;
    Some(format!("{client}/{id}").chars().take(KEY_CHARS).collect())
}

fn number(
    meta: &Map<String, Value>,
    name: &str,
    range: std::ops::RangeInclusive<u64>,
) -> Result<Option<u64>, ()> {
    match meta.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => value.as_u64().filter(|it| range.contains(it)).map(Some).ok_or(()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(meta: Value) -> Result<Asked, Vec<String>> {
        let Value::Object(meta) = meta else { panic!("an object") };
        read(&meta, "codex", &Limits::default())
    }

    #[test]
    fn a_form_of_the_answer_is_taken_and_a_hostile_one_is_told_by_its_path() {
        let schema = json!({"type": "object"});
        let asked = of(json!({"callboard/output_schema": schema})).expect("fits");
        assert_eq!(asked.output_schema, Some(schema));
        let wrong = of(json!({"callboard/output_schema": {"items": {"$ref": "http://x/y"}}}));
        let told = wrong.expect_err("it leaves the schema").join("\n");
        assert!(told.starts_with("_meta.callboard/output_schema/items/$ref: refers to"), "{told}");
        let told = of(json!({"callboard/output_schema": 7})).expect_err("no schema").join("\n");
        assert!(told.contains("not an object"), "{told}");
    }

    #[test]
    fn the_callers_key_goes_before_the_clients_id() {
        let both = json!({"callboard/key": "k", "callId": "call_1"});
        assert_eq!(of(both).expect("fits").key.as_deref(), Some("k"));
        let id = json!({"callId": "call_1", "threadId": "t-1", "progressToken": 4});
        assert_eq!(of(id).expect("fits").key.as_deref(), Some("codex/t-1/call_1"));
        let id = json!({"claudecode/toolUseId": "toolu_9", "callboard/key": null});
        let by_id = of(id).expect("fits");
        assert_eq!((by_id.key.as_deref(), by_id.may_rejoin), (Some("codex//toolu_9"), true));
        assert!(!of(json!({"callboard/key": "k"})).expect("fits").may_rejoin);
        let plain = Asked { may_rejoin: true, ..Asked::default() };
        assert_eq!(of(json!({})).expect("fits"), plain);
    }

    #[test]
    fn a_conversation_is_the_callers_or_the_clients() {
        let session = |it: Value| of(it).expect("fits").session;
        assert_eq!(session(json!({})), None);
        assert_eq!(session(json!({"threadId": "t-1"})).as_deref(), Some("codex/t-1"));
        let both = json!({"threadId": "t-1", "callboard/session": "mine"});
        assert_eq!(session(both).as_deref(), Some("mine"));
    }

    #[test]
    fn every_field_of_ours_is_checked() {
        let wrong = json!({"callboard/key": "", "callboard/session": 7,
            "callboard/fresh": 1, "callboard/priority": 1001,
            "callboard/deadline_s": 0, "callboard/budget": {"usd": "much"}});
        assert_eq!(
            of(wrong).expect_err("nothing fits"),
            [
                "_meta.callboard/key: does not fit; write a text of 1..200 characters",
                "_meta.callboard/session: does not fit; write a text of 1..200 characters",
                "_meta.callboard/fresh: does not fit; write true or false",
                "_meta.callboard/priority: does not fit; write an integer, 0..1000",
                "_meta.callboard/deadline_s: does not fit; write seconds, 1..86400",
                "_meta.callboard/budget.usd: does not fit; write an amount from 0 on",
            ]
        );
        let right = json!({"callboard/fresh": true, "callboard/priority": 0,
            "callboard/deadline_s": 9, "callboard/budget": {"minutes": 2}});
        let right = of(right).expect("fits");
        assert_eq!(right.budget.and_then(|it| it.ms), Some(120_000));
        assert_eq!((right.fresh, right.priority, right.deadline_s), (true, Some(0), Some(9)));
    }
}
