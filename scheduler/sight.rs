//! What a run may see of its task's other runs, read from the journal.

use callboard_agents::{Answer, Board};
use callboard_store::Store;
use callboard_trace::{Event, Record, RunId, Tree, story};
use serde_json::{Value, json};

use crate::journal;

/// The journal as the tools of a run see it: its own root's tree and nothing else.
pub(crate) struct Sight(pub(crate) Store);

impl Board for Sight {
    fn read<'a>(&'a self, asking: &'a RunId, uri: &'a str) -> Answer<'a, Result<String, String>> {
        Box::pin(async move {
            let records = self.tree(asking).await?;
            found(&records, uri).ok_or_else(|| {
                format!("nothing called `{uri}` belongs to this task; `team_status` lists its runs")
            })
        })
    }

    fn status<'a>(&'a self, asking: &'a RunId) -> Answer<'a, Result<Value, String>> {
        Box::pin(async move {
            let records = self.tree(asking).await?;
            let tree = Tree::fold(&records);
            let runs = tree.runs.iter().map(|(run, branch)| {
                json!({
                    "run": run, "agent": branch.agent, "task": cut(&branch.task),
                    "state": branch.end.as_ref().map(|it| it.state), "step": branch.step,
                })
            });
            Ok(json!({ "runs": runs.collect::<Vec<_>>() }))
        })
    }
}

impl Sight {
    async fn tree(&self, asking: &RunId) -> Result<Vec<Record>, String> {
        let row = self.0.row(asking).await.map_err(|it| it.to_string())?;
        let root = row.map_or_else(|| asking.clone(), |it| it.root);
        let records = journal::tree(&self.0, &root).await.map_err(|it| it.to_string())?;
        Ok(records.into_iter().map(|it| it.1).collect())
    }
}

fn found(records: &[Record], uri: &str) -> Option<String> {
    let name = uri.rsplit('/').next().unwrap_or(uri);
    if name.starts_with("a_") {
        return records.iter().rev().find_map(|it| {
            let Event::Noted { artifact, value, .. } = &it.event else { return None };
            let text = || value.as_str().map_or_else(|| value.to_string(), str::to_string);
            (artifact == name).then(text)
        });
    }
    let of_run: Vec<Record> =
        records.iter().filter(|it| it.run.as_str() == name).cloned().collect();
    let answer = of_run.iter().rev().find_map(|it| {
        let Event::RunEnded(end) = &it.event else { return None };
        end.answer.as_ref().map(Value::to_string)
    });
    (!of_run.is_empty()).then(|| match answer {
        Some(answer) => format!("{answer}\n\n{}", story(&of_run)),
        None => story(&of_run),
    })
}

fn cut(text: &str) -> String {
    text.chars().take(120).collect()
}
