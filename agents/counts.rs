//! What a run counts of its own calls and of the counts that reached their limit.

use serde_json::Value;

use crate::loops::{self, Blown};
use crate::run::Run;
use crate::same;
use crate::toolbox::{self, Kind};

impl Run {
    /// A note that was taken counts as done, and a call that came too often as told. A built-in tool that
    /// brings something new is not called again and again.
    pub(crate) fn count(&mut self, call: &str, ok: bool, result: &Value) {
        let is_handed = self.children.iter().any(|it| it.handoff.call.as_deref() == Some(call));
        let Some(key) = self.key_of(Some(call)).filter(|_| !is_handed) else { return };
        if let Some(tool) = self.tools.iter().find(|it| it.call.id == call) {
            if toolbox::kind(&tool.call.tool) == Some(Kind::Performed) {
                self.loops.brought(&key, same::short(&result.to_string()));
            }
            return;
        }
        if ok {
            self.loops.did(&key);
        } else if result.get("repeated").is_some() {
            self.loops.told(&key, self.turns);
        }
    }

    /// What makes a call of the last reply the same as another.
    pub(crate) fn key_of(&self, call: Option<&str>) -> Option<String> {
        self.calls.iter().find(|it| Some(it.id.as_str()) == call).and_then(same::call)
    }

    /// A count reached its limit: a circle, or else a run that is not begun.
    pub(crate) fn blew(&mut self, blown: Blown) {
        self.tally.bad_turns = 0;
        match blown.fuse.as_str() {
            loops::LOOP | loops::LAPS | loops::CALLS | loops::CALLS_ALL | loops::REPLIES => {
                self.loops.blew(blown, self.turns);
            }
            _ => {
                self.tally.refused_creations += 1;
                self.loops.refused = Some(blown);
            }
        }
    }
}
