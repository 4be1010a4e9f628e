//! The fixture tools that tell every open subscription of a change.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rmcp::model::{CallToolResult, ContentBlock, Tool};
use rmcp::service::SubscriptionSink;

use super::plain::no_arguments;

const TOOLS: &str = "test_trigger_tool_change";
const PROMPTS: &str = "test_trigger_prompt_change";

/// The subscriptions that are open now.
#[derive(Default)]
pub(crate) struct News(Arc<Mutex<Open>>);

#[derive(Default)]
struct Open {
    next: u64,
    sinks: BTreeMap<u64, SubscriptionSink>,
}

/// An open subscription; dropped, it hears no more.
pub(crate) struct Heard {
    open: Arc<Mutex<Open>>,
    key: u64,
}

impl News {
    pub(crate) fn is_one(tool: &str) -> bool {
        [TOOLS, PROMPTS].contains(&tool)
    }

    pub(crate) fn tools() -> [Tool; 2] {
        [
            no_arguments(TOOLS, "Tells open subscriptions that the list of tools has changed"),
            no_arguments(PROMPTS, "Tells open subscriptions that the list of prompts has changed"),
        ]
    }

    pub(crate) fn hear(&self, sink: SubscriptionSink) -> Heard {
        let mut open = locked(&self.0);
        let key = open.next;
        open.next += 1;
        open.sinks.insert(key, sink);
        Heard { open: Arc::clone(&self.0), key }
    }

    /// A subscription that did not ask for this kind of change hears nothing: its sink sees to it.
    pub(crate) async fn call(&self, tool: &str) -> CallToolResult {
        let sinks: Vec<_> = locked(&self.0).sinks.values().cloned().collect();
        for sink in sinks {
            // Whoever has left meanwhile is nobody's loss.
            let _ = match tool {
                TOOLS => sink.notify_tool_list_changed().await,
                _ => sink.notify_prompt_list_changed().await,
            };
        }
        CallToolResult::success(vec![ContentBlock::text("the change is told")])
    }
}

impl Drop for Heard {
    fn drop(&mut self) {
        locked(&self.open).sinks.remove(&self.key);
    }
}

fn locked(open: &Mutex<Open>) -> MutexGuard<'_, Open> {
    open.lock().unwrap_or_else(PoisonError::into_inner)
}
