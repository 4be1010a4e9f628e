//! A schema fuzzer, and what of its findings is one.

use std::fs;
use std::process::Stdio;

use serde_json::Value;
use tokio::process::Command;
use tokio::time::timeout;

use crate::house::{House, PATIENCE, tool};

/// Calls of every tool in each of two phases, and messages of every kind the protocol has.
const RUNS: u64 = 10;
/// Phases: what looks right, and what attacks.
const PHASES: u64 = 2;
/// Messages of the protocol that it sends at least.
const MESSAGES: u64 = 20 * RUNS;

/// Findings of which there may be none. It has others: that a task is told back as it was written, that
/// one answer came later than the usual one, that the same call was once new and once known.
const GRAVE: [&str; 6] =
    ["crash", "hang", "oversized_response", "internal_error", "error_leakage", "memory_growth"];

/// What the fuzzer wrote down.
pub(crate) struct Harvest {
    summary: Value,
    findings: Vec<Value>,
}

/// Lets the fuzzer loose on a server: an address, or a command that it starts itself.
pub(crate) async fn fuzz(house: &House, transport: &str, endpoint: &str) -> Harvest {
    let out = house.folder("fuzzer");
    let runs = RUNS.to_string();
    let mut command = Command::new(tool("CALLBOARD_FUZZER").join("mcp-fuzzer"));
    command.args(["--mode", "all", "--phase", "both", "--protocol-phase", "aggressive"]);
    command.args(["--protocol", transport, "--endpoint", endpoint, "--no-network"]);
    command.args(["--runs", &runs, "--runs-per-type", &runs, "--seed", "1", "--timeout", "10"]);
    command.arg("--output-dir").arg(&out).env("HOME", &out).current_dir(&out);
    let run = command.stdin(Stdio::null()).kill_on_drop(true).output();
    let run = timeout(PATIENCE, run).await.expect("no call hangs").expect("the fuzzer starts");
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "the fuzzer broke down: {said}");
    let read = |name: &str| -> Value {
        let text = fs::read_to_string(out.join(name)).expect("what it found");
        serde_json::from_str(&without_odd_numbers(&text)).expect("what it found, in JSON")
    };
    let findings = read("findings.json")["findings"].as_array().cloned().unwrap_or_default();
    Harvest { summary: read("run_summary.json"), findings }
}

impl Harvest {
    /// Every call was made and answered, and none was taken that does not fit.
    pub(crate) fn is_harmless(&self, tools: &Value) {
        let published = tools.as_array().map(Vec::len).unwrap_or_default() as u64;
        let told = &self.summary;
        assert_eq!(told["status"], "completed", "{told}");
        assert_eq!(told["tools"]["total_runs"], published * PHASES * RUNS, "{told}");
        assert!(told["protocols"]["total_runs"].as_u64() >= Some(MESSAGES), "{told}");
        let by_name = told["tools"]["by_name"].as_object().expect("a count for each tool");
        for (name, count) in by_name {
            for bad in ["crashed", "anomaly", "exceptions", "safety_blocked"] {
                assert_eq!(count["outcomes"][bad], 0, "{name}: {count}");
            }
        }
        let is_grave = |it: &&Value| GRAVE.contains(&it["category"].as_str().unwrap_or_default());
        let grave: Vec<_> = self.findings.iter().filter(is_grave).collect();
        assert!(grave.is_empty(), "{grave:#?}");
        let wrong: Vec<_> = self.findings.iter().filter_map(|it| objection(it, tools)).collect();
        assert!(wrong.is_empty(), "{wrong:#?}");
    }
}

/// The fuzzer writes numbers that JSON does not have, one value a line.
fn without_odd_numbers(text: &str) -> String {
    let mended = text.lines().map(|line| {
        let value = line.trim_end_matches(',');
        let odd = ["-Infinity", "Infinity", "NaN"].iter().find(|it| value.ends_with(**it));
        odd.map_or_else(|| line.to_owned(), |it| line.replacen(it, "null", 1))
    });
    mended.collect::<Vec<_>>().join("\n")
}

/// The fuzzer takes every answer to a hostile text for a finding. A task may be any text, so here
/// only that counts which does not fit: arguments off the schema that was published, and a place in
/// a list that no list has given.
fn objection(finding: &Value, tools: &Value) -> Option<String> {
    if finding["category"] != "accepted_malformed" {
        return None;
    }
    let input = &finding["evidence"]["input"];
    if finding["kind"] == "tool" {
        let is_meant = |it: &&Value| it["name"] == finding["target"];
        let tool = tools.as_array()?.iter().find(is_meant)?;
        let schema = jsonschema::validator_for(&tool["inputSchema"]).expect("a schema");
        return (!schema.is_valid(input)).then(|| format!("{} took {input}", tool["name"]));
    }
    let has_cursor = !input["params"]["cursor"].is_null();
    has_cursor.then(|| format!("{} took a cursor nobody gave it", finding["target"]))
}
