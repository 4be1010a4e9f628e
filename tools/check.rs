//! Arguments against their schema: every problem at once, each with its path and what to write.

use callboard_scheduler::{Refusal, RefusalCode};
use jsonschema::error::ValidationErrorKind;
use jsonschema::paths::LocationSegment;
use jsonschema::{ValidationError, Validator};
use serde_json::{Map, Value};

use crate::fields::{Field, strict};
use crate::nearest::{did_you_mean, quoted};

/// What a tool answers, or why it does not.
pub(crate) type Result<T, E = Refusal> = std::result::Result<T, E>;

/// The check of one tool, compiled once.
pub(crate) struct Check {
    validator: Option<Validator>,
    writes: Vec<(&'static str, String)>,
}

/// Problems told of one call; the rest is counted.
const PROBLEMS_MAX: usize = 20;

impl Check {
    /// Compiles the check of these arguments.
    pub(crate) fn new(fields: &[Field]) -> Check {
        let validator = Validator::new(&strict(fields)).ok();
        debug_assert!(validator.is_some(), "every schema of ours compiles; a test sees to it");
        Check { validator, writes: fields.iter().map(|it| (it.name, it.write.clone())).collect() }
    }

    /// The arguments without those that are null, which is how some clients leave one out.
    ///
    /// # Errors
    /// `invalid_input` with every problem.
    pub(crate) fn arguments(
        &self,
        tool: &str,
        mut given: Map<String, Value>,
    ) -> Result<Map<String, Value>> {
        given.retain(|_, value| !value.is_null());
        let given = Value::Object(given);
        let Some(validator) = &self.validator else {
            return Err(Refusal::new(RefusalCode::Internal, "the schema does not compile", ""));
        };
        let mut problems: Vec<String> =
            validator.iter_errors(&given).flat_map(|it| self.problems(&it)).collect();
        problems.dedup();
        if let Value::Object(given) = given
            && problems.is_empty()
        {
            return Ok(given);
        }
        Err(refused(tool, problems))
    }

    #[expect(clippy::wildcard_enum_match_arm, reason = "a foreign list of forty, most never met")]
    fn problems(&self, error: &ValidationError<'_>) -> Vec<String> {
        let path = path(error);
        match error.kind() {
            ValidationErrorKind::AdditionalProperties { unexpected } if path.is_empty() => {
                let known = self.writes.iter().map(|(name, _)| *name);
                let told = |it: &String| {
                    let way_out = did_you_mean(it, known.clone(), "there are");
                    format!("{}: no such argument{way_out}", bare(it))
                };
                unexpected.iter().map(told).collect()
            }
            ValidationErrorKind::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                let whole =
                    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
                vec![format!("{whole}: missing; write {}", self.write(&whole))]
            }
            ValidationErrorKind::Enum { options } => {
                // A value of another shape is told by its type already.
                let said = error.instance().as_str();
                said.map(|it| format!("{path}: {}", no_choice(it, options))).into_iter().collect()
            }
            kind => vec![format!("{path}: {}; write {}", wrong(kind, error), self.write(&path))],
        }
    }

    /// What to write at a path: what its argument says.
    fn write(&self, path: &str) -> &str {
        let root = path.split(['.', '[']).next().unwrap_or_default();
        let found = self.writes.iter().find(|(name, _)| *name == root);
        found.map_or("what the schema asks for", |(_, write)| write.as_str())
    }
}

/// The refusal of arguments that do not fit.
pub(crate) fn refused(tool: &str, mut problems: Vec<String>) -> Refusal {
    let n_more = problems.len().saturating_sub(PROBLEMS_MAX);
    problems.truncate(PROBLEMS_MAX);
    if n_more > 0 {
        problems.push(format!("and {n_more} more"));
    }
    let message = format!("the arguments of {tool} do not fit");
    let hint = "nothing was done; mend the arguments and call again";
    let mut refusal = Refusal::new(RefusalCode::InvalidInput, message, hint);
    refusal.problems = problems;
    refusal
}

