//! What is known of tests: cases with their results, as notes and answers tell them.

use std::collections::BTreeMap;

use serde_json::Value;

/// What a case is told to have come to.
type Cases = BTreeMap<String, Option<String>>;

/// Takes in the cases of a value: one, a list of them, or something that has `tests` or `cases`.
/// `name` is what one is called that does not say.
pub(crate) fn cases(known: &mut Cases, name: &str, value: &Value) {
    let listed = ["tests", "cases"].iter().find_map(|it| value.get(it));
    if let Some(items) = listed.unwrap_or(value).as_array() {
        for (at, item) in items.iter().enumerate() {
            cases(known, &format!("{name} {}", at + 1), item);
        }
        return;
    }
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let Some(result) = text("result").or_else(|| text("status")) else { return };
    let is_bad = ["fail", "failed", "failing", "error"].contains(&&*result.to_lowercase());
    let case = text("case").or_else(|| text("name")).or_else(|| text("id")).unwrap_or(name);
    let why = text("message").unwrap_or_default();
    let told = if why.is_empty() { String::new() } else { format!(": {why}") };
    let said = crate::words::cut(&format!("test `{case}` failed{told}"), 300);
    known.insert(case.to_owned(), is_bad.then_some(said));
}

/// Those that fail.
pub(crate) fn failing(known: Cases) -> Vec<String> {
    known.into_values().flatten().collect()
}
