//! The team as it is served, with where each key was written, and without anything that must stay with
//! its owner: no value of a secret or a header, of a tool server's program nothing but its name, of an
//! address no user or query.

use std::path::{Path, PathBuf};

use callboard_config::permit::Permit;
use callboard_config::servers::{Reach, ToolServer};
use callboard_config::{Endpoint, Model, Provider, ProviderKind, SourceFile, Team};
use serde_json::{Map, Value, json};

use crate::card::card;
use crate::policies::policies;

/// What is in force, all sources taken together.
pub(crate) fn effective(team: &Team) -> Value {
    let cards = team.agents.keys().filter_map(|it| card(team, it.as_str()).ok());
    let providers = team.providers.values().map(|it| (it.name.clone(), provider(it)));
    let top = shared(&team.files);
    let files = team.files.iter().map(|it| {
        let path = it.path.strip_prefix(&top).unwrap_or(&it.path);
        json!({"path": path.display().to_string(), "sha256": it.hash})
    });
    let origins = team.origins.iter().map(|(key, (path, line))| {
        let path = path.strip_prefix(&top).unwrap_or(path);
        (key.clone(), json!(format!("{}:{line}", path.display())))
    });
    let mut all = json!({
        "team": team.name, "entry": team.entry, "goal": team.goal, "workspace": team.workspace,
        "permissions": Permit::of_team(team).written(), "approvals": team.approvals,
        "triggers": team.triggers,
        "finishes_without_client": team.finishes,
        "agents": cards.collect::<Vec<_>>(),
        "providers": providers.collect::<Map<_, _>>(),
        "embed": team.embed.as_ref().map(model),
        "tool_servers": team.servers.values().map(server).collect::<Vec<_>>(),
        "untrusted_tool_servers": team.untrusted.iter().map(server).collect::<Vec<_>>(),
        "limits": team.limits,
        "files": files.collect::<Vec<_>>(),
        "written_in": origins.collect::<Map<_, _>>(),
        "problems": team.problems.iter().map(ToString::to_string).collect::<Vec<_>>(),
    });
    for (key, value) in policies(team) {
        all[key] = value;
    }
    all
}

/// A model as its owner names it.
pub(crate) fn model(model: &Model) -> String {
    format!("{}/{}", model.provider, model.model)
}

fn provider(provider: &Provider) -> Value {
    let mut shown = match &provider.kind {
        ProviderKind::OpenAi(it) => endpoint(it),
        ProviderKind::Rehearsal { playbook } => {
            let file = playbook.as_ref().and_then(|it| it.0.file_name());
            json!({"kind": "rehearsal", "playbook": file.map(|it| it.to_string_lossy())})
        }
    };
    shown["concurrency"] = json!(provider.concurrency);
    shown["requests_per_min"] = json!(provider.requests_per_min);
    shown["tokens_per_min"] = json!(provider.tokens_per_min);
    shown["breaker"] = json!(provider.breaker);
    shown
}

fn endpoint(it: &Endpoint) -> Value {
    json!({
        "kind": "openai", "base_url": address(&it.base_url), "api_key": it.key_source,
        "has_key": it.api_key.is_some(), "headers": it.headers.keys().collect::<Vec<_>>(),
        "connect_s": it.connect_s, "idle_s": it.idle_s, "total_s": it.total_s,
        "stream": it.stream,
    })
}

fn server(server: &ToolServer) -> Value {
    let reach = match &server.reach {
        Reach::Program { command, .. } => {
            json!({"program": command.file_name().map(|it| it.to_string_lossy())})
        }
        Reach::Http { url, .. } => json!({"address": address(url)}),
    };
    json!({"name": server.name, "reached": reach, "users": server.users})
}

/// An address without what may be a secret in it: the user, and what stands behind the path.
fn address(url: &str) -> String {
    let plain = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = plain.split_once("://") else { return plain.to_owned() };
    let (host, path) = rest.find('/').map_or((rest, ""), |at| rest.split_at(at));
    let host = host.rsplit('@').next().unwrap_or_default();
    format!("{scheme}://{host}{path}")
}

