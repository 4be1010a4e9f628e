//! Tool servers as owners write them: what is understood, what is told, and what may run.

use std::path::Path;

use crate::servers::{Reach, Sandbox, ToolServer, Trust};
use crate::testing::{PLAIN, agent, env, folder, told, told_of_team};
use crate::{ExposeSecret, Team, load};

fn loaded(files: &[(&str, &str)], named: bool) -> (tempfile::TempDir, Team) {
    let folder = folder(files);
    let mut team = load(folder.path(), &env).expect("it loads");
    team.trust(&Trust::read(&folder.path().join("data"), named));
    (folder, team)
}

/// The servers of an agent as they are defined: what stands before them tells where.
fn servers_of(team: &Team, name: &str) -> Vec<String> {
    let keys = agent(team, name).servers.iter();
    let mut defined: Vec<String> =
        keys.map(|it| it.split_once('/').expect("a hash").1.to_owned()).collect();
    defined.sort();
    defined
}

/// The server that is defined so.
fn server<'a>(team: &'a Team, defined: &str) -> &'a ToolServer {
    let is_it = |it: &&ToolServer| it.key.split_once('/').is_some_and(|it| it.1 == defined);
    team.servers.values().find(is_it).expect("it is there")
}

fn env_of(server: &ToolServer) -> Vec<(&str, &str)> {
    let Reach::Program { env, .. } = &server.reach else { panic!("a program") };
    env.iter().map(|(name, it)| (name.as_str(), it.expose_secret())).collect()
}

const TEAM: &str = "entry: lead\nmcpServers:\n  files:\n    command: ./bin/files\n    args: [--root, .]\n    \
    env: {API_KEY: \"env:LOCAL_KEY\", PORT: 8080}\n  web:\n    url: https://example.com/mcp\n    \
    headers: {Authorization: \"Bearer ${OPENAI_API_KEY}\"}\n";

#[test]
fn a_named_team_gives_its_servers_to_agents_that_may_use_them() {
    let files = [
        ("team.yaml", TEAM),
        ("agents/lead.md", PLAIN),
        ("agents/quiet.md", "---\ndescription: d.\ntools: [note, read]\n---\nx\n"),
        ("agents/some.md", "---\ndescription: d.\ntools: [mcp__web__search]\n---\nx\n"),
        ("agents/one.md", "---\ndescription: d.\nmcpServers: [files]\n---\nx\n"),
        (
            "agents/own.md",
            "---\ndescription: d.\nmcpServers:\n  - web\n  - files: {command: sh}\n---\nx\n",
        ),
        ("agents/none.md", "---\ndescription: d.\nmcpServers: []\n---\nx\n"),
    ];
    let (_folder, team) = loaded(&files, true);
    let servers = |name: &str| servers_of(&team, name);
    assert_eq!(servers("lead"), ["files", "web"]);
    assert_eq!(servers("quiet"), [""; 0]);
    assert_eq!(servers("some"), ["web"]);
    assert_eq!(servers("one"), ["files"]);
    assert_eq!(servers("own"), ["own/files", "web"]);
    assert_eq!(servers("none"), [""; 0]);
    assert!(agent(&team, "some").may_use("mcp__web__search"));
    assert!(!agent(&team, "some").may_use("mcp__web__fetch"));
    assert_eq!(env_of(server(&team, "files")), [("API_KEY", "local-key"), ("PORT", "8080")]);
    let secrets = |key: &str| -> Vec<String> {
        server(&team, key).secrets.iter().map(|it| it.expose_secret().to_owned()).collect()
    };
    assert_eq!(secrets("files"), ["local-key"]);
    assert_eq!(secrets("web"), ["sk-from-env", "Bearer sk-from-env"]);
}

