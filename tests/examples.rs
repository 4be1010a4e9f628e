//! What stands in `examples/`: teams that hold and play, and programs that direct them.

#![expect(clippy::panic, reason = "where the test cannot begin, it says what is missing and fails")]

mod endpoint;

use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use endpoint::{Act, Endpoint};
use serde_json::{Value, json};
use tempfile::TempDir;

const BINARY: &str = env!("CARGO_BIN_EXE_callboard");
const TEAMS: [(&str, usize); 3] =
    [("engineering", 15), ("research-desk", 6), ("support-triage", 6)];

/// What a process said.
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    fn of(command: &mut Command) -> Said {
        Said::hearing("", command)
    }

    /// With these words on its input.
    fn hearing(words: &str, command: &mut Command) -> Said {
        let command = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        // Who hears nothing may be gone before it is written.
        let _ = child.stdin.take().expect("a pipe").write_all(words.as_bytes());
        let Output { status, stdout, stderr } = child.wait_with_output().expect("it ends");
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        let code = status.code().expect("it ended by itself");
        Said { code, out: text(stdout), err: text(stderr) }
    }

    /// Ended well, and these words came in this order.
    fn tells(&self, words: &[&str]) {
        assert_eq!(self.code, 0, "{}\n{}", self.out, self.err);
        let mut rest = self.out.as_str();
        for word in words {
            let at = rest.find(word);
            let at = at.unwrap_or_else(|| panic!("{word:?} is missing in\n{}", self.out));
            rest = &rest[at + word.len()..];
        }
    }
}

/// A journal of its own, and nothing of the machine's endpoints.
struct Place(TempDir);

impl Place {
    fn new() -> Place {
        Place(TempDir::new().expect("a folder"))
    }

    fn data(&self) -> PathBuf {
        self.0.path().join("data")
    }

    fn command(&self, program: impl AsRef<Path>) -> Command {
        let mut command = Command::new(program.as_ref());
        for name in ["OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_MODEL"] {
            command.env_remove(name);
        }
        command.env("CALLBOARD", BINARY).env("CALLBOARD_DATA", self.data());
        command.current_dir(examples());
        command
    }
}

fn examples() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("examples")
}

/// A tool that `check` installs. Missing, it fails the test: a program that was not run is no
/// example.
#[expect(
    clippy::disallowed_methods,
    reason = "the test asks for its own tool, not for configuration"
)]
fn tool(name: &str) -> PathBuf {
    match std::env::var_os(name) {
        Some(path) => PathBuf::from(path),
        None => panic!("{name} is not set: run ./check, which installs the tools and sets it"),
    }
}

/// The quoted parts and bare words of a command line.
fn words(line: &str) -> Vec<String> {
    let parts = line.split('"').enumerate();
    let parts = parts.flat_map(|(nth, part)| match nth % 2 {
        0 => part.split_whitespace().map(str::to_owned).collect(),
        _ => vec![part.to_owned()],
    });
    parts.collect()
}

#[test]
fn every_team_holds_without_a_warning() {
    for (team, n_agents) in TEAMS {
        let mut command = Place::new().command(BINARY);
        let command = command.args(["validate", "--json", team]).env("OPENAI_API_KEY", "k");
        let said = Said::of(command);
        assert_eq!(said.code, 0, "{team}: {}{}", said.out, said.err);
        let told: Value = serde_json::from_str(&said.out).expect("one JSON object");
        assert_eq!((&told["ok"], &told["problems"]), (&json!(true), &json!([])), "{team}");
        let files = fs::read_dir(examples().join(team).join("agents")).expect("a folder").count();
        assert_eq!(files, n_agents, "{team}");
    }
}

/// Two fronts, three workers and a database with its standby; a worker is killed. The script looks at
/// what it claims by itself.
#[test]
fn a_cluster_loses_a_worker_and_nothing_of_its_plan() {
    let place = Place::new();
    let said = Said::of(&mut place.command(examples().join("cluster/run.sh")));
    said.tells(&[
        "a synchronous standby on port",
        "front 1 takes a plan of 13 tasks: r_",
        "front 2 tells: ",
        "kill -9 ",
        "front 2 tells: completed, all 13 tasks ended well",
        "14 runs ended for 13 tasks and their plan; 25 replies for 25 turns;",
    ]);
}

