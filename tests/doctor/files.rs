//! A user's agent files are served unchanged: each is listed and can be called, and each field and
//! tool that has no counterpart here is named.

use std::collections::BTreeMap;
use std::fs;

use callboard_config::{Agent, Kind, Severity, Team};
use callboard_scheduler::{Node, NodeOptions, World};
use serde_json::{Map, Value, json};
use tokio::io::{
    AsyncBufReadExt, AsyncWriteExt, BufReader, DuplexStream, Lines, ReadHalf, WriteHalf,
};
use tokio_util::sync::CancellationToken;

use crate::corpus::{Project, STYLES, files, front, home, keys};
use crate::endpoint::{Act, Endpoint};

/// Nobody listens there, and nobody is asked.
const NOWHERE: &str = "http://127.0.0.1:9/v1";

/// The agent of each file, by what the files of the team say of it.
fn agents<'a>(project: &Project, team: &'a Team) -> BTreeMap<String, &'a Agent> {
    let by_file = |(name, text): (&String, &String)| {
        let own = front(text).lines().find_map(|it| {
            let rest = it.strip_prefix("name")?.trim_start();
            let value = rest.strip_prefix(':').or_else(|| rest.strip_prefix('='))?;
            Some(value.trim().trim_matches('"').to_owned())
        });
        let stem = name.rsplit('/').next().and_then(|it| it.split('.').next());
        let written = own.unwrap_or_else(|| stem.unwrap_or_default().to_owned());
        let plain = |it: char| if it.is_ascii_alphanumeric() { it } else { '_' };
        let loose: String = written.to_lowercase().chars().map(plain).collect();
        let loose = loose.trim_matches('_');
        let found = team.agents.values().find(|it| loose == it.name.as_str());
        let cut = || team.agents.values().find(|it| loose.starts_with(it.name.as_str()));
        let agent = found.or_else(cut).unwrap_or_else(|| {
            panic!("{name} is served as no agent: {:?}", team.problems);
        });
        (name.clone(), agent)
    };
    project.texts.iter().map(by_file).collect()
}

fn shown(project: &Project, team: &Team, file: &str, agent: &Agent) -> Value {
    let models: Vec<String> =
        agent.models.iter().map(|it| format!("{}/{}", it.provider, it.model)).collect();
    let servers = team.untrusted.iter().filter(|it| it.users.contains(&agent.name));
    let servers: Vec<&str> = servers.map(|it| it.name.as_str()).collect();
    let handoffs: Vec<&str> = agent.handoffs.iter().map(|it| it.to.as_str()).collect();
    json!({
        "name": agent.name, "description": agent.description,
        "instructions": agent.instructions.lines().next(),
        "tools": agent.tools, "disallowed": agent.disallowed_tools, "hands": agent.hands,
        "servers": servers, "models": models, "turns": agent.max_turns, "handoffs": handoffs,
        "told": project.told(team, file).map(|it| it.message.clone()).collect::<Vec<_>>(),
    })
}

#[test]
fn every_file_is_an_agent_as_it_was_meant() {
    let update = callboard_config::environment("UPDATE_CORPUS").is_some();
    let mut count = 0;
    for style in STYLES {
        let project = Project::of(style, NOWHERE);
        let team = project.load();
        let agents = agents(&project, &team);
        count += agents.len();
        assert_eq!(team.agents.len(), agents.len(), "{style}: {:?}", team.problems);
        let is_wrong = |it: &&callboard_config::Problem| it.severity == Severity::Error;
        let wrong: Vec<_> = team.problems.iter().filter(is_wrong).collect();
        assert!(wrong.is_empty(), "{style}: {wrong:?}");
        let told = agents.iter().map(|(file, it)| (file.clone(), shown(&project, &team, file, it)));
        let told = Value::Object(told.collect::<Map<_, _>>());
        let path = home(style).join("expected.json");
        if update {
            let text = serde_json::to_string_pretty(&told).expect("JSON");
            fs::write(&path, format!("{text}\n")).expect("a file");
        }
        let expected = fs::read_to_string(&path).unwrap_or_default();
        let expected: Value = serde_json::from_str(&expected).unwrap_or_default();
        for (file, now) in told.as_object().expect("a map") {
            assert_eq!(now, &expected[file], "{style}/{file}; UPDATE_CORPUS=1 writes it anew");
        }
        assert_eq!(expected.as_object().map_or(0, Map::len), agents.len(), "{style}");
    }
    assert!(count >= 100, "{count}");
}

