//! How far a run is with its own list of what is to be done.

use serde_json::Value;

use crate::Event;
use crate::story::line;

/// Takes in a note: where it is the list, `told` says how far that is, such as `2 of 5: writing the
/// tests`; nothing for an empty one.
pub(crate) fn take(slot: &str, list: &Value, told: &mut Option<String>) {
    if slot != Event::TODO {
        return;
    }
    let all = list.as_array().map_or(&[][..], Vec::as_slice);
    let of = |status: &str| all.iter().filter(|it| it["status"] == status).collect::<Vec<_>>();
    let count = format!("{} of {}", of("completed").len(), all.len());
    let doing = of("in_progress")
        .first()
        .and_then(|it| it["activeForm"].as_str().or(it["content"].as_str()));
    let whole = doing.map_or_else(|| count.clone(), |it| format!("{count}: {}", line(it)));
    *told = (!all.is_empty()).then_some(whole);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_list_says_how_far_it_is() {
        let mut told = None;
        let list = json!([
            {"content": "read", "status": "completed"},
            {"content": "write", "status": "in_progress", "activeForm": "writing"},
            {"content": "test", "status": "pending"},
        ]);
        take("findings", &list, &mut told);
        assert_eq!(told, None);
        take(Event::TODO, &list, &mut told);
        assert_eq!(told.as_deref(), Some("1 of 3: writing"));
        take(Event::TODO, &json!([]), &mut told);
        assert_eq!(told, None);
    }
}
