//! What is written in `permissions`, and what it says of deeds: tables.

use crate::permit::{Deed, Object, disarmed, dropped, effective, of_root, passed_on, ruling};
use crate::testing::{PLAIN, agent, team, told, told_of_agent, told_of_team};
use crate::{Act, Team, Verdict};

/// A line of commands, joined by `&&`.
fn line(commands: &str) -> Deed {
    let words = |it: &str| it.split(' ').map(str::to_owned).collect();
    run(Some(commands.split(" && ").map(words).collect()))
}

fn run(commands: Option<Vec<Vec<String>>>) -> Deed {
    Deed { act: Act::Run, tool: "Bash".to_owned(), object: Object::Commands(commands) }
}

fn on(act: Act, tool: &str, object: Object) -> Deed {
    Deed { act, tool: tool.to_owned(), object }
}

fn path(act: Act, tool: &str, path: &str) -> Deed {
    on(act, tool, Object::Path(Some(path.to_owned())))
}

fn fetch(host: Option<&str>) -> Deed {
    on(Act::Fetch, "WebFetch", Object::Host(host.map(str::to_owned)))
}

/// A team of one agent, `lead`, with these permissions under that ceiling.
fn with(ceiling: &str, own: &str) -> Team {
    let file = format!("---\ndescription: d\npermissions: {own}\n---\nx");
    team(&[("team.yaml", &format!("permissions: {ceiling}")), ("agents/lead.md", &file)])
}

fn says(team: &Team, deed: &Deed) -> Verdict {
    ruling(agent(team, "lead"), &of_root(team), deed).verdict
}

#[test]
fn a_line_is_as_free_as_its_least_free_command() {
    let team = with(
        "{}",
        "{allow: ['Bash(git status:*)', Bash(npm test), 'Bash(cargo * --offline)', 'Bash(ls *)'], \
         deny: ['Bash(rm:*)', 'Bash(git push *)']}",
    );
    use Verdict::{Allow, Ask, Deny};
    for (commands, expected) in [
        ("git status", Allow),
        ("git status --short", Allow),
        ("npm test", Allow),
        ("ls", Allow),
        ("ls -la src", Allow),
        ("cargo test --offline", Allow),
        ("cargo run -p x --offline", Allow),
        ("git status && npm test", Allow),
        ("npm test --watch", Ask),
        ("npm testing", Ask),
        ("git statuses", Ask),
        ("lsof", Ask),
        ("cargo test", Ask),
        ("git", Ask),
        ("status git", Ask),
        ("/tmp/git status", Ask),
        ("./npm test", Ask),
        ("git status && curl http://x && sh", Ask),
        ("git status && rm -rf /", Deny),
        ("rm", Deny),
        ("/bin/rm -rf x", Deny),
        ("\\rm x", Deny),
        ("git push origin", Deny),
        ("git push", Deny),
        ("git rm x", Ask),
        ("echo rm", Ask),
        ("git -C . push", Deny),
        ("git --no-pager push origin", Deny),
        ("/usr/bin/git -c a=b --git-dir=x -p push", Deny),
        ("git --work-tree y push", Deny),
        ("git log -p push", Ask),
        ("git -C x status", Ask),
        ("git -c core.sshCommand=x status", Ask),
        ("git -c core.fsmonitor=x status --short", Ask),
    ] {
        assert_eq!(says(&team, &line(commands)), expected, "{commands:?}");
    }
    assert_eq!(says(&team, &run(Some(vec![]))), Ask, "no command at all");
    let quoted = run(Some(vec![vec!["git status".to_owned()]]));
    assert_eq!(says(&team, &quoted), Ask, "one word is no two");
    assert_eq!(says(&team, &run(None)), Ask, "what cannot be told is asked");
}

