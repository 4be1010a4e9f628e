//! A server in a process of its own, to be killed.

use std::process::{Child, Command, Stdio};

use super::Stage;

/// `callboard serve` as a child process; dropping it is `kill -9`.
pub(crate) struct Worker(Child);

impl Worker {
    pub(crate) fn start(stage: &Stage) -> Worker {
        let child = Command::new(env!("CARGO_BIN_EXE_callboard"))
            .args(["serve", "--quiet", "--team"])
            .arg(stage.team())
            .arg("--data")
            .arg(stage.data())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::inherit())
            .spawn();
        Worker(child.expect("the binary starts"))
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.0.kill().expect("killed");
        self.0.wait().expect("gone");
    }
}
