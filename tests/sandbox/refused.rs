//! What commands cannot do: read what is not theirs, leave their folders, reach the network or other
//! processes, change the team.

use std::net::{TcpListener, UdpSocket};

use serde_json::{Value, json};

use super::bash::{run, stage, stage_of};

/// Runs each command and wants it refused in these words; what it tried to write is not there.
async fn refuses(cases: &[(String, &str)]) {
    let commands: Vec<Value> = cases.iter().map(|it| json!({"command": it.0})).collect();
    let told = run(&stage(&commands, "")).await;
    assert_eq!(told.len(), cases.len());
    for ((command, words), (_, text)) in cases.iter().zip(&told) {
        assert!(text.contains(words), "{command}: {text}");
        assert!(!text.contains("done"), "{command}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn files_of_others_are_out_of_reach() {
    let denied = "Permission denied";
    let other = tempfile::tempdir().expect("a folder");
    std::fs::write(other.path().join("secret"), "hidden words").expect("a file");
    let path = other.path().display();
    let case = |text: String| (text, denied);
    refuses(&[
        case("cat /etc/shadow && echo done".into()),
        case("ls /root /home/* && echo done".into()),
        case(format!("cat {path}/secret && echo done")),
        case(format!("ln -s {path}/secret here; cat here && echo done")),
        case(format!("ls {path} && echo done")),
        case(format!("echo a > {path}/new && echo done")),
        case(format!("rm {path}/secret && echo done")),
        (format!("ln {path}/secret here2 && echo done"), "link"),
        (format!("mv {path}/secret here3 && echo done"), denied),
        case("cat ../team.yaml && echo done".into()),
        case("echo a > ../new && echo done".into()),
        case("echo a > /usr/new && echo done".into()),
        case("cat /proc/1/environ && echo done".into()),
        case("ls /proc && echo done".into()),
        case("mknod disk b 8 0 && echo done".into()),
        case("cat /dev/kmsg && echo done".into()),
    ])
    .await;
    let left = std::fs::read_to_string(other.path().join("secret")).expect("it is still there");
    assert_eq!(left, "hidden words");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn other_processes_and_the_machine_are_out_of_reach() {
    let me = std::process::id();
    let no = "Operation not permitted";
    let case = |text: String| (text, no);
    refuses(&[
        case(format!("kill -9 {me} && echo done")),
        case(format!("kill -0 {me} && echo done")),
        case("kill -9 $PPID && echo done".into()),
        (format!("cat /proc/{me}/environ && echo done"), "Permission denied"),
        (format!("cat /proc/{me}/cmdline && echo done"), "Permission denied"),
        (format!("prlimit --pid {me} --nofile=1 && echo done"), no),
        (format!("renice -n 5 -p {me} && echo done"), no),
        case("unshare -U true && echo done".into()),
        case("unshare -m true && echo done".into()),
        case("unshare -n true && echo done".into()),
        ("nsenter -t 1 -m true && echo done".into(), "Permission denied"),
        (("mount -t tmpfs none . && echo done").into(), "mount"),
        case("chroot . /bin/true && echo done".into()),
        (("ulimit -f unlimited && echo done").into(), "cannot modify limit"),
        (("dmesg && echo done").into(), no),
    ])
    .await;
}

/// What a command gets through to a listener on this machine: by TCP, then by UDP.
async fn reached(more: &str) -> (Vec<(bool, String)>, bool, bool) {
    let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
    let udp = UdpSocket::bind("127.0.0.1:0").expect("a port");
    tcp.set_nonblocking(true).expect("set");
    udp.set_nonblocking(true).expect("set");
    let port = |it: std::io::Result<std::net::SocketAddr>| it.expect("an address").port();
    let (to_tcp, to_udp) = (port(tcp.local_addr()), port(udp.local_addr()));
    let commands = [
        json!({"command": format!("exec 3<>/dev/tcp/127.0.0.1/{to_tcp} && echo through")}),
        json!({"command": format!("echo a > /dev/udp/127.0.0.1/{to_udp} && echo through")}),
    ];
    let told = run(&stage(&commands, more)).await;
    (told, tcp.accept().is_ok(), udp.recv(&mut [0; 8]).is_ok())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_network_is_there_only_where_it_is_allowed() {
    let (told, tcp, udp) = reached("").await;
    assert!(!tcp && !udp, "{told:?}");
    assert!(told.iter().all(|it| it.1.contains("Operation not permitted")), "{told:?}");
    let (told, tcp, udp) = reached("bash: {network: true}\n").await;
    assert!(tcp && udp, "{told:?}");
    assert!(told.iter().all(|it| it.1 == "through\n"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_environment_is_what_the_owner_named() {
    let commands =
        [json!({"command": "env | sort"}), json!({"command": "cat notes/a && ls notes"})];
    let stage =
        stage(&commands, "bash: {env: [CARGO_MANIFEST_DIR], read: [notes], timeout_s: 30}\n");
    stage.write("notes/a", "to be read\n");
    let told = run(&stage).await;
    let names: Vec<&str> = told[0].1.lines().filter_map(|it| Some(it.split_once('=')?.0)).collect();
    let known = [
        "CARGO_MANIFEST_DIR",
        "HOME",
        "LANG",
        "OLDPWD",
        "PATH",
        "PWD",
        "SHLVL",
        "TERM",
        "TMPDIR",
        "TZ",
        "_",
    ];
    assert!(names.iter().all(|it| known.contains(it)), "{names:?}");
    assert!(names.contains(&"CARGO_MANIFEST_DIR") && names.contains(&"HOME"), "{names:?}");
    assert!(!told[0].1.contains("/root"), "{told:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_team_is_not_changed_from_inside() {
    let all = [
        "echo a >> team.yaml",
        "echo a > agents/writer.md",
        "echo a > agents/new.md",
        "rm agents/coder.md",
        "mv src/evil.md agents/evil.md",
        "ln src/evil.md agents/evil.md",
        "ln -s ../src/evil.md agents/evil.md",
        "ln team.yaml src/team.yaml",
        "mv team.yaml old.yaml",
        "echo '{}' > .mcp.json",
        "mkdir -p .claude && echo a > .claude/settings.json",
        "mkdir -p .codex/agents && echo a > .codex/agents/a.toml",
        "echo a > new.txt",
    ];
    let mut calls: Vec<Vec<Value>> = all.iter().map(|it| vec![json!({"command": it})]).collect();
    calls.push(vec![json!({"command": "cat team.yaml agents/writer.md >/dev/null && \
        echo changed > src/a.rs && echo b > src/b.rs && echo longer >> README && cat src/*.rs README"})]);
    let stage = stage_of(&calls, "");
    stage.write("src/a.rs", "first\n");
    stage.write("src/evil.md", "---\ndescription: x\n---\n");
    stage.write("README", "short\n");
    let seen = |name: &str| std::fs::read_to_string(stage.team().join(name)).unwrap_or_default();
    let before = (seen("team.yaml"), seen("agents/writer.md"), seen("agents/coder.md"));
    let told = run(&stage).await;
    for (command, (_, text)) in all.iter().zip(&told) {
        assert!(text.contains("files of the team]"), "{command}: {text}");
    }
    assert_eq!((seen("team.yaml"), seen("agents/writer.md"), seen("agents/coder.md")), before);
    for name in ["agents/new.md", "agents/evil.md", ".mcp.json", ".claude/settings.json", "new.txt"]
    {
        assert!(!stage.team().join(name).exists(), "{name}");
    }
    assert_eq!(told[all.len()].1, "changed\nb\nshort\nlonger\n");
}
