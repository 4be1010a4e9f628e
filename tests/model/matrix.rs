//! Each fault of an endpoint, streamed and not, in the first, a middle and the last turn of a run.

use std::collections::HashMap;
use std::sync::{Arc, Mutex};

use callboard_scheduler::Desk;
use callboard_trace::{Event, FailureCode, Record, RunId, RunView, State, Stop, Work};
use futures::future::join_all;
use serde_json::{Value, json};

use crate::endpoint::{Act, Ask, Endpoint};
use crate::stage::{Stage, ask, caller, end, records, tell};

/// What becomes of a run that meets a fault.
#[derive(Clone, Copy, Debug, PartialEq)]
enum End {
    /// It completes all the same, after so many more requests.
    Recovers(usize),
    /// The fault is its answer.
    Answers,
    /// It ends, after so many requests in that place.
    Fails(Stop, FailureCode, usize),
    /// A bound ends it, after so many requests in that place.
    Stops(Stop, usize),
    /// It rests for longer than a test can wait.
    Parks,
}

struct Fault {
    name: &'static str,
    act: fn(&Ask) -> Act,
    /// Once, or whenever the run is in that place.
    always: bool,
    end: End,
}

const fn once(name: &'static str, act: fn(&Ask) -> Act, end: End) -> Fault {
    Fault { name, act, always: false, end }
}

const fn always(name: &'static str, act: fn(&Ask) -> Act, end: End) -> Fault {
    Fault { name, act, always: true, end }
}

fn half() -> Act {
    Act::call("note", json!({"slot": "findings", "key": "half", "text": "half of a call, cut off"}))
}

fn limited(after: &str) -> Act {
    Act::status(429).header("retry-after", after)
}

fn text(words: &str) -> Act {
    Act::answer(&json!({"summary": words, "confidence": 0.5}))
}

/// A message around bytes that are no UTF-8.
fn torn(ask: &Ask) -> Act {
    let message =
        json!({"role": "assistant", "content": "{\"summary\": \"w?rd\", \"confidence\": 1}"});
    let field = if ask.streams() { "delta" } else { "message" };
    let body = json!({"choices": [{field: message, "finish_reason": "stop"}]}).to_string();
    let mut bytes = if ask.streams() { format!("data: {body}\n\n") } else { body }.into_bytes();
    let at = bytes.iter().position(|it| *it == b'?').expect("the sign");
    bytes[at] = 0xff;
    let kind = if ask.streams() { "text/event-stream" } else { "application/json" };
    Act::bytes(kind, vec![bytes])
}

fn choices(body: &Value) -> Act {
    Act::bytes("application/json", vec![body.to_string().into_bytes()])
}

use End::{Answers, Fails, Parks, Recovers, Stops};
use FailureCode::{BadReply, BadRequest, ContextOverflow, ModelUnavailable, Refused, Unauthorized};

