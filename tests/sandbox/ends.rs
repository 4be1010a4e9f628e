//! How commands end: by themselves, by a signal, by a limit, by nobody wanting them; and that all
//! they started ends with them.

use callboard_trace::{Action, Control};
use serde_json::{Value, json};

use super::bash::{WORK, run, stage, told};
use super::left::{eventually, is_there, mark, until_gone, until_there, with};
use super::stage::worker::Worker;
use super::stage::{ask, caller};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_command_says_is_told_in_order_with_its_end() {
    let told = told(&[
        "echo one; echo two >&2; echo three",
        "echo out; exit 3",
        "true",
        "kill -SEGV $$",
        "printf 'a\\0b'",
        "head -c 200000 /dev/zero | tr '\\0' x; echo end",
        "pwd; [ \"$HOME\" = \"$TMPDIR\" ] && echo a > \"$TMPDIR/a\" && cat ~/a; stat -c %a ~",
        "cat; echo no input",
        "test -t 0 || cat /dev/tty",
        "echo a > made; sh -c 'echo b >> made'; cat made; sed -i s/a/c/ made; cat made",
    ])
    .await;
    assert_eq!(told[0], "one\ntwo\nthree\n");
    assert_eq!(told[1], "out\n[exit code 3]");
    assert_eq!(told[2], "");
    assert_eq!(told[3], "[ended by signal 11]");
    assert_eq!(told[4], "[binary output, 3 bytes, not shown]");
    assert!(told[5].len() < 66_000 && told[5].ends_with("xend\n"), "{}", told[5].len());
    assert!(told[5].contains("[cut: 134468 of 200004 bytes left out; `read` a_"), "{}", told[5]);
    let lines: Vec<&str> = told[6].lines().collect();
    assert!(lines[0].ends_with("/team/work"), "{lines:?}");
    assert_eq!(lines[1..], ["a", "700"]);
    assert_eq!(told[7], "no input\n");
    assert!(told[8].contains("/dev/tty") && told[8].ends_with("[exit code 1]"), "{}", told[8]);
    assert_eq!(told[9], "a\nb\nc\nb\n");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_outlives_its_command() {
    let mark = &mark(97_531);
    let told = told(&[
        &format!("sleep {mark} & echo left one behind"),
        &format!("setsid sleep {mark} & disown; echo a session of its own"),
        &format!("(setsid sh -c '(sleep {mark} &) &' &) ; sleep 0.2; echo twice removed"),
        &format!(
            "trap '' TERM HUP INT; nohup sleep {mark} >/dev/null 2>&1 & sleep 0.1; kill -9 $$"
        ),
        &format!("sleep {mark} & kill -9 $PPID; kill -9 1; echo my keeper lives"),
        &format!("exec >&- 2>&-; sleep 0.3; sleep {mark} & exit 7"),
    ])
    .await;
    until_gone(mark).await;
    assert!(told[0].starts_with("left one behind"), "{told:?}");
    assert!(told[1].starts_with("a session of its own"), "{told:?}");
    assert!(told[2].starts_with("twice removed"), "{told:?}");
    assert_eq!(told[3], "[ended by signal 9]");
    assert!(told[4].ends_with("my keeper lives\n"), "{told:?}");
    assert_eq!(told[4].matches("Operation not permitted").count(), 2, "{told:?}");
    assert_eq!(told[5], "[exit code 7]");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_limit_stops_a_command_and_all_of_it() {
    let mark = &mark(86_420);
    let command = |text: &str| json!({"command": text});
    let stage = stage(
        &[
            json!({"command": format!("setsid sleep {mark} & sleep {mark}"), "timeout": 700}),
            command("yes"),
            // A bomb, and one whose every process has a session of its own.
            command("bomb() { bomb | bomb; }; bomb"),
            command(&format!(
                "echo 'setsid sh $0 & setsid sh $0 & sleep {mark}' > b{mark}; sh b{mark}"
            )),
            command("head -c 100G /dev/zero > big; stat -c %s big"),
            command("x=$(head -c 1G /dev/zero | tr '\\0' x); echo got it"),
            command("ulimit -c; ulimit -n; ulimit -n 5000"),
            command("echo and on it goes"),
            json!({"command": "true", "run_in_background": true}),
        ],
        "limits: {program_processes: 64, program_file_mib: 8, program_memory_mib: 512, \
         command_output_mib: 4}\n",
    );
    let told = run(&stage).await;
    let text = |at: usize| told[at].1.as_str();
    assert_eq!(text(0), "[stopped after 0.7 s; `timeout` takes up to 600000 ms]");
    assert!(!told[0].0 && !told[1].0 && !told[2].0, "{told:?}");
    assert!(text(1).starts_with("y\ny\n") && text(1).len() < 70_000, "{}", text(1).len());
    assert!(text(1).ends_with("[stopped: it wrote more than 4 MiB; redirect it into a file]"));
    for bomb in [text(2), text(3)] {
        assert!(bomb.ends_with("[stopped: more than 64 processes]"), "{bomb}");
    }
    assert!(text(4).ends_with("8388608\n"), "{}", text(4));
    assert!(text(5).contains("cannot allocate") && !text(5).contains("got it"), "{}", text(5));
    assert!(text(6).starts_with("0\n1024\n") && text(6).contains("cannot modify"), "{}", text(6));
    assert_eq!(text(7), "and on it goes\n");
    assert!(text(8).starts_with("commands run to their end"), "{}", text(8));
    until_gone(mark).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancelled_run_takes_its_command_along() {
    let mark = &mark(75_319);
    let stage =
        stage(&[json!({"command": format!("echo $TMPDIR > tmp; setsid -w sleep {mark}")})], "");
    let node = stage.node().await;
    let desk = node.desk();
    let run = desk.submit(ask("writer", "go")).await.expect("taken in").run;
    let tmp = stage.team().join(WORK).join("tmp");
    let shown = || std::fs::read_to_string(&tmp).unwrap_or_default();
    eventually("it runs", || shown().ends_with('\n')).await;
    let cancel = Control { action: Action::Cancel, value: Value::Null, reason: String::new() };
    desk.control(&run, cancel, &caller()).await.expect("cancelled");
    until_gone(mark).await;
    eventually("its folder is gone", || !is_there(shown().trim())).await;
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn kill_9_of_the_server_takes_its_commands_along() {
    let mark = &mark(64_208);
    let stage = stage(&[json!({"command": format!("(setsid sleep {mark} &); sleep {mark}")})], "");
    let front = stage.node_with(false).await;
    let run = front.desk().submit(ask("writer", "go")).await.expect("taken in").run;
    let worker = Worker::start(&stage);
    until_there(mark).await;
    drop(worker);
    until_gone(mark).await;
    assert!(with(&stage.team().join(WORK).display().to_string()).is_empty(), "a keeper is left");
    // Whether it did something is not known: a person is asked, and it is not run again before.
    let worker = Worker::start(&stage);
    let view = front.desk().wait(&run, &caller(), super::stage::PATIENCE).await.expect("there");
    assert_eq!(view.questions.len(), 1, "{view:?}");
    assert!(with(mark).is_empty());
    drop(worker);
    front.stop().await;
}
