//! Secrets taken out of texts that may be recorded or shown.

use callboard_config::{Endpoint, ExposeSecret};

/// The secrets of one provider.
#[derive(Default)]
pub(crate) struct Secrets(Vec<String>);

/// A header's value shorter than this is no secret, and would be found in any text.
const SECRET_MIN: usize = 6;

/// What stands in a secret's place.
const HIDDEN: &str = "[redacted]";

impl Secrets {
    pub(crate) fn of(endpoint: &Endpoint) -> Secrets {
        let key = endpoint.api_key.iter();
        let values = key.chain(endpoint.headers.values()).map(|it| it.expose_secret().trim());
        let mut all: Vec<String> = values.flat_map(with_parts).collect();
        all.sort_by_key(|it| std::cmp::Reverse(it.len()));
        all.dedup();
        Secrets(all)
    }

    /// The text without any secret, and without words that look like a key or its remains.
    pub(crate) fn hide(&self, text: &str) -> String {
        let hidden = self.0.iter().fold(text.to_owned(), |text, it| text.replace(it, HIDDEN));
        hidden.split_inclusive(char::is_whitespace).map(hide_key).collect()
    }
}

/// `Bearer abc` is a secret, and so is `abc` alone.
fn with_parts(value: &str) -> impl Iterator<Item = String> {
    let last = value.rsplit(char::is_whitespace).next().unwrap_or(value);
    [value, last].into_iter().filter(|it| it.len() >= SECRET_MIN).map(str::to_owned)
}

/// Providers quote a wrong key with its middle starred out; what is left of it is still a secret.
fn hide_key(word: &str) -> String {
    let bare = word.trim_matches(|it: char| !it.is_alphanumeric() && it != '*');
    let starred = bare.contains("***") && bare.len() > SECRET_MIN;
    let key_like = bare.starts_with("sk-") && bare.len() > 12;
    if starred || key_like { word.replace(bare, HIDDEN) } else { word.to_owned() }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use callboard_config::SecretString;

    use super::*;

    fn secrets(key: &str, headers: &[(&str, &str)]) -> Secrets {
        let secret = |it: &str| SecretString::from(it.to_owned());
        let headers: BTreeMap<String, SecretString> =
            headers.iter().map(|(name, it)| ((*name).to_owned(), secret(it))).collect();
        Secrets::of(&Endpoint {
            base_url: "http://localhost".to_owned(),
            api_key: Some(secret(key)),
            key_source: None,
            headers,
            connect_s: 1,
            idle_s: 1,
            total_s: 1,
            stream: true,
            max_tokens_field: "max_tokens".to_owned(),
            chat: None,
        })
    }

    #[test]
    fn keys_and_header_values_are_hidden_wherever_they_stand() {
        let it = secrets("secret-key-1", &[("x-auth", "Bearer tok-en-22"), ("x-v", "1")]);
        let text = it.hide("a secret-key-1, \"secret-key-1\" tok-en-22; Bearer tok-en-22 v1");
        assert_eq!(text, "a [redacted], \"[redacted]\" [redacted]; [redacted] v1");
    }

    #[test]
    fn what_is_left_of_a_starred_key_is_hidden() {
        let it = secrets("other-key", &[]);
        assert_eq!(it.hide("key: sk-pro********1234."), "key: [redacted].");
        assert_eq!(it.hide("(sk-ant-REDACTED)"), "([redacted])");
        assert_eq!(it.hide("2 ** 3 and a-b-c"), "2 ** 3 and a-b-c");
    }
}