const FAULTS: &[Fault] = &[
    once("F20 429, a second", |_| limited("1"), Recovers(1)),
    once("F20 429, nonsense", |_| limited("abc"), Recovers(1)),
    once("F20 429, a negative", |_| limited("-1"), Recovers(1)),
    once("F20 429, eleven days", |_| limited("999999"), Parks),
    once("F21 500", |_| Act::status(500), Recovers(1)),
    once("F21 529", |_| Act::status(529), Recovers(1)),
    always("F21 503 for ever", |_| Act::status(503), Fails(Stop::Error, ModelUnavailable, 3)),
    once("F22 too long", |_| too_long(), Fails(Stop::Error, ContextOverflow, 1)),
    once("F23 401", |_| Act::status(401), Fails(Stop::Error, Unauthorized, 1)),
    once("F23 403", |_| Act::status(403), Fails(Stop::Error, Unauthorized, 1)),
    once("another 4xx", |_| Act::status(402), Fails(Stop::Error, BadRequest, 1)),
    once("F24 it hangs up", |_| half().cut_after(0), Recovers(1)),
    once("F25 silence", |_| Act::silence(), Recovers(1)),
    once("F25 a stall", |_| half().stalls_after(2), Recovers(1)),
    once("F26 a cut call", |_| half().cut_after(3), Recovers(1)),
    once("F26 a call that ends early", |_| half().without_done().ends_after(3), Recovers(1)),
    once("F26 a cut text", |_| text("half of a text").cut_after(2), Recovers(1)),
    always("F26 a cut call for ever", |_| half().cut_after(3), Fails(Stop::Error, BadReply, 3)),
    once("F27 a call without room", |_| half().finish("length"), Recovers(1)),
    once("F27 an odd reason", |_| text("odd").finish("novel"), Answers),
    once("F28 garbage", |_| Act::garbage(), Recovers(1)),
    once("F28 a page", |_| Act::page(), Recovers(1)),
    once("F28 nothing", |_| Act::empty(), Recovers(1)),
    once("F28 no choices", |_| choices(&json!({"choices": []})), Recovers(1)),
    once("F28 an error in a 200", |_| choices(&json!({"error": {"code": 502}})), Recovers(1)),
    once("F28 huge counts", |_| text("huge").usage(json!({"prompt_tokens": 1e30})), Answers),
    always("F28 a page for ever", |_| Act::page(), Fails(Stop::Error, BadReply, 3)),
    once("F29 an unknown tool", |_| Act::call("explode", json!({})), Recovers(1)),
    once("F29 wrong types", |_| Act::call("note", json!({"slot": 7})), Recovers(1)),
    once("F29 no JSON", |_| no_json(), Recovers(1)),
    once("F29 too many", |_| Act::calls(&vec![("team_status", json!({})); 200]), Recovers(1)),
    once("F30 a refusal", |_| refusal(), Fails(Stop::Refused, Refused, 1)),
    once("F30 a filter", |_| text("x").finish("content_filter"), Fails(Stop::Refused, Refused, 1)),
    once("F31 no end", |_| Act::bytes("text/event-stream", vec![vec![b'x'; 300_000]]), Recovers(1)),
    once("F32 no UTF-8", torn, Answers),
    always(
        "F29 an unknown tool for ever",
        |_| Act::call("explode", json!({})),
        Fails(Stop::Error, BadReply, 3),
    ),
    always("F33 the same for ever", |_| Act::call("team_status", json!({})), Stops(Stop::Loop, 3)),
];

fn too_long() -> Act {
    let words = "This model's maximum context length is 8192 tokens";
    Act::error(400, &json!({"error": {"message": words, "code": "context_length_exceeded"}}))
}

fn no_json() -> Act {
    let function = json!({"name": "note", "arguments": "{\"slot\": \"findings\", \"key\": \"half"});
    let call = json!({"id": "c", "type": "function", "function": function});
    Act::message(json!({"role": "assistant", "content": null, "tool_calls": [call]}))
}

fn refusal() -> Act {
    Act::message(json!({"role": "assistant", "content": null, "refusal": "I will not"}))
}

fn note(nth: usize) -> Act {
    Act::call("note", json!({"slot": "findings", "key": format!("k{nth}"), "text": "a thought"}))
}

/// One meeting of a run with a fault.
struct Cell {
    fault: &'static Fault,
    /// How many notes it has written when it meets it: 0, 1 or 2 of two.
    place: usize,
    streams: bool,
}

impl Cell {
    /// Whether it is met by an agent that waits two seconds for a byte and not a minute.
    fn is_of_patience(&self) -> bool {
        self.fault.name.starts_with("F25")
    }
}

fn cells() -> Vec<Cell> {
    let places = |fault| {
        let both = move |place| [true, false].map(|streams| Cell { fault, place, streams });
        (0..3).flat_map(both)
    };
    FAULTS.iter().flat_map(places).collect()
}

/// Two notes and an answer, but for the fault of the cell that asks.
fn script(cells: Arc<Vec<Cell>>) -> impl Fn(&Ask) -> Act + Send + Sync + 'static {
    let met: Mutex<HashMap<usize, usize>> = Mutex::default();
    move |ask| {
        let user = ask.user();
        let words = user.split_whitespace();
        let nth: usize = words.filter_map(|it| it.parse().ok()).next().expect("a cell");
        let cell = &cells[nth];
        let noted = ask.body["messages"].to_string().matches("\\\"noted\\\":true").count();
        let place = noted.min(2);
        let mut met = met.lock().expect("the count");
        let times = met.entry(nth).or_default();
        if place == cell.place && (cell.fault.always || *times == 0) {
            *times += 1;
            return (cell.fault.act)(ask);
        }
        if place < 2 { note(place + 1) } else { text("done") }
    }
}

