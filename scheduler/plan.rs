//! How a caller's own graph of tasks comes in: checked as a whole, written down as a whole.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use callboard_agents::plan::cycle;
use callboard_config::memory::Access;
use callboard_config::permit::Grants;
use callboard_config::{Agent, AgentName, Team};
use callboard_store::Listens;
use callboard_trace::{Event, Fact, PlanStep};

use crate::desk::Desk;
use crate::intake::member;
use crate::refusal::Result;
use crate::same::fingerprint;
use crate::split::share_out;
use crate::{Ask, PlanAsk, Refusal, RefusalCode, Submitted, TaskAsk, begin};

/// Problems told of one plan; the rest is counted.
const PROBLEMS_MAX: usize = 20;
/// Characters of a task's id.
const ID_CHARS: usize = 80;
/// Bytes of all tasks of a plan: with what stands around them they are one record.
const TEXT_BYTES: usize = 16 << 20;
/// Characters of what a task's absence means.
const IMPACT_CHARS: usize = 500;
/// Names of tasks in the plan's own task.
const NAMED: usize = 5;

impl Desk {
    /// Takes a whole plan in, led by a run that has no model. It is on disk when this returns; its
    /// steps begin as their needs end, as many at once as there are seats.
    ///
    /// # Errors
    /// `invalid_input` with every problem, a cycle printed; `conflict`, `over_capacity`,
    /// `engine_unavailable`. Nothing was started then.
    pub async fn submit_plan(&self, plan: PlanAsk) -> Result<Submitted> {
        self.call_plan(plan, Listens::default()).await
    }

    /// The same for a call that listens, as [`Desk::call`].
    ///
    /// # Errors
    /// As [`Desk::submit_plan`].
    pub async fn call_plan(&self, plan: PlanAsk, listens: Listens) -> Result<Submitted> {
        let team = self.team();
        let steps = steps(&team, plan.tasks, &plan.split)?;
        let leader = leader();
        let task = name(&steps);
        let tasks = steps.len() as u64;
        let ask = Ask { to: leader.name.clone(), task, tasks, ..plan.ask };
        let mut new = begin::root(&team, &leader, &ask, &self.house.world, None);
        let by = ask.caller.principal.as_str();
        let names: BTreeSet<&AgentName> = steps.iter().map(|it| &it.to).collect();
        let called: Vec<&str> = names.iter().map(|it| it.as_str()).collect();
        let agents = names.iter().filter_map(|it| team.agents.get(it)).cloned().collect();
        let steps = PlanStep::written(&steps);
        new.fingerprint = fingerprint([new.fingerprint.as_str(), &steps.to_string()]);
        let (plan, source) = (self.house.world.name("p_"), "client".to_string());
        new.facts.push(Fact::new(by, Event::PlanMade { plan, source, steps, agents }));
        let rejoins = listens.rejoins && !ask.fresh;
        self.take_in(new, &called, Listens { rejoins, ..listens }).await
    }
}

/// The agent that leads plans: its rules only start the steps and gather what comes of them.
pub(crate) fn leader() -> Agent {
    let name = AgentName::parse(begin::PLAN).expect("the name is one");
    Agent {
        description: "Leads a plan.".into(),
        max_turns: 0,
        turns_are_its_own: true,
        authority: 1.0,
        memory: Access::None,
        grants: Grants::Team,
        publish: false,
        ..Agent::named(name)
    }
}

/// The record of a plan that an agent makes of its team mates.
pub(crate) fn made_by_agent(team: &Team, plan: String, mut steps: Vec<PlanStep>) -> Event {
    for step in &mut steps {
        step.weight = team.agents.get(&step.to).map_or(step.weight, |it| it.authority);
    }
    let names: BTreeSet<&AgentName> = steps.iter().map(|it| &it.to).collect();
    let agents = names.iter().filter_map(|it| team.agents.get(it)).cloned().collect();
    Event::PlanMade { plan, source: "agent".into(), steps: PlanStep::written(&steps), agents }
}

fn name(steps: &[PlanStep]) -> String {
    let first: Vec<&str> = steps.iter().take(NAMED).map(|it| it.id.as_str()).collect();
    let more = if steps.len() > NAMED { ", …" } else { "" };
    format!("a plan of {} tasks: {}{more}", steps.len(), first.join(", "))
}

