//! What goes well: listing, calling, both eras, both transports, and the record of it all.

use callboard_trace::{Event, State};
use serde_json::{Value, json};

use super::fixture::Fixture;
use super::http::Remote;
use super::stage::{Stage, ask, play, records};
use super::{called, one, stage};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_journal_holds_exactly_the_calls_that_the_server_saw() {
    let fixture = Fixture::new("");
    let calls = [
        ("mcp__x__echo", json!({"text": "one"})),
        ("mcp__x__echo", json!({"text": 7})),
        ("mcp__x__fail", json!({})),
        ("mcp__x__structured", json!({})),
        ("mcp__x__nothing", json!({})),
        ("mcp__x__ask", json!({})),
    ];
    let stage = one(&fixture, &calls);
    let node = stage.node().await;
    let view = play(&node.desk(), ask("writer", "use them")).await;
    // The writer has three turns; the coder has enough of them.
    assert_eq!(view.state, State::Partial);
    let view = play(&node.desk(), ask("coder", "use them")).await;
    assert_eq!(view.state, State::Completed, "{:?}", view.error);
    let told = called(&node.desk(), &view.run).await;
    let results: Vec<(&str, bool, Value)> =
        told.iter().map(|(tool, _, ok, it)| (tool.as_str(), *ok, it.clone())).collect();
    assert_eq!(
        results,
        [
            ("mcp__x__echo", true, json!("one")),
            ("mcp__x__fail", false, json!({"error": "it does not work"})),
            ("mcp__x__structured", true, json!("{\"a\":[1,2]}")),
            ("mcp__x__ask", true, json!("answered: decline")),
        ]
    );
    let all = records(&node.desk(), &view.run).await;
    let seen = fixture.seen().split_off(2);
    let pairs = |all: &[Value]| -> Vec<(String, Value)> {
        let name = |it: &Value| format!("mcp__x__{}", it["name"].as_str().unwrap_or_default());
        all.iter().map(|it| (name(it), it["arguments"].clone())).collect()
    };
    let journal: Vec<(String, Value)> =
        told.iter().map(|it| (it.0.clone(), it.1.clone())).collect();
    assert_eq!(pairs(&seen), journal, "the calls");
    assert_eq!(pairs(&fixture.done().split_off(2)), journal, "their ends");
    let trace = all.iter().find_map(|it| match &it.event {
        Event::RunStarted(started) => Some(started.trace.clone()),
        _ => None,
    });
    for call in &seen {
        let parent = call["meta"]["traceparent"].as_str().expect("every call has it");
        assert!(parent.starts_with(&format!("00-{}-", trace.as_deref().unwrap_or_default())));
    }
    let refused = |word: &str| all.iter().any(|it| format!("{:?}", it.event).contains(word));
    assert!(refused("`/text`: 7 is not of type"), "the model is told what is wrong");
    assert!(refused("there is no tool `mcp__x__nothing`"), "and what there is");
    node.stop().await;
    fixture.until_gone();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_era_is_spoken() {
    for words in ["", "modern", "strict"] {
        let fixture = Fixture::new(words);
        let stage = one(&fixture, &[("mcp__x__echo", json!({"text": "heard"}))]);
        let node = stage.node().await;
        for _ in 0..2 {
            let view = play(&node.desk(), ask("writer", "say it")).await;
            let told = called(&node.desk(), &view.run).await;
            assert_eq!(told[0].3, json!("heard"), "{words}: {told:?}");
        }
        // One connection for both; a strict one goes at the first question and comes again.
        let starts = fixture.pids().len();
        assert_eq!(starts, if words == "strict" { 2 } else { 1 }, "{words}");
        node.stop().await;
        fixture.until_gone();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_behind_an_address_gets_its_headers_and_nobody_else() {
    for is_modern in [false, true] {
        let remote = Remote::start(is_modern).await;
        let secret = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(secret.path(), "Bearer tok-en-of-the-remote").expect("written");
        let servers = json!({"far": {"url": remote.url, "headers":
            {"Authorization": format!("file:{}", secret.path().display())}}});
        let stage = stage(&servers, &[("mcp__far__greet", json!({}))]);
        let node = stage.node().await;
        let view = play(&node.desk(), ask("writer", "greet")).await;
        let told = called(&node.desk(), &view.run).await;
        assert_eq!(told[0].3, json!("hello from afar"), "{is_modern}");
        let asked = remote.asked();
        assert!(asked.iter().all(|it| it.0["authorization"] == "Bearer tok-en-of-the-remote"));
        let call = asked.iter().find(|it| it.1["method"] == "tools/call").expect("a call");
        assert!(call.1["params"]["_meta"]["traceparent"].is_string());
        let all = records(&node.desk(), &view.run).await;
        assert!(!format!("{all:?}").contains("tok-en-of-the-remote"));
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_redirect_is_not_followed() {
    let target = Remote::start(true).await;
    let away = Remote::redirecting(target.url.clone()).await;
    let secret = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(secret.path(), "Bearer tok-en-of-the-first").expect("written");
    let key = format!("file:{}", secret.path().display());
    let servers = json!({"far": {"url": away.url, "headers": {"Authorization": key}}});
    let stage = stage(&servers, &[]);
    let node = stage.node().await;
    let view = play(&node.desk(), ask("writer", "greet")).await;
    assert_eq!(view.state, State::Completed, "it goes on without");
    assert!(
        target.asked().is_empty(),
        "neither a message nor a header went on: {:?}",
        target.asked()
    );
    let story = super::stage::told(&node.desk(), &view.run).await;
    assert!(story.contains("`far` is not there"), "{story}");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_inside_is_not_asked_however_it_is_written() {
    let remote = Remote::start(true).await;
    let port = remote.url.rsplit(':').next().and_then(|it| it.split('/').next()).expect("a port");
    let at = |host: &str| json!({ "url": format!("https://{host}:{port}/mcp") });
    // The last one is told by nothing but its looking up; where it has no address nobody is asked either.
    let servers = json!({"meta": at("169.254.169.254"), "mapped": at("[::ffff:169.254.169.254]"),
        "nat": at("[64:ff9b::a9fe:a9fe]"), "relay": at("[2002:7f00:1::1]"), "ours": at("10.0.0.1"),
        "odd": at("2130706433"), "named": at("ip6-localhost")});
    let stage = stage(&servers, &[]);
    let node = stage.node().await;
    let view = play(&node.desk(), ask("writer", "greet")).await;
    assert_eq!(view.state, State::Completed, "it goes on without");
    let story = super::stage::told(&node.desk(), &view.run).await;
    assert!(story.matches("no public address").count() >= 6, "{story}");
    assert!(story.contains("`named` is not there"), "{story}");
    assert!(remote.asked().is_empty());
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_gets_what_its_file_selects_and_pays_nothing_for_the_rest() {
    let fixture = Fixture::new("");
    let endpoint = super::endpoint::Endpoint::start(|_| {
        super::endpoint::Act::answer(&json!({"summary": "done", "confidence": 1}))
    })
    .await;
    let servers = json!({"x": fixture.entry(json!({}))});
    let stage = Stage::at(&endpoint.base_url(), &format!("mcpServers: {servers}\n"));
    let agent = |name: &str, fields: &str| {
        let text = format!("---\nname: {name}\ndescription: d.\n{fields}---\nYou are {name}.\n");
        stage.write(&format!("agents/{name}.md"), &text);
    };
    agent("some", "tools: [mcp__x__echo, \"mcp__x__wait*\"]\ndisallowedTools: [mcp__x__wait]\n");
    agent("none", "tools: [note]\n");
    agent("tame", "permissions: {external: deny}\n");
    let node = stage.node().await;
    play(&node.desk(), ask("some", "go")).await;
    let quiet = play(&node.desk(), ask("none", "go")).await;
    play(&node.desk(), ask("tame", "go")).await;
    let offered = |at: usize| -> Vec<String> {
        let tools = endpoint.requests()[at].body["tools"].as_array().cloned().unwrap_or_default();
        let names = tools.iter().filter_map(|it| it["function"]["name"].as_str());
        names.filter(|it| it.starts_with("mcp__")).map(str::to_owned).collect()
    };
    assert_eq!(offered(0), ["mcp__x__echo", "mcp__x__wait_again"]);
    assert_eq!(offered(1), [""; 0]);
    assert_eq!(offered(2), ["mcp__x__echo"], "what is not read-only may change something outside");
    let all = records(&node.desk(), &quiet.run).await;
    assert!(!format!("{all:?}").contains("tools/list"), "no step for what nobody may use");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_gets_its_own_variables_and_no_others_and_its_secret_is_kept() {
    let (x, y) = (Fixture::new(""), Fixture::new(""));
    let secret = tempfile::NamedTempFile::new().expect("a file");
    std::fs::write(secret.path(), "the-secret-of-x").expect("written");
    let own = json!({"API_KEY": format!("file:{}", secret.path().display()), "PLAIN": "open"});
    let dump = format!("env > {}/env", x.folder().display());
    let servers = json!({"x": x.entry(own), "y": y.entry(json!({})),
        "z": {"command": "sh", "args": ["-c", dump]}});
    let calls = [("mcp__x__env", json!({})), ("mcp__y__env", json!({}))];
    let stage = stage(&servers, &calls);
    let node = stage.node().await;
    let view = play(&node.desk(), ask("writer", "look")).await;
    let told = called(&node.desk(), &view.run).await;
    let env = |at: usize| -> Value {
        serde_json::from_str(told[at].3.as_str().expect("text")).expect("JSON")
    };
    assert_eq!((&env(0)["API_KEY"], &env(0)["PLAIN"]), (&json!("[secret]"), &json!("open")));
    assert_eq!((&env(1)["API_KEY"], &env(1)["PLAIN"]), (&Value::Null, &Value::Null));
    let given = std::fs::read_to_string(x.folder().join("env")).expect("the third one wrote it");
    let allowed =
        ["PATH", "HOME", "LANG", "TZ", "TMPDIR", "USER", "LOGNAME", "SHELL", "TRACEPARENT"];
    let of_the_shell = ["PWD", "OLDPWD", "SHLVL", "_"];
    for name in given.lines().filter_map(|it| it.split_once('=')).map(|it| it.0) {
        let is_allowed = allowed.contains(&name) || name.starts_with("LC_");
        assert!(is_allowed || of_the_shell.contains(&name), "{name} was passed on");
    }
    assert!(given.contains("TRACEPARENT=00-"), "{given}");
    let all = records(&node.desk(), &view.run).await;
    assert!(!format!("{all:?}").contains("the-secret-of-x"), "a secret in the journal");
    node.stop().await;
    for (place, bytes) in stage.everything().await {
        let found = bytes.windows(15).any(|it| it == b"the-secret-of-x");
        assert!(!found, "a secret in {place}");
    }
}
