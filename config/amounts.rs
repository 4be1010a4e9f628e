//! A budget as callers write it, `{usd, tokens, minutes, …}`, and as words, `tokens=10000,usd=0.5`.

use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::budget::Caps;

/// What may be written, and how much of it.
const MOST: [(&str, f64); 7] = [
    ("usd", 1e9),
    ("tokens", 1e12),
    ("minutes", 1e9 / 60.0),
    ("seconds", 1e9),
    ("model_calls", 1e12),
    ("tool_calls", 1e12),
    ("documents", 1e12),
];

/// The amounts of a budget in the units of [`Caps`], `null` where a limit is lifted. Problems begin
/// with the path of what is wrong, below `path`.
///
/// # Errors
/// When it is no object of known, whole and possible amounts: every problem.
pub fn amounts(given: &Value, path: &str) -> Result<Map<String, Value>, Vec<String>> {
    let names = MOST.map(|it| it.0).join(", ");
    let Some(given) = given.as_object().filter(|it| !it.is_empty()) else {
        return Err(vec![format!("{path}: does not fit; write amounts of {names}")]);
    };
    let (mut found, mut problems) = (Map::new(), Vec::new());
    for (name, value) in given {
        match MOST.iter().find(|it| it.0 == name) {
            None => {
                let known = MOST.iter().map(|it| it.0);
                let near = crate::nearest::nearest(name, known);
                let near = near.map_or_else(
                    || format!("there are {names}"),
                    |it| format!("did you mean \"{it}\"?"),
                );
                let name: String = name.escape_debug().take(40).collect();
                problems.push(format!("{path}.{name}: no such amount; {near}"));
            }
            Some((_, most)) => match amount(name, value, *most) {
                Some((name, amount)) => drop(found.insert(name.to_owned(), amount)),
                None => {
                    let what = if name == "usd" { "an amount" } else { "a whole number" };
                    problems.push(format!("{path}.{name}: does not fit; write {what} from 0 on"));
                }
            },
        }
    }
    if given.contains_key("seconds") && given.contains_key("minutes") {
        problems.push(format!("{path}.minutes: stands beside `seconds`; write one of them"));
    }
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

/// An amount as it is counted, under the name it has there.
fn amount<'a>(name: &'a str, value: &Value, most: f64) -> Option<(&'a str, Value)> {
    let (counted, each) = match name {
        "usd" => ("micro_usd", 1e6),
        "minutes" => ("ms", 60_000.0),
        "seconds" => ("ms", 1_000.0),
        _ => (name, 1.0),
    };
    if value.is_null() {
        return Some((counted, Value::Null));
    }
    let given = value.as_f64().filter(|it| (0.0..=most).contains(it))?;
    let is_whole = given.fract() == 0.0 || name == "usd";
    is_whole.then(|| (counted, json!((given * each).round() as u64)))
}

/// The same out of `name=amount` words with commas between them; `none` lifts a limit. What is no
/// number stays a text, for [`amounts`] to refuse.
pub fn words(text: &str) -> Value {
    let word = |it: &str| {
        let (name, amount) = it.split_once('=').unwrap_or((it, ""));
        let amount = match amount.trim() {
            "none" | "null" => Value::Null,
            text => serde_json::from_str::<serde_json::Number>(text)
                .map_or_else(|_| json!(text), Value::Number),
        };
        (name.trim().to_owned(), amount)
    };
    let words = text.split(',').filter(|it| !it.trim().is_empty());
    Value::Object(words.map(word).collect())
}

impl Caps {
    /// The limits that such amounts make: what is not there, or lifted, is no limit.
    pub fn of_amounts(amounts: &Map<String, Value>) -> Caps {
        Caps::default().replaced(&Value::Object(amounts.clone()))
    }

    /// These limits with those that are given in their place, `null` lifting one.
    #[must_use]
    pub fn replaced(self, given: &Value) -> Caps {
        let Ok(new) = Caps::deserialize(given) else { return self };
        let pick = |key, new, old| if given.get(key).is_some() { new } else { old };
        Caps {
            tokens: pick("tokens", new.tokens, self.tokens),
            micro_usd: pick("micro_usd", new.micro_usd, self.micro_usd),
            ms: pick("ms", new.ms, self.ms),
            model_calls: pick("model_calls", new.model_calls, self.model_calls),
            tool_calls: pick("tool_calls", new.tool_calls, self.tool_calls),
            documents: pick("documents", new.documents, self.documents),
            usd_is_written: self.usd_is_written || new.micro_usd.is_some(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_read_in_the_units_they_are_counted_in() {
        let given = json!({"usd": 0.25, "tokens": 10_000, "minutes": 2, "documents": null});
        let found = amounts(&given, "budget").expect("fits");
        assert_eq!(
            Value::Object(found.clone()),
            json!({"micro_usd": 250_000, "tokens": 10_000, "ms": 120_000, "documents": null})
        );
        let caps = Caps::of_amounts(&found);
        assert!(caps.usd_is_written && caps.documents.is_none());
        assert_eq!((caps.tokens, caps.ms), (Some(10_000), Some(120_000)));
        assert_eq!(
            words("tokens=10000, usd=0.25,documents=none"),
            json!({"tokens": 10_000, "usd": 0.25, "documents": null})
        );
    }

    #[test]
    fn every_wrong_amount_is_told_with_its_path() {
        let wrong = json!({"usd": -1, "tokens": 1.5, "tokns": 1, "seconds": 1, "minutes": "2"});
        assert_eq!(
            amounts(&wrong, "budget").expect_err("does not fit"),
            [
                "budget.usd: does not fit; write an amount from 0 on",
                "budget.tokens: does not fit; write a whole number from 0 on",
                "budget.tokns: no such amount; did you mean \"tokens\"?",
                "budget.minutes: does not fit; write a whole number from 0 on",
                "budget.minutes: stands beside `seconds`; write one of them",
            ]
        );
        for wrong in [json!(5), json!({}), json!("tokens"), words("")] {
            let told = amounts(&wrong, "value").expect_err("does not fit");
            assert!(told[0].starts_with("value: does not fit; write amounts of usd"), "{told:?}");
        }
        assert!(amounts(&words("tokens=many"), "value").is_err());
        assert!(amounts(&words("1e400"), "value").is_err());
    }
}
