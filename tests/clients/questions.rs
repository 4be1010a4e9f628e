//! What a client expects where a run asks its user: as a form, as a task, or as a fact to come back to.

use serde_json::{Value, json};

use crate::client::{Client, Line};
use crate::house::{House, Way};
use crate::scenarios::{ENDLESS, LONG, completed, until, until_over, view};

const ELICITS: &str = "elicits";
const TASKS: &str = "tasks";
const BOTH: &str = "elicits,tasks";
const ASKED: &str = "May we ship it?";

pub(crate) fn asks_its_user(way: Way, line: Line) {
    let house = House::with_a_person(way);
    let mut client = house.able(line, ELICITS);
    takes_an_answer(&mut client);
    asks_until_it_fits(&mut client);
    leaves_a_question_open(&mut client);
    client.leaves();
}

pub(crate) fn has_tasks(way: Way, line: Line) {
    let house = House::with_a_person(way);
    let mut client = house.able(line, if is_python(line) { BOTH } else { ELICITS });
    works_as_a_task(&mut client, line);
    ends_a_task(&mut client);
    client.leaves();
}

/// The user answers, and the call that waited has the answer for its result.
fn takes_an_answer(client: &mut Client<'_>) {
    for said in ["yes", "no"] {
        let task = format!("{ASKED} {said}?");
        let answers = json!([{"action": "accept", "content": {"answer": said}}]);
        let call = client.starts_with("boss", json!({"task": task, "wait_s": 60}), answers);
        is_the_question(&client.asked(call), &task);
        assert_eq!(completed(client.answer(call))["result"], said);
    }
}

/// A user who declines, or waves the question away, leaves it open: the result names it, and whoever
/// comes with an answer later ends the run.
fn leaves_a_question_open(client: &mut Client<'_>) {
    for action in ["decline", "cancel"] {
        let task = format!("{ASKED} {action}");
        let answers = json!([{"action": action}]);
        let call = client.starts_with("boss", json!({"task": task, "wait_s": 60}), answers);
        is_the_question(&client.asked(call), &task);
        let facts = client.answer(call);
        is_answered_by_hand(client, &facts);
    }
}

/// Whoever cannot be asked gets the question as a fact. Tasks are of the newer era only: an older
/// client that claims them gets what it can read.
pub(crate) fn tells_what_is_asked(way: Way, line: Line) {
    let house = House::with_a_person(way);
    let mut client = house.able(line, if line.is_newer() { "-" } else { TASKS });
    let facts = client.call("boss", json!({"task": ASKED, "wait_s": 60}));
    is_answered_by_hand(&mut client, &facts);
    client.leaves();
}

/// An answer that cannot be taken is asked for again, in the same call.
fn asks_until_it_fits(client: &mut Client<'_>) {
    let said = |answer: &str| json!({"action": "accept", "content": {"answer": answer}});
    let answers = json!([said("fine"), said(r#"{"summary": "It is fine.", "verdict": "good"}"#)]);
    let call = client.starts_with("judge", json!({"task": ASKED, "wait_s": 60}), answers);
    client.asked(call);
    let again = client.asked(call);
    assert!(again["message"].to_string().contains("was not accepted"), "{again}");
    assert_eq!(completed(client.answer(call))["answer"]["verdict"], "good");
}

/// A run as a task: it works, needs its user in the middle, and has what the call would have had.
fn works_as_a_task(client: &mut Client<'_>, line: Line) {
    let answers = json!([{"action": "accept", "content": {"answer": "yes"}}]);
    let call = client.starts_task("boss", json!({"task": ASKED, "wait_s": 0}), answers);
    is_the_question(&client.asked(call), ASKED);
    let facts = completed(client.answer(call));
    assert_eq!(facts["result"], "yes");
    let tasks = client.tasks(call);
    for task in &tasks {
        assert_eq!(task["taskId"], facts["run"], "{task}");
        assert!(task["createdAt"].is_string() && task["pollIntervalMs"].is_u64(), "{task}");
    }
    let statuses: Vec<&str> = tasks.iter().filter_map(|it| it["status"].as_str()).collect();
    assert!(statuses.contains(&"input_required"), "{statuses:?}");
    assert_eq!(statuses.last(), Some(&"completed"), "{statuses:?}");
    if is_python(line) {
        assert_eq!(tasks[0]["resultType"], "task", "what the call itself was answered: {tasks:?}");
    }
}

/// A task that is cancelled ends its run, and what is no task is not found.
fn ends_a_task(client: &mut Client<'_>) {
    let call = client.starts_task("researcher", json!({"task": ENDLESS, "wait_s": 0}), json!([]));
    let run = until(|| client.tasks(call).first().map(|it| it["taskId"].clone()));
    let params = json!({"taskId": run});
    client.does(json!({"task": "tasks/cancel", "params": params}));
    let error = client.error(call);
    assert!(error["message"].to_string().contains("the task is cancelled"), "{error}");
    let facts = client.call("team_status", json!({"run": run, "wait_s": 0}));
    assert_eq!(view(&facts)["state"], "cancelled", "{facts}");
    client.does(json!({"task": "tasks/cancel", "params": params}));
    let unknown = client.asks(json!({"task": "tasks/get", "params": {"taskId": "r_nobody"}}));
    assert_eq!(client.error(unknown)["code"], -32602);
}

/// The newer TypeScript line refuses a task for an answer, but has caused one: the run goes on.
pub(crate) fn cannot_read_a_task(line: Line) {
    let house = House::with_a_person(Way::Http);
    let mut client = house.able(line, BOTH);
    let call = client.starts("boss", json!({"task": ASKED, "wait_s": 0}));
    let error = client.error(call);
    assert!(error["message"].to_string().contains("Unsupported result type 'task'"), "{error}");
    let board = client.call("team_status", json!({}));
    assert!(board.to_string().contains(ASKED), "{board}");
    client.leaves();
}

/// Whether tasks come by the SDK's own extension.
fn is_python(line: Line) -> bool {
    matches!(line, Line::Python { .. })
}

fn is_the_question(asked: &Value, task: &str) {
    let message = asked["message"].as_str().unwrap_or_default();
    assert!(message.starts_with("r_") && message.contains(task), "{asked}");
    let field = &asked["schema"]["properties"]["answer"];
    assert_eq!((&field["type"], &field["enum"]), (&json!("string"), &json!(["yes", "no"])));
    assert_eq!(asked["schema"]["required"], json!(["answer"]), "{asked}");
}

fn is_answered_by_hand(client: &mut Client<'_>, facts: &Value) {
    assert_eq!(view(facts)["state"], "input_required", "{facts}");
    assert!(facts["next"].as_str().is_some_and(|it| it.contains("team_answer")), "{facts}");
    let question = facts["questions"][0]["id"].as_str().expect("the question is named");
    let answers = json!({question: "no"});
    let run = facts["run"].as_str().expect("checked");
    client.call("team_answer", json!({"run": run, "answers": answers, "wait_s": 0}));
    assert_eq!(completed(until_over(client, run, LONG))["result"], "no");
}
