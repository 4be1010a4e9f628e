//! `team_read`: pages through anything that has a uri.

use callboard_config::Limits;

use serde_json::{Value, json};

use crate::call::Asked;
use crate::check::Result;
use crate::excerpt::PATTERN_CHARS;
use crate::fields::Field;
use crate::follow::whole;
use crate::resource::{Reading, read};

/// Its name.
pub(crate) const NAME: &str = "team_read";
/// What a model is told of it.
pub(crate) const SAYS: &str = "Reads a uri in pages; `grep` picks lines.";
/// Tokens of a page, unless the caller says otherwise.
const TOKENS: usize = 2_000;
/// Tokens of the largest page.
const TOKENS_MAX: usize = 10_000;
/// Bytes of a token.
const TOKEN_BYTES: usize = 4;

/// What it takes.
pub(crate) fn fields(_limits: &Limits) -> Vec<Field> {
    let uri = json!({"type": "string", "minLength": 1, "maxLength": 300});
    let offset = json!({"type": "integer", "minimum": 0});
    let tokens = json!({"type": "integer", "minimum": 1, "maximum": TOKENS_MAX});
    let grep = json!({"type": "string", "minLength": 1, "maxLength": PATTERN_CHARS});
    vec![
        Field::required("uri", uri, "`team://…` or the name of a run or artifact"),
        Field::optional("offset", offset, "`next_offset` of the page before"),
        Field::optional("max_tokens", tokens, format!("tokens of the page, 1..{TOKENS_MAX}")),
        Field::optional("grep", grep, "a regular expression that lines must match"),
    ]
}

/// Reads a page.
///
/// # Errors
/// As [`read`].
pub(crate) async fn apply(asked: Asked<'_>) -> Result<Value> {
    let Asked { desk, arguments, caller, .. } = asked;
    let text = |name: &str| arguments.get(name).and_then(Value::as_str).map(str::to_owned);
    let number = |name: &str| whole(arguments.get(name)).and_then(|it| usize::try_from(it).ok());
    let reading = Reading {
        uri: text("uri").unwrap_or_default(),
        offset: number("offset").unwrap_or(0),
        most: number("max_tokens").unwrap_or(TOKENS).saturating_mul(TOKEN_BYTES),
        grep: text("grep"),
    };
    let page = read(desk, &reading, caller).await?;
    let mut body = json!({"uri": page.uri, "text": page.text, "bytes": page.bytes});
    if let Some(next) = page.next_offset {
        body["next_offset"] = json!(next);
    }
    if let Some(matches) = page.matches {
        body["matches"] = json!(matches);
    }
    Ok(body)
}
