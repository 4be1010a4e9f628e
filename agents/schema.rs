//! JSON Schemas made ready to check by; making one takes longer than a thousand checks.

use std::cell::RefCell;
use std::rc::Rc;

use jsonschema::Validator;
use serde_json::Value;

/// Schemas that a thread keeps ready: a team has about one for each agent.
const READY_MAX: usize = 32;

thread_local! {
    /// Those used last come first.
    static READY: RefCell<Vec<(Value, Rc<Validator>)>> = const { RefCell::new(Vec::new()) };
}

/// What checks by this schema, or what is wrong with it.
pub(crate) fn ready(schema: &Value) -> Result<Rc<Validator>, String> {
    let known = READY.with_borrow_mut(|ready| {
        let at = ready.iter().position(|it| it.0 == *schema)?;
        ready[..=at].rotate_right(1);
        Some(ready[0].1.clone())
    });
    if let Some(known) = known {
        return Ok(known);
    }
    let made = jsonschema::validator_for(schema).map(Rc::new).map_err(|it| it.to_string())?;
    READY.with_borrow_mut(|ready| {
        ready.truncate(READY_MAX - 1);
        ready.insert(0, (schema.clone(), made.clone()));
    });
    Ok(made)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn each_schema_is_checked_by_itself_however_many_there_are() {
        let of = |nth: usize| json!({"type": "string", "maxLength": nth});
        for round in 0..3 {
            for nth in 0..READY_MAX * 2 {
                let ready = ready(&of(nth)).expect("a schema");
                let text = |length| json!("x".repeat(length));
                assert!(ready.is_valid(&text(nth)) && !ready.is_valid(&text(nth + 1)), "{round}");
            }
            assert!(ready(&of(READY_MAX * 2 - 1)).is_ok_and(|it| !it.is_valid(&json!(1))));
        }
        assert_eq!(READY.with_borrow(Vec::len), READY_MAX);
        assert!(ready(&json!({"type": "strnig"})).is_err());
    }
}
