//! Tokens of a reply, from whatever the provider counted.

use callboard_trace::Usage;
use serde_json::Value;

/// More tokens than any one reply has; a count above it is nonsense.
const PLAUSIBLE: f64 = 100_000_000.0;

/// Bytes that one token stands for where nobody counted.
const BYTES_PER_TOKEN: usize = 4;

/// The usage as told, with what is absent, negative or absurd estimated from the bytes.
pub(crate) fn usage(told: Option<&Value>, sent: usize, received: usize) -> Usage {
    let count = |paths: &[&str]| paths.iter().find_map(|it| number(told?.pointer(it)?));
    let total = count(&["/total_tokens"]);
    let input = count(&["/prompt_tokens", "/input_tokens"]);
    let output = count(&["/completion_tokens", "/output_tokens"]);
    let rest = |known: Option<u64>| total?.checked_sub(known?);
    let input = input.or_else(|| rest(output)).filter(|it| *it > 0);
    let output = output.or_else(|| rest(input)).filter(|it| *it > 0 || received == 0);
    let cached = count(&[
        "/prompt_tokens_details/cached_tokens",
        "/input_tokens_details/cached_tokens",
        "/prompt_cache_hit_tokens",
        "/cache_read_input_tokens",
    ]);
    let reasoning = count(&[
        "/completion_tokens_details/reasoning_tokens",
        "/output_tokens_details/reasoning_tokens",
        "/reasoning_tokens",
    ]);
    let guess = |bytes: usize| bytes.div_ceil(BYTES_PER_TOKEN) as u64;
    let estimated = input.is_none() || output.is_none();
    let input = input.unwrap_or_else(|| guess(sent));
    let output = output.unwrap_or_else(|| guess(received));
    Usage {
        input,
        cached: cached.unwrap_or(0).min(input),
        output,
        reasoning: reasoning.unwrap_or(0).min(output),
        estimated,
    }
}

/// A count as a number or its text.
fn number(value: &Value) -> Option<u64> {
    let count = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    (0.0..=PLAUSIBLE).contains(&count).then_some(count as u64)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn of(told: Value) -> (u64, u64, bool) {
        let it = usage(Some(&told), 400, 40);
        (it.input, it.output, it.estimated)
    }

    #[test]
    fn counts_are_read_and_the_rest_is_estimated() {
        let cases = [
            (
                json!({"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10}),
                (7, 3, false),
            ),
            (json!({"input_tokens": 7, "output_tokens": 3}), (7, 3, false)),
            (json!({"prompt_tokens": "7", "completion_tokens": 3.0}), (7, 3, false)),
            (json!({"prompt_tokens": 7, "total_tokens": 10}), (7, 3, false)),
            (json!({"completion_tokens": 3, "total_tokens": 10}), (7, 3, false)),
            (json!({"prompt_tokens": 7, "completion_tokens": null}), (7, 10, true)),
            (json!({"prompt_tokens": 7, "total_tokens": 7}), (7, 10, true)),
            (json!({"prompt_tokens": -1, "completion_tokens": 3}), (100, 3, true)),
            (json!({"prompt_tokens": 1e300, "completion_tokens": 3}), (100, 3, true)),
            (json!({"prompt_tokens": 0, "completion_tokens": 0}), (100, 10, true)),
            (json!({"prompt_tokens": [], "completion_tokens": {}}), (100, 10, true)),
            (json!(null), (100, 10, true)),
            (json!("many"), (100, 10, true)),
        ];
        for (told, expected) in cases {
            assert_eq!(of(told.clone()), expected, "{told}");
        }
        assert_eq!(usage(None, 400, 40).input, 100);
    }

    #[test]
    fn parts_never_exceed_their_whole() {
        let told = json!({"prompt_tokens": 10, "completion_tokens": 5,
            "prompt_tokens_details": {"cached_tokens": 99},
            "completion_tokens_details": {"reasoning_tokens": 4}});
        let it = usage(Some(&told), 0, 1);
        assert_eq!((it.cached, it.reasoning), (10, 4));
        let told =
            json!({"prompt_tokens": 10, "completion_tokens": 5, "prompt_cache_hit_tokens": 6});
        assert_eq!(usage(Some(&told), 0, 1).cached, 6);
    }
}
