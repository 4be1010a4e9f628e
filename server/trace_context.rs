//! Which trace a call belongs to: what the request says, else its HTTP header, else the environment
//! of a process that was started for one client.

use callboard_scheduler::Desk;
use callboard_tools::Outcome;
use callboard_trace::{Caller, RunId};
use rmcp::model::Extensions;
use serde_json::{Map, Value};

/// Its name in `_meta` and as a header.
const FIELD: &str = "traceparent";
/// Its name in the environment.
const VARIABLE: &str = "TRACEPARENT";

/// The trace that this process was started in.
pub(crate) fn of_process() -> Option<String> {
    callboard_config::environment(VARIABLE).filter(|it| is_valid(it))
}

/// Puts the trace into `_meta` that the call belongs to, and nothing that is none.
pub(crate) fn settle(
    meta: &mut Map<String, Value>,
    extensions: &Extensions,
    of_process: Option<&str>,
) {
    let said = meta.shift_remove(FIELD);
    let said = said.as_ref().and_then(Value::as_str);
    let parts = extensions.get::<http::request::Parts>();
    let header = parts.and_then(|it| it.headers.get(FIELD)?.to_str().ok());
    if let Some(trace) = [said, header, of_process].into_iter().flatten().find(|it| is_valid(it)) {
        meta.insert(FIELD.to_owned(), trace.into());
    }
}

/// Says in `_meta` in which trace the run is that a result shows.
pub(crate) async fn tell(
    desk: &Desk,
    outcome: &Outcome,
    caller: &Caller,
    meta: &mut Map<String, Value>,
) {
    let Some(run) = outcome.body.get("run").and_then(Value::as_str) else { return };
    if let Ok(Some(trace)) = desk.traceparent(&RunId::from_text(run), caller).await {
        meta.insert(FIELD.to_owned(), trace.into());
    }
}

/// Whether this is a trace context as the W3C writes it; later versions may go on behind the flags.
fn is_valid(text: &str) -> bool {
    let hex = |it: &str, length| {
        it.len() == length && it.bytes().all(|it| matches!(it, b'0'..=b'9' | b'a'..=b'f'))
    };
    let names = |it: &str, length| hex(it, length) && it.bytes().any(|it| it != b'0');
    match text.split('-').collect::<Vec<_>>().as_slice() {
        [version, trace, span, flags, rest @ ..] => {
            let is_known = hex(version, 2)
                && match *version {
                    "00" => rest.is_empty(),
                    "ff" => false,
                    _ => true,
                };
            is_known && names(trace, 32) && names(span, 16) && hex(flags, 2)
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = "00-11111111111111111111111111111111-1111111111111111-01";
    const TWO: &str = "00-22222222222222222222222222222222-2222222222222222-00";
    const THREE: &str = "00-33333333333333333333333333333333-3333333333333333-01";

    fn settled(said: Option<Value>, header: Option<&str>, of_process: Option<&str>) -> Value {
        let mut extensions = Extensions::new();
        if let Some(header) = header {
            let request = http::Request::builder().header("traceparent", header).body(());
            extensions.insert(request.expect("a request").into_parts().0);
        }
        let mut meta = Map::new();
        meta.extend(said.map(|it| (FIELD.to_owned(), it)));
        settle(&mut meta, &extensions, of_process);
        meta.get(FIELD).cloned().unwrap_or_default()
    }

    #[test]
    fn the_request_goes_before_the_header_and_that_before_the_process() {
        assert_eq!(settled(Some(ONE.into()), Some(TWO), Some(THREE)), ONE);
        assert_eq!(settled(None, Some(TWO), Some(THREE)), TWO);
        assert_eq!(settled(None, None, Some(THREE)), THREE);
        assert_eq!(settled(None, None, None), Value::Null);
        assert_eq!(settled(Some("nonsense".into()), Some(TWO), None), TWO);
        assert_eq!(settled(Some(7.into()), Some("nonsense"), Some(THREE)), THREE);
        assert_eq!(settled(Some("nonsense".into()), None, None), Value::Null);
    }

    #[test]
    fn what_is_no_trace_context_is_none() {
        let later = ONE.replacen("00", "cc", 1);
        for right in [ONE, TWO, &later, &format!("{later}-more")] {
            assert!(is_valid(right), "{right}");
        }
        let wrong = [
            String::new(),
            "00".to_owned(),
            ONE.replacen("00", "ff", 1),
            ONE.replacen("00", "0", 1),
            format!("{ONE}-more"),
            ONE.replace("-01", "-1"),
            ONE.replace("1111111111111111-01", "0000000000000000-01"),
            ONE.replace('1', "0"),
            ONE.replace('1', "A"),
            ONE.replace('1', "g"),
        ];
        for wrong in wrong {
            assert!(!is_valid(&wrong), "{wrong}");
        }
    }
}
