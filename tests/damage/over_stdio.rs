//! The built binary over stdio, a batch of lines at a time.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use serde_json::{Value, json};

use crate::dice::Dice;
use crate::house::House;
use crate::mutate::damaged;
use crate::oracle::{Owed, owed, settle};
use crate::seeds::seeds;
use crate::wire::PATIENCE;

/// A running server.
pub(crate) struct Server {
    child: Child,
    input: ChildStdin,
    lines: Receiver<Value>,
}

impl Server {
    pub(crate) fn start(house: &House) -> Server {
        let mut command = house.command(&["serve", "--no-finish"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn().expect("the binary starts");
        let input = child.stdin.take().expect("a pipe");
        let output = child.stdout.take().expect("a pipe");
        let (heard, lines) = channel();
        thread::spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                let message =
                    serde_json::from_str(&line).unwrap_or_else(|_| json!({"stray": line}));
                if heard.send(message).is_err() {
                    break;
                }
            }
        });
        Server { child, input, lines }
    }

    /// Sends the damaged messages of these numbers, and a good one after them; each is answered as
    /// often as it is owed.
    pub(crate) fn batch(&mut self, numbers: &[u64]) {
        let lines: Vec<Vec<u8>> = numbers.iter().map(|it| line(*it)).collect();
        let mut owes: Vec<Owed> = Vec::new();
        for line in &lines {
            owes.extend(line.split(|it| *it == b'\n').map(|it| owed(it, true)));
        }
        let last = json!(format!("alive {}", numbers[0]));
        let ping = json!({"jsonrpc": "2.0", "id": last, "method": "ping"});
        let mut bytes: Vec<u8> = lines.join(&b'\n');
        bytes.extend(format!("\n{ping}\n").bytes());
        self.input.write_all(&bytes).expect("the server reads");
        owes.push(Owed::Answer(last));
        let n_owed = owes.iter().filter(|it| **it != Owed::Nothing).count();
        let mut came = Vec::new();
        let whole = loop {
            if came.len() == n_owed {
                break Ok(());
            }
            match self.lines.recv_timeout(PATIENCE) {
                Ok(message) if message.get("method").is_some() => {}
                Ok(message) => came.push(message),
                Err(error) => break Err(format!("{} of {n_owed} answers: {error}", came.len())),
            }
        };
        if let Err(told) = settle(&owes, came).and(whole) {
            let shown: Vec<String> = numbers
                .iter()
                .zip(&lines)
                .map(|(number, line)| format!("{number}: {}", String::from_utf8_lossy(line)))
                .collect();
            panic!("{told}\n{}", shown.join("\n"));
        }
    }

    /// Nothing more is said.
    pub(crate) fn is_silent(&self) -> bool {
        loop {
            match self.lines.recv_timeout(Duration::from_millis(300)) {
                Ok(message) if message.get("method").is_some() => {}
                Ok(_) => return false,
                Err(error) => return matches!(error, RecvTimeoutError::Timeout),
            }
        }
    }
}

/// The damaged line of a number.
fn line(number: u64) -> Vec<u8> {
    let mut dice = Dice::new(number);
    let id =
        if dice.below(2) == 0 { json!(1_000_000 + number) } else { json!(format!("n{number}")) };
    let modern = dice.below(2) == 0;
    let seed = dice.one(&seeds(&id, modern)).clone();
    damaged(&seed, &mut dice)
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
