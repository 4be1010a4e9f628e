//! The faults of a model endpoint, each with what becomes of a run that meets it.

use std::fmt;
use std::time::Duration;

use callboard_trace::{FailureCode, Stop};
use serde_json::{Value, json};

use crate::endpoint::{Act, Ask};

/// What becomes of a run that meets a fault.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum End {
    /// It does all it was to do, after so many more requests.
    Recovers(usize),
    /// What the endpoint said is its answer.
    Answers,
    /// It ends, after so many requests in that place.
    Fails(Stop, FailureCode, usize),
    /// It rests for longer than a test can wait.
    Parks,
}

impl fmt::Display for End {
    fn fmt(&self, to: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            End::Recovers(more) => write!(to, "goes on, {more} more"),
            End::Answers => write!(to, "answers"),
            End::Fails(stop, code, times) => write!(to, "{stop:?}, {code:?} after {times}"),
            End::Parks => write!(to, "rests"),
        }
    }
}

type Does = Box<dyn Fn(&Ask) -> Act + Send + Sync>;

/// One fault.
pub(crate) struct Fault {
    /// Its number in the list of faults, and what it is. Several of one name are one row.
    pub(crate) name: String,
    pub(crate) act: Does,
    /// How often the run meets it in one place.
    pub(crate) times: usize,
    /// What becomes of a run whose endpoint streams, and of one whose endpoint does not; `None`
    /// where there is no such fault.
    pub(crate) ends: [Option<End>; 2],
    /// How long the endpoint is to be left alone after it.
    pub(crate) pause: Duration,
    /// What its caller is told in any case.
    pub(crate) tells: &'static str,
}

impl Fault {
    fn pause(self, seconds: u64) -> Fault {
        Fault { pause: Duration::from_secs(seconds), ..self }
    }

    fn tells(self, tells: &'static str) -> Fault {
        Fault { tells, ..self }
    }

    /// Whether it is met by an agent that waits two seconds for a byte and not a minute.
    pub(crate) fn is_of_patience(&self) -> bool {
        self.name.starts_with("F25")
    }
}

fn meets(
    times: usize,
    name: &str,
    act: impl Fn(&Ask) -> Act + Send + Sync + 'static,
    end: End,
) -> Fault {
    let (name, act) = (name.to_owned(), Box::new(act));
    Fault { name, act, times, ends: [Some(end); 2], pause: Duration::ZERO, tells: "" }
}

fn once(name: &str, act: impl Fn(&Ask) -> Act + Send + Sync + 'static, end: End) -> Fault {
    meets(1, name, act, end)
}

fn always(name: &str, act: impl Fn(&Ask) -> Act + Send + Sync + 'static, end: End) -> Fault {
    meets(usize::MAX, name, act, end)
}

use End::{Answers, Fails, Parks, Recovers};
use FailureCode::{
    BadReply, BadRequest, ContextOverflow, Loop, ModelUnavailable, RateLimited, Refused, Timeout,
    Unauthorized,
};
use Stop::Error;

/// All faults of endpoints that are there.
pub(crate) fn faults() -> Vec<Fault> {
    [refusals(), cuts(), every_cut(), nonsense(), calls(), words()].into_iter().flatten().collect()
}

