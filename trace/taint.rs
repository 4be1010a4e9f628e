//! What content of others reached a run: pages of the web, answers of tool servers, and whatever was
//! made of them. A fold over its records.

use std::collections::BTreeMap;

use callboard_config::memory::Slot;
use serde_json::Value;

use crate::memory::Entry;
use crate::{Event, Started, Work};

/// The tools that bring pages of the web.
const OF_THE_WEB: [&str; 2] = ["WebFetch", "WebSearch"];
/// The tool that notes of others come from.
const NOTE: &str = "note";

/// Whether a run read content of others, and which first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taint {
    by: Option<String>,
    /// Steps in progress that will bring some.
    open: BTreeMap<u32, String>,
}

impl Taint {
    /// Where in a result it stands what content of others that holds.
    pub const MARK: &str = "untrusted";

    /// Whether a tool's results are content of others.
    pub fn brings(tool: &str, server: Option<&str>) -> bool {
        server.is_some() && tool != Work::LIST || OF_THE_WEB.contains(&tool)
    }

    /// What a run begins with: what reached who passed it on, and what is in the notes it is shown.
    pub fn of(started: &Started) -> Taint {
        let by = started.handoff.as_ref().and_then(|it| it.taint.clone());
        let rights = &started.agent.slots;
        let is_shown = |it: &Entry| Slot::parse(&it.slot).is_some_and(|slot| rights.reads(slot));
        let is_read = started.slots.0.iter().any(|it| it.provenance.taint && is_shown(it));
        Taint { by: by.or_else(|| is_read.then(|| NOTE.to_owned())), open: BTreeMap::new() }
    }

    /// What reached the run first; `None` if nothing did.
    pub fn by(&self) -> Option<&str> {
        self.by.as_deref()
    }

    /// Takes in one more record of the run.
    pub fn apply(&mut self, event: &Event) {
        if let Event::StepBegun(begun) = event {
            let Work::Tool { tool, server, .. } = &begun.work else { return };
            if Taint::brings(tool, server.as_deref()) {
                self.open.insert(begun.step, tool.clone());
            }
        } else if let Event::ToolReturned { step, ok, result, .. } = event {
            // Of a page that was not fetched nothing is shown; what a tool server says of a failure is
            // its own words.
            let brought = self.open.remove(step);
            let brought = brought.filter(|it| *ok || !OF_THE_WEB.contains(&it.as_str()));
            self.reached(brought.or_else(|| marked(result).map(str::to_owned)));
        } else if let Event::ChildEnded { taint, .. } = event {
            self.reached(taint.clone());
        }
    }

    fn reached(&mut self, by: Option<String>) {
        self.by = self.by.take().or(by);
    }
}

/// What a result says of the content of others in it.
fn marked(result: &Value) -> Option<&str> {
    result.get(Taint::MARK).and_then(Value::as_str)
}
