//! Hostile and odd bytes: bombs, depth, encodings, arbitrary text; and the shipped pack.

use std::fmt::Write as _;
use std::time::Duration;

use proptest::prelude::{any, prop_oneof, proptest};
use proptest::strategy::Strategy;

use crate::permission::Grants;
use crate::testing::{
    PLAIN, agent, env, folder, team, told, told_of_agent, told_of_team, try_load,
};
use crate::{AgentName, Class, load, pack};

#[test]
fn an_alias_bomb_stops_at_the_bound() {
    let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..30 {
        let before = format!("*a{}", level - 1);
        let all = vec![before; 10].join(", ");
        writeln!(bomb, "a{level}: &a{level} [{all}]").unwrap();
    }
    let told = told_of_team(&bomb);
    assert!(told.contains("holds more than 100000 values"), "{told}");
    let told = told_of_team("team: &a [*a]\n");
    assert!(told.contains("team.yaml:1: "), "{told}");
    let told = told_of_team("x: &x {y: 1}\n<<: *x\n");
    assert!(told.contains("key `<<` is not known"), "{told}");
}

#[test]
fn deep_nesting_stops_at_the_bound() {
    for text in
        ["- ".repeat(400_000), "[".repeat(400_000), "{a: ".repeat(200_000), "? ".repeat(400_000)]
    {
        let told = told_of_team(&text);
        assert!(told.contains("nested deeper") || told.contains("is no YAML here"), "{told}");
    }
}

#[test]
fn a_file_over_a_mebibyte_is_not_read() {
    let told = told_of_agent(&format!("---\ndescription: d\n---\n{}", "x".repeat(1 << 20)));
    assert!(told.contains("agents/odd.md: is larger than 1024 KiB"), "{told}");
}

#[test]
fn windows_line_ends_and_byte_order_marks_are_plain() {
    let text =
        "\u{feff}---\r\ndescription: d\r\nhandoffs:\r\n  - nobody\r\n---\r\nOne.\r\n\r\nTwo.\r\n";
    let files = [("agents/lead.md", text), ("team.yaml", "\u{feff}team: t\r\nentry: lead\r\n")];
    let team = team(&files);
    assert_eq!(agent(&team, "lead").instructions, "One.\n\nTwo.");
    assert_eq!((team.name.as_str(), team.problems[0].line), ("t", 4));
}

