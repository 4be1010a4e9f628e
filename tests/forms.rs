//! Structured output: what a caller's program is promised, asked for at the endpoint, checked here.

mod endpoint;
mod stage;

use callboard_scheduler::Ask as Task;
use callboard_trace::{FailureCode, State, Stop};
use endpoint::{Act, Ask, Endpoint};
use serde_json::{Value, json};
use stage::{Stage, ask, play};

fn city() -> Value {
    json!({"type": "object", "additionalProperties": false, "required": ["city", "summary"],
        "properties": {"city": {"type": "string"}, "summary": {"type": "integer"}}})
}

fn wants(to: &str, schema: Value) -> Task {
    Task { output_schema: Some(schema), ..ask(to, "which city?") }
}

#[tokio::test]
async fn the_answer_is_asked_for_in_its_form_and_comes_back_whole() {
    let endpoint = Endpoint::start(|_| Act::answer(&json!({"city": "Bern", "summary": 7}))).await;
    let stage = Stage::at(&endpoint.base_url(), "");
    let node = stage.node().await;
    let view = play(&node.desk(), wants("writer", city())).await;
    assert_eq!((view.state, view.stop), (State::Completed, Some(Stop::Done)));
    assert_eq!(view.answer, Some(json!({"city": "Bern", "summary": 7})));
    assert_eq!(view.result.as_deref(), Some("{\"city\":\"Bern\",\"summary\":7}"));
    let sent = &endpoint.requests()[0].body;
    assert_eq!(sent["response_format"]["json_schema"]["schema"], city());
    assert!(sent["messages"][0]["content"].as_str().is_some_and(|it| it.contains("\"city\"")));
    node.stop().await;
}

#[tokio::test]
async fn an_endpoint_that_takes_no_form_is_learnt_once_and_the_answer_is_checked_all_the_same() {
    for refusal in [
        "response_format is not supported",
        "Cannot use custom grammar constraints with tools.",
        "Function calling with a response mime type: 'application/json' is unsupported",
    ] {
        let script = move |ask: &Ask| match ask.body.get("response_format") {
            Some(_) => Act::error(400, &json!({"error": {"message": refusal}})),
            None => Act::answer(&json!({"city": "Bern", "summary": 7})),
        };
        let endpoint = Endpoint::start(script).await;
        let stage = Stage::at(&endpoint.base_url(), "");
        let node = stage.node().await;
        for _ in 0..2 {
            let view = play(&node.desk(), Task { fresh: true, ..wants("writer", city()) }).await;
            assert_eq!(view.state, State::Completed, "{refusal}: {:?}", view.error);
        }
        let refused = endpoint.requests().iter().filter(|it| it.status == 400).count();
        assert_eq!(refused, 1, "{refusal}");
        node.stop().await;
    }
}

#[tokio::test]
async fn an_answer_off_its_form_is_mended_in_two_turns_that_quote_the_path() {
    let script = |ask: &Ask| match ask.turn() {
        1 => Act::say("It is Bern."),
        2 => Act::answer(&json!({"city": 7, "summary": 7})),
        _ => Act::say("```json\n{\"city\": \"Bern\", \"summary\": 7}\n```"),
    };
    let endpoint = Endpoint::start(script).await;
    let stage = Stage::at(&endpoint.base_url(), "");
    let node = stage.node().await;
    let view = play(&node.desk(), wants("writer", city())).await;
    assert_eq!(
        (view.state, view.answer),
        (State::Completed, Some(json!({"city": "Bern", "summary": 7})))
    );
    let last = |at: usize| {
        let requests = endpoint.requests();
        let messages = requests[at].body["messages"].as_array().cloned().unwrap_or_default();
        messages.last().map(|it| it["content"].to_string()).unwrap_or_default()
    };
    assert!(last(1).contains("could not be accepted"), "{}", last(1));
    assert!(last(2).contains("`/city`"), "{}", last(2));
    node.stop().await;
}

#[tokio::test]
async fn an_answer_that_never_fits_is_a_failure_and_stays_readable() {
    let endpoint = Endpoint::start(|_| Act::answer(&json!({"town": "Bern"}))).await;
    let stage = Stage::at(&endpoint.base_url(), "");
    let node = stage.node().await;
    let view = play(&node.desk(), wants("writer", city())).await;
    assert_eq!((view.state, view.stop), (State::Failed, Some(Stop::Error)));
    assert_eq!(view.error.expect("a reason").code, FailureCode::BadReply);
    assert_eq!(view.answer, Some(json!({"town": "Bern"})));
    assert_eq!(endpoint.requests().len(), 3);
    node.stop().await;
}

