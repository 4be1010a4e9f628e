//! Agent files: the forms of other products, handoffs, answers, and what is wrong with them.

use crate::permission::Grants;
use crate::testing::{PLAIN, agent, team, told, told_of_agent, try_load};
use crate::{Act, AgentName, Class, Kind, Mode, Verdict, schema};

#[test]
fn a_claude_code_agent_loads_unchanged() {
    let text = "---\nname: code-reviewer\ndescription: Use this agent when code was written: it \
        reviews it. Examples:\\n\\n<example>\\nContext: a change\\nuser: \"done\"\\n</example>\n\
        tools: Read, Grep, Bash(git diff:*, git log), mcp__files__*\nmodel: sonnet\ncolor: purple\n\
        permissionMode: plan\nhooks:\n  PreToolUse: []\nmaxTurns: 12\n---\n\nYou review code.\n\n\
        ---\n\nMore.\n";
    let team = team(&[(".claude/agents/code-reviewer.md", text)]);
    let agent = agent(&team, "code_reviewer");
    assert_eq!(agent.instructions, "You review code.\n\n---\n\nMore.");
    assert_eq!(
        agent.tools.as_deref().unwrap(),
        ["Read", "Grep", "Bash(git diff:*, git log)", "mcp__files__*"]
    );
    assert_eq!((agent.max_turns, agent.models[0].model.as_str()), (12, "gpt-5-mini"));
    assert!(agent.description.starts_with("Use this agent when code was written: it reviews it."));
    insta::assert_snapshot!(told(&[(".claude/agents/code-reviewer.md", text)]));
}

#[test]
fn a_vs_code_agent_loads_unchanged() {
    let plan = "---\nname: Feature Planner\ndescription: Plans a feature\nargument-hint: the feature\n\
        tools: ['search', 'web/fetch']\nmodel: ['Claude Opus 4.5', 'GPT-5 (copilot)']\nhandoffs:\n  \
        - label: Start implementation\n    agent: Implementer\n    prompt: Implement the plan above.\n    \
        send: false\n  - {label: Edit, agent: agent, prompt: go}\n---\nYou plan.\n";
    let files =
        [(".github/agents/planner.agent.md", plan), (".github/agents/implementer.agent.md", PLAIN)];
    let team = team(&[files[0], files[1], ("team.yaml", "entry: Feature Planner")]);
    let planner = agent(&team, "feature_planner");
    let edge = &planner.handoffs[0];
    assert_eq!((edge.to.as_str(), planner.handoffs.len()), ("implementer", 1));
    assert_eq!(edge.when.as_deref(), Some("Start implementation"));
    assert_eq!(edge.task.as_deref(), Some("Implement the plan above."));
    assert_eq!(team.entry.as_str(), "feature_planner");
    insta::assert_snapshot!(told(&[files[0], files[1], ("team.yaml", "entry: Feature Planner")]));
}

#[test]
fn gemini_and_opencode_agents_load_unchanged() {
    let gemini = "---\nname: sec\nkind: local\ndescription: Looks.\ntools: ['*']\ntemperature: 0.2\n\
        max_turns: 30\ntimeout_mins: 5\n---\nLook.\n";
    let opencode = "---\ndescription: Reviews.\nmode: subagent\ntools:\n  write: false\n  edit: \
        false\n  read: true\npermission: {edit: deny}\n---\nReview.\n";
    let team = team(&[
        (".gemini/agents/sec.md", gemini),
        (".opencode/agent/rev.md", opencode),
        ("team.yaml", "entry: sec"),
    ]);
    assert_eq!((agent(&team, "sec").max_turns, agent(&team, "sec").temperature), (30, Some(0.2)));
    assert_eq!(agent(&team, "rev").disallowed_tools, ["write", "edit"]);
    assert!(agent(&team, "rev").tools.is_none());
}

