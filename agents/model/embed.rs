//! Texts as vectors: what is asked for, in which portions, and how the answer is read.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::classify::{Asked, told};
use super::complaint::found;
use super::fault::Fault;
use super::manners::Manners;

/// Where embeddings are asked for.
pub(crate) const PATH: &str = "/embeddings";

/// Texts of one request.
const TEXTS: usize = 64;

/// Bytes of one request's texts; one that is longer goes alone.
const BYTES: usize = 256 << 10;

/// Numbers of one vector; more would be nonsense.
const DIMENSIONS: usize = 65_536;

/// The texts in portions that one request holds.
pub(crate) fn batches(texts: &[String]) -> impl Iterator<Item = &[String]> {
    let mut rest = texts;
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = |it: &&String| {
            bytes += it.len();
            bytes <= BYTES
        };
        let count = rest.iter().take(TEXTS).take_while(fits).count().max(1);
        let (batch, more) = rest.split_at_checked(count)?;
        rest = more;
        Some(batch)
    })
}

/// The request as JSON.
pub(crate) fn body(model: &str, texts: &[String], manners: &Manners) -> Value {
    let mut body = Map::from_iter([("model".to_owned(), json!(model))]);
    body.insert("input".to_owned(), json!(texts));
    if !manners.dropped.contains("encoding_format") {
        body.insert("encoding_format".to_owned(), json!("float"));
    }
    Value::Object(body)
}

/// One vector for each text, in the order of the texts.
pub(crate) fn vectors(
    asked: &Asked<'_>,
    answer: &Value,
    count: usize,
) -> Result<Vec<Vec<f32>>, Fault> {
    if let Some(error) = found(answer) {
        return Err(told(asked, error));
    }
    let Asked { provider, model, .. } = asked;
    let lacks = |what: &str| {
        let message = format!("\"{model}\" at provider \"{provider}\" gave embeddings with {what}");
        asked.bad_reply(&message)
    };
    let data = answer["data"].as_array().ok_or_else(|| lacks("no data"))?;
    let mut vectors: Vec<Option<Vec<f32>>> = vec![None; count];
    for (nth, item) in data.iter().enumerate() {
        let at = item["index"].as_u64().map_or(nth, |it| it as usize);
        let place = vectors.get_mut(at).filter(|it| it.is_none());
        let place = place.ok_or_else(|| lacks("an index that is none"))?;
        *place = Some(vector(&item["embedding"]).ok_or_else(|| lacks("a vector that is none"))?);
    }
    vectors.into_iter().collect::<Option<_>>().ok_or_else(|| lacks("a vector too few"))
}

/// Whether all vectors have the same length.
pub(crate) fn is_even(vectors: &[Vec<f32>]) -> bool {
    vectors.iter().all(|it| it.len() == vectors[0].len())
}

/// The words for vectors that have not.
pub(crate) fn uneven(provider: &str, model: &str) -> String {
    format!("\"{model}\" at provider \"{provider}\" gave embeddings of different lengths")
}

/// Numbers, or the base64 of their bytes, lowest first.
fn vector(told: &Value) -> Option<Vec<f32>> {
    let numbers: Vec<f32> = match told {
        Value::Array(items) => {
            items.iter().map(|it| Some(it.as_f64()? as f32)).collect::<Option<_>>()?
        }
        Value::String(text) => {
            let bytes = STANDARD.decode(text.trim()).ok()?;
            let (numbers, rest) = bytes.as_chunks::<4>();
            rest.is_empty().then(|| numbers.iter().map(|it| f32::from_le_bytes(*it)).collect())?
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return None,
    };
    let is_sound =
        (1..=DIMENSIONS).contains(&numbers.len()) && numbers.iter().all(|it| it.is_finite());
    is_sound.then_some(numbers)
}

#[cfg(test)]
mod tests {
    use callboard_trace::FailureCode;

    use super::*;
    use crate::model::redact::Secrets;

    fn read(answer: &Value, count: usize) -> Result<Vec<Vec<f32>>, FailureCode> {
        let secrets = Secrets::default();
        let asked =
            Asked { provider: "p", model: "m", key_source: None, has_key: true, secrets: &secrets };
        vectors(&asked, answer, count).map_err(|it| it.code)
    }

    #[test]
    fn vectors_are_read_from_every_shape_and_put_in_order() {
        let encoded = STANDARD.encode([1.5_f32, -2.0].map(f32::to_le_bytes).concat());
        for (data, expected) in [
            (
                json!([{"index": 1, "embedding": [3, 4.5]}, {"index": 0, "embedding": [1, 2]}]),
                vec![vec![1.0, 2.0], vec![3.0, 4.5]],
            ),
            (json!([{"embedding": [1]}, {"embedding": [2]}]), vec![vec![1.0], vec![2.0]]),
            (json!([{"index": 0, "embedding": encoded}]), vec![vec![1.5, -2.0]]),
        ] {
            let answer = json!({"object": "list", "data": data});
            assert_eq!(read(&answer, expected.len()), Ok(expected), "{data}");
        }
    }

    #[test]
    fn nonsense_is_a_bad_reply() {
        let nan = STANDARD.encode(f32::NAN.to_le_bytes());
        for data in [
            json!(null),
            json!([]),
            json!([{"index": 0, "embedding": [1]}]),
            json!([{"index": 0, "embedding": [1]}, {"index": 0, "embedding": [1]}]),
            json!([{"index": 0, "embedding": [1]}, {"index": 2, "embedding": [1]}]),
            json!([{"embedding": [1]}, {"embedding": []}]),
            json!([{"embedding": [1]}, {"embedding": ["x"]}]),
            json!([{"embedding": [1]}, {"embedding": "AAA"}]),
            json!([{"embedding": [1]}, {"embedding": nan}]),
            json!([{"embedding": [1]}, {"embedding": [1]}, {"embedding": [1]}]),
        ] {
            assert_eq!(read(&json!({"data": data}), 2), Err(FailureCode::BadReply), "{data}");
        }
        let limited = json!({"error": {"code": 429, "message": "slow"}});
        assert_eq!(read(&limited, 1), Err(FailureCode::RateLimited));
    }

    #[test]
    fn portions_are_bounded_by_texts_and_by_bytes() {
        let sizes = |texts: &[String]| batches(texts).map(<[String]>::len).collect::<Vec<_>>();
        let short = vec!["x".to_owned(); 150];
        assert_eq!(sizes(&short), [64, 64, 22]);
        let long =
            vec!["x".repeat(200 << 10), "x".repeat(300 << 10), "y".to_owned(), "z".to_owned()];
        assert_eq!(sizes(&long), [1, 1, 2]);
        assert_eq!(sizes(&[]), [0_usize; 0]);
    }
}
