//! What is listed beside the tools, in both eras: resources, prompts, completions, and what is told
//! of them when they change.

mod stage;

use std::time::Duration;

use callboard_config::AgentName;
use callboard_scheduler::{Ask, Desk, Node};
use callboard_trace::{Caller, RunId};
use serde_json::{Value, json};
use stage::{PATIENCE, Stage, answered, ask, caller, of_boss, play};
use tokio::io::{
    AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf,
};
use tokio::time::timeout;
use tokio_util::sync::{CancellationToken, DropGuard};

const OLDER: bool = false;
const NEWER: bool = true;
const SERVER_INFO: &str = "io.modelcontextprotocol/serverInfo";
/// Longer than the pause between two notices.
const A_WHILE: Duration = Duration::from_millis(900);

/// A client of one era.
struct Client {
    lines: Lines<BufReader<ReadHalf<DuplexStream>>>,
    out: WriteHalf<DuplexStream>,
    heard: Vec<Value>,
    ids: u64,
    is_newer: bool,
    /// What an older one was told at first.
    hello: Value,
    /// The connection ends with it.
    _ending: DropGuard,
}

impl Client {
    async fn on(node: &Node, is_newer: bool) -> Client {
        Client::with_room(node, is_newer, 64 << 10).await
    }

    /// A client that the server can write so many bytes to before it reads.
    async fn with_room(node: &Node, is_newer: bool, room: usize) -> Client {
        let (ours, theirs) = tokio::io::duplex(room);
        let (input, output) = tokio::io::split(theirs);
        let ending = CancellationToken::new();
        let (desk, ended, _ending) = (node.desk(), ending.clone(), ending.drop_guard());
        #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
        tokio::spawn(callboard::serve_stream(input, output, desk, ended));
        let (read, out) = tokio::io::split(ours);
        let (lines, heard, hello) = (BufReader::new(read).lines(), Vec::new(), Value::Null);
        let mut client = Client { lines, out, heard, ids: 0, is_newer, hello, _ending };
        if !is_newer {
            let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {},
                "clientInfo": {"name": "surface", "version": "1"}});
            client.hello = client.ask("initialize", hello).await["result"].clone();
            let done = json!({"jsonrpc": "2.0", "method": "notifications/initialized"});
            client.send(&done).await;
        }
        client
    }

    async fn send(&mut self, message: &Value) {
        self.out.write_all(format!("{message}\n").as_bytes()).await.expect("written");
    }

    async fn request(&mut self, method: &str, mut params: Value) -> u64 {
        self.ids += 1;
        if self.is_newer {
            let mut meta = params["_meta"].as_object().cloned().unwrap_or_default();
            meta.extend([
                ("io.modelcontextprotocol/protocolVersion".to_owned(), json!("2026-07-28")),
                ("io.modelcontextprotocol/clientCapabilities".to_owned(), json!({})),
            ]);
            params["_meta"] = json!(meta);
        }
        let request = json!({"jsonrpc": "2.0", "id": self.ids, "method": method, "params": params});
        self.send(&request).await;
        self.ids
    }

    async fn line(&mut self) -> Value {
        let line = timeout(PATIENCE, self.lines.next_line()).await.expect("something in time");
        serde_json::from_str(&line.expect("read").expect("a line")).expect("JSON and nothing else")
    }

    /// The answer to a request, whole.
    async fn answer(&mut self, id: u64) -> Value {
        loop {
            let message = self.line().await;
            if message["id"] == json!(id) {
                return message;
            }
            self.heard.push(message);
        }
    }

    async fn ask(&mut self, method: &str, params: Value) -> Value {
        let id = self.request(method, params).await;
        self.answer(id).await
    }

    async fn result(&mut self, method: &str, params: Value) -> Value {
        let answer = self.ask(method, params).await;
        assert!(answer["error"].is_null(), "{method}: {answer}");
        answer["result"].clone()
    }

    async fn error(&mut self, method: &str, params: Value) -> (i64, String) {
        let error = self.ask(method, params).await["error"].clone();
        let message = error["message"].as_str().unwrap_or_default().to_owned();
        (error["code"].as_i64().unwrap_or_default(), message)
    }

    /// What a resource says.
    async fn read(&mut self, uri: &str) -> String {
        let result = self.result("resources/read", json!({"uri": uri})).await;
        assert_eq!(result["contents"][0]["uri"], uri);
        result["contents"][0]["text"].as_str().expect("a text").to_owned()
    }

    /// Every page of a list.
    async fn all(&mut self, method: &str, what: &str) -> Vec<Value> {
        let (mut all, mut cursor) = (Vec::new(), None::<String>);
        loop {
            let asked = cursor.map_or(json!({}), |it| json!({"cursor": it}));
            let page = self.result(method, asked).await;
            assert_eq!(page["ttlMs"].is_number(), self.is_newer, "{page}");
            assert_eq!(page["cacheScope"] == "private", self.is_newer, "{page}");
            assert_eq!(page["_meta"][SERVER_INFO]["name"] == "callboard", self.is_newer);
            all.extend(page[what].as_array().expect("a list").iter().cloned());
            cursor = page["nextCursor"].as_str().map(str::to_owned);
            if cursor.is_none() {
                return all;
            }
        }
    }

    /// The next notification of this method.
    async fn hear(&mut self, method: &str) -> Value {
        loop {
            if let Some(at) = self.heard.iter().position(|it| it["method"] == method) {
                return self.heard.remove(at)["params"].clone();
            }
            let message = self.line().await;
            self.heard.push(message);
        }
    }

    /// Methods of notifications that come within a while, and uris where they name one.
    async fn hears(&mut self) -> Vec<String> {
        while let Ok(message) = timeout(A_WHILE, self.lines.next_line()).await {
            let line = message.expect("read").expect("a line");
            self.heard.push(serde_json::from_str(&line).expect("JSON"));
        }
        let named = |it: Value| match it["params"]["uri"].as_str() {
            Some(uri) => uri.to_owned(),
            None => it["method"].as_str().unwrap_or_default().to_owned(),
        };
        self.heard.drain(..).map(named).collect()
    }
}

