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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn owners_modes_and_times_of_files_elsewhere_stay() {
    let no = "Operation not permitted";
    let other = tempfile::tempdir().expect("a folder");
    let file = other.path().join("a");
    std::fs::write(&file, "a").expect("a file");
    let path = file.display();
    let me = rustix::process::getuid().as_raw();
    let python = |text: &str| format!("python3 -c \"import os; {text}\" && echo done");
    let case = |text: String| (text, no);
    let mut cases = vec![
        case(format!("chown {me} {path} && echo done")),
        case(format!("chown -h {me} {path} && echo done")),
        case(format!("chmod u+s {path} && echo done")),
        case("touch b; chgrp $(id -g) b && echo done".into()),
        case("touch c; chmod 4755 c && echo done".into()),
        case("mkdir d; chmod g+s d && echo done".into()),
        case(python("os.open('e', os.O_CREAT | os.O_WRONLY, 0o4755)")),
        (python(&format!("os.setxattr('{path}', 'user.a', b'x')")), "not supported"),
        case(python("f = os.open('f', os.O_CREAT | os.O_WRONLY); os.fchmod(f, 0o2755)")),
        (python("open('g', 'w'); os.removexattr('g', 'user.a')"), "not supported"),
    ];
    if me == 0 {
        // Of somebody else, in a folder that all may look into.
        std::os::unix::fs::chown(&file, Some(65_534), Some(65_534)).expect("a superuser");
        let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(other.path(), open).expect("set");
        cases.push(case(format!("chmod 666 {path} && echo done")));
        cases.push(case(python(&format!("os.utime('{path}', (1, 1))"))));
        cases.push((format!("touch {path} && echo done"), "Permission denied"));
    }
    let before = std::fs::metadata(&file).expect("it is there");
    refuses(&cases).await;
    let after = std::fs::metadata(&file).expect("it is there");
    let of = |it: &std::fs::Metadata| {
        use std::os::unix::fs::MetadataExt;
        (it.mode(), it.uid(), it.gid(), it.mtime(), it.ctime(), it.ctime_nsec())
    };
    assert_eq!(of(&after), of(&before));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_superuser_keeps_no_rights_over_others() {
    let told = super::bash::told(&["grep ^Cap /proc/self/status; python3 -c '\
import ctypes, os
libc = ctypes.CDLL(None, use_errno=True)
print(libc.prctl(23, 0), libc.prctl(23, 1), libc.prctl(23, 21))'"])
    .await;
    assert!(told[0].ends_with("0 0 0\n"), "CHOWN, DAC_OVERRIDE, SYS_ADMIN: {}", told[0]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn ordinary_work_goes_on() {
    let told = super::bash::told(&[
        "echo 'echo ran' > s; chmod +x s; ./s; chmod 640 s; stat -c %a s; mkdir -m 750 d; stat -c %a d",
        "echo a > a; touch -d 2001-01-01 a; install -m 755 a b; stat -c %a b; mv b d/b; ls d",
        "mkdir t; tar cf t.tar a; tar xf t.tar -C t --no-same-owner; cat t/a; date -r t/a +%Y",
        "git init -q r; cd r; echo a > a; git add a; git -c user.name=a -c user.email=b@c commit -qm x; \
         git clone -q . ../r2; git -C ../r2 log --format=%s",
    ])
    .await;
    assert_eq!(told, ["ran\n640\n750\n", "755\nb\n", "a\n2001\n", "x\n"]);
}
