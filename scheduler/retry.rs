//! An ended run goes on from its last good step, and so does what failed under it.

use std::collections::BTreeMap;

use callboard_agents::Run;
use callboard_store::RunRow;
use callboard_trace::{Caller, Control, EndState, Event, Fact, Record, RunId};
use serde_json::json;

use crate::desk::Desk;
use crate::refusal::Result;
use crate::{Refusal, RefusalCode, begin, journal};

/// A run that goes on, with what its journal is told.
type Reopened = (RunId, Vec<Fact>);

impl Desk {
    /// Puts an ended root and its failed branches back into the queue, with as much time as it had
    /// at first.
    ///
    /// # Errors
    /// `conflict` for a run that did all it was to do, for one under another, and for a plan.
    pub(crate) async fn retry(
        &self,
        row: &RunRow,
        control: Control,
        caller: &Caller,
    ) -> Result<()> {
        let root = self.house.store.row(&row.root).await?;
        may_go_on(row, root.as_ref().map_or("", |it| it.agent.as_str()))?;
        self.is_whole(row)?;
        let runs = folded(journal::tree(&self.house.store, &row.root).await?);
        let deadline = self.house.world.now().saturating_add(row.deadline - row.created);
        let control = Control { value: json!({ "deadline": deadline }), ..control };
        let fact = Fact::new(caller.principal.as_str(), Event::Controlled(control));
        if let Some(reopened) = branches(&row.run, &runs, &fact) {
            let done = self.house.store.reopen(reopened, deadline).await;
            if done? {
                return Ok(());
            }
        }
        let message = format!("a run under {} has not ended yet", row.run);
        Err(Refusal::new(RefusalCode::Conflict, message, "ask again when it has"))
    }
}

/// Whether a run that is over can be retried; `led_by` is the agent of its root.
pub(crate) fn may_go_on(row: &RunRow, led_by: &str) -> Result<()> {
    let refused =
        |message: String, hint: String| Err(Refusal::new(RefusalCode::Conflict, message, hint));
    let RunRow { run, root, .. } = row;
    if run != root {
        let message = format!("{run} is under {root} and ended with its word given");
        return refused(
            message,
            match led_by {
                begin::PLAN => "give its task again, in a new plan or by itself".into(),
                _ => format!("retry {root}: it takes up again what failed under it"),
            },
        );
    }
    if row.outcome.as_deref() == Some("completed") {
        let message = format!("{run} is completed and has nothing to do again");
        return refused(message, "hand it on with `team_handoff`, or start anew".into());
    }
    if row.agent == begin::PLAN {
        let message = format!("{run} is a plan, and plans are not retried");
        return refused(message, "give the tasks that failed again, in a new plan".into());
    }
    Ok(())
}

fn folded(records: Vec<(u64, Record)>) -> BTreeMap<RunId, Run> {
    let mut by_run: BTreeMap<RunId, Vec<Record>> = BTreeMap::new();
    for (_, record) in records {
        by_run.entry(record.run.clone()).or_default().push(record);
    }
    let folded = by_run.into_iter().map(|(name, records)| Some((name, Run::fold(&records)?)));
    folded.flatten().collect()
}

/// The root, and down from it every branch that failed and was not acted on. A child that ended
/// well after its parent is told to the parent now. `None` if one of them is open: its parent
/// would take its end, such as a cancel under way, for an answer.
fn branches(root: &RunId, runs: &BTreeMap<RunId, Run>, fact: &Fact) -> Option<Vec<Reopened>> {
    let mut found: Vec<Reopened> = vec![(root.clone(), vec![fact.clone()])];
    let mut at = 0;
    while let Some((name, _)) = found.get(at).cloned() {
        let children = runs.get(&name).into_iter().flat_map(Run::failed_children);
        for child in children.filter_map(|it| runs.get(it)) {
            match &child.end {
                None => return None,
                Some(end) if end.state == EndState::Completed => {
                    found[at].1.push(child.told_end(end));
                }
                Some(_) => found.push((child.id.clone(), vec![fact.clone()])),
            }
        }
        at += 1;
    }
    Some(found)
}
