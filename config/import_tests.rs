//! The JSON forms of handoffs and capabilities: what they add, and what is wrong with them.

use proptest::prelude::{any, prop_oneof, proptest};
use proptest::strategy::Strategy;

use crate::testing::{PLAIN, agent, team, told, try_load};
use crate::{Class, Team};

fn edges(team: &Team, name: &str) -> Vec<String> {
    let edge = |it: &crate::Edge| format!("{} [{}]", it.to, it.triggers.join(" "));
    agent(team, name).handoffs.iter().map(edge).collect()
}

const HANDOFFS: &str = r#"{
  "coder": {
    "handoffs": ["tester"],
    "triggers": ["test", "verify"]
  },
  "tester": {"handoffs": ["reviewer"], "triggers": ["review"]},
  "reviewer": {"handoffs": ["coder"], "triggers": ["fix"]}
}"#;
const EXTENDED: &str = r#"{
	"IntegrationTester": {
		"capabilities": ["end-to-end-test", "API validation"],
		"handoffs_from": ["coder", "Tester"],
		"handoffs_to": ["debugger"],
		"priority": "quality"
	},
	"debugger": {"capabilities": [], "handoffs_to": ["Coder"], "priority": 900}
}"#;

#[test]
fn a_team_of_the_two_files_alone_loads() {
    let files = [("agent_handoffs.json", HANDOFFS), ("agents_extended.json", EXTENDED)];
    let team = team(&files);
    assert_eq!(edges(&team, "coder"), ["tester [test verify]", "integration_tester [test verify]"]);
    assert_eq!(edges(&team, "integration_tester"), ["debugger []"]);
    assert_eq!(edges(&team, "debugger"), ["coder []"]);
    let made = agent(&team, "integration_tester");
    assert_eq!(made.capabilities, ["end-to-end-test", "api-validation"]);
    assert_eq!((made.class, agent(&team, "debugger").class), (Class::Quality, Class::Critical));
    assert_eq!(
        made.description,
        "The integration tester of the team: end-to-end-test, API validation."
    );
    insta::assert_snapshot!(made.instructions);
    insta::assert_snapshot!(told(&files));
}

#[test]
fn they_are_laid_over_the_agents_files_and_the_team_file_over_them() {
    let lead = "---\nname: Lead-Coder\ndescription: d\nhandoffs: tester, odd\ntriggers: go\n\
                capabilities: [code]\nclass: high\nhandoffs_from: '*'\n---\nI lead.";
    let json = r#"{"LEAD_CODER": {"handoffs": ["Tester", "sec"], "handoffs_deny": ["odd"],
        "triggers": ["GO", "run"], "capabilities": ["Code", "lead"], "priority": 60},
        "sec": {"capabilities": ["audit"]}, "_note": "ours", "$schema": "x"}"#;
    let files = [
        ("agents/lead.md", lead),
        ("agents/tester.md", PLAIN),
        ("agents/odd.md", PLAIN),
        ("agents_extended.json", json),
        ("team.yaml", "entry: lead_coder\nagents: {sec: {authority: 1, class: low}}"),
    ];
    let team = team(&files);
    let lead = agent(&team, "lead_coder");
    assert_eq!(lead.instructions, "I lead.");
    assert_eq!(edges(&team, "lead_coder"), ["tester [go run]", "sec [go run]"]);
    assert_eq!(edges(&team, "odd"), Vec::<String>::new());
    assert_eq!(edges(&team, "sec"), ["lead_coder []"]);
    assert_eq!(
        (lead.class, &lead.capabilities[..]),
        (Class::Low, &["code", "lead"].map(String::from)[..])
    );
    assert_eq!((agent(&team, "sec").authority, agent(&team, "sec").class), (1.0, Class::Low));
}

