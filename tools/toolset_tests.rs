//! What a team publishes.

use std::collections::BTreeMap;

use callboard_config::{Act, Verdict};

use super::*;

/// An agent that may read.
pub(crate) fn an_agent(name: &str) -> Agent {
    Agent {
        description: format!("Does what {name}s do, with care. Use it when it is needed."),
        instructions: "Do it.".to_owned(),
        output: json!({"type": "object"}),
        permissions: BTreeMap::from([(Act::Read, Verdict::Allow)]),
        ..Agent::named(AgentName::parse(name).expect("a name"))
    }
}

/// A team of these agents.
pub(crate) fn a_team(names: &[&str]) -> Team {
    let agents: Vec<Agent> = names.iter().map(|it| an_agent(it)).collect();
    Team {
        name: "test".to_owned(),
        entry: agents[0].name.clone(),
        agents: agents.into_iter().map(|it| (it.name.clone(), it)).collect(),
        permissions: BTreeMap::new(),
        triggers: true,
        ..Team::nobody(Vec::new())
    }
}

fn of(n_agents: usize) -> Toolset {
    let names: Vec<String> = (0..n_agents).map(|at| format!("specialist_{at:02}")).collect();
    Toolset::of(&a_team(&names.iter().map(String::as_str).collect::<Vec<_>>()))
}

#[test]
fn fifteen_agents_are_tools_of_their_own_and_sixteen_are_one() {
    let full = of(15);
    assert_eq!((full.profile(), full.published().len()), (Profile::Full, 21));
    let compact = of(16);
    let names: Vec<&str> = compact.published().iter().map(|it| it.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "ask_agent",
            "team_run",
            "team_status",
            "team_handoff",
            "team_answer",
            "team_control",
            "team_read"
        ]
    );
    for set in [full, compact, of(100)] {
        let n_tokens = surface_tokens(set.published(), set.instructions());
        assert!(n_tokens < SURFACE_TOKENS, "{:?} takes {n_tokens} tokens", set.profile());
    }
}

#[test]
fn long_descriptions_make_the_list_compact() {
    let mut team = a_team(&["a1", "b1", "c1", "d1", "e1", "f1", "g1", "h1", "i1", "j1", "k1"]);
    for agent in team.agents.values_mut() {
        agent.description = "x".repeat(600);
    }
    let set = Toolset::of(&team);
    assert_eq!(set.profile(), Profile::Compact);
    assert!(surface_tokens(set.published(), set.instructions()) < SURFACE_TOKENS);
}

#[test]
fn an_agent_keeps_to_itself_what_is_not_published() {
    let mut team = a_team(&["coder", "reviewer", "team_status"]);
    for agent in team.agents.values_mut().filter(|it| it.name.as_str() == "reviewer") {
        agent.publish = false;
    }
    let set = Toolset::of(&team);
    let names: Vec<&str> = set.published().iter().map(|it| it.name.as_str()).collect();
    assert_eq!(
        names,
        [
            "coder",
            "team_run",
            "team_status",
            "team_handoff",
            "team_answer",
            "team_control",
            "team_read"
        ]
    );
}

#[test]
fn an_unknown_tool_is_told_the_nearest_one() {
    let set = Toolset::of(&a_team(&["coder"]));
    let told = |tool: &str| set.unknown(&Call { tool: tool.to_owned(), ..Call::default() }).0;
    assert_eq!(told("codr"), "tool \"codr\" is not published; did you mean \"coder\"?");
    assert!(told("x\u{0}").starts_with("tool \"x\\0\" is not published; there are coder,"));
}

#[test]
fn the_list_reads_as_written() {
    let set = Toolset::of(&a_team(&["coder"]));
    let lines: Vec<String> = set.published().iter().map(|it| json!(it).to_string()).collect();
    insta::assert_snapshot!("list", lines.join("\n"));
}
