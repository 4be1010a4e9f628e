//! What a run remembers of its own doing, to know when it goes in circles.

use std::collections::BTreeMap;

use callboard_config::AgentName;

/// A path of agents that came round with nothing new.
pub(crate) const LOOP: &str = "loop";
/// A path of agents that came round too often.
pub(crate) const LAPS: &str = "laps";
/// The same call in a row.
pub(crate) const CALLS: &str = "repeat_calls";
/// The same call in the whole run.
pub(crate) const CALLS_ALL: &str = "repeat_calls_all";
/// The same reply in a row.
pub(crate) const REPLIES: &str = "repeat_replies";

/// The doings of a run so far, each by what makes it the same as another.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Loops {
    calls: BTreeMap<String, Count>,
    call: Row,
    reply: Row,
    closed: Vec<AgentName>,
    /// The circles that work failed by which a call gave away, each with that call.
    pub(crate) circles: BTreeMap<String, Vec<AgentName>>,
    /// The turn in which the first edge was closed.
    warned: Option<u32>,
    /// It was told, and went on all the same.
    pub(crate) is_over: bool,
    /// The count that reached its limit last.
    pub(crate) blown: Option<Blown>,
    /// The run that was to begin and was one too many, the last of them.
    pub(crate) refused: Option<Blown>,
}

/// A count that reached its limit, and the agents from the root to it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Blown {
    pub(crate) fuse: String,
    pub(crate) value: u64,
    pub(crate) limit: u64,
    pub(crate) chain: Vec<AgentName>,
}

#[derive(Clone, Debug, Default, PartialEq)]
struct Count {
    all: u32,
    /// What it brought last.
    brought: String,
    /// The turn in which the model was told that it was not done again.
    told: Option<u32>,
}

/// How often the last one came in a row.
#[derive(Clone, Debug, Default, PartialEq)]
struct Row {
    last: String,
    times: u32,
}

impl Blown {
    /// The work came round so often with nothing new, which no limit allows.
    pub(crate) fn round(times: usize, chain: Vec<AgentName>) -> Blown {
        Blown { fuse: LOOP.into(), value: times as u64, limit: 0, chain }
    }
}

impl Loops {
    /// A call is done.
    pub(crate) fn did(&mut self, call: &str) {
        self.calls.entry(call.to_string()).or_default().all += 1;
        self.call.came(call);
    }

    /// A call brought this. If it is not what it brought before, the call is the first of its kind.
    pub(crate) fn brought(&mut self, call: &str, what: String) {
        let Some(count) = self.calls.get_mut(call) else { return };
        if count.brought != what {
            (count.all, count.brought) = (1, what);
            self.call.times = self.call.times.min(1);
        }
    }

    /// A call was not done, because it had come too often before.
    pub(crate) fn told(&mut self, call: &str, turn: u32) {
        self.did(call);
        let count = self.calls.entry(call.to_string()).or_default();
        self.is_over |= count.told.is_some_and(|it| it < turn);
        count.told.get_or_insert(turn);
    }

    /// How often a call will have come with this one: in a row, and in all.
    pub(crate) fn with(&self, call: &str) -> (u32, u32) {
        let row = if self.call.last == call { self.call.times } else { 0 };
        (row + 1, self.calls.get(call).map_or(0, |it| it.all) + 1)
    }

    /// A model replied; `None` if what it said is counted elsewhere.
    pub(crate) fn heard(&mut self, reply: Option<&str>) {
        match reply {
            Some(reply) => self.reply.came(reply),
            None => self.reply = Row::default(),
        }
    }

    /// How often the last reply came in a row.
    pub(crate) fn replies(&self) -> u32 {
        self.reply.times
    }

    /// A count reached its limit.
    pub(crate) fn blew(&mut self, blown: Blown, turn: u32) {
        match blown.fuse.as_str() {
            LOOP | LAPS => {
                self.warn(turn);
                self.closed.extend(blown.chain.last().cloned());
            }
            REPLIES => self.is_over = true,
            _ => (),
        }
        self.blown = Some(blown);
    }

    /// Who was given work failed by a circle: the same call is not done again, and where the whole work
    /// was handed on its edge is closed.
    pub(crate) fn failed(&mut self, by: Result<String, AgentName>, chain: &[AgentName], turn: u32) {
        self.warn(turn);
        match by {
            Ok(call) => drop(self.circles.insert(call, chain.to_vec())),
            Err(to) => self.closed.push(to),
        }
        self.blown = Some(Blown::round(self.rounds(), chain.to_vec()));
    }

    /// The first circle is told; who goes round again after that is stopped.
    fn warn(&mut self, turn: u32) {
        self.is_over |= self.warned.is_some_and(|it| it < turn);
        self.warned.get_or_insert(turn);
    }

    /// The circle that was met last, in this run or under it.
    pub(crate) fn circle(&self) -> Option<&Vec<AgentName>> {
        self.blown.as_ref().filter(|it| [LOOP, LAPS].contains(&&*it.fuse)).map(|it| &it.chain)
    }

    /// Whether an edge was closed, since the work went round over it.
    pub(crate) fn is_closed(&self, to: &AgentName) -> bool {
        self.closed.contains(to)
    }

    /// How often the work came round.
    pub(crate) fn rounds(&self) -> usize {
        self.closed.len() + self.circles.len()
    }
}

impl Row {
    fn came(&mut self, what: &str) {
        self.times = if self.last == what { self.times + 1 } else { 1 };
        self.last = what.to_string();
    }
}
