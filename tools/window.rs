//! A page of a list that is folded from records: what stands before it and behind it is counted,
//! not kept.

use serde_json::{Value, json};

/// The entries from `after` on, at most `limit` of them.
pub(crate) struct Window {
    after: u64,
    limit: u64,
    n_all: u64,
    entries: Vec<Value>,
}

impl Window {
    /// An empty one.
    pub(crate) fn new(after: u64, limit: u32) -> Window {
        Window { after, limit: u64::from(limit), n_all: 0, entries: Vec::new() }
    }

    /// Takes one more entry; answers its number.
    pub(crate) fn push(&mut self, entry: Value) -> u64 {
        let number = self.n_all;
        self.n_all += 1;
        if number >= self.after && (self.entries.len() as u64) < self.limit {
            self.entries.push(entry);
        }
        number
    }

    /// An entry of the page, by its number.
    pub(crate) fn get_mut(&mut self, number: u64) -> Option<&mut Value> {
        let at = number.checked_sub(self.after)?;
        self.entries.get_mut(usize::try_from(at).ok()?)
    }

    /// Whether the page is full, more stands behind it, and none of its entries changes any more.
    pub(crate) fn is_settled(&self, is_final: impl Fn(&Value) -> bool) -> bool {
        self.n_all > self.after.saturating_add(self.limit) && self.entries.iter().all(is_final)
    }

    /// The page under its name, and where to go on.
    pub(crate) fn page(self, name: &str) -> Value {
        let next = self.after.saturating_add(self.limit);
        let mut page = json!({ name: self.entries });
        if next < self.n_all {
            page["next"] = json!(next);
        }
        page
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(after: u64, limit: u32) -> Value {
        let mut window = Window::new(after, limit);
        for number in 0..5 {
            assert_eq!(window.push(json!(number)), number);
        }
        window.page("steps")
    }

    #[test]
    fn a_long_list_is_told_in_parts() {
        assert_eq!(page(0, 2), json!({"steps": [0, 1], "next": 2}));
        assert_eq!(page(2, 2), json!({"steps": [2, 3], "next": 4}));
        assert_eq!(page(4, 2), json!({"steps": [4]}));
        assert_eq!(page(3, 2), json!({"steps": [3, 4]}));
        assert_eq!(page(u64::MAX, 2), json!({"steps": []}));
        assert_eq!(page(0, 200), json!({"steps": [0, 1, 2, 3, 4]}));
    }

    #[test]
    fn only_what_is_on_the_page_can_change() {
        let mut window = Window::new(1, 2);
        for number in 0..4 {
            window.push(json!({"at": number}));
        }
        assert_eq!(window.get_mut(0), None);
        assert_eq!(window.get_mut(3), None);
        assert!(!window.is_settled(|it| it["state"] == "done"));
        for number in [1, 2] {
            window.get_mut(number).expect("on the page")["state"] = json!("done");
        }
        assert!(window.is_settled(|it| it["state"] == "done"));
    }
}