/// A copy does not depend on what it was rehearsed with.
#[test]
fn every_team_holds_without_its_rehearsal() {
    for (team, n_agents) in TEAMS {
        let place = Place::new();
        let copy = place.0.path().join("copy");
        fs::create_dir_all(copy.join("agents")).expect("a folder");
        fs::copy(examples().join(team).join("team.yaml"), copy.join("team.yaml")).expect("a copy");
        for file in fs::read_dir(examples().join(team).join("agents")).expect("a folder") {
            let file = file.expect("a file");
            fs::copy(file.path(), copy.join("agents").join(file.file_name())).expect("a copy");
        }
        let said = Said::of(place.command(BINARY).arg("validate").arg(&copy));
        said.tells(&[&format!("{n_agents} agents")]);
    }
}

/// The commands that stand in the teams' own files, as they stand there.
#[test]
fn every_team_plays_what_its_file_says() {
    for (team, _) in TEAMS {
        let text = fs::read_to_string(examples().join(team).join("rehearsal.yaml"));
        let text = text.expect("a team is rehearsed by the file beside it");
        let commands: Vec<Vec<String>> =
            text.lines().filter_map(|it| it.strip_prefix("#   callboard ")).map(words).collect();
        assert!(!commands.is_empty(), "{team}: no command in rehearsal.yaml");
        for arguments in commands {
            let place = Place::new();
            let mut said = Said::of(place.command(BINARY).args(&arguments).arg("--json"));
            if said.code == 11 {
                said = answered(&place, &said, &arguments);
            }
            assert_eq!(said.code, 0, "{arguments:?}: {}{}", said.out, said.err);
            let view: Value = serde_json::from_str(&said.out).expect("one line of JSON");
            assert_eq!(view["state"], "completed", "{arguments:?}: {view}");
            assert!(view["handoffs"].as_u64() >= Some(1), "{arguments:?}: a team at work: {view}");
            for wrong in ["refused:", "repair"] {
                assert!(!said.err.contains(wrong), "{arguments:?}: {wrong}\n{}", said.err);
            }
        }
    }
}

/// The run's end, after a person has said yes to what it asked.
fn answered(place: &Place, said: &Said, arguments: &[String]) -> Said {
    let view: Value = serde_json::from_str(&said.out).expect("one line of JSON");
    assert_eq!(view["state"], "input_required", "{arguments:?}: {view}");
    let (run, team) = (view["run"].as_str().expect("a name"), arguments.last().expect("a team"));
    for rest in [&["answer", run, "approve"][..], &["work", "--until-idle"]] {
        let said = Said::of(place.command(BINARY).args(rest).args(["--team", team]));
        assert_eq!(said.code, 0, "{rest:?}: {}", said.err);
    }
    Said::of(place.command(BINARY).args(["status", run, "--json", "--team", team]))
}

#[test]
fn a_script_asks_twice_and_pays_once() {
    let place = Place::new();
    let script = || {
        let mut command = place.command(examples().join("shell/briefs.sh"));
        command.arg("research-desk/rehearsal.yaml").arg(place.data());
        Said::of(command.args(["Is tea better than coffee?", "Should we move, and when?"]))
    };
    let first = script();
    first.tells(&[
        "== Is tea better than coffee?\ndone by writer in ",
        "Try it for six months",
        "== Should we move, and when?\ndone by writer in ",
        "2 asked, 0 without a full answer",
    ]);
    assert_eq!(script().out, first.out, "the same runs, found again by their keys");
}

#[test]
fn a_script_tells_what_was_not_even_begun() {
    let place = Place::new();
    let mut command = place.command(examples().join("shell/briefs.sh"));
    let said = Said::of(command.arg("research-desk/no.yaml").arg(place.data()).arg("Well?"));
    assert_eq!(said.code, 1, "{}", said.err);
    assert!(said.out.contains("not even begun (code 2)"), "{}", said.out);
    assert!(said.out.contains("there is no team at research-desk/no.yaml"), "{}", said.out);
}

