//! Who gets work that nobody is named for: one agent, the entry agent with its specialists, or all.

use std::collections::{BTreeMap, BTreeSet};

use callboard_agents::concepts::{overlap_of, stems_of};
use callboard_config::policy::RouteMode;
use callboard_config::{Agent, AgentName, Kind, Team};
use callboard_store::NewRun;
use callboard_trace::rank::{RouteJudge, Routed};
use callboard_trace::{Event, Fact, Handoff, MadeBy, RunId, Started};
use sha2::{Digest, Sha256};

use crate::Ask;

/// Below this, one agent is enough; from the second on, the full team is wanted.
const ENOUGH: (f64, f64) = (0.3, 0.7);
/// Turns of an agent alone, with tools of servers and without.
const TURNS: (u32, u32) = (8, 5);
/// Bytes of a token, about.
const TOKEN: usize = 4;
/// What a request may begin with before its verb.
const BEFORE: &str = "please then also and finally first next afterwards i want need to you should must \
    can could we let us lets now";
/// Verbs that ask for something to be done.
const VERBS: &str = "add analyse analyze answer arrange ask assess audit benchmark book build calculate \
    cancel change check clean collect compare compose compute configure convert copy correct count \
    create debug define delete deploy describe design develop document draft draw edit estimate \
    evaluate examine explain explore extend extract find fix format generate get give identify \
    implement improve inspect install integrate investigate list look make measure merge migrate \
    monitor move optimise optimize order outline plan prepare propose prove provide publish read \
    recommend record refactor release remove rename repair replace report research resolve review \
    rewrite run scan search send set show simplify solve sort split start stop suggest summarise \
    summarize tell test trace train translate try update upgrade use validate verify visit write";

/// A way that was chosen.
pub(crate) struct Chosen {
    /// Who begins, as it is to be for this task.
    pub(crate) agent: Agent,
    /// Nested delegations, where the way bounds them.
    depth: Option<u32>,
    routed: Routed,
}

/// What a model was asked about a task, and how complex it called it: 0..1.
pub(crate) struct Judged {
    pub(crate) score: Option<f64>,
    pub(crate) by: RouteJudge,
}

impl Chosen {
    /// Puts the way into the records of a root that begins under this name.
    pub(crate) fn lead(self, new: NewRun, run: RunId) -> NewRun {
        let mut new = NewRun { run, ..new };
        for fact in &mut new.facts {
            if let (Event::RunStarted(started), Some(depth)) = (&mut fact.event, self.depth) {
                started.fuses.depth = started.fuses.depth.min(depth);
            }
        }
        let by = new.principal.clone();
        new.facts.push(Fact::new(by, Event::Routed(Box::new(self.routed))));
        new
    }
}

/// Whether it counts how complex the task is that is to begin under this name.
pub(crate) fn is_weighed(team: &Team, run: &RunId) -> bool {
    team.route.mode == RouteMode::Auto && of_the_team(run, team.route.team)
}