/// The usual team with a person in it, whose runs wait until they are answered.
fn with_a_person() -> Stage {
    let stage = Stage::new("- {answer: {summary: done, confidence: 1}}\n");
    stage.write("agents/boss.md", "---\ndescription: Decides.\nkind: human\n---\nDecide.\n");
    stage
}

async fn of_somebody_else(desk: &Desk) -> RunId {
    let caller = Caller { principal: "else".into(), ..caller() };
    desk.submit(Ask { caller, ..ask("boss", "may I?") }).await.expect("taken in").run
}

#[tokio::test]
async fn both_eras_list_the_same_in_pages_and_read_all_of_it() {
    let stage = with_a_person();
    for nth in 0..60 {
        let text = format!("---\ndescription: Number {nth}.\n---\nYou are number {nth}.\n");
        stage.write(&format!("agents/more_{nth}.md"), &text);
    }
    let node = stage.node().await;
    let mut seen: Vec<Vec<Value>> = Vec::new();
    for is_newer in [OLDER, NEWER] {
        let mut client = Client::on(&node, is_newer).await;
        let resources = client.all("resources/list", "resources").await;
        assert_eq!(resources.len(), 5 + 2 + 67 + 2 + 67, "two pages of them");
        for one in &resources {
            let text = client.read(one["uri"].as_str().expect("a uri")).await;
            assert!(serde_json::from_str::<Value>(&text).is_ok(), "{one}: {text}");
            assert!(one["description"].is_string() && one["name"].is_string(), "{one}");
        }
        let templates = client.all("resources/templates/list", "resourceTemplates").await;
        assert_eq!(templates.len(), 10);
        let prompts = client.all("prompts/list", "prompts").await;
        client.all("tools/list", "tools").await;
        for method in ["resources/list", "resources/templates/list", "prompts/list", "tools/list"] {
            let (code, told) = client.error(method, json!({"cursor": "64.0123"})).await;
            assert_eq!(code, -32602, "{method}");
            assert!(told.contains("ask without a cursor"), "{told}");
        }
        // A list does not change because somebody calls.
        play(&node.desk(), ask("writer", "go")).await;
        assert_eq!(client.all("resources/list", "resources").await, resources);
        seen.push([resources, templates, prompts].concat());
    }
    assert_eq!(seen[0], seen[1]);
    node.stop().await;
}