#[expect(clippy::wildcard_enum_match_arm, reason = "a foreign list of forty, most never met")]
/// What is wrong with a value, without the value: it may be long, secret or hostile.
fn wrong(kind: &ValidationErrorKind, error: &ValidationError<'_>) -> String {
    let value = error.instance();
    let n_letters = value.as_str().map_or(0, |it| it.chars().count());
    match kind {
        ValidationErrorKind::Type { .. } => format!("{} is not taken here", shape(value)),
        ValidationErrorKind::MaxLength { limit } => {
            format!("{n_letters} characters, at most {limit}")
        }
        ValidationErrorKind::MinLength { .. } => "empty".to_owned(),
        ValidationErrorKind::Minimum { limit } => format!("{value} is less than {limit}"),
        ValidationErrorKind::Maximum { limit } => format!("{value} is more than {limit}"),
        ValidationErrorKind::MaxItems { limit } => {
            format!("{} entries, at most {limit}", value.as_array().map_or(0, Vec::len))
        }
        ValidationErrorKind::AdditionalProperties { unexpected } => {
            let names: Vec<String> = unexpected.iter().map(|it| quoted(it)).collect();
            format!("{} not known there", names.join(", "))
        }
        _ => format!("{} does not fit", shape(value)),
    }
}

fn no_choice(said: &str, options: &Value) -> String {
    let known = options.as_array().map_or(&[][..], Vec::as_slice);
    let way_out = did_you_mean(said, known.iter().filter_map(Value::as_str), "there are");
    format!("{} is none of the choices{way_out}", quoted(said))
}

fn shape(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(it) if it.is_f64() => "a fraction",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "a list",
        Value::Object(_) => "an object",
    }
}

fn path(error: &ValidationError<'_>) -> String {
    let mut path = String::new();
    for segment in error.instance_path() {
        match segment {
            LocationSegment::Index(at) => path.push_str(&format!("[{at}]")),
            LocationSegment::Property(name) => {
                if !path.is_empty() {
                    path.push('.');
                }
                path.push_str(&bare(&name));
            }
        }
    }
    path
}

/// A name in a path: short, every odd character escaped.
fn bare(name: &str) -> String {
    quoted(name).trim_matches('"').to_owned()
}

#[cfg(test)]
mod tests {
    use callboard_config::Limits;
    use serde_json::json;

    use super::*;
    use crate::{agent, control, handoff, status};

    fn problems(fields: &[Field], arguments: Value) -> Vec<String> {
        let Value::Object(arguments) = arguments else { panic!("an object") };
        match Check::new(fields).arguments("tool", arguments) {
            Ok(_) => Vec::new(),
            Err(refusal) => refusal.problems,
        }
    }

    #[test]
    fn every_schema_compiles_and_takes_what_it_shows() {
        let limits = Limits::default();
        let taken = [
            (agent::fields(&limits), json!({"task": "t", "context": null, "wait_s": 5.0})),
            (status::fields(&limits), json!({})),
            (
                status::fields(&limits),
                json!({"run": "r_a", "view": "trace", "after": 0, "limit": 200}),
            ),
            (
                handoff::fields(&limits),
                json!({"to": "coder", "summary": "s", "task": "t", "artifacts": [{"id": "a_1"}]}),
            ),
            (
                handoff::fields(&limits),
                json!({"to": "coder", "task": "t",
                    "summary": {"did": "a", "must_know": "b", "open_questions": ["c"], "do_next": "d"}}),
            ),
            (control::fields(&limits), json!({"run": "r_a", "action": "set_priority", "value": 5})),
        ];
        for (fields, arguments) in taken {
            assert_eq!(problems(&fields, arguments.clone()), [""; 0], "{arguments}");
        }
    }

    #[test]
    fn every_problem_is_told_at_once_with_what_to_write() {
        let limits = Limits::default();
        let wrong = [
            (
                agent::fields(&limits),
                json!({"contxt": 1, "wait_s": "soon", "context": ["a"], "a\u{202e}b": {}}),
            ),
            (agent::fields(&limits), json!({"task": "", "wait_s": 99999, "context": 1.5})),
            (agent::fields(&limits), json!({"task": "x".repeat(32_001), "wait_s": -1})),
            (
                handoff::fields(&limits),
                json!({"to": "coder", "task": "t", "summary": 7, "artifacts": [{"id": 3, "size": 1}, "a"]}),
            ),
            (control::fields(&limits), json!({"run": "r_a", "action": "cancle", "limit": 201})),
            (status::fields(&limits), json!({"run": "r_a", "limit": 201, "view": 1})),
        ];
        let told = wrong.map(|(fields, arguments)| problems(&fields, arguments).join("\n"));
        insta::assert_snapshot!("problems", told.join("\n\n"));
    }

    #[test]
    fn a_hundred_problems_are_counted() {
        let many: Map<String, Value> = (0..100).map(|at| (format!("x{at}"), json!(1))).collect();
        let refusal = Check::new(&agent::fields(&Limits::default())).arguments("coder", many);
        let refusal = refusal.expect_err("nothing fits");
        assert_eq!(refusal.problems.len(), PROBLEMS_MAX + 1);
        assert_eq!(refusal.problems[PROBLEMS_MAX], "and 81 more");
    }
}
