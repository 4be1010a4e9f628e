//! A web page as a text that a model can read: no scripts, blocks on lines of their own, links with
//! where they lead.

use std::sync::LazyLock;

use regex::{Captures, Regex};

/// What becomes of a page, one after the other. No expression looks for the end of something again
/// and again: what nobody closed reaches to the end, and no tag beyond the next.
static STEPS: LazyLock<Vec<(Regex, &str)>> = LazyLock::new(|| {
    let unread = ["head", "script", "style", "noscript", "svg", "template", "iframe"]
        .map(|it| format!(r"<{it}\b.*?(?:</{it}\s*>|\z)"));
    let unread = unread.join("|");
    let steps = [
        (format!(r"(?is)<!--.*?(?:-->|\z)|{unread}"), " "),
        (r#"(?i)<a\s[^<>]*?href\s*=\s*["']?([^"'<>\s#][^"'<>\s]*)[^<>]*>"#.into(), "($1) "),
        (r"(?i)<h[1-6]\b[^<>]*>".into(), "\n\n# "),
        (r"(?i)<li\b[^<>]*>".into(), "\n- "),
        (r"(?i)</(?:td|th)>".into(), " | "),
        (r"(?i)</?(?:[pu]l?|div|br|tr|pre|table|section|article|h[1-6])\b[^<>]*>".into(), "\n"),
        (r"<[/!?a-zA-Z][^<>]*>".into(), ""),
        (r"[ \t\r]+\n".into(), "\n"),
        (r"\n(?:[ \t]*\n)+".into(), "\n\n"),
    ];
    steps.into_iter().filter_map(|(it, with)| Some((Regex::new(&it).ok()?, with))).collect()
});

/// The text of a page.
pub(super) fn text(page: &str) -> String {
    static SIGN: LazyLock<Option<Regex>> =
        LazyLock::new(|| Regex::new(r"&(#\d{1,7}|#[xX][0-9a-fA-F]{1,6}|[a-z]{2,6});").ok());
    let mut text = page.to_owned();
    for (step, with) in STEPS.iter() {
        text = step.replace_all(&text, *with).into_owned();
    }
    if let Some(sign) = SIGN.as_ref() {
        let plain = |it: &Captures<'_>| character(&it[1]).unwrap_or_else(|| it[0].to_owned());
        text = sign.replace_all(&text, plain).into_owned();
    }
    text.trim().to_owned()
}

/// What a sign stands for.
fn character(name: &str) -> Option<String> {
    let named =
        [("amp", '&'), ("lt", '<'), ("gt", '>'), ("quot", '"'), ("apos", '\''), ("nbsp", ' ')];
    let number = match (name.strip_prefix("#x").or(name.strip_prefix("#X")), name.strip_prefix('#'))
    {
        (Some(hex), _) => u32::from_str_radix(hex, 16).ok(),
        (None, Some(decimal)) => decimal.parse().ok(),
        (None, None) => None,
    };
    let named = named.iter().find(|it| it.0 == name).map(|it| it.1);
    named.or_else(|| number.and_then(char::from_u32)).map(String::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_becomes_what_a_person_reads() {
        let page = "<!DOCTYPE html><html><head><title>T</title></head><body>\n\
            <script>var a = '<p>no</p>';</script><!-- <p>no</p> -->\n\
            <h1 class=x>Title</h1><p>One &amp; two\n<b>three</b> <a id=1 href='/four'>four</a>.</p>\
            <ul><li>a</li><li>b &lt;c&gt;</li></ul><pre>x\n  y</pre>1 < 2</body></html>";
        assert_eq!(
            text(page),
            "# Title\n\nOne & two\nthree (/four) four.\n\n- a\n- b <c>\n\nx\n  y\n1 < 2"
        );
    }

    #[test]
    fn every_step_is_an_expression() {
        assert_eq!(STEPS.len(), 9);
        assert_eq!(
            text("<SCRIPT>x</ScRiPt >y<p>&unknown; &#65; &#x42; &#xFFFFFF;"),
            "y\n&unknown; A B &#xFFFFFF;"
        );
    }

    #[test]
    fn broken_and_hostile_pages_end() {
        for page in ["<", "<!--", "<script>", "<p", "<a href=\"", "&#", "</", "<script></scripty>"]
        {
            text(page);
        }
        for part in
            ["<p", "<a href=x", "<script>", "<!--", "</script>", "<", "&#1", " \n", "<a href='"]
        {
            text(&part.repeat(200_000));
        }
    }
}
