//! Three agents do a job on real files, over MCP: one reads a small repository, one changes it and
//! runs its tests in the sandbox, one reads the diff and sends it back once. And the same with the
//! server killed in the middle of it, and where no sandbox can be had.
#![cfg(unix)]
#![allow(clippy::panic, clippy::wildcard_enum_match_arm, reason = "a test says why and fails")]

#[path = "job/cast.rs"]
mod cast;
#[path = "job/client.rs"]
mod client;
mod endpoint;
#[path = "sandbox/left.rs"]
mod left;
#[path = "job/project.rs"]
mod project;
mod stage;

use std::collections::BTreeMap;
use std::time::Duration;

use callboard_trace::{Event, Record, RunId, Work};
use cast::{FIRST, NEW_TEST, NOT_RUN, SECOND, script, team};
use client::Served;
use endpoint::Endpoint;
use left::eventually;
use project::Project;
use serde_json::{Value, json};
use stage::{Stage, no_finished_step_is_taken_again, records, tell};

const TASK: &str = "Without a name greet.sh greets nobody. Mend it.";
/// All that may have changed at the end.
const CHANGED: &str = "-name=$1\n+name=${1:-world}\n+is \"hello, world\" \"$(sh greet.sh \"\")\"\n";

/// Between two looks at a file, of a thread that does nothing else.
const LOOK: Duration = Duration::from_micros(200);

/// Whether programs can be kept here; where they cannot, the tests say so and prove the refusal.
fn has_a_sandbox() -> bool {
    let enforced = callboard_sandbox::enforced();
    if let Err(why) = &enforced {
        eprintln!("no command runs on this machine, which is what is proved: {why}");
    }
    enforced.is_ok()
}

async fn begun(served: &Served) -> String {
    let view = served.call("researcher", json!({"task": TASK, "wait_s": 0})).await;
    view["run"].as_str().expect("a run").to_owned()
}

/// Every record of the run, read after the server has gone.
async fn journal(stage: &Stage, run: &str) -> Vec<Record> {
    let node = stage.node_with(false).await;
    let all = records(&node.desk(), &RunId::from_text(run)).await;
    node.stop().await;
    all
}

/// What each call that went well brought: agent, tool and the text.
fn brought(all: &[Record]) -> Vec<(String, String, String)> {
    let (mut agents, mut tools) = (BTreeMap::new(), BTreeMap::new());
    let mut brought = Vec::new();
    for record in all {
        match &record.event {
            Event::RunStarted(it) => {
                agents.insert(record.run.clone(), it.agent.name.to_string());
            }
            Event::StepBegun(begun) => {
                if let Work::Tool { tool, .. } = &begun.work {
                    tools.insert((record.run.clone(), begun.step), tool.clone());
                }
            }
            Event::ToolReturned { step, ok: true, result, .. } => {
                let tool = tools.get(&(record.run.clone(), *step)).cloned().unwrap_or_default();
                let text = result.as_str().map_or_else(|| result.to_string(), str::to_owned);
                brought.push((agents[&record.run].clone(), tool, text));
            }
            _ => {}
        }
    }
    brought
}

