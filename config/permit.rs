//! What words on permissions say of a deed: of one, of all along a chain of handoffs, and what is lost
//! on the way.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::agent::Agent;
use crate::hands::{TOOLS, meant};
pub use crate::pattern::{Deed, Object};
use crate::pattern::{Fit, act_of_tool, fit, narrowed};
use crate::permission::{Act, Verdict};
pub use crate::permission::{Approvals, Grants, Pattern};
use crate::team::Team;

/// One word on what may be done: the team's, an agent's, or what a caller passed on.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Permit {
    /// Whose word it is.
    pub of: String,
    /// By class of act.
    pub classes: BTreeMap<Act, Verdict>,
    /// By tool. One that fits decides over its class; of several the most careful does.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub patterns: Vec<Pattern>,
}

/// A verdict, and by what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ruling {
    /// What is answered.
    pub verdict: Verdict,
    /// The rule that says so, in words.
    pub why: String,
}

impl Permit {
    /// What an agent's own file allows.
    pub fn of(agent: &Agent) -> Permit {
        let taken = agent.disallowed_tools.iter().filter(|it| it.contains('('));
        let taken = taken.map(|it| Pattern { text: it.clone(), verdict: Verdict::Deny });
        Permit {
            of: agent.name.to_string(),
            classes: agent.permissions.clone(),
            patterns: agent.patterns.iter().cloned().chain(taken).collect(),
        }
    }

    /// What a team allows at most: what it does not name it allows.
    pub fn of_team(team: &Team) -> Permit {
        Permit::ceiling(team.permissions.clone(), team.patterns.clone())
    }

    pub(crate) fn ceiling(classes: BTreeMap<Act, Verdict>, patterns: Vec<Pattern>) -> Permit {
        let free = Act::ALL.into_iter().map(|act| (act, Verdict::Allow));
        Permit { of: "the team".to_owned(), classes: free.chain(classes).collect(), patterns }
    }

    /// What this word says of a deed. A line of commands is as free as the most careful says of one
    /// of them.
    pub fn judge(&self, deed: &Deed) -> Ruling {
        let Object::Commands(Some(commands)) = &deed.object else { return self.judge_one(deed) };
        let one = |it: &Vec<String>| self.judge_one(&deed.of_one(it));
        let all = commands.iter().map(one).min_by_key(|it| it.verdict);
        all.unwrap_or_else(|| self.judge_one(deed))
    }

    fn judge_one(&self, deed: &Deed) -> Ruling {
        let mut found: Option<(Verdict, &str)> = None;
        let mut doubt: Option<&str> = None;
        for it in &self.patterns {
            match fit(&it.text, deed, it.verdict != Verdict::Allow) {
                Fit::No => (),
                Fit::Yes => {
                    let is_stricter = found.is_none_or(|(verdict, _)| it.verdict < verdict);
                    found = if is_stricter { Some((it.verdict, &it.text)) } else { found };
                }
                Fit::Maybe => doubt = Some(&it.text),
            }
        }
        let (mut verdict, mut rule) =
            found.unwrap_or_else(|| (self.class(deed.act), deed.act.word()));
        // Whether it fits cannot be told: a person can.
        if let Some(pattern) = doubt.filter(|_| verdict == Verdict::Allow) {
            (verdict, rule) = (Verdict::Ask, pattern);
        }
        let said = match verdict {
            Verdict::Deny => "denied",
            Verdict::Ask => "left to a person",
            Verdict::Allow => "allowed",
        };
        Ruling { verdict, why: format!("`{rule}` is {said} by {}", self.of) }
    }

    /// What it says of a class of act as such.
    pub fn class(&self, act: Act) -> Verdict {
        self.classes.get(&act).copied().unwrap_or_else(|| act.usual())
    }

    /// The most that it allows of a tool of that class, patterns that name the tool included.
    pub(crate) fn most_of(&self, tool: &str, act: Act) -> Verdict {
        let own = self.patterns.iter().filter(|it| it.text.split('(').next() == Some(tool));
        own.map(|it| it.verdict).chain([self.class(act)]).max().unwrap_or(Verdict::Deny)
    }

