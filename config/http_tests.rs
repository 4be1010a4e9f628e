//! `http` in `team.yaml`: who it lets in, and the exact text of what is wrong with it.

use crate::ExposeSecret;
use crate::http::{Http, Scope};
use crate::testing::{PLAIN, team, told_of_team};

fn http(text: &str) -> Http {
    team(&[("team.yaml", text), ("agents/lead.md", PLAIN), ("ops.txt", "ops-token-0123456789\n")])
        .http
}

#[test]
fn nothing_written_names_nobody() {
    for text in ["entry: lead", "http:", "http: {}", "http: {tokens: , oauth: }"] {
        let http = http(text);
        assert!(http.tokens.is_empty() && http.oauth.is_none(), "{text}");
        assert!(http.allowed_hosts.is_empty() && http.allowed_origins.is_empty(), "{text}");
    }
}

#[test]
fn tokens_hosts_and_origins_are_read() {
    let http = http(
        "http:\n  tokens:\n    - {name: ci, token: env:CI_TOKEN, scopes: [run, read]}\n    \
         - {name: ops@example, token: file:ops.txt, scopes: admin}\n  \
         allowed_hosts: [Callboard.Example.com, \"[::1]\", 10.0.0.7]\n  \
         allowed_origins: [\"https://app.example.com\", \"http://localhost:5173\", \
         \"vscode-webview://abc\", \"http://[::1]\"]\n",
    );
    let read = |at: usize| {
        let token = &http.tokens[at];
        let secret = token.secret.as_ref().map(|it| it.expose_secret().to_owned());
        (token.name.as_str(), secret, token.scope)
    };
    assert_eq!(read(0), ("ci", Some("ci-token-0123456789".to_owned()), Scope::Run));
    assert_eq!(read(1), ("ops@example", Some("ops-token-0123456789".to_owned()), Scope::Admin));
    assert_eq!(http.allowed_hosts, ["callboard.example.com", "[::1]", "10.0.0.7"]);
    let origins = ["https://app.example.com", "http://localhost:5173", "vscode-webview://abc"];
    assert_eq!(http.allowed_origins[..3], origins);
    assert!(!format!("{http:?}").contains("0123456789"), "a secret prints itself");
}

#[test]
fn an_authorization_server_may_name_the_scopes_its_way() {
    let text = "http:\n  oauth: {issuer: \"https://login.example.com\", \
                audience: \"https://callboard.example.com/mcp\", scopes: {run: \"work:do\"}}\n";
    let oauth = http(text).oauth.expect("oauth is written");
    assert_eq!(oauth.issuer, "https://login.example.com");
    assert_eq!(oauth.audience, "https://callboard.example.com/mcp");
    assert_eq!(oauth.jwks, None);
    let names: Vec<&str> = oauth.scopes.values().map(String::as_str).collect();
    assert_eq!(names, ["callboard:read", "work:do", "callboard:admin"]);
}

