//! What a refusal, an error inside a reply, or a broken connection means for the next attempt.

use std::time::Duration;

use callboard_trace::FailureCode;
use serde_json::Value;

use super::complaint::Complaint;
use super::fault::Fault;
use super::redact::Secrets;

/// Who was asked, for the words of a fault.
pub(crate) struct Asked<'a> {
    pub(crate) provider: &'a str,
    pub(crate) model: &'a str,
    /// Where the key was said to be.
    pub(crate) key_source: Option<&'a str>,
    pub(crate) has_key: bool,
    pub(crate) secrets: &'a Secrets,
}

impl Asked<'_> {
    /// A fault whose message holds no secret.
    pub(crate) fn fault(&self, code: FailureCode, retryable: bool, message: &str) -> Fault {
        Fault::new(code, retryable, self.secrets.hide(message))
    }

    pub(crate) fn bad_reply(&self, message: &str) -> Fault {
        self.fault(FailureCode::BadReply, true, message)
    }
}

/// An answer that is not 2xx.
pub(crate) fn refused(
    asked: &Asked<'_>,
    status: u16,
    told: &Complaint,
    retry_after: Option<Duration>,
) -> Fault {
    let name = asked.provider;
    let said = said(told);
    let answered = format!("provider \"{name}\" answered {status}{said}");
    let (code, retryable, message) = match status {
        401 | 403 => (FailureCode::Unauthorized, false, unauthorized(asked, status, &said)),
        429 if is_spent(told) => (FailureCode::RateLimited, false, spent(asked, &said)),
        429 => (FailureCode::RateLimited, true, answered),
        503 if retry_after.is_some() => (FailureCode::RateLimited, true, answered),
        400 | 413 | 422 | 500 if status == 413 || is_overflow(told) => {
            (FailureCode::ContextOverflow, false, overflow(asked, &said))
        }
        408 | 504 => (FailureCode::Timeout, true, answered),
        409 | 425 | 500..=599 => (FailureCode::ModelUnavailable, true, answered),
        404 => {
            let model = asked.model;
            let hint = "check the model's name and the provider's base_url";
            (FailureCode::BadRequest, false, format!("{answered}, asked for \"{model}\"; {hint}"))
        }
        300..=399 => {
            let hint = format!("set providers.{name}.base_url to where it leads");
            (FailureCode::BadRequest, false, format!("{answered}; {hint}"))
        }
        _ => (FailureCode::BadRequest, false, answered),
    };
    let mut fault = asked.fault(code, retryable, &message);
    fault.retry_after = retry_after.filter(|_| retryable);
    fault
}

/// An error inside an answer that was 200.
pub(crate) fn told(asked: &Asked<'_>, error: &Value) -> Fault {
    let told = Complaint::of(error);
    let limited = told.says(&["rate_limit", "rate limit", "too many requests"]);
    let refused = match told.status() {
        Some(status @ (400..=404 | 413 | 422 | 429)) => refused(asked, status, &told, None),
        Some(_) | None if is_overflow(&told) => refused(asked, 400, &told, None),
        Some(_) | None if limited || is_spent(&told) => refused(asked, 429, &told, None),
        Some(_) | None => {
            let name = asked.provider;
            let message = format!("provider \"{name}\" broke off with an error{}", said(&told));
            asked.bad_reply(&message)
        }
    };
    let told = asked.secrets.hide(&told.message);
    tracing::debug!(provider = asked.provider, %told, "error inside a reply");
    refused
}

/// A connection that was not made, or broke before a reply began.
pub(crate) fn unreachable(asked: &Asked<'_>, error: &reqwest::Error) -> Fault {
    let name = asked.provider;
    let cause = root_cause(error);
    if error.is_timeout() {
        let message = format!("provider \"{name}\" took no connection in time; check its base_url");
        return asked.fault(FailureCode::Timeout, true, &message);
    }
    let message = match error.is_connect() {
        true => format!("provider \"{name}\" cannot be reached: {cause}; check its base_url"),
        false => format!("provider \"{name}\" broke off before its reply: {cause}"),
    };
    asked.fault(FailureCode::ModelUnavailable, true, &message)
}

