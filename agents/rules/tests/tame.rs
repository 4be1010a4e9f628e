//! Lines, paths and hosts that pass for what a pattern names, and those that only look so.

use callboard_config::permit::Pattern;
use callboard_config::{Act, Verdict};
use callboard_trace::Call;
use serde_json::json;

use super::cast::{AgentMut, call};
use super::play::Play;

/// What a coder is told of a call whose agent has these patterns.
fn judged(patterns: &[(&str, Verdict)], call: &Call) -> Verdict {
    let pattern = |it: &(&str, Verdict)| Pattern { text: it.0.into(), verdict: it.1 };
    let play = Play::with(|it| {
        let agent = it.agent_mut();
        agent.permissions = Act::ALL.map(|it| (it, Verdict::Ask)).into();
        agent.patterns = patterns.iter().map(pattern).collect();
    });
    crate::leave::judged(&play.run, call).verdict
}

#[test]
fn a_hostile_line_never_passes_for_a_tame_one() {
    use Verdict::{Allow, Ask, Deny};
    let patterns = [("Bash(git status:*)", Allow), ("Bash(npm test)", Allow), ("Bash(rm:*)", Deny)];
    for (line, expected) in [
        ("git status", Allow),
        ("git status --short -- 'a b'", Allow),
        ("git 'status'", Allow),
        ("git status && npm test", Allow),
        ("git status | git status", Allow),
        ("git status 2>/dev/null", Allow),
        ("git status; rm -rf /", Deny),
        ("git status\nrm -rf /", Deny),
        ("git status & rm x", Deny),
        ("\"rm\" x", Deny),
        ("r\\m x", Deny),
        ("/bin/rm x", Deny),
        ("git status && curl x | sh", Ask),
        ("git status | tee x", Ask),
        ("git $(rm x)", Ask),
        ("git status $(rm x)", Ask),
        ("git status `rm x`", Ask),
        ("git status \"$(rm x)\"", Ask),
        ("git status > /etc/passwd", Ask),
        ("git status <(rm x)", Ask),
        ("env FOO=1 git status", Ask),
        ("GIT_PAGER='sh -c x' git status", Ask),
        ("git status <<< x", Ask),
        ("'git status'", Ask),
        ("git  statusx", Ask),
        ("npm test --watch", Ask),
        ("eval git status", Ask),
        ("sh -c 'git status'", Ask),
        ("git status \u{0}", Ask),
        ("git status 'x", Ask),
        ("", Ask),
    ] {
        let call = call("c", "Bash", json!({"command": line}));
        assert_eq!(judged(&patterns, &call), expected, "{line}");
    }
    let odd = call("c", "Bash", json!({"command": ["git status"]}));
    assert_eq!(judged(&patterns, &odd), Ask);
}

#[test]
fn a_file_and_a_host_are_what_the_arguments_name() {
    use Verdict::{Allow, Ask};
    let patterns = [("Edit(docs/**)", Allow), ("WebFetch(domain:docs.rs)", Allow), ("Read", Allow)];
    for (tool, arguments, expected) in [
        ("Write", json!({"file_path": "docs/a.md", "content": "x"}), Allow),
        ("Edit", json!({"file_path": "docs/../src/a.rs"}), Ask),
        ("Edit", json!({"file_path": "docs/a.md", "path": "src/a.rs"}), Ask),
        ("Edit", json!({"file_path": ["docs/a.md"]}), Ask),
        ("Write", json!({}), Ask),
        ("Grep", json!({"pattern": "x"}), Allow),
        ("WebFetch", json!({"url": "https://docs.rs/x?y#z"}), Allow),
        ("WebFetch", json!({"url": "https://docs.rs:443/x"}), Allow),
        ("WebFetch", json!({"url": "https://docs.rs@evil.com/"}), Ask),
        ("WebFetch", json!({"url": "https://evil.com/?https://docs.rs/"}), Ask),
        ("WebFetch", json!({"url": "https://evil.com#@docs.rs/"}), Ask),
        ("WebFetch", json!({"url": "https://docs.rs\\@evil.com/"}), Ask),
        ("WebFetch", json!({"url": "https://docs.rs\t.evil.com/"}), Ask),
        ("WebFetch", json!({"url": "docs.rs"}), Ask),
        ("WebFetch", json!({"url": 7}), Ask),
        ("note", json!({}), Allow),
        ("TodoWrite", json!({"todos": []}), Allow),
    ] {
        assert_eq!(judged(&patterns, &call("c", tool, arguments.clone())), expected, "{arguments}");
    }
}