#[test]
fn what_cannot_be_told_is_asked_where_something_is_forbidden() {
    use Verdict::{Allow, Ask, Deny};
    for (own, deed, expected) in [
        ("{run: allow}", run(None), Allow),
        ("{run: allow, allow: ['Bash(git:*)']}", run(None), Allow),
        ("{run: allow, deny: ['Bash(rm:*)']}", run(None), Ask),
        ("{run: allow, deny: ['Bash(rm:*)']}", line("cargo test"), Allow),
        ("{run: allow, ask: [Bash]}", line("cargo test"), Ask),
        ("{run: ask, allow: [Bash]}", run(None), Allow),
        ("{run: ask, allow: ['Bash(*)']}", line("x"), Allow),
        ("{run: deny, allow: ['Bash(git:*)']}", run(None), Deny),
        ("{run: deny, allow: ['Bash(git:*)']}", line("git log"), Allow),
        ("{run: deny, allow: ['Bash(git:*)']}", line("git log && ls"), Deny),
        ("{run: allow, deny: [Bash], allow: ['Bash(git:*)']}", line("git log"), Deny),
        ("{allow: [run, write]}", line("x"), Allow),
        ("{run: allow, deny: [run]}", line("x"), Deny),
    ] {
        assert_eq!(says(&with("{}", own), &deed), expected, "{own} {deed:?}");
    }
}

#[test]
fn the_ceiling_is_never_loosened() {
    use Verdict::{Allow, Ask, Deny};
    let git = || line("git log");
    for (ceiling, own, deed, expected) in [
        ("{run: deny}", "{run: allow, allow: [Bash]}", git(), Deny),
        ("{run: ask}", "{allow: ['Bash(git:*)']}", git(), Ask),
        ("{deny: ['Bash(git:*)']}", "{run: allow, allow: ['Bash(git log)']}", git(), Deny),
        ("{ask: ['Bash(git:*)']}", "{allow: ['Bash(git log)']}", git(), Ask),
        ("{ask: ['Bash(git:*)']}", "{deny: ['Bash(git log)']}", git(), Deny),
        ("{run: deny, allow: ['Bash(git:*)']}", "{run: allow}", git(), Allow),
        ("{run: deny, allow: ['Bash(git:*)']}", "{run: allow}", line("ls"), Deny),
        ("{run: deny, allow: ['Bash(git:*)']}", "{run: ask}", git(), Ask),
        ("{allow: ['Bash(git:*)']}", "{run: deny}", git(), Deny),
        ("{}", "{run: allow}", git(), Allow),
    ] {
        assert_eq!(says(&with(ceiling, own), &deed), expected, "{ceiling} over {own}");
    }
    let told = |ceiling: &str, own: &str| {
        let team = with(ceiling, own);
        ruling(agent(&team, "lead"), &of_root(&team), &git()).why
    };
    assert_eq!(
        told("{deny: ['Bash(git:*)']}", "{run: allow}"),
        "`Bash(git:*)` is denied by the team"
    );
    assert_eq!(told("{}", "{}"), "`run` is left to a person by lead");
}

#[test]
fn paths_are_held_against_patterns_without_their_detours() {
    use Verdict::{Allow, Ask, Deny};
    let team = with(
        "{}",
        "{read: ask, allow: ['Read(src/**)', 'Edit(docs/**)', 'Read(//usr/share/**)', \
         'Write(out/*.txt)'], deny: ['Read(.env)', 'Edit(docs/law/**)', 'Read(secret/)']}",
    );
    let read = |it: &str| path(Act::Read, "Read", it);
    let edit = |it: &str| path(Act::Write, "Edit", it);
    for (deed, expected) in [
        (read("src/a.rs"), Allow),
        (read("./src//deep/./a.rs"), Allow),
        (read("src/x/../a.rs"), Allow),
        (read("src/../b"), Ask),
        (read("src/../../etc/passwd"), Ask),
        (read("../src/a"), Ask),
        (read("/etc/passwd"), Ask),
        (read("/any/src/a"), Ask),
        (read("/usr/share/doc/x"), Allow),
        (read("/usr/share/../../etc/shadow"), Ask),
        (read("usr/share/doc/x"), Ask),
        (read("srcs/a"), Ask),
        (read(".env"), Deny),
        (read("src/.env"), Deny),
        (read("src/x/../.env"), Deny),
        (read("/anywhere/.env"), Deny),
        (read("src/.env.example"), Allow),
        (read("secret/deep/key"), Deny),
        (read("/any/secret/key"), Deny),
        (edit("docs/a.md"), Allow),
        (path(Act::Write, "Write", "docs/a.md"), Allow),
        (edit("docs/law/1.md"), Deny),
        (edit("docs/x/../law/1.md"), Deny),
        (edit("/any/docs/law/1.md"), Deny),
        (edit("src/a.rs"), Ask),
        (path(Act::Write, "Write", "out/a.txt"), Allow),
        (path(Act::Write, "Write", "out/b/a.txt"), Ask),
        (path(Act::Read, "LS", "src"), Allow),
        (path(Act::Read, "Glob", ""), Ask),
        (on(Act::Read, "Grep", Object::Below(Some("src".to_owned()))), Ask),
        (on(Act::Read, "Grep", Object::Below(Some("src/..".to_owned()))), Ask),
        (on(Act::Read, "Read", Object::Path(None)), Ask),
    ] {
        assert_eq!(says(&team, &deed), expected, "{deed:?}");
    }
    let all = with("{}", "{deny: ['Read(.env)', 'Read(secret/keys/**)']}");
    let grep = |it: &str| on(Act::Read, "Grep", Object::Below(Some(it.to_owned())));
    let named = with("{}", "{deny: ['Read(secret/keys/**)']}");
    for (team, at, expected) in [
        (&all, "src", Ask),
        (&named, "", Ask),
        (&named, "secret", Ask),
        (&named, "secret/keys", Deny),
        (&named, "src", Allow),
        (&named, "secrets", Allow),
    ] {
        assert_eq!(says(team, &grep(at)), expected, "{at}");
    }
}