/// F20 to F23: what is told by the status.
fn refusals() -> Vec<Fault> {
    vec![
        once("F20 429, a second", |_| limited("1"), Recovers(1)).pause(1),
        once("F20 429, a date", |_| dated(), Recovers(1)).pause(1),
        once("F20 429, nonsense", |_| limited("abc"), Recovers(1)),
        once("F20 429, a negative", |_| limited("-1"), Recovers(1)),
        once("F20 429, eleven days", |_| limited("999999"), Parks),
        once("F20 429, a page", |_| Act::page().with_status(429), Recovers(1)),
        once("F20 429, nothing left", |_| spent(), Fails(Error, RateLimited, 1)),
        once("F20 503, a second", |_| limited("1").with_status(503), Recovers(1)).pause(1),
        always("F20 429 for ever", |_| soon(), Fails(Error, RateLimited, 10)),
        once("F21 500", |_| Act::status(500), Recovers(1)),
        meets(2, "F21 502 twice", |_| Act::page().with_status(502), Recovers(2)),
        once("F21 504", |_| Act::status(504), Recovers(1)),
        once("F21 529", |_| Act::status(529), Recovers(1)),
        always("F21 503 for ever", |_| Act::status(503), Fails(Error, ModelUnavailable, 3)),
        once("F22 too long", |_| too_long(), Fails(Error, ContextOverflow, 1)).tells("8192 tokens"),
        once("F23 401", |_| Act::status(401), Fails(Error, Unauthorized, 1)),
        once("F23 403", |_| Act::status(403), Fails(Error, Unauthorized, 1)),
        once("another 4xx", |_| Act::status(402), Fails(Error, BadRequest, 1)),
        once("a redirect", |_| away(), Fails(Error, BadRequest, 1)),
        once("a parameter it does not know", |_| picky(), Recovers(1)),
    ]
}

/// F24 to F27: what does not come, or not to its end.
fn cuts() -> Vec<Fault> {
    vec![
        once("F24 it hangs up", |_| half().cut_after(0), Recovers(1)),
        once("F25 silence", |_| Act::silence(), Recovers(1)),
        once("F25 a stall", |_| half().stalls_after(2), Recovers(1)),
        once("F25 a drip", |_| half().slowly(Duration::from_millis(1_500)), Recovers(1)),
        always("F25 silence for ever", |_| Act::silence(), Fails(Error, Timeout, 3)),
        once("F26 a cut text", |_| text("half of a text").cut_after(2), Recovers(1)),
        always("F26 a cut call for ever", |_| half().cut_after(3), Fails(Error, BadReply, 3)),
        once("F27 a call without room", |_| half().finish("length"), Recovers(1)),
        always(
            "F27 a call without room for ever",
            |_| half().finish("length"),
            Fails(Error, BadReply, 3),
        ),
        once("F27 a call under a filter", |_| half().finish("content_filter"), refused(1)),
        once("F27 a call that failed", |_| half().finish("malformed_function_call"), Recovers(1)),
        once("F27 an odd reason", |_| text("odd").finish("novel"), Answers),
        once("F27 calls announced, none made", |_| text("x").finish("tool_calls"), Answers),
    ]
}

/// F26 at every place where a call can be cut: the connection breaks, or the answer just ends.
fn every_cut() -> Vec<Fault> {
    let mut all = Vec::new();
    // As events: the role, the empty content, the call's head and its arguments by sevens; as one
    // body: four pieces.
    let events = 3 + half_call().to_string().len().div_ceil(7);
    for (streams, pieces) in [(true, events), (false, 3)] {
        for after in 0..=pieces {
            let cut =
                once("F26 a call that breaks off", move |_| half().cut_after(after), Recovers(1));
            let short = move |_: &Ask| half().without_done().ends_after(after);
            let short = once("F26 a call that ends early", short, Recovers(1));
            for mut fault in [cut, short] {
                fault.ends[usize::from(streams)] = None;
                all.push(fault);
            }
        }
    }
    all
}

/// F28, F31 and F32: bytes that are no answer, too many, or oddly written.
fn nonsense() -> Vec<Fault> {
    let counts = |it: Value| move |_: &Ask| text("counted").usage(it.clone());
    vec![
        once("F28 garbage", |_| Act::garbage(), Recovers(1)),
        once("F28 a page", |_| Act::page(), Recovers(1)),
        once("F28 nothing", |_| Act::empty(), Recovers(1)),
        once("F28 no choices", |_| body(&json!({"choices": []})), Recovers(1)),
        once("F28 no content", |_| Act::message(json!({"content": null})), Recovers(1)),
        once("F28 an error in a 200", |_| body(&json!({"error": {"code": 502}})), Recovers(1)),
        once("F28 an error as the reason", |_| text("x").finish("error"), Recovers(1)),
        once("F28 no counts", counts(Value::Null), Answers),
        once("F28 negative counts", counts(json!({"prompt_tokens": -7})), Answers),
        once("F28 huge counts", counts(json!({"prompt_tokens": 1e30})), Answers),
        always("F28 a page for ever", |_| Act::page(), Fails(Error, BadReply, 3)),
        once("F31 an event without end", |_| endless_event(), Recovers(1)),
        once("F31 words without end", |ask| endless(ask, false), Recovers(1)),
        once("F31 a call without end", |ask| endless(ask, true), Recovers(1)),
        once("F32 no UTF-8", torn, Answers),
        once("F32 CRLF, comments, BOM, split letters", odd, Answers),
    ]
}

