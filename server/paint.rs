//! Colours for people, and only where a person looks.

/// Paints text, or leaves it as it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Paint {
    on: bool,
}

impl Paint {
    /// Paints if `on`.
    pub(crate) fn new(on: bool) -> Paint {
        Paint { on }
    }

    /// Whether it paints.
    pub(crate) fn is_on(self) -> bool {
        self.on
    }

    /// What matters.
    pub(crate) fn bold(self, text: &str) -> String {
        self.with("1", text)
    }

    /// What may be skipped.
    pub(crate) fn dim(self, text: &str) -> String {
        self.with("2", text)
    }

    /// What went wrong.
    pub(crate) fn red(self, text: &str) -> String {
        self.with("31", text)
    }

    /// What went well.
    pub(crate) fn green(self, text: &str) -> String {
        self.with("32", text)
    }

    /// What somebody should look at.
    pub(crate) fn yellow(self, text: &str) -> String {
        self.with("33", text)
    }

    fn with(self, code: &str, text: &str) -> String {
        if self.on { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// One line of what others wrote: no control characters, so that no text moves the cursor.
pub(crate) fn one_line(text: &str, most: usize) -> String {
    let flat = clean(text).replace(['\n', '\t'], " ");
    let flat = flat.trim();
    if flat.chars().count() <= most {
        return flat.to_owned();
    }
    let cut: String = flat.chars().take(most.saturating_sub(1)).collect();
    format!("{}…", cut.trim_end())
}

/// What others wrote, with no control characters but line ends and tabs.
pub(crate) fn clean(text: &str) -> String {
    text.chars().filter(|it| !it.is_control() || matches!(it, '\n' | '\t')).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_of_others_cannot_move_the_cursor() {
        assert_eq!(one_line("a\x1b[2Jb\r\nc", 20), "a[2Jb c");
        assert_eq!(one_line("abcdef", 4), "abc…");
        assert_eq!(clean("a\n\tb\x07"), "a\n\tb");
    }

    #[test]
    fn nothing_is_painted_where_nobody_looks() {
        assert_eq!(Paint::new(false).red("no"), "no");
        assert_eq!(Paint::new(true).red("no"), "\x1b[31mno\x1b[0m");
    }
}
