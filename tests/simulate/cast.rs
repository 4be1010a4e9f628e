//! The team of every simulated world, read by the loader from its texts once.

use std::sync::OnceLock;

use callboard_config::Team;
use callboard_config::servers::Trust;

use crate::scene::Weather;

const TEAM: &str = "team: stage
entry: lead
providers:
  one: {base_url: \"http://127.0.0.1:9/v1\", concurrency: 2, breaker: {failures: 5, reset_s: 5}}
  two: {base_url: \"http://127.0.0.1:9/v1\", breaker: {failures: 3, reset_s: 300}}
models:
  default: {provider: one, model: first, fallback: [spare]}
  spare: two/second
limits: {depth: 2, hops: 3, fan_out: 3, turns: 6, rate_limited: 4, parallel_calls: 3, deadline_s: 900}
budgets:
  run: {tokens: 60000}
  task: {tokens: 200000, model_calls: 12}
resources:
  bank: {capacity: 4, refill_per_s: 0.5, concurrency: 2}
mcpServers:
  bank: {type: http, url: \"http://127.0.0.1:9/mcp\"}
approvals: {tainted: allow}
";

/// Agents with what they may do, and to whom they may turn.
const AGENTS: &[(&str, &str)] = &[
    (
        "lead",
        "mcpServers: []\nhandoffs:\n  - {to: coder, triggers: [implement]}\n  - {to: tester}\n  - {to: clerk}\n  - {to: boss}\n",
    ),
    (
        "coder",
        "mcpServers: []\nhandoffs:\n  - {to: tester, triggers: [test]}\n  - {to: lead}\n\
         output: {properties: {files: {type: array}}, required: [files]}\n",
    ),
    ("tester", "mcpServers: []\nmaxTurns: 3\nhandoffs: [coder]\n"),
    ("clerk", "mcpServers: [bank]\npermissions: {external: allow}\nhandoffs: [tester, boss]\n"),
    ("boss", "kind: human\nchoices: [\"yes\", \"no\"]\n"),
];

/// Steps that may be in progress at once at what is shared, as the team has it.
pub(crate) const WIDTHS: [(&str, usize); 2] = [("first", 2), ("bank", 2)];
/// What the bucket of the bank holds, and what comes back to it in a second of a world that is not
/// in a hurry.
pub(crate) const BUCKET: (f64, f64) = (4.0, 0.5);

/// Those that tasks are given to.
pub(crate) const NAMES: [&str; 6] = ["lead", "coder", "tester", "clerk", "clerk", "boss"];

/// The team with the seats of this world, and with waits that fit its pace.
pub(crate) fn team(weather: &Weather, pace: u32) -> Team {
    static READ: OnceLock<Team> = OnceLock::new();
    static HURRIED: OnceLock<Team> = OnceLock::new();
    let mut team = match pace {
        1 => READ.get_or_init(|| read(TEAM)).clone(),
        _ => {
            let fill = format!("refill_per_s: {}", BUCKET.1 * f64::from(pace));
            // No wait is longer there than the world waits for.
            let hurried = TEAM
                .replace("refill_per_s: 0.5", &fill)
                .replace("reset_s: 5", "reset_s: 1")
                .replace("reset_s: 300", "reset_s: 2");
            HURRIED.get_or_init(|| read(&hurried)).clone()
        }
    };
    team.limits.concurrent = weather.seats;
    team
}

fn read(text: &str) -> Team {
    let folder = tempfile::tempdir().expect("a folder");
    let write = |name: &str, text: &str| {
        std::fs::write(folder.path().join(name), text).expect("a file");
    };
    std::fs::create_dir(folder.path().join("agents")).expect("a folder");
    write("team.yaml", text);
    for (name, fields) in AGENTS {
        let text = format!("---\nname: {name}\ndescription: The {name}.\n{fields}---\nBe it.\n");
        write(&format!("agents/{name}.md"), &text);
    }
    let mut team = callboard_config::load_here(folder.path()).expect("the team holds");
    let wrong: Vec<String> = team
        .problems
        .iter()
        .filter(|it| it.severity == callboard_config::Severity::Error)
        .map(ToString::to_string)
        .collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    team.trust(&Trust::read(folder.path(), true));
    assert_eq!(team.servers.len(), 1, "{:?}", team.untrusted);
    team
}
