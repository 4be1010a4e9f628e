//! The two ways of asking a model over one transport: chat completions, and responses.

use callboard_config::Endpoint;
use serde_json::Value;

use super::assembly::Assembly;
use super::body::{self, Body};
use super::classify::Asked;
use super::complaint::Complaint;
use super::decode::{self, Whole};
use super::exchange::Request;
use super::fault::Fault;
use super::items::Items;
use super::manners::Manners;
use super::responses;

/// How an endpoint is spoken to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Chat,
    Responses,
}

impl Dialect {
    /// What the owner wrote, else chat until the endpoint turned out not to serve it.
    pub(crate) fn of(endpoint: &Endpoint, manners: &Manners) -> Dialect {
        match endpoint.chat.unwrap_or(!manners.has_no_chat) {
            true => Dialect::Chat,
            false => Dialect::Responses,
        }
    }

    pub(crate) fn path(self) -> &'static str {
        match self {
            Dialect::Chat => "/chat/completions",
            Dialect::Responses => "/responses",
        }
    }

    pub(crate) fn body<'a>(
        self,
        request: &'a Request,
        endpoint: &Endpoint,
        manners: &Manners,
        stream: bool,
    ) -> Body<'a> {
        match self {
            Dialect::Chat => body::body(request, &endpoint.max_tokens_field, manners, stream),
            Dialect::Responses => {
                let fields = responses::body(request, manners, stream);
                Body { fields, lists: Vec::new() }
            }
        }
    }

    /// The parts of an answer that was not streamed.
    pub(crate) fn whole(self, asked: &Asked<'_>, answer: Value) -> Result<Whole, Fault> {
        match self {
            Dialect::Chat => decode::whole(asked, answer),
            Dialect::Responses => responses::whole(asked, answer),
        }
    }

    /// An answer of which nothing has arrived.
    pub(crate) fn nothing(self) -> Arrived {
        match self {
            Dialect::Chat => Arrived::Chat(Assembly::default()),
            Dialect::Responses => Arrived::Responses(Items::default()),
        }
    }
}

/// What has arrived of a streamed answer.
pub(crate) enum Arrived {
    Chat(Assembly),
    Responses(Items),
}

impl Arrived {
    /// Takes one event that holds no error.
    pub(crate) fn take(&mut self, event: Value) {
        match self {
            Arrived::Chat(it) => it.take(event),
            Arrived::Responses(it) => it.take(event),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        match self {
            Arrived::Chat(it) => it.is_empty(),
            Arrived::Responses(it) => it.is_empty(),
        }
    }

    /// Whether the end was seen; `done` = the stream said `[DONE]`, which is enough for chat.
    pub(crate) fn is_complete(&self, done: bool) -> bool {
        match self {
            Arrived::Chat(it) => it.is_complete(done),
            Arrived::Responses(it) => it.is_complete(),
        }
    }

    pub(crate) fn is_silent(&self) -> bool {
        match self {
            Arrived::Chat(it) => it.is_silent(),
            Arrived::Responses(it) => it.is_silent(),
        }
    }

    pub(crate) fn whole(self, asked: &Asked<'_>) -> Result<Whole, Fault> {
        match self {
            Arrived::Chat(it) => Ok(it.whole()),
            Arrived::Responses(it) => it.whole(asked),
        }
    }
}

/// Whether a refusal says that chat is not served here, rather than that something else is wrong.
pub(crate) fn refuses_chat(status: u16, told: &Complaint) -> bool {
    let points_away = told.says(&["v1/responses", "/responses", "responses api"]);
    match status {
        405 => true,
        404 => points_away || !told.says(&["model"]),
        400 => points_away,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_refusal_of_chat_itself_leads_elsewhere() {
        let only = r#"{"error": {"message": "This model is only supported in v1/responses."}}"#;
        let model = r#"{"error": {"message": "model \"x\" not found, try pulling it first"}}"#;
        for (status, body, expected) in [
            (404, "", true),
            (404, r#"{"detail": "Not Found"}"#, true),
            (404, r#"{"error": {"message": "Invalid URL (POST /v1/chat/completions)"}}"#, true),
            (404, only, true),
            (400, only, true),
            (405, "", true),
            (404, model, false),
            (404, r#"{"error": {"message": "no", "code": "model_not_found"}}"#, false),
            (400, r#"{"error": {"message": "messages must not be empty"}}"#, false),
            (401, only, false),
            (500, only, false),
        ] {
            assert_eq!(
                refuses_chat(status, &Complaint::of_body(body)),
                expected,
                "{status} {body}"
            );
        }
    }
}
