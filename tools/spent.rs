//! A fold of a run's tree: what each agent used of each model.

use callboard_config::AgentName;
use callboard_trace::{Event, Record, Usage};
use serde_json::{Value, json};

/// One entry for each agent and model, in the order of their first reply.
pub(crate) fn spent(records: &[Record]) -> Vec<Value> {
    let mut entries: Vec<Entry> = Vec::new();
    for record in records {
        let Event::ModelReplied(reply) = &record.event else { continue };
        let is_same = |it: &Entry| it.agent == record.agent && it.model == reply.model;
        match entries.iter_mut().find(|it| is_same(it)) {
            Some(entry) => entry.add(reply.usage),
            None => entries.push(Entry::of(record.agent.clone(), reply.model.clone(), reply.usage)),
        }
    }
    entries.iter().map(Entry::shown).collect()
}

struct Entry {
    agent: Option<AgentName>,
    model: String,
    n_replies: u64,
    usage: Usage,
}

impl Entry {
    fn of(agent: Option<AgentName>, model: String, usage: Usage) -> Entry {
        Entry { agent, model, n_replies: 1, usage }
    }

    fn add(&mut self, usage: Usage) {
        self.n_replies += 1;
        self.usage.input += usage.input;
        self.usage.cached += usage.cached;
        self.usage.output += usage.output;
        self.usage.reasoning += usage.reasoning;
        self.usage.estimated |= usage.estimated;
    }

    fn shown(&self) -> Value {
        json!({"agent": self.agent, "model": self.model, "replies": self.n_replies, "usage": self.usage})
    }
}
