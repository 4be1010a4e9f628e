//! Models that say every secret that a model may come to know, and an endpoint that tells them all.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use serde_json::{Value, json};

use super::endpoint::{Act, Ask};
use super::secrets::Secrets;

pub(crate) fn script(secrets: Secrets) -> impl Fn(&Ask) -> Act + Send + Sync + 'static {
    let (has_erred, doomed) = (AtomicBool::new(false), AtomicUsize::new(0));
    move |ask: &Ask| {
        let system = ask.system();
        if system.contains("You are doomed.") {
            return fails(&secrets, doomed.fetch_add(1, Ordering::SeqCst));
        }
        if system.contains("You finish.") {
            return match has_erred.swap(true, Ordering::SeqCst) {
                false => Act::error(500, &told(&secrets)),
                true => Act::answer(&json!({"found": secrets["model reply"]})),
            };
        }
        leads(&secrets, ask.turn())
    }
}

/// An error that quotes all that the endpoint was sent and knows.
fn told(secrets: &Secrets) -> Value {
    let of = |name: &str| &secrets[name];
    let (key, header, own) = (of("environment"), of("header"), of("provider error"));
    json!({"error": {"message": format!("no: Bearer {key}, x-auth: {header}, and {own}")}})
}

/// Each way to fail, which quotes them: a status, an error in a stream, a page, garbage.
fn fails(secrets: &Secrets, nth: usize) -> Act {
    let told = told(secrets).to_string();
    match nth {
        0 => Act::bytes("application/json", vec![told.into_bytes()]).with_status(400),
        1 => Act::bytes("application/json", vec![told.into_bytes()]).with_status(403),
        2..5 => Act::events(&format!("data: {told}\n\n")),
        5..8 => Act::bytes("text/html", vec![format!("<html>{told}</html>").into_bytes()]),
        _ => Act::events(&format!("data: {{\"choices\": {told}\n\n")),
    }
}

fn leads(secrets: &Secrets, turn: usize) -> Act {
    let of = |name: &str| secrets[name].clone();
    let note =
        |key: &str, text: String| ("note", json!({"slot": "notes", "key": key, "text": text}));
    // Not everybody's runs are in a database.
    let store = secrets.get("store").cloned().unwrap_or_default();
    match turn {
        1 => Act::calls(&[
            note("plain", of("note")),
            note("key.pem", of("artifact")),
            ("mcp__x__echo", json!({"text": of("tool result")})),
            ("mcp__x__env", json!({})),
            ("Read", json!({"file_path": "notes.txt"})),
            ("Grep", json!({"pattern": "key", "output_mode": "content"})),
            ("remember", json!({"key": "key", "text": format!("the key is {}", of("memory"))})),
            note("store", format!("its password is {store}")),
        ]),
        2 => {
            let command = format!(
                "echo {} > written; touch here; until [ -e go ]; do sleep 0.05; done; \
                 env; cat notes.txt written; cat no-such-{}",
                of("command"),
                of("command")
            );
            Act::call("Bash", json!({"command": command}))
        }
        3 => Act::call("ask_owner", json!({"question": "What is the password?"})),
        4 => Act::calls(&[
            ("mcp__x__no_such", json!({"text": of("tool result")})),
            ("no_such_tool", json!({of("tool result"): of("tool result")})),
            ("Read", json!({"file_path": of("tool result")})),
        ]),
        _ => {
            let summary = json!({"did": "looked at everything there is",
                "must_know": format!("the key is {}", of("handoff")), "do_next": "finish it"});
            Act::call("handoff", json!({"to": "mate", "task": "finish it", "summary": summary}))
        }
    }
}