/// Each cell asks a provider of its own: what one of them fails at, or asks a pause for, holds up
/// whoever shares it.
fn team(base_url: &str, cells: &[Cell]) -> Stage {
    let stage = Stage::at(base_url, "");
    let mut providers = String::new();
    for (nth, cell) in cells.iter().enumerate() {
        let (stream, idle) = (cell.streams, if cell.is_of_patience() { 2 } else { 60 });
        providers.push_str(&format!(
            "  c{nth}: {{base_url: \"{base_url}\", idle_s: {idle}, stream: {stream}}}\n"
        ));
        let fields = format!("name: c{nth}\ndescription: x\nmodel: c{nth}/m\nmaxTurns: 8");
        stage.write(&format!("agents/c{nth}.md"), &format!("---\n{fields}\n---\nWork.\n"));
    }
    let limits = "limits: {event_bytes: 64KiB, reply_bytes: 256KiB, concurrent: 300}";
    let models = "models: {default: c0/m}";
    stage.write("team.yaml", &format!("providers:\n{providers}{models}\n{limits}\n"));
    stage
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_in_every_place_ends_as_it_should() {
    let cells = Arc::new(cells());
    let endpoint = Endpoint::start(script(cells.clone())).await;
    let stage = team(&endpoint.base_url(), &cells);
    let node = stage.node().await;
    let desk = node.desk();
    let played = join_all(cells.iter().enumerate().map(|(nth, cell)| {
        let desk = desk.clone();
        async move {
            let run =
                desk.submit(ask(&format!("c{nth}"), &format!("cell {nth}"))).await.expect("in").run;
            settled(&desk, &run, cell).await
        }
    }))
    .await;
    let seen = endpoint.requests();
    let mut wrong = Vec::new();
    for (nth, (cell, (view, records))) in cells.iter().zip(&played).enumerate() {
        let words = format!("cell {nth}\"");
        let asked = seen.iter().filter(|it| it.body["messages"][1].to_string().contains(&words));
        if let Err(what) = fits(cell, view, records, asked.count()) {
            let Cell { fault, place, streams } = cell;
            let told = tell(records);
            wrong.push(format!("{}, place {place}, stream {streams}: {what}\n{told}", fault.name));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cells.len(), wrong.join("\n"));
    node.stop().await;
}

async fn settled(desk: &Desk, run: &RunId, cell: &Cell) -> (RunView, Vec<Record>) {
    if cell.fault.end != Parks {
        let view = end(desk, run).await;
        return (view, records(desk, run).await);
    }
    loop {
        let all = records(desk, run).await;
        if all.iter().any(|it| matches!(it.event, Event::StepFailed(_))) {
            return (desk.view(run, &caller()).await.expect("there"), all);
        }
        desk.changed().await;
    }
}

/// Whether a run ended as its cell says, did nothing by halves, and asked no more than it may.
fn fits(cell: &Cell, view: &RunView, records: &[Record], asked: usize) -> Result<(), String> {
    let place = cell.place;
    let (state, requests, notes) = match cell.fault.end {
        Recovers(more) => (State::Completed, 3 + more, 2),
        Answers => (State::Completed, place + 1, place),
        Fails(_, _, times) => (State::Failed, place + times, place),
        Stops(_, times) => (State::Failed, place + times, place),
        Parks => (State::Queued, place + 1, place),
    };
    let (mut noted, mut attempts) = (Vec::new(), HashMap::<u32, u32>::new());
    for record in records {
        if let Event::Noted { key, .. } = &record.event {
            noted.push(key.as_str());
        }
        if let Event::StepBegun(begun) = &record.event
            && matches!(begun.work, Work::Model { .. })
        {
            *attempts.entry(begun.step).or_default() += 1;
        }
    }
    // A busy machine may try such a patience once more.
    let asked = if cell.is_of_patience() {
        asked.min(requests.max(asked.saturating_sub(1)))
    } else {
        asked
    };
    let got = (view.state, asked, noted.len());
    if got != (state, requests, notes) {
        return Err(format!("{got:?} in place of {:?}", (state, requests, notes)));
    }
    if noted.contains(&"half") || attempts.values().any(|it| *it > 3) {
        return Err(format!("noted {noted:?}, attempts {attempts:?}"));
    }
    match (cell.fault.end, &view.error) {
        (Fails(stop, code, _), Some(error)) if (view.stop, error.code) == (Some(stop), code) => {
            Ok(())
        }
        (Stops(stop, _), Some(_)) if view.stop == Some(stop) => Ok(()),
        (Fails(..) | Stops(..), error) => Err(format!("{:?} {error:?}", view.stop)),
        (Recovers(_) | Answers | Parks, None) => Ok(()),
        (Recovers(_) | Answers | Parks, Some(error)) => Err(format!("{error:?}")),
    }
}
