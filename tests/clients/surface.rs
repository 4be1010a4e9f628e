//! What a client finds beside the tools: resources to read and to watch, prompts, and completions.

use serde_json::{Value, json};

use crate::client::{Client, Line};
use crate::house::{House, Way};
use crate::scenarios::until;

const ASKED: &str = "May we ship it?";

pub(crate) fn finds_what_is_beside_the_tools(way: Way, line: Line) {
    let house = House::with_a_person(way);
    let mut client = house.client(line);
    reads_what_is_listed(&mut client, line);
    hears_of_changes(&mut client, line);
    is_prompted(&mut client);
    hears_of_a_new_agent(&house, &mut client);
    client.leaves();
}

/// What is listed is there to be read, and what is not there is told by the era's own number.
fn reads_what_is_listed(client: &mut Client<'_>, line: Line) {
    let run = of_boss(client);
    let listed = client.does(json!({"list": "resources"}));
    let uris = all(&listed["resources"], "uri");
    for uri in ["team://board", "team://runs", "team://agents/boss"] {
        assert!(uris.iter().any(|it| it == uri), "{uris:?}");
    }
    for uri in &uris {
        read(client, uri);
    }
    let listed = client.does(json!({"list": "templates"}));
    let templates = all(&listed["resourceTemplates"], "uriTemplate");
    assert!(templates.iter().any(|it| it == "team://runs/{id}/trace"), "{templates:?}");
    let view: Value = serde_json::from_str(&read(client, &of(&run))).expect("JSON");
    assert_eq!((&view["run"], &view["state"]), (&json!(run), &json!("input_required")));
    let trace = read(client, &format!("{}/trace", of(&run)));
    assert!(trace.lines().any(|it| it.contains(ASKED)), "{trace}");

    let missing = client.asks(json!({"read": "team://runs/r_nobody"}));
    let error = client.error(missing);
    assert_eq!(error["code"], line.not_found(), "{error}");
}

/// Who watches a run is told when it changes, in the way of its era.
fn hears_of_changes(client: &mut Client<'_>, line: Line) {
    let (run, other) = (of_boss(client), of_boss(client));
    let honored = client.does(json!({"watch": of(&run)}));
    if line.is_newer() {
        assert_eq!(honored["resourceSubscriptions"], json!([of(&run)]), "{honored}");
    }
    answered(client, &other);
    answered(client, &run);
    loop {
        assert_eq!(client.hears_news(), of(&run), "the other run is watched by nobody");
        let view: Value = serde_json::from_str(&read(client, &of(&run))).expect("JSON");
        if view["state"] == "completed" {
            break;
        }
    }
    let nobody = client.asks(json!({"watch": of("r_nobody")}));
    if line.is_newer() {
        // It is acknowledged before it is looked at.
        client.result(nobody);
        client.loses(&of("r_nobody"));
    } else {
        assert_eq!(client.error(nobody)["code"], line.not_found());
    }
}

/// Prompts speak of this team, and their blanks are completed with what it has.
fn is_prompted(client: &mut Client<'_>) {
    let run = of_boss(client);
    answered(client, &run);
    let listed = client.does(json!({"list": "prompts"}));
    let names = all(&listed["prompts"], "name");
    for name in ["delegate", "new_agent", "postmortem"] {
        assert!(names.iter().any(|it| it == name), "{names:?}");
    }
    let told = client.does(json!({"prompt": "delegate", "arguments": {"goal": "ship it"}}));
    let text = told["messages"][0]["content"]["text"].as_str().unwrap_or_default();
    assert!(text.contains("boss") && text.contains("ship it"), "{told}");
    let told = client.does(json!({"prompt": "postmortem", "arguments": {"run": run}}));
    let embedded = told["messages"].as_array().expect("messages").iter();
    let uris: Vec<&Value> =
        embedded.map(|it| &it["content"]["resource"]["uri"]).filter(|it| it.is_string()).collect();
    assert!(uris.contains(&&json!(of(&run))), "the run goes with it: {told}");
    let lacking = client.asks(json!({"prompt": "new_agent", "arguments": {}}));
    assert_eq!(client.error(lacking)["code"], -32602);

    let agents = json!({"type": "ref/resource", "uri": "team://agents/{name}"});
    assert_eq!(completed(client, agents, "name", "bo"), json!(["boss"]));
    let postmortem = json!({"type": "ref/prompt", "name": "postmortem"});
    assert_eq!(completed(client, postmortem, "run", &run[..10]), json!([run]));
}

/// The team's files change while it is served: its clients are told that the tools are others now.
fn hears_of_a_new_agent(house: &House, client: &mut Client<'_>) {
    client.does(json!({"watch": "tools"}));
    house.hires("scribe");
    while client.hears_news() != "tools" {}
    assert!(client.list().iter().any(|it| it["name"] == "scribe"), "the new agent is a tool");
}

/// A run that waits for its person.
fn of_boss(client: &mut Client<'_>) -> String {
    let facts = client.call("boss", json!({"task": ASKED, "wait_s": 0}));
    let run = facts["run"].as_str().expect("a name").to_owned();
    until(|| {
        let facts = client.call("team_status", json!({"run": run, "wait_s": 5}));
        (facts["state"] == "input_required").then_some(())
    });
    run
}

fn answered(client: &mut Client<'_>, run: &str) {
    let facts = client.call("team_status", json!({"run": run, "wait_s": 0}));
    let question = facts["questions"][0]["id"].as_str().expect("a question");
    let answers = json!({question: "yes"});
    client.call("team_answer", json!({"run": run, "answers": answers, "wait_s": 10}));
}

fn completed(client: &mut Client<'_>, of: Value, name: &str, begun: &str) -> Value {
    let argument = json!({"name": name, "value": begun});
    let found = client.does(json!({"complete": {"ref": of, "argument": argument}}));
    found["completion"]["values"].clone()
}

fn read(client: &mut Client<'_>, uri: &str) -> String {
    let contents = client.does(json!({"read": uri}))["contents"][0].clone();
    assert_eq!(contents["uri"], uri);
    contents["text"].as_str().expect("a text").to_owned()
}

fn of(run: &str) -> String {
    format!("team://runs/{run}")
}

/// One field of each.
fn all(listed: &Value, field: &str) -> Vec<String> {
    let listed = listed.as_array().expect("a list").iter();
    listed.filter_map(|it| it[field].as_str().map(str::to_owned)).collect()
}