#[test]
fn a_token_without_a_value_still_shuts_the_door() {
    let text = "http: {tokens: [{name: ci, token: env:NOT_SET, scopes: [run]}]}";
    let http = http(text);
    assert_eq!(http.tokens.len(), 1);
    assert!(http.tokens[0].secret.is_none());
    insta::assert_snapshot!(told_of_team(text), @r"
    starts
    warning: team.yaml:1: `http.tokens.ci` has no value: the variable NOT_SET is not set
    0 errors, 1 warning
    ");
}

#[test]
fn all_problems_of_tokens_are_told_at_once() {
    let text = "http:\n  tokens:\n    - {name: ci, token: env:CI_TOKEN, scopes: [run]}\n    \
                - {name: ci, token: env:CI_TOKEN, scopes: [raed]}\n    \
                - {name: ci, token: env:CI_TOKEN, scopes: [read]}\n    \
                - {name: same, token: env:CI_TOKEN, scopes: [read]}\n    \
                - {name: local, token: env:OPENAI_API_KEY, scopes: [read]}\n    \
                - {name: short, token: env:LOCAL_KEY, scopes: []}\n    \
                - {name: blank, token: env:BLANK_TOKEN, scopes: [read]}\n    \
                - {name: plain, token: plain-0123456789-text, scopes: [read]}\n    \
                - {name: a b, token: \"keyring:ci\", scopes: [read]}\n    \
                - {nam: ci}\n  tokns: []\n";
    let told = told_of_team(text);
    assert!(!told.contains("0123456789"), "{told}");
    insta::assert_snapshot!(told, @r#"
    team.yaml:4: `http.tokens.ci`: there is no scope "raed"; did you mean "read"?
      help: write one of read, run, admin
    team.yaml:5: the tokens of "ci" and "ci" are one
      help: give each caller a token of their own
    team.yaml:6: the tokens of "ci" and "same" are one
      help: give each caller a token of their own
    team.yaml:7: "local" cannot stand in `http.tokens.name`
      help: that is who calls over stdio and the command line: take another name
    team.yaml:8: `http.tokens.short` is too short, or has a blank in it
      help: make one of at least 16 characters nobody can guess
    team.yaml:8: `http.tokens.short` has no scope
      help: write `scopes: [read, run]`
    team.yaml:9: `http.tokens.blank` is too short, or has a blank in it
      help: make one of at least 16 characters nobody can guess
    team.yaml:10: `http.tokens.plain` holds a secret itself; it belongs outside the file
      help: write `env:NAME` or `file:PATH`
    team.yaml:11: "a b" cannot stand in `http.tokens.name`
      help: write up to 64 letters, digits, `.`, `_`, `@` or `-`
    team.yaml:12: a token in `http.tokens` has no `name`
      help: write `name: ci`, or who else brings it
    team.yaml:12: a token in `http.tokens` has no `token`
      help: write `token: env:NAME` or `token: file:PATH`
    team.yaml:12: a token in `http.tokens` has no `scopes`
      help: write `scopes: [read, run]`
    team.yaml:12: key `http.tokens.nam` is not known; did you mean "name"?
    team.yaml:13: key `http.tokns` is not known; did you mean "tokens"?
    14 errors, 0 warnings
    "#);
    insta::assert_snapshot!(told_of_team("http: {tokens: []}"), @r"
    team.yaml:1: `http.tokens` must be a list with at least one token
      help: write `- { name: ci, token: env:CI_TOKEN, scopes: [run] }`
    1 error, 0 warnings
    ");
}

#[test]
fn all_problems_of_addresses_are_told_at_once() {
    let text = "http:\n  oauth:\n    issuer: http://login.example.com\n    \
                audience: https://callboard.example.com/mcp?x=1\n    jwks: jwks.json\n    \
                scopes: {read: \"a b\", run: same, admin: same, rum: x}\n    isuer: x\n  \
                allowed_hosts: [\"*.example.com\", \"a.example.com:80\", \"https://b\"]\n  \
                allowed_origins: [\"https://a/\", \"*\", \"null\", \"https://a:443\", \
                \"HTTPS://a\", \"http://a:+80\", \"https://u@a\"]\n";
    insta::assert_snapshot!(told_of_team(text), @r#"
    team.yaml:3: `http.oauth.issuer` must be an https address, or an http one on this machine
      help: write it as "https://login.example.com"
    team.yaml:4: `http.oauth.audience` must be an https address, or an http one on this machine
      help: write it as "https://login.example.com"
    team.yaml:5: `http.oauth.jwks` must be an https address, or an http one on this machine
      help: write it as "https://login.example.com"
    team.yaml:6: `http.oauth.scopes.read` cannot be "a b"
      help: write one word, another one for each scope
    team.yaml:6: `http.oauth.scopes.admin` cannot be "same"
      help: write one word, another one for each scope
    team.yaml:6: key `http.oauth.scopes.rum` is not known; did you mean "run"?
    team.yaml:7: key `http.oauth.isuer` is not known; did you mean "issuer"?
    team.yaml:8: "*.example.com" cannot stand in `http.allowed_hosts`
      help: write a name such as `callboard.example.com`: no scheme, no port, no `*`
    team.yaml:8: "a.example.com:80" cannot stand in `http.allowed_hosts`
      help: write a name such as `callboard.example.com`: no scheme, no port, no `*`
    team.yaml:8: "https://b" cannot stand in `http.allowed_hosts`
      help: write a name such as `callboard.example.com`: no scheme, no port, no `*`
    team.yaml:9: "https://a/" cannot stand in `http.allowed_origins`
      help: write it as a browser sends it: `https://app.example.com`, no path, no `*`
    team.yaml:9: "*" cannot stand in `http.allowed_origins`
      help: write it as a browser sends it: `https://app.example.com`, no path, no `*`
    team.yaml:9: "null" cannot stand in `http.allowed_origins`
      help: write it as a browser sends it: `https://app.example.com`, no path, no `*`
    team.yaml:9: "https://a:443" cannot stand in `http.allowed_origins`
      help: write it as a browser sends it: `https://app.example.com`, no path, no `*`
    team.yaml:9: "HTTPS://a" cannot stand in `http.allowed_origins`
      help: write it as a browser sends it: `https://app.example.com`, no path, no `*`
    team.yaml:9: "http://a:+80" cannot stand in `http.allowed_origins`
      help: write it as a browser sends it: `https://app.example.com`, no path, no `*`
    team.yaml:9: "https://u@a" cannot stand in `http.allowed_origins`
      help: write it as a browser sends it: `https://app.example.com`, no path, no `*`
    17 errors, 0 warnings
    "#);
    insta::assert_snapshot!(told_of_team("http: {oauth: {}}"), @r"
    team.yaml:1: `http.oauth` has no `issuer`
      help: write `issuer: https://...`
    team.yaml:1: `http.oauth` has no `audience`
      help: write `audience: https://...`
    2 errors, 0 warnings
    ");
}
