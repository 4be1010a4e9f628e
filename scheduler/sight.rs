//! What a run may see of its task's other runs, read from the journal.

use callboard_agents::concepts::Lexicon;
use callboard_agents::{Answer, Board};
use callboard_store::{Store, StoreError};
use callboard_trace::{Event, Record, RunId, Tree, story};
use serde_json::{Value, json};

use crate::refusal::Stored;
use crate::{begin, journal, memory};

/// A text, and the tool that brought content of others into it.
type Told = (String, Option<String>);

/// The journal as the tools of a run see it: its own root's tree, and what its caller's runs left in
/// memory.
pub(crate) struct Sight(pub(crate) Store, pub(crate) Lexicon);

impl Board for Sight {
    fn read<'a>(&'a self, asking: &'a RunId, uri: &'a str) -> Answer<'a, Result<Told, String>> {
        Box::pin(async move {
            let name = uri.rsplit('/').next().unwrap_or(uri);
            let found = match name.starts_with("a_") {
                true => self.note(asking, name).await,
                false => self.run(asking, &RunId::from_text(name)).await,
            };
            found.map_err(|it| it.to_string())?.ok_or_else(|| {
                format!("nothing called `{uri}` belongs to this task; `team_status` lists its runs")
            })
        })
    }

    fn recall<'a>(
        &'a self,
        asking: &'a RunId,
        wanted: &'a Value,
    ) -> Answer<'a, Result<Value, String>> {
        Box::pin(async move {
            let told = |it: StoreError| it.to_string();
            let row = self.0.row(asking).await.map_err(told)?;
            let row = row.ok_or_else(|| format!("{asking} is not there"))?;
            memory::look(&self.0, &self.1, &row, wanted).await.map_err(told)
        })
    }

    fn status<'a>(&'a self, asking: &'a RunId) -> Answer<'a, Result<Value, String>> {
        Box::pin(async move {
            let top = self.top(asking).await.map_err(|it| it.to_string())?;
            let records = journal::below(&self.0, &top).await.map_err(|it| it.to_string())?;
            let tree = Tree::fold(&records);
            let runs = tree.runs.iter().map(|(run, branch)| {
                let mut told = json!({
                    "run": run, "agent": branch.agent, "task": cut(&branch.task),
                    "state": branch.end.as_ref().map(|it| it.state), "step": branch.step,
                });
                if let Some(todo) = &branch.todo {
                    told["todo"] = json!(todo);
                }
                told
            });
            Ok(json!({ "runs": runs.collect::<Vec<_>>() }))
        })
    }
}

impl Sight {
    async fn root(&self, asking: &RunId) -> Stored<RunId> {
        let row = self.0.row(asking).await?;
        Ok(row.map_or_else(|| asking.clone(), |it| it.root))
    }

    /// The root, or the step of a plan that the run works for: its neighbours are many.
    async fn top(&self, asking: &RunId) -> Stored<RunId> {
        let mut at = asking.clone();
        while let Some(row) = self.0.row(&at).await? {
            match row.parent {
                Some(parent) if !self.leads(&parent).await? => at = parent,
                _ => break,
            }
        }
        Ok(at)
    }

    async fn leads(&self, run: &RunId) -> Stored<bool> {
        Ok(self.0.row(run).await?.is_some_and(|it| it.agent == begin::PLAN))
    }

    async fn note(&self, asking: &RunId, name: &str) -> Stored<Option<Told>> {
        let root = self.root(asking).await?;
        let found = self.0.notes_of(&root, name).await?;
        Ok(found.iter().find_map(|it| {
            let Event::Noted { artifact, value, taint, .. } = &it.event else { return None };
            let text = || value.as_str().map_or_else(|| value.to_string(), str::to_string);
            (artifact == name).then(|| (text(), taint.clone()))
        }))
    }

    async fn run(&self, asking: &RunId, name: &RunId) -> Stored<Option<Told>> {
        let root = self.root(asking).await?;
        if self.0.row(name).await?.is_none_or(|it| it.root != root) {
            return Ok(None);
        }
        let records: Vec<Record> = journal::whole(&self.0, name).await?;
        let answer = records.iter().rev().find_map(|it| {
            let Event::RunEnded(end) = &it.event else { return None };
            end.answer.as_ref().map(Value::to_string)
        });
        let guards = records.iter().find_map(|it| {
            if let Event::RunStarted(started) = &it.event {
                Some(&started.agent.guards[..])
            } else {
                None
            }
        });
        let told = records.iter().map(|it| it.withheld(guards.unwrap_or_default()));
        let story = story(&told.collect::<Vec<_>>());
        let text = match answer {
            Some(answer) => format!("{answer}\n\n{story}"),
            None => story,
        };
        let tree = Tree::fold(&records);
        let taint = tree.runs.get(name).and_then(|it| it.taint.by()).map(str::to_owned);
        Ok(Some((text, taint)))
    }
}

fn cut(text: &str) -> String {
    text.chars().take(120).collect()
}
