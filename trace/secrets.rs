//! What looks like a secret, by the shapes its makers give it: taken out before anything is kept.

use std::sync::LazyLock;

use regex::{Captures, Regex};
use serde_json::Value;

/// What stands in the place of a secret.
pub const INSTEAD: &str = "[secret]";

/// Bytes of the shortest text that is looked at.
const LEAST: usize = 12;

/// What ends just before a word though its last sign is a letter: an escape inside quoted text, however
/// often that was quoted again, one of an address, and one that colours a terminal.
const ESCAPE: &str = concat!(
    r"\\+(?:[abefnrtv]|u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|[0-7]{1,3})",
    r"|%[0-9A-Fa-f]{2}|\[[0-9;]*m",
);

/// Shapes that begin at a word's own beginning, by the name they are told under. Groups that are
/// caught are what stays in front of the secret.
const SHAPES: [(&str, &str); 25] = [
    ("a provider's key", r"sk-(?:ant-|proj-|svcacct-|or-v1-|lf-)?[A-Za-z0-9_-]{20,}"),
    ("a Google key", r"AIza[A-Za-z0-9_-]{35}"),
    ("a Google token", r"ya29\.[A-Za-z0-9_-]{20,}"),
    ("a Groq key", r"gsk_[A-Za-z0-9]{20,}"),
    ("an xAI key", r"xai-[A-Za-z0-9]{40,}"),
    ("a Hugging Face token", r"hf_[A-Za-z0-9]{30,}"),
    ("an AWS key id", r"(?:AKIA|ASIA|AROA|AIDA)[A-Z2-7]{16}(?-u:\b)"),
    (
        "an AWS secret key",
        concat!(
            "((?:aws_secret_access_key|AWS_SECRET_ACCESS_KEY|[Ss]ecretAccessKey)",
            r#"["'\\]*\s*[=:]\s*["'\\]*)(?:[A-Za-z0-9+]|\\*/){40}"#,
        ),
    ),
    ("a GitHub token", r"(?:gh[pousr]_[A-Za-z0-9]{36,}|github_pat_[A-Za-z0-9_]{22,})"),
    ("a GitLab token", r"glpat-[A-Za-z0-9_-]{20,}"),
    ("a Slack token", r"xox[abeprs]-[A-Za-z0-9-]{10,}"),
    ("a Slack app token", r"xapp-\d-[A-Za-z0-9-]{20,}"),
    (
        "a Slack webhook",
        r"(https:\\*/\\*/hooks\.slack\.com\\*/services\\*/)(?:[A-Za-z0-9]|\\*/){20,}",
    ),
    ("a Stripe key", r"(?:sk|rk|whsec)_(?:live_|test_)?[A-Za-z0-9]{24,}"),
    ("an npm token", r"npm_[A-Za-z0-9]{36}"),
    ("a PyPI token", r"pypi-AgE[A-Za-z0-9_-]{40,}"),
    ("a SendGrid key", r"SG\.[A-Za-z0-9_-]{16,}\.[A-Za-z0-9_-]{16,}"),
    ("a Twilio key", r"SK[0-9a-f]{32}(?-u:\b)"),
    ("a DigitalOcean token", r"do[opr]_v1_[0-9a-f]{64}"),
    ("a Telegram token", r"\d{8,10}:AA[A-Za-z0-9_-]{33}"),
    ("a vault token", r"hvs\.[A-Za-z0-9_-]{24,}"),
    ("a JWT", r"eyJ[A-Za-z0-9_-]{8,}\.eyJ[A-Za-z0-9_-]{8,}\.[A-Za-z0-9_-]*"),
    ("a bearer token", r"([Bb]earer )[A-Za-z0-9._~+/-]{20,}=*"),
    (
        "a password in an address",
        concat!(
            r"((?:https?|postgres(?:ql)?|mysql|mongodb(?:\+srv)?|rediss?|amqps?|ftp):\\*/\\*/",
            r#"[^\s/:@"'\\]+:)[^\s/@"'\\]{3,}(?:@)"#,
        ),
    ),
    ("an account key", r"((?:AccountKey|SharedAccessKey)=)[A-Za-z0-9+/]{40,}=*"),
];

/// A private key, up to its end or that of the text.
const PRIVATE_KEY: (&str, &str) = (
    "a private key",
    concat!(
        r"-----BEGIN (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----[\s\S]*?",
        r"(?:-----END (?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----|\z)",
    ),
);

