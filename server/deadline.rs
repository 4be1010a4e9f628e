//! How long a client waits for an answer before it gives the call up, by the client's own name.

use std::time::Duration;

use callboard_config::Limits;

/// The usual and the longest wait of one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Deadline {
    /// Of a call that says nothing about it.
    pub(crate) usual: Duration,
    /// Of a call that asks for more.
    pub(crate) most: Duration,
}

/// What a client's name begins with, and how many seconds its calls may take: a tenth under its
/// own limit, where that was measured. The first that fits counts.
const KNOWN: [(&str, u64); 7] = [
    // No limit in practice; after 120 s an interactive call is put into the background.
    ("claude-code", 108),
    // About 60 s in some of its versions, and not to be configured.
    ("claude", 45),
    // 300 s.
    ("codex", 270),
    // 600 s.
    ("gemini", 540),
    // 60 s hard, without progress.
    ("continue", 45),
    // 300 s.
    ("goose", 270),
    // 30 s.
    ("jan", 27),
];

impl Deadline {
    /// The deadline of a client that calls itself so; `limits.wait_s` where it is not known.
    pub(crate) fn of(client: &str, limits: &Limits) -> Deadline {
        let name = client.to_lowercase();
        let found = KNOWN.iter().find(|(begins, _)| name.starts_with(begins));
        let most = found.map_or(limits.wait_s, |(_, seconds)| *seconds).min(limits.wait_max_s);
        let usual = limits.wait_s.min(most);
        Deadline { usual: Duration::from_secs(usual), most: Duration::from_secs(most) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_answers_before_its_client_gives_up() {
        let limits = Limits::default();
        let cases = [
            ("claude-code", 40, 108),
            ("Claude Desktop", 40, 45),
            ("codex-mcp-client", 40, 270),
            ("Jan", 27, 27),
            ("nobody knows", 40, 40),
            ("", 40, 40),
        ];
        for (client, usual, most) in cases {
            let seconds = Duration::from_secs;
            let expected = Deadline { usual: seconds(usual), most: seconds(most) };
            assert_eq!(Deadline::of(client, &limits), expected, "{client}");
        }
    }

    #[test]
    fn the_owner_may_shorten_the_wait() {
        let limits = Limits { wait_s: 5, wait_max_s: 60, ..Limits::default() };
        let found = Deadline::of("codex", &limits);
        assert_eq!((found.usual.as_secs(), found.most.as_secs()), (5, 60));
    }
}
