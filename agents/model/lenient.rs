//! JSON as models write it: the usual slips are mended on the way, in one pass.
//!
//! Our own, because the crates that mend JSON also finish what was cut off, and a value that was
//! cut off must never be executed.

use serde_json::{Map, Value};

/// Values nested deeper than this are not read.
const DEPTH: usize = 64;

/// The object that the whole text is. Trailing commas, other quotes, bare keys and the words of
/// Python are mended; brackets missing at the end only if the reply `is_whole`, and never behind
/// a value that may itself be cut.
pub(crate) fn object(text: &str, is_whole: bool) -> Option<Map<String, Value>> {
    let (value, rest) = prefix(text, is_whole)?;
    let Value::Object(fields) = value else { return None };
    rest.trim().is_empty().then_some(fields)
}

/// The object or list that the text begins with, and what stands behind it.
pub(crate) fn prefix(text: &str, is_whole: bool) -> Option<(Value, &str)> {
    let mut reader = Reader { rest: text.trim_start(), is_whole };
    let value = match reader.rest.chars().next()? {
        '{' | '[' => reader.value(0)?,
        _ => return None,
    };
    Some((value, reader.rest))
}

struct Reader<'a> {
    rest: &'a str,
    is_whole: bool,
}

impl Reader<'_> {
    fn value(&mut self, depth: usize) -> Option<Value> {
        self.rest = self.rest.trim_start();
        match self.rest.chars().next()? {
            _ if depth > DEPTH => None,
            '{' => self.object(depth),
            '[' => self.list(depth),
            quote if closers(quote).is_some() => self.text().map(Value::String),
            _ => self.bare(),
        }
    }

    fn object(&mut self, depth: usize) -> Option<Value> {
        let mut fields = Map::new();
        self.skip(1);
        loop {
            if self.takes('}') {
                return Some(Value::Object(fields));
            }
            let key = self.key()?;
            if !self.takes(':') {
                return None;
            }
            let value = self.value(depth + 1)?;
            let ends = self.item_ends('}', &value)?;
            fields.insert(key, value);
            if ends {
                return Some(Value::Object(fields));
            }
        }
    }

    fn list(&mut self, depth: usize) -> Option<Value> {
        let mut items = Vec::new();
        self.skip(1);
        loop {
            if self.takes(']') {
                return Some(Value::Array(items));
            }
            let value = self.value(depth + 1)?;
            let ends = self.item_ends(']', &value)?;
            items.push(value);
            if ends {
                return Some(Value::Array(items));
            }
        }
    }

    /// Whether `close` or the end of the text stands behind an item, or only a comma. A number at
    /// the very end may lack digits.
    fn item_ends(&mut self, close: char, item: &Value) -> Option<bool> {
        if self.takes(close) {
            return Some(true);
        }
        if self.takes(',') {
            return Some(false);
        }
        (self.rest.is_empty() && self.is_whole && !item.is_number()).then_some(true)
    }

    fn key(&mut self) -> Option<String> {
        if self.rest.chars().next().and_then(closers).is_some() {
            return self.text();
        }
        let word = |it: char| it.is_alphanumeric() || it == '_' || it == '$' || it == '-';
        let end = self.rest.find(|it| !word(it)).unwrap_or(self.rest.len());
        let key = self.rest[..end].to_owned();
        self.skip(end);
        (!key.is_empty()).then_some(key)
    }

    /// A text in any quotes. One that is not closed was cut, and is none.
    fn text(&mut self) -> Option<String> {
        let open = self.rest.chars().next()?;
        let closers = closers(open)?;
        self.skip(open.len_utf8());
        let mut text = String::new();
        loop {
            let next = self.rest.chars().next()?;
            self.skip(next.len_utf8());
            match next {
                '\\' => self.escape(&mut text)?,
                it if closers.contains(it) && (open == '"' || self.is_at_a_seam()) => {
                    return Some(text);
                }
                it => text.push(it),
            }
        }
    }

    /// Quotes other than `"` also stand inside words: one ends its text only before a seam.
    fn is_at_a_seam(&self) -> bool {
        let next = self.rest.trim_start().chars().next();
        next.is_none_or(|it| matches!(it, ',' | ':' | '}' | ']'))
    }

    fn escape(&mut self, text: &mut String) -> Option<()> {
        let kind = self.rest.chars().next()?;
        self.skip(kind.len_utf8());
        match kind {
            'n' => text.push('\n'),
            't' => text.push('\t'),
            'r' => text.push('\r'),
            'b' => text.push('\u{8}'),
            'f' => text.push('\u{c}'),
            '"' | '\\' | '/' | '\'' => text.push(kind),
            'u' => text.push(self.unicode()?),
            _ => text.extend(['\\', kind]),
        }
        Some(())
    }

    /// Behind `\u`: four digits, or eight around another `\u` for what lies beyond them.
    fn unicode(&mut self) -> Option<char> {
        let high = self.digits()?;
        if !(0xd800..0xdc00).contains(&high) {
            return Some(char::from_u32(high).unwrap_or('\u{fffd}'));
        }
        self.rest = self.rest.strip_prefix("\\u")?;
        let low = self.digits()?.checked_sub(0xdc00)?;
        Some(char::from_u32(0x1_0000 + ((high - 0xd800) << 10) + low).unwrap_or('\u{fffd}'))
    }

    fn digits(&mut self) -> Option<u32> {
        let digits = self.rest.get(..4)?;
        let code = u32::from_str_radix(digits, 16).ok()?;
        self.skip(4);
        Some(code)
    }

    /// A number or a word of JSON or Python.
    fn bare(&mut self) -> Option<Value> {
        let part = |it: char| it.is_ascii_alphanumeric() || matches!(it, '+' | '-' | '.');
        let end = self.rest.find(|it| !part(it)).unwrap_or(self.rest.len());
        let (word, rest) = self.rest.split_at(end);
        self.rest = rest;
        match word {
            "true" | "True" => Some(Value::Bool(true)),
            "false" | "False" => Some(Value::Bool(false)),
            "null" | "None" => Some(Value::Null),
            number => serde_json::from_str(number).ok().filter(Value::is_number),
        }
    }

    fn takes(&mut self, sign: char) -> bool {
        self.rest = self.rest.trim_start();
        let rest = self.rest.strip_prefix(sign).map(str::trim_start);
        self.rest = rest.unwrap_or(self.rest);
        rest.is_some()
    }

    fn skip(&mut self, bytes: usize) {
        self.rest = &self.rest[bytes..];
    }
}