#[test]
fn a_program_in_python_directs_the_support_desk() {
    let place = Place::new();
    let mut command = place.command(tool("CALLBOARD_PYTHON"));
    command.args(["-B", "python/tickets.py", "support-triage/rehearsal.yaml"]);
    let said = Said::hearing("approve\n", command.args(["--callboard", BINARY]));
    said.tells(&[
        "  … r_",
        "The desk asks:\nThe support desk needs your decision.",
        "May we give 50 as goodwill?",
        "One of: approve, decline",
        "== I was charged twice this month.\ncompleted by reply_writer, 2 handoffs",
        "give the second charge back in full",
        "== Exports have failed since this morning.\ncompleted by reply_writer, 3 handoffs",
        "== How do I invite a colleague?\ncompleted by reply_writer, 1 handoffs",
        "open Settings",
        "== Your outage cost us a deal, make it good.\ncompleted by reply_writer, 3 handoffs",
        "credit 50 to your next invoice",
    ]);
    let handles = said.out.lines().filter(|it| it.starts_with("r_")).count();
    assert_eq!(handles, 4, "a handle for each ticket before its answer:\n{}", said.out);
}

#[test]
fn a_program_in_typescript_directs_the_research_desk() {
    // Beside `node_modules`, where the compiler and Node look for what the program imports.
    let folder = TempDir::new_in(tool("CALLBOARD_NODE_TYPESCRIPT")).expect("a folder");
    for name in ["brief.ts", "tsconfig.json", "package.json"] {
        let from = examples().join("typescript").join(name);
        fs::copy(from, folder.path().join(name)).expect("a copy");
    }
    let place = Place::new();
    let compiler = tool("CALLBOARD_NODE_TYPESCRIPT").join("node_modules/typescript/bin/tsc");
    let mut command = place.command("node");
    let said = Said::of(command.arg(compiler).arg("-p").arg(folder.path()));
    assert_eq!((said.code, said.out.as_str()), (0, ""), "{}", said.err);

    let mut command = place.command("node");
    command.arg(folder.path().join("out/brief.js"));
    command.args(["research-desk/rehearsal.yaml", "a four-day week"]);
    Said::of(&mut command).tells(&[
        "the desk: analyst, editor, fact_checker, reader, scout, writer",
        "  … r_",
        "The benefit is measurable. unproven (r_",
        "The benefit lasts. unproven (r_",
        "It costs less than it brings. unproven (r_",
        " plan: ",
        "for: completed, Three sources",
        "against: completed, Three sources",
        "weigh: completed, A trial with a date",
        "brief: completed, Try it for six months",
        "\nall of it in ",
        "Try it for six months, with a date to stop.",
    ]);
}

#[tokio::test]
async fn an_agent_of_another_framework_has_the_desk_as_its_tools() {
    let claim = json!({"task": "Check: a four-day week costs nothing.", "wait_s": 30});
    let endpoint = Endpoint::start(move |ask| match ask.turn() {
        1 => Act::call("fact_checker", claim.clone()),
        _ => Act::say("Nobody has shown it yet."),
    })
    .await;
    let place = Place::new();
    let mut command = place.command(tool("CALLBOARD_PYTHON"));
    command.args(["-B", "openai-agents/columnist.py", "research-desk/rehearsal.yaml"]);
    command.args(["Two sentences on the four-day week.", "--callboard", BINARY]);
    command.env("OPENAI_BASE_URL", endpoint.base_url()).env("OPENAI_API_KEY", "none");
    let said = tokio::task::spawn_blocking(move || Said::of(&mut command)).await;
    said.expect("it ran").tells(&["asked fact_checker: ", "heard ", "\nNobody has shown it yet."]);

    let requests = endpoint.requests();
    assert_eq!(requests.len(), 2, "{requests:#?}");
    let tools = requests[0].body["tools"].as_array().expect("tools").iter();
    let tools: Vec<&str> = tools.filter_map(|it| it["function"]["name"].as_str()).collect();
    assert_eq!(tools, ["analyst", "fact_checker", "scout", "team_status"]);
    let last = requests[1].body["messages"].as_array().and_then(|it| it.last());
    let heard = last.expect("a message").to_string();
    assert!(heard.contains("unproven") && heard.contains("completed"), "the verdict: {heard}");
}
