//! Handles nobody loses: what a caller did not hear of is told, joined and read later, and what it
//! was told is not told again.

mod endpoint;
mod stage;

use std::time::Duration;

use callboard_scheduler::{Desk, Listens, Node};
use callboard_trace::{Event, RunId};
use endpoint::{Act, Ask, Endpoint};
use serde_json::{Value, json};
use stage::{Stage, ask, caller, end};
use tokio::io::{
    AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf,
};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

/// A client of the older era over a pipe, under a name of its own.
struct Client {
    lines: Lines<BufReader<ReadHalf<DuplexStream>>>,
    out: WriteHalf<DuplexStream>,
}

impl Client {
    async fn on(node: &Node, name: &str) -> Client {
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        let (input, output) = tokio::io::split(theirs);
        let (desk, ending) = (node.desk(), CancellationToken::new());
        #[expect(clippy::disallowed_methods, reason = "it ends with its pipe")]
        tokio::spawn(callboard::serve_stream(input, output, desk, ending));
        let (read, out) = tokio::io::split(ours);
        let mut client = Client { lines: BufReader::new(read).lines(), out };
        let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {},
            "clientInfo": {"name": name, "version": "1"}});
        client.ask(0, "initialize", hello).await;
        client.answer(0).await;
        client
    }

    async fn send(&mut self, message: Value) {
        self.out.write_all(format!("{message}\n").as_bytes()).await.expect("written");
    }

    async fn ask(&mut self, id: u64, method: &str, params: Value) {
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        self.send(request).await;
    }

    async fn call(&mut self, id: u64, tool: &str, arguments: Value) {
        self.ask(id, "tools/call", json!({"name": tool, "arguments": arguments})).await;
    }

    async fn give_up(&mut self, id: u64, reason: &str) {
        let params = json!({"requestId": id, "reason": reason});
        let method = "notifications/cancelled";
        self.send(json!({"jsonrpc": "2.0", "method": method, "params": params})).await;
    }

    async fn answer(&mut self, id: u64) -> Value {
        let line = tokio::time::timeout(stage::PATIENCE, self.lines.next_line());
        let line = line.await.expect("in time").expect("read").expect("a line");
        let message: Value = serde_json::from_str(&line).expect("JSON and nothing else");
        assert_eq!(message["id"], json!(id), "another answer: {message}");
        message["result"]["structuredContent"].clone()
    }

    async fn told(&mut self, id: u64, tool: &str, arguments: Value) -> Value {
        self.call(id, tool, arguments).await;
        self.answer(id).await
    }
}

/// A model that takes its time.
async fn slow(how_long: Duration) -> (Endpoint, Stage) {
    let answer = move |_: &Ask| {
        Act::answer(&json!({"summary": "it is done", "confidence": 0.9})).after(how_long)
    };
    let endpoint = Endpoint::start(answer).await;
    let stage = Stage::at(&endpoint.base_url(), "");
    (endpoint, stage)
}

fn kinds(records: &[callboard_trace::Record]) -> Vec<&'static str> {
    records.iter().map(|it| it.event.kind()).collect()
}

