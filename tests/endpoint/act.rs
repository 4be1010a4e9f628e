//! What the endpoint does with one request.

use std::time::Duration;

use serde_json::{Value, json};

/// One answer, good or bad; the same act works for a streamed and for a plain request.
#[derive(Clone, Debug)]
pub(crate) struct Act {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Body,
    pub(super) finish: Option<String>,
    pub(super) usage: Option<Value>,
    pub(super) has_done: bool,
    pub(super) before: Duration,
    pub(super) between: Duration,
    pub(super) end: End,
}

/// What is sent.
#[derive(Clone, Debug)]
pub(super) enum Body {
    /// An assistant message, as events or as one body.
    Message(Value),
    /// These bytes, piece by piece, whatever was asked for.
    Bytes { kind: String, pieces: Vec<Vec<u8>> },
}

/// How it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// As it should.
    Whole,
    /// After so many pieces, as if that were all.
    Short(usize),
    /// The connection breaks after so many pieces.
    Cut(usize),
    /// Nothing more comes after so many pieces; before the status line if 0.
    Stall(usize),
}

impl Act {
    /// Says a text.
    pub(crate) fn say(text: &str) -> Act {
        Act::message(json!({"role": "assistant", "content": text}))
    }

    /// Gives an answer object as its text.
    pub(crate) fn answer(answer: &Value) -> Act {
        Act::say(&answer.to_string())
    }

    /// Calls one tool.
    pub(crate) fn call(tool: &str, arguments: Value) -> Act {
        Act::calls(&[(tool, arguments)])
    }

    /// Calls several tools at once.
    pub(crate) fn calls(calls: &[(&str, Value)]) -> Act {
        let call = |(nth, (tool, arguments)): (usize, &(&str, Value))| {
            let function = json!({"name": tool, "arguments": arguments.to_string()});
            json!({"id": format!("call_{tool}_{nth}"), "type": "function", "function": function})
        };
        let calls: Vec<Value> = calls.iter().enumerate().map(call).collect();
        Act::message(json!({"role": "assistant", "content": null, "tool_calls": calls}))
    }

    /// Sends this assistant message, with whatever fields it has.
    pub(crate) fn message(message: Value) -> Act {
        Act {
            status: 200,
            headers: Vec::new(),
            body: Body::Message(message),
            finish: None,
            usage: Some(json!({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15})),
            has_done: true,
            before: Duration::ZERO,
            between: Duration::ZERO,
            end: End::Whole,
        }
    }

    /// Refuses, with an error object as its body.
    pub(crate) fn status(status: u16) -> Act {
        let error = json!({"error": {"message": format!("scripted {status}"), "code": status}});
        Act::error(status, &error)
    }

    /// Refuses, with this body.
    pub(crate) fn error(status: u16, body: &Value) -> Act {
        Act { status, ..Act::bytes("application/json", vec![body.to_string().into_bytes()]) }
    }

    /// Sends these pieces of bytes, streamed or not.
    pub(crate) fn bytes(kind: &str, pieces: Vec<Vec<u8>>) -> Act {
        Act { body: Body::Bytes { kind: kind.to_owned(), pieces }, ..Act::say("") }
    }

    /// Sends this text as a stream of events, in one piece.
    pub(crate) fn events(text: &str) -> Act {
        Act::bytes("text/event-stream", vec![text.as_bytes().to_vec()])
    }

    /// Answers 200 with a web page.
    pub(crate) fn page() -> Act {
        Act::bytes("text/html", vec![b"<!DOCTYPE html><html><body>hello</body></html>".to_vec()])
    }

    /// Answers 200 with nothing.
    pub(crate) fn empty() -> Act {
        Act::bytes("text/event-stream", Vec::new())
    }

    /// Answers 200 with JSON that is broken.
    pub(crate) fn garbage() -> Act {
        let text = "data: {\"choices\": [{\"delta\": {\"content\": }]}\n\ndata: [DONE]\n\n";
        Act::events(text)
    }

    /// Takes the request and never answers.
    pub(crate) fn silence() -> Act {
        Act::say("").stalls_after(0)
    }

    /// The message that it sends; null where it sends none.
    pub(super) fn said(&self) -> Value {
        match &self.body {
            Body::Message(message) => message.clone(),
            Body::Bytes { .. } => Value::Null,
        }
    }

    /// With another status.
    pub(crate) fn with_status(self, status: u16) -> Act {
        Act { status, ..self }
    }

    /// With a header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Act {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With another reason for the stop; `null` would be the empty text.
    pub(crate) fn finish(self, reason: &str) -> Act {
        Act { finish: Some(reason.to_owned()), ..self }
    }

    /// With other counts; null sends none.
    pub(crate) fn usage(self, usage: Value) -> Act {
        Act { usage: Some(usage).filter(|it| !it.is_null()), ..self }
    }

    /// Without `[DONE]` at the end of a stream.
    pub(crate) fn without_done(self) -> Act {
        Act { has_done: false, ..self }
    }

    /// Thinks before the first byte.
    pub(crate) fn after(self, pause: Duration) -> Act {
        Act { before: pause, ..self }
    }

    /// Pauses between pieces; with `drips`, between bytes.
    pub(crate) fn slowly(self, pause: Duration) -> Act {
        Act { between: pause, ..self }
    }

    /// Ends cleanly after so many pieces, complete or not.
    pub(crate) fn ends_after(self, pieces: usize) -> Act {
        Act { end: End::Short(pieces), ..self }
    }

    /// Breaks the connection after so many pieces.
    pub(crate) fn cut_after(self, pieces: usize) -> Act {
        Act { end: End::Cut(pieces), ..self }
    }

    /// Sends so many pieces and then nothing, with the connection open.
    pub(crate) fn stalls_after(self, pieces: usize) -> Act {
        Act { end: End::Stall(pieces), ..self }
    }
}
