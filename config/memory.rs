//! What agents share within a task, and what they remember beyond it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fields::Fields;
use crate::place::Sink;
use crate::units::Unit;
use crate::yaml::{Node, Value};

/// Exchanges of a conversation that are shown to its next task, unless the team says otherwise.
const SESSION: u32 = 10;
/// The most that may be shown.
const SESSION_MAX: u64 = 50;

/// What an agent may do with what is remembered beyond a task.
#[derive(
    Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Access {
    /// Nothing: it is not shown any of it.
    None,
    /// It is shown what concerns its task.
    #[default]
    Read,
    /// It may write and forget besides.
    Write,
}

impl Access {
    pub(crate) fn is_usual(&self) -> bool {
        *self == Access::Read
    }
}

/// A typed place in the shared context of a task.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Slot {
    /// Statements with their evidence.
    Findings,
    /// Files and other parts of the work.
    Implementation,
    /// Test cases and how they went.
    Tests,
    /// Verdicts.
    Reviews,
    /// Anything else.
    Notes,
}

impl Slot {
    /// Every slot, in the order they are listed.
    pub const ALL: [Slot; 5] =
        [Slot::Findings, Slot::Implementation, Slot::Tests, Slot::Reviews, Slot::Notes];

    /// The word it is written as.
    pub fn as_str(self) -> &'static str {
        match self {
            Slot::Findings => "findings",
            Slot::Implementation => "implementation",
            Slot::Tests => "tests",
            Slot::Reviews => "reviews",
            Slot::Notes => "notes",
        }
    }

    /// The slot of that word.
    pub fn parse(word: &str) -> Option<Slot> {
        Slot::ALL.into_iter().find(|it| it.as_str() == word)
    }
}

/// Which slots an agent is shown, and into which it may write.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "slots", deny_unknown_fields)]
pub struct Slots {
    /// The slots it is shown. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reads: Option<Vec<Slot>>,
    /// The slots it may write into. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub writes: Option<Vec<Slot>>,
}

impl Slots {
    /// Whether nothing is kept from it.
    pub(crate) fn are_open(&self) -> bool {
        self.reads.is_none() && self.writes.is_none()
    }

    /// Whether it is shown that slot.
    pub fn reads(&self, slot: Slot) -> bool {
        self.reads.as_ref().is_none_or(|it| it.contains(&slot))
    }

    /// The slots it may write into.
    pub fn writes(&self) -> &[Slot] {
        self.writes.as_deref().unwrap_or(&Slot::ALL)
    }
}

/// How a team remembers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Memory {
    /// Whether anything is remembered at all.
    pub on: bool,
    /// Whether its runs look for what the workspace remembers: it is written in `team.yaml`, or one of
    /// its agents may write it.
    pub workspace: bool,
    /// Exchanges of a conversation that its next task is shown; 0 = none.
    pub session: u32,
}

impl Default for Memory {
    fn default() -> Memory {
        Memory { on: true, workspace: false, session: SESSION }
    }
}

/// `memory` of a team, as written: a map, or a switch.
#[derive(Debug, Default, JsonSchema)]
#[schemars(rename = "memory", deny_unknown_fields)]
pub(crate) struct WrittenMemory {
    /// Exchanges of a conversation that its next task is shown, 0 to 50. Default: 10.
    #[expect(dead_code, reason = "stands here for the schema; it is read into `Memory`")]
    #[schemars(range(max = 50))]
    pub(crate) session: Option<u32>,
}

/// Reads `memory` of a team.
pub(crate) fn of_team(fields: &Fields<'_>) -> Memory {
    let Some(node) = fields.node("memory") else { return Memory::default() };
    if !matches!(node.value, Value::Map(_)) {
        let on = fields.flag("memory").unwrap_or(true);
        return Memory { on, workspace: on, ..Memory::default() };
    }
    let inner = Fields::open(node, fields.name("memory"), fields.sink);
    let session = inner.whole("session", Unit::Count, 0..=SESSION_MAX);
    inner.close();
    let session = session.and_then(|it| u32::try_from(it.value).ok()).unwrap_or(SESSION);
    Memory { on: true, workspace: true, session }
}

