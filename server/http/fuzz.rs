//! Every reader of what strangers send, fed with damaged copies of a kept corpus. Each says what must
//! hold of whatever it reads; what breaks one is written into the corpus, and read first from then
//! on. `CALLBOARD_FUZZ=` says how many there are.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, str};

use callboard_config::Limits;
use callboard_tools::Call;
use futures::executor::block_on;
use http::{HeaderMap, HeaderName, HeaderValue, Uri};
use rmcp::model::{ClientJsonRpcMessage, InitializeRequestParams, JsonRpcMessage};
use serde_json::{Map, Value, json};

use super::access::Access;
use super::guard::Guard;
use super::login::{SECRET, door, known};
use super::session::{HEADER, Sessions, Visitor};
use crate::line::{Frame, Framer, Read};
use crate::questions;
use crate::seal::{KEY_BYTES, Seals};

#[path = "../../tests/damage/dice.rs"]
mod dice;
#[expect(dead_code, reason = "only bytes are damaged here")]
#[path = "../../tests/damage/mutate.rs"]
mod mutate;

use dice::Dice;
use mutate::spoil;

/// Damaged copies for each reader.
const ROUNDS: u64 = 4_000;
/// One damaged copy out of so many is of two samples.
const SPLICED: usize = 8;

#[expect(clippy::disallowed_methods, reason = "how much is tested is said from outside")]
fn rounds() -> u64 {
    std::env::var("CALLBOARD_FUZZ").map_or(ROUNDS, |it| it.parse().expect("a number"))
}

/// Reads every sample and many damaged copies of them; what breaks `reads` is kept.
fn fuzz(target: &str, fresh: Vec<Vec<u8>>, reads: impl Fn(&[u8], &mut Dice)) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus").join(target);
    let mut files: Vec<PathBuf> =
        fs::read_dir(&folder).expect("a corpus").map(|it| it.expect("a file").path()).collect();
    files.sort();
    let mut samples: Vec<Vec<u8>> =
        files.iter().map(|it| fs::read(it).expect("a sample")).collect();
    samples.extend(fresh);
    assert!(!samples.is_empty());
    for sample in &samples {
        reads(sample, &mut Dice::new(0));
    }
    for number in 0..rounds() {
        let mut dice = Dice::new(number);
        let mut bytes = dice.one(&samples).clone();
        if dice.below(SPLICED) == 0 {
            bytes.truncate(dice.below(bytes.len() + 1));
            let other = dice.one(&samples);
            bytes.extend(&other[dice.below(other.len() + 1)..]);
        }
        spoil(&mut bytes, &mut dice);
        let read = catch_unwind(AssertUnwindSafe(|| reads(&bytes, &mut dice)));
        if let Err(broken) = read {
            let kept = folder.join(format!("broken-{number}"));
            fs::write(&kept, &bytes).expect("it can be kept");
            eprintln!("kept as {}", kept.display());
            std::panic::resume_unwind(broken);
        }
    }
}

fn limits() -> Limits {
    Limits { line_bytes: 2_000, ..Limits::default() }
}

/// What a frame was read as, in short.
fn kind(read: &Read) -> String {
    match read {
        Read::Message(message) => json!(message).to_string(),
        Read::Nothing => "nothing".to_owned(),
        Read::Refused(refused) => String::from_utf8(refused.line()).expect("text"),
    }
}

#[test]
fn lines_are_the_same_however_they_are_cut() {
    fuzz("stdio", vec![], |bytes, dice| {
        let mut whole = Framer::new(limits().line_bytes);
        let mut all = whole.push(bytes);
        all.extend(whole.end());
        let n_lines = bytes.split(|it| *it == b'\n').filter(|it| !it.is_empty()).count();
        assert_eq!(all.len(), n_lines, "a frame is a line");
        let (mut cut, mut pieces, mut rest) = (Framer::new(limits().line_bytes), vec![], bytes);
        while !rest.is_empty() {
            let (piece, more) = rest.split_at(1 + dice.below(rest.len()));
            pieces.extend(cut.push(piece));
            rest = more;
        }
        pieces.extend(cut.end());
        let kinds = |frames: Vec<Frame>| -> Vec<String> {
            frames.into_iter().map(|it| kind(&it.read(&limits()))).collect()
        };
        assert_eq!(kinds(all), kinds(pieces));
    });
}

#[test]
fn a_message_that_is_passed_on_is_the_same_message() {
    fuzz("jsonrpc", vec![], |bytes, _| match Frame::whole(bytes).read(&limits()) {
        Read::Message(message) => {
            let written = serde_json::to_vec(&message).expect("JSON");
            let again: ClientJsonRpcMessage = serde_json::from_slice(&written).expect("a message");
            assert_eq!(json!(again), json!(message));
            let kinds = |it: &ClientJsonRpcMessage| match it {
                JsonRpcMessage::Request(it) => json!(["request", it.id]),
                JsonRpcMessage::Notification(_) => json!("notification"),
                JsonRpcMessage::Response(it) => json!(["response", it.id]),
                JsonRpcMessage::Error(it) => json!(["error", it.id]),
            };
            assert_eq!(kinds(&again), kinds(&message));
        }
        Read::Refused(refused) => {
            let line: Value = serde_json::from_slice(&refused.line()).expect("JSON");
            assert!(line["error"]["code"].is_i64() && line["error"]["message"].is_string());
            assert!(line["id"].is_null() || line["id"].is_i64() || line["id"].is_string());
        }
        Read::Nothing => {}
    });
}