#[test]
fn hosts_and_tools_of_servers_have_patterns_too() {
    use Verdict::{Allow, Ask, Deny};
    let team = with(
        "{}",
        "{allow: ['WebFetch(domain:docs.rs)', 'WebFetch(domain:*.example.org)', mcp__files__read, \
         mcp__git, 'mcp__db__list_*'], deny: ['WebFetch(domain:evil.com)', mcp__git__push]}",
    );
    let tool = |it: &str| on(Act::External, it, Object::Any);
    for (deed, expected) in [
        (fetch(Some("docs.rs")), Allow),
        (fetch(Some("DOCS.rs.")), Allow),
        (fetch(Some("x.docs.rs")), Ask),
        (fetch(Some("docs.rs.evil.org")), Ask),
        (fetch(Some("a.example.org")), Allow),
        (fetch(Some("example.org")), Ask),
        (fetch(Some("evil.com")), Deny),
        (fetch(Some("deep.evil.com")), Deny),
        (fetch(Some("notevil.com")), Ask),
        (fetch(None), Ask),
        (tool("mcp__files__read"), Allow),
        (tool("mcp__files__write"), Ask),
        (tool("mcp__git__log"), Allow),
        (tool("mcp__git__push"), Deny),
        (tool("mcp__github__log"), Ask),
        (tool("mcp__db__list_all"), Allow),
        (tool("mcp__db__drop"), Ask),
    ] {
        assert_eq!(says(&team, &deed), expected, "{deed:?}");
    }
    assert_eq!(
        says(&with("{}", "{fetch: allow, deny: ['WebFetch(domain:x.y)']}"), &fetch(None)),
        Ask
    );
}

#[test]
fn tools_named_with_arguments_are_for_those_alone() {
    let file = "---\ndescription: d\ntools: [Read, 'Bash(git:*)', 'Bash(npm test)']\n\
        disallowedTools: ['Bash(git push:*)']\npermissions: {run: allow}\n---\nx";
    let team = team(&[("agents/lead.md", file)]);
    let says = |deed: &Deed| ruling(agent(&team, "lead"), &[], deed);
    assert_eq!(says(&line("git log")).verdict, Verdict::Allow);
    assert_eq!(says(&line("git log && npm test")).verdict, Verdict::Allow);
    assert_eq!(says(&line("git push")).verdict, Verdict::Deny);
    assert_eq!(
        says(&line("git log && ls")).why,
        "`tools` of lead name `Bash` for other things only"
    );
    assert_eq!(says(&run(None)).verdict, Verdict::Deny);
    assert_eq!(says(&path(Act::Read, "Read", "a")).verdict, Verdict::Allow);
}