    /// The most that it allows of a class of act, patterns included.
    pub(crate) fn most(&self, act: Act) -> Verdict {
        // Tools of servers read or change.
        let is_either = matches!(act, Act::Read | Act::External);
        let of_act = |it: &&Pattern| act_of_tool(&it.text).map_or(is_either, |of| of == act);
        let patterns = self.patterns.iter().filter(of_act).map(|it| it.verdict);
        patterns.chain([self.class(act)]).max().unwrap_or(Verdict::Deny)
    }

    /// Whether it says no word against anything.
    fn is_open(&self) -> bool {
        let is_free = |it: Act| self.class(it) == Verdict::Allow;
        Act::ALL.into_iter().all(is_free)
            && self.patterns.iter().all(|it| it.verdict == Verdict::Allow)
    }

    /// As it is written in `permissions`.
    pub fn written(&self) -> Value {
        let classes = Act::ALL.map(|it| (it.word().to_owned(), json!(self.class(it))));
        let lists = Verdict::LISTS.into_iter().rev().filter_map(|(verdict, key)| {
            let fits = self.patterns.iter().filter(|it| it.verdict == verdict);
            let texts: Vec<&str> = fits.map(|it| it.text.as_str()).collect();
            (!texts.is_empty()).then(|| (key.to_owned(), json!(texts)))
        });
        Value::Object(classes.into_iter().chain(lists).collect::<Map<_, _>>())
    }
}

/// What all of these words together say: the most careful one decides. None = everything goes.
pub fn judge<'a>(permits: impl IntoIterator<Item = &'a Permit>, deed: &Deed) -> Ruling {
    let all = permits.into_iter().map(|it| it.judge(deed));
    let free = || Ruling { verdict: Verdict::Allow, why: "nothing is denied".to_owned() };
    all.min_by_key(|it| it.verdict).unwrap_or_else(free)
}

/// What an agent under this grant is told of a deed: by its own file, its `tools`, and all who passed
/// the work on.
pub fn ruling(agent: &Agent, grant: &[Permit], deed: &Deed) -> Ruling {
    let ruling = judge(std::iter::once(&Permit::of(agent)).chain(grant), deed);
    let is_left_out = agent.tools.as_ref().and_then(|it| narrowed(it, deed)) == Some(false);
    if ruling.verdict == Verdict::Deny || !is_left_out {
        return ruling;
    }
    let why = format!("`tools` of {} name `{}` for other things only", agent.name, deed.tool);
    Ruling { verdict: Verdict::Deny, why }
}

/// Whether a host that is fetched from is named by whoever allowed it.
pub fn is_named(agent: &Agent, grant: &[Permit], hosts: &[String], deed: &Deed) -> bool {
    let patterns = agent.patterns.iter().chain(grant.iter().flat_map(|it| &it.patterns));
    let allowed = patterns.filter(|it| it.verdict == Verdict::Allow).map(|it| it.text.clone());
    let tools = agent.tools.iter().flatten().cloned();
    let hosts = hosts.iter().map(|it| format!("WebFetch(domain:{it})"));
    let mut all = allowed.chain(tools).chain(hosts).filter(|it| it.starts_with("WebFetch("));
    all.any(|it| fit(&it, deed, false) == Fit::Yes)
}

/// What a root is granted by its team.
pub fn of_root(team: &Team) -> Vec<Permit> {
    Some(Permit::of_team(team)).filter(|it| !it.is_open()).into_iter().collect()
}

/// What a run of this agent, which received `grant`, passes on. Who may do nothing by itself, like
/// the leader of a plan, passes on what it got.
pub fn passed_on(agent: &Agent, grant: &[Permit]) -> Vec<Permit> {
    let own = match &agent.grants {
        Grants::Own if agent.permissions.is_empty() => None,
        Grants::Own => Some(Permit::of(agent)),
        Grants::Team => None,
        Grants::Only(acts) => {
            let verdict = |it| if acts.contains(&it) { Verdict::Allow } else { Verdict::Deny };
            let classes = Act::ALL.into_iter().map(|it| (it, verdict(it))).collect();
            Some(Permit { of: agent.name.to_string(), classes, patterns: Vec::new() })
        }
    };
    // The same agent comes again along a path; its word counts once.
    let limits = own.is_some().then(|| limits(agent)).filter(|_| agent.grants == Grants::Own);
    let own = own.into_iter().chain(limits).filter(|it| !it.is_open() && !grant.contains(it));
    grant.iter().cloned().chain(own).collect()
}

