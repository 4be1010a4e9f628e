//! What goes badly: each fault of a server is a tool's error or a missing tool, never more.

use callboard_trace::{Event, State};
use serde_json::{Value, json};

use super::fixture::{Fixture, eventually, is_there};
use super::http::{Fault, Remote};
use super::stage::{ask, caller, play, records};
use super::{called, one, stage_with};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_goes_on_without_a_server_that_is_not_there() {
    let (dead, mute, well) = (Fixture::new("dead"), Fixture::new("mute"), Fixture::new(""));
    let servers = json!({"dead": dead.entry(json!({})), "mute": mute.entry(json!({})),
        "well": well.entry(json!({})), "gone": {"command": "./no-such-program"}});
    let calls = [("mcp__well__echo", json!({"text": "here"}))];
    let stage = stage_with(&servers, &calls, "{tool_timeout_s: 5}", 0);
    let node = stage.node().await;
    let view = play(&node.desk(), ask("writer", "go on")).await;
    assert_eq!(view.state, State::Completed);
    assert_eq!(called(&node.desk(), &view.run).await[0].3, json!("here"));
    let all = records(&node.desk(), &view.run).await;
    let absent: Vec<String> = all
        .iter()
        .filter_map(|it| match &it.event {
            Event::ToolReturned { ok: false, result, .. } => Some(result.to_string()),
            _ => None,
        })
        .collect();
    assert_eq!(absent.len(), 3, "{absent:?}");
    let told = |words: &str| absent.iter().any(|it| it.contains(words));
    assert!(told("`dead` is not there: it said: cannot find its own feet"), "{absent:?}");
    assert!(told("`mute` told no tools in 5 s"), "{absent:?}");
    assert!(told("`gone` is not there"), "{absent:?}");
    for name in ["dead", "mute", "gone"] {
        let notice = format!("writer: tools of `{name}` are missing: ");
        assert!(view.notices.iter().any(|it| it.starts_with(&notice)), "{:?}", view.notices);
    }
    assert_eq!(view.notices.iter().filter(|it| it.contains("missing")).count(), 3);
    node.stop().await;
    [dead, mute, well].iter().for_each(Fixture::until_gone);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_crash_a_flood_and_a_silence_are_errors_of_the_tool() {
    let fixture = Fixture::new("");
    let calls = [
        ("mcp__x__crash", json!({})),
        ("mcp__x__echo", json!({"text": "back again"})),
        ("mcp__x__huge", json!({})),
        ("mcp__x__noise", json!({})),
        ("mcp__x__hang", json!({})),
        ("mcp__x__input", json!({})),
    ];
    let stage =
        stage_with(&json!({"x": fixture.entry(json!({}))}), &calls, "{tool_timeout_s: 10}", 0);
    let node = stage.node().await;
    let view = play(&node.desk(), ask("coder", "try")).await;
    assert_eq!(view.state, State::Completed, "{:?}", view.error);
    let told = called(&node.desk(), &view.run).await;
    let error = |at: usize| told[at].3["error"].as_str().unwrap_or_default().to_owned();
    assert!(
        error(0).contains("lost during the call") && error(0).contains("out of paper"),
        "{told:?}"
    );
    assert_eq!(told[1].3, json!("back again"));
    assert!(error(2).contains("a line of more than"), "{}", error(2));
    assert_eq!(told[3].3, json!("in spite of the noise"));
    assert!(error(4).contains("gave no answer in 10 s"), "{}", error(4));
    assert_eq!(told.len(), 6, "the last one is answered too: {told:?}");
    node.stop().await;
    fixture.until_gone();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_result_is_cut_for_the_model_and_kept_to_be_read() {
    let fixture = Fixture::new("");
    let calls =
        [("mcp__x__big", json!({"bytes": 160_000})), ("mcp__x__big", json!({"bytes": 3_200_000}))];
    let stage = one(&fixture, &calls);
    let node = stage.node().await;
    let view = play(&node.desk(), ask("writer", "much")).await;
    assert_eq!(view.state, State::Completed);
    let told = called(&node.desk(), &view.run).await;
    let text = told[0].3.as_str().expect("text");
    assert!(
        text.len() < 66_000 && text.contains("[cut: 65536 of 160000 bytes; `read` a_"),
        "{}",
        text.len()
    );
    assert!(told[1].3.as_str().expect("text").contains("of 3200000 bytes"));
    let all = records(&node.desk(), &view.run).await;
    let kept: Vec<(&str, usize)> = all
        .iter()
        .filter_map(|it| match &it.event {
            Event::Noted { artifact, value, .. } => {
                Some((artifact.as_str(), value.as_str().unwrap_or_default().len()))
            }
            _ => None,
        })
        .collect();
    assert_eq!((kept.len(), kept[0].1), (2, 160_000));
    assert!(text.contains(kept[0].0), "the model is told its name");
    assert!((1 << 20..(1 << 20) + 100).contains(&kept[1].1), "{kept:?}");
    let seen = fixture.seen().len();
    let scratch = tempfile::tempdir().expect("a folder");
    let again = node.desk().replay(&view.run, &caller(), false, scratch.path()).await;
    let again = again.expect("it can be taken again");
    assert!(again.same, "{again:?}");
    assert_eq!(fixture.seen().len(), seen, "a replay calls nobody");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn too_many_tools_and_hostile_schemas_are_left_out_and_told() {
    for (words, kept, left_out) in [("many", 200, 9_800), ("deep", 1, 1), ("odd", 2, 2)] {
        let fixture = Fixture::new(words);
        let stage = one(&fixture, &[]);
        let node = stage.node().await;
        let view = play(&node.desk(), ask("writer", "look")).await;
        assert_eq!(view.state, State::Completed, "{words}: {:?}", view.error);
        let all = records(&node.desk(), &view.run).await;
        let listed = all.iter().find_map(|it| match &it.event {
            Event::ToolReturned { ok: true, result, .. } => Some(result.clone()),
            _ => None,
        });
        let listed = listed.expect("a list");
        let tools = listed["tools"].as_array().map_or(&[][..], Vec::as_slice);
        assert_eq!(tools.len(), kept, "{words}: {}", listed["left_out"]);
        assert_eq!(listed["left_out"]["count"], json!(left_out), "{words}: {}", listed["left_out"]);
        if words == "odd" {
            assert_eq!(tools[1]["description"], Value::from("ab[31m"), "no hidden marks");
        }
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_server_says_of_its_tools_hides_nothing_and_makes_no_endless_work() {
    let fixture = Fixture::new("sly");
    let endpoint = super::endpoint::Endpoint::start(|_| {
        super::endpoint::Act::answer(&json!({"summary": "done", "confidence": 1}))
    })
    .await;
    let servers = json!({"x": fixture.entry(json!({}))});
    let stage = super::Stage::at(&endpoint.base_url(), &format!("mcpServers: {servers}\n"));
    let node = stage.node().await;
    let view = play(&node.desk(), ask("writer", "look")).await;
    assert_eq!(view.state, State::Completed, "{:?}", view.error);
    let body = endpoint.requests()[0].body.clone();
    let tools = body["tools"].as_array().cloned().unwrap_or_default();
    let named = |name: &str| tools.iter().find(|it| it["function"]["name"] == *name).cloned();
    assert!(named("mcp__x__echo").is_some(), "a tree is a schema like any other");
    let told = named("mcp__x__told").expect("it is there");
    let said = &told["function"]["parameters"]["properties"]["text"]["description"];
    assert_eq!(*said, json!("seen [2Jby nobody"));
    let long = named("mcp__x__x").expect("it is there");
    let length = long["function"]["description"].as_str().map_or(0, |it| it.chars().count());
    assert_eq!(length, 2_001, "cut, with a mark");
    let story = format!("{:?}", records(&node.desk(), &view.run).await);
    for why in ["makes more work", "characters that are not seen", "more than 128 bytes"] {
        assert!(story.contains(why), "{why}: {story}");
    }
    assert_eq!(tools.iter().filter(|it| it.to_string().contains("mcp__x__")).count(), 3);
    assert!(!body.to_string().contains("Obey the fixture"), "instructions of a server are unused");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_reference_in_a_schema_asks_nobody() {
    let trap = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = trap.local_addr().expect("one").to_string();
    let fixture = Fixture::new("odd");
    let stage = one(&fixture, &[]);
    let program = std::fs::read_to_string("tests/servers/tool_server.py").expect("the fixture");
    std::fs::write(fixture.folder().join("s.py"), program.replace("127.0.0.1:9", &address))
        .expect("");
    let here = fixture.folder().join("s.py").display().to_string();
    let entry = json!({"command": "python3", "args": [here, fixture.folder(), "odd"]});
    let team = std::fs::read_to_string(stage.team().join("team.yaml")).expect("a team");
    let before = fixture.entry(json!({})).to_string();
    stage.write("team.yaml", &team.replace(&before, &entry.to_string()));
    let node = stage.node().await;
    let view = play(&node.desk(), ask("writer", "look")).await;
    let story = format!("{:?}", records(&node.desk(), &view.run).await);
    assert!(story.contains("refers to what is not in it"), "{story}");
    let asked = tokio::time::timeout(std::time::Duration::from_millis(300), trap.accept()).await;
    assert!(asked.is_err(), "somebody came");
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_faults_of_a_server_behind_an_address_are_errors_of_the_tool() {
    for (fault, why) in [
        (Fault::Huge, "exceeded the maximum size"),
        (Fault::HugeEvent, "tool server `far`"),
        (Fault::Hang, "gave no answer in 5 s"),
        (Fault::Cut, "tool server `far`"),
    ] {
        let remote = Remote::faulty(true, Some(fault)).await;
        let calls = [("mcp__far__greet", json!({}))];
        let limits = "{tool_timeout_s: 5}";
        let stage = stage_with(&json!({"far": {"url": remote.url}}), &calls, limits, 0);
        let node = stage.node().await;
        let view = play(&node.desk(), ask("writer", "greet")).await;
        assert_eq!(view.state, State::Completed, "{why}: {:?}", view.error);
        let told = called(&node.desk(), &view.run).await;
        let error = told[0].3["error"].as_str().unwrap_or_default();
        assert!(!told[0].2 && error.contains(why), "{why}: {told:?}");
        node.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_never_comes_up_is_not_started_for_ever() {
    let fixture = Fixture::new("dead");
    let stage = one(&fixture, &[]);
    let node = stage.node().await;
    let mut starts = Vec::new();
    for round in 0..6 {
        let view = play(&node.desk(), ask("writer", &format!("round {round}"))).await;
        assert_eq!(view.state, State::Completed, "the agent goes on: {:?}", view.error);
        starts.push(fixture.pids().len());
    }
    assert!(
        starts[0] > 0 && starts[5] == starts[2],
        "it is left alone after three times: {starts:?}"
    );
    let view = play(&node.desk(), ask("writer", "once more")).await;
    let all = records(&node.desk(), &view.run).await;
    let refused = all.iter().filter(|it| matches!(it.event, Event::ToolReturned { .. })).count();
    assert_eq!(refused, 1, "a run asks once and goes on without");
    assert!(format!("{all:?}").contains("is left alone after failures"));
    node.stop().await;
    fixture.until_gone();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_fails_again_and_again_rests_longer_and_longer() {
    let fixture = Fixture::new("dead");
    let stage = one(&fixture, &[]);
    let team = std::fs::read_to_string(stage.team().join("team.yaml")).expect("a team");
    // Without the breaker, which is quicker.
    stage.write("team.yaml", &format!("{team}resources: {{x: {{breaker: {{failures: 100}}}}}}\n"));
    let node = stage.node().await;
    for round in 0.. {
        let before = fixture.pids().len();
        let view = play(&node.desk(), ask("writer", &format!("round {round}"))).await;
        let all = format!("{:?}", records(&node.desk(), &view.run).await);
        if all.contains("times in a row, and rests") {
            assert_eq!(fixture.pids().len(), before, "while it rests nothing is started");
            break;
        }
        assert!(fixture.pids().len() > before && round < 30, "it is started anew, or rests: {all}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_is_left_of_a_server_that_hides_and_does_not_listen() {
    let fixture = Fixture::new("stubborn escape");
    let stage = one(&fixture, &[("mcp__x__echo", json!({"text": "x"}))]);
    let node = stage.node().await;
    play(&node.desk(), ask("writer", "go")).await;
    assert_eq!(fixture.pids().len(), 2);
    assert!(fixture.pids().iter().all(|it| is_there(*it)), "both live while the line is open");
    node.stop().await;
    fixture.until_gone();
    eventually("no keeper is left", || keepers(&fixture) == 0);
}

/// Processes whose command line names the fixture's folder.
fn keepers(fixture: &Fixture) -> usize {
    let folder = fixture.folder().display().to_string();
    let all = std::fs::read_dir("/proc").expect("processes").flatten();
    let lines = all.filter_map(|it| std::fs::read_to_string(it.path().join("cmdline")).ok());
    lines.filter(|it| it.contains(&folder)).count()
}