/// The steps of a graph that holds together, or everything that is wrong with it.
fn steps(
    team: &Team,
    mut tasks: Vec<TaskAsk>,
    split: &BTreeMap<String, f64>,
) -> Result<Vec<PlanStep>> {
    let most = team.limits.plan_steps;
    if tasks.is_empty() || tasks.len() > most {
        return Err(refused(vec![format!("tasks: {} given, 1 to {most} are taken", tasks.len())]));
    }
    let bytes: usize = tasks.iter().map(|it| it.task.len()).sum();
    if bytes > TEXT_BYTES {
        let said =
            format!("tasks: {bytes} bytes of text, at most {TEXT_BYTES}; make several plans");
        return Err(refused(vec![said]));
    }
    let ids: Vec<String> = (1..).zip(&tasks).map(|(nth, it)| id_of(it, nth)).collect();
    let known: HashMap<&str, usize> = ids.iter().enumerate().map(|(at, it)| (&**it, at)).collect();
    let mut problems = share_out(&mut tasks, &ids, team.entry.as_str(), split);
    let mut seen = HashSet::new();
    for (at, task) in tasks.iter().enumerate() {
        if !seen.insert(&ids[at]) {
            problems.push(format!("tasks[{at}].id: \"{}\" is there twice", ids[at]));
        }
        for (nth, need) in task.after.iter().enumerate().filter(|it| !known.contains_key(&**it.1)) {
            problems.push(format!("tasks[{at}].after[{nth}]: there is no task \"{need}\""));
        }
    }
    let mut steps = Vec::with_capacity(tasks.len());
    for (at, (id, task)) in ids.iter().zip(tasks).enumerate() {
        match step(team, id.clone(), task) {
            Ok(step) => steps.push(step),
            Err(wrong) => problems.extend(wrong.iter().map(|it| format!("tasks[{at}].{it}"))),
        }
    }
    if problems.is_empty()
        && let Some(chain) = cycle(&steps)
    {
        problems.push(format!("tasks: they wait for each other: {}", chain.join(" → ")));
    }
    if problems.is_empty() { Ok(steps) } else { Err(refused(problems)) }
}

fn id_of(task: &TaskAsk, nth: usize) -> String {
    task.id.clone().unwrap_or_else(|| nth.to_string())
}

fn step(team: &Team, id: String, task: TaskAsk) -> Result<PlanStep, Vec<String>> {
    let mut problems = Vec::new();
    let named = task.to.as_deref().map_or(Ok(team.entry.clone()), |it| {
        AgentName::parse(&it.to_lowercase()).ok_or_else(|| format!("\"{it}\" is no agent's name"))
    });
    let agent = named.and_then(|it| member(team, &it).map_err(|it| it.message));
    let agent = agent.map_err(|it| problems.push(format!("to: {it}")));
    if task.task.trim().is_empty() {
        problems.push("task: empty; write what to do".into());
    }
    if id.is_empty() || id.chars().count() > ID_CHARS {
        problems.push(format!("id: an id has 1 to {ID_CHARS} characters"));
    }
    if let Some(priority) = task.priority.filter(|it| *it > 1_000) {
        problems.push(format!("priority: {priority} is more than 1000"));
    }
    let (length, most) = (task.task.chars().count(), team.limits.task_chars);
    if length > most {
        problems.push(format!("task: {length} characters, at most {most}"));
    }
    let impact = task.impact_if_missing;
    if impact.as_ref().is_some_and(|it| it.trim().is_empty() || it.chars().count() > IMPACT_CHARS) {
        problems.push(format!("impact_if_missing: a text of 1 to {IMPACT_CHARS} characters"));
    }
    match agent {
        Ok(agent) if problems.is_empty() => Ok(PlanStep {
            id,
            to: agent.name.clone(),
            task: task.task,
            after: task.after,
            priority: task.priority,
            weight: agent.authority,
            impact_if_missing: impact,
            share: task.share,
        }),
        _ => Err(problems),
    }
}

fn refused(mut problems: Vec<String>) -> Refusal {
    let more = problems.len().saturating_sub(PROBLEMS_MAX);
    problems.truncate(PROBLEMS_MAX);
    if more > 0 {
        problems.push(format!("and {more} more"));
    }
    let hint = "nothing was started; mend the tasks and call again";
    let refusal = Refusal::new(RefusalCode::InvalidInput, "the tasks make no plan", hint);
    Refusal { problems, ..refusal }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chain(edges: &[(&str, &[&str])]) -> Vec<PlanStep> {
        let step = |(id, after): &(&str, &[&str])| PlanStep {
            id: (*id).to_string(),
            to: AgentName::parse("coder").expect("a name"),
            task: "t".into(),
            after: after.iter().map(ToString::to_string).collect(),
            priority: None,
            weight: 1.0,
            impact_if_missing: None,
            share: None,
        };
        edges.iter().map(step).collect()
    }

    #[test]
    fn a_circle_is_found_wherever_it_stands_and_printed_in_the_order_of_work() {
        let none: &[(&str, &[&str])] = &[("a", &[]), ("b", &["a"]), ("c", &["a", "b"])];
        let own: &[(&str, &[&str])] = &[("a", &["a"])];
        let three: &[(&str, &[&str])] =
            &[("x", &[]), ("a", &["c", "x"]), ("b", &["a"]), ("c", &["b"]), ("d", &["c"])];
        assert_eq!(cycle(&chain(none)), None);
        assert_eq!(cycle(&chain(own)), Some(vec!["a", "a"]));
        let steps = chain(three);
        let found = cycle(&steps).expect("a circle");
        assert_eq!((found.len(), found.first()), (4, found.last()));
        let text = [found.join(" "), found.join(" ")].join(" ");
        assert!(text.contains("a b c a"), "{found:?}");
    }

    #[test]
    fn a_hundred_thousand_in_a_row_are_looked_through_at_once() {
        let mut long: Vec<PlanStep> = Vec::new();
        for at in 0..100_000 {
            let after = if at == 0 { Vec::new() } else { vec![(at - 1).to_string()] };
            let one = chain(&[("x", &[])]).remove(0);
            long.push(PlanStep { id: at.to_string(), after, ..one });
        }
        assert_eq!(cycle(&long), None);
        long[0].after = vec!["99999".into()];
        assert_eq!(cycle(&long).map(|it| it.len()), Some(100_001));
    }
}