/// That the job is done as it should be, each deed once.
fn is_done(project: &Project, view: &Value, all: &[Record]) {
    let story = tell(all);
    assert_eq!(view["state"], "completed", "{view}\n{story}");
    assert_eq!((&view["agent"], &view["result"]), (&json!("reviewer"), &json!("approved")));
    assert_eq!(view["handoffs"], 4, "one way there, once back: {story}");
    assert_eq!(project.diff(), CHANGED, "{story}");
    assert_eq!(project.text("CHANGES"), "Greets the world.\n");
    project.outside_is_untouched();
    let (said, code) = project.tested();
    assert_eq!((said.matches("ok: ").count(), code), (3, Some(0)), "{said}");
    no_finished_step_is_taken_again(all, &story);
    let brought = brought(all);
    let of = |agent: &str, tool: &str| -> Vec<&str> {
        let is_it = |it: &&(String, String, String)| it.0 == agent && it.1 == tool;
        brought.iter().filter(is_it).map(|it| it.2.as_str()).collect()
    };
    let edits = of("coder", "Edit");
    assert_eq!(edits.len(), 3, "{story}");
    assert!(edits.iter().all(|it| it.contains("edited")), "{edits:?}");
    let ran = of("coder", "Bash");
    assert!(ran[0].ends_with("wrong: hello, \n[exit code 1]"), "they fail before: {ran:?}");
    assert_eq!(ran[1].matches("Permission denied").count(), 2, "in the sandbox: {ran:?}");
    assert_eq!(ran[2], "ok: hello, ada\nok: hello, world\n", "{story}");
    assert_eq!(ran[3], "ok: hello, ada\nok: hello, world\nok: hello, world\n", "{story}");
    let seen = of("reviewer", "Bash");
    assert!(seen[0].contains(&format!("-name=$1\n+{FIRST}\n")), "{seen:?}");
    assert!(seen[1].contains(&format!("+{SECOND}\n")) && seen[1].contains(NEW_TEST), "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_agents_mend_a_repository() {
    let endpoint = Endpoint::start(script).await;
    let (stage, project) = team(&endpoint);
    assert_eq!(project.tested().1, Some(1), "its tests fail before");
    let served = Served::start(&stage).await;
    let run = begun(&served).await;
    let (view, asked) = served.to_the_end(&run).await;
    drop(served);
    let all = journal(&stage, &run).await;
    if !has_a_sandbox() {
        return nothing_ran(&project, &view, &all);
    }
    assert_eq!((asked, project.begun()), (0, 4), "by us, and three times by the coder");
    is_done(&project, &view, &all);
    insta::assert_snapshot!(tell(&all));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_right_after_an_edit_makes_it_once() {
    if !has_a_sandbox() {
        return;
    }
    for (file, words) in [("greet.sh", FIRST), ("tests/run.sh", NEW_TEST)] {
        for pause in [0, 2, 15].map(Duration::from_millis) {
            let endpoint = Endpoint::start(script).await;
            let (stage, project) = team(&endpoint);
            let served = Served::start(&stage).await;
            let run = begun(&served).await;
            let (path, kill) = (project.path(file), served.killer());
            let killed = tokio::task::spawn_blocking(move || {
                while !std::fs::read_to_string(&path).unwrap_or_default().contains(words) {
                    std::thread::sleep(LOOK);
                }
                std::thread::sleep(pause);
                kill();
            });
            tokio::time::timeout(stage::PATIENCE, killed).await.expect("in time").expect("killed");
            served.gone().await;
            let served = Served::start(&stage).await;
            let (view, _) = served.to_the_end(&run).await;
            drop(served);
            is_done(&project, &view, &journal(&stage, &run).await);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_killed_while_the_tests_run_asks_before_they_run_again() {
    if !has_a_sandbox() {
        return;
    }
    let endpoint = Endpoint::start(script).await;
    let (stage, project) = team(&endpoint);
    let served = Served::start(&stage).await;
    let run = begun(&served).await;
    eventually("the first edit", || project.text("greet.sh").contains(FIRST)).await;
    std::fs::write(project.path("tests/hold"), "").expect("a file");
    eventually("the tests run after it", || project.begun() == 2).await;
    served.killer()();
    served.gone().await;
    eventually("nothing works there any more", || working_in(&project) == 0).await;
    std::fs::remove_file(project.path("tests/hold")).expect("removed");
    let served = Served::start(&stage).await;
    let (view, asked) = served.to_the_end(&run).await;
    assert_eq!((asked, project.begun()), (1, 4), "once more, at a person's word");
    drop(served);
    is_done(&project, &view, &journal(&stage, &run).await);
}

/// Processes whose folder is the repository.
fn working_in(project: &Project) -> usize {
    let root = project.path("").canonicalize().expect("it is there");
    let all = std::fs::read_dir("/proc").expect("a list of processes").flatten();
    let is_there = |it: &std::fs::DirEntry| std::fs::read_link(it.path().join("cwd"));
    all.filter(|it| is_there(it).is_ok_and(|it| it == root)).count()
}

#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_kernel_cannot_keep_programs_none_runs() {
    let endpoint = Endpoint::start(script).await;
    let (stage, project) = team(&endpoint);
    assert_eq!(project.tested().1, Some(1));
    let served = Served::of(without_landlock(&stage)).await;
    let run = begun(&served).await;
    let (view, _) = served.to_the_end(&run).await;
    drop(served);
    nothing_ran(&project, &view, &journal(&stage, &run).await);
}

/// That the coder was refused its command, and said so; `tests/begun` knows of ours alone.
fn nothing_ran(project: &Project, view: &Value, all: &[Record]) {
    assert_eq!((&view["state"], &view["result"]), (&json!("completed"), &json!(NOT_RUN)));
    let why = callboard_sandbox::enforced().err();
    let why = why.unwrap_or_else(|| "the kernel cannot keep programs in a sandbox".into());
    let is_refusal = |it: &&Record| match &it.event {
        Event::ToolReturned { ok: false, result, .. } => {
            result.to_string().contains(&format!("not run: {why}"))
        }
        _ => false,
    };
    assert_eq!(all.iter().filter(is_refusal).count(), 1, "{}", tell(all));
    assert_eq!((project.begun(), project.diff()), (1, String::new()));
    project.outside_is_untouched();
}

/// A server on a system that seems not to know the first call of Landlock.
#[cfg(target_os = "linux")]
fn without_landlock(stage: &Stage) -> tokio::process::Child {
    use seccompiler::{SeccompAction, SeccompFilter, apply_filter};
    let (mut command, here) = (client::command(stage), tokio::runtime::Handle::current());
    let started = std::thread::spawn(move || {
        let _here = here.enter();
        let arch = std::env::consts::ARCH.try_into().expect("an architecture");
        let rules = BTreeMap::from([(libc::SYS_landlock_create_ruleset, vec![])]);
        let told = SeccompAction::Errno(libc::ENOSYS.unsigned_abs());
        let filter = SeccompFilter::new(rules, SeccompAction::Allow, told, arch).expect("a filter");
        let program: Vec<_> = filter.try_into().expect("a program");
        apply_filter(&program).expect("applied");
        command.spawn().expect("the binary starts")
    });
    started.join().expect("no panic")
}