#[tokio::test]
async fn what_is_offered_is_said_at_first() {
    let stage = with_a_person();
    let node = stage.node().await;
    let expected = json!({"completions": {}, "prompts": {"listChanged": true},
        "resources": {"subscribe": true, "listChanged": true}, "tools": {"listChanged": true}});
    let older = Client::on(&node, OLDER).await;
    assert_eq!(older.hello["capabilities"], expected);
    let mut expected = expected;
    expected["extensions"] = json!({"io.modelcontextprotocol/tasks": {}});
    let mut newer = Client::on(&node, NEWER).await;
    let found = newer.result("server/discover", json!({})).await;
    assert_eq!(found["capabilities"], expected);
    assert!(found["ttlMs"].is_number() && found["cacheScope"] == "private", "{found}");
    assert_eq!(found["_meta"][SERVER_INFO]["name"], "callboard");
    for (method, params) in [
        ("resources/read", json!({"uri": 7})),
        ("prompts/get", json!({})),
        ("completion/complete", json!({"ref": {"type": "ref/other"}})),
    ] {
        let (code, told) = newer.error(method, params).await;
        assert_eq!(code, -32602, "{told}");
        assert!(told.contains(method), "{told}");
    }
    node.stop().await;
}

#[tokio::test]
async fn a_run_is_read_from_every_side_and_what_is_not_there_is_not_found() {
    let stage = with_a_person();
    let node = stage.node().await;
    let desk = node.desk();
    let run = play(&desk, ask("writer", "go")).await.run;
    let theirs = of_somebody_else(&desk).await;
    for is_newer in [OLDER, NEWER] {
        let mut client = Client::on(&node, is_newer).await;
        let templates = client.all("resources/templates/list", "resourceTemplates").await;
        for one in templates {
            let uri = one["uriTemplate"].as_str().expect("a uri").replace("{name}", "writer");
            let uri = uri.replace("{id}", run.as_str()).replace("{n}", "1");
            let asked = json!({"uri": uri});
            let result = client.result("resources/read", asked).await;
            assert_eq!(result["contents"][0]["mimeType"], one["mimeType"], "{uri}");
            let is_still = ["agents/", "schema/", "artifacts/"].iter().any(|it| uri.contains(it));
            let ttl = if is_still { json!(60_000) } else { json!(0) };
            assert_eq!(result["ttlMs"], if is_newer { ttl } else { Value::Null }, "{uri}");
        }
        let code = if is_newer { -32602 } else { -32002 };
        for (uri, told) in [
            ("team://bord".to_owned(), "did you mean \"team://board\"?".to_owned()),
            ("team://runs/r_nobody".to_owned(), "there is no run `r_nobody`".to_owned()),
            (format!("team://runs/{run}/artifacts/99"), "there is no artifact 99".to_owned()),
            ("team://agents/writr".to_owned(), "did you mean \"writer\"?".to_owned()),
        ] {
            let answer = client.ask("resources/read", json!({"uri": uri})).await;
            let error = &answer["error"];
            assert_eq!(error["code"], code, "{answer}");
            assert!(error["message"].as_str().is_some_and(|it| it.contains(&told)), "{answer}");
            assert!(error["data"]["hint"].is_string(), "{answer}");
        }
        // The owner reads everybody's.
        assert!(client.read(&format!("team://runs/{theirs}/trace")).await.contains("may I?"));
        let config: Value =
            serde_json::from_str(&client.read("team://config").await).expect("JSON");
        assert_eq!((&config["team"], &config["limits"]["depth"]), (&json!("stage"), &json!(5)));
        assert_eq!(config["budgets"]["run"]["tokens"], 50_000);
        assert_eq!(config["written_in"]["team"], "team.yaml:1");
    }
    node.stop().await;
}