/// F29 and F33: calls that cannot be made, or are not to be made again.
fn calls() -> Vec<Fault> {
    vec![
        once("F29 an unknown tool", |_| Act::call("explode", json!({})), Recovers(1)),
        once("F29 wrong types", |_| Act::call("Write", json!({"file_path": 7})), Recovers(1)),
        once("F29 arguments cut in a text", |_| half_arguments(3), Recovers(1)),
        once("F29 arguments cut behind a key", |_| half_arguments(27), Recovers(1)),
        once("F29 too many", |_| Act::calls(&vec![("team_status", json!({})); 200]), Recovers(1)),
        once("F29 one id for all", |_| named([json!("c"), json!("c")]), Recovers(1)),
        once("F29 no ids", |_| named([Value::Null, json!("")]), Recovers(1)),
        once("F29 gaps in the numbers", gaps, Recovers(1)),
        always(
            "F29 an unknown tool for ever",
            |_| Act::call("explode", json!({})),
            Fails(Error, BadReply, 3),
        ),
        always(
            "F33 the same call for ever",
            |_| Act::call("team_status", json!({})),
            Fails(Stop::Loop, Loop, 3),
        ),
    ]
}

/// F30, and texts that are no whole answer.
fn words() -> Vec<Fault> {
    vec![
        once("F30 a refusal", |_| refusal(), refused(1)).tells("I will not"),
        once("F30 a filter", |_| text("x").finish("content_filter"), refused(1)),
        once("F27 a text without room", |_| Act::say("half of a").finish("length"), Recovers(1)),
        always(
            "F27 a text without room for ever",
            |_| Act::say("half of a").finish("length"),
            Fails(Error, BadReply, 3),
        ),
    ]
}

const fn refused(times: usize) -> End {
    Fails(Stop::Refused, Refused, times)
}

/// What no call may be made of, if it was cut: with the file it would be seen.
fn half_call() -> Value {
    json!({"file_path": "half", "content": "half of a call, cut off"})
}

fn half() -> Act {
    Act::call("Write", half_call())
}

/// The call with so many letters of its arguments missing, which is said to be whole.
fn half_arguments(less: usize) -> Act {
    let whole = half_call().to_string();
    let function = json!({"name": "Write", "arguments": whole[..whole.len() - less]});
    let call = json!({"id": "c", "type": "function", "function": function});
    Act::message(json!({"role": "assistant", "content": null, "tool_calls": [call]}))
}

fn limited(after: &str) -> Act {
    Act::status(429).header("retry-after", after)
}

fn dated() -> Act {
    let now = "Fri, 20 Nov 2026 10:00:00 GMT";
    limited("Fri, 20 Nov 2026 10:00:01 GMT").header("date", now)
}

fn soon() -> Act {
    Act::status(429).header("retry-after-ms", "1")
}

fn spent() -> Act {
    Act::error(429, &json!({"error": {"message": "pay", "type": "insufficient_quota"}}))
}

fn away() -> Act {
    Act::status(302).header("location", "http://127.0.0.1:9/v1/chat/completions")
}

fn picky() -> Act {
    let words = "Unsupported parameter: 'temperature' is not supported with this model.";
    Act::error(400, &json!({"error": {"message": words}}))
}

fn too_long() -> Act {
    let words = "This model's maximum context length is 8192 tokens";
    Act::error(400, &json!({"error": {"message": words, "code": "context_length_exceeded"}}))
}

fn text(words: &str) -> Act {
    Act::answer(&json!({"summary": words, "confidence": 0.5}))
}