/// The folder that all files lie in: where the team is kept concerns nobody who calls it.
fn shared(files: &[SourceFile]) -> PathBuf {
    let folder = |it: &SourceFile| it.path.parent().unwrap_or(Path::new("")).to_path_buf();
    let common = |one: PathBuf, other: PathBuf| -> PathBuf {
        let both = one.components().zip(other.components());
        both.take_while(|(a, b)| a == b).map(|(a, _)| a).collect()
    };
    files.iter().map(folder).reduce(common).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::toolset::tests::a_team;

    #[test]
    fn an_address_keeps_its_host_and_path_alone() {
        let cases = [
            ("https://api.example.com/v1", "https://api.example.com/v1"),
            ("https://me:pa@ss@host:8443/mcp?key=sk-1#x", "https://host:8443/mcp"),
            ("http://127.0.0.1:9", "http://127.0.0.1:9"),
            ("http://host?token=1", "http://host"),
            ("unix:/x?y", "unix:/x"),
        ];
        for (url, shown) in cases {
            assert_eq!(address(url), shown);
        }
    }

    #[test]
    fn secrets_headers_and_arguments_stay_with_their_owner() {
        let mut team = a_team(&["coder"]);
        let secret = |it: &str| callboard_config::SecretString::from(it.to_owned());
        let endpoint = Endpoint {
            base_url: "https://user:hidden-1@host/v1".to_owned(),
            api_key: Some(secret("hidden-2")),
            key_source: Some("env:KEY".to_owned()),
            headers: BTreeMap::from([("x-team".to_owned(), secret("hidden-3"))]),
            connect_s: 10,
            idle_s: 60,
            total_s: 600,
            stream: true,
            max_tokens_field: "max_tokens".to_owned(),
            chat: None,
        };
        let kind = ProviderKind::OpenAi(endpoint);
        let one = Provider { concurrency: Some(2), ..Provider::new("one", kind) };
        team.providers.insert("one".to_owned(), one);
        let file = |it: &str| SourceFile { path: it.into(), hash: "ab".to_owned() };
        let reach = Reach::Program {
            command: "/home/me/bin/notes-server".into(),
            args: vec!["--token=hidden-4".to_owned()],
            env: BTreeMap::from([("TOKEN".to_owned(), secret("hidden-5"))]),
            inherited: BTreeMap::from([("HOME".to_owned(), "hidden-6".to_owned())]),
            cwd: "/hidden-7".into(),
        };
        let notes = ToolServer {
            key: "notes".to_owned(),
            name: "notes".to_owned(),
            reach,
            shown: "notes-server --token=hidden-4".to_owned(),
            source: file("/hidden-8/team.yaml"),
            line: 1,
            own: true,
            users: vec![team.entry.clone()],
            sandbox: None,
            secrets: vec![secret("hidden-5")],
        };
        team.servers.insert("notes".to_owned(), notes);
        team.files = vec![file("/hidden-8/team.yaml"), file("/hidden-8/agents/coder.md")];
        let origin = ("/hidden-8/team.yaml".into(), 3);
        team.origins.insert("limits.concurrent".to_owned(), origin);
        let shown = effective(&team);
        assert!(!shown.to_string().contains("hidden"), "{shown:#}");
        assert!(!shown.to_string().contains("/home"), "{shown:#}");
        assert_eq!(shown["providers"]["one"]["base_url"], "https://host/v1");
        assert_eq!(shown["providers"]["one"]["headers"], json!(["x-team"]));
        assert_eq!(shown["tool_servers"][0]["reached"], json!({"program": "notes-server"}));
        assert_eq!(shown["files"][1]["path"], "agents/coder.md");
        assert_eq!(shown["agents"][0]["name"], "coder");
        assert_eq!(shown["limits"]["concurrent"], 50);
        assert_eq!(shown["providers"]["one"]["breaker"]["failures"], 3);
        assert_eq!(shown["budgets"]["task"]["usd"], 5.0);
        assert_eq!(shown["budgets"]["run"]["seconds"], 1_800.0);
        assert_eq!(shown["route"]["fallback"], "single");
        assert_eq!(shown["throttle"]["high"], 80.0);
        assert_eq!(shown["written_in"], json!({"limits.concurrent": "team.yaml:3"}));
    }
}
