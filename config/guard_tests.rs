//! Guardrails: what is read, whose they are, and what is told when they are wrong.

use crate::guards::{Border, Kind, OnFail, Personal};
use crate::testing::{PLAIN, agent, team, told, told_of_agent, told_of_team};

const MODELS: &str = "providers: {r: {kind: rehearsal}}\nmodels: {default: r/m, small: r/s}\n";

#[test]
fn each_agent_has_the_checks_of_the_team_and_its_own() {
    let of_team = format!(
        "{MODELS}guardrails:\n  - {{on: input, kind: size, max: 10}}\n  \
         - {{on: tool_call, kind: banned, words: [rm, sudo], on_fail: ask,\n     \
         applies_to: {{agents: coder, tools: [\"mcp__*\"]}}}}\n  \
         - {{name: fair, on: output, kind: judge, by: lead, criteria: is it fair, pass: 0.5,\n     \
         timeout_s: 1m, on_fail: repair}}\n"
    );
    let own = "---\ndescription: Codes.\nguardrails:\n  - {on: output, kind: personal, data: \
        [email, iban], on_fail: redact}\n  \
               - {on: output, kind: required, paths: findings.0.evidence, on_fail: warn}\n  \
               - {on: input, kind: size, max: 99}\n---\nCode.\n";
    let team =
        team(&[("team.yaml", &*of_team), ("agents/lead.md", PLAIN), ("agents/coder.md", own)]);
    let names =
        |name| agent(&team, name).guards.iter().map(|it| it.name.as_str()).collect::<Vec<_>>();
    assert_eq!(names("lead"), ["size_input", "fair"]);
    assert_eq!(
        names("coder"),
        [
            "size_input",
            "banned_tool_call",
            "fair",
            "personal_output",
            "required_output",
            "size_input+"
        ]
    );
    let coder = agent(&team, "coder");
    let guard = |at: usize| &coder.guards[at];
    assert_eq!((guard(0).on, guard(0).on_fail), (Border::Input, OnFail::Block));
    assert_eq!(guard(1).on_fail, OnFail::Ask);
    assert!(guard(1).is_about("mcp__git__push") && !guard(1).is_about("note"));
    let Kind::Judge { by, pass, models, instructions, .. } = &guard(2).kind else {
        panic!("a judge")
    };
    assert_eq!((by.as_str(), *pass, models[0].model.as_str()), ("lead", 0.5, "m"));
    assert_eq!((guard(2).timeout_s, guard(2).on_fail), (60, OnFail::Retry));
    assert_eq!(instructions.trim(), "Do it.");
    assert_eq!(guard(3).kind, Kind::Personal { data: vec![Personal::Email, Personal::Iban] });
    assert_eq!(guard(4).kind, Kind::Required { paths: vec!["/findings/0/evidence".into()] });
    assert_eq!(guard(4).on_fail, OnFail::Flag);
}

#[test]
fn a_judge_may_be_an_alias_of_a_model() {
    let text =
        format!("{MODELS}guardrails: [{{on: output, kind: judge, by: small, criteria: c}}]\n");
    let team = team(&[("team.yaml", &*text), ("agents/lead.md", PLAIN)]);
    let Kind::Judge { models, pass, .. } = &agent(&team, "lead").guards[0].kind else {
        panic!("one")
    };
    assert_eq!((models[0].model.as_str(), *pass), ("s", 0.7));
}

#[test]
fn an_agent_is_the_same_after_it_was_written_down() {
    let text = format!(
        "{MODELS}guardrails:\n  - {{on: output, kind: judge, by: small, criteria: c}}\n  \
         - {{on: output, kind: schema, schema: {{type: object}}}}\n  \
         - {{on: input, kind: pattern, deny: \"a,b\"}}\n"
    );
    let team = team(&[("team.yaml", &*text), ("agents/lead.md", PLAIN)]);
    let lead = agent(&team, "lead");
    let written = serde_json::to_string(lead).expect("written");
    assert_eq!(serde_json::from_str::<crate::Agent>(&written).expect("read"), *lead);
    assert_eq!(lead.guards[2].kind, Kind::Pattern { allow: vec![], deny: vec!["a,b".into()] });
}

#[test]
fn wrong_guardrails_are_told_together() {
    let text = format!(
        "{MODELS}guardrails:\n  - {{on: output}}\n  - {{kind: size, max: 3}}\n  \
         - {{on: outptu, kind: sise}}\n  - {{on: input, kind: size}}\n  \
         - {{on: input, kind: pattern, deny: \"(a\", maxx: 3}}\n  \
         - {{on: input, kind: pattern, deny: [\"(?=a)b\"], on_fail: retry}}\n  \
         - {{on: tool_call, kind: secrets, on_fail: redact}}\n  \
         - {{on: output, kind: size, max: 3, on_fail: redact}}\n  \
         - {{on: input, kind: evidence}}\n  \
         - {{on: output, kind: schema, schema: {{$ref: \"http://x/y\"}}}}\n  \
         - {{on: output, kind: judge, by: smal, criteria: c}}\n  \
         - {{on: output, kind: judge, by: small}}\n  \
         - {{on: output, kind: secrets, applies_to: {{agent: lead, agents: [led]}}}}\n  \
         - {{on: input, kind: secrets, applies_to: {{tools: [x]}}}}\n  - secrets\n"
    );
    insta::assert_snapshot!(told_of_team(&text));
}

#[test]
fn in_an_agents_file_they_are_read_as_strictly() {
    let text = "---\ndescription: d\nguardrails:\n  - {on: output, kind: size, max: 3, on_fial: \
        flag}\n---\nDo.\n";
    let said = told_of_agent(text);
    assert!(
        said.contains("error: agents/odd.md") || said.contains("did you mean \"on_fail\"?"),
        "{said}"
    );
    assert!(!said.contains("warning: agents/odd.md:4"), "{said}");
    let judge = "---\ndescription: d\nguardrails: [{on: output, kind: judge, by: nobody, criteria: \
        c}]\n---\nDo.\n";
    let text = format!("entry: lead\n{MODELS}");
    let said = told(&[("team.yaml", &*text), ("agents/lead.md", PLAIN), ("agents/odd.md", judge)]);
    assert!(said.starts_with("starts") && said.contains("judge \"nobody\" is no agent"), "{said}");
    let team = team(&[("team.yaml", &*text), ("agents/lead.md", PLAIN), ("agents/odd.md", judge)]);
    assert_eq!(team.agents.len(), 1, "it is left out");
}