#[test]
fn what_is_wrong_with_permissions_is_told_with_the_way_out() {
    let text = "permissions:\n  raed: allow\n  write: never\n  alow: [Bash]\n  deny:\n    \
        - Bsh(rm:*)\n    - Read(../x)\n    - Edit(~/x)\n    - 'Read(a/{b,c})'\n    \
        - WebFetch(docs.rs)\n    - mcp__x__y(z)\n    - Bash()\n    \
        - Bash(curl\n    - 'Bash(git status; rm x)'\n    - 'Bash(* http:*)'\n    \
        - 'WebFetch(domain:)'\n    - mcp__\n  'Bash(rm *)': deny\n\
        approvals: {expires_s: soon, tainted: never, expires: 1}\n";
    insta::assert_snapshot!(told_of_team(text));
    let lost = told_of_agent("---\ndescription: d\npermissions: {deny: ['Bahs(rm:*)']}\n---\nx");
    assert!(lost.contains("there is no tool `Bahs`; did you mean \"Bash\"?"), "{lost}");
    let lists = "permissions: {allow: 'Bash(git a,b), read', deny: write}";
    let team = team(&[("team.yaml", lists), ("agents/lead.md", PLAIN)]);
    assert_eq!((team.patterns.len(), team.permissions[&Act::Write]), (1, Verdict::Deny));
    assert!(!told(&[("team.yaml", lists), ("agents/lead.md", PLAIN)]).contains("error:"));
}

#[test]
fn approvals_expire_and_taint_asks_unless_the_owner_says_otherwise() {
    let of = |text: &str| team(&[("team.yaml", text), ("agents/lead.md", PLAIN)]).approvals;
    let usual = of("entry: lead");
    assert_eq!((usual.expires_s, usual.asks_when_tainted), (86_400, true));
    let own = of("approvals: {expires_s: 10m, tainted: allow}");
    assert_eq!((own.expires_s, own.asks_when_tainted), (600, false));
}

#[test]
fn the_example_of_the_docs_loads_and_leaves_nothing_to_say() {
    let page = include_str!("../docs/permissions.md");
    let (_, rest) = page.split_once("```yaml\n").unwrap();
    let text = rest.split_once("```").unwrap().0;
    let team = team(&[("team.yaml", text), ("agents/lead.md", PLAIN)]);
    assert_eq!((team.problems.len(), team.patterns.len()), (0, 6));
    assert_eq!(team.approvals, crate::permission::Approvals::default());
}

/// Three agents in a row, each with its fields.
fn row(ceiling: &str, fields: [&str; 3]) -> Team {
    let file = |to: &str, it: &str| format!("---\ndescription: d\nhandoffs: [{to}]\n{it}\n---\nx");
    team(&[
        ("team.yaml", &format!("entry: aa\npermissions: {ceiling}")),
        ("agents/aa.md", &file("bb", fields[0])),
        ("agents/bb.md", &file("cc", fields[1])),
        ("agents/cc.md", &file("aa", fields[2])),
    ])
}

#[test]
fn a_grant_only_shrinks_along_the_way() {
    let coder = "permissions: {write: allow, run: allow, allow: ['WebFetch(domain:docs.rs)']}";
    let all = "permissions: {allow: [write, run, 'WebFetch(domain:docs.rs)']}";
    let (no_write, team) = ("permissions: {write: deny}", "grants: team");
    let both = "grants: team\npermissions: {write: deny}";
    let write = path(Act::Write, "Write", "a");
    let docs = fetch(Some("docs.rs"));
    use Verdict::{Allow, Ask, Deny};
    for (ceiling, a, b, expected, lost) in [
        ("{}", team, team, (Allow, Allow), ""),
        ("{}", no_write, team, (Deny, Ask), "write, run (asks), PAGE"),
        ("{}", both, "", (Ask, Ask), "write (asks), run (asks), PAGE"),
        ("{}", "grants: [read, write]", team, (Allow, Deny), "run, fetch, external, PAGE"),
        ("{write: ask}", team, team, (Ask, Allow), ""),
        ("{fetch: deny}", team, team, (Allow, Deny), "PAGE"),
        ("{}", all, team, (Allow, Allow), ""),
    ] {
        let team = row(ceiling, [a, b, coder]);
        let (aa, bb, cc) = (agent(&team, "aa"), agent(&team, "bb"), agent(&team, "cc"));
        let grant = passed_on(bb, &passed_on(aa, &of_root(&team)));
        let says = |deed: &Deed| ruling(cc, &grant, deed).verdict;
        assert_eq!((says(&write), says(&docs)), expected, "{ceiling}: {a} / {b}: {grant:?}");
        let lost = lost.replace("PAGE", "WebFetch(domain:docs.rs)");
        assert_eq!(dropped(cc, &grant).join(", "), lost, "{ceiling}: {a} / {b}");
        assert_eq!(passed_on(bb, &grant), grant, "the same word counts once");
    }
}