#[tokio::test]
async fn who_finishes_owes_the_form_and_who_is_asked_does_not() {
    let summary = json!({"did": "looked at all of the maps that there are", "must_know": "it is Bern", "do_next": "say so"});
    let script = move |ask: &Ask| {
        let is = |name: &str| ask.system().contains(&format!("You are the {name}."));
        match ask.turn() {
            1 if is("coordinator") => {
                Act::call("delegate", json!({"to": "writer", "task": "look", "summary": summary}))
            }
            2 if is("coordinator") => Act::call(
                "handoff",
                json!({"to": "researcher", "task": "say it", "summary": summary}),
            ),
            _ if is("writer") => {
                Act::answer(&json!({"summary": "Bern, I think", "confidence": 0.5}))
            }
            _ => Act::answer(&json!({"city": "Bern", "summary": 7})),
        }
    };
    let endpoint = Endpoint::start(script).await;
    let stage = Stage::at(&endpoint.base_url(), "");
    let node = stage.node().await;
    let view = play(&node.desk(), wants("coordinator", city())).await;
    assert_eq!(
        (view.state, view.agent.as_str()),
        (State::Completed, "researcher"),
        "{:?}",
        view.error
    );
    assert_eq!(view.answer, Some(json!({"city": "Bern", "summary": 7})));
    for request in endpoint.requests() {
        let system = request.body["messages"][0]["content"].as_str().unwrap_or_default().to_owned();
        let owes = !system.contains("You are the writer.");
        assert_eq!(system.contains("\"city\""), owes, "{system}");
    }
    node.stop().await;
}

#[tokio::test]
async fn who_hands_the_work_on_by_a_trigger_owes_nothing() {
    let script = |ask: &Ask| {
        let is = |name: &str| ask.system().contains(&format!("You are the {name}."));
        match ask.turn() {
            1 if is("researcher") => Act::say("Bern it is."),
            _ if is("researcher") => Act::say(
                "{\"did\": \"looked at all the maps there are\", \"must_know\": \"it is Bern\", \"do_next\": \"say so\"}",
            ),
            _ => Act::answer(&json!({"city": "Bern", "summary": 7})),
        }
    };
    let endpoint = Endpoint::start(script).await;
    let stage = Stage::at(&endpoint.base_url(), "");
    let node = stage.node().await;
    let task =
        Task { task: "find the city and implement it".into(), ..wants("researcher", city()) };
    let view = play(&node.desk(), task).await;
    assert_eq!((view.state, view.agent.as_str()), (State::Completed, "coder"), "{:?}", view.error);
    assert_eq!(endpoint.requests().len(), 3, "nothing was sent back");
    node.stop().await;
}

#[tokio::test]
async fn the_same_task_in_another_form_is_another_call() {
    let endpoint = Endpoint::start(|_| Act::answer(&json!({"city": "Bern", "summary": 7}))).await;
    let stage = Stage::at(&endpoint.base_url(), "");
    let node = stage.node().await;
    let keyed =
        |schema| Task { key: Some("k".into()), output_schema: schema, ..ask("writer", "t") };
    let first = node.desk().submit(keyed(Some(city()))).await.expect("taken in");
    let same = node.desk().submit(keyed(Some(city()))).await.expect("joined");
    assert_eq!((same.joined, same.run), (true, first.run));
    assert!(node.desk().submit(keyed(None)).await.is_err(), "a conflict");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_takes_a_schema_and_prints_the_answer() {
    let endpoint = Endpoint::start(|_| Act::answer(&json!({"city": "Bern", "summary": 7}))).await;
    let stage = Stage::at(&endpoint.base_url(), "");
    let run = |schema: &Value| {
        stage.write("form.json", &schema.to_string());
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_callboard"));
        command.args(["run", "writer", "which city?", "--fresh", "--quiet", "--schema"]);
        command.arg(stage.team().join("form.json")).arg("--team").arg(stage.team());
        command.arg("--data").arg(stage.data()).output().expect("it runs")
    };
    let said = run(&city());
    assert_eq!(said.status.code(), Some(0), "{}", String::from_utf8_lossy(&said.stderr));
    let printed: Value = serde_json::from_slice(&said.stdout).expect("JSON and nothing else");
    assert_eq!(printed, json!({"city": "Bern", "summary": 7}));
    let said = run(&json!({"properties": {"a": {"pattern": "(a)\\1"}}}));
    let told = String::from_utf8_lossy(&said.stderr).into_owned();
    assert_eq!(said.status.code(), Some(2), "{told}");
    assert!(told.contains("form.json/properties/a/pattern"), "{told}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_text_may_be_what_is_asked_for_and_what_does_not_fit_is_not_printed() {
    let endpoint = Endpoint::start(|_| Act::say("hello")).await;
    let stage = Stage::at(&endpoint.base_url(), "");
    let run = |schema: &Value| {
        stage.write("form.json", &schema.to_string());
        let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_callboard"));
        command.args(["run", "writer", "say it", "--fresh", "--quiet", "--schema"]);
        command.arg(stage.team().join("form.json")).arg("--team").arg(stage.team());
        let out = command.arg("--data").arg(stage.data()).output().expect("it runs");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (out.status.code(), text(&out.stdout), text(&out.stderr))
    };
    let said = run(&json!({"type": "string"}));
    assert_eq!((said.0, said.1.as_str()), (Some(0), "\"hello\"\n"), "{}", said.2);
    assert_eq!(endpoint.requests().len(), 1, "nothing was sent back");
    let (code, out, told) = run(&json!({"type": "string", "minLength": 20}));
    assert_eq!((code, out.as_str()), (Some(1), ""), "{told}");
    assert!(told.contains("not of the schema:\n\"hello\""), "{told}");
    let last = endpoint.requests().last().expect("it was asked").body["messages"].to_string();
    assert!(last.contains("again as one JSON value of the schema"), "{last}");
}
