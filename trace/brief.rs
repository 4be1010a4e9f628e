//! A view that fits: long texts and lists are cut, each with a mark, and the whole is read by uri.

use serde_json::{Map, Value, json};

use crate::{Missing, RunView};

/// How much is kept of a text (bytes) and of a list (entries), in the order in which it is tried.
const CUTS: [(usize, usize); 6] =
    [(4_000, 40), (2_000, 20), (1_000, 12), (400, 8), (150, 4), (60, 2)];
/// Levels of an answer that are kept.
const LEVELS: usize = 8;
/// At the end of a text that was cut.
const MARK: &str = "… [cut]";

impl RunView {
    /// The view within so many bytes of JSON, and where the whole is if something was cut.
    pub fn within(&self, most: usize) -> RunView {
        if size(self) <= most {
            return self.clone();
        }
        let fitting = CUTS.iter().map(|it| self.cut(*it)).find(|it| size(it) <= most);
        fitting.unwrap_or_else(|| {
            let bare = RunView { answer: None, questions: Vec::new(), ..self.clone() };
            bare.cut(CUTS[CUTS.len() - 1])
        })
    }

    fn cut(&self, (bytes, entries): (usize, usize)) -> RunView {
        let short = |it: &String| shorten(it, bytes);
        let mut view = self.clone();
        // The conclusion goes first: it keeps most.
        view.result = self.result.as_ref().map(|it| shorten(it, bytes * 2));
        view.answer = self.answer.as_ref().map(|it| value(it, (bytes, entries), LEVELS));
        view.step = self.step.as_ref().map(short);
        view.missing = some(&self.missing, entries)
            .map(|it| Missing {
                agent: it.agent.clone(),
                error: short(&it.error),
                impact: short(&it.impact),
            })
            .collect();
        view.recommendations = some(&self.recommendations, entries).map(short).collect();
        view.questions.truncate(entries);
        for question in &mut view.questions {
            // An option that is cut could not be answered any more.
            question.prompt = short(&question.prompt);
        }
        if let Some(error) = &mut view.error {
            error.message = short(&error.message);
            error.hint = short(&error.hint);
        }
        let n_spare = view.artifacts.len().saturating_sub(entries);
        view.artifacts.drain(..n_spare);
        let uri = json!({"uri": format!("team://runs/{}", self.run)});
        view.notices = some(&self.notices, entries).map(short).collect();
        view.notices.insert(0, format!("cut to fit; the whole: team_read {uri}"));
        view
    }
}

fn size(view: &RunView) -> usize {
    serde_json::to_vec(view).map_or(usize::MAX, |it| it.len())
}

fn some<T>(list: &[T], entries: usize) -> impl Iterator<Item = &T> {
    list.iter().take(entries)
}

fn shorten(text: &str, bytes: usize) -> String {
    if text.len() <= bytes {
        return text.to_owned();
    }
    format!("{}{MARK}", &text[..text.floor_char_boundary(bytes)])
}

fn value(of: &Value, (bytes, entries): (usize, usize), levels: usize) -> Value {
    let inner = |it: &Value| value(it, (bytes, entries), levels.saturating_sub(1));
    match of {
        Value::String(text) => json!(shorten(text, bytes)),
        Value::Array(_) | Value::Object(_) if levels == 0 => json!(MARK),
        Value::Array(items) => {
            let mut kept: Vec<Value> = items.iter().take(entries).map(inner).collect();
            if items.len() > entries {
                kept.push(json!(format!("{} more{MARK}", items.len() - entries)));
            }
            json!(kept)
        }
        Value::Object(fields) => {
            let each = |(key, it): (&String, &Value)| (shorten(key, bytes), inner(it));
            let mut kept: Map<String, Value> = fields.iter().take(entries).map(each).collect();
            if fields.len() > entries {
                kept.insert(MARK.to_owned(), json!(format!("{} more", fields.len() - entries)));
            }
            Value::Object(kept)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => of.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn view(more: Value) -> RunView {
        let mut view = json!({"run": "r_7k2m", "state": "completed", "agent": "coder",
            "cost": {"tokens": 1}, "handoffs": 0, "elapsed_s": 0.5});
        for (key, it) in more.as_object().expect("fields") {
            view[key] = it.clone();
        }
        serde_json::from_value(view).expect("a view")
    }

    #[test]
    fn what_fits_is_not_touched() {
        let short = view(json!({"result": "done", "answer": {"files": ["a.rs"]}}));
        assert_eq!(short.within(8_000), short);
    }

    #[test]
    fn everything_long_is_cut_within_the_limit_and_says_where_the_whole_is() {
        let long = |n: usize| "äöü ".repeat(n);
        let many: Vec<Value> = (0..5_000).map(|it| json!({"key": it, "text": long(9)})).collect();
        let missing = json!({"agent": "tester", "error": long(900), "impact": long(900)});
        let deep = (0..100).fold(json!("x"), |it, _| json!([it]));
        let wide: Map<String, Value> =
            (0..5_000).map(|it| (format!("{it} {}", long(50)), json!(it))).collect();
        let cases = [
            json!({"result": long(50_000)}),
            json!({"answer": {"code": long(50_000), "findings": many, "deep": deep}}),
            json!({"answer": wide}),
            json!({"missing": vec![missing; 300], "recommendations": vec![long(90); 900]}),
            json!({"questions": vec![json!({"id": "q", "kind": "text", "prompt": long(999)}); 99]}),
            json!({"questions": [{"id": "q", "kind": "choice", "prompt": "p",
                "options": vec![long(99); 99]}]}),
            json!({"artifacts": vec![json!({"uri": "team://x", "name": long(99), "bytes": 1}); 99]}),
            json!({"error": {"code": "internal", "message": long(9_000), "retryable": false,
                "hint": long(9_000)}, "notices": vec![long(90); 90]}),
        ];
        for case in cases {
            let whole = view(case);
            let cut = whole.within(7_600);
            assert!(size(&cut) <= 7_600, "{} of {}", size(&cut), size(&whole));
            let told = cut.notices.first().expect("a notice");
            assert!(told.contains(r#"team_read {"uri":"team://runs/r_7k2m"}"#), "{told}");
            assert_eq!((&cut.run, cut.state), (&whole.run, whole.state));
        }
    }

    #[test]
    fn the_conclusion_keeps_more_than_what_stands_behind_it() {
        let text = "x".repeat(6_000);
        let cut = view(json!({"result": text, "answer": {"more": text}})).within(7_600);
        let result = cut.result.expect("a result");
        let more = cut.answer.expect("an answer")["more"].as_str().map(str::len);
        assert!(result.len() > 2_000 && more.is_some_and(|it| it < result.len()), "{more:?}");
        assert!(result.ends_with(MARK));
    }
}