/// Reads `memory` of an agent. The words of Claude Code name where its own notes are kept: here
/// that is the workspace.
pub(crate) fn of_agent(fields: &Fields<'_>) -> Option<Access> {
    let node = fields.node("memory")?;
    match node.text() {
        Some("user" | "project" | "local") => Some(Access::Write),
        Some(_) | None => {
            fields.choice_of(node, "memory", &["none", "read", "write"]).map(|it| it.value)
        }
    }
}

/// Reads `slots` of an agent; whatever is wrong is in `sink`.
pub(crate) fn slots(node: &Node, path: String, sink: &Sink) -> Slots {
    let inner = Fields::open(node, path, sink);
    let names = Slot::ALL.map(Slot::as_str);
    let list = |key: &str| {
        let node = inner.node(key)?;
        let told = inner.texts_of(node, key);
        let known = told.iter().filter_map(|it| {
            let slot = Slot::parse(&it.value);
            if slot.is_none() {
                let said = format!("`{}` cannot hold \"{}\"", inner.name(key), it.value);
                sink.push(it.place.error(said, format!("write some of {}", names.join(", "))));
            }
            slot
        });
        Some(known.collect())
    };
    let slots = Slots { reads: list("reads"), writes: list("writes") };
    for (key, place) in inner.rest() {
        let said = format!("key `{}` is not known", inner.name(key));
        sink.push(place.error(said, "write `reads` and `writes`"));
    }
    slots
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{PLAIN, agent, team, told_of_agent, told_of_team};

    fn file(more: &str) -> String {
        format!("---\ndescription: Does it.\n{more}---\nDo it.\n")
    }

    #[test]
    fn a_team_remembers_where_it_says_so_or_an_agent_may_write() {
        let memory = |yaml: &str, more: &str| {
            let team = team(&[
                ("team.yaml", yaml),
                ("agents/lead.md", PLAIN),
                ("agents/odd.md", &file(more)),
            ]);
            let Memory { on, workspace, session } = team.memory;
            (on, workspace, session, agent(&team, "odd").memory)
        };
        let entry = "entry: lead\n";
        assert_eq!(memory(entry, ""), (true, false, 10, Access::Read));
        assert_eq!(memory(entry, "memory: none\n"), (true, false, 10, Access::None));
        assert_eq!(memory(entry, "memory: write\n"), (true, true, 10, Access::Write));
        assert_eq!(memory(entry, "memory: project\n"), (true, true, 10, Access::Write));
        let on = format!("{entry}memory: on\n");
        assert_eq!(memory(&on, ""), (true, true, 10, Access::Read));
        let few = format!("{entry}memory: {{session: 0}}\n");
        assert_eq!(memory(&few, ""), (true, true, 0, Access::Read));
        let off = format!("{entry}memory: off\n");
        assert_eq!(memory(&off, "memory: write\n"), (false, false, 10, Access::None));
    }

    #[test]
    fn slots_are_named_and_nothing_else_is_taken() {
        let text = file("slots: {reads: [findings, tests], writes: reviews}\n");
        let team = team(&[("agents/odd.md", &text)]);
        let slots = &agent(&team, "odd").slots;
        assert!(slots.reads(Slot::Tests) && !slots.reads(Slot::Reviews));
        assert_eq!(slots.writes(), [Slot::Reviews]);
        for (wrong, said) in [
            ("slots: {reads: [finding]}\n", "`slots.reads` cannot hold \"finding\""),
            ("slots: {write: [findings]}\n", "key `slots.write` is not known"),
            ("slots: all\n", "`slots` must be a map"),
            ("memory: some\n", "`memory` cannot be \"some\""),
        ] {
            let told = told_of_agent(&file(wrong));
            assert!(told.contains(said), "{wrong}: {told}");
        }
        for (wrong, said) in [
            ("memory: {session: 51}\n", "`memory.session` must be 0 to 50"),
            ("memory: {sesion: 5}\n", "key `memory.sesion` is not known"),
            ("memory: 7\n", "`memory` must be"),
        ] {
            let told = told_of_team(wrong);
            assert!(told.contains(said), "{wrong}: {told}");
        }
    }
}
