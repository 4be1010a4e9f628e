//! A list in pages. A cursor says where the next page begins and behind what: a list that was made
//! anew meanwhile, or another one, does not take it.

use std::hash::{DefaultHasher, Hash, Hasher};

/// Entries of a page.
const PAGE: usize = 100;

/// A page of a list and the cursor of the next one. `name` tells the entries apart.
///
/// # Errors
/// What is wrong with the cursor.
pub fn page<T: Clone>(
    all: &[T],
    name: impl Fn(&T) -> &str,
    cursor: Option<&str>,
) -> Result<(Vec<T>, Option<String>), String> {
    let at = |from: usize| format!("{from:x}.{:016x}", mark(from, name(&all[from - 1])));
    let from = match cursor {
        None => 0,
        Some(cursor) => {
            let from = cursor.split_once('.').and_then(|it| usize::from_str_radix(it.0, 16).ok());
            let from = from.filter(|it| (1..all.len()).contains(it) && at(*it) == cursor);
            from.ok_or("the cursor is not of this list as it is now; ask without a cursor")?
        }
    };
    let to = all.len().min(from + PAGE);
    let next = (to < all.len()).then(|| at(to));
    Ok((all[from..to].to_vec(), next))
}

fn mark(from: usize, name: &str) -> u64 {
    let mut hash = DefaultHasher::new();
    (from, name).hash(&mut hash);
    hash.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(n_names: usize) -> Vec<String> {
        (0..n_names).map(|it| format!("n{it}")).collect()
    }

    #[test]
    fn the_pages_are_the_list() {
        for n_names in [0, 1, 99, 100, 101, 200, 250] {
            let all = names(n_names);
            let (mut seen, mut cursor, mut n_pages) = (Vec::new(), None, 0);
            loop {
                let (some, next) = page(&all, |it| it, cursor.as_deref()).expect("a page");
                assert!(some.len() <= PAGE);
                seen.extend(some);
                n_pages += 1;
                cursor = next;
                if cursor.is_none() {
                    break;
                }
            }
            assert_eq!((seen, n_pages), (all, n_names.div_ceil(PAGE).max(1)));
        }
    }

    #[test]
    fn a_cursor_of_anything_else_is_refused() {
        let all = names(250);
        let next = page(&all, |it| it, None).expect("a page").1.expect("there is more");
        let mut other = names(250);
        other[99] = "x".to_owned();
        assert!(page(&other, |it| it, Some(&next)).is_err(), "the list is another one");
        assert!(page(&all[..100], |it| it, Some(&next)).is_err(), "the list has become short");
        let long = "f".repeat(1 << 16);
        for cursor in ["", ".", "64", "0.0", "64.", "ffffffffffffffffffff.0", "é.é", "-1.0", &long]
        {
            let told = page(&all, |it| it, Some(cursor)).expect_err(cursor);
            assert!(told.contains("ask without a cursor"), "{told}");
        }
        assert!(page(&[] as &[String], |it| it, Some(&next)).is_err());
    }
}