/// What the tools of an agent leave it of what it may do: those that are taken away, and those that it
/// has for some things only. What it merely does not have is no limit, nor what a person is asked about:
/// whoever leads hands on what it does not do itself.
fn limits(agent: &Agent) -> Permit {
    let mut permit = Permit::ceiling(BTreeMap::new(), Vec::new());
    permit.of = agent.name.to_string();
    let whole = |it: &&String| !it.contains('(');
    let away: Vec<&str> =
        agent.disallowed_tools.iter().filter(whole).flat_map(|it| meant(it)).collect();
    let tools = agent.tools.as_deref().unwrap_or_default();
    let allowed = |it: &Act| agent.permissions.get(it) == Some(&Verdict::Allow);
    for act in [Act::Write, Act::Run, Act::Fetch].into_iter().filter(allowed) {
        let of_act: Vec<&str> = TOOLS.iter().filter(|it| it.1 == act).map(|it| it.0).collect();
        let is_of_act = |it: &&String| meant(it).iter().any(|it| of_act.contains(it));
        let is_whole = tools.iter().filter(is_of_act).any(|it| whole(&it));
        let narrow = tools.iter().filter(is_of_act).filter(|_| !is_whole);
        let narrow: Vec<Pattern> =
            narrow.map(|it| Pattern { text: it.clone(), verdict: Verdict::Allow }).collect();
        if of_act.iter().all(|it| away.contains(it)) {
            permit.classes.insert(act, Verdict::Deny);
        } else if !narrow.is_empty() {
            permit.classes.insert(act, Verdict::Deny);
            permit.patterns.extend(narrow);
        }
    }
    let of_servers = agent.disallowed_tools.iter().filter(|it| it.starts_with("mcp__"));
    permit
        .patterns
        .extend(of_servers.map(|it| Pattern { text: it.clone(), verdict: Verdict::Deny }));
    permit
}

/// What an agent may do by its own file and may not under this grant: classes and patterns.
pub fn dropped(agent: &Agent, grant: &[Permit]) -> Vec<String> {
    // The leader of a plan does nothing by itself.
    if agent.permissions.is_empty() {
        return Vec::new();
    }
    let own = Permit::of(agent);
    let left = |act| grant.iter().map(|it| it.class(act)).min().unwrap_or(Verdict::Allow);
    let classes = Act::ALL.into_iter().filter_map(|act| match (own.class(act), left(act)) {
        (has, left) if left >= has => None,
        (_, Verdict::Deny) => Some(act.word().to_owned()),
        (_, _) => Some(format!("{} (asks)", act.word())),
    });
    let is_free = |pattern: &&Pattern| {
        let knows = |it: &Permit| it.patterns.contains(pattern);
        let act = act_of_tool(&pattern.text).unwrap_or(Act::External);
        grant.iter().all(|it| knows(it) || it.class(act) == Verdict::Allow)
    };
    let allowed = own.patterns.iter().filter(|it| it.verdict == Verdict::Allow);
    let patterns = allowed.filter(|it| !is_free(it)).map(|it| it.text.clone());
    classes.chain(patterns).collect()
}

/// What an agent may do in its team, as it is written in `permissions`.
pub fn effective(team: &Team, agent: &Agent) -> Value {
    let mut permit = Permit::of(agent);
    let limits = team.patterns.iter().filter(|it| it.verdict != Verdict::Allow);
    permit.patterns.extend(limits.cloned());
    permit.written()
}

/// Handoffs along which the receiver may do less than its own file allows: from, to, and what is lost.
pub fn disarmed(team: &Team) -> Vec<(&Agent, &Agent, Vec<String>)> {
    let root = of_root(team);
    let edges = team.agents.values().flat_map(|from| {
        let grant = passed_on(from, &root);
        let targets = from.handoffs.iter().filter_map(|it| team.agents.get(&it.to));
        let lost = |to: &Agent| {
            let anyway = dropped(to, &root);
            let lost = dropped(to, &grant).into_iter().filter(|it| !anyway.contains(it));
            lost.collect::<Vec<String>>()
        };
        targets.map(|to| (from, to, lost(to))).collect::<Vec<_>>()
    });
    edges.filter(|it| !it.2.is_empty()).collect()
}
