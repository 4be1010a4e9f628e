//! What a call carries while its user is asked, and calls that are open when the server stops.

use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::house::{CALLERS, House, Server};
use crate::wire::Request;

const ANN: &str = CALLERS[0].2;
const BEN: &str = CALLERS[1].2;

/// A call of the person, by a client that can ask its user.
fn call(task: &str, more: &Value) -> Request {
    let mut params = json!({"name": "boss", "arguments": {"task": task, "wait_s": 20}});
    for (name, value) in more.as_object().expect("fields") {
        params[name] = value.clone();
    }
    Request::able(1, "tools/call", params, json!({"elicitation": {"form": {}}}))
}

/// The question of a fresh call, and the state to bring back.
fn asked(server: &Server) -> (String, String) {
    let reply = server.ask(&call("may we?", &json!({})).bearing(ANN));
    let result = reply.answer()["result"].clone();
    assert_eq!(result["resultType"], "input_required", "{result}");
    let questions = result["inputRequests"].as_object().expect("questions");
    let state = result["requestState"].as_str().expect("a state").to_owned();
    (questions.keys().next().expect("a question").clone(), state)
}

fn answer(question: &str, state: &str, said: &str) -> Value {
    let response = json!({"action": "accept", "content": {"answer": said}});
    json!({"requestState": state, "inputResponses": {question: response}})
}

#[test]
fn a_state_that_is_not_the_calls_own_changes_nothing() {
    let house = House::closed("");
    let server = house.serve();
    let (question, state) = asked(&server);
    let (head, tail) = state.split_at(state.len() / 2);
    let flipped = format!("{head}{}{}", if tail.starts_with('A') { 'B' } else { 'A' }, &tail[1..]);
    let foreign = {
        let other = House::closed("");
        asked(&other.serve()).1
    };
    for (what, bad) in [
        ("flipped", flipped.as_str()),
        ("cut", head),
        ("longer", &format!("{state}AA")),
        ("empty", ""),
        ("garbage", "garbage"),
        ("another server's", &foreign),
    ] {
        let reply = server.ask(&call("may we?", &answer(&question, bad, "yes")).bearing(ANN));
        assert_eq!(reply.answer()["error"]["code"], -32602, "{what}: {}", reply.text());
    }
    let given = answer(&question, &state, "yes");
    let others = server.ask(&call("may we?", &given).bearing(BEN));
    assert_eq!(others.answer()["error"]["code"], -32602, "another caller: {}", others.text());
    let another = server.ask(&call("may they?", &given).bearing(ANN));
    assert_eq!(another.answer()["error"]["code"], -32602, "another call: {}", another.text());
    let runs = server.runs_of(Some(ANN));
    assert_eq!((runs.len(), &runs[0]["state"]), (1, &json!("input_required")), "{runs:?}");
    let good = server.ask(&call("may we?", &given).bearing(ANN)).view();
    assert_eq!((&good["state"], &good["result"]), (&json!("completed"), &json!("yes")), "{good}");
}

#[test]
fn an_answer_that_comes_twice_counts_once() {
    let house = House::closed("");
    let server = house.serve();
    let (question, state) = asked(&server);
    let view = |said: &str| {
        let given = answer(&question, &state, said);
        server.ask(&call("may we?", &given).bearing(ANN)).view()
    };
    let first = view("yes");
    assert_eq!(first["result"], "yes", "{first}");
    let story = || {
        let read = Request::call(2, "team_read", json!({"uri": first["run"]})).bearing(ANN);
        server.ask(&read).view()
    };
    let told = story();
    for said in ["no", "yes", "no"] {
        let again = view(said);
        assert_eq!((&again["run"], &again["result"]), (&first["run"], &json!("yes")), "{again}");
    }
    assert_eq!(story(), told);
    let outside = server.ask(&call("may we?", &answer(&question, &state, "perhaps")).bearing(ANN));
    assert_eq!(outside.view()["result"], "yes");
}

#[test]
fn a_state_outlives_its_server() {
    let house = House::closed("");
    let (question, state) = asked(&house.serve());
    let server = house.serve();
    let given = answer(&question, &state, "no");
    let view = server.ask(&call("may we?", &given).bearing(ANN)).view();
    assert_eq!(view["result"], "no", "{view}");
}

