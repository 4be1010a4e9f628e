//! Data of persons that can be told by its form: addresses, numbers with their check digits.

use std::ops::Range;
use std::sync::LazyLock;

use callboard_config::guards::Personal;
use regex::Regex;

/// A form, and what makes sure that a find is one.
struct Form {
    data: Personal,
    /// As it is told.
    name: &'static str,
    shape: LazyLock<Regex>,
    /// How much of the find it is, in bytes; none = it only looks so.
    length: fn(&str) -> Option<usize>,
}

macro_rules! shape {
    ($text:expr) => {
        LazyLock::new(|| Regex::new($text).expect("a pattern; a test sees to it"))
    };
}

static FORMS: [Form; 5] = [
    Form {
        data: Personal::Email,
        name: "an e-mail address",
        shape: shape!(
            r"(?i)[a-z0-9._%+-]{1,64}@(?:[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?\.)+[a-z]{2,24}"
        ),
        length: |it| Some(it.len()),
    },
    Form {
        data: Personal::Phone,
        name: "a telephone number",
        shape: shape!(r"\+[1-9][0-9 .()/-]{6,20}[0-9]"),
        length: phone,
    },
    Form {
        data: Personal::Iban,
        name: "a bank account number",
        shape: shape!(
            r"(?-u:\b)[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?-u:\b)"
        ),
        length: iban,
    },
    Form {
        data: Personal::Card,
        name: "a card number",
        shape: shape!(concat!(
            r"(?-u:\b)(?:[2-6][0-9]{12,18}|[2-6][0-9]{3}(?:[ -][0-9]{4}){3}",
            r"|3[47][0-9]{2}[ -][0-9]{6}[ -][0-9]{5})(?-u:\b)",
        )),
        length: card,
    },
    Form {
        data: Personal::NationalId,
        name: "a social security number",
        shape: shape!(r"(?-u:\b)[0-9]{3}-[0-9]{2}-[0-9]{4}(?-u:\b)"),
        length: social_security,
    },
];

/// Where such data stands in a text, and what it is.
pub(super) fn found(text: &str, data: &[Personal]) -> Vec<(Range<usize>, &'static str)> {
    let wanted = FORMS.iter().filter(|it| data.is_empty() || data.contains(&it.data));
    let all = wanted.flat_map(|form| {
        let finds = form.shape.find_iter(text).filter(|it| is_apart(text, it.start()));
        let sure = finds.filter_map(|it| {
            let length = (form.length)(it.as_str())?;
            Some((it.start()..it.start() + length, form.name))
        });
        sure.collect::<Vec<_>>()
    });
    let mut all: Vec<_> = all.collect();
    all.sort_by_key(|it| it.0.start);
    all
}

/// Whether no word goes on there from before.
fn is_apart(text: &str, start: usize) -> bool {
    !text[..start].chars().next_back().is_some_and(char::is_alphanumeric)
}

fn digits(text: &str) -> Vec<u32> {
    text.chars().filter_map(|it| it.to_digit(10)).collect()
}

fn phone(text: &str) -> Option<usize> {
    (8..=15).contains(&digits(text).len()).then_some(text.len())
}

/// By Luhn's check digit.
fn card(text: &str) -> Option<usize> {
    let digits = digits(text);
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(at, digit)| match (at % 2, digit * 2) {
            (0, _) => *digit,
            (_, twice) if twice > 9 => twice - 9,
            (_, twice) => twice,
        })
        .sum();
    ((13..=19).contains(&digits.len()) && sum.is_multiple_of(10)).then_some(text.len())
}

/// The longest part that has the right check digits: words may stand behind a number.
fn iban(text: &str) -> Option<usize> {
    let ends = (1..=text.len())
        .rev()
        .filter(|end| !text[*end..].starts_with(|it: char| it.is_ascii_alphanumeric()));
    ends.into_iter().find(|end| is_iban(&text[..*end]))
}

fn is_iban(text: &str) -> bool {
    let plain: String = text.chars().filter(|it| *it != ' ').collect();
    if !(15..=34).contains(&plain.len()) {
        return false;
    }
    let turned = plain[4..].chars().chain(plain[..4].chars());
    let rest = turned.fold(0, |rest, it| {
        let value = it.to_digit(36).unwrap_or_default();
        (rest * if value > 9 { 100 } else { 10 } + value) % 97
    });
    rest == 1
}

fn social_security(text: &str) -> Option<usize> {
    let (area, group, serial) = (&text[..3], &text[4..6], &text[7..]);
    let is_none = area == "000" || area == "666" || area.starts_with('9');
    (!is_none && group != "00" && serial != "0000").then_some(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_personal_is_found_by_its_form_and_its_digits() {
        let yes = [
            (
                Personal::Email,
                "write to ann.b+c@mail.example.org, please",
                "ann.b+c@mail.example.org",
            ),
            (Personal::Phone, "call +41 44 668 18 00 now", "+41 44 668 18 00"),
            (Personal::Phone, "+1 (555) 010-9999", "+1 (555) 010-9999"),
            (
                Personal::Iban,
                "to DE89 3704 0044 0532 0130 00 AT ONCE",
                "DE89 3704 0044 0532 0130 00",
            ),
            (Personal::Iban, "CH9300762011623852957", "CH9300762011623852957"),
            (Personal::Card, "card 4111 1111 1111 1111.", "4111 1111 1111 1111"),
            (Personal::Card, "5500-0055-5555-5559", "5500-0055-5555-5559"),
            (Personal::Card, "3782 822463 10005", "3782 822463 10005"),
            (Personal::NationalId, "SSN 078-05-1120", "078-05-1120"),
        ];
        for (data, text, find) in yes {
            let found = found(text, &[data]);
            assert_eq!(found.len(), 1, "{text}");
            assert_eq!(&text[found[0].0.clone()], find);
        }
    }

    #[test]
    fn what_only_looks_so_is_left_alone() {
        let no = [
            "a@b",
            "@handle",
            "user@localhost",
            "+12",
            "1+1=2",
            "+1234567 is short",
            "DE89 3704 0044 0532 0130 01",
            "GB00 0000 0000 0000 0000 00",
            "4111 1111 1111 1112",
            "1234567890123",
            "order 9111111111111111",
            "000-12-3456",
            "666-12-3456",
            "123-00-3456",
            "123-45-0000",
            "2026-11-27T14:00:00Z",
            "sha 4bf92f3577b34da6a3ce929d0e0e4736",
            "r_7k2mabcdefghijklmnopqrstuv",
        ];
        for text in no {
            assert_eq!(found(text, &[]), [], "{text}");
        }
    }

    #[test]
    fn long_text_takes_linear_time() {
        for piece in ["a", "a@", "+1 ", "4 ", "DE89 ", "a.b@c."] {
            let _ = found(&piece.repeat(100_000), &[]);
        }
    }
}
