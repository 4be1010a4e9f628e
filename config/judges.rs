//! Which check is whose, and who judges: looked up when all agents are known.

use std::collections::{BTreeMap, BTreeSet};

use crate::agent::{Agent, AgentName};
use crate::gather::unknown;
use crate::guards::{Guard, Kind};
use crate::member::Member;
use crate::models::Models;
use crate::nearest::{did_you_mean, loose};
use crate::place::{At, Sink};
use crate::written_guard::Read;

/// Gives each agent its checks, the team's first. One whose judge is not there is left out: its
/// file says that something is checked, and it would not be.
pub(crate) fn join(
    team: Vec<Read>,
    (members, absent): (&mut BTreeMap<AgentName, Member>, &mut BTreeSet<String>),
    models: &Models,
    (sink, soft): (&Sink, &Sink),
) {
    let agents: BTreeMap<AgentName, Agent> =
        members.iter().map(|(name, it)| (name.clone(), it.agent.clone())).collect();
    let team: Vec<Read> =
        team.into_iter().filter_map(|it| judged(it, &agents, models, sink)).collect();
    for name in team.iter().filter_map(|it| it.agents.as_ref()).flatten() {
        let known = agents.keys().any(|it| loose(it.as_str()) == loose(&name.value));
        if !known && !absent.contains(&loose(&name.value)) {
            sink.push(unknown(name, "applies_to.agents", agents.keys()));
        }
    }
    let is_for = |read: &Read, name: &AgentName| {
        let is_it = |it: &At<String>| loose(&it.value) == loose(name.as_str());
        read.agents.as_ref().is_none_or(|all| all.iter().any(is_it))
    };
    members.retain(|name, member| {
        let own = std::mem::take(&mut member.guards);
        let count = own.len();
        let own: Vec<Read> =
            own.into_iter().filter_map(|it| judged(it, &agents, models, soft)).collect();
        if own.len() < count {
            absent.insert(loose(name.as_str()));
            return false;
        }
        let of_team = team.iter().filter(|it| is_for(it, name));
        member.agent.guards = of_team.chain(&own).map(|it| it.guard.clone()).collect();
        named_apart(&mut member.agent.guards);
        true
    });
}

/// An agent's file cannot take the place of a check of the team: of two that bear one name the
/// second gets another.
fn named_apart(guards: &mut [Guard]) {
    for at in 1..guards.len() {
        let (before, rest) = guards.split_at_mut(at);
        while before.iter().any(|it| it.name == rest[0].name) {
            rest[0].name.push('+');
        }
    }
}

/// The check with its judge's models.
fn judged(
    mut read: Read,
    agents: &BTreeMap<AgentName, Agent>,
    models: &Models,
    sink: &Sink,
) -> Option<Read> {
    let Kind::Judge { by, instructions, models: chain, .. } = &mut read.guard.kind else {
        return Some(read);
    };
    let name = read.by.as_ref()?;
    let agent = agents.values().find(|it| loose(it.name.as_str()) == loose(&name.value));
    by.clone_from(&name.value);
    if let Some(agent) = agent.filter(|it| !it.models.is_empty()) {
        instructions.clone_from(&agent.instructions);
        chain.clone_from(&agent.models);
        return Some(read);
    }
    let Some(found) = models.named(&name.value) else {
        let known = agents.keys().map(AgentName::as_str).chain(models.aliases());
        let near = did_you_mean(&name.value, known);
        let said = format!("judge \"{}\" is no agent of this team and no model{near}", name.value);
        sink.push(name.place.error(said, "name an agent, or an alias of `models`"));
        return None;
    };
    *chain = found;
    Some(read)
}