#[tokio::test]
async fn what_is_too_long_says_how_to_read_on() {
    let stage = with_a_person();
    let node = stage.node().await;
    let long = Ask { context: "é".repeat(600_000), ..ask("boss", "read it") };
    let run = node.desk().submit(long).await.expect("taken in").run;
    let mut client = Client::on(&node, NEWER).await;
    let uri = format!("team://runs/{run}/trace");
    let text = client.read(&uri).await;
    let (page, told) = text.rsplit_once("\n… cut at ").expect("it is cut");
    assert!(page.len() <= 1 << 20 && page.len() > (1 << 20) - 4, "{} bytes", page.len());
    let offset = format!("`team_read` with this uri and `offset` {} reads on.", page.len());
    assert!(told.contains(&offset), "{told}");
    let asked = json!({"uri": uri, "offset": page.len()});
    let call = json!({"name": "team_read", "arguments": asked});
    let more = client.result("tools/call", call).await["structuredContent"].clone();
    assert!(more["text"].as_str().is_some_and(|it| it.starts_with('é')), "{more}");
    node.stop().await;
}

#[tokio::test]
async fn a_client_of_the_older_era_hears_of_what_it_subscribed_to() {
    let stage = with_a_person();
    let node = stage.node().await;
    let desk = node.desk();
    let (run, other) = (of_boss(&desk).await, of_boss(&desk).await);
    let mut client = Client::on(&node, OLDER).await;
    let uri = format!("team://runs/{run}");
    let why = format!("{uri}/why");
    for uri in [&uri, &why, "team://runs", "team://config"] {
        client.result("resources/subscribe", json!({"uri": uri})).await;
    }
    for uri in ["team://runs/r_nobody", "team://nothing"] {
        assert_eq!(client.error("resources/subscribe", json!({"uri": uri})).await.0, -32002);
    }
    assert_eq!(client.hears().await, [""; 0], "nothing has changed");
    answered(&desk, &other).await;
    assert_eq!(sorted(client.hears().await), ["team://runs"], "and nothing of the run that waits");
    client.result("resources/unsubscribe", json!({"uri": why})).await;
    client.result("resources/unsubscribe", json!({"uri": "team://never"})).await;
    answered(&desk, &run).await;
    assert_eq!(sorted(client.hears().await), ["team://runs".to_owned(), uri]);
    let lost = client.error("subscriptions/listen", json!({"notifications": {}})).await;
    assert_eq!(lost.0, -32601, "it is of the newer era");
    node.stop().await;
}

#[tokio::test]
async fn a_client_of_the_newer_era_hears_of_what_it_listens_to() {
    let stage = with_a_person();
    let node = stage.node().await;
    let desk = node.desk();
    let run = of_boss(&desk).await;
    let mut client = Client::on(&node, NEWER).await;
    let (uri, cost) = (format!("team://runs/{run}"), format!("team://runs/{run}/cost"));
    // What is older than the request is no news.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    let asked = json!({"notifications": {"promptsListChanged": true,
        "resourceSubscriptions": [uri, cost, "team://nothing", "team://agents/nobody"]}});
    let id = client.request("subscriptions/listen", asked).await;
    let heard = client.hear("notifications/subscriptions/acknowledged").await;
    let kept = json!({"promptsListChanged": true, "resourceSubscriptions": [uri, cost]});
    assert_eq!(heard["notifications"], kept);
    assert_eq!(client.hears().await, [""; 0]);
    answered(&desk, &run).await;
    let heard = client.hear("notifications/resources/updated").await;
    assert_eq!(heard["_meta"]["io.modelcontextprotocol/subscriptionId"], id);
    let mut heard = client.hears().await;
    heard.push(uri.clone());
    assert_eq!(sorted(heard), [uri.clone(), cost]);

    // What has just changed may have changed between the acknowledgement and the listening.
    let run = of_boss(&desk).await;
    let uri = format!("team://runs/{run}");
    let asked = json!({"notifications": {"resourceSubscriptions": [uri]}});
    client.request("subscriptions/listen", asked).await;
    assert_eq!(client.hear("notifications/resources/updated").await["uri"], json!(uri));

    let uri = "team://runs/r_nobody";
    let asked = json!({"notifications": {"resourceSubscriptions": [uri]}});
    let refused = client.error("subscriptions/listen", asked).await;
    assert_eq!(refused, (-32602, "there is no run `r_nobody`".to_owned()));
    assert_eq!(client.error("resources/subscribe", json!({"uri": uri})).await.0, -32601);
    node.stop().await;
}

