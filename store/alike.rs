//! The definition that a run begins with, made ready once for all runs that share it: of a hundred
//! thousand steps of a plan most have the same.

use std::any::Any;
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::Value;

use crate::blob::Blob;

/// Definitions that are kept ready; the oldest leaves for another.
const KEPT: usize = 64;

/// A definition as it is written, with the long texts of it.
pub(crate) type Ready = Arc<(Value, Vec<Blob>)>;

/// What is shared, which is kept so that no other gets its address, and what it is written as; `None` =
/// it cannot be kept as it is.
type Kept = (Arc<dyn Any + Send + Sync>, Option<Ready>);

/// Those that were written last.
#[derive(Default)]
pub(crate) struct Alike(Mutex<Vec<Kept>>);

impl Alike {
    /// As it is written; made ready if it was not yet.
    pub(crate) fn of<T: Any + Send + Sync>(
        &self,
        shared: &Arc<T>,
        make: impl FnOnce(&T) -> Option<Ready>,
    ) -> Option<Ready> {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_it = |it: &&Kept| Arc::as_ptr(&it.0).cast::<()>() == Arc::as_ptr(shared).cast();
        if let Some(found) = kept.iter().find(is_it) {
            return found.1.clone();
        }
        let made = make(shared);
        if kept.len() >= KEPT {
            kept.remove(0);
        }
        kept.push((shared.clone(), made.clone()));
        made
    }

    /// What was made ready is no longer what would be written now.
    pub(crate) fn forget(&self) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

#[cfg(test)]
mod tests {
    use callboard_trace::{Event, Fact, Started};
    use serde_json::json;

    use super::*;
    use crate::blob;
    use crate::ink::Ink;

    fn begun(instructions: &str) -> Fact {
        let mut body = json!(Started::default());
        body["agent"]["instructions"] = json!(instructions);
        body["agent"]["output"] = json!({"$blob": "a key that looks like a mark"});
        Fact::new("me", Event::RunStarted(serde_json::from_value(body).expect("a record")))
    }

    #[test]
    fn it_is_written_as_if_it_were_alone() {
        let ink = Ink::new(&[]);
        for instructions in ["short", &"long ".repeat(900)] {
            let fact = begun(instructions);
            let (mut alone, mut apart) = (json!(fact.event), Vec::new());
            blob::pack(&mut alone, &[], &mut apart);
            for _ in 0..2 {
                let (said, line) = ink.write(fact.clone()).expect("it is kept");
                assert_eq!(
                    (said, line.body, line.blobs),
                    (fact.clone(), alone.to_string(), apart.clone())
                );
            }
        }
    }

    #[test]
    fn a_secret_that_is_learnt_later_is_taken_out_of_it() {
        let ink = Ink::new(&[]);
        let fact = begun("use the key opensesame");
        let kept = |fact: Fact| {
            let (said, line) = ink.write(fact).expect("it is kept");
            format!("{said:?}{}{:?}", line.body, line.blobs)
        };
        assert!(kept(fact.clone()).contains("opensesame"));
        ink.learn(&["opensesame".to_owned()]);
        let told = kept(fact.clone());
        assert!(!told.contains("opensesame") && told.contains("use the key"), "{told}");
        let other = begun("nothing to hide");
        assert!(kept(other).contains("nothing to hide"));
    }

    #[test]
    fn no_more_are_kept_than_fit() {
        let alike = Alike::default();
        let all: Vec<Arc<usize>> = (0..KEPT + 2).map(Arc::new).collect();
        let made = |it: &Arc<usize>| {
            let mut is_new = false;
            alike.of(it, |_| {
                is_new = true;
                None
            });
            is_new
        };
        assert!(all.iter().all(made));
        assert!(!made(&all[KEPT + 1]) && made(&all[0]));
        alike.forget();
        assert!(made(&all[KEPT + 1]));
    }
}