fn refusal() -> Act {
    Act::message(json!({"role": "assistant", "content": null, "refusal": "I will not"}))
}

fn body(body: &Value) -> Act {
    Act::bytes("application/json", vec![body.to_string().into_bytes()])
}

/// Two calls that do no harm, with these ids.
fn named(ids: [Value; 2]) -> Act {
    let calls: Vec<Value> = ids
        .into_iter()
        .zip([("LS", "{}"), ("Glob", "{\"pattern\": \"*\"}")])
        .map(|(id, (name, arguments))| {
            json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}})
        })
        .collect();
    Act::message(json!({"role": "assistant", "content": null, "tool_calls": calls}))
}

/// The same, numbered 3 and 9 in a stream.
fn gaps(ask: &Ask) -> Act {
    if !ask.streams() {
        return named([json!("a"), json!("b")]);
    }
    let call = |index: u8, name: &str, arguments: &str| {
        let function = json!({"name": name, "arguments": arguments});
        json!({"choices": [{"delta": {"tool_calls": [
            {"index": index, "id": format!("c{index}"), "function": function}]}}]})
    };
    let end = json!({"choices": [{"delta": {}, "finish_reason": "tool_calls"}]});
    let all = [call(3, "LS", "{}"), call(9, "Glob", "{\"pattern\": \"*\"}"), end];
    let all: String = all.iter().map(|it| format!("data: {it}\n\n")).collect();
    Act::events(&format!("{all}data: [DONE]\n\n"))
}

/// A message around bytes that are no UTF-8.
fn torn(ask: &Ask) -> Act {
    let mut bytes = said(ask, "w?rd");
    let at = bytes.iter().position(|it| *it == b'?').expect("the sign");
    bytes[at] = 0xff;
    Act::bytes(kind(ask), vec![bytes])
}

/// Bytes as they may be and seldom are: by threes, which splits letters.
fn odd(ask: &Ask) -> Act {
    let said = String::from_utf8(said(ask, "wörd €")).expect("UTF-8");
    let said = match ask.streams() {
        true => format!("\u{feff}: a comment\r\n\r\n{}: ping\r\n\r\n", said.replace('\n', "\r\n")),
        false => format!("\u{feff}{said}"),
    };
    Act::bytes(kind(ask), said.as_bytes().chunks(3).map(<[u8]>::to_vec).collect())
}

/// An answer of this word, in one piece.
fn said(ask: &Ask, word: &str) -> Vec<u8> {
    let content = json!({"summary": word, "confidence": 1}).to_string();
    let message = json!({"role": "assistant", "content": content});
    let field = if ask.streams() { "delta" } else { "message" };
    let body = json!({"choices": [{field: message, "finish_reason": "stop"}]}).to_string();
    if ask.streams() { format!("data:{body}\n\n") } else { body }.into_bytes()
}

fn kind(ask: &Ask) -> &'static str {
    if ask.streams() { "text/event-stream" } else { "application/json" }
}

fn endless_event() -> Act {
    Act::bytes("text/event-stream", vec![vec![b'x'; 300_000]])
}

/// 400 KiB, of words or of the content of a call, in small events or in one body.
fn endless(ask: &Ask, of_a_call: bool) -> Act {
    let word = "x".repeat(1_024);
    let arguments = |it: &str| json!({"tool_calls": [{"index": 0, "function": {"arguments": it}}]});
    let first = json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "Write",
        "arguments": "{\"file_path\": \"half\", \"content\": \""}}]});
    let piece = if of_a_call { arguments(&word) } else { json!({"content": word}) };
    if !ask.streams() {
        let words = word.repeat(400);
        let call = json!({"file_path": "half", "content": words});
        return if of_a_call { Act::call("Write", call) } else { text(&words) };
    }
    let event = |delta: &Value| format!("data: {}\n\n", json!({"choices": [{"delta": delta}]}));
    let mut pieces = vec![event(if of_a_call { &first } else { &piece }).into_bytes()];
    pieces.extend((0..400).map(|_| event(&piece).into_bytes()));
    Act::bytes("text/event-stream", pieces)
}