/// The run's records, once one of them is of this kind.
async fn until(desk: &Desk, run: &RunId, kind: &str) -> Vec<callboard_trace::Record> {
    let begun = tokio::time::Instant::now();
    loop {
        let records = stage::records(desk, run).await;
        if kinds(&records).contains(&kind) {
            return records;
        }
        assert!(begun.elapsed() < stage::PATIENCE, "no {kind}: {:?}", kinds(&records));
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The one run of the caller, once there is one.
async fn only_run(desk: &Desk) -> RunId {
    let begun = tokio::time::Instant::now();
    loop {
        let runs = desk.board(&caller()).await.expect("a board").runs;
        if let [run] = runs.as_slice() {
            return run.run.clone();
        }
        assert!(runs.is_empty() && begun.elapsed() < stage::PATIENCE, "{runs:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

const TIMED_OUT: &str = "McpError: MCP error -32001: Request timed out";

#[tokio::test]
async fn a_client_that_times_out_finds_its_result_by_the_notice_and_by_the_board() {
    let (_endpoint, stage) = slow(Duration::from_millis(700)).await;
    let node = stage.node().await;
    let desk = node.desk();
    let mut client = Client::on(&node, "hasty").await;
    client.call(1, "writer", json!({"task": "a long text"})).await;
    let run = only_run(&desk).await;
    client.give_up(1, TIMED_OUT).await;
    end(&desk, &run).await;
    let notice = json!([format!("{run} completed, unread")]);

    // Whatever is asked next, also in vain, and by another client of the same principal.
    let refused = client.told(2, "team_status", json!({"run": "r_nobody"})).await;
    assert_eq!((&refused["code"], &refused["notices"]), (&json!("not_found"), &notice));
    let mut other = Client::on(&node, "other").await;
    let queue = other.told(1, "team_status", json!({"view": "queue"})).await;
    assert_eq!(queue["notices"], notice);
    let board = client.told(3, "team_status", json!({})).await;
    assert_eq!(board["unread"][0]["run"], json!(run), "{board}");
    assert_eq!(board.as_object().and_then(|it| it.keys().next()), Some(&"unread".to_owned()));

    let view = client.told(4, "team_status", json!({"run": run})).await;
    assert_eq!((&view["result"], &view["notices"]), (&json!("it is done"), &json!([])));
    let records = until(&desk, &run, "delivered").await;
    let left = records.iter().position(|it| matches!(it.event, Event::CallerLeft { .. }));
    let over = records.iter().position(|it| matches!(it.event, Event::RunEnded(_)));
    assert!(left < over, "{:?}", kinds(&records));
    let board = client.told(5, "team_status", json!({})).await;
    assert_eq!((board.get("unread"), board.get("notices")), (None, None), "it is read: {board}");
    node.stop().await;
}

#[tokio::test]
async fn a_client_that_calls_again_gets_the_run_it_left() {
    let (endpoint, stage) = slow(Duration::from_millis(600)).await;
    let node = stage.node().await;
    let mut client = Client::on(&node, "hasty").await;
    client.call(1, "writer", json!({"task": "a long text"})).await;
    let run = only_run(&node.desk()).await;
    // In one breath, and written a little differently.
    client.give_up(1, TIMED_OUT).await;
    let again = client.told(2, "writer", json!({"context": " ", "task": "a long text\n"})).await;
    assert_eq!((&again["run"], &again["joined"]), (&json!(run), &json!(true)), "{again}");
    assert_eq!(again["result"], json!("it is done"));
    until(&node.desk(), &run, "delivered").await;
    let anew = client.told(3, "writer", json!({"task": "a long text"})).await;
    assert_ne!(anew["run"], json!(run), "it was delivered: who asks again wants it again");
    assert_eq!(endpoint.requests().len(), 2);
    node.stop().await;
}

#[tokio::test]
async fn a_call_id_of_its_own_does_not_keep_a_model_from_coming_back() {
    let (_endpoint, stage) = slow(Duration::from_millis(500)).await;
    let node = stage.node().await;
    let mut client = Client::on(&node, "hasty").await;
    let call = |name: &str, id: &str| json!({"name": "writer", "arguments": {"task": "a text"}, "_meta": {name: id}});
    client.ask(1, "tools/call", call("claudecode/toolUseId", "toolu_1")).await;
    let run = only_run(&node.desk()).await;
    client.give_up(1, TIMED_OUT).await;
    client.ask(2, "tools/call", call("claudecode/toolUseId", "toolu_2")).await;
    assert_eq!(client.answer(2).await["run"], json!(run));
    client.ask(3, "tools/call", call("claudecode/toolUseId", "toolu_1")).await;
    assert_eq!(client.answer(3).await["run"], json!(run), "the same call, for a day");
    client.ask(4, "tools/call", call("callboard/key", "mine")).await;
    assert_ne!(client.answer(4).await["run"], json!(run), "a key of its own is another task");
    node.stop().await;
}

#[tokio::test]
async fn equal_calls_that_are_open_at_once_or_do_not_wait_are_two_tasks() {
    let (endpoint, stage) = slow(Duration::from_millis(1_500)).await;
    let node = stage.node().await;
    let mut client = Client::on(&node, "eager").await;
    client.call(1, "writer", json!({"task": "t"})).await;
    only_run(&node.desk()).await;
    let second = client.told(2, "writer", json!({"task": "t", "wait_s": 0})).await;
    let third = client.told(3, "writer", json!({"task": "t", "wait_s": 0})).await;
    assert_ne!(second["run"], third["run"]);
    let first = client.answer(1).await;
    assert!(first["run"] != second["run"] && first["run"] != third["run"]);
    for run in [&second["run"], &third["run"]] {
        client.told(4, "team_status", json!({"run": run, "wait_s": 30})).await;
    }
    assert_eq!(endpoint.requests().len(), 3);
    node.stop().await;
}

#[tokio::test]
async fn nobody_is_told_of_what_another_open_call_waits_for() {
    let (_endpoint, stage) = slow(Duration::from_millis(100)).await;
    let node = stage.node().await;
    let desk = node.desk();
    let listens = Listens { waits: true, rejoins: false };
    let run = desk.call(ask("writer", "t"), listens).await.expect("in").run;
    let listening = desk.listen(&run, &caller(), true);
    end(&desk, &run).await;
    assert_eq!(desk.notices(&caller(), None).await, [""; 0]);
    listening.delivered();
    assert_eq!(desk.notices(&caller(), None).await, [""; 0], "before it is written");
    until(&desk, &run, "delivered").await;
    assert_eq!(desk.notices(&caller(), None).await, [""; 0]);
    node.stop().await;
}

/// Looks again and again while it is written down: there is no moment in between.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn what_was_delivered_is_unread_at_no_moment() {
    let (_endpoint, stage) = slow(Duration::ZERO).await;
    let node = stage.node().await;
    let desk = node.desk();
    for number in 0..20 {
        let task = ask("writer", &format!("task {number}"));
        let run = desk.call(task, Listens::default()).await.expect("in").run;
        let listening = desk.listen(&run, &caller(), false);
        end(&desk, &run).await;
        listening.delivered();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(30) {
            let looks = [(); 8].map(|()| async { desk.notices(&caller(), None).await });
            let told = futures::future::join_all(looks).await.concat();
            assert_eq!(told, [""; 0], "of {number}");
        }
    }
    node.stop().await;
}

#[tokio::test]
async fn many_unread_runs_are_five_lines_and_a_count() {
    let (_endpoint, stage) = slow(Duration::ZERO).await;
    let node = stage.node().await;
    let desk = node.desk();
    for number in 0..8 {
        stage::play(&desk, ask("writer", &format!("task {number}"))).await;
    }
    let notices = desk.notices(&caller(), None).await;
    assert_eq!(notices.len(), 6, "{notices:?}");
    assert_eq!(notices[5], "3 more unread; `team_status` without run lists them");
    assert_eq!(desk.board(&caller()).await.expect("a board").unread.len(), 8);
    node.stop().await;
}

#[tokio::test]
async fn a_pipe_that_breaks_leaves_the_run_unread() {
    let (_endpoint, stage) = slow(Duration::from_millis(300)).await;
    let node = stage.node().await;
    let desk = node.desk();
    let mut client = Client::on(&node, "fragile").await;
    client.call(1, "writer", json!({"task": "t"})).await;
    let run = only_run(&desk).await;
    drop(client);
    end(&desk, &run).await;
    until(&desk, &run, "caller_left").await;
    let notice = format!("{run} completed, unread");
    assert_eq!(desk.notices(&caller(), None).await, [notice]);
    node.stop().await;
}

#[tokio::test]
async fn what_a_client_was_told_survives_the_process_that_told_it() {
    let (_endpoint, stage) = slow(Duration::from_millis(100)).await;
    let node = stage.node().await;
    let mut client = Client::on(&node, "patient").await;
    let read = client.told(1, "writer", json!({"task": "read"})).await;
    let handle = client.told(2, "writer", json!({"task": "unread", "wait_s": 0})).await;
    let unread = RunId::from_text(handle["run"].as_str().expect("a run"));
    end(&node.desk(), &unread).await;
    // At once after the answer: what became of the calls is written before the process goes.
    node.stop().await;
    let node = stage.node().await;
    let notices = node.desk().notices(&caller(), None).await;
    assert_eq!(notices, [format!("{unread} completed, unread")], "and not {read}");
    node.stop().await;
}

#[tokio::test]
async fn a_client_that_gave_up_is_answered_earlier_also_by_the_next_process() {
    let (_endpoint, stage) = slow(Duration::from_secs(20)).await;
    let node = stage.node().await;
    let mut client = Client::on(&node, "Hasty").await;
    client.call(1, "writer", json!({"task": "one"})).await;
    only_run(&node.desk()).await;
    tokio::time::sleep(Duration::from_millis(2_400)).await;
    client.give_up(1, "MCP request cancelled by caller").await;
    assert_eq!(node.desk().gives_up_after("hasty").await, None, "that may have been a person");
    client.call(2, "writer", json!({"task": "two"})).await;
    tokio::time::sleep(Duration::from_millis(2_500)).await;
    client.give_up(2, TIMED_OUT).await;
    let learnt = async || node.desk().gives_up_after("hasty").await.is_some();
    stage::until("its patience is known", learnt).await;
    let early = client.told(3, "writer", json!({"task": "three", "wait_s": 60})).await;
    let waited = early["elapsed_s"].as_f64().expect("a time");
    assert!(waited >= 2.0, "{early}");
    assert!(early["next"].as_str().is_some_and(|it| it.contains("\"wait_s\":2}")), "{early}");
    let known = node.desk().gives_up_after("hasty").await.expect("it was learnt");
    assert!(known >= Duration::from_millis(2_300), "{known:?}");
    node.stop().await;

    let node = stage.node().await;
    let again = node.desk().gives_up_after("hasty").await.expect("it is in the journal");
    assert!(again.abs_diff(known) < Duration::from_millis(5), "{again:?} {known:?}");
    assert_eq!(node.desk().gives_up_after("patient").await, None);
    let mut client = Client::on(&node, "hasty").await;
    let handle = client.told(1, "writer", json!({"task": "four"})).await;
    assert_eq!(handle["state"], json!("working"), "{handle}");
    node.stop().await;
}

/// A coder that leaves a note, and hands on to a tester.
fn chain() -> Stage {
    let text = "a long line of code\n".repeat(2_000);
    let note = json!(text).to_string();
    Stage::new(&format!(
        "- when: {{agent: coder, turn: 1}}\n  note: {{slot: implementation, key: main.rs, text: {note}}}\n\
         - when: {{agent: coder, turn: 2}}\n  handoff: {{to: tester, task: test it, summary: \
         {{did: wrote main.rs in one piece, must_know: it is long, do_next: run it}}}}\n\
         - {{when: {{agent: tester}}, answer: {{summary: it holds, confidence: 0.9, \
         tests: [{{name: one, passed: true}}]}}}}\n"
    ))
}

#[tokio::test]
async fn the_caller_of_a_chain_reads_what_every_agent_left() {
    let stage = chain();
    let node = stage.node().await;
    let mut client = Client::on(&node, "reader").await;
    let view = client.told(1, "coder", json!({"task": "write and test"})).await;
    assert_eq!((&view["agent"], &view["result"]), (&json!("tester"), &json!("it holds")));
    let listed = &view["artifacts"][0];
    assert_eq!(listed["name"], json!("implementation/main.rs"), "{view}");
    assert_eq!(
        (&listed["bytes"], view["artifacts"].as_array().map(Vec::len)),
        (&json!(40_000), Some(1))
    );

    let (mut whole, mut offset, mut id) = (String::new(), json!(0), 2);
    while !offset.is_null() {
        let asked = json!({"uri": listed["uri"], "offset": offset, "max_tokens": 3_000});
        let page = client.told(id, "team_read", asked).await;
        let text = page["text"].as_str().expect("a text");
        assert!(text.len() <= 12_000 && page["bytes"] == json!(40_000), "{page}");
        whole.push_str(text);
        (offset, id) = (page["next_offset"].clone(), id + 1);
    }
    assert_eq!((whole.len(), id), (40_000, 6));

    let run = view["run"].as_str().expect("a run");
    let read = |uri: String| json!({ "uri": uri });
    let list = client.told(20, "team_read", read(format!("team://runs/{run}/artifacts/"))).await;
    let lines: Vec<&str> = list["text"].as_str().expect("a text").lines().collect();
    assert_eq!(lines.len(), 2, "the note, and the tester's whole answer: {lines:?}");
    assert!(lines[1].contains("tester/answer"), "{lines:?}");
    let answer = client.told(21, "team_read", read(format!("team://runs/{run}/artifacts/2"))).await;
    let answer: Value =
        serde_json::from_str(answer["text"].as_str().expect("a text")).expect("JSON");
    assert_eq!(answer["tests"][0]["passed"], json!(true));

    let grep =
        json!({"uri": format!("team://runs/{run}/trace"), "grep": "\"kind\":\"handed_off\""});
    let found = client.told(22, "team_read", grep).await;
    assert_eq!(found["matches"], json!(1), "{found}");
    assert!(found["text"].as_str().is_some_and(|it| it.contains(": ")), "{found}");
    node.stop().await;
}

#[tokio::test]
async fn everything_that_has_a_uri_is_read_and_what_has_none_names_the_nearest() {
    let stage = chain();
    let node = stage.node().await;
    let desk = node.desk();
    let run = stage::play(&desk, ask("coder", "write and test")).await.run;
    let mut client = Client::on(&node, "reader").await;
    let note = stage::records(&desk, &run).await.iter().find_map(|it| {
        let Event::Noted { artifact, .. } = &it.event else { return None };
        Some(artifact.clone())
    });
    let mut uris: Vec<String> = ["trace", "steps", "handoffs", "cost", "why", "artifacts/1"]
        .map(|it| format!("team://runs/{run}/{it}"))
        .into();
    uris.extend(
        [
            "board",
            "agents",
            "agents/coder",
            "runs",
            "queue",
            "schema/team",
            "schema/agent",
            "schema/coder",
        ]
        .map(|it| format!("team://{it}")),
    );
    uris.extend([run.to_string(), note.expect("a note"), format!("team://runs/{run}")]);
    for (id, uri) in uris.iter().enumerate() {
        let page =
            client.told(id as u64 + 1, "team_read", json!({"uri": uri, "max_tokens": 50})).await;
        let text = page["text"].as_str().unwrap_or_default();
        assert!(!text.is_empty() && text.len() <= 200, "{uri}: {page}");
        assert!(page["uri"].as_str().is_some_and(|it| it.starts_with("team://")), "{page}");
    }

    let cases = [
        ("team://bord", "did you mean \"team://board\"?"),
        ("team://agents/codr", "did you mean \"coder\"?"),
        ("team://schema/teem", "did you mean \"team\"?"),
        ("team://runs/r_nobody/trace", "there is no run `r_nobody`"),
        ("a_nothing", "no recent run of yours left"),
        ("nonsense", "there are team://board"),
    ];
    let more = [
        (format!("team://runs/{run}/trce"), format!("did you mean \"team://runs/{run}/trace\"?")),
        (format!("team://runs/{run}/artifacts/9"), format!("there is no artifact 9 of {run}")),
    ];
    let cases = cases.map(|(uri, told)| (uri.to_owned(), told.to_owned()));
    for (id, (uri, told)) in (50..).zip(cases.into_iter().chain(more)) {
        let refused = client.told(id, "team_read", json!({ "uri": uri })).await;
        assert_eq!(refused["code"], json!("not_found"), "{uri}: {refused}");
        let message = refused["message"].as_str().unwrap_or_default();
        assert!(message.contains(&told), "{uri}: {message}");
    }
    let pattern = client.told(90, "team_read", json!({"uri": "team://board", "grep": "("})).await;
    assert_eq!(pattern["code"], json!("invalid_input"), "{pattern}");

    let stranger = callboard_trace::Caller { principal: "stranger".into(), ..caller() };
    for uri in [format!("team://runs/{run}"), format!("team://runs/{run}/artifacts/1")] {
        let reading = callboard_tools::Reading { uri, most: 100, ..Default::default() };
        let refused = callboard_tools::read(&desk, &reading, &stranger).await.expect_err("theirs");
        assert_eq!(refused.code, callboard_scheduler::RefusalCode::NotFound);
    }
    node.stop().await;
}

#[tokio::test]
async fn a_long_result_is_cut_and_the_whole_is_read() {
    let text = json!("word ".repeat(20_000)).to_string();
    let stage = Stage::new(&format!(
        "- {{answer: {{summary: {text}, confidence: 0.9, findings: [{{key: k, text: {text}, confidence: 1}}]}}}}\n"
    ));
    let node = stage.node().await;
    let mut client = Client::on(&node, "reader").await;
    let view = client.told(1, "writer", json!({"task": "write much"})).await;
    assert!(view.to_string().len() <= 8_000, "{} bytes", view.to_string().len());
    let run = view["run"].as_str().expect("a run");
    let notice = view["notices"][0].as_str().expect("a notice");
    assert!(notice.contains(&format!(r#"team_read {{"uri":"team://runs/{run}"}}"#)), "{notice}");
    let page = client.told(2, "team_read", json!({"uri": run, "max_tokens": 10_000})).await;
    assert!(page["bytes"].as_u64().is_some_and(|it| it > 100_000), "{}", page["bytes"]);
    node.stop().await;
}

#[tokio::test]
async fn a_tree_of_a_hundred_thousand_records_is_paged_and_capped() {
    use callboard_trace::{Fact, Finish, ModelReplied, Purpose, StepBegun, Usage, Work};
    const STEPS: u32 = 20_000;
    let stage = Stage::new("- {answer: {summary: done, confidence: 1}}\n");
    let node = stage.node_with(false).await;
    let run = node.desk().submit(ask("writer", "go on for ever")).await.expect("in").run;
    node.stop().await;
    // Written behind the scheduler's back: five records a step.
    let store = stage.store("n_scribe");
    for chunk in 0..STEPS / 500 {
        let facts = (0..500).flat_map(|at| {
            let step = chunk * 500 + at + 1;
            let work = Work::Model {
                provider: "p".into(),
                model: "m".into(),
                purpose: Purpose::Turn,
                messages: 1,
                prompt: String::new(),
            };
            let replied = ModelReplied {
                step,
                reply: Value::Null,
                text: "t".into(),
                calls: Vec::new(),
                finish: Finish::Stop,
                usage: Usage { input: 1, output: 1, ..Usage::default() },
                model: "p/m".into(),
                first_token_ms: 1,
                ms: 1,
                asked_again: 0,
                micro_usd: None,
            };
            let waiting = |it: &str| Event::Forgotten { key: it.into() };
            let events = [
                Event::StepBegun(StepBegun::new(step, 1, work)),
                waiting("a"),
                waiting("b"),
                waiting("c"),
                Event::ModelReplied(Box::new(replied)),
            ];
            events.map(|it| Fact::new("scribe", it))
        });
        store.signal(&run, facts.collect(), false).await.expect("written");
    }
    drop(store);

    let node = stage.node_with(false).await;
    let mut client = Client::on(&node, "curious").await;
    let steps = |after: u64, limit: u64| json!({"run": run, "view": "steps", "after": after, "limit": limit});
    let first = client.told(1, "team_status", steps(0, 200)).await;
    assert_eq!((first["steps"].as_array().map(Vec::len), &first["next"]), (Some(200), &json!(200)));
    let last = client.told(2, "team_status", steps(u64::from(STEPS) - 1, 200)).await;
    assert_eq!(last["steps"][0]["step"], json!(STEPS), "{last}");
    assert_eq!(last.get("next"), None);
    let beyond = client.told(3, "team_status", steps(1 << 60, 200)).await;
    assert_eq!(beyond["steps"], json!([]));
    let trace =
        client.told(4, "team_status", json!({"run": run, "view": "trace", "limit": 200})).await;
    assert_eq!(trace["trace"].as_array().map(Vec::len), Some(200));
    let cost = client.told(5, "team_status", json!({"run": run, "view": "cost"})).await;
    assert_eq!(cost["cost"]["tokens"], json!(2 * STEPS));
    for (id, wrong) in [(6, json!({"limit": 1_000_000_000})), (7, json!({"after": "garbage"}))] {
        let mut asked = steps(0, 1);
        for (name, it) in wrong.as_object().expect("one") {
            asked[name] = it.clone();
        }
        assert_eq!(client.told(id, "team_status", asked).await["code"], json!("invalid_input"));
    }
    node.stop().await;
}

#[tokio::test]
async fn why_a_run_stands_where_it_stands() {
    let stage = Stage::new("- {answer: {summary: done, confidence: 1}}\n");
    let node = stage.node_with(false).await;
    let desk = node.desk();
    let urgent = callboard_scheduler::Ask { priority: Some(700), ..ask("writer", "now") };
    let urgent = desk.submit(urgent).await.expect("in").run;
    let plain = desk.submit(ask("writer", "some time")).await.expect("in").run;
    let mut client = Client::on(&node, "curious").await;
    let mut ids = 0;
    let mut why = async |run: &RunId| {
        ids += 1;
        client.told(ids, "team_status", json!({"run": run, "view": "why"})).await
    };
    let told = why(&urgent).await;
    assert_eq!((&told["priority"], &told["priority_from"]), (&json!(700), &json!("caller")));
    assert_eq!((&told["place"], &told["waiting_for"]), (&json!(1), &json!("a seat")), "{told}");
    assert_eq!(told["addends"], json!({"base": 700, "unblocking": 0, "goal_fit": 0}));
    let words = told["words"].to_string();
    for said in
        ["priority 700 = base 700 (caller)", "number 1 of the ready runs", "waits for a seat"]
    {
        assert!(words.contains(said), "{words}");
    }
    let rank = told["rank"].as_f64().expect("a number");
    assert!((-760.0..=-700.0).contains(&rank), "{told}");
    let told = why(&plain).await;
    assert_eq!((&told["place"], &told["priority_from"]), (&json!(2), &json!("class normal")));
    let control = callboard_trace::Control {
        action: callboard_trace::Action::SetPriority,
        value: json!(900),
        reason: String::new(),
    };
    desk.control(&plain, control, &caller()).await.expect("set");
    let told = why(&plain).await;
    assert_eq!((&told["place"], &told["priority_from"]), (&json!(1), &json!("set by local")));
    node.stop().await;
}

#[tokio::test]
async fn a_handoff_that_was_left_is_joined_and_a_pause_is_told_in_seconds() {
    let stage = Stage::new(
        "- {when: {turn: 1}, fail: {status: 429, retry_after_s: 1.5}, times: 1}\n\
         - {answer: {summary: through, confidence: 1}}\n",
    );
    let node = stage.node().await;
    let mut client = Client::on(&node, "hasty").await;
    let over = json!({"to": "writer", "summary": "it is a draft", "task": "finish it"});
    client.call(1, "team_handoff", over.clone()).await;
    let run = only_run(&node.desk()).await;
    until(&node.desk(), &run, "step_failed").await;
    let held = node.desk().view(&run, &caller()).await.expect("there").queue.expect("a pause");
    assert!(held.eta_s.is_some_and(|it| it > 0.0 && it <= 1.8), "{held:?}");
    client.give_up(1, "AbortError: The operation was aborted.").await;
    let again = client.told(2, "team_handoff", over).await;
    assert_eq!((&again["run"], &again["result"]), (&json!(run), &json!("through")), "{again}");
    let id = again["handoff"]["id"].as_str().expect("a name");
    let began = stage::records(&node.desk(), &run).await.iter().any(|it| {
        let Event::RunStarted(started) = &it.event else { return false };
        started.handoff.as_ref().is_some_and(|it| it.id == id)
    });
    assert!(began, "the handoff that began it is the one that is named");
    node.stop().await;
}

#[tokio::test]
async fn a_question_in_words_is_answered_in_words() {
    let (_endpoint, stage) = slow(Duration::from_secs(20)).await;
    let node = stage.node().await;
    let mut client = Client::on(&node, "asked").await;
    let handle = client.told(1, "writer", json!({"task": "t", "wait_s": 0})).await;
    let run = RunId::from_text(handle["run"].as_str().expect("a run"));
    // As an agent asks that is a person.
    let store = stage.store("n_asks");
    let asked = Event::QuestionAsked {
        question: "q_a_1".into(),
        form: "text".into(),
        prompt: "which colour?".into(),
        options: Vec::new(),
        act: None,
    };
    let asked = callboard_trace::Fact::new("writer", asked);
    store.signal(&run, vec![asked], false).await.expect("written");
    drop(store);
    let view = client.told(2, "team_status", json!({"run": run, "wait_s": 0})).await;
    assert_eq!(view["state"], json!("input_required"), "{view}");
    assert_eq!(
        view["next"],
        json!(format!(r#"team_answer {{"run":"{run}","answers":{{"q_a_1":"ANSWER"}}}}"#))
    );
    let answer = |it: &str| json!({"run": run, "answers": {"q_a_1": it}, "wait_s": 0});
    let empty = client.told(3, "team_answer", answer("  ")).await;
    assert_eq!(empty["problems"], json!(["answers.q_a_1: empty; write the answer"]));
    client.told(4, "team_answer", answer("blue")).await;
    let records = until(&node.desk(), &run, "question_closed").await;
    assert!(!kinds(&records).contains(&"step_decided"), "{:?}", kinds(&records));
    let twice = client.told(5, "team_answer", answer("red")).await;
    assert_eq!(twice["code"], json!("conflict"));
    node.stop().await;
}
