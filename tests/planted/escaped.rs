//! A secret right behind an escape, as JSON writes a line's end, is one all the same.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::{Value, json};

use crate::endpoint::{Act, Ask, Endpoint};
use crate::house::{Server, files};
use crate::secrets::{core, made, planted};

/// What a model says with keys right behind a line's end, at every place where it may say something.
fn after_lines(key: String, mail: String) -> impl Fn(&Ask) -> Act + Send + Sync + 'static {
    move |ask: &Ask| match ask.turn() {
        1 => Act::calls(&[
            ("Read", json!({"file_path": "keys.json"})),
            ("Read", json!({"file_path": "app.conf"})),
            ("Write", json!({"file_path": "made.txt", "content": format!("one\n{key}\n\t{mail}")})),
            ("Bash", json!({"command": "cat keys.json app.conf; cat keys.json keys.json"})),
            ("note", json!({"slot": "notes", "key": "n", "text": format!("\t{key}\r\n{mail}")})),
        ]),
        _ => Act::answer(&json!({"summary": format!("the keys:\n{key}\n\t{mail}\"{key}\""),
            "confidence": 0.5})),
    }
}

/// Writes a file of the team in that folder.
fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join("team").join(name);
    fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
    fs::write(path, text).expect("a file");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_escape_before_a_secret_does_not_show_it() {
    let (key, mail) = (made("ghp_", 21, 36), "postgres://ann:hunter4711x@db.example/x".to_owned());
    let endpoint = Endpoint::start(after_lines(key.clone(), mail.clone())).await;
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| write(folder.path(), name, text);
    write(
        "team.yaml",
        &format!(
            "entry: lead\nproviders:\n  e: {{base_url: \"{}\"}}\nmodels: {{default: e/m}}\nroots: [work]\n\
             throttle: off\n",
            endpoint.base_url()
        ),
    );
    write(
        "agents/lead.md",
        "---\ndescription: Leads.\ntools: Read, Write, Bash\n\
         permissions: {run: allow, write: allow}\n---\nYou lead.\n",
    );
    write(
        "work/keys.json",
        &json!({"a": format!("line\n{key}\n"), "b": format!("\t{mail}")}).to_string(),
    );
    write("work/app.conf", "A=1\nDB_PASSWORD=plain4711words\nB=get_password()\n");
    let mut command = Command::new(env!("CARGO_BIN_EXE_callboard"));
    command.args(["run", "lead", "look", "--json", "--verbose", "--team"]);
    command.arg(folder.path().join("team")).arg("--data").arg(folder.path().join("data"));
    let out = command.env("CALLBOARD_LOG", "trace").output().expect("it runs");
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    let view: Value = serde_json::from_slice(&out.stdout).expect("a view");
    assert_eq!(view["state"], "completed", "{view} {}", text(&out.stderr));
    let mut shown = files(&folder.path().join("data"));
    shown.push(("what is written".into(), view.to_string()));
    shown.push(("the log".into(), text(&out.stderr)));
    for more in [&["--json"][..], &[]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_callboard"));
        command.args(["trace", "latest", "--team"]).arg(folder.path().join("team"));
        command.arg("--data").arg(folder.path().join("data")).args(more);
        let out = command.output().expect("it runs");
        assert!(out.status.success() && !out.stdout.is_empty(), "{}", text(&out.stderr));
        shown.push((format!("the trace {more:?}"), text(&out.stdout)));
    }
    let asked: String = endpoint.requests().iter().map(|it| it.body.to_string()).collect();
    assert!(
        asked.contains("DB_PASSWORD=[secret]") && asked.contains("B=get_password()"),
        "{asked}"
    );
    shown.push(("what the model is told".into(), asked));
    for part in [core("key", &key).as_str(), "hunter4711x", "plain4711words"] {
        for (place, text) in &shown {
            assert!(!text.contains(part), "{part} stands in {place}: {text}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_guardrail_withholds_is_told_to_no_caller() {
    const MAIL: &str = "ann.b@mail.example";
    for on_fail in ["redact", "block", "stop", "retry"] {
        let script = |ask: &Ask| match ask.turn() {
            1 => Act::call("Read", json!({"file_path": "mail.txt"})),
            _ => Act::answer(&json!({"summary": format!("ask {MAIL}"), "confidence": 0.5})),
        };
        let endpoint = Endpoint::start(script).await;
        let folder = tempfile::tempdir().expect("a folder");
        let write = |name: &str, text: &str| write(folder.path(), name, text);
        let team = format!(
            "entry: lead\nproviders:\n  e: {{base_url: \"{}\"}}\nmodels: {{default: e/m}}\nroots: [work]\n\
             throttle: off\nguardrails:\n  - {{name: no_mail, on: output, kind: personal, on_fail: {on_fail}}}\n  \
             - {{on: tool_result, kind: personal, on_fail: redact}}\n",
            endpoint.base_url()
        );
        write("team.yaml", &team);
        write("agents/lead.md", "---\ndescription: Leads.\ntools: Read\n---\nYou lead.\n");
        write("work/mail.txt", &format!("mail {MAIL}\n"));
        let command = |args: &[&str]| {
            let mut command = Command::new(env!("CARGO_BIN_EXE_callboard"));
            command.args(args).arg("--team").arg(folder.path().join("team"));
            command.arg("--data").arg(folder.path().join("data"));
            let out = command.output().expect("it runs");
            let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
            (text(&out.stdout), text(&out.stderr))
        };
        let (out, live) = command(&["run", "lead", "who knows?", "--json"]);
        assert!(live.contains("model said: [withheld by guardrail no_mail]"), "{live}");
        assert!(!out.contains(MAIL) && !live.contains(MAIL), "{on_fail}: {out} {live}");
        let view: Value = serde_json::from_str(&out).expect("a view");
        let run = view["run"].as_str().expect("a run");
        let mut server = Server::start(folder.path(), &planted());
        let told = server.calls("team_status", json!({"run": run, "view": "trace"}));
        let told = told["trace"].to_string();
        assert!(told.contains("[withheld by guardrail no_mail]"), "{told}");
        assert!(told.contains("[withheld by guardrail personal_tool_result]"), "{told}");
        for what in ["steps", "handoffs", "cost", "summary"] {
            server.calls("team_status", json!({"run": run, "view": what}));
        }
        for path in ["", "/trace", "/steps", "/artifacts", "/why", "/cost"] {
            let uri = format!("team://runs/{run}{path}");
            server.asks("resources/read", json!({"uri": uri}));
        }
        server.asks("prompts/get", json!({"name": "postmortem", "arguments": {"run": run}}));
        let said = server.end();
        assert!(said.contains("post-mortem") && !said.contains(MAIL), "{on_fail}: {said}");
        assert!(command(&["trace", run]).0.contains(MAIL), "its owner may look into it");
    }
}
