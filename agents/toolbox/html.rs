//! A web page as a text that a model can read: no scripts, blocks on lines of their own, links with
//! where they lead.

/// Elements whose content nobody reads.
const UNREAD: [&str; 7] = ["script", "style", "noscript", "svg", "template", "iframe", "head"];
/// Elements that stand on lines of their own.
const BLOCKS: [&str; 24] = [
    "address",
    "article",
    "aside",
    "blockquote",
    "br",
    "dd",
    "div",
    "dl",
    "dt",
    "figure",
    "footer",
    "form",
    "header",
    "hr",
    "li",
    "main",
    "nav",
    "ol",
    "p",
    "pre",
    "section",
    "table",
    "tr",
    "ul",
];
/// Those whose end is the beginning of the next.
const ITEMS: [&str; 4] = ["dd", "dt", "li", "tr"];
/// What stands for a character, as far as it is common.
const NAMED: [(&str, &str); 10] = [
    ("amp", "&"),
    ("lt", "<"),
    ("gt", ">"),
    ("quot", "\""),
    ("apos", "'"),
    ("nbsp", " "),
    ("mdash", "—"),
    ("ndash", "–"),
    ("hellip", "…"),
    ("copy", "©"),
];

/// The text of a page.
pub(super) fn text(page: &str) -> String {
    let mut text = Text::default();
    let mut rest = page;
    while let Some(at) = rest.find('<') {
        text.say(&rest[..at]);
        rest = &rest[at..];
        if let Some(comment) = rest.strip_prefix("<!--") {
            rest = comment.find("-->").map_or("", |end| &comment[end + 3..]);
            continue;
        }
        if !rest[1..].starts_with(|it: char| it.is_ascii_alphabetic() || "/!?".contains(it)) {
            text.say("<");
            rest = &rest[1..];
            continue;
        }
        let Some(end) = tag_end(rest) else { break };
        let tag = &rest[1..end];
        rest = &rest[end + 1..];
        let name: String = tag
            .trim_start_matches('/')
            .chars()
            .take_while(char::is_ascii_alphanumeric)
            .collect::<String>()
            .to_lowercase();
        if UNREAD.contains(&name.as_str()) && !tag.starts_with('/') && !tag.ends_with('/') {
            rest = after(rest, &name);
        } else {
            text.tag(&name, tag);
        }
    }
    if !rest.starts_with('<') {
        text.say(rest);
    }
    text.done()
}

/// Where a tag ends: the first `>` outside of quotes.
fn tag_end(rest: &str) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in rest.bytes().enumerate() {
        match (quote, byte) {
            (None, b'>') => return Some(at),
            (None, b'"' | b'\'') => quote = Some(byte),
            (Some(open), it) if open == it => quote = None,
            _ => {}
        }
    }
    // A quote that nobody closed: the sign is taken as it comes.
    rest.find('>')
}

/// What stands behind the end of an element that is not read.
fn after<'a>(rest: &'a str, name: &str) -> &'a str {
    let mut from = 0;
    while let Some(at) = rest[from..].find("</") {
        let start = from + at + 2;
        let tag = rest.get(start..start + name.len());
        if tag.is_some_and(|it| it.eq_ignore_ascii_case(name)) {
            return rest[start..].find('>').map_or("", |end| &rest[start + end + 1..]);
        }
        from = start;
    }
    ""
}

#[derive(Default)]
struct Text {
    said: String,
    links: Vec<Option<String>>,
    /// Inside of `pre`, where spaces and lines stay.
    is_kept: bool,
}

impl Text {
    fn say(&mut self, raw: &str) {
        let plain = plain(raw);
        if self.is_kept {
            self.said.push_str(&plain);
            return;
        }
        if plain.starts_with(char::is_whitespace) {
            self.space();
        }
        let words: Vec<&str> = plain.split_whitespace().collect();
        self.said.push_str(&words.join(" "));
        if !words.is_empty() && plain.ends_with(char::is_whitespace) {
            self.space();
        }
    }

    fn space(&mut self) {
        if !self.said.is_empty() && !self.said.ends_with([' ', '\n']) {
            self.said.push(' ');
        }
    }