#[test]
fn every_documented_field_is_in_the_corpus_and_told_where_nothing_acts_on_it() {
    for style in STYLES {
        let project = Project::of(style, NOWHERE);
        let team = project.load();
        let fields = project.style["fields"].as_object().expect("fields");
        let mut seen: Vec<&str> = vec![];
        for (file, text) in &project.texts {
            let told: Vec<&str> = project.told(&team, file).map(|it| it.message.as_str()).collect();
            for key in keys(text) {
                seen.push(key);
                let idle = |it: &&&str| {
                    it.contains(&format!("`{key}`"))
                        && (it.contains("not acted on") || it.contains("is not known"))
                };
                let is_told = told.iter().any(|it| idle(&it));
                let acts = fields.get(key).is_some_and(|it| it == "acts");
                assert_eq!(is_told, !acts, "{style}/{file}: `{key}`: {told:?}");
            }
        }
        for field in fields.keys() {
            assert!(seen.contains(&field.as_str()), "{style}: no file has `{field}`");
        }
    }
}

/// The tools that a file names, as its product writes them.
fn named(agent: &Agent, text: &str, style: &str) -> Vec<String> {
    let switches = |it: &str| {
        let (name, is_on) = it.trim().split_once(": ")?;
        let is_on = style == "opencode" && is_on.trim_matches([' ', ',', '}']) == "true";
        is_on.then(|| name.trim_matches('"').to_owned())
    };
    let listed = agent.tools.iter().flatten().cloned();
    let map = front(text).split_once("tools:").map_or("", |it| it.1);
    let map = map.split(['\n', '{', ',']).filter_map(switches);
    listed.chain(map.filter(|it| it != "disable" && it != "hidden")).collect()
}

#[test]
fn every_documented_tool_is_in_the_corpus_and_told_where_it_is_not_there() {
    for style in STYLES {
        let project = Project::of(style, NOWHERE);
        let team = project.load();
        let tools = project.style["tools"].as_object().expect("tools");
        let mut seen: Vec<String> = vec![];
        for (file, agent) in agents(&project, &team) {
            let told: Vec<&str> =
                project.told(&team, &file).map(|it| it.message.as_str()).collect();
            for name in named(agent, &project.texts[&file], style) {
                let bare = name.split('(').next().unwrap_or_default().trim().to_owned();
                let is_told = |it: &&&str| {
                    it.contains(&format!("`{name}`"))
                        && (it.contains("not there in this version") || it.contains("tool server"))
                };
                let is_told = told.iter().any(|it| is_told(&it));
                match tools.get(&bare).and_then(Value::as_str) {
                    Some("told") => assert!(is_told, "{style}/{file}: `{name}`: {told:?}"),
                    Some(ours) => {
                        assert!(!is_told, "{style}/{file}: `{name}`: {told:?}");
                        let is_hand = callboard_config::hands::TOOLS.iter().any(|it| it.0 == ours);
                        let denied = agent.disallowed_tools.iter().any(|it| it == ours);
                        let has = agent.hands.iter().any(|it| it == ours);
                        assert!(!is_hand || has || denied, "{style}/{file}: `{name}`: no {ours}");
                    }
                    // A tool of a server: of one that is there, or told.
                    None => {
                        let is_there = ["mcp__", "mcp_", "docs", "github", "site", "playwright"];
                        let is_server = is_there.iter().any(|it| name.starts_with(it));
                        assert!(is_server || is_told, "{style}/{file}: `{name}`: {told:?}");
                    }
                }
                seen.push(bare);
            }
        }
        for tool in tools.keys() {
            let has = |it: &String| it == tool || tool.ends_with('_') && it.starts_with(tool);
            assert!(seen.iter().any(has), "{style}: no file names `{tool}`");
        }
    }
}

#[test]
fn doctor_says_all_of_it_and_so_does_validate() {
    for style in STYLES {
        let project = Project::of(style, NOWHERE);
        let team = project.load();
        let (folder, data) = (project.folder.path(), project.folder.path().join("data"));
        let run = |arguments: &[&std::ffi::OsStr]| {
            let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_callboard"));
            command.args(arguments).env_remove("CALLBOARD_LOG").env("CALLBOARD_DATA", &data);
            let said = command.output().expect("it runs");
            assert!(said.status.success(), "{}", String::from_utf8_lossy(&said.stderr));
            String::from_utf8(said.stdout).expect("text")
        };
        let folder = folder.as_os_str();
        let words = run(&["doctor".as_ref(), "--team".as_ref(), folder]);
        let told: Value =
            serde_json::from_str(&run(&["validate".as_ref(), folder, "--json".as_ref()]))
                .expect("JSON");
        let told = told["problems"].as_array().expect("problems");
        for problem in &team.problems {
            let place = format!("{}:{}: ", problem.file.display(), problem.line);
            let line = format!("{}{}", if problem.line > 0 { &place } else { "" }, problem.message);
            assert!(words.contains(&line), "{style}: {line}: {words}");
            assert!(told.iter().any(|it| it["message"] == problem.message), "{style}: {line}");
        }
    }
}

