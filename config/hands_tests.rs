//! Which built-in tools an agent has, and how far they reach.

use crate::hands;
use crate::testing::{PLAIN, agent, env, folder, team, told_of_agent, told_of_team, try_load};

fn hands_of(front: &str) -> Vec<String> {
    let text = format!("---\ndescription: Does it.\n{front}\n---\nDo it.\n");
    agent(&team(&[("team.yaml", "entry: lead"), ("agents/lead.md", &text)]), "lead").hands.clone()
}

#[test]
fn every_product_calls_them_something() {
    for (name, meant) in [
        ("Read", &["Read"][..]),
        ("Bash(git:*)", &["Bash"]),
        ("Web*", &["WebFetch"]),
        ("read_file", &["Read"]),
        ("search/readFile", &["Read"]),
        ("search", &["Grep", "Glob", "LS"]),
        ("codebase", &["Grep", "Glob", "LS"]),
        ("edit", &["Edit", "Write"]),
        ("MultiEdit", &["Edit"]),
        ("runCommands", &["Bash"]),
        ("execute", &["Bash"]),
        ("run_shell_command", &["Bash"]),
        ("web/fetch", &["WebFetch"]),
        ("todos", &["TodoWrite"]),
        ("list_directory", &["LS"]),
        ("NotebookEdit", &[]),
        ("mcp__files__read", &[]),
        ("", &[]),
    ] {
        assert_eq!(hands::meant(name), meant, "{name}");
    }
}

#[test]
fn an_agent_has_what_its_file_names_or_what_is_allowed_at_once() {
    let free = ["Read", "Grep", "Glob", "LS", "TodoWrite"];
    assert_eq!(hands_of(""), free);
    assert_eq!(hands_of("tools: '*'"), free);
    let gemini = ["Read", "Grep", "Glob", "LS", "TodoWrite", "Bash"];
    assert_eq!(hands_of("tools: [read_file, run_shell_command, 'mcp_*', '*']"), gemini);
    assert_eq!(hands_of("tools: [Read, Bash(git:*), mcp__x]"), ["Read", "Bash"]);
    assert_eq!(hands_of("tools: Write\npermissions: {write: deny}"), [""; 0]);
    assert_eq!(hands_of("permissions: {run: allow, read: deny}"), ["Bash"]);
    assert_eq!(hands_of("disallowedTools: [G*, LS]"), ["Read", "TodoWrite"]);
    assert_eq!(hands_of("tools: Bash\ndisallowedTools: Bash(rm:*)"), ["Bash"]);
    assert_eq!(hands_of("tools:\n  read: false\n  grep: false"), ["Glob", "LS", "TodoWrite"]);
    assert_eq!(hands_of("kind: human"), [""; 0]);
}

#[test]
fn roots_are_the_project_or_what_is_written() {
    let plain = folder(&[("team.yaml", ""), ("agents/lead.md", PLAIN), ("src/a.rs", "")]);
    let whole = plain.path().canonicalize().unwrap();
    let roots = |place: &str, text: &str| {
        std::fs::write(plain.path().join("team.yaml"), text).unwrap();
        crate::load(&plain.path().join(place), &env).map(|it| it.bounds.roots).unwrap()
    };
    assert_eq!(roots("", ""), std::slice::from_ref(&whole));
    assert_eq!(roots("agents/lead.md", ""), std::slice::from_ref(&whole));
    assert_eq!(roots("", "roots: [src, .]"), [whole.join("src"), whole.clone()]);
    assert_eq!(roots("", "roots: []"), [""; 0].map(std::path::PathBuf::from));
    let apart =
        folder(&[("lead.md", "---\ndescription: Does it.\ntools: Read, WebFetch\n---\nDo.\n")]);
    let alone = crate::load(&apart.path().join("lead.md"), &env).unwrap();
    assert!(alone.bounds.roots.is_empty());
    assert_eq!(agent(&alone, "lead").hands, ["WebFetch"]);
    assert!(alone.problems.iter().any(|it| it.message.contains("`Read` sees no folder")));
}

#[test]
fn what_a_team_is_read_from_is_guarded() {
    let files =
        folder(&[("team.yaml", "roots: [src]"), ("agents/lead.md", PLAIN), ("src/a.rs", "")]);
    let whole = files.path().canonicalize().unwrap();
    let guarded = crate::load(files.path(), &env).unwrap().bounds.guarded;
    for name in ["team.yaml", "prices.yaml", ".mcp.json", "agents", "src/team.yaml", "src/.claude"]
    {
        assert!(guarded.contains(&whole.join(name)), "{name}: {guarded:?}");
    }
    assert!(!guarded.contains(&whole.join("agents/lead.md")), "its folder is enough");
}

#[test]
fn what_is_written_wrong_is_told() {
    let wrong =
        "roots: [nowhere]\nfetch: {hosts: ['https://a.org/'], loopback: perhaps, host: a}\n";
    insta::assert_snapshot!(told_of_team(wrong));
    let odd = "---\ndescription: Odd.\ntools: Read, NotebookEdit, Bash\n---\nDo.\n";
    insta::assert_snapshot!(told_of_agent(odd));
    let fetch = "fetch: {hosts: [Docs.RS, '*.example.org'], loopback: true}";
    let team = try_load(&[("team.yaml", fetch), ("agents/lead.md", PLAIN)]).unwrap();
    assert_eq!(team.bounds.fetch.hosts.unwrap(), ["docs.rs", "*.example.org"]);
    assert!(team.bounds.fetch.loopback);
}
