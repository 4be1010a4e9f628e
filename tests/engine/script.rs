//! A script beside a test process: it says a first word, obeys lines, and ends with its input, which
//! ends with this process, however that ends.

use std::ffi::OsStr;
use std::io::{BufRead, BufReader, Lines, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::{Mutex, PoisonError};

pub(crate) struct Script {
    child: Child,
    voice: Mutex<Voice>,
}

struct Voice {
    orders: Option<ChildStdin>,
    answers: Lines<BufReader<ChildStdout>>,
}

impl Script {
    /// Starts the one at this place of the repository, and answers with its first word too.
    pub(crate) fn start<A: AsRef<OsStr>>(
        place: &str,
        arguments: impl IntoIterator<Item = A>,
    ) -> (Script, String) {
        let mut child = Command::new("bash")
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join(place))
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("bash starts");
        let orders = child.stdin.take();
        let mut answers = BufReader::new(child.stdout.take().expect("its output")).lines();
        let said = answers.next().expect("a first word").expect("its output is read");
        let voice = Mutex::new(Voice { orders, answers });
        (Script { child, voice }, said)
    }

    /// Gives it a line; it has to answer with this one.
    pub(crate) fn order(&self, order: &str, wanted: &str) {
        let mut voice = self.voice.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(voice.orders.as_mut().expect("it listens"), "{order}").expect("it listens");
        let said = voice.answers.next().expect("it lives").expect("its output is read");
        assert_eq!(said, wanted, "{order}");
    }
}

impl Drop for Script {
    fn drop(&mut self) {
        // The end of its input is the order to end.
        self.voice.lock().unwrap_or_else(PoisonError::into_inner).orders = None;
        let _ = self.child.wait();
    }
}
