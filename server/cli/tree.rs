//! Who works for a run right now, drawn as rows: the fold of its records as a picture.

use callboard_trace::{Branch, EndState, Record, RunId, Tree};

use crate::paint::{Paint, one_line};

/// Rows shown at once; more would push the picture off a small terminal.
const ROWS: usize = 20;
/// Characters of what an agent is doing.
const DOING: usize = 60;
const TURNING: [&str; 4] = ["◐", "◓", "◑", "◒"];
const MICROS: f64 = 1_000_000.0;

/// The runs of one tree, each below the run that handed work to it.
#[derive(Debug, Default)]
pub(crate) struct Picture {
    tree: Tree,
    /// The time of the newest record, microseconds since 1970.
    newest: i64,
}

struct Row<'a> {
    depth: usize,
    branch: &'a Branch,
}

impl Picture {
    /// Takes one record in.
    pub(crate) fn take(&mut self, record: &Record) {
        self.newest = self.newest.max(record.at);
        self.tree.apply(record);
    }

    /// The rows; `since` is how many seconds ago the newest record came, `turn` moves the sign of
    /// what is at work.
    pub(crate) fn lines(&self, since: f64, turn: usize, paint: Paint) -> Vec<String> {
        let now = self.newest as f64 + since * MICROS;
        let rows = self.rows();
        let width = |it: &Row<'_>| 2 * it.depth + it.branch.agent.as_str().len();
        let width = rows.iter().map(width).max().unwrap_or(0);
        let over = rows.len().saturating_sub(ROWS);
        let mut left_out = 0;
        let mut lines = Vec::new();
        for row in &rows {
            if left_out < over && row.branch.end.is_some() {
                left_out += 1;
                continue;
            }
            lines.push(row.line(width, now, turn, paint));
        }
        lines.truncate(ROWS);
        if over > 0 {
            lines.push(paint.dim(&format!("  … and {over} more")));
        }
        lines
    }

    fn rows(&self) -> Vec<Row<'_>> {
        let mut rows = Vec::new();
        let root =
            |it: &&Branch| it.parent.as_ref().is_none_or(|it| !self.tree.runs.contains_key(it));
        for (run, _) in self.sorted(root) {
            self.gather(run, 0, &mut rows);
        }
        rows
    }

    fn gather<'a>(&'a self, run: &'a RunId, depth: usize, rows: &mut Vec<Row<'a>>) {
        let Some(branch) = self.tree.runs.get(run) else { return };
        rows.push(Row { depth, branch });
        for (child, _) in self.sorted(|it| it.parent.as_ref() == Some(run)) {
            self.gather(child, depth + 1, rows);
        }
    }

    fn sorted(&self, keep: impl Fn(&&Branch) -> bool) -> Vec<(&RunId, &Branch)> {
        let mut found: Vec<_> = self.tree.runs.iter().filter(|(_, it)| keep(it)).collect();
        found.sort_by_key(|(run, it)| (it.began, (*run).clone()));
        found
    }
}

impl Row<'_> {
    fn line(&self, width: usize, now: f64, turn: usize, paint: Paint) -> String {
        let Row { depth, branch } = self;
        let until = branch.ended.map_or(now, |at| at as f64);
        let seconds = ((until - branch.began as f64) / MICROS).max(0.0);
        let width = width.saturating_sub(2 * depth);
        let name = format!("{:<width$}", branch.agent.as_str());
        let sign = match branch.end.as_ref().map(|it| it.state) {
            None => paint.yellow(TURNING[turn % TURNING.len()]),
            Some(EndState::Completed) => paint.green("✓"),
            Some(EndState::Partial) => paint.yellow("~"),
            Some(EndState::Failed) => paint.red("✗"),
            Some(EndState::Cancelled) => paint.dim("–"),
        };
        let took = paint.dim(&format!("{seconds:>6.1}s"));
        let indent = "  ".repeat(*depth);
        format!("{indent}{sign} {} {took}  {}", paint.bold(&name), one_line(&doing(branch), DOING))
    }
}

fn doing(branch: &Branch) -> String {
    let waits = || branch.waits.as_ref().map(|it| format!("waits: {it}"));
    let asks = || branch.questions.first().map(|it| format!("asks: {}", it.prompt));
    let paused = || branch.paused.as_ref().map(|by| format!("paused by {by}"));
    let said = branch.end.as_ref().map(|it| it.summary().to_owned());
    let now = said.or_else(asks).or_else(paused).or_else(waits).or_else(|| branch.step.clone());
    now.unwrap_or_else(|| "starts".to_owned())
}

#[cfg(test)]
mod tests {
    use callboard_config::{Agent, AgentName};
    use callboard_trace::{Event, Finished, Started};
    use serde_json::json;

    use super::*;

    fn record(run: &str, at: i64, event: Event) -> Record {
        Record {
            seq: 1,
            at,
            v: 1,
            workspace: "default".into(),
            task: RunId::from_text("r_a"),
            run: RunId::from_text(run),
            attempt: 1,
            agent: None,
            by: "node".into(),
            prev: String::new(),
            event,
        }
    }

    fn started(agent: &str, parent: Option<&str>) -> Event {
        let name = AgentName::parse(agent).expect("a name");
        let started = Started::new(Agent::named(name).into(), "t");
        Event::RunStarted(Box::new(Started { parent: parent.map(RunId::from_text), ..started }))
    }

    fn ended(summary: &str) -> Event {
        Event::RunEnded(Box::new(Finished::done(json!({ "summary": summary }))))
    }

    #[test]
    fn each_run_stands_below_the_one_that_handed_work_to_it() {
        let mut picture = Picture::default();
        picture.take(&record("r_a", 0, started("coder", None)));
        picture.take(&record("r_b", 1_000_000, started("tester", Some("r_a"))));
        picture.take(&record("r_c", 2_000_000, started("reviewer", Some("r_a"))));
        picture.take(&record("r_d", 2_000_000, started("debugger", Some("r_b"))));
        picture.take(&record("r_b", 3_500_000, ended("all\x1b[2J green")));
        assert_eq!(
            picture.lines(1.0, 0, Paint::new(false)),
            [
                "◐ coder           4.5s  starts",
                "  ✓ tester        2.5s  all[2J green",
                "    ◐ debugger    2.5s  starts",
                "  ◐ reviewer      2.5s  starts",
            ]
        );
    }

    #[test]
    fn a_large_tree_leaves_ended_rows_out_first() {
        let mut picture = Picture::default();
        picture.take(&record("r_00", 0, started("coder", None)));
        for at in 1..30 {
            let run = format!("r_{at:02}");
            picture.take(&record(&run, at, started("tester", Some("r_00"))));
            if at < 15 {
                picture.take(&record(&run, at, ended("no")));
            }
        }
        let lines = picture.lines(0.0, 0, Paint::new(false));
        assert_eq!(lines.len(), 21);
        assert_eq!(lines[20], "  … and 10 more");
        assert_eq!(lines.iter().filter(|it| it.contains('◐')).count(), 16);
    }
}
