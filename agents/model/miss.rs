//! Why one try brought no reply, from what is known about its exchange.

use std::time::Duration;

use async_openai::error::OpenAIError;
use callboard_trace::FailureCode;

use super::classify::{Asked, root_cause, unreachable};
use super::complaint::Complaint;
use super::fault::Fault;
use super::filter::Stop;
use super::transport::{Broken, Probe};

/// Why one try brought nothing; a refusal may teach.
pub(crate) enum Miss {
    Fault(Fault),
    Refused { status: u16, told: Complaint, retry_after: Option<Duration> },
}

impl From<Fault> for Miss {
    fn from(fault: Fault) -> Miss {
        Miss::Fault(fault)
    }
}

/// What the client library told, unless the probe knows better. The words of a parser are left
/// out: they quote the reply.
pub(crate) fn missed(asked: &Asked<'_>, probe: &Probe, error: &OpenAIError) -> Miss {
    if let Some(broken) = probe.broken() {
        return broke(asked, broken);
    }
    let name = asked.provider;
    let is_json = !matches!(error, OpenAIError::JSONDeserialize(..));
    let is_event = !matches!(error, OpenAIError::StreamError(_));
    let message = match (is_json, is_event) {
        (false, _) if probe.seen().torn => {
            format!("the stream of provider \"{name}\" broke off inside an event")
        }
        (false, _) => format!("provider \"{name}\" gave a reply that is no JSON"),
        (true, false) => format!("provider \"{name}\" gave a stream that cannot be read"),
        (true, true) => {
            format!("provider \"{name}\" cannot be asked: {}", root_cause(error))
        }
    };
    asked.bad_reply(&message).into()
}

/// A stream that ended without a word about it.
pub(crate) fn ended(asked: &Asked<'_>, probe: &Probe, is_empty: bool) -> Miss {
    if let Some(broken) = probe.broken() {
        return broke(asked, broken);
    }
    let name = asked.provider;
    let message = match is_empty {
        true => format!("provider \"{name}\" gave an empty reply"),
        false => format!("the stream of provider \"{name}\" ended before the reply was complete"),
    };
    asked.bad_reply(&message).into()
}

fn broke(asked: &Asked<'_>, broken: Broken) -> Miss {
    let name = asked.provider;
    let bad = |what: &str| asked.bad_reply(&format!("provider \"{name}\" {what}")).into();
    match broken {
        Broken::Refused { status, body, retry_after } => {
            Miss::Refused { status, told: Complaint::of_body(&body), retry_after }
        }
        Broken::Unreachable(error) => unreachable(asked, &error).into(),
        Broken::Idle(idle) => {
            let seconds = idle.as_secs();
            let message = format!(
                "provider \"{name}\" sent no byte for {seconds} s; raise providers.{name}.idle_s"
            );
            asked.fault(FailureCode::Timeout, true, &message).into()
        }
        Broken::Cut(error) => bad(&format!("broke off its reply: {}", root_cause(&error))),
        Broken::Stopped(Stop::Reply) => bad("sent a reply larger than limits.reply_bytes"),
        Broken::Stopped(Stop::Event) => bad("sent an event larger than limits.event_bytes"),
        Broken::Stopped(Stop::Page) => {
            bad("answered with a web page instead of a reply; check its base_url")
        }
    }
}