#[tokio::test]
async fn a_run_inside_a_tree_is_watched_by_itself() {
    let stage = Stage::new(
        "- {when: {agent: coder}, handoff: {to: boss, task: approve it, summary: {did: wrote it as \
         it was asked for, must_know: it is late, do_next: decide}}}\n",
    );
    let boss = "---\ndescription: Decides.\nkind: human\nhandoffs_from: [coder]\n---\nDecide.\n";
    stage.write("agents/boss.md", boss);
    let node = stage.node().await;
    let desk = node.desk();
    let run = desk.submit(ask("coder", "write it")).await.expect("taken in").run;
    desk.wait(&run, &caller(), PATIENCE).await.expect("there");
    let inside = stage::records(&desk, &run).await.into_iter().find(|it| it.run != run);
    let inside = inside.expect("a run inside").run;
    let mut client = Client::on(&node, OLDER).await;
    let uris = [format!("team://runs/{inside}/trace"), format!("team://runs/{run}")];
    for uri in &uris {
        client.result("resources/subscribe", json!({"uri": uri})).await;
    }
    assert_eq!(client.hears().await, [""; 0]);
    answered(&desk, &run).await;
    let mut uris = uris.to_vec();
    uris.sort();
    assert_eq!(sorted(client.hears().await), uris);
    node.stop().await;
}

#[tokio::test]
async fn changes_that_come_fast_are_told_together_and_none_is_lost() {
    let stage = with_a_person();
    let node = stage.node().await;
    let desk = node.desk();
    let mut client = Client::on(&node, OLDER).await;
    client.result("resources/subscribe", json!({"uri": "team://runs"})).await;
    let since = tokio::time::Instant::now();
    let mut last = None;
    for nth in 0..30 {
        last = Some(play(&desk, ask("writer", &format!("go {nth}"))).await.run);
    }
    let run = last.expect("thirty runs");
    let n_pauses = since.elapsed().as_millis() / 300;
    let n_heard = client.hears().await.len();
    assert!((1..=n_pauses as usize + 3).contains(&n_heard), "{n_heard} in {n_pauses} pauses");
    assert_eq!(client.hears().await, [""; 0], "the last notice came after the last record");
    let view = client.read(&format!("team://runs/{run}")).await;
    let view: Value = serde_json::from_str(&view).expect("JSON");
    assert_eq!(view["state"], "completed");
    node.stop().await;
}

