//! An agent's card.

use callboard_config::{Agent, AgentName, Team, permit};
use callboard_scheduler::{Refusal, RefusalCode};
use serde_json::{Value, json};

use crate::check::Result;
use crate::nearest::{did_you_mean, quoted};
use crate::policies::caps;
use crate::uri::SCHEME;

/// What is known of an agent, without its instructions.
pub(crate) fn card(team: &Team, name: &str) -> Result<Value> {
    let known = AgentName::parse(name).and_then(|it| team.agents.get(&it));
    let Some(agent) = known else {
        let names = team.agents.keys().map(AgentName::as_str);
        let near = did_you_mean(name, names, "there are");
        let message = format!("agent {} is not in this team{near}", quoted(name));
        let hint = "team://agents lists them";
        return Err(Refusal::new(RefusalCode::NotFound, message, hint));
    };
    let takes_from = |it: &&Agent| it.handoffs.iter().any(|edge| edge.to == agent.name);
    let from: Vec<&AgentName> =
        team.agents.values().filter(takes_from).map(|it| &it.name).collect();
    let disarmed = permit::disarmed(team);
    let to = agent.handoffs.iter().map(|it| {
        let mut edge =
            json!({"to": it.to, "mode": it.mode, "triggers": it.triggers, "when": it.when});
        let is_it = |(from, to, _): &&(&Agent, &Agent, Vec<String>)| {
            from.name == agent.name && to.name == it.to
        };
        if let Some((_, _, lost)) = disarmed.iter().find(is_it) {
            edge["without"] = json!(lost);
        }
        edge
    });
    let models = agent.models.iter().map(|it| format!("{}/{}", it.provider, it.model));
    let guards =
        agent.guards.iter().map(|it| json!({"name": it.name, "on": it.on, "on_fail": it.on_fail}));
    Ok(json!({
        "name": agent.name, "description": agent.description,
        "models": models.collect::<Vec<_>>(), "tools": agent.tools,
        "built_in_tools": agent.hands,
        "disallowed_tools": agent.disallowed_tools, "permissions": permit::effective(team, agent),
        "grants": agent.grants, "handoffs_to": to.collect::<Vec<_>>(), "handoffs_from": from,
        "capabilities": agent.capabilities, "class": agent.class, "authority": agent.authority,
        "max_turns": agent.max_turns, "max_parallel": agent.max_parallel,
        "budget": caps(&agent.budget.unwrap_or(team.budgets.run)), "publish": agent.publish,
        "guardrails": guards.collect::<Vec<_>>(),
        "answer": format!("{SCHEME}schema/{}", agent.name),
    }))
}