#[test]
fn every_open_call_is_answered_when_the_server_stops() {
    let house = House::new("");
    let server = house.serve();
    let session = server.session();
    let mut open = Vec::new();
    for id in 0..20 {
        let arguments = json!({"task": format!("it takes long {id}"), "wait_s": 30});
        let params = json!({"name": "coder", "arguments": arguments});
        let request = match id % 2 {
            0 => Request::call(id, "coder", arguments),
            _ => Request::older(&session, id, "tools/call", params),
        };
        let mut wire = server.open();
        assert!(wire.write(&request.bytes()));
        open.push(wire);
    }
    let n_runs = || {
        (0..200).any(|_| {
            thread::sleep(Duration::from_millis(50));
            server.runs().len() == 20
        })
    };
    assert!(n_runs(), "not all were begun");
    let mut stream = server.open();
    let wants = json!({"notifications": {"toolsListChanged": true}});
    assert!(stream.write(&Request::modern("news", "subscriptions/listen", wants).bytes()));
    assert_eq!(stream.head().map(|it| it.status), Some(200));
    let begun = stream.event().expect("an acknowledgement");
    assert_eq!(begun["params"]["notifications"], json!({"toolsListChanged": true}));
    server.stop();
    let mut answered = Vec::new();
    for (id, wire) in open.iter_mut().enumerate() {
        let view = wire.hear().answer();
        assert_eq!(view["id"], id);
        answered
            .push(view["result"]["structuredContent"]["run"].as_str().expect("a run").to_owned());
    }
    let end = std::iter::from_fn(|| stream.event()).last().expect("an end");
    assert_eq!((&end["id"], &end["result"]["resultType"]), (&json!("news"), &json!("complete")));
    let (status, said) = server.exit();
    assert!(status.success(), "{said}");
    let again = house.serve();
    let runs = again.runs();
    let found = |run: &String| runs.iter().any(|it| it["run"] == *run && it["state"] != "failed");
    assert!(answered.iter().all(found), "{runs:?}");
}

#[test]
fn a_stream_of_what_cannot_be_read_ends_with_the_reason() {
    let server = House::new("").serve();
    let wants = json!({"notifications": {"resourceSubscriptions": ["team://runs/r_unknown"]}});
    let mut stream = server.open();
    assert!(stream.write(&Request::modern(3, "subscriptions/listen", wants).bytes()));
    assert_eq!(stream.head().map(|it| it.status), Some(200));
    let told: Vec<Value> = std::iter::from_fn(|| stream.event()).collect();
    assert_eq!(told[0]["method"], "notifications/subscriptions/acknowledged", "{told:?}");
    assert_eq!((told.len(), &told[1]["id"]), (2, &json!(3)), "{told:?}");
    assert!(told[1]["error"]["code"].is_i64(), "{told:?}");
}

#[test]
fn a_call_whose_client_left_goes_on() {
    let house = House::new("");
    let server = house.serve();
    let session = server.session();
    for request in [
        Request::call(1, "coder", json!({"task": "it takes long", "wait_s": 30})),
        Request::older(
            &session,
            1,
            "tools/call",
            json!({"name": "coder", "arguments": {"task": "it takes long too", "wait_s": 30}}),
        ),
    ] {
        let before = server.runs().len();
        let mut wire = server.open();
        assert!(wire.write(&request.bytes()));
        let has_begun = (0..200).any(|_| {
            thread::sleep(Duration::from_millis(20));
            server.runs().len() > before
        });
        assert!(has_begun);
    }
    thread::sleep(Duration::from_millis(300));
    let runs = server.runs();
    let goes_on = |it: &Value| matches!(it["state"].as_str(), Some("queued" | "working"));
    assert!(runs.len() == 2 && runs.iter().all(goes_on), "{runs:?}");
}

#[test]
fn leave_is_the_owners_to_give() {
    let guard = "guardrails:\n  - {name: leave, on: input, kind: approval, applies_to: {agents: [coder]}}\n";
    let admin = CALLERS.iter().find(|it| it.1 == "admin").expect("one").2;
    for (by, may) in [("", false), ("approvals: {by: caller}\n", true)] {
        let house = House::closed(&format!("{guard}{by}"));
        let server = house.serve();
        let params = json!({"name": "coder", "arguments": {"task": "write it", "wait_s": 20}});
        let able = json!({"elicitation": {"form": {}}});
        let call = Request::able(1, "tools/call", params, able).bearing(ANN);
        let result = server.ask(&call).answer()["result"].clone();
        assert_eq!(
            result["resultType"] == "input_required",
            may,
            "who may not is not asked: {result}"
        );
        let board = server.runs_of(Some(ANN));
        let run = board[0]["run"].as_str().expect("a run").to_owned();
        let status = Request::call(2, "team_status", json!({"run": run})).bearing(ANN);
        let view = server.ask(&status).view();
        let is_held_back = view["questions"][0]["prompt"] == "a guardrail asks the owner for leave";
        assert_eq!(is_held_back, !may, "{view}");
        let question = view["questions"][0]["id"].as_str().expect("a question").to_owned();
        let given = json!({"run": run, "answers": {question: "allow"}, "wait_s": 20});
        let own = server.ask(&Request::call(3, "team_answer", given.clone()).bearing(ANN));
        assert_eq!(own.text().contains("leave is the owner's to give"), !may, "{}", own.text());
        if !may {
            let view = server.ask(&status).view();
            assert_eq!(view["state"], "input_required", "{view}");
            let owners = server.ask(&Request::call(4, "team_answer", given).bearing(admin));
            assert_eq!(owners.view()["state"], "completed", "{}", owners.text());
        } else {
            assert_eq!(own.view()["state"], "completed", "{}", own.text());
        }
    }
}
