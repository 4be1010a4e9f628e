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

/// The part of a client's patience within which it is answered.
const IN_TIME: f64 = 0.9;
/// Nobody is answered earlier for want of patience.
const LEAST: Duration = Duration::from_secs(2);

impl Deadline {
    /// The deadline of a client that calls itself so, and that gave a call up after so long;
    /// `limits.wait_s` where neither is known.
    pub(crate) fn of(client: &str, limits: &Limits, gives_up: Option<Duration>) -> Deadline {
        let name = client.to_lowercase();
        let found = KNOWN.iter().find(|(begins, _)| name.starts_with(begins));
        let most = found.map_or(limits.wait_s, |(_, seconds)| *seconds).min(limits.wait_max_s);
        let most = Duration::from_secs(most);
        let learnt = gives_up.map(|it| it.mul_f64(IN_TIME).max(LEAST));
        let most = learnt.map_or(most, |it| it.min(most));
        Deadline { usual: Duration::from_secs(limits.wait_s).min(most), most }
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
            assert_eq!(Deadline::of(client, &limits, None), expected, "{client}");
        }
    }

    #[test]
    fn what_was_learnt_shortens_the_wait_and_never_lengthens_it() {
        let limits = Limits::default();
        let cases = [("codex", 60.0, 40.0, 54.0), ("codex", 600.0, 40.0, 270.0)];
        let more = [("nobody knows", 5.0, 4.5, 4.5), ("nobody knows", 0.5, 2.0, 2.0)];
        for (client, after, usual, most) in cases.into_iter().chain(more) {
            let found = Deadline::of(client, &limits, Some(Duration::from_secs_f64(after)));
            let found = (found.usual.as_secs_f64(), found.most.as_secs_f64());
            assert_eq!(found, (usual, most), "{client} {after}");
        }
    }

    #[test]
    fn the_owner_may_shorten_the_wait() {
        let limits = Limits { wait_s: 5, wait_max_s: 60, ..Limits::default() };
        let found = Deadline::of("codex", &limits, None);
        assert_eq!((found.usual.as_secs(), found.most.as_secs()), (5, 60));
    }
}
