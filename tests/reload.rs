//! Files that change while the team is served: new ones are callable, broken ones harm nobody.
#![expect(clippy::panic, reason = "a client of tests says what it missed and fails")]

#[path = "stdio/client.rs"]
#[allow(dead_code, reason = "this test speaks a part of what the client can")]
mod client;
mod endpoint;
mod stage;

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;
use std::thread;
use std::time::Duration;

use callboard_config::{AgentName, Team};
use callboard_scheduler::{Desk, Node, NodeOptions, World};
use callboard_trace::Event;
use client::{House, Server};
use endpoint::{Act, Ask, Endpoint};
use serde_json::{Value, json};
use stage::{PATIENCE, Stage, ask, caller, end, play, told};

/// Between two looks at what should come.
const LOOK: Duration = Duration::from_millis(20);

async fn watched(stage: &Stage) -> Node {
    let mut node = stage.node().await;
    node.watch(stage.team());
    node
}

/// Waits for the team to be as it should.
async fn until(desk: &Desk, what: &str, is_so: impl Fn(&Team) -> bool) {
    let by = tokio::time::Instant::now() + PATIENCE;
    while !is_so(&desk.team()) {
        assert!(tokio::time::Instant::now() < by, "{what}: {:?}", desk.team().problems);
        tokio::time::sleep(LOOK).await;
    }
}

fn has(team: &Team, name: &str) -> bool {
    AgentName::parse(name).is_some_and(|it| team.agents.contains_key(&it))
}

fn says(team: &Team, what: &str) -> bool {
    team.problems.iter().any(|it| it.to_string().contains(what))
}

/// Every team that was served, as the journal tells.
async fn loads(stage: &Stage) -> Vec<Event> {
    let log = stage.store("n_look").log(0, 10_000).await.expect("a log");
    log.into_iter().map(|it| it.1.event).filter(|it| it.kind() == "team_loaded").collect()
}

const NEW: &str = "---\ndescription: Came late.\nhandoffs_from: [coder]\n---\nYou came late.\n";