/// All shapes as one, each behind a group of its own.
static ALL: LazyLock<Regex> = LazyLock::new(|| {
    let words: Vec<&str> = SHAPES.iter().map(|it| it.1).collect();
    let all = format!(r"{}|(?:(?-u:\b)|({ESCAPE}))(?:{})", PRIVATE_KEY.1, words.join("|"));
    Regex::new(&all).expect("the table compiles; a test sees to it")
});

/// The text without what looks like a secret, if it had any.
pub fn hide(text: &str) -> Option<String> {
    if text.len() < LEAST || !ALL.is_match(text) {
        return None;
    }
    let instead = |found: &Captures<'_>| {
        let lead: String = found.iter().skip(1).flatten().map(|it| it.as_str()).collect();
        let tail = if found[0].ends_with('@') { "@" } else { "" };
        format!("{lead}{INSTEAD}{tail}")
    };
    let hidden = ALL.replace_all(text, instead).into_owned();
    (hidden != text).then_some(hidden)
}

/// A line of a file of settings whose name says that its value is secret. Values that are quoted, or
/// that something else stands for, are source code as a rule and stay.
static SETTING: LazyLock<Regex> = LazyLock::new(|| {
    let line = concat!(
        r"(?m)((?:^|\\+[nr])[\x20\t]*(?:[^\s=]*?\d+[:\t\u{2192}|-])?[\x20\t+-]*(?:export\x20+)?",
        r"[A-Z0-9_]*(?:PASSWORD|PASSWD|PASSPHRASE|SECRET|TOKEN|API_?KEY)",
        r"(?:_(?:KEY|BASE|ACCESS|VALUE|PROD|DEV|TEST|STAGING|LIVE|[0-9]+))*=)",
        r#"([^\s"'`\\$*<(\[{][^\s"'`\\<>()\[\]{}]{7,})"#,
    );
    Regex::new(line).expect("the line compiles; a test sees to it")
});

/// The text of a file or a command without the values of such settings, if it had any.
fn without_settings(text: &str) -> Option<String> {
    let (mut done, mut at) = (String::new(), 0);
    for found in SETTING.captures_iter(text) {
        let (Some(lead), Some(value)) = (found.get(1), found.get(2)) else { continue };
        let rest = &text[value.end()..];
        let is_whole = rest.is_empty() || rest.starts_with(['\n', '\r', '\\']);
        if is_whole && value.as_str() != INSTEAD {
            done.push_str(&text[at..lead.end()]);
            done.push_str(INSTEAD);
            at = value.end();
        }
    }
    done.push_str(&text[at..]);
    (at > 0).then_some(done)
}