    fn line(&mut self) {
        while self.said.ends_with(' ') {
            self.said.pop();
        }
        if !self.said.is_empty() && !self.said.ends_with("\n\n") {
            self.said.push('\n');
        }
    }

    fn tag(&mut self, name: &str, tag: &str) {
        let is_end = tag.starts_with('/');
        let level = name.strip_prefix('h').and_then(|it| it.parse().ok());
        let level = level.filter(|it| (1..=6).contains(it)).unwrap_or(0_usize);
        if level > 0 || BLOCKS.contains(&name) && !(is_end && ITEMS.contains(&name)) {
            self.line();
        }
        match name {
            "pre" => self.is_kept = !is_end,
            "li" if !is_end => self.said.push_str("- "),
            "td" | "th" if is_end => self.said.push_str(" | "),
            "a" if !is_end => self.links.push(attribute(tag, "href")),
            "a" => {
                if let Some(link) = self.links.pop().flatten() {
                    self.said.push_str(&format!(" ({link})"));
                }
            }
            _ if level > 0 && !is_end => {
                self.line();
                self.said.push_str(&format!("{} ", "#".repeat(level)));
            }
            _ => {}
        }
    }

    fn done(self) -> String {
        self.said.trim().to_owned()
    }
}

/// The value of an attribute that leads somewhere else.
fn attribute(tag: &str, name: &str) -> Option<String> {
    let at = tag.to_ascii_lowercase().find(&format!("{name}="))?;
    let value = &tag[at + name.len() + 1..];
    let quote = value.chars().next().filter(|it| matches!(it, '"' | '\''));
    let value = match quote {
        Some(quote) => value[1..].split(quote).next()?,
        None => value.split_whitespace().next()?,
    };
    let leads = !value.is_empty() && !value.starts_with(['#']) && !value.starts_with("javascript:");
    leads.then(|| plain(value))
}

/// A text with every sign that stands for a character in that character's place.
fn plain(raw: &str) -> String {
    let mut plain = String::with_capacity(raw.len());
    let mut rest = raw;
    while let Some(at) = rest.find('&') {
        plain.push_str(&rest[..at]);
        rest = &rest[at + 1..];
        let name = rest.split(';').next().filter(|it| it.len() <= 10 && it.len() < rest.len());
        let Some((name, character)) = name.and_then(|it| Some((it, character(it)?))) else {
            plain.push('&');
            continue;
        };
        plain.push_str(&character);
        rest = &rest[name.len() + 1..];
    }
    plain.push_str(rest);
    plain
}

fn character(name: &str) -> Option<String> {
    if let Some(number) = name.strip_prefix('#') {
        let number = match number.strip_prefix(['x', 'X']) {
            Some(hex) => u32::from_str_radix(hex, 16).ok()?,
            None => number.parse().ok()?,
        };
        return char::from_u32(number).map(String::from);
    }
    NAMED.iter().find(|it| it.0 == name).map(|it| it.1.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_becomes_what_a_person_reads() {
        let page = "<!DOCTYPE html><html><head><title>T</title></head><body>\n\
            <script>var a = '<p>no</p>';</script><!-- <p>no</p> -->\n\
            <h1>Title</h1><p>One  &amp; two\n<b>three</b> <a href='/four'>four</a>.</p>\
            <ul><li>a</li><li>b &lt;c&gt;</li></ul><pre>x\n  y</pre>1 < 2</body></html>";
        assert_eq!(
            text(page),
            "# Title\n\nOne & two three four (/four).\n\n- a\n- b <c>\n\nx\n  y\n1 < 2"
        );
    }

    #[test]
    fn broken_pages_end() {
        for page in [
            "<",
            "<!--",
            "<script>",
            "<p",
            "<a href=\"",
            "&#xFFFFFFFF;&",
            "</",
            "<a><a></a></a></a>",
            "<SCRIPT>x</ScRiPt>",
            "<script></scripty>",
        ] {
            text(page);
        }
        assert_eq!(text("<SCRIPT>x</ScRiPt >y"), "y");
        assert_eq!(text("a &unknown; b &#65; &#x42;"), "a &unknown; b A B");
        let many = "<p".repeat(100_000);
        assert_eq!(text(&many), "");
        text(&"<a href=x".repeat(20_000));
        text(&"<script>".repeat(20_000));
    }
}