#[tokio::test]
async fn no_more_is_watched_than_there_is_room_for() {
    let stage = with_a_person();
    for nth in 0..60 {
        let text = format!("---\ndescription: Number {nth}.\n---\nYou are number {nth}.\n");
        stage.write(&format!("agents/more_{nth}.md"), &text);
    }
    let node = stage.node().await;
    let mut client = Client::on(&node, OLDER).await;
    let all = client.all("resources/list", "resources").await;
    for one in &all[..100] {
        client.result("resources/subscribe", json!({"uri": one["uri"]})).await;
    }
    client.result("resources/subscribe", json!({"uri": all[0]["uri"]})).await;
    let (_, told) = client.error("resources/subscribe", json!({"uri": all[100]["uri"]})).await;
    assert!(told.contains("100 uris are watched"), "{told}");
    client.result("resources/unsubscribe", json!({"uri": all[0]["uri"]})).await;
    client.result("resources/subscribe", json!({"uri": all[100]["uri"]})).await;

    let mut newer = Client::on(&node, NEWER).await;
    let uris: Vec<&Value> = all.iter().take(101).map(|it| &it["uri"]).collect();
    let asked = json!({"notifications": {"resourceSubscriptions": uris}});
    let (_, told) = newer.error("subscriptions/listen", asked).await;
    assert!(told.contains("100 uris are watched"), "{told}");
    let uris = &uris[..100];
    let asked = json!({"notifications": {"resourceSubscriptions": uris}});
    newer.request("subscriptions/listen", asked).await;
    newer.hear("notifications/subscriptions/acknowledged").await;
    node.stop().await;
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_up_nothing_but_its_own_news() {
    let stage = with_a_person();
    let node = stage.node().await;
    let desk = node.desk();
    let run = of_boss(&desk).await;
    let mut deaf = Client::with_room(&node, OLDER, 400).await;
    for uri in ["team://runs", "team://board", "team://queue", "team://agents"] {
        deaf.result("resources/subscribe", json!({"uri": uri})).await;
    }
    for _ in 0..4 {
        tokio::time::sleep(Duration::from_millis(350)).await;
        play(&desk, ask("writer", "go")).await;
    }
    answered(&desk, &run).await;
    let mut other = Client::on(&node, NEWER).await;
    assert!(other.read("team://runs").await.contains(run.as_str()));
    assert!(deaf.read("team://runs").await.contains(run.as_str()), "it reads again and is served");
    node.stop().await;
}

#[tokio::test]
async fn another_reading_of_the_team_tells_the_lists_that_differ() {
    let stage = with_a_person();
    let mut node = stage.node().await;
    node.watch(stage.team());
    // The files are read once more at the start.
    tokio::time::sleep(A_WHILE).await;
    let mut older = Client::on(&node, OLDER).await;
    let mut newer = Client::on(&node, NEWER).await;
    let asked = json!({"notifications": {"toolsListChanged": true, "promptsListChanged": true,
        "resourceSubscriptions": ["team://agents/writer", "team://agents/coder", "team://config"]}});
    newer.request("subscriptions/listen", asked).await;
    newer.hear("notifications/subscriptions/acknowledged").await;
    for uri in ["team://agents/writer", "team://schema/coder", "team://board"] {
        older.result("resources/subscribe", json!({"uri": uri})).await;
    }
    let tell = |told: &[&str]| told.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
    stage.write("agents/writer.md", "---\ndescription: Writes anew.\n---\nYou write.\n");
    older.hear("notifications/tools/list_changed").await;
    let rest =
        tell(&["notifications/resources/list_changed", "team://agents/writer", "team://board"]);
    assert_eq!(sorted(older.hears().await), rest, "the prompts are the same");
    newer.hear("notifications/tools/list_changed").await;
    let rest = tell(&["team://agents/writer", "team://config"]);
    assert_eq!(sorted(newer.hears().await), rest, "and what was not asked for is not told");

    let file = stage.team().join("team.yaml");
    let text = std::fs::read_to_string(&file).expect("a file");
    stage.write("team.yaml", &text.replace("team: stage", "team: scene"));
    older.hear("notifications/prompts/list_changed").await;
    assert_eq!(older.hears().await, tell(&["team://board"]), "only the team's name is another");
    newer.hear("notifications/prompts/list_changed").await;
    assert_eq!(newer.hears().await, tell(&["team://config"]));
    let prompts = newer.all("prompts/list", "prompts").await;
    assert!(prompts[0]["description"].as_str().is_some_and(|it| it.contains("the team scene")));

    std::fs::remove_file(stage.team().join("agents/writer.md")).expect("removed");
    older.hear("notifications/tools/list_changed").await;
    assert!(older.hears().await.contains(&"team://agents/writer".to_owned()), "it is gone");
    let (_, told) = older.error("resources/read", json!({"uri": "team://agents/writer"})).await;
    assert!(told.contains("\"writer\" is not in this team"), "{told}");
    node.stop().await;
}

fn sorted(mut all: Vec<String>) -> Vec<String> {
    all.sort();
    all.dedup();
    all
}

fn texts(result: &Value) -> Vec<String> {
    let messages = result["messages"].as_array().into_iter().flatten();
    let text = |it: &Value| {
        let content = &it["content"];
        content["text"].as_str().or(content["resource"]["text"].as_str()).map(str::to_owned)
    };
    messages.filter_map(text).collect()
}

#[tokio::test]
async fn prompts_speak_of_this_team_and_of_the_callers_runs() {
    let stage = with_a_person();
    let node = stage.node().await;
    let desk = node.desk();
    for is_newer in [OLDER, NEWER] {
        let mut client = Client::on(&node, is_newer).await;
        let get = |name: &str, arguments: Value| json!({"name": name, "arguments": arguments});
        let told = client.result("prompts/get", json!({"name": "delegate"})).await;
        let text = texts(&told)[0].clone();
        assert!(text.contains("- coordinator: The coordinator of the stage."), "{text}");
        assert!(text.contains("`researcher` to `coder`, `writer`"), "{text}");
        assert_eq!(told["_meta"][SERVER_INFO]["name"] == "callboard", is_newer);
        let told = client.result("prompts/get", get("delegate", json!({"goal": "ship it"}))).await;
        assert!(texts(&told)[0].contains("The goal:\nship it\n"), "{told}");

        let run = play(&desk, ask("writer", "go on")).await.run;
        let told = client.result("prompts/get", get("postmortem", json!({"run": run}))).await;
        let all = texts(&told);
        assert_eq!(all.len(), 4, "the view, the handoffs and the cost go with it: {told}");
        assert!(all[0].contains("accepted from local: go on"), "the story: {}", all[0]);
        let uri = |nth: usize| told["messages"][nth]["content"]["resource"]["uri"].clone();
        assert_eq!(uri(2), json!(format!("team://runs/{run}/handoffs")));

        for (name, arguments, message) in [
            ("delgate", json!({}), "did you mean \"delegate\"?".to_owned()),
            ("new_agent", json!({}), "new_agent needs goal: what the agent is to do".to_owned()),
            ("new_agent", json!({"goal": ["x"]}), "goal: must be a text".to_owned()),
            ("postmortem", json!({"run": " "}), format!("your last ones are {run}")),
            ("postmortem", json!({"ran": run}), "did you mean \"run\"?".to_owned()),
            ("postmortem", json!({"run": "r_no"}), "there is no run `r_no`".to_owned()),
        ] {
            let (code, told) = client.error("prompts/get", get(name, arguments)).await;
            assert_eq!(code, -32602, "{told}");
            assert!(told.contains(&message), "{told}");
        }
    }
    node.stop().await;
}

#[tokio::test]
async fn the_new_agent_that_the_prompt_shows_joins_this_team() {
    let stage = with_a_person();
    let node = stage.node().await;
    let mut client = Client::on(&node, OLDER).await;
    let asked = json!({"name": "new_agent", "arguments": {"goal": "check what is written"}});
    let text = texts(&client.result("prompts/get", asked).await)[0].clone();
    let from = text.find("---\nname: ").expect("an example");
    let to = text.find("\n\nThe instructions say").expect("its end");
    stage.write("agents/auditor.md", &text[from..to]);
    let team = callboard_config::load_here(&stage.team()).expect("it loads");
    assert!(team.problems.is_empty(), "{:?}", team.problems);
    let name = AgentName::parse("auditor").expect("a name");
    assert!(!team.agents[&name].handoffs.is_empty());
    node.stop().await;
}

#[tokio::test]
async fn blanks_are_completed_with_what_there_is() {
    let stage = with_a_person();
    let node = stage.node().await;
    let desk = node.desk();
    let mut runs = vec![of_somebody_else(&desk).await.to_string()];
    for _ in 0..3 {
        runs.insert(0, play(&desk, ask("writer", "go")).await.run.to_string());
    }
    for is_newer in [OLDER, NEWER] {
        let mut client = Client::on(&node, is_newer).await;
        let template = |uri: &str, name: &str, value: &str| {
            json!({"ref": {"type": "ref/resource", "uri": uri},
                "argument": {"name": name, "value": value}})
        };
        let by_name = template("team://agents/{name}", "name", "co");
        let found = client.result("completion/complete", by_name).await["completion"].clone();
        assert_eq!(found["values"], json!(["coder", "coordinator"]));
        assert_eq!((&found["total"], &found["hasMore"]), (&json!(2), &json!(false)));
        let of_schema = template("team://schema/{name}", "name", "t");
        let found = client.result("completion/complete", of_schema).await;
        assert_eq!(found["completion"]["values"], json!(["team", "tester"]));
        let of_run = template("team://runs/{id}", "id", "r_");
        let found = client.result("completion/complete", of_run).await;
        assert_eq!(found["completion"]["values"], json!(runs), "newest first");
        let prompt = json!({"ref": {"type": "ref/prompt", "name": "postmortem"},
            "argument": {"name": "run", "value": runs[1]}});
        let found = client.result("completion/complete", prompt).await;
        assert_eq!(found["completion"]["values"], json!([runs[1]]));
        assert_eq!(found["_meta"][SERVER_INFO]["name"] == "callboard", is_newer);
        let mut number = template("team://runs/{id}/artifacts/{n}", "n", "");
        number["context"] = json!({"arguments": {"id": runs[0]}});
        let found = client.result("completion/complete", number.clone()).await;
        assert_eq!(found["completion"]["values"], json!(["1"]), "its answer");
        number["context"] = json!({"arguments": {"id": "r_nobody"}});
        assert_eq!(client.error("completion/complete", number).await.0, -32602);
        let unknown = template("team://agents/{name}", "nam", "");
        let (_, told) = client.error("completion/complete", unknown).await;
        assert!(told.contains("did you mean \"name\"?"), "{told}");
    }
    node.stop().await;
}

const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

#[tokio::test]
async fn a_run_belongs_to_its_callers_trace_and_says_so() {
    let stage = with_a_person();
    let node = stage.node().await;
    let mut client = Client::on(&node, NEWER).await;
    let call = |trace: &str| {
        json!({"name": "writer", "arguments": {"task": "go"},
        "_meta": {"traceparent": trace, "callboard/fresh": true}})
    };
    let of = |result: &Value| result["_meta"]["traceparent"].as_str().unwrap_or("").to_owned();
    let given = format!("00-{TRACE}-00f067aa0ba902b7-01");
    let result = client.result("tools/call", call(&given)).await;
    let told = of(&result);
    assert!(told.starts_with(&format!("00-{TRACE}-")) && told.len() == 55, "{result}");
    assert!(!told.contains("00f067aa0ba902b7"), "the span is the run's own");
    assert_eq!(result["_meta"][SERVER_INFO]["name"], "callboard");
    let run = result["structuredContent"]["run"].as_str().expect("a run").to_owned();
    assert!(client.read(&format!("team://runs/{run}/trace")).await.contains("00f067aa0ba902b7"));
    let result = client.result("tools/call", call("00-xyz-1")).await;
    assert!(of(&result).len() == 55 && !of(&result).contains(TRACE), "a new trace: {result}");
    let mut older = Client::on(&node, OLDER).await;
    assert!(older.result("tools/call", call(&given)).await["_meta"].is_null());
    node.stop().await;
}
