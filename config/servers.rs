//! Which tool servers a team has, and which agent may use which.

use std::collections::BTreeMap;

use crate::absent::of_server;
use crate::agent::{AgentName, Kind};
use crate::member::Member;
use crate::nearest::did_you_mean;
pub use crate::pins::{Change, Definition, Definitions, Pins};
use crate::place::{At, Sink};
pub use crate::sandbox::{Commands, Sandbox};
use crate::select::{is_flat, reaches, server_in, slug};
pub use crate::team::{Reach, ToolServer, Trust};
use crate::written_server::{Ground, entries};
use crate::yaml::{Node, Value};

/// The key of the definitions, in all files.
const KEY: &str = "mcpServers";

/// Servers for every agent: those of `team.yaml`, then those of `.mcp.json` with other names.
pub(crate) fn of_team(
    written: &[(At<String>, Node)],
    imported: Option<&Node>,
    ground: &Ground<'_>,
    sink: &Sink,
    imported_sink: &Sink,
) -> BTreeMap<String, ToolServer> {
    let mut servers = BTreeMap::new();
    let mut add = |all: &[(At<String>, Node)], sink: &Sink| {
        for (name, node) in all {
            if let Some(server) = ground.read(name, node, KEY, sink) {
                servers.entry(server.key.clone()).or_insert(server);
            }
        }
    };
    add(written, sink);
    add(&imported.map(entries_of).unwrap_or_default(), imported_sink);
    servers
}

/// The servers of a file like `.mcp.json`.
fn entries_of(file: &Node) -> Vec<(At<String>, Node)> {
    let Value::Map(keys) = &file.value else { return vec![] };
    keys.iter().find(|it| it.0.name == KEY).map(|it| entries(&it.1)).unwrap_or_default()
}

/// Every server with its users. An agent that names none may use all of the team's; one whose
/// `tools` select nothing of a server is no user of it.
pub(crate) fn join(
    members: &BTreeMap<AgentName, Member>,
    mut team: BTreeMap<String, ToolServer>,
    ground: &Ground<'_>,
    sink: &Sink,
) -> Vec<ToolServer> {
    let mut servers = vec![];
    // Where a person does the work there is nobody to call a tool.
    let models = members.iter().filter(|it| it.1.agent.kind == Kind::Model);
    for (agent, member) in models {
        let (named, own) = member_servers(agent, member, &team, ground, sink);
        tell_unknown_tools(member, (&team, named.as_deref()), &own, sink);
        let wants = |name: &str| match &member.agent.tools {
            Some(tools) => reaches(tools, name),
            None => true,
        };
        for server in team.values_mut() {
            let is_named = named.as_ref().is_none_or(|it| it.contains(&server.name));
            let is_hidden = own.iter().any(|it| it.name == server.name);
            if is_named && !is_hidden && wants(&server.name) {
                server.users.push(agent.clone());
            }
        }
        servers.extend(own.into_iter().filter(|it| wants(&it.name)));
    }
    servers.extend(team.into_values());
    servers
}

/// The names that an agent lists, if it lists any, and the servers that it defines itself.
fn member_servers(
    agent: &AgentName,
    member: &Member,
    team: &BTreeMap<String, ToolServer>,
    ground: &Ground<'_>,
    sink: &Sink,
) -> (Option<Vec<String>>, Vec<ToolServer>) {
    let Some(node) = &member.servers else { return (None, vec![]) };
    let (mut names, mut defined) = (vec![], vec![]);
    match &node.value {
        Value::Map(_) => defined = entries(node),
        Value::Text(text) => names.extend(text.split(',').map(|it| (it.to_owned(), node))),
        Value::List(items) => {
            for item in items {
                match item.text() {
                    Some(text) => names.push((text.to_owned(), item)),
                    None => defined.extend(entries(item)),
                }
            }
        }
        Value::Null | Value::Flag(_) | Value::Whole(_) | Value::Real(_) => {
            let said = format!("`{KEY}` must be a list of names or definitions");
            sink.push(node.place.error(said, format!("found {}", node.kind())));
        }
    }
    let read = |(name, node): &(At<String>, Node)| {
        let mut server = ground.read(name, node, KEY, sink)?;
        server.key = format!("{agent}/{}", server.name);
        server.users.push(agent.clone());
        Some(server)
    };
    let own: Vec<ToolServer> = defined.iter().filter_map(read).collect();
    let mut known = vec![];
    for (name, node) in names {
        let name = slug(&name);
        if team.contains_key(&name) {
            known.push(name);
        } else {
            let near = did_you_mean(&name, team.keys().map(String::as_str));
            let said = format!("tool server \"{name}\" in `{KEY}` is not defined{near}");
            let help = "define it in team.yaml, in .mcp.json, or in place of its name";
            sink.push(node.place.by_its_file(said, help));
        }
    }
    (Some(known), own)
}

/// Names in `tools` that speak of a server nobody defines, or that its `mcpServers` leave out.
fn tell_unknown_tools(
    member: &Member,
    (team, named): (&BTreeMap<String, ToolServer>, Option<&[String]>),
    own: &[ToolServer],
    sink: &Sink,
) {
    let of_team = team.keys().filter(|it| named.is_none_or(|named| named.contains(it)));
    let own = own.iter().map(|it| it.name.as_str());
    let known: Vec<&str> = of_team.map(String::as_str).chain(own).collect();
    // Where the name of a server ends nobody can tell.
    let switched =
        member.switched_on.iter().filter_map(|it| Some((&it.value, of_server(&it.value)?)));
    let flat =
        member.agent.tools.iter().flatten().filter(|it| is_flat(it)).map(|it| (it, it.clone()));
    for (tool, meant) in flat.chain(switched) {
        if !known.iter().any(|it| reaches(std::slice::from_ref(&meant), it)) {
            let said = format!("`tools` names `{tool}`, which is of no tool server that it has");
            sink.push(member.place.warning(said, "the agent works without it"));
        }
    }
    for tool in member.agent.tools.iter().flatten() {
        let Some(server) = server_in(tool).filter(|it| !known.contains(&it.as_str())) else {
            continue;
        };
        let why = match team.contains_key(&server) {
            true => format!("its `mcpServers` leave \"{server}\" out"),
            false => {
                let near = did_you_mean(
                    &server,
                    team.keys().map(String::as_str).chain(known.iter().copied()),
                );
                format!("no tool server is named \"{server}\"{near}")
            }
        };
        let said = format!("`tools` names `{tool}`, but {why}");
        sink.push(member.place.warning(said, "the agent works without it"));
    }
}