#[test]
fn what_nobody_agreed_to_stays_out_until_it_is_recorded_and_unchanged() {
    let entry = "\"my tools\": {\"command\": \"sh\", \"args\": [\"-c\", \"true\"]}";
    let json = format!("{{\n\t\"mcpServers\": {{\n\t\t{entry}\n\t}}\n}}\n");
    let json = json.as_str();
    let files = [("team.yaml", "entry: lead"), ("agents/lead.md", PLAIN), (".mcp.json", json)];
    let (folder, team) = loaded(&files, true);
    assert!(team.servers.is_empty() && agent(&team, "lead").servers.is_empty());
    let problem = team.problems.iter().find(|it| it.message.contains("`my_tools` is not used"));
    let problem = problem.expect("it is told");
    assert_eq!(problem.line, 3);
    assert!(problem.help.as_deref().is_some_and(|it| it.contains("callboard trust")));

    let data = folder.path().join("data");
    let mut trust = Trust::read(&data, false);
    trust.record(team.untrusted.iter().map(|it| it.source.clone())).expect("recorded");
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let mode = std::fs::metadata(data.join("trust.json")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
    let again = || {
        let mut team = load(folder.path(), &env).expect("it loads");
        team.trust(&Trust::read(&data, false));
        team
    };
    assert_eq!(servers_of(&again(), "lead"), ["my_tools"]);
    std::fs::write(folder.path().join(".mcp.json"), json.replace("true", "rm -r x")).unwrap();
    assert!(again().servers.is_empty(), "a changed file is agreed to anew");
}

#[test]
fn a_server_of_the_same_name_elsewhere_is_another_one() {
    let files = [("team.yaml", TEAM), ("agents/lead.md", PLAIN)];
    let (one, other) = (loaded(&files, true), loaded(&files, true));
    let again = load(one.0.path(), &env).expect("it loads");
    assert_ne!(agent(&one.1, "lead").servers, agent(&other.1, "lead").servers);
    let keys = |team: &Team| team.untrusted.iter().map(|it| it.key.clone()).collect::<Vec<_>>();
    let known = one.1.servers.keys().cloned().collect::<Vec<_>>();
    let mut found = keys(&again);
    found.sort();
    assert_eq!(found, known, "the same one keeps its key");
}

#[test]
fn folders_of_other_programs_and_folders_nobody_named_are_not_trusted() {
    let agent_file = "---\ndescription: d.\nmcp-servers: {x: {command: sh}}\n---\nx\n";
    for (path, named, runs) in [
        ("agents/lead.md", true, true),
        ("agents/lead.md", false, false),
        (".claude/agents/lead.md", true, false),
        (".github/agents/lead.md", true, false),
    ] {
        let (_folder, team) = loaded(&[(path, agent_file)], named);
        assert_eq!(!team.servers.is_empty(), runs, "{path} {named}");
        assert_eq!(team.untrusted.is_empty(), runs, "{path} {named}");
    }
}

#[test]
fn everything_wrong_is_told_with_its_line() {
    insta::assert_snapshot!(told_of_team(
        "entry: lead\nmcpServers:\n  a: {comand: x}\n  b: {command: sh, url: https://x}\n  \
         c: {url: http://example.com/mcp}\n  d: {url: \"https://me:pw@example.com\"}\n  \
         e: {command: sh, env: {API_TOKEN: abcdefgh}}\n  f: {command: sh, args: x}\n  \
         g: {url: https://x, headers: {Mcp-Session-Id: x}}\n  h: {command: no-such-program}\n  \
         i: {command: sh, args: [\"${NOT_THERE}\"]}\n  j: {command: sh, type: sse}\n"
    ));
    insta::assert_snapshot!(told(&[
        ("team.yaml", "entry: lead\nmcpServers: {files: {command: sh}}\n"),
        (
            "agents/lead.md",
            "---\ndescription: d.\nmcpServers: [flies]\ntools: [mcp__fils__read, mcp__files]\n---\nx\n"
        ),
        (
            ".mcp.json",
            "{\"mcpServers\": {\"x\": {\"command\": \"sh\", \"env\": {\"KEY\": \"abcdefgh\"}}}}"
        ),
    ]));
}

#[test]
fn a_broken_import_leaves_the_team_standing() {
    for text in ["{", "[]", "{\"mcpServers\": 7}", "null", "{\"mcpServers\": {\"x\": []}}"] {
        let files = [("team.yaml", "entry: lead"), ("agents/lead.md", PLAIN), (".mcp.json", text)];
        let (_folder, team) = loaded(&files, true);
        assert!(team.servers.is_empty() && team.untrusted.is_empty(), "{text}");
    }
    assert!(!Path::new("data").exists());
}

#[test]
fn the_example_of_the_docs_loads() {
    let page = include_str!("../docs/tool-servers.md");
    let block = page.split("```yaml\n").nth(1).and_then(|it| it.split("```").next());
    let text = format!("entry: lead\n{}", block.expect("an example"));
    let keys = |name: &str| match name {
        "FILES_KEY" | "SEARCH_TOKEN" => Some("from-outside".to_owned()),
        _ => env(name),
    };
    let folder = folder(&[("team.yaml", text.as_str()), ("agents/lead.md", PLAIN)]);
    let mut team = load(folder.path(), &keys).unwrap_or_else(|it| panic!("{it}"));
    team.trust(&Trust::read(&folder.path().join("data"), true));
    assert_eq!(servers_of(&team, "lead"), ["files", "search"]);
    let mut again = load(folder.path(), &keys).expect("it loads again");
    again.trust_like(&team);
    assert_eq!(again.servers.len(), 2, "what was trusted before is trusted again");
}

#[test]
fn a_sandbox_is_what_is_written_or_the_server_does_not_start() {
    let files = [
        (
            "team.yaml",
            "entry: lead\nbash: {network: true, timeout_s: 5m, read: [tools], env: [LOCAL_KEY, PATH]}\n\
             mcpServers:\n  a: {command: sh, sandbox: true}\n  b: {command: sh, sandbox: false}\n  \
             c: {command: sh, sandbox: {network: true, read: [in], write: [out, /tmp/x]}}\n  \
             d: {command: sh}\n",
        ),
        ("agents/lead.md", PLAIN),
    ];
    let (folder, team) = loaded(&files, true);
    let sandbox = |key: &str| server(&team, key).sandbox.clone();
    assert_eq!(sandbox("a"), Some(Sandbox::default()));
    assert_eq!((sandbox("b"), sandbox("d")), (None, None));
    let c = sandbox("c").expect("one");
    let path = |it: &str| folder.path().join(it);
    assert_eq!(
        (c.network, c.read, c.write),
        (true, vec![path("in")], vec![path("out"), "/tmp/x".into()])
    );
    let bash = &team.bash;
    assert_eq!((bash.sandbox.network, bash.timeout_s), (true, 300));
    assert_eq!(bash.sandbox.read, [path("tools")]);
    assert_eq!(bash.env.keys().collect::<Vec<_>>(), ["LOCAL_KEY", "PATH"]);
    assert_eq!((bash.secrets.len(), bash.inherited["PATH"].as_str()), (1, "/usr/bin:/bin"));
    insta::assert_snapshot!(told_of_team(
        "entry: lead\nbash: {netwrok: true, timeout_s: 601, env: [NOT_THERE, \"A=b\"]}\nmcpServers:\n  \
         a: {command: sh, sandbox: maybe}\n  b: {command: sh, sandbox: {network: some}}\n  \
         c: {command: sh, sandbox: {writes: [a]}}\n  d: {url: https://x, sandbox: true}\n"
    ));
    let agent =
        "---\ndescription: d.\nmcpServers:\n  x: {command: sh, sandbox: {writes: [a]}}\n---\nx\n";
    let (_folder, team) = loaded(&[("team.yaml", "entry: lead"), ("agents/lead.md", agent)], true);
    assert!(team.servers.is_empty() && team.untrusted.is_empty());
}

#[test]
fn a_list_of_tools_in_a_definition_is_told_since_it_takes_none_away() {
    let file = |tools: &str| {
        format!("---\ndescription: d\nmcp-servers: {{s: {{command: x, tools: {tools}}}}}\n---\nx")
    };
    let told = crate::testing::told_of_agent(&file("[echo]"));
    assert!(told.contains("s.tools` takes no tool away"), "{told}");
    assert!(told.contains("`mcp__SERVER__TOOL`"), "{told}");
    let told = crate::testing::told_of_agent(&file("['*']"));
    assert!(!told.contains("takes no tool away"), "{told}");
}
