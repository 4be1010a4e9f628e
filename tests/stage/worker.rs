//! A server in a process of its own, to be killed.

use std::process::{Child, Command, Stdio};

use callboard_scheduler::Desk;
use callboard_trace::{Question, RunId, RunView, State};

use super::{PATIENCE, Stage, caller, end};

/// `callboard serve` as a child process; dropping it is `kill -9`.
pub(crate) struct Worker(Child);

impl Worker {
    pub(crate) fn start(stage: &Stage) -> Worker {
        let child = Command::new(env!("CARGO_BIN_EXE_callboard"))
            .args(["serve", "--quiet", "--team"])
            .arg(stage.team())
            .arg("--data")
            .arg(stage.data())
            // What goes wrong in it stands in the report of a failure.
            .env("CALLBOARD_LOG", "warn")
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

/// Waits for the end. A step whose process died three times in a row halts its run, by design:
/// then the test says what a person would say.
pub(crate) async fn come_to_an_end(desk: &Desk, run: &RunId) -> RunView {
    for _ in 0..10 {
        let view = desk.wait(run, &caller(), PATIENCE).await.expect("the run is there");
        if view.state != State::Halted {
            return view;
        }
        rerun(desk, &view).await;
    }
    end(desk, run).await
}

/// Says that what is in doubt is to be done again.
pub(crate) async fn rerun(desk: &Desk, view: &RunView) {
    let rerun = |it: &Question| (it.id.clone(), "rerun".to_string());
    let answers = view.questions.iter().map(rerun).collect();
    desk.answer(&view.run, &answers, &caller()).await.expect("answered");
}
