//! A few lines at the bottom of a terminal that are drawn again and again.

use std::io::{self, Write};

/// Clips long lines instead of wrapping them, so that a row is a line whatever the width.
const CLIP: &str = "\x1b[?7l";
const WRAP: &str = "\x1b[?7h";

/// The lines now on the terminal.
#[derive(Debug, Default)]
pub(crate) struct Screen {
    drawn: usize,
}

impl Screen {
    /// Puts these lines in the place of the ones before.
    pub(crate) fn draw(&mut self, lines: &[String]) {
        let mut text = String::from(CLIP);
        if self.drawn > 0 {
            text.push_str(&format!("\x1b[{}A", self.drawn));
        }
        text.push_str("\r\x1b[J");
        for line in lines {
            text.push_str(line);
            text.push('\n');
        }
        text.push_str(WRAP);
        self.drawn = lines.len();
        let mut out = io::stderr().lock();
        let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
    }
}
