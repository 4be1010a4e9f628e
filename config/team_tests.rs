//! `team.yaml`: what it sets, and the exact text of what is wrong with it.

use crate::load::footprint;
use crate::testing::{PLAIN, agent, folder, team, told, told_of_team};
use crate::{Act, ExposeSecret, ProviderKind, SourceFile, Team, Verdict, load};

fn endpoint<'a>(team: &'a Team, name: &str) -> &'a crate::Endpoint {
    match &team.providers[name].kind {
        ProviderKind::OpenAi(endpoint) => endpoint,
        ProviderKind::Rehearsal { .. } => panic!("{name} is the rehearsal model"),
    }
}

#[test]
fn all_problems_are_told_at_once() {
    let text = "entri: lead\nbudgets: {day: 3}\nlimits:\n  dept: 4\n  turns: many\n  hops: 500\n  \
                depth: -1\nproviders:\n  local: {api_key: sk-live-123, base_url: nowhere}\n  \
                far: {kind: openia}\nmodels:\n  default: locl/m\n  big: {fallback: [tiny]}\n\
                publish: [laed]\npermissions: {raed: allow, run: never}\nteam: [a]\n";
    insta::assert_snapshot!(told_of_team(text), @r#"
    team.yaml:1: key `entri` is not known; did you mean "entry"?
    team.yaml:2: `budgets.day` must be a map, found a number
      help: write `key: value` lines
    team.yaml:4: key `limits.dept` is not known; did you mean "depth"?
    team.yaml:5: `limits.turns` must be a whole number such as 20, found text
    team.yaml:6: `limits.hops` is 500, more than 10 times its default 10
      help: write `raise: true` in `limits` if it is meant
    team.yaml:7: `limits.depth` must be 0 to 4294967295
    team.yaml:9: `providers.local.base_url` is no address
      help: write it as "http://localhost:11434/v1"
    team.yaml:10: `providers.far.kind` cannot be "openia"; did you mean "openai"?
      help: write one of openai, rehearsal
    team.yaml:10: `providers.far` has no `base_url`
      help: write `base_url: "https://api.openai.com/v1"` or the address of your server
    team.yaml:12: `models.default`: "locl" is not in `providers`; did you mean "local"?
      help: write PROVIDER/MODEL with a key of `providers`
    team.yaml:13: `models.big` names no model
      help: write `model: NAME`, as the provider knows it
    team.yaml:14: agent "laed" in `publish` is not in this team; did you mean "lead"?
    team.yaml:15: `permissions.run` cannot be "never"
      help: write one of allow, ask, deny
    team.yaml:15: `permissions.raed` is no class of act; did you mean "read"?
      help: write one of read, write, run, fetch, external, or lists of patterns
    team.yaml:16: `team` must be text, found a list
      help: put it in quotes if it is meant as text
    15 errors, 0 warnings
    "#);
}

#[test]
fn a_key_in_the_file_is_refused_and_never_printed() {
    for key in ["sk-live-123", "12345678", "cmd:pass show key", "keyring:openai", "env:", "env:A B"]
    {
        let text = format!(
            "providers: {{a: {{base_url: \"http://a/v1\", api_key: \"{key}\"}}}}\nmodels: {{default: a/m}}"
        );
        let told = told_of_team(&text);
        assert!(told.contains("write `env:NAME`"), "{told}");
        assert!(!told.contains("sk-live") && !told.contains("12345678"), "{told}");
        assert!(!told.contains("pass show"), "{told}");
    }
}

#[test]
fn keys_are_trimmed_and_checked() {
    let text = "providers:\n  a: {base_url: \"http://a/v1/\", api_key: env:LOCAL_KEY}\n  \
                b: {base_url: \"http://b/v1\", api_key: file:key.txt, \
                headers: {X-Team: blue, X-Auth: env:LOCAL_KEY}}\n  \
                c: {base_url: \"http://c/v1\", api_key: env:NOT_SET}\nmodels: {default: a/m}\n";
    let team =
        team(&[("team.yaml", text), ("agents/lead.md", PLAIN), ("key.txt", "from-file\r\n\n")]);
    let key = |name| endpoint(&team, name).api_key.as_ref().map(|it| it.expose_secret().to_owned());
    assert_eq!(key("a").as_deref(), Some("local-key"));
    assert_eq!(endpoint(&team, "a").base_url, "http://a/v1");
    assert_eq!(key("b").as_deref(), Some("from-file"));
    assert_eq!(endpoint(&team, "b").headers["X-Auth"].expose_secret(), "local-key");
    assert_eq!(endpoint(&team, "b").headers["X-Team"].expose_secret(), "blue");
    assert_eq!(key("c"), None);
    assert_eq!(endpoint(&team, "c").key_source.as_deref(), Some("env:NOT_SET"));
    assert_eq!(team.problems.len(), 1);
    assert_eq!(
        team.problems[0].message,
        "`providers.c.api_key` has no value: the variable NOT_SET is not set"
    );
    assert!(team.files.iter().all(|it| !it.path.ends_with("key.txt")), "a secret is no source");
}

#[test]
fn a_key_with_a_line_break_inside_stops_the_start() {
    let text = "providers: {a: {base_url: \"http://a/v1\", api_key: env:BROKEN_KEY}}\n\
                models: {default: a/m}";
    let told = told_of_team(text);
    assert!(told.contains("team.yaml:1: `providers.a.api_key` holds a character"), "{told}");
    assert!(!told.contains("second"), "{told}");
}

#[test]
fn without_providers_the_environment_speaks() {
    let plain = [("agents/lead.md", PLAIN)];
    let team = team(&plain);
    let default = endpoint(&team, "default");
    assert_eq!(default.base_url, "https://api.openai.com/v1");
    assert_eq!(default.api_key.as_ref().unwrap().expose_secret(), "sk-from-env");
    assert_eq!(default.max_tokens_field, "max_completion_tokens");
    assert_eq!(agent(&team, "lead").models[0].model, "gpt-5-mini");

    let local = |name: &str| match name {
        "OPENAI_BASE_URL" => Some("http://localhost:11434/v1/".to_owned()),
        "OPENAI_MODEL" => Some("qwen3:8b".to_owned()),
        _ => None,
    };
    let team = load(folder(&plain).path(), &local).unwrap();
    assert_eq!(endpoint(&team, "default").base_url, "http://localhost:11434/v1");
    assert!(endpoint(&team, "default").api_key.is_none());
    assert_eq!(agent(&team, "lead").models[0].model, "qwen3:8b");
    assert!(team.problems.is_empty());

    let team = load(folder(&plain).path(), &|_| None).unwrap();
    assert!(team.problems[0].message.starts_with("no model endpoint is set"));

    let broken =
        [plain.as_slice(), &[("team.yaml", "limits: {concurrent: [3\nentry: lead\n")]].concat();
    let told = load(folder(&broken).path(), &|_| None).unwrap_err().to_string();
    assert!(told.contains("is no YAML here") && !told.contains("endpoint"), "{told}");
    assert!(!told.contains("no agent is named"), "{told}");
}

#[test]
fn a_broken_base_url_variable_never_sends_the_key_elsewhere() {
    let env = |name: &str| match name {
        "OPENAI_BASE_URL" => Some("localhost:11434".to_owned()),
        "OPENAI_API_KEY" => Some("sk-1".to_owned()),
        _ => None,
    };
    let problems = load(folder(&[("agents/lead.md", PLAIN)]).path(), &env).unwrap_err();
    assert!(problems.to_string().starts_with("OPENAI_BASE_URL: `OPENAI_BASE_URL` is no address"));
}

#[test]
fn models_resolve_through_aliases_and_fallbacks() {
    let text = "providers:\n  a: {base_url: \"http://a/v1\"}\n  r: {kind: rehearsal}\nmodels:\n  \
                default: a/small\n  strong: {provider: a, model: org/big, fallback: [default, r/x], \
                context: 200000, max_output: 9000}\n";
    let odd = "---\ndescription: d\nmodel: [strong, opus, inherit]\nmax_output: 77\n---\nx";
    let team = team(&[
        ("team.yaml", text),
        ("agents/lead.md", PLAIN),
        ("agents/odd.md", odd),
        ("agents/coordinator.md", PLAIN),
    ]);
    let names = |name: &str| -> Vec<String> {
        let models = &agent(&team, name).models;
        models.iter().map(|it| format!("{}:{}:{}", it.provider, it.model, it.max_output)).collect()
    };
    assert_eq!(names("lead"), ["a:small:4096"]);
    assert_eq!(names("odd"), ["a:org/big:77", "a:small:77", "r:x:77"]);
    assert_eq!(team.problems.len(), 1, "{:?}", team.problems);
    assert!(team.problems[0].message.starts_with("model \"opus\" is not in `models`"));
}

#[test]
fn a_fallback_circle_ends() {
    let text = "providers: {a: {base_url: \"http://a/v1\"}}\nmodels:\n  default: {model: x, \
                fallback: [b]}\n  b: {model: y, fallback: [default, b]}\n";
    let team = team(&[("team.yaml", text), ("agents/lead.md", PLAIN)]);
    let models: Vec<&str> =
        agent(&team, "lead").models.iter().map(|it| it.model.as_str()).collect();
    assert_eq!(models, ["x", "y"]);
}

#[test]
fn the_rehearsal_model_needs_nothing_and_reads_its_playbook() {
    let text = "providers: {r: {kind: rehearsal, playbook: play.yaml}}";
    let team =
        team(&[("team.yaml", text), ("agents/lead.md", PLAIN), ("play.yaml", "- hello: x\n")]);
    assert_eq!(agent(&team, "lead").models[0].model, "rehearsal");
    let ProviderKind::Rehearsal { playbook: Some((path, text)) } = &team.providers["r"].kind else {
        panic!("no playbook");
    };
    assert!(path.ends_with("play.yaml") && text == "- hello: x\n");
    assert!(team.files.iter().any(|it| it.path.ends_with("play.yaml")));

    insta::assert_snapshot!(told_of_team("providers:\n  r: {kind: rehearsal, playbook: no.yaml, \
        api_key: env:X}\n  o: {playbook: x.yaml}"), @r#"
    team.yaml:2: `providers.r.api_key` does not fit `kind: rehearsal`
      help: the rehearsal model works offline: remove it
    team.yaml:2: `providers.r.playbook`: no.yaml: is no file
      help: the path starts at the folder of this file
    team.yaml:3: `providers.o.playbook` is for `kind: rehearsal` only
    team.yaml:3: `providers.o` has no `base_url`
      help: write `base_url: "https://api.openai.com/v1"` or the address of your server
    4 errors, 0 warnings
    "#);
}

#[test]
fn limits_take_units_and_guard_large_values() {
    let text = "limits: {deadline_s: 2h, task_chars: 320000, line_bytes: 1MiB, depth: 0, \
                raise: false}";
    let team = team(&[("team.yaml", text), ("agents/lead.md", PLAIN)]);
    assert_eq!((team.limits.deadline_s, team.limits.line_bytes), (7_200, 1 << 20));
    assert_eq!((team.limits.depth, team.limits.task_chars), (0, 320_000));
    let raised = "limits: {depth: 51, raise: true}";
    let team = crate::testing::team(&[("team.yaml", raised), ("agents/lead.md", PLAIN)]);
    assert_eq!(team.limits.depth, 51);

    insta::assert_snapshot!(told_of_team(
        "limits:\n  depth: 51\n  wait_s: 5 weeks\n  \
        hops: -1\n  concurrent: 99999999999\n  raise: true\n"
    ));
    insta::assert_snapshot!(told_of_team("limits: {depth: 51, turns: 1.5}"), @r#"
    team.yaml:1: `limits.depth` is 51, more than 10 times its default 5
      help: write `raise: true` in `limits` if it is meant
    team.yaml:1: `limits.turns` must be a whole number such as 20, found a number
    2 errors, 0 warnings
    "#);
}

#[test]
fn the_ceiling_cuts_every_agent() {
    let all =
        "---\ndescription: d\npermissions: {write: allow, run: allow, external: deny}\n---\nx";
    let text = "permissions: {run: ask, read: deny}";
    let team = team(&[("team.yaml", text), ("agents/lead.md", all)]);
    let of = |act| agent(&team, "lead").permissions[&act];
    assert_eq!((of(Act::Write), of(Act::Run)), (Verdict::Allow, Verdict::Ask));
    assert_eq!((of(Act::Read), of(Act::External)), (Verdict::Deny, Verdict::Deny));
    assert_eq!(team.permissions[&Act::Fetch], Verdict::Allow);
}

#[test]
fn overrides_change_an_agent_and_are_checked_strictly() {
    let text = "entry: lead\nagents:\n  lead: {authority: 0.9, tools: []}\npublish: [lead]\n";
    let files = |text| [("team.yaml", text), ("agents/lead.md", PLAIN), ("agents/odd.md", PLAIN)];
    let team = team(&files(text));
    assert_eq!((agent(&team, "lead").authority, &agent(&team, "lead").tools), (0.9, &Some(vec![])));
    assert!(agent(&team, "lead").publish && !agent(&team, "odd").publish);

    let wrong = "entry: leed\nagents:\n  laed: {class: high}\n  odd: {clas: high, authority: 2, \
                 hooks: 1, color: red}\n  lead: 3\npublish: [lead, nobody]\n";
    insta::assert_snapshot!(told(&files(wrong)), @r#"
    team.yaml: every agent of this team is left out
      help: what is wrong with each file stands beside this
    team.yaml:3: agent "laed" in `agents` is not in this team
    team.yaml:4: `authority` must be 0 to 1
    team.yaml:4: key `clas` is not known; did you mean "class"?
    team.yaml:4: `hooks` is not acted on by this version
    team.yaml:4: `color` is not acted on by this version
    team.yaml:5: `agents.lead` must be a map, found a number
    team.yaml:6: agent "nobody" in `publish` is not in this team
    8 errors, 0 warnings
    "#);
}

#[test]
fn the_entry_is_written_or_coordinator_or_the_only_agent() {
    assert_eq!(team(&[("agents/a1.md", PLAIN)]).entry.as_str(), "a1");
    let two = [("agents/a1.md", PLAIN), ("agents/coordinator.md", PLAIN)];
    assert_eq!(team(&two).entry.as_str(), "coordinator");
    let strangers = team(&[("agents/a1.md", PLAIN), ("agents/a2.md", PLAIN)]);
    assert_eq!(strangers.entry.as_str(), "a1");
    let said: Vec<String> = strangers.problems.iter().map(ToString::to_string).collect();
    assert!(said.iter().any(|it| it.contains("; a1 gets it")), "{said:?}");
    let absent = [("team.yaml", "entry: x1"), ("agents/x1.md", "nothing"), ("agents/a2.md", PLAIN)];
    insta::assert_snapshot!(told(&absent), @r#"
    agents/x1.md:1: has no front matter
      help: begin with a `---` line, write `description: ...`, and end with another `---`
    team.yaml:1: the entry agent "x1" is left out
      help: mend its file, or name another `entry`
    2 errors, 0 warnings
    "#);
    insta::assert_snapshot!(told(&[("notes.txt", "")]), @r#"
    team.yaml: this team has no agent
      help: put agent files into `agents/`, or write the shipped team with `callboard init`
    1 error, 0 warnings
    "#);
    insta::assert_snapshot!(told(&[("team.yml", "entry: a1"), ("agents/a1.md", PLAIN)]), @r#"
    team.yml: is not read
      help: rename it to `team.yaml`
    1 error, 0 warnings
    "#);
}

#[test]
fn a_place_may_be_a_file() {
    let files = folder(&[("mine.yaml", "team: mine"), ("agents/a1.md", PLAIN)]);
    let team = load(&files.path().join("mine.yaml"), &|_| None).unwrap();
    assert_eq!((team.name.as_str(), team.agents.len()), ("mine", 1));
    let team = load(&files.path().join("agents/a1.md"), &|_| None).unwrap();
    assert_eq!(team.entry.as_str(), "a1");
    let none = load(&files.path().join("nowhere"), &|_| None).unwrap_err();
    assert!(none.0[0].message.starts_with("there is no such file"), "{none}");
}

#[test]
fn a_footprint_changes_with_every_file_of_the_team_and_with_no_other() {
    let files = folder(&[
        ("team.yaml", "entry: a1"),
        ("agents/a1.md", PLAIN),
        (".claude/agents/deep/a2.md", PLAIN),
        ("beside/book.yaml", "- {say: hi}"),
    ]);
    let book = SourceFile { path: files.path().join("beside/book.yaml"), hash: String::new() };
    let served = Team { files: vec![book], ..Team::nobody(vec![]) };
    let look = || footprint(files.path(), &served);
    let folders: Vec<String> = look().folders.iter().map(|it| it.display().to_string()).collect();
    let inside = ["", "/.claude", "/.claude/agents", "/.claude/agents/deep", "/agents", "/beside"];
    let root = files.path().display();
    assert_eq!(folders, inside.map(|it| format!("{root}{it}")));
    for name in [
        "team.yaml",
        "agents/a1.md",
        "agents/new.md",
        ".claude/agents/deep/a2.md",
        "agent_handoffs.json",
        "agents_extended.json",
        "prices.yaml",
        "beside/book.yaml",
    ] {
        let before = look();
        std::fs::write(files.path().join(name), "another length").unwrap();
        assert_ne!(look(), before, "{name}");
    }
    let before = look();
    for name in ["notes.txt", "agents/README.md", "agents/.a1.md.swp", "beside/other.yaml"] {
        std::fs::write(files.path().join(name), "x").unwrap();
    }
    assert_eq!(look(), before);
    std::fs::remove_file(files.path().join("beside/book.yaml")).unwrap();
    assert_ne!(look(), before);
    assert_eq!(footprint("lead.md".as_ref(), &Team::nobody(vec![])).folders, [".".into()].into());
}

#[test]
fn later_keys_are_refused_each_by_its_name() {
    for key in ["workflows", "telemetry"] {
        let told = told_of_team(&format!("{key}: 1"));
        assert!(told.contains(&format!("team.yaml:1: `{key}` is not supported by this version")));
    }
}

#[test]
fn the_api_of_an_endpoint_and_the_model_of_embeddings_are_read() {
    let text = "providers:\n  a: {base_url: \"http://a/v1\"}\n  \
                b: {base_url: \"http://b/v1\", api: responses}\n\
                models: {default: a/m, embed: {provider: b, model: e, fallback: [default]}}";
    let team = team(&[("team.yaml", text), ("agents/lead.md", PLAIN)]);
    assert_eq!(endpoint(&team, "a").chat, None);
    assert_eq!(endpoint(&team, "b").chat, Some(false));
    let embed = team.embed.expect("a model");
    assert_eq!((&*embed.provider, &*embed.model), ("b", "e"));
    let told = told_of_team(
        "providers: {a: {base_url: \"http://a/v1\", api: respones}}\nmodels: {default: a/m}",
    );
    assert!(
        told.contains("`providers.a.api` cannot be \"respones\"; did you mean \"responses\"?"),
        "{told}"
    );
}

#[test]
fn a_client_that_goes_has_its_runs_finished_unless_the_owner_says_otherwise() {
    let of = |text: &str| team(&[("team.yaml", text), ("agents/lead.md", PLAIN)]).finishes;
    assert!(of("entry: lead"));
    assert!(of("clients: {on_disconnect: finish}"));
    assert!(!of("clients: {on_disconnect: leave}"));
    let told = told_of_team("clients: {on_disconect: leave, on_disconnect: go}");
    assert!(told.contains("key `clients.on_disconect` is not known"), "{told}");
    assert!(told.contains("`clients.on_disconnect` cannot be \"go\""), "{told}");
}
