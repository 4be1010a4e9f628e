//! What a tool answered, folded into a text that a model can read.

use rmcp::model::{CallToolResult, ContentBlock, ResourceContents};
use serde_json::Value;

/// Bytes of an answer that are kept.
const KEPT_MAX: usize = 1 << 20;

/// Whether it went well, the text, and the bytes of the whole answer.
pub(super) fn text(result: &CallToolResult) -> (bool, String, usize) {
    let (mut parts, sizes): (Vec<String>, Vec<usize>) = result.content.iter().map(part).unzip();
    if let Some(structured) = &result.structured_content {
        // FastMCP wraps what is no object.
        let wrapped = structured.as_object().filter(|it| it.len() == 1);
        let inner = wrapped.and_then(|it| it.get("result")).unwrap_or(structured);
        let is_it = |text: &str| {
            let read = serde_json::from_str::<Value>(text).ok();
            inner.as_str() == Some(text) || read.is_some_and(|it| it == *inner || it == *structured)
        };
        let is_said = parts.iter().any(|it| is_it(it)) || is_it(&parts.join("\n"));
        if !is_said {
            parts.push(structured.to_string());
        }
    }
    let mut text = parts.join("\n");
    let bytes = sizes.iter().sum::<usize>().max(text.len());
    if text.len() > KEPT_MAX {
        text.truncate(text.floor_char_boundary(KEPT_MAX));
        text.push_str(&format!("\n[cut: the first {KEPT_MAX} of {bytes} bytes are kept]"));
    }
    (result.is_error != Some(true), text, bytes)
}

/// One block as text, and how many bytes it came in.
fn part(block: &ContentBlock) -> (String, usize) {
    match block {
        ContentBlock::Text(it) => (it.text.clone(), it.text.len()),
        ContentBlock::Image(it) => unseen("image", &it.mime_type, it.data.len()),
        ContentBlock::Audio(it) => unseen("audio", &it.mime_type, it.data.len()),
        ContentBlock::Resource(it) => match &it.resource {
            ResourceContents::TextResourceContents { uri, text, .. } => {
                (format!("[{uri}]\n{text}"), text.len())
            }
            ResourceContents::BlobResourceContents { uri, mime_type, blob, .. } => {
                unseen(uri, mime_type.as_deref().unwrap_or("bytes"), blob.len())
            }
            _ => unseen("resource", "of an unknown form", 0),
        },
        ContentBlock::ResourceLink(it) => (format!("[{}: {}]", it.name, it.uri), it.uri.len()),
        _ => unseen("content", "of an unknown form", 0),
    }
}

/// What a text cannot show, with its size out of base64.
fn unseen(what: &str, form: &str, letters: usize) -> (String, usize) {
    let bytes = letters / 4 * 3;
    (format!("[{what}, {form}, {bytes} bytes, not shown]"), bytes)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn read(result: Value) -> (bool, String, usize) {
        text(&serde_json::from_value(result).expect("a result"))
    }

    #[test]
    fn every_form_of_an_answer_is_a_text() {
        let (ok, text, _) = read(json!({"isError": true, "content": [
            {"type": "text", "text": "one"},
            {"type": "image", "mimeType": "image/png", "data": "AAAAAAAA"},
            {"type": "resource", "resource": {"uri": "file:///a", "text": "two"}},
            {"type": "resource", "resource": {"uri": "file:///b", "blob": "AAAA"}},
            {"type": "resource_link", "uri": "file:///c", "name": "c"},
        ]}));
        assert!(!ok);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(
            lines,
            [
                "one",
                "[image, image/png, 6 bytes, not shown]",
                "[file:///a]",
                "two",
                "[file:///b, bytes, 3 bytes, not shown]",
                "[c: file:///c]",
            ]
        );
    }

    #[test]
    fn structured_content_is_said_once() {
        let (_, text, _) = read(json!({"content": [], "structuredContent": {"a": 1}}));
        assert_eq!(text, "{\"a\":1}");
        let said = json!({"content": [{"type": "text", "text": "{\"a\": 1}"}],
            "structuredContent": {"a": 1}});
        assert_eq!(read(said).1, "{\"a\": 1}");
        let of = |texts: Value, result: Value| {
            let blocks = texts.as_array().into_iter().flatten();
            let blocks: Vec<Value> = blocks.map(|it| json!({"type": "text", "text": it})).collect();
            read(json!({"content": blocks, "structuredContent": {"result": result}})).1
        };
        assert_eq!(of(json!(["one\ntwo"]), json!("one\ntwo")), "one\ntwo");
        assert_eq!(of(json!(["one", "two"]), json!("one\ntwo")), "one\ntwo");
        assert_eq!(of(json!(["[1,2]"]), json!([1, 2])), "[1,2]");
        assert_eq!(of(json!(["7"]), json!(7)), "7");
        assert_eq!(of(json!(["one"]), json!("other")), "one\n{\"result\":\"other\"}");
    }

    #[test]
    fn a_long_answer_is_cut_and_counted() {
        let (_, text, bytes) =
            read(json!({"content": [{"type": "text", "text": "ä".repeat(KEPT_MAX)}]}));
        assert_eq!(bytes, 2 * KEPT_MAX);
        assert!(text.len() < KEPT_MAX + 100 && text.ends_with("bytes are kept]"));
    }
}
