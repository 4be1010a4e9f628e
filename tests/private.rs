//! Keys stand in a server's environment and memory: no other program of the same user looks there.
#![cfg(target_os = "linux")]

#[allow(dead_code, reason = "each test binary uses its part of the client")]
#[allow(clippy::panic, reason = "a client of tests says what it missed and fails")]
#[path = "stdio/client.rs"]
mod client;

use std::fs::{File, read, read_to_string};
use std::io::ErrorKind;
use std::process::{Command, Stdio};

use client::{House, Server};
use rustix::thread::{
    CapabilitySet, CapabilitySets, remove_capability_from_bounding_set, set_capabilities,
};

/// What stands in both environments.
const KEY: (&str, &str) = ("A_KEY", "that stands in the environment");

/// Makes this thread one of a user like any other, and what it starts from here on too.
fn becomes_plain() {
    for one in CapabilitySet::all().iter() {
        // A plain user may not, and has none to lose.
        let _ = remove_capability_from_bounding_set(one);
    }
    let none = CapabilitySet::empty();
    let _ = set_capabilities(
        None,
        CapabilitySets { effective: none, permitted: none, inheritable: none },
    );
}

#[test]
fn no_other_program_of_the_user_reads_its_keys() {
    let looked = std::thread::spawn(|| {
        becomes_plain();
        let mut other = Command::new("sleep").arg("60").env(KEY.0, KEY.1).spawn().expect("sleep");
        let house = House::new();
        let mut server = Command::new(env!("CARGO_BIN_EXE_callboard"));
        server.args(["serve", "--no-finish", "--team"]).arg(house.path().join("team"));
        server.arg("--data").arg(house.path().join("data")).env(KEY.0, KEY.1);
        let mut server = Server::of(server);
        server.shake_hands("2025-06-18");
        let of = |id: u32, what: &str| format!("/proc/{id}/{what}");
        let seen = read(of(other.id(), "environ")).expect("this is how far one looks");
        assert!(String::from_utf8_lossy(&seen).contains(KEY.1));
        for what in ["environ", "mem", "auxv", "maps"] {
            let error = File::open(of(server.id(), what))
                .and_then(|_| read(of(server.id(), what)))
                .expect_err("nobody looks in here");
            assert_eq!(error.kind(), ErrorKind::PermissionDenied, "{what}");
        }
        let limits = read_to_string(of(server.id(), "limits")).expect("limits");
        let core = limits.lines().find(|it| it.starts_with("Max core file size")).expect("a line");
        assert_eq!(core.split_whitespace().skip(4).take(2).collect::<Vec<_>>(), ["0", "0"]);
        other.kill().and_then(|()| other.wait()).expect("it ends");
    });
    looked.join().expect("as it should be");
}

#[test]
fn a_program_that_is_kept_is_like_any_other() {
    let keeper = Command::new(env!("CARGO_BIN_EXE_callboard"))
        .args(["keep", "--once", "--", "/bin/sh", "-c", "cat /proc/self/environ | tr '\\0' '\\n'"])
        .env(KEY.0, KEY.1)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn();
    let mut keeper = keeper.expect("it starts");
    let _held = keeper.stdin.take();
    let said = keeper.wait_with_output().expect("it ends").stdout;
    assert!(String::from_utf8_lossy(&said).contains(KEY.1), "it sees its own");
}