#[test]
fn what_is_wrong_names_the_line_and_the_rest_serves() {
    let cases = [
        "{\"lead\": {\"handoffs\": [\"odd\",]}}",
        "{\n  \"lead\": {\n    \"handoffs\": [\"odd\"]\n",
        "[\"lead\"]",
        "{\n  \"lead\": [\"odd\"],\n  \"odd\": {\"handoffs\": {\"to\": \"lead\"}}\n}",
        "{\n  \"lead\": {\n    \"handoffs\": [\"od\", \"lead\", 7],\n    \
         \"handoffs_from\": \"nobody\"\n  }\n}",
        "{\"lead\": {\"priority\": \"urgent\"},\n \"odd\": {\"priority\": 2000, \"class\": 1.5}}",
        "{\"lead\": {\"handofs\": [\"odd\"]},\n \"lead\": {}}",
        "{\"lead\": {\"capabilities\": [\"{not one}\", \"review\"]}}",
        "{\"9lives\": {}, \"plan\": {},\n \"team_lead\": {}}",
        "{\"lead\": {\"handoffs\": [\"odd\"], \"triggers\": [\"\\ud83d\\ude00\"]}}",
        "\u{feff}{}",
        "",
    ];
    let files = |json| {
        [
            ("team.yaml", "entry: lead"),
            ("agents/lead.md", PLAIN),
            ("agents/odd.md", PLAIN),
            ("agent_handoffs.json", json),
        ]
    };
    let told: Vec<String> = cases.iter().map(|it| format!("{it}\n{}", told(&files(it)))).collect();
    for json in cases {
        let team = try_load(&files(json)).expect("the rest serves");
        assert!(team.agents.len() >= 2, "{json}");
    }
    insta::assert_snapshot!(told.join("\n\n"));
}

#[test]
fn an_agent_whose_file_is_broken_is_not_made_from_the_json() {
    let files = [
        ("agents/lead.md", PLAIN),
        ("agents/broken.md", "no front matter"),
        (
            "agents_extended.json",
            r#"{"Broken": {"capabilities": ["x"]}, "lead": {"handoffs_to": ["broken"]}}"#,
        ),
    ];
    insta::assert_snapshot!(told(&files), @r#"
    starts
    agents/broken.md:1: has no front matter
      help: begin with a `---` line, write `description: ...`, and end with another `---`
    warning: agents_extended.json:1: agent "broken" is left out, and so is its place in `handoffs`
    warning: team.yaml: no agent is named for work that nobody is named for; lead gets it
      help: write `entry: NAME` with one of lead
    1 error, 2 warnings
    "#);
}

proptest! {
    /// Whatever stands in the JSON files, the loader answers, and the agents with files serve.
    #[test]
    fn no_json_stops_the_team(text in prop_oneof![any::<String>(), json()], other in json()) {
        let files = [
            ("agents/lead.md", PLAIN.to_owned()),
            (".codex/agents/any.toml", text.clone()),
            ("agent_handoffs.json", text),
            ("agents_extended.json", other),
        ];
        let team = try_load(&files).expect("the rest serves");
        assert!(team.agents.keys().any(|it| it.as_str() == "lead"), "{:?}", team.problems);
    }
}

/// Values that look more or less like these files.
fn json() -> impl Strategy<Value = String> {
    let word = || {
        prop_oneof!["[a-zA-Z_-]{1,12}", "lead|Coder|tester|handoffs|triggers|\\*", any::<String>()]
    };
    let leaf = prop_oneof![
        word().prop_map(serde_json::Value::from),
        any::<i64>().prop_map(serde_json::Value::from),
        any::<bool>().prop_map(serde_json::Value::from),
        any::<f64>().prop_map(|it| serde_json::json!(it)),
    ];
    let key = prop_oneof![
        "capabilities|handoffs|handoffs_to|handoffs_from|handoffs_deny|triggers|priority",
        "lead|tester",
        word(),
    ];
    let value = leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..5).prop_map(serde_json::Value::from),
            proptest::collection::vec((key.clone(), inner), 0..6)
                .prop_map(|it| serde_json::Value::Object(it.into_iter().collect())),
        ]
    });
    value.prop_map(|it| format!("{it:#}"))
}
