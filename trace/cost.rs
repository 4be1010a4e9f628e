//! What a run's tree used: a fold by agent and model.

use callboard_config::AgentName;
use serde::{Deserialize, Serialize};

use crate::{Event, Record, Usage};

/// What one agent used of one model.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Spent {
    /// Who asked.
    pub agent: Option<AgentName>,
    /// Who answered: `provider/model`.
    pub model: String,
    /// Replies.
    pub replies: u64,
    /// US dollars; absent where none of them had a price.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usd: Option<f64>,
    /// Their tokens, summed; `estimated` if any of them was.
    pub usage: Usage,
}

/// One entry for each agent and model, in the order of their first reply.
pub fn spent<'a>(records: impl IntoIterator<Item = &'a Record>) -> Vec<Spent> {
    let mut entries: Vec<Spent> = Vec::new();
    for record in records {
        Spent::take(&mut entries, record);
    }
    entries
}

impl Spent {
    /// Takes in one more record.
    pub fn take(entries: &mut Vec<Spent>, record: &Record) {
        let Event::ModelReplied(reply) = &record.event else { return };
        let usd = reply.micro_usd.map(|it| it as f64 / 1e6);
        let is_same = |it: &&mut Spent| it.agent == record.agent && it.model == reply.model;
        match entries.iter_mut().find(is_same) {
            Some(entry) => {
                entry.add(reply.usage);
                if let Some(more) = usd {
                    // To the millionth, which is what is counted.
                    entry.usd = Some(((entry.usd.unwrap_or(0.0) + more) * 1e6).round() / 1e6);
                }
            }
            None => entries.push(Spent {
                agent: record.agent.clone(),
                model: reply.model.clone(),
                replies: 1,
                usd,
                usage: reply.usage,
            }),
        }
    }

    fn add(&mut self, more: Usage) {
        let usage = &mut self.usage;
        self.replies += 1;
        usage.input = usage.input.saturating_add(more.input);
        usage.cached = usage.cached.saturating_add(more.cached);
        usage.output = usage.output.saturating_add(more.output);
        usage.reasoning = usage.reasoning.saturating_add(more.reasoning);
        usage.estimated |= more.estimated;
    }
}