#[test]
fn a_broken_file_is_told_and_leaves_the_others_working() {
    let project = Project::of("claude", NOWHERE);
    let whole = project.load().agents.len();
    let expected = fs::read_to_string(home("broken").join("expected.json")).expect("a file");
    let expected: BTreeMap<String, String> = serde_json::from_str(&expected).expect("JSON");
    assert_eq!(files(&home("broken")), expected.keys().cloned().collect::<Vec<_>>());
    for file in expected.keys() {
        project.add("broken", file);
    }
    let team = project.load();
    assert_eq!(team.agents.len(), whole);
    for (file, said) in &expected {
        let told: Vec<_> = project.told(&team, file).collect();
        let is_it =
            told.iter().any(|it| it.severity == Severity::Error && it.message.contains(said));
        assert!(is_it, "{file}: {told:?}");
    }
}

/// A client of MCP on a node in this process.
struct Client {
    lines: Lines<BufReader<ReadHalf<DuplexStream>>>,
    out: WriteHalf<DuplexStream>,
    ids: u64,
}

impl Client {
    fn on(node: &Node, ending: &CancellationToken) -> Client {
        let (ours, theirs) = tokio::io::duplex(64 << 10);
        let (input, output) = tokio::io::split(theirs);
        let (desk, ending) = (node.desk(), ending.clone());
        #[expect(clippy::disallowed_methods, reason = "it ends with the test's runtime")]
        tokio::spawn(callboard::serve_stream(input, output, desk, ending));
        let (read, out) = tokio::io::split(ours);
        Client { lines: BufReader::new(read).lines(), out, ids: 0 }
    }

    async fn ask(&mut self, method: &str, mut params: Value) -> Value {
        self.ids += 1;
        params["_meta"] = json!({
            "io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "corpus", "version": "1"},
        });
        let request = json!({"jsonrpc": "2.0", "id": self.ids, "method": method, "params": params});
        self.out.write_all(format!("{request}\n").as_bytes()).await.expect("written");
        loop {
            let line = self.lines.next_line().await.expect("read").expect("a line");
            let message: Value = serde_json::from_str(&line).expect("JSON and nothing else");
            if message["id"] == json!(self.ids) {
                return message["result"].clone();
            }
        }
    }
}

/// The names of agents in `tools/list`, as tools or as choices of `ask_agent`.
fn listed(tools: &Value) -> (Vec<String>, bool) {
    let all = tools["tools"].as_array().expect("tools");
    let text = |it: &Value| it.as_str().expect("a name").to_owned();
    match all.iter().find(|it| it["name"] == "ask_agent") {
        Some(tool) => {
            let names = &tool["inputSchema"]["properties"]["agent"]["enum"];
            (names.as_array().expect("names").iter().map(text).collect(), true)
        }
        None => (all.iter().map(|it| text(&it["name"])).collect(), false),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_agent_is_listed_and_answers_over_mcp_as_itself() {
    // Says back who it was told to be.
    let endpoint = Endpoint::start(|ask| {
        let (system, needs) = (ask.system(), "\"tests\"");
        let head: String = system.chars().take(1_000).collect();
        let mut answer = json!({"summary": head, "confidence": 0.9});
        if system.contains(needs) {
            answer["tests"] = json!([]);
        }
        Act::answer(&answer)
    })
    .await;
    futures::future::join_all(STYLES.map(|it| all_answer(it, &endpoint))).await;
}

async fn all_answer(style: &str, endpoint: &Endpoint) {
    let project = Project::of(style, &endpoint.base_url());
    let mut team = project.load();
    team.throttle = None;
    let data = project.folder.path().join("data");
    let agents: Vec<Agent> = team.agents.values().cloned().collect();
    let options = NodeOptions { team, data, work: true, keeper: None, world: World::real() };
    let node = Node::start(options).await.unwrap_or_else(|it| panic!("{it}"));
    let ending = CancellationToken::new();
    let mut client = Client::on(&node, &ending);
    let (names, is_one_tool) = listed(&client.ask("tools/list", json!({})).await);
    for agent in agents {
        let name = agent.name.as_str();
        assert_eq!(names.iter().any(|it| it == name), agent.publish, "{style}: {name}");
        if !agent.publish {
            continue;
        }
        let mut arguments = json!({"task": format!("say who you are, {name}")});
        let tool = if is_one_tool { "ask_agent" } else { name };
        if is_one_tool {
            arguments["agent"] = json!(name);
        }
        let call = json!({"name": tool, "arguments": arguments});
        let view = client.ask("tools/call", call).await["structuredContent"].clone();
        let (state, of) = match agent.kind {
            Kind::Model => ("completed", agent.instructions.lines().next().unwrap_or_default()),
            Kind::Human => ("input_required", ""),
        };
        assert_eq!(view["state"], state, "{style}: {name}: {view}");
        let said = view["result"].as_str().unwrap_or_default();
        assert!(said.contains(of), "{style}: {name} answers as somebody else: {said}");
    }
    ending.cancel();
    node.stop().await;
}
