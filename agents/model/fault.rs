//! An attempt that brought no reply, and how long to wait before the next one.

use std::time::Duration;

use callboard_trace::{Failure, FailureCode};

use super::learned::Learned;

/// Why an attempt brought no reply.
#[derive(Clone, Debug, PartialEq)]
pub struct Fault {
    /// What kind of failure.
    pub code: FailureCode,
    /// A lower-case fragment of at most 300 characters without a secret.
    pub message: String,
    /// Whether another attempt may help.
    pub retryable: bool,
    /// How long the provider asked to wait, cut to the limit of the team.
    pub retry_after: Option<Duration>,
    /// Milliseconds the attempt took.
    pub ms: u64,
    /// Exchanges it took beyond the first.
    pub asked_again: u32,
    /// What the provider told of its limits.
    pub learned: Vec<Learned>,
}

/// The longest message of a fault, in characters.
const MESSAGE_CHARS: usize = 300;

/// The longest pause between two attempts.
const BACKOFF_MAX_S: u64 = 60;

impl Fault {
    /// One with a message, which is cut to one line.
    pub fn new(code: FailureCode, retryable: bool, message: impl Into<String>) -> Fault {
        let message = one_line(&message.into());
        let (retry_after, learned) = (None, Vec::new());
        Fault { code, message, retryable, retry_after, ms: 0, asked_again: 0, learned }
    }

    pub(crate) fn took(mut self, ms: u64) -> Fault {
        self.ms = ms;
        self
    }
}

impl Fault {
    /// The record of it; when it is tried again is the scheduler's to say.
    pub fn recorded(&self, step: u32, attempt: u32) -> Failure {
        Failure {
            step,
            attempt,
            code: self.code,
            message: self.message.clone(),
            retryable: self.retryable,
            retry_at: None,
            ms: self.ms,
            asked_again: self.asked_again,
        }
    }
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Fault {}

/// The pause before the attempt after `attempt` (1-based): with full jitter, anywhere in
/// 0..min(60, 2^(attempt − 1)) seconds, as `chance` decides.
pub fn backoff(attempt: u32, chance: u64) -> Duration {
    let doublings = attempt.saturating_sub(1).min(6);
    let most_ms = (1_u64 << doublings).min(BACKOFF_MAX_S) * 1_000;
    Duration::from_millis(chance % most_ms)
}

/// The text on one line: control and direction characters become spaces, and it is cut.
pub(crate) fn one_line(text: &str) -> String {
    let plain = |it: char| if it.is_control() || is_invisible(it) { ' ' } else { it };
    let words: String = text.chars().map(plain).collect();
    let line = words.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MESSAGE_CHARS) {
        None => line,
        Some(_) => line.chars().take(MESSAGE_CHARS - 1).chain(['…']).collect(),
    }
}

/// Marks that reorder or hide text around them.
fn is_invisible(it: char) -> bool {
    matches!(it, '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{2069}' | '\u{feff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_minute_and_use_the_whole_range() {
        let most = [1, 2, 4, 8, 16, 32, 60, 60, 60];
        for (attempt, most) in (1..).zip(most) {
            let last = Duration::from_millis(most * 1_000 - 1);
            assert_eq!(backoff(attempt, most * 1_000 - 1), last, "attempt {attempt}");
            assert_eq!(backoff(attempt, most * 1_000), Duration::ZERO, "attempt {attempt}");
        }
        assert!(backoff(u32::MAX, u64::MAX) < Duration::from_secs(60));
        assert!(backoff(0, 999) < Duration::from_secs(1));
    }

    #[test]
    fn a_message_is_one_short_line() {
        assert_eq!(one_line("a\r\n\u{1b}[31mb\u{202e}c\u{0}"), "a [31mb c");
        let long = one_line(&"ä".repeat(5_000));
        assert_eq!(long.chars().count(), MESSAGE_CHARS);
        assert!(long.ends_with('…'));
        assert_eq!(one_line(&"x".repeat(MESSAGE_CHARS)).len(), MESSAGE_CHARS);
    }
}