#[tokio::test]
async fn a_new_file_joins_the_team_and_a_broken_one_leaves_its_agent_out() {
    let stage = Stage::new("- {answer: {summary: done, confidence: 1}}\n");
    let node = watched(&stage).await;
    let desk = node.desk();
    stage.write("agents/late.md", NEW);
    until(&desk, "a new agent", |it| has(it, "late")).await;
    let edges = desk.team().agents[&AgentName::parse("coder").expect("a name")].handoffs.clone();
    assert!(edges.iter().any(|it| it.to.as_str() == "late"), "both sides follow");
    assert_eq!(play(&desk, ask("late", "go")).await.result.as_deref(), Some("done"));

    stage.write("agents/late.md", "---\nname: late\n---\nno description");
    until(&desk, "the broken one is left out", |it| !has(it, "late")).await;
    let board = desk.board(&caller()).await.expect("a board");
    let told: Vec<&String> = board.problems.iter().filter(|it| it.contains("late.md:1")).collect();
    assert!(told[0].contains("`description` is missing"), "{:?}", board.problems);
    assert!(has(&desk.team(), "coder"));

    // As many editors save: a new file beside the old one, and a rename over it.
    stage.write("agents/.late.md.swp", NEW);
    let file = |name: &str| stage.team().join("agents").join(name);
    fs::rename(file(".late.md.swp"), file("late.md")).expect("renamed");
    until(&desk, "it is mended", |it| has(it, "late")).await;
    fs::remove_file(file("late.md")).expect("removed");
    until(&desk, "it is gone", |it| !has(it, "late")).await;
    stage.write(".claude/agents/deep/other.md", NEW);
    until(&desk, "a folder that was not there", |it| has(it, "other")).await;
    stage.write("agent_handoffs.json", r#"{"other": {"handoffs": ["coder"]}}"#);
    let edges = |it: &Team| it.agents[&AgentName::parse("other").expect("a name")].handoffs.len();
    until(&desk, "an edge out of JSON", |it| edges(it) == 1).await;
    // Touched and not changed: nothing is told twice.
    stage.write("agent_handoffs.json", r#"{"other": {"handoffs": ["coder"]}}"#);
    tokio::time::sleep(Duration::from_millis(800)).await;
    node.stop().await;
    let loads = loads(&stage).await;
    assert!(loads.len() >= 7, "the start and six changes: {loads:#?}");
    assert!(loads.windows(2).all(|it| it[0] != it[1]), "only what changed is told: {loads:#?}");
}

#[tokio::test]
async fn a_broken_team_file_keeps_the_last_good_version() {
    let stage = Stage::new("- {answer: {summary: done, confidence: 1}}\n");
    let good = fs::read_to_string(stage.team().join("team.yaml")).expect("a file");
    let node = watched(&stage).await;
    let desk = node.desk();
    stage.write("team.yaml", &format!("{good}limits: {{wait_s: 7, hops: none}}\n"));
    until(&desk, "it is told", |it| says(it, "served as it was before")).await;
    assert!(says(&desk.team(), "team.yaml:8: `limits.hops`"), "{:?}", desk.team().problems);
    assert_ne!(desk.team().limits.wait_s, 7, "nothing of a broken file is taken");
    assert_eq!(play(&desk, ask("writer", "go")).await.result.as_deref(), Some("done"));
    stage.write("agents/late.md", NEW);
    stage.write("team.yaml", &format!("{good}limits: {{wait_s: 7}}\n"));
    until(&desk, "it is mended", |it| it.limits.wait_s == 7 && has(it, "late")).await;
    assert!(desk.team().problems.is_empty(), "{:?}", desk.team().problems);
    node.stop().await;
    let told = |it: &Event| json!(it)["problems"].to_string().contains("served as it was before");
    assert!(loads(&stage).await.iter().any(told), "the journal tells of it");
}

#[tokio::test]
async fn prices_follow_their_file_and_a_wrong_one_changes_nothing() {
    let stage = Stage::new("- {answer: {summary: done, confidence: 1}}\n");
    let node = watched(&stage).await;
    let desk = node.desk();
    let costs = |team: &Team, usd: f64| team.prices.of("a", "b").is_some_and(|it| it.input == usd);
    stage.write("prices.yaml", "models: {\"*\": {input: 1, output: 2}}\n");
    until(&desk, "a price", |it| costs(it, 1.0)).await;
    stage.write("prices.yaml", "models:\n  \"*\": {input: -10, output: 2}\n");
    until(&desk, "it is told", |it| says(it, "served as it was before")).await;
    assert!(says(&desk.team(), "prices.yaml:2: `models.*.input`"), "{:?}", desk.team().problems);
    assert!(costs(&desk.team(), 1.0), "the last good price holds");
    stage.write("prices.yaml", "models: {\"*\": {input: 0.5, output: 2}}\n");
    until(&desk, "another price", |it| costs(it, 0.5)).await;
    assert!(desk.team().problems.is_empty(), "{:?}", desk.team().problems);
    node.stop().await;
}

#[tokio::test]
async fn a_team_of_one_file_follows_that_file_alone() {
    let stage = Stage::new("");
    stage.write("solo.md", "---\ndescription: d\nkind: human\n---\nFirst.\n");
    let place = stage.team().join("solo.md");
    let mut team = callboard_config::load_here(&place).expect("a team");
    stage.name_its_store(&mut team);
    let options =
        NodeOptions { team, data: stage.data(), work: true, keeper: None, world: World::real() };
    let mut node = Node::start(options).await.expect("a node");
    node.watch(place);
    let desk = node.desk();
    stage.write("other.md", NEW);
    stage.write("solo.md", "---\ndescription: d\nkind: human\n---\nSecond.\n");
    until(&desk, "the file's words", |it| {
        it.agents.values().all(|it| it.instructions == "Second.")
    })
    .await;
    assert!(desk.team().agents.len() == 1, "its folder is not the team's");
    node.stop().await;
}

/// The agent's first turn asks the boss, its second answers with what the boss said.
fn script(ask: &Ask) -> Act {
    let summary = json!({"did": "looked at the task and at what is there",
        "must_know": "it is late", "do_next": "decide"});
    match ask.turn() {
        1 if ask.system().contains("You are the coder") => {
            Act::call("delegate", json!({"to": "boss", "task": "may we?", "summary": summary}))
        }
        _ => Act::answer(&json!({"summary": "it is done", "confidence": 0.9})),
    }
}

#[tokio::test]
async fn a_run_under_way_keeps_its_instructions_and_new_endpoints_serve_at_once() {
    let (first, second) = (Endpoint::start(script).await, Endpoint::start(script).await);
    let stage = Stage::at(&first.base_url(), "");
    stage.write(
        "agents/boss.md",
        "---\ndescription: Decides.\nkind: human\nhandoffs_from: [coder]\n---\n",
    );
    let node = watched(&stage).await;
    let desk = node.desk();
    let run = desk.submit(ask("coder", "write")).await.expect("taken in").run;
    let view = desk.wait(&run, &caller(), PATIENCE).await.expect("there");
    let question = view.questions[0].id.clone();

    let coder = "---\ndescription: d\n---\nYou are another coder: You are the coder no more.\n";
    stage.write("agents/coder.md", &coder.replace("You are the coder no more", "changed"));
    fs::write(stage.team().join("key"), "sk-learnt-later-1234").expect("a file");
    let url = second.base_url();
    stage.write(
        "team.yaml",
        &format!(
            "providers:\n  other: {{base_url: \"{url}\", api_key: \"file:key\"}}\n\
             models:\n  default: other/scripted\n"
        ),
    );
    until(&desk, "the new endpoint", |it| it.providers.contains_key("other")).await;
    until(&desk, "the new words", |it| {
        it.agents.values().any(|it| it.instructions.contains("another coder"))
    })
    .await;
    let answers = BTreeMap::from([(question, "you may".to_owned())]);
    desk.answer(&run, &answers, &caller()).await.expect("answered");
    let view = end(&desk, &run).await;
    assert_eq!(view.result.as_deref(), Some("it is done"), "{}", told(&desk, &run).await);
    let systems = |it: &Endpoint| -> Vec<String> {
        it.requests().iter().map(|it| system(&it.body)).collect()
    };
    assert_eq!(systems(&first).len(), 2, "the old run goes on where it began");
    assert!(systems(&first)[1].starts_with("You are the coder."), "{:?}", systems(&first));

    let view = play(&desk, ask("coder", "say sk-learnt-later-1234")).await;
    assert_eq!(view.result.as_deref(), Some("it is done"));
    assert!(systems(&second)[0].starts_with("You are another coder"), "{:?}", systems(&second));
    let story = told(&desk, &view.run).await;
    assert!(story.contains("say [secret]") && !story.contains("sk-learnt"), "{story}");
    node.stop().await;
}

/// What a request says first.
fn system(body: &Value) -> String {
    body["messages"][0]["content"].as_str().unwrap_or_default().to_owned()
}

fn write(house: &House, name: &str, text: &str) {
    let path = house.path().join("team").join(name);
    fs::create_dir_all(path.parent().unwrap_or(Path::new("."))).expect("a folder");
    fs::write(path, text).expect("a file");
}

fn modern() -> Value {
    json!({
        "io.modelcontextprotocol/protocolVersion": "2026-07-28",
        "io.modelcontextprotocol/clientCapabilities": {},
        "io.modelcontextprotocol/clientInfo": {"name": "raw-lines", "version": "1"}
    })
}

fn tools(server: &mut Server, params: Value) -> Vec<String> {
    server.ask("list", "tools/list", params);
    let list = server.answer("list")["result"]["tools"].clone();
    let names = list.as_array().into_iter().flatten();
    names.filter_map(|it| it["name"].as_str().map(str::to_owned)).collect()
}

/// The board's problems, once they hold this.
fn problems(server: &mut Server, what: &str) -> String {
    for _ in 0..500 {
        server.call("board", "team_status", json!({}));
        let told = server.body("board")["problems"].to_string();
        if told.contains(what) {
            return told;
        }
        thread::sleep(LOOK);
    }
    panic!("\"{what}\" is never told");
}

#[test]
fn a_client_of_the_older_era_is_told_and_calls_the_new_agent() {
    let house = House::new();
    let mut server = house.serve();
    let hello = server.shake_hands("2025-06-18");
    assert_eq!(hello["result"]["capabilities"]["tools"]["listChanged"], true);
    assert_eq!(tools(&mut server, json!({}))[..2], ["coder", "reviewer"]);
    write(&house, "agents/boss.md", "---\ndescription: Decides.\nkind: human\n---\nDecide.\n");
    assert_eq!(server.hear()["method"], "notifications/tools/list_changed");
    assert_eq!(server.hear()["method"], "notifications/resources/list_changed");
    let three = tools(&mut server, json!({}));
    assert_eq!(three[..3], ["boss", "coder", "reviewer"]);
    server.call(1, "boss", json!({"task": "may we?"}));
    let view = server.body(1);
    assert_eq!(view["state"], "input_required");
    assert_eq!(view["questions"][0]["kind"], "text");

    // The team file is torn in the middle, as by an editor that died.
    let file = house.path().join("team/team.yaml");
    let good = fs::read_to_string(&file).expect("a file");
    write(&house, "team.yaml", "team: [torn");
    let told = problems(&mut server, "served as it was before");
    assert!(told.contains("team.yaml:2: is no YAML here"), "{told}");
    let (run, id) = (view["run"].clone(), view["questions"][0]["id"].as_str().expect("an id"));
    server.call(2, "team_answer", json!({"run": run, "answers": {id: "we may"}, "wait_s": 20}));
    assert_eq!(server.body(2)["result"], "we may");
    assert_eq!(tools(&mut server, json!({})), three, "the last good version");

    // Truncated first, then written in two steps: nothing in between is ever served.
    let mut open = fs::File::create(&file).expect("a file");
    open.write_all(good.as_bytes()).and_then(|()| open.flush()).expect("written");
    thread::sleep(Duration::from_millis(30));
    open.write_all(b"publish: [coder]\n").expect("written");
    drop(open);
    assert_eq!(server.hear()["method"], "notifications/tools/list_changed");
    assert_eq!(tools(&mut server, json!({}))[..], [&three[1..2], &three[3..]].concat());
    server.hang_up();
    assert!(server.exit().success());
}

#[test]
fn a_client_of_the_newer_era_is_told_if_it_listens() {
    let house = House::new();
    let mut server = house.serve();
    let before = tools(&mut server, json!({"_meta": modern()})).len();
    let asks = json!({"_meta": modern(), "notifications": {"toolsListChanged": true}});
    server.ask("listen", "subscriptions/listen", asks);
    let acknowledged = server.hear();
    assert_eq!(acknowledged["params"]["notifications"], json!({"toolsListChanged": true}));
    for (nth, name) in ["late", "later", "latest"].into_iter().enumerate() {
        write(&house, &format!("agents/{name}.md"), NEW);
        let told = server.hear();
        assert_eq!(told["method"], "notifications/tools/list_changed", "{told}");
        let meta = &told["params"]["_meta"];
        assert_eq!(meta["io.modelcontextprotocol/subscriptionId"], "listen", "{told}");
        let all = tools(&mut server, json!({"_meta": modern()}));
        assert_eq!(all.len(), before + 1 + nth, "{all:?}");
        assert!(all.contains(&name.to_owned()));
    }
    // Whoever listens just after a change hears of it: it may have been missed in between.
    let asks = json!({"_meta": modern(), "notifications": {"toolsListChanged": true}});
    server.ask("again", "subscriptions/listen", asks);
    assert_eq!(server.hear()["method"], "notifications/subscriptions/acknowledged");
    assert_eq!(server.hear()["method"], "notifications/tools/list_changed");
    server.hang_up();
    assert_eq!(server.rest().len(), 2, "both subscriptions end well");
}
