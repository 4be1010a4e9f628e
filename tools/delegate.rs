//! The prompt `delegate`: how to split work over this very team, and when not to.

use callboard_config::{Agent, Kind, Team};
use serde_json::{Value, json};

use crate::prompt::{Argument, line};
use crate::toolset::{Profile, Toolset};

/// Its name.
pub(crate) const NAME: &str = "delegate";
/// What it takes.
pub(crate) const ARGUMENTS: [Argument; 1] =
    [Argument { name: "goal", description: "what is to be reached", required: false }];
/// Agents of the example.
const IN_EXAMPLE: usize = 3;

/// What the client's model is told.
pub(crate) fn told(team: &Team, goal: Option<&str>) -> String {
    let goal = match goal {
        Some(goal) => format!("The goal:\n{goal}\n"),
        None => "First say in one sentence what is to be reached; ask if you do not know.\n".into(),
    };
    let is_compact = Toolset::of(team).profile() == Profile::Compact;
    let agents: Vec<String> = team.agents.values().map(|it| line(it, &how(it))).collect();
    let call = if is_compact {
        "call `ask_agent` with its name as `agent`"
    } else {
        "call the tool of its name"
    };
    let (limits, name, entry) = (&team.limits, &team.name, &team.entry);
    format!(
        "Decide how the team \"{name}\" should do this work, then start it.\n{goal}\n\
         The team:\n{agents}\n\n\
         Do it yourself, without the team, if\n\
         - it takes you a few steps and you have what you need;\n\
         - you would write more to explain it than there is to do: a run knows nothing of your \
         conversation but its `task` and `context`;\n\
         - nobody above does this kind of work.\n\n\
         Give it to one agent if it is one kind of work: {call}, with the whole `task`, and in \
         `context` what it cannot know.{chains} If you do not know who, leave `to` out of \
         `team_run`: `{entry}` begins.\n\n\
         Split it with `team_run` if parts can be done at the same time, or by different agents \
         one after the other. `after` names what a task needs; what those end with reaches it. \
         For instance:\n{example}\n\
         Beside `budget`, `split` gives a task, or an agent for its tasks, a share of it from 0 to 1; \
         what is left over is for the others. `impact_if_missing` of a task says what it means if \
         nothing comes of it.\n\
         Do not split what shares every detail: two agents that guess each other's half are \
         slower than one that has both.\n\n\
         Write each task so that it can be judged alone: what is to be reached, what to read, what \
         form the answer has, when it is done. At most {concurrent} runs are at work at once and a \
         plan holds at most {plan_steps} tasks. `state: working` is normal: ask `team_status` with \
         `wait_s`. When all have ended, check the answers against the goal yourself.\n",
        agents = agents.join("\n"),
        chains = chains(team),
        example = example(team),
        concurrent = limits.concurrent,
        plan_steps = limits.plan_steps,
    )
}

fn how(agent: &Agent) -> String {
    match (agent.kind, agent.publish) {
        (Kind::Human, _) => " (a person: may take long)".to_owned(),
        (Kind::Model, true) => String::new(),
        (Kind::Model, false) => " (has no tool of its own; others pass work to it)".to_owned(),
    }
}

/// What need not be planned, since the agents do it by themselves.
fn chains(team: &Team) -> String {
    let passes = |it: &&Agent| !it.handoffs.is_empty();
    let lines = team.agents.values().filter(passes).map(|it| {
        let to: Vec<String> = it.handoffs.iter().map(|it| format!("`{}`", it.to)).collect();
        format!("`{}` to {}", it.name, to.join(", "))
    });
    match lines.collect::<Vec<_>>().as_slice() {
        [] => String::new(),
        some => format!(
            " Do not plan what the team passes on by itself once it is needed: {}.",
            some.join("; ")
        ),
    }
}

/// A plan of this team's own agents: all but the last at once, the last one behind them.
fn example(team: &Team) -> String {
    let all: Vec<&Agent> =
        team.agents.values().filter(|it| it.publish && it.kind == Kind::Model).collect();
    let n_tasks = all.len().clamp(2, IN_EXAMPLE);
    let task = |nth: usize| -> Value {
        let mut task = json!({"id": format!("t{}", nth + 1), "task": "…"});
        if let Some(agent) = all.get(nth % all.len().max(1)) {
            task["to"] = json!(agent.name);
        }
        if nth + 1 == n_tasks {
            task["after"] = (1..n_tasks).map(|it| format!("t{it}")).collect();
        }
        task
    };
    json!({"tasks": (0..n_tasks).map(task).collect::<Vec<_>>()}).to_string()
}

#[cfg(test)]
mod tests {
    use callboard_config::AgentName;

    use super::*;
    use crate::agent::tests::an_edge;
    use crate::toolset::tests::a_team;

    #[test]
    fn it_speaks_of_this_team() {
        let mut team = a_team(&["coder", "reviewer", "tester"]);
        let names: Vec<AgentName> = team.agents.keys().cloned().collect();
        let coder = team.agents.get_mut(&names[0]).expect("an agent");
        coder.handoffs.push(an_edge(names[1].clone()));
        coder.capabilities = vec!["rust".to_owned()];
        team.agents.get_mut(&names[2]).expect("an agent").publish = false;
        insta::assert_snapshot!("delegate", told(&team, Some("ship it")));
    }

    #[test]
    fn it_fits_any_team() {
        let names: Vec<String> = (0..40).map(|it| format!("agent_{it}")).collect();
        let many = a_team(&names.iter().map(String::as_str).collect::<Vec<_>>());
        assert!(told(&many, None).contains("call `ask_agent`"));
        let mut alone = a_team(&["coder"]);
        assert!(told(&alone, None).contains(r#""id":"t2","task":"…","to":"coder","after":["t1"]"#));
        alone.agents.values_mut().for_each(|it| it.kind = Kind::Human);
        assert!(told(&alone, None).contains("(a person: may take long)"));
        assert!(told(&alone, None).contains("ask if you do not know"));
    }
}
