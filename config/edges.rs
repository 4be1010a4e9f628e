//! Who may hand to whom: either side's declaration counts, denials are taken off.

use std::collections::{BTreeMap, BTreeSet};

use crate::agent::{Agent, AgentName, Edge};
use crate::member::Member;
use crate::nearest::{did_you_mean, loose};
use crate::place::{At, Sink};
use crate::written_edge::WrittenEdge;

/// Trigger words of one edge.
const TRIGGERS: usize = 30;
/// Everyone else in the team.
const ALL: &str = "*";
/// Agents of VS Code itself, which its files may hand to.
const EDITOR: [&str; 4] = ["agent", "ask", "edit", "plan"];

/// Gives every member its handoffs. `absent` are the names of agents that were left out, as
/// `loose` compares them.
pub(crate) fn join(
    members: BTreeMap<AgentName, Member>,
    absent: &BTreeSet<String>,
    sink: &Sink,
) -> BTreeMap<AgentName, Agent> {
    let written = members.iter().map(|(name, it)| (loose(&it.written), name));
    let names = written.chain(members.keys().map(|it| (loose(it.as_str()), it))).collect();
    let graph = Graph { members: &members, names, absent, sink };
    let taken = graph.pairs(|it| &it.handoffs_from, "handoffs_from");
    let denied = graph.pairs(|it| &it.handoffs_deny, "handoffs_deny");
    let edges = members.keys().map(|it| (it.clone(), graph.edges(it, &taken, &denied)));
    let mut edges: BTreeMap<AgentName, Vec<Edge>> = edges.collect();
    let agents = members.into_iter().map(|(name, mut member)| {
        member.agent.handoffs = edges.remove(&name).unwrap_or_default();
        (name, member.agent)
    });
    agents.collect()
}

struct Graph<'a> {
    members: &'a BTreeMap<AgentName, Member>,
    /// Every name as `loose` compares it.
    names: BTreeMap<String, &'a AgentName>,
    absent: &'a BTreeSet<String>,
    sink: &'a Sink,
}

/// The one who wrote a name and the one it names.
type Pairs<'a> = BTreeSet<(&'a AgentName, &'a AgentName)>;

impl<'a> Graph<'a> {
    /// Everything written under one key of all members.
    fn pairs(&self, of: fn(&Member) -> &Vec<At<String>>, key: &str) -> Pairs<'a> {
        let mut pairs = BTreeSet::new();
        for (name, member) in self.members {
            for other in of(member) {
                pairs.extend(self.find(name, other, key, false).into_iter().map(|it| (name, it)));
            }
        }
        pairs
    }

    /// The handoffs of one member.
    fn edges(&self, name: &'a AgentName, taken: &Pairs<'a>, denied: &Pairs<'a>) -> Vec<Edge> {
        let member = &self.members[name];
        let mut edges: Vec<Edge> = vec![];
        for written in &member.handoffs {
            for to in self.find(name, &written.to, "handoffs", written.foreign) {
                add(&mut edges, self.edge(to, Some(written)));
            }
        }
        for (to, _) in taken.iter().filter(|(_, from)| *from == name) {
            add(&mut edges, self.edge(to, None));
        }
        edges.retain(|it| !denied.contains(&(name, &it.to)) && !denied.contains(&(&it.to, name)));
        for edge in &mut edges {
            add_words(&mut edge.triggers, &member.triggers);
        }
        edges.retain(|it| self.is_short(member, it));
        edges
    }

    fn is_short(&self, member: &Member, edge: &Edge) -> bool {
        let short = edge.triggers.len() <= TRIGGERS;
        if !short {
            let to = loose(edge.to.as_str());
            let written = member.handoffs.iter().map(|it| &it.to).find(|it| loose(&it.value) == to);
            let place = written.map_or(&member.place, |it| &it.place);
            let (to, count) = (&edge.to, edge.triggers.len());
            let said =
                format!("the handoff to \"{to}\" has {count} triggers, more than {TRIGGERS}");
            self.sink.push(place.error(said, "keep the words that decide"));
        }
        short
    }

    fn edge(&self, to: &AgentName, written: Option<&WrittenEdge>) -> Edge {
        let receiver = &self.members[to].agent;
        let mut triggers = vec![];
        add_words(&mut triggers, written.map_or(&[], |it| &it.triggers));
        let text = |it: Option<&At<String>>| it.map(|it| it.value.clone());
        Edge {
            to: to.clone(),
            triggers,
            when: text(written.and_then(|it| it.when.as_ref())),
            task: text(written.and_then(|it| it.task.as_ref())),
            mode: written.map(|it| it.mode).unwrap_or_default(),
            description: receiver.description.clone(),
            capabilities: receiver.capabilities.clone(),
        }
    }

    /// The members a written name means: one, none (which is told), or with `*` all others.
    fn find(
        &self,
        own: &AgentName,
        written: &At<String>,
        key: &str,
        foreign: bool,
    ) -> Vec<&'a AgentName> {
        if written.value == ALL {
            // In a file of another product everybody is who can be called.
            let is_met =
                |it: &&AgentName| *it != own && (!foreign || self.members[*it].agent.publish);
            return self.members.keys().filter(is_met).collect();
        }
        let wanted = loose(&written.value);
        match self.names.get(&wanted) {
            Some(found) if *found == own => {
                let said = format!("agent \"{own}\" names itself in `{key}`");
                self.sink.push(written.place.error(said, "remove it"));
                vec![]
            }
            Some(found) => vec![found],
            None => {
                self.tell_unknown(written, &wanted, key, foreign);
                vec![]
            }
        }
    }

    fn tell_unknown(&self, written: &At<String>, wanted: &str, key: &str, foreign: bool) {
        let name = &written.value;
        self.sink.push(if self.absent.contains(wanted) {
            let said = format!("agent \"{name}\" is left out, and so is its place in `{key}`");
            written.place.warning(said, "")
        } else if foreign && EDITOR.contains(&wanted) {
            let said = format!("agent \"{name}\" belongs to the editor; this handoff is left out");
            written.place.warning(said, "")
        } else {
            let near = did_you_mean(name, self.members.keys().map(AgentName::as_str));
            let said = format!("agent \"{name}\" in `{key}` is not in this team{near}");
            let all: Vec<&str> = self.members.keys().map(AgentName::as_str).collect();
            let help = if near.is_empty() && all.len() <= 20 {
                format!("the agents are {}", all.join(", "))
            } else {
                String::new()
            };
            // A file of another product may name agents that only that product has.
            if foreign {
                written.place.warning(said, help)
            } else {
                written.place.error(said, help)
            }
        });
    }
}

/// Adds an edge; a second one to the same receiver only adds what the first does not say.
fn add(edges: &mut Vec<Edge>, edge: Edge) {
    let Some(known) = edges.iter_mut().find(|it| it.to == edge.to) else {
        return edges.push(edge);
    };
    for word in edge.triggers {
        if !known.triggers.contains(&word) {
            known.triggers.push(word);
        }
    }
    known.when = known.when.take().or(edge.when);
    known.task = known.task.take().or(edge.task);
}

fn add_words(triggers: &mut Vec<String>, written: &[At<String>]) {
    for word in written {
        let word = word.value.to_lowercase();
        if !triggers.contains(&word) {
            triggers.push(word);
        }
    }
}