/// The headers of a head, as far as there are any.
fn head(bytes: &[u8]) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for line in bytes.split(|it| *it == b'\n') {
        let Some(at) = line.iter().position(|it| *it == b':') else { continue };
        let name = HeaderName::from_bytes(line[..at].trim_ascii());
        let value = HeaderValue::from_bytes(line[at + 1..].trim_ascii());
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    headers
}

fn all<'a>(headers: &'a HeaderMap, name: &str) -> Vec<&'a [u8]> {
    headers.get_all(name).iter().map(HeaderValue::as_bytes).collect()
}

/// Whether one of these names is all that stands before a port.
fn is_here(host: &str) -> bool {
    let host = host.to_ascii_lowercase();
    ["localhost", "127.0.0.1", "[::1]", "team.example"].iter().any(|name| {
        let port = host.strip_prefix(name).map(|it| it.strip_prefix(':').unwrap_or(it));
        port.is_some_and(|it| it.bytes().all(|it| it.is_ascii_digit()))
    })
}

#[test]
fn only_known_heads_pass() {
    let guard = Guard::new(&["team.example".to_owned()], &[], [127, 0, 0, 1].into());
    let sessions = Arc::new(Sessions::new(Arc::new(Seals::new([3; KEY_BYTES]))));
    let visitor = Visitor::of(&InitializeRequestParams::default());
    let name = sessions.named("s1", &visitor, "ann").expect("a name");
    let name = name.to_str().expect("text").to_owned();
    let access = door(known());
    let fresh = format!("Host: localhost\n{HEADER}: {name}\nAuthorization: Bearer {SECRET}\n");
    fuzz("headers", vec![fresh.into_bytes()], |bytes, _| {
        let headers = head(bytes);
        if guard.objects(&Uri::from_static("/mcp"), &headers).is_none() {
            let [host] = all(&headers, "host")[..] else { panic!("not one host: {headers:?}") };
            assert!(is_here(str::from_utf8(host).expect("text")), "{headers:?}");
            assert!(all(&headers, "origin").len() < 2, "{headers:?}");
        }
        let mut inside = headers.clone();
        if let Some(visit) = sessions.enter(&mut inside, "ann") {
            assert_eq!(headers[HEADER], name.as_str(), "another name opened a session");
            assert_eq!((visit.session.as_str(), inside[HEADER].as_bytes()), ("s1", &b"s1"[..]));
        }
        assert!(sessions.enter(&mut headers.clone(), "ben").is_none(), "another's session");
        admitted(&access, &headers);
    });
}

/// Whoever is let in brought a known token, once, in its place.
fn admitted(access: &Access, headers: &HeaderMap) {
    let Ok(principal) = block_on(access.admit(headers)) else { return };
    let [sent] = all(headers, "authorization")[..] else { panic!("not one: {headers:?}") };
    let sent = str::from_utf8(sent).expect("text");
    let (scheme, token) = sent.split_once(' ').expect("two words");
    assert!(scheme.eq_ignore_ascii_case("bearer"), "{headers:?}");
    let secret = if principal.name == "ci" { SECRET } else { "ops-token-0123456789" };
    assert_eq!(token.trim(), secret);
}

#[test]
fn only_states_that_we_gave_out_come_back() {
    let seals = Seals::new([5; KEY_BYTES]);
    let arguments = Map::from_iter([("task".to_owned(), json!("a"))]);
    let call = Call { tool: "coder".to_owned(), arguments, ..Call::default() };
    let bound = questions::bound_to("ann", &call);
    let view = json!({"run": "r_a", "state": "input_required", "agent": "coder",
        "cost": {"tokens": 0}, "handoffs": 0, "elapsed_s": 1.0,
        "questions": [{"id": "q_1", "kind": "text", "prompt": "how many?"}]});
    let view = serde_json::from_value(view).expect("a view");
    let given = questions::required(&view, &seals, &bound).and_then(|it| it.request_state);
    let given = given.expect("a state");
    assert!(questions::resumed(&given, &seals, &bound).is_ok());
    fuzz("state", vec![given.clone().into_bytes()], |bytes, _| {
        let state = String::from_utf8_lossy(bytes);
        let resumed = questions::resumed(&state, &seals, &bound);
        assert_eq!(resumed.is_ok(), state == given, "{state}");
        let others = questions::bound_to("ben", &call);
        assert!(questions::resumed(&state, &seals, &others).is_err());
        if let Ok(responses) = serde_json::from_slice(bytes) {
            // What a user answered comes beside it, and may be anything.
            drop(questions::answers(&responses));
        }
    });
}