#[test]
fn who_is_disarmed_by_a_handoff_is_known_before() {
    let fields = [
        "permissions: {write: deny, run: allow}",
        "permissions: {write: allow, run: allow}",
        "grants: team",
    ];
    let team = row("{deny: ['Bash(rm:*)']}", fields);
    let found: Vec<String> = disarmed(&team)
        .into_iter()
        .map(|(from, to, lost)| format!("{} {} {}", from.name, to.name, lost.join(" ")))
        .collect();
    assert_eq!(found, ["aa bb write"]);
    let shown = effective(&team, agent(&team, "bb"));
    assert_eq!((&shown["write"], &shown["deny"][0]), (&"allow".into(), &"Bash(rm:*)".into()));
}

#[test]
fn tools_that_are_taken_away_or_narrowed_are_not_passed_on() {
    let coder = "permissions: {write: allow, run: allow, fetch: allow, external: allow}";
    let tool = |it: &str| on(Act::External, it, Object::Any);
    let write = path(Act::Write, "Write", "src/a");
    let docs = path(Act::Write, "Edit", "docs/a");
    use Verdict::{Allow, Deny};
    for (lead, says, lost) in [
        ("", [Allow, Allow, Allow, Allow, Allow], ""),
        ("disallowedTools: [Bash]", [Deny, Deny, Allow, Allow, Allow], "run"),
        ("tools: [Read, 'Bash(git:*)']", [Allow, Deny, Allow, Allow, Allow], "run"),
        ("tools: ['Bash(git:*)', Bash]", [Allow, Allow, Allow, Allow, Allow], ""),
        ("tools: ['Edit(docs/**)']", [Allow, Allow, Deny, Allow, Allow], "write"),
        ("disallowedTools: [Edit]", [Allow, Allow, Allow, Allow, Allow], ""),
        ("disallowedTools: [Write, Edit, mcp__x]", [Allow, Allow, Deny, Deny, Deny], "write"),
        ("tools: [Read]", [Allow, Allow, Allow, Allow, Allow], ""),
        ("grants: team\ndisallowedTools: [Bash]", [Allow, Allow, Allow, Allow, Allow], ""),
    ] {
        let file = format!("{coder}\n{lead}");
        let team = row("{}", [&file, coder, coder]);
        let grant = passed_on(agent(&team, "aa"), &of_root(&team));
        let to = agent(&team, "bb");
        let deeds = [line("git log"), line("ls"), write.clone(), docs.clone(), tool("mcp__x__y")];
        let found = deeds.map(|it| ruling(to, &grant, &it).verdict);
        assert_eq!((found, dropped(to, &grant).join(", ").as_str()), (says, lost), "{lead}");
    }
    // Of who says nothing of what it may do, like most who only lead, people are asked.
    let team = row("{}", ["disallowedTools: [Bash]", coder, coder]);
    let grant = passed_on(agent(&team, "aa"), &of_root(&team));
    assert_eq!(ruling(agent(&team, "bb"), &grant, &line("ls")).verdict, Verdict::Ask);
}

#[test]
fn tools_that_are_written_wrong_are_told() {
    let file = "---\ndescription: d\ntools: ['Bash(git:*', Read]\ndisallowedTools: [Wriite, Bash(curl, \
        KillShell, bash, handof, mcp__x__y]\nguardrails:\n  - {on: tool_call, kind: size, max: 3, \
        applies_to: {tools: [Bsah, 'mcp__x__*', run_tests]}}\n---\nx";
    insta::assert_snapshot!(told_of_agent(file));
    let turned = told_of_team("guardrails: [{on: input, kind: size, min: 5, max: 3}]");
    assert!(turned.contains("`guardrails[0].min` is more than `max`"), "{turned}");
}