/// What may close a text that begins with this quote.
fn closers(open: char) -> Option<&'static str> {
    match open {
        '"' => Some("\""),
        '\'' => Some("'"),
        '“' | '”' => Some("“”"),
        '‘' | '’' => Some("‘’"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_usual_slips_are_mended() {
        for (text, expected) in [
            (r#"{"a": 1,}"#, json!({"a": 1})),
            (r#"{"a": [1, 2,], }"#, json!({"a": [1, 2]})),
            (r"{'a': 'it''}", json!({"a": "it'"})),
            (r"{'a': 'it's here', 'b': 2}", json!({"a": "it's here", "b": 2})),
            (r#"{a: "x", b-c: "y", $d: 1.5e3}"#, json!({"a": "x", "b-c": "y", "$d": 1.5e3})),
            ("{“a”: “b “quoted” c”}", json!({"a": "b “quoted” c"})),
            ("{‘a’: ‘it’s’}", json!({"a": "it’s"})),
            (r#"{"a": True, "b": False, "c": None}"#, json!({"a": true, "b": false, "c": null})),
            ("{\"a\": \"two\nlines\"}", json!({"a": "two\nlines"})),
            (r#"{"a": "C:\dir \d+ \u00e9 \ud83d\ude00"}"#, json!({"a": "C:\\dir \\d+ é 😀"})),
            (" {} ", json!({})),
        ] {
            assert_eq!(object(text, false).map(Value::Object), Some(expected), "{text}");
        }
    }

    #[test]
    fn brackets_are_closed_only_behind_a_whole_value_of_a_whole_reply() {
        for (text, expected) in [
            (r#"{"a": {"b": "c"}"#, json!({"a": {"b": "c"}})),
            (r#"{"a": ["b", true"#, json!({"a": ["b", true]})),
            (r#"{"a": []"#, json!({"a": []})),
        ] {
            assert_eq!(object(text, true).map(Value::Object), Some(expected), "{text}");
            assert_eq!(object(text, false), None, "{text}");
        }
        for cut in [
            "{",
            "{\"a",
            "{\"a\"",
            "{\"a\":",
            "{\"a\": \"b",
            "{\"a\": 1",
            "{\"a\": \"b\",",
            "{'a': 'b",
            "{\"a\": tru",
            "{\"a\": \"b\\",
            "{\"a\": \"\\u00",
            "[",
            "{\"a\": [1",
        ] {
            assert_eq!(object(cut, true), None, "{cut}");
        }
    }

    #[test]
    fn what_is_no_object_stays_none() {
        for text in [
            "",
            "x",
            "[1]",
            "{}{}",
            "{\"a\": 1} and more",
            "{\"a\" 1}",
            "{,}",
            "{\"a\": 1 \"b\": 2}",
            "{\"a\": NaN}",
            "{\"a\": 1-2}",
            "{: 1}",
            "\"{}\"",
        ] {
            assert_eq!(object(text, true), None, "{text}");
        }
        assert_eq!(object(&"[{\"a\":".repeat(40_000), true), None);
        assert_eq!(object(&"{\"a\":".repeat(40_000), true), None);
    }

    proptest::proptest! {
        #[test]
        fn valid_json_is_read_as_it_is_and_a_cut_of_it_is_never_another_value(
            keys in proptest::collection::btree_map("[a-zé\"'\\\\\n{}:,]{0,6}", "[ -~“”é\n]{0,9}", 0..5),
            cut in proptest::num::usize::ANY,
        ) {
            let value = serde_json::json!({"deep": keys, "n": [1.5, null, true, -7]});
            let text = value.to_string();
            proptest::prop_assert_eq!(object(&text, false).map(Value::Object), Some(value));
            let at = text.floor_char_boundary(cut % text.len());
            proptest::prop_assert_eq!(object(&text[..at], false), None);
        }

        #[test]
        fn nothing_breaks_the_reader(text in "[\\[\\]{}:,'\"“’\\\\uTNa0-9 \\-.]{0,60}") {
            let _ = object(&text, true);
            let _ = prefix(&text, true);
        }
    }
}