#[test]
fn a_person_is_an_agent_without_a_model() {
    let text = "---\ndescription: Approves releases.\nkind: human\nchoices: [approve, reject]\n\
        output: {properties: {why: {type: string}}, required: [why]}\n\
        model: opus\ntools: [Read]\nmaxTurns: 3\n---\n";
    let files = [("agents/boss.md", text)];
    let team = crate::load(crate::testing::folder(&files).path(), &|_| None).unwrap();
    let boss = agent(&team, "boss");
    assert_eq!((boss.kind, boss.models.len()), (Kind::Human, 0));
    assert_eq!(boss.choices, ["approve", "reject"]);
    assert_eq!(boss.instructions, "Approves releases.");
    insta::assert_snapshot!(told(&files), @r#"
    starts
    warning: agents/boss.md:5: `output` is not used beside `choices`: the choice is the whole answer
      help: remove one of them
    warning: agents/boss.md:6: a person has no use for `model`, `tools`, `maxTurns`
      help: remove it, or remove `kind: human`
    0 errors, 2 warnings
    "#);
    let mixed = [("agents/boss.md", text), ("agents/lead.md", PLAIN), ("team.yaml", "entry: boss")];
    let team = crate::load(crate::testing::folder(&mixed).path(), &|_| None).unwrap();
    let said: Vec<String> = team.problems.iter().map(|it| it.message.clone()).collect();
    assert!(said.iter().any(|it| it.starts_with("no model endpoint is set")), "{said:?}");
}

#[test]
fn the_folders_of_other_clients_are_read_and_the_first_name_wins() {
    let cursor = "---\nname: verifier\ndescription: Verifies.\nmodel: fast\nreadonly: true\n\
        is_background: true\n---\nVerify.\n";
    let vs_code = "---\nname: Lead\ndescription: Leads.\nagents: ['Deep One', 'Explore']\n\
        user-invocable: true\n---\nLead.\n";
    let opencode = "---\ndescription: Reviews.\nmode: subagent\nprompt: Review it all.\n\
        permission: {edit: deny, bash: {\"git *\": allow}}\n---\n";
    let files = [
        (".cursor/agents/verifier.md", cursor),
        (".github/agents/lead.agent.md", vs_code),
        (".opencode/agent/rev.md", opencode),
        (".claude/agents/team/more/deep-one.md", PLAIN),
        (".claude/agents/team/rev.md", "---\ndescription: The first.\n---\nx"),
        (".claude/agents/team/README.md", "no agent"),
        ("agents/drafts/idea.md", "no agent"),
        ("team.yaml", "entry: lead"),
    ];
    let team = try_load(&files).unwrap();
    let names: Vec<&str> = team.agents.keys().map(AgentName::as_str).collect();
    assert_eq!(names, ["deep_one", "lead", "rev", "verifier"]);
    assert_eq!(agent(&team, "rev").description, "The first.");
    let verifier = &agent(&team, "verifier").permissions;
    assert_eq!((verifier[&Act::Write], verifier[&Act::Read]), (Verdict::Deny, Verdict::Allow));
    let edge = &agent(&team, "lead").handoffs[0];
    assert_eq!((edge.to.as_str(), edge.mode), ("deep_one", Mode::Delegate));
    let alone = crate::testing::team(&[(".opencode/agent/rev.md", opencode)]);
    assert_eq!(agent(&alone, "rev").instructions, "Review it all.");
    insta::assert_snapshot!(told(&files));
}

#[test]
fn who_has_the_task_tool_may_ask_the_others() {
    let of = |tools: &str, more: &str| {
        let boss = format!("---\ndescription: Leads.\ntools: {tools}\n{more}---\nLead.");
        let files = [
            (".claude/agents/boss.md", boss.as_str()),
            (".claude/agents/helper.md", "---\ndescription: Helps.\n---\nHelp."),
            (".claude/agents/code-reviewer.md", "---\ndescription: Reviews.\n---\nReview."),
            (".claude/agents/inner.md", "---\ndescription: Inner.\npublish: false\n---\nx"),
            ("team.yaml", "entry: boss"),
        ];
        let team = team(&files);
        let edges = agent(&team, "boss").handoffs.iter();
        edges.map(|it| (it.to.to_string(), it.mode == Mode::Delegate)).collect::<Vec<_>>()
    };
    let asked =
        |names: &[&str]| names.iter().map(|it| ((*it).to_owned(), true)).collect::<Vec<_>>();
    for all in ["Read, Task", "Agent, Read", "[read, agent]", "['agent/runSubagent']", "Task()"] {
        assert_eq!(of(all, ""), asked(&["code_reviewer", "helper"]), "{all}");
    }
    assert_eq!(of("Read, Task(helper)", ""), asked(&["helper"]));
    let both = asked(&["code_reviewer", "inner"]);
    assert_eq!(of("Read, Agent(code-reviewer, inner), Task", ""), both);
    assert_eq!(of("Read, Task", "handoffs: [helper]\n"), [("helper".to_owned(), false)]);
    assert_eq!(of("Read", ""), []);
    let told =
        told_of_agent("---\ndescription: Leads.\ntools: Read, Task(lead), runSubagent\n---\nx");
    assert!(!told.contains("not there"), "{told}");
}

#[test]
fn a_codex_agent_loads_unchanged() {
    let text = "name = \"pr-explorer\"\ndescription = \"Explores.\"\nmodel = \"gpt-5.1\"\n\
        model_reasoning_effort = \"high\"\nsandbox_mode = \"read-only\"\n\
        developer_instructions = \"\"\"\nExplore it.\n\
        Say where.\"\"\"\n\n[mcp_servers.docs]\nurl = \"https://x\"\n[[skills.config]]\npath = \"y\"\n";
    let files = [(".codex/agents/pr.toml", text), (".codex/agents/notes.md", "no agent")];
    let team = team(&files);
    let agent = agent(&team, "pr_explorer");
    assert_eq!(agent.instructions, "Explore it.\nSay where.");
    assert_eq!(agent.effort.as_deref(), Some("high"));
    let broken = [
        (".codex/agents/pr.toml", text),
        (".codex/agents/one.toml", "name = \"one\"\ndescription = [\n"),
        (".codex/agents/two.toml", "description = \"d\"\nmax_turns = 1_000\nauthority = 2.5\n"),
    ];
    insta::assert_snapshot!(told(&broken), @r#"
    starts
    .codex/agents/one.toml:2: is no TOML here: unclosed array, expected `]`
    warning: .codex/agents/pr.toml:3: model "gpt-5.1" is not in `models`; the team default is used
      help: write `gpt-5.1: PROVIDER/MODEL` below `models:` in team.yaml
    warning: .codex/agents/pr.toml:5: not acted on by this version: `sandbox_mode`, `skills`
    warning: .codex/agents/two.toml:1: has no instructions below the front matter; its description is used
      help: write what the agent is to do and how
    warning: .codex/agents/two.toml:2: `maxTurns` is 1000; an agent has 200 at most
    .codex/agents/two.toml:3: `authority` must be 0 to 1
    warning: team.yaml: no agent is named for work that nobody is named for; pr_explorer gets it
      help: write `entry: NAME` with one of pr_explorer
    2 errors, 5 warnings
    "#);
}

#[test]
fn front_matter_that_is_no_yaml_is_read_as_it_was_meant() {
    let cases = [
        ("description: Use it when: a\ntools: Read", "Use it when: a"),
        ("description: [WIP] Reviews\ntools: *", "[WIP] Reviews"),
        ("description: 'It's good'", "It's good"),
        ("description: \"One\" and two: three", "\"One\" and two: three"),
        ("description: @me reviews\nargument-hint: [file] [line]", "@me reviews"),
        (
            "description: Reviews. Call it: after\n  a change: always\nmodel: x",
            "Reviews. Call it: after a change: always",
        ),
        (
            "description: Plans. Examples: <example>\nuser: \"a: b\"\nassistant: c\nuser: d\n</example>\n\
          color: red",
            "Plans. Examples: <example>",
        ),
        ("description: `x` does: it", "`x` does: it"),
    ];
    for (front, expected) in cases {
        let files = [(".claude/agents/lead.md", format!("---\n{front}\n---\nx"))];
        let team = team(&files);
        assert_eq!(agent(&team, "lead").description, expected, "{front}");
        assert!(told(&files).contains("a value that is no YAML was read as plain text"), "{front}");
    }
    for broken in
        ["description: [a", "description: \"never ends", "description: |\n a\nb", "tools: {a: ["]
    {
        let told = told_of_agent(&format!("---\n{broken}\n---\nx"));
        assert!(told.contains("agents/odd.md") && told.contains("is no YAML here"), "{told}");
    }
}

#[test]
fn tools_of_other_products_mean_ours() {
    let text = "---\ndescription: d\ntools: {\"*\": false, read: true, \"docs_*\": true, \
        shell_x: true}\n---\nx";
    let on = team(&[(".opencode/agents/lead.md", text)]);
    let lead = agent(&on, "lead");
    assert_eq!(lead.tools.as_deref().unwrap(), ["read", "mcp_docs_*", "mcp_shell_x"]);
    assert!(lead.may_use("mcp__docs__find") && !lead.may_use("mcp__other__find"));
    let text = "---\ndescription: d\ntools: {bash: false, \"docs_*\": false, lsp: true}\n---\nx";
    let off = team(&[(".opencode/agents/lead.md", text)]);
    let lead = agent(&off, "lead");
    assert!(lead.may_use("mcp__other__find") && !lead.may_use("mcp__docs__find"));
    assert!(off.problems.iter().any(|it| it.message.ends_with("`lsp`")), "{:?}", off.problems);

    let lead = "---\ndescription: d\ntools: Read, Agent(odd, gone), AskUserQuestion\nmaxTurns: 900\n---\nx";
    let chat = ".github/chatmodes/odd.chatmode.md";
    let files = [(".claude/agents/lead.md", lead), (chat, PLAIN), ("team.yaml", "entry: lead")];
    let team = team(&files);
    let edge = &agent(&team, "lead").handoffs[0];
    assert_eq!((edge.to.as_str(), edge.mode), ("odd", Mode::Delegate));
    assert_eq!(agent(&team, "lead").max_turns, 200);
    insta::assert_snapshot!(told(&files), @r#"
    starts
    warning: .claude/agents/lead.md:3: agent "gone" in `handoffs` is not in this team
      help: the agents are lead, odd
    warning: .claude/agents/lead.md:4: `maxTurns` is 900; an agent has 200 at most
    0 errors, 2 warnings
    "#);

    let name = "kubernetes-deployment-troubleshooting-expert";
    let text = format!("---\nname: {name}\ndescription: d\n---\nx");
    let team = crate::testing::team(&[(".claude/agents/k.md", text)]);
    assert_eq!(team.entry.as_str(), "kubernetes_deployment");
}

#[test]
fn every_key_reaches_the_agent() {
    let text = "---\ndescription: d\nmodel: x\neffort: 3\ncapabilities: Unit Test, bug-fix\n\
        priority: 650\nauthority: 1\ngrants: [read, run]\npermissions: {run: deny}\npublish: no\n\
        disallowedTools: [Bash]\noutput: answer\n---\nx";
    let team = team(&[("agents/lead.md", text)]);
    let agent = agent(&team, "lead");
    assert_eq!(agent.capabilities, ["unit-test", "bug-fix"]);
    assert_eq!((agent.class, agent.authority, agent.publish), (Class::High, 1.0, false));
    assert_eq!(agent.grants, Grants::Only(vec![Act::Read, Act::Run]));
    assert_eq!(agent.permissions[&Act::Run], Verdict::Deny);
    assert_eq!(agent.permissions[&Act::Write], Verdict::Ask);
    assert_eq!(agent.effort.as_deref(), Some("3"));
    assert_eq!(agent.output, schema::answer());
}

#[test]
fn an_edge_exists_if_either_side_says_so() {
    let a = "---\ndescription: a\ntriggers: [Always]\nhandoffs:\n  - {to: bb, triggers: [test], \
        mode: delegate}\n  - to: bb\n    triggers: [verify]\n    when: late\nhandoffs_deny: [ee]\n---\nx";
    let b = "---\ndescription: the b\ncapabilities: [b-work]\nhandoffs: '*'\nhandoffs_deny: [dd]\n---\nx";
    let c = "---\ndescription: c\nhandoffs_from: [aa, B-B]\n---\nx";
    let d = "---\ndescription: d\nhandoffs_from: aa\n---\nx";
    let team = team(&[
        ("team.yaml", "entry: aa"),
        ("agents/aa.md", a),
        ("agents/bb.md", b),
        ("agents/cc.md", c),
        ("agents/dd.md", d),
        ("agents/ee.md", c),
    ]);
    let to = |name: &str| -> Vec<String> {
        agent(&team, name).handoffs.iter().map(|it| it.to.to_string()).collect()
    };
    assert_eq!(to("aa"), ["bb", "cc", "dd"]);
    assert_eq!(to("bb"), ["aa", "cc", "ee"]);
    let edge = &agent(&team, "aa").handoffs[0];
    assert_eq!((edge.mode, edge.when.as_deref()), (Mode::Delegate, Some("late")));
    assert_eq!(edge.triggers, ["test", "verify", "always"]);
    assert_eq!((edge.description.as_str(), edge.capabilities[0].as_str()), ("the b", "b-work"));
}

#[test]
fn unknown_and_absent_receivers_are_told_and_the_rest_serves() {
    let text = "---\ndescription: d\nhandoffs:\n  - lead\n  - leed\n  - odd\n  - brokn\n  - broken\n\
        handoffs_from: [nobody]\n---\nx";
    let files = [
        ("team.yaml", "entry: lead"),
        ("agents/lead.md", PLAIN),
        ("agents/odd.md", text),
        ("agents/broken.md", "---\nname: broken\n---\nx"),
    ];
    assert_eq!(agent(&team(&files), "odd").handoffs.len(), 1);
    insta::assert_snapshot!(told(&files), @r#"
    starts
    agents/broken.md:1: `description` is missing
      help: write one sentence: what the agent does and when to use it
    agents/odd.md:5: agent "leed" in `handoffs` is not in this team; did you mean "lead"?
    agents/odd.md:6: agent "odd" names itself in `handoffs`
      help: remove it
    agents/odd.md:7: agent "brokn" in `handoffs` is not in this team
      help: the agents are lead, odd
    warning: agents/odd.md:8: agent "broken" is left out, and so is its place in `handoffs`
    agents/odd.md:9: agent "nobody" in `handoffs_from` is not in this team
      help: the agents are lead, odd
    5 errors, 1 warning
    "#);
}

#[test]
fn bad_agent_files_name_the_line_and_the_way_out() {
    let many: Vec<String> = (0..31).map(|it| format!("w{it}")).collect();
    let many = format!(
        "---\ndescription: d\nhandoffs: [{{to: lead, triggers: [{}]}}]\n---\nx",
        many.join(", ")
    );
    let cases = [
        "no front matter",
        "---\ndescription: never ends\n",
        "---\nname: plan\ndescription: d\n---\nx",
        "---\nname: team_lead\ndescription: d\n---\nx",
        "---\nname: 9lives\ndescription: d\n---\nx",
        "---\nname: lead\ndescription: d\n---\nx",
        "---\nname: odd\n---\nx",
        "---\ndescription: d\nkind: cli\n---\nx",
        "---\ndescription: d\nkind: robot\n---\nx",
        "---\ndescription: d\nchoices: [a1]\n---\nx",
        "---\ndescription: d\nmodle: x\nhandofs: []\nwhatever: 1\nmcpServers: {}\n---\nx",
        "---\ndescription: d\nmaxTurns: 500\nauthority: high\ntemperature: 9\nclass: hi\ngrants: all\n---\nx",
        "---\ndescription: d\npermissions: {\"Bash(rm *)\": deny, run: maybe}\n---\nx",
        "---\ndescription: d\noutput: {properties: {a: {$ref: \"https://x/y.json\"}}}\n---\nx",
        "---\ndescription: d\noutput:\n  properties:\n    summary: {type: string}\n    \
         b: {type: nonsense}\n---\nx",
        "---\ndescription: d\noutput: [1]\n---\nx",
        "---\ndescription: d\nhandoffs: [odd, {triggers: [x]}, {to: lead, wehn: x}]\n---\nx",
        "---\ndescription: d\ndescription: e\n---\nx",
        "---\ndescription: [a\n---\nx",
        "---\n- a list\n---\nx",
        "---\ndescription: d\n---\n",
        &many,
    ];
    let told: Vec<String> = cases
        .iter()
        .map(|it| format!("{}\n{}", &it[..it.len().min(60)], told_of_agent(it)))
        .collect();
    insta::assert_snapshot!(told.join("\n\n"));
}

#[test]
fn two_files_with_one_name_keep_the_first() {
    let files = [
        (".claude/agents/lead.md", PLAIN),
        ("agents/lead.md", "---\ndescription: The first.\n---\nx"),
    ];
    assert_eq!(agent(&team(&files), "lead").description, "The first.");
    insta::assert_snapshot!(told(&files), @r#"
    starts
    .claude/agents/lead.md:1: a second agent is named "lead"
      help: the first is agents/lead.md
    1 error, 0 warnings
    "#);
}