/// The way of a task that is to begin under this name: the same name goes the same way. Where a model
/// judged how complex it is, its number counts in the place of the formula's. Who is drained does
/// nothing alone.
pub(crate) fn route(
    team: &Team,
    ask: &Ask,
    run: &RunId,
    judged: Option<&Judged>,
    drained: &[AgentName],
) -> Option<Chosen> {
    let candidates = candidates(team, &ask.task);
    let domains = domains(team, &ask.task, &candidates);
    let asks = asks(&ask.task);
    let tokens = (ask.task.len() + ask.context.len()) / TOKEN;
    let said = judged.and_then(|it| it.score);
    let score = said.unwrap_or_else(|| complexity(domains, asks, tokens));
    let is_team = of_the_team(run, team.route.team) && team.route.mode != RouteMode::Simple;
    let way = match (is_team, team.route.mode) {
        (false, _) => "one_agent",
        (true, RouteMode::Team) => "full_team",
        (true, _) if score < ENOUGH.0 => "one_agent",
        (true, _) if score < ENOUGH.1 => "two_levels",
        (true, _) => "full_team",
    };
    let is_alone = way == "one_agent";
    let best = candidates.iter().map(|it| &it.0).find(|it| is_alone && !drained.contains(it));
    let agent = team.agents.get(best.unwrap_or(&team.entry))?;
    let mode = match team.route.mode {
        RouteMode::Auto => "auto",
        RouteMode::Simple => "simple",
        RouteMode::Team => "team",
    };
    let routed = Routed {
        mode: mode.into(),
        to: agent.name.clone(),
        score: (score * 1e6).round() / 1e6,
        arm: if is_team { "team" } else { "simple" }.into(),
        matches: candidates.iter().map(|it| it.1).collect(),
        candidates: candidates.into_iter().map(|it| it.0).collect(),
        way: way.into(),
        domains: u32::try_from(domains).unwrap_or(u32::MAX),
        asks: u32::try_from(asks).unwrap_or(u32::MAX),
        tokens: tokens as u64,
        falls_back: team.route.falls_back && !is_alone,
        judge: judged.map(|it| it.by.clone()),
    };
    let agent = if is_alone { alone(agent) } else { agent.clone() };
    Some(Chosen { agent, depth: (way == "two_levels").then_some(1), routed })
}

/// Who may do a run's work in the place of its agent, the best first. What an agent handed over goes
/// back to it; a step of a plan that an agent made goes to those it may hand to; callers may ask anybody.
pub(crate) fn in_place_of(team: &Team, started: &Started) -> Vec<AgentName> {
    let by_an_agent = |it: &Handoff| it.step.is_none() && it.made_by != MadeBy::Outside;
    if started.handoff.as_deref().is_some_and(by_an_agent) {
        return Vec::new();
    }
    let maker = started.is_step().then(|| started.path.iter().rev().nth(2)).flatten();
    let edges = maker.map(|it| team.agents.get(it).map(|it| it.handoffs.as_slice()));
    let is_allowed = |name: &AgentName| match edges {
        None => true,
        Some(edges) => edges.unwrap_or_default().iter().any(|it| it.to == *name),
    };
    let named = candidates(team, &started.task).into_iter().map(|it| it.0);
    named.filter(|it| *it != started.agent.name && is_allowed(it)).collect()
}

/// An agent that does a task by itself, in few turns.
pub(crate) fn alone(agent: &Agent) -> Agent {
    let turns = if agent.servers.is_empty() { TURNS.1 } else { TURNS.0 };
    let max_turns = if agent.turns_are_its_own { agent.max_turns } else { turns };
    Agent { handoffs: Vec::new(), max_turns, ..agent.clone() }
}

/// Whether a root is among the part of all that goes the team's way.
fn of_the_team(run: &RunId, share: f64) -> bool {
    let hash = Sha256::digest(run.as_str());
    let number = hash.iter().take(4).fold(0_u32, |sum, byte| (sum << 8) | u32::from(*byte));
    f64::from(number) < share * (f64::from(u32::MAX) + 1.0)
}

/// 0..1.
fn complexity(domains: usize, asks: usize, tokens: usize) -> f64 {
    let part = |number: usize, whole: f64| (number as f64 / whole).min(1.0);
    0.5 * part(domains.saturating_sub(1), 3.0)
        + 0.3 * part(asks.saturating_sub(1), 4.0)
        + 0.2 * part(tokens, 8_000.0)
}

/// Agents with a capability of which the task names a word, the best first, then by name.
fn candidates(team: &Team, task: &str) -> Vec<(AgentName, u32)> {
    let text = stems_of(task);
    let fits = |it: &&Agent| it.publish && it.kind == Kind::Model;
    let of = |it: &Agent| {
        let n_named = u32::try_from(overlap_of(&it.capabilities, &text)).unwrap_or(u32::MAX);
        (it.name.clone(), n_named)
    };
    let named = team.agents.values().filter(fits).map(of);
    let mut found: Vec<_> = named.filter(|it| it.1 > 0).collect();
    found.sort_by_key(|it| std::cmp::Reverse(it.1));
    found
}