#[test]
fn a_file_that_is_no_utf8_leaves_only_itself_out() {
    let files = [
        ("agents/lead.md", PLAIN.as_bytes()),
        ("agents/odd.md", b"---\ndescription: caf\xe9\n---\nx"),
        ("team.yaml", b"entry: lead"),
    ];
    insta::assert_snapshot!(told(&files), @r#"
    starts
    agents/odd.md: is no UTF-8 text: byte 20
    1 error, 0 warnings
    "#);
    let told = told(&[("team.yaml", &b"team: \xff"[..]), ("agents/lead.md", PLAIN.as_bytes())]);
    assert!(told.starts_with("team.yaml: is no UTF-8 text: byte 6"), "{told}");
}

#[test]
fn readmes_and_other_files_are_no_agents() {
    let files = [
        ("agents/lead.md", PLAIN),
        ("agents/README.md", "# hello"),
        ("agents/notes.txt", "x"),
        ("agents/.hidden.md", "x"),
    ];
    assert!(team(&files).problems.is_empty());
}

#[test]
fn the_pack_loads_without_a_word() {
    let place = tempfile::tempdir().unwrap();
    let written = pack::write(place.path(), false).unwrap();
    assert_eq!(written.len(), 18);
    let team = load(place.path(), &env).unwrap();
    assert_eq!(team.problems, []);
    assert_eq!(
        (team.name.as_str(), team.entry.as_str(), team.agents.len()),
        ("engineering", "coordinator", 15)
    );
    assert_eq!(agent(&team, "coordinator").handoffs.len(), 14);
    assert!(agent(&team, "coordinator").handoffs.iter().all(|it| it.triggers == ["any"]));
    for agent in team.agents.values() {
        assert!(agent.description.len() <= 90, "{}", agent.name);
        let lines = agent.instructions.lines().count();
        assert!((25..=60).contains(&lines), "{} has {lines} lines", agent.name);
    }
    for agent in team.agents.values() {
        let output = agent.output.to_string();
        assert!(!output.contains(":null"), "{}: a comma split a text: {output}", agent.name);
    }
    let to = |name: &str| -> Vec<String> {
        agent(&team, name).handoffs.iter().map(|it| it.to.to_string()).collect()
    };
    assert_eq!(to("monitor"), ["debugger", "optimizer"]);
    assert_eq!(to("devops"), ["monitor", "integration_tester", "security_auditor"]);
    assert_eq!(to("researcher"), ["coder", "architect", "technical_writer"]);
    assert_eq!(agent(&team, "security_auditor").authority, 1.0);
    assert_eq!(agent(&team, "debugger").class, Class::Critical);
    let trusted: Vec<&AgentName> =
        team.agents.values().filter(|it| it.grants == Grants::Team).map(|it| &it.name).collect();
    assert_eq!(trusted.len(), 7, "{trusted:?}");
}

#[test]
fn the_pack_is_the_folder_and_never_overwrites() {
    let place = folder(&[("agents/coder.md", "mine"), ("team.yaml", "team: mine")]);
    let problems = pack::write(place.path(), false).unwrap_err();
    assert_eq!(problems.0.len(), 2);
    assert!(!place.path().join("agents/tester.md").exists(), "all or nothing");
    assert_eq!(std::fs::read_to_string(place.path().join("agents/coder.md")).unwrap(), "mine");
    pack::write(place.path(), true).unwrap();
    assert_ne!(std::fs::read_to_string(place.path().join("agents/coder.md")).unwrap(), "mine");

    let agents = concat!(env!("CARGO_MANIFEST_DIR"), "/../examples/engineering/agents");
    let shipped = std::fs::read_dir(agents).unwrap().count();
    let packed = pack::engineering().iter().filter(|(path, _)| path.starts_with("agents/")).count();
    assert_eq!(shipped, packed, "a file in the folder is not in the pack");
}

#[test]
fn every_provider_in_the_packs_comments_is_right() {
    let text = pack::engineering()[0].1;
    let open: Vec<&str> = text
        .lines()
        .skip_while(|it| *it != "# providers:")
        .take_while(|it| !it.starts_with("handoffs:"))
        .map(|it| it.strip_prefix("# ").or(it.strip_prefix('#')).unwrap_or(it))
        .collect();
    let keys = |name: &str| name.ends_with("_API_KEY").then(|| "k".to_owned());
    let mut files =
        vec![("team.yaml".to_owned(), format!("entry: architect\n{}", open.join("\n")))];
    files.extend(["architect", "monitor"].map(|it| (format!("agents/{it}.md"), PLAIN.to_owned())));
    let place = folder(&files.iter().map(|(path, text)| (path.as_str(), text)).collect::<Vec<_>>());
    let team = load(place.path(), &keys).unwrap_or_else(|it| panic!("{it}"));
    assert_eq!((team.providers.len(), team.problems), (9, vec![]));
}

#[test]
fn a_hundred_agents_load() {
    let agents: Vec<(String, String)> = (0..100)
        .map(|it| {
            let next = (it + 1) % 100;
            let text = format!(
                "---\ndescription: Agent {it}.\nhandoffs: [{{to: agent_{next}, triggers: [go]}}]\n\
                 output: {{properties: {{x: {{type: string}}}}}}\n---\n{}",
                "Work.\n".repeat(40)
            );
            (format!("agents/agent_{it}.md"), text)
        })
        .collect();
    let mut files: Vec<(&str, &str)> =
        agents.iter().map(|(path, text)| (path.as_str(), text.as_str())).collect();
    files.push(("team.yaml", "entry: agent_0"));
    let place = folder(&files);
    let start = stopwatch();
    let team = load(place.path(), &env).unwrap();
    println!("100 agents in {:?}", start());
    assert_eq!((team.agents.len(), team.problems.len()), (100, 0));
}

#[expect(clippy::disallowed_methods, reason = "a figure for the reader; nothing depends on it")]
fn stopwatch() -> impl Fn() -> Duration {
    let start = std::time::Instant::now();
    move || start.elapsed()
}

proptest! {
    #[test]
    fn load_never_panics_on_bytes(
        team in any::<Vec<u8>>(),
        agent in any::<Vec<u8>>(),
        prices in any::<Vec<u8>>(),
    ) {
        let files = [("team.yaml", team), ("agents/a1.md", agent), ("prices.yaml", prices)];
        let _ = try_load(&files);
    }

    #[test]
    fn load_never_panics_on_nearly_right_text(team in text(), agent in text()) {
        let agent = format!("---\n{agent}\n---\n{team}");
        let told = told(&[("team.yaml", &team), ("agents/a1.md", &agent), ("prices.yaml", &team)]);
        assert!(told.contains(" error"));
    }
}

/// Pieces of real files in any order.
fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "(team|entry|limits|providers|models|agents|name|description|handoffs|output|tools|permissions)",
        "(budgets|run|usd|minutes|resources|capacity|tools|breaker|priority|route|throttle|input)",
        "[ \n\t:,\\-\\[\\]{}&*!|>'\"%@`#?~]{1,4}",
        "(\n  |: |\n- |: \\{|\\}|\\[|\\]|\n)",
        "(env:X|file:y|5m|64KiB|-1|0x7|1e99|.nan|true|null|~|a/b|default|<<)",
        "\\PC{0,5}",
    ];
    proptest::collection::vec(piece, 0..40).prop_map(|it| it.concat())
}
