//! What is other in a text, in a few lines.

/// Lines that are told of each side.
const LINES: usize = 40;
/// Characters of each.
const LINE: usize = 200;

/// The lines from the first that differs to the last, `-` before and `+` after, under their number.
pub(crate) fn changed(before: &str, after: &str) -> String {
    let (old, new): (Vec<&str>, Vec<&str>) = (before.lines().collect(), after.lines().collect());
    if old.is_empty() {
        return format!("{} lines, {} bytes", new.len(), after.len());
    }
    let same = |it: &(&&str, &&str)| it.0 == it.1;
    let head = old.iter().zip(&new).take_while(same).count();
    let (old, new) = (&old[head..], &new[head..]);
    let tail = old.iter().rev().zip(new.iter().rev()).take_while(same).count();
    let (old, new) = (&old[..old.len() - tail], &new[..new.len() - tail]);
    let mut told = format!("line {}\n", head + 1);
    for (sign, lines) in [('-', old), ('+', new)] {
        for line in lines.iter().take(LINES) {
            told.push_str(&format!("{sign} {}\n", crate::words::cut(line, LINE)));
        }
        if lines.len() > LINES {
            told.push_str(&format!("{sign} … {} lines more\n", lines.len() - LINES));
        }
    }
    told.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_other_is_told() {
        assert_eq!(changed("a\nb\nc\n", "a\nB\nc\n"), "line 2\n- b\n+ B");
        assert_eq!(changed("a\nb\n", "a\nx\nb\n"), "line 2\n+ x");
        assert_eq!(changed("a\nb\n", "a\n"), "line 2\n- b");
        assert_eq!(changed("", "a\nb\n"), "2 lines, 4 bytes");
        assert_eq!(changed("a\na\n", "a\n"), "line 2\n- a");
        let long: String = (0..100).map(|it| format!("{it}\n")).collect();
        assert!(changed("x\n", &long).ends_with("+ … 60 lines more"));
    }
}
