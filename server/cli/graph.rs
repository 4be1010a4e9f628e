//! `run --tasks`: a graph of tasks out of a file, as `team_run` takes it.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use callboard_scheduler::TaskAsk;
use serde::Deserialize;
use serde_json::Value;

use super::fault::{Fault, Result};

/// Bytes of a file of tasks.
const BYTES: u64 = 64 << 20;
/// Problems told of one file; the rest is counted.
const PROBLEMS_MAX: usize = 20;
const FORM: &str = "write a list of {\"id\", \"to\", \"task\", \"after\", \"priority\", \
    \"share\", \"impact_if_missing\"}, of which only `task` must be there, by itself or as \
    {\"tasks\", \"split\"}";

/// One task as it is written.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Written {
    id: Option<String>,
    to: Option<String>,
    task: String,
    #[serde(default)]
    after: Vec<String>,
    priority: Option<u16>,
    impact_if_missing: Option<String>,
    share: Option<f64>,
}

/// The tasks of a file, and the shares of the budget that it gives by task or agent.
pub(crate) type Graph = (Vec<TaskAsk>, BTreeMap<String, f64>);

/// The tasks of a JSON file; `-` is stdin.
///
/// # Errors
/// When it cannot be read or is no list of tasks, with every problem.
pub(crate) fn tasks(path: &Path) -> Result<Graph> {
    let name = path.display();
    let text = text(path).map_err(|error| {
        Fault::call(format!("{name} cannot be read: {error}"), "name a JSON file, or `-` for stdin")
    })?;
    let value: Value = serde_json::from_str(&text)
        .map_err(|error| Fault::call(format!("{name} is no JSON: {error}"), FORM))?;
    let Some(list) = value.get("tasks").unwrap_or(&value).as_array() else {
        return Err(Fault::call(format!("{name} holds no list of tasks"), FORM));
    };
    let (mut tasks, mut problems) = (Vec::with_capacity(list.len()), Vec::new());
    for (at, it) in list.iter().enumerate() {
        match Written::deserialize(it) {
            Ok(it) => tasks.push(task(it)),
            Err(error) => problems.push(format!("tasks[{at}]: {error}")),
        }
    }
    let split = value.get("split").map_or_else(|| Ok(BTreeMap::new()), BTreeMap::deserialize);
    let split = split.unwrap_or_else(|error| {
        problems.push(format!("split: {error}"));
        BTreeMap::new()
    });
    if problems.is_empty() {
        return Ok((tasks, split));
    }
    let more = problems.len().saturating_sub(PROBLEMS_MAX);
    problems.truncate(PROBLEMS_MAX);
    if more > 0 {
        problems.push(format!("and {more} more"));
    }
    Err(Fault::call(format!("{name} is no plan:\n  {}", problems.join("\n  ")), FORM))
}

fn text(path: &Path) -> std::io::Result<String> {
    let mut text = String::new();
    if path == Path::new("-") {
        std::io::stdin().lock().take(BYTES).read_to_string(&mut text)?;
    } else {
        std::fs::File::open(path)?.take(BYTES).read_to_string(&mut text)?;
    }
    Ok(text)
}

fn task(it: Written) -> TaskAsk {
    let Written { id, to, task, after, priority, impact_if_missing, share } = it;
    TaskAsk { id, to, task, after, priority, impact_if_missing, share }
}