/// What a tool brought, without the values of secret settings: `DB_PASSWORD=…` as a line of its own.
pub fn hide_settings(value: &mut Value) {
    match value {
        Value::String(text) => {
            if let Some(hidden) = without_settings(text) {
                *text = hidden;
            }
        }
        Value::Array(items) => items.iter_mut().for_each(hide_settings),
        Value::Object(map) => map.values_mut().for_each(hide_settings),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

/// Whether something in it looks like a secret.
pub fn is_told(text: &str) -> bool {
    text.len() >= LEAST && ALL.is_match(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A word that is no secret of anybody, and not a shape in this file either.
    fn made(prefix: &str, letters: &str, length: usize) -> String {
        format!("{prefix}{}", letters.chars().cycle().take(length).collect::<String>())
    }

    fn secrets() -> Vec<(&'static str, String)> {
        let word = |prefix: &str, length| made(prefix, "aB3dE5gH7jK9", length);
        let jwt = format!("{}.{}.{}", word("eyJ", 20), word("eyJ", 30), word("", 40));
        vec![
            ("a provider's key", word("sk-", 48)),
            ("a provider's key", word("sk-ant-", 40)),
            ("a provider's key", word("sk-proj-", 40)),
            ("a Google key", word("AIza", 35)),
            ("a Google token", word("ya29.", 40)),
            ("a Groq key", word("gsk_", 40)),
            ("an xAI key", word("xai-", 60)),
            ("a Hugging Face token", word("hf_", 34)),
            ("an AWS key id", made("AKIA", "ABCDEFGH234567", 16)),
            ("an AWS secret key", word("aws_secret_access_key = ", 40)),
            ("an AWS secret key", word("\"SecretAccessKey\": \"", 40)),
            ("a GitHub token", word("ghp_", 36)),
            ("a GitHub token", word("github_pat_", 60)),
            ("a GitLab token", word("glpat-", 20)),
            ("a Slack token", word("xoxb-", 40)),
            ("a Slack app token", word("xapp-1-", 40)),
            ("a Slack webhook", word("https://hooks.slack.com/services/", 44)),
            ("a Stripe key", word("sk_live_", 24)),
            ("an npm token", word("npm_", 36)),
            ("a PyPI token", word("pypi-AgEIcHlwaS5vcmc", 60)),
            ("a SendGrid key", format!("{}.{}", word("SG.", 22), word("", 43))),
            ("a Twilio key", made("SK", "0123456789abcdef", 32)),
            ("a DigitalOcean token", made("dop_v1_", "0123456789abcdef", 64)),
            ("a Telegram token", word("123456789:AA", 33)),
            ("a vault token", word("hvs.", 24)),
            ("a JWT", jwt),
            ("a bearer token", word("Authorization: Bearer ", 40)),
            ("a password in an address", "postgres://ann:hunter22@db.example/x".to_owned()),
            ("an account key", word("AccountKey=", 86)),
            (
                "a private key",
                format!("-----BEGIN RSA {0}-----\nMIIB\nabc\n-----END RSA {0}-----", "PRIVATE KEY"),
            ),
            ("a private key", format!("-----BEGIN {}-----\\nMIIBcut", "PRIVATE KEY")),
        ]
    }

    #[test]
    fn every_shape_is_hidden_wherever_it_stands() {
        let named: Vec<&str> = SHAPES.iter().map(|it| it.0).chain([PRIVATE_KEY.0]).collect();
        let tried: Vec<&str> = secrets().iter().map(|it| it.0).collect();
        assert!(named.iter().all(|it| tried.contains(it)), "a shape without a case");
        for (name, secret) in secrets() {
            let core: String =
                secret.chars().rev().take(8).collect::<Vec<_>>().into_iter().rev().collect();
            for text in
                [secret.clone(), format!("the key ({secret}) is"), format!("k=\"{secret}\"")]
            {
                let hidden = hide(&text).unwrap_or_else(|| panic!("{name}: {text}"));
                let is_address = name == "a password in an address";
                assert!(!hidden.contains(if is_address { "hunter22" } else { &core }), "{hidden}");
                assert!(hidden.contains(INSTEAD) && is_told(&text), "{hidden}");
                assert_eq!(hide(&hidden), None, "once is enough: {hidden}");
            }
        }
    }

    #[test]
    fn every_shape_is_hidden_after_every_escape() {
        let escapes = [
            r"\n",
            r"\r",
            r"\t",
            r"\r\n",
            r"\b",
            r"\f",
            r#"\""#,
            r"\\",
            r"\/",
            r"\u000a",
            r"\u000A",
            r"\x0a",
            r"\012",
            r"\\n",
            r"\\t",
            r"\\\n",
            r"\\\\n",
            r"\\u000a",
            r"\\u0022",
            "%0A",
            "%20",
            "\u{1b}[31m",
            r"\u001b[1;31m",
            r"\x1b[0m",
            "\n",
            "\t",
        ];
        for (name, secret) in secrets() {
            let core = if name == "a password in an address" {
                "hunter22"
            } else {
                &secret[secret.len() - 8..]
            };
            for escape in escapes {
                for text in
                    [format!("{escape}{secret}"), format!("the key:{escape}{secret}{escape}x")]
                {
                    let hidden = hide(&text).unwrap_or_else(|| panic!("{name}: {text}"));
                    assert!(!hidden.contains(core) && is_told(&text), "{hidden}");
                    let lead = text.split(secret.as_str()).next().unwrap_or_default();
                    assert!(hidden.starts_with(lead), "{lead} stays: {hidden}");
                }
            }
            let mut quoted = format!("a\t\"{secret}\"\r\n{secret}\n");
            for _ in 0..4 {
                quoted = Value::String(quoted).to_string();
                let hidden = hide(&quoted).unwrap_or_else(|| panic!("{name}: {quoted}"));
                assert!(!hidden.contains(core), "{hidden}");
                let is_cut = name == "a private key";
                let is_json = serde_json::from_str::<Value>(&hidden).is_ok();
                assert!(is_cut || is_json, "it is JSON: {hidden}");
            }
        }
        let address = r"https:\/\/ann:hunter22@db.example\/x";
        assert_eq!(hide(address).as_deref(), Some(r"https:\/\/ann:[secret]@db.example\/x"));
    }

    #[test]
    fn settings_are_hidden_as_lines_and_source_code_is_not() {
        let shown = |text: &str| {
            let mut value = Value::from(text);
            hide_settings(&mut value);
            value.as_str().map(str::to_owned).unwrap_or_default()
        };
        for (text, hidden) in [
            ("DB_PASSWORD=hunter2hunter2", "DB_PASSWORD=[secret]"),
            ("A=1\nDB_PASSWORD=hunter2hunter2\r\nB=2\n", "A=1\nDB_PASSWORD=[secret]\r\nB=2\n"),
            ("API_KEY=12345678\nTOKEN=abcdefgh\n", "API_KEY=[secret]\nTOKEN=[secret]\n"),
            ("export APP_SECRET_KEY=a&b$c;d!e", "export APP_SECRET_KEY=[secret]"),
            ("     3\u{2192}APIKEY=abcdefgh", "     3\u{2192}APIKEY=[secret]"),
            ("conf/app.conf:12:X_TOKEN=abcdefgh", "conf/app.conf:12:X_TOKEN=[secret]"),
            ("+DB_PASSWORD=hunter2hunter2", "+DB_PASSWORD=[secret]"),
            (r"A=1\nDB_PASSWORD=hunter2hunter2\n", r"A=1\nDB_PASSWORD=[secret]\n"),
        ] {
            assert_eq!(shown(text), hidden);
            assert_eq!(shown(hidden), hidden, "once is enough");
        }
        for text in [
            "password = get_password()",
            "PASSWORD=get_password()",
            "DB_PASSWORD=\"hunter2hunter2\"",
            "API_KEY=os.environ['API_KEY']",
            "TOKEN=$TOKEN_OF_CI",
            "SECRET=${SECRET_OF_CI}",
            "API_KEY=<your key>",
            "PASSWORD=short",
            "MAX_TOKENS=100000000",
            "TOKEN_URL=https://example.com/token",
            "PASSWORD_FILE=/run/secrets/password",
            "PASSWORD=hunter2hunter2 psql -h db",
            "const API_TOKEN=abcdefghij;",
            "db_password=hunter2hunter2",
        ] {
            assert_eq!(shown(text), text);
        }
    }

    #[test]
    fn what_stands_around_it_stays() {
        let told = hide("see postgres://ann:hunter22@db.example/x now");
        assert_eq!(told.as_deref(), Some("see postgres://ann:[secret]@db.example/x now"));
        let told = hide(&made("Authorization: Bearer ", "aB3", 30));
        assert_eq!(told.as_deref(), Some("Authorization: Bearer [secret]"));
    }

    #[test]
    fn ordinary_text_is_left_alone() {
        let plain = [
            "the quick brown fox jumps over the lazy dog",
            "task-management-system-with-many-words-in-its-name",
            "sk-short",
            "AKIA is how key ids begin",
            "4bf92f3577b34da6a3ce929d0e0e4736",
            "r_7k2mabcdefghijklmnopqrstuv",
            "https://example.com/a/b?c=d:e@f",
            "http://localhost:11434/v1",
            "eyJhbGciOiJub25lIn0 alone is a header",
            "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
            "Bearer of bad news",
            "ghp_tooshort",
            "2026-11-27T14:00:00.000000Z",
            "bearer tokens are described in the standard",
            "SKELETON and SKETCH",
            "[secret]",
        ];
        for text in plain {
            assert_eq!(hide(text), None, "{text}");
        }
    }

    #[test]
    fn long_text_takes_linear_time() {
        for piece in [
            "eyJ",
            "sk-",
            "-----BEGIN PRIVATE KEY",
            "Bearer ",
            "a",
            "://a:",
            "\\",
            "\\n",
            "[",
            "A_",
            "1:",
        ] {
            let long = piece.repeat(200_000);
            let _ = (hide(&long), without_settings(&long));
        }
    }
}