/// The innermost words of an error: the outer ones repeat the address, which may hold a secret.
pub(crate) fn root_cause(error: &(dyn std::error::Error + 'static)) -> String {
    let mut last = error;
    while let Some(inner) = last.source() {
        last = inner;
    }
    last.to_string()
}

fn said(told: &Complaint) -> String {
    let first = [&told.message, &told.kind, &told.code].into_iter().find(|it| !it.is_empty());
    first.map(|it| format!(": {it}")).unwrap_or_default()
}

/// A 401 quotes the key, so only a 403 is quoted.
fn unauthorized(asked: &Asked<'_>, status: u16, said: &str) -> String {
    let name = asked.provider;
    let way_out = match (asked.has_key, asked.key_source) {
        (true, Some(source)) => format!("check the key in {source}"),
        (true, None) => format!("check providers.{name}.api_key"),
        (false, Some(source)) => format!("{source} holds no key"),
        (false, None) => format!("set providers.{name}.api_key, such as env:NAME"),
    };
    match status {
        403 => format!("provider \"{name}\" refused access (403){said}; {way_out}"),
        _ => format!("provider \"{name}\" refused the key ({status}); {way_out}"),
    }
}

fn spent(asked: &Asked<'_>, said: &str) -> String {
    format!("provider \"{}\" has no quota left{said}; see its billing page", asked.provider)
}

fn overflow(asked: &Asked<'_>, said: &str) -> String {
    let Asked { provider, model, .. } = asked;
    format!("the prompt does not fit \"{model}\" at provider \"{provider}\"{said}")
}

/// A 429 that no waiting mends.
fn is_spent(told: &Complaint) -> bool {
    told.says(&[
        "insufficient_quota",
        "billing_hard_limit",
        "billing_not_active",
        "exceeded your current quota",
    ])
}

pub(crate) fn is_overflow(told: &Complaint) -> bool {
    told.says(&[
        "context_length_exceeded",
        "exceed_context_size",
        "context length",
        "context window",
        "context size",
        "maximum context",
        "prompt is too long",
        "input is too long",
        "too many tokens",
        "reduce the length of the messages",
        "exceeds the maximum number of tokens",
    ])
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn asked(secrets: &Secrets) -> Asked<'_> {
        let key_source = Some("env:ACME_KEY");
        Asked { provider: "acme", model: "m1", key_source, has_key: true, secrets }
    }

    fn on(status: u16, body: &str, retry_after: Option<u64>) -> Fault {
        let secrets = Secrets::default();
        let pause = retry_after.map(Duration::from_secs);
        refused(&asked(&secrets), status, &Complaint::of_body(body), pause)
    }

    #[test]
    fn every_status_has_its_meaning() {
        use FailureCode::{
            BadRequest, ContextOverflow, ModelUnavailable, RateLimited, Timeout, Unauthorized,
        };
        let overflow =
            r#"{"error":{"message":"the prompt is too long","code":"context_length_exceeded"}}"#;
        let quota = r#"{"error":{"message":"pay","type":"insufficient_quota"}}"#;
        let cases = [
            (301, "", None, BadRequest, false),
            (400, "{}", None, BadRequest, false),
            (400, overflow, None, ContextOverflow, false),
            (401, "{}", None, Unauthorized, false),
            (402, "{}", None, BadRequest, false),
            (403, "{}", None, Unauthorized, false),
            (404, "", None, BadRequest, false),
            (408, "", None, Timeout, true),
            (409, "", None, ModelUnavailable, true),
            (413, "", None, ContextOverflow, false),
            (422, overflow, None, ContextOverflow, false),
            (425, "", None, ModelUnavailable, true),
            (429, "busy", None, RateLimited, true),
            (429, "busy", Some(2), RateLimited, true),
            (429, quota, Some(2), RateLimited, false),
            (500, "", None, ModelUnavailable, true),
            (500, overflow, None, ContextOverflow, false),
            (502, "<html>", None, ModelUnavailable, true),
            (503, "", None, ModelUnavailable, true),
            (503, "", Some(9), RateLimited, true),
            (504, "", None, Timeout, true),
            (529, "", None, ModelUnavailable, true),
        ];
        for (status, body, pause, code, retryable) in cases {
            let fault = on(status, body, pause);
            assert_eq!((fault.code, fault.retryable), (code, retryable), "{status} {body}");
            let kept = pause.map(Duration::from_secs).filter(|_| retryable);
            assert_eq!(fault.retry_after, kept, "{status} {body}");
        }
    }

    #[test]
    fn a_refused_key_names_its_source_and_never_itself() {
        let fault = on(401, r#"{"error":{"message":"Incorrect API key provided: abc"}}"#, None);
        assert_eq!(
            fault.message,
            "provider \"acme\" refused the key (401); check the key in env:ACME_KEY"
        );
        let secrets = Secrets::default();
        let none = Asked {
            provider: "p",
            model: "m",
            key_source: None,
            has_key: false,
            secrets: &secrets,
        };
        let fault = refused(&none, 401, &Complaint::default(), None);
        assert_eq!(
            fault.message,
            "provider \"p\" refused the key (401); set providers.p.api_key, such as env:NAME"
        );
    }

    #[test]
    fn errors_inside_a_reply_are_taken_at_their_word() {
        use FailureCode::{BadReply, BadRequest, ContextOverflow, RateLimited, Unauthorized};
        let cases = [
            (json!({"message": "Provider returned error", "code": 502}), BadReply, true),
            (json!({"code": 429, "message": "rate"}), RateLimited, true),
            (json!({"message": "boom", "type": "server_error", "code": 500}), BadReply, true),
            (json!({"message": "m", "type": "t", "param": null, "code": "c"}), BadReply, true),
            (json!({"message": "m", "type": "t", "code": 400}), BadRequest, false),
            (json!({"code": 400, "status": "INVALID_ARGUMENT"}), BadRequest, false),
            (json!({"code": "rate_limit_exceeded", "message": "slow"}), RateLimited, true),
            (json!({"code": "context_length_exceeded"}), ContextOverflow, false),
            (json!({"type": "insufficient_quota"}), RateLimited, false),
            (json!({"code": 401, "message": "no"}), Unauthorized, false),
            (json!("boom"), BadReply, true),
            (json!(true), BadReply, true),
        ];
        let secrets = Secrets::default();
        for (error, code, retryable) in cases {
            let fault = told(&asked(&secrets), &error);
            assert_eq!((fault.code, fault.retryable), (code, retryable), "{error}");
        }
    }
}
