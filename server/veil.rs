//! The log's way to stderr: what goes there goes without secrets.

use std::io::{self, Write};
use std::sync::{PoisonError, RwLock};

use callboard_config::Team;
use callboard_trace::secrets::{self, INSTEAD};
use tracing_subscriber::fmt::MakeWriter;

/// Shorter values are no secrets, and would be found in any text.
const LEAST: usize = 8;

/// The values this process knows to be secret.
static KNOWN: RwLock<Vec<String>> = RwLock::new(Vec::new());

/// From here on the secrets of this team are hidden.
pub(crate) fn learn(team: &Team) {
    let mut known = KNOWN.write().unwrap_or_else(PoisonError::into_inner);
    known.extend(team.secrets().into_iter().filter(|it| it.len() >= LEAST));
    known.sort_by_key(|it| std::cmp::Reverse(it.len()));
    known.dedup();
}

/// Makes a line for each event.
pub(crate) struct Veil;

impl MakeWriter<'_> for Veil {
    type Writer = Line;

    fn make_writer(&self) -> Line {
        Line(Vec::new())
    }
}

/// One event, written when it is whole.
pub(crate) struct Line(Vec<u8>);

impl Write for Line {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        let text = String::from_utf8_lossy(&self.0);
        let known = KNOWN.read().unwrap_or_else(PoisonError::into_inner);
        // Where nobody reads stderr any more there is nobody to tell either.
        let _ = io::stderr().write_all(hidden(&text, &known).as_bytes());
    }
}

fn hidden(text: &str, known: &[String]) -> String {
    let plain = known.iter().fold(text.to_owned(), |text, it| text.replace(it.as_str(), INSTEAD));
    secrets::hide(&plain).unwrap_or(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_values_and_what_looks_like_one_are_hidden() {
        let known = ["hunter2-hunter2".to_owned()];
        let key = format!("sk-{}", "a1B2".repeat(8));
        let shown = hidden(&format!("said: hunter2-hunter2 and {key}\n"), &known);
        assert_eq!(shown, "said: [secret] and [secret]\n");
    }
}