/// Domains of capability that the task names: as many agents as it takes to have all of them.
fn domains(team: &Team, task: &str, candidates: &[(AgentName, u32)]) -> usize {
    let text: BTreeSet<String> = stems_of(task).into_iter().collect();
    let mut whose: BTreeMap<Vec<String>, &AgentName> = BTreeMap::new();
    for (name, _) in candidates {
        let has = team.agents.get(name).map(|it| it.capabilities.as_slice()).unwrap_or_default();
        for words in has.iter().map(|it| stems_of(it)) {
            if words.iter().all(|it| text.contains(it)) {
                whose.entry(words).or_insert(name);
            }
        }
    }
    whose.into_values().collect::<BTreeSet<_>>().len().max(1)
}

/// Separate things that are asked for: items of lists, and clauses that begin with a verb.
fn asks(task: &str) -> usize {
    let (verbs, before) = (words_of(VERBS), words_of(BEFORE));
    let mut n_asks = 0;
    for line in task.lines().map(str::trim) {
        if is_item(line) {
            n_asks += 1;
            continue;
        }
        let clauses = line.split(['.', ',', ';', ':', '!', '?']).flat_map(|it| it.split(" and "));
        for clause in clauses.flat_map(|it| it.split(" then ")) {
            let words = stems_of(clause);
            let first = words.iter().find(|it| !before.contains(*it));
            n_asks += usize::from(first.is_some_and(|it| verbs.contains(it)));
        }
    }
    n_asks.max(1)
}

fn words_of(list: &str) -> BTreeSet<String> {
    stems_of(list).into_iter().collect()
}

/// `- this`, `* this`, `• this`, `1. this`, `2) this`.
fn is_item(line: &str) -> bool {
    let rest = line.trim_start_matches(|it: char| it.is_ascii_digit());
    let is_numbered = rest.len() < line.len() && (rest.starts_with(". ") || rest.starts_with(") "));
    is_numbered || ["- ", "* ", "• "].iter().any(|it| line.starts_with(it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_asked_is_counted() {
        for (task, n_asks) in [
            ("what is it?", 1),
            ("", 1),
            ("Fix the login bug", 1),
            ("Research async patterns, implement an example, test it", 3),
            ("please review the code and then write a report. Finally, send it", 3),
            ("Do these:\n- the first\n* the second\n3. the third\n4) the fourth", 4),
            ("the reviews and tests of last week are green", 1),
            ("I need you to check 3.14 and 2.71", 1),
        ] {
            assert_eq!(asks(task), n_asks, "{task}");
        }
    }

    #[test]
    fn complexity_is_the_formula() {
        for (domains, asks, tokens, score) in [
            (1, 1, 0, 0.0),
            (4, 1, 0, 0.5),
            (1, 5, 0, 0.3),
            (1, 1, 8_000, 0.2),
            (9, 9, 90_000, 1.0),
            (2, 3, 400, 0.5 / 3.0 + 0.15 + 0.01),
        ] {
            assert!((complexity(domains, asks, tokens) - score).abs() < 1e-9, "{score}");
        }
    }

    /// Names are random, so a thousand of them scatter by a point or two; many more do not.
    #[test]
    fn the_share_is_kept_and_a_root_keeps_its_side() {
        let root = |it: u32| {
            let half = u128::from(it).wrapping_mul(0x9e37_79b9_7f4a_7c15_f39c_c060_5ced_c835);
            RunId::new(half ^ half >> 61)
        };
        for (share, wanted) in [(0.0, 0), (0.2, 200), (0.5, 500), (0.9, 900), (1.0, 1_000)] {
            let side = |it: u32| of_the_team(&root(it), share);
            let of = |roots: std::ops::Range<u32>| roots.filter(|it| side(*it)).count();
            let (n_first, n_all) = (of(0..1_000), of(0..100_000));
            assert!(n_first.abs_diff(wanted) <= 20, "{n_first} instead of {wanted}");
            assert!(n_all.abs_diff(wanted * 100) <= 500, "{n_all} instead of {wanted}00");
            assert!((0..1_000).all(|it| side(it) == side(it)));
        }
    }
}
