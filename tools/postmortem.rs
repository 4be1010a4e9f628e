//! The prompt `postmortem`: what went how in one run, with all that is known of it.

use std::collections::VecDeque;

use callboard_scheduler::Desk;
use callboard_trace::{Caller, Record, RunId, story_line};

use crate::check::Result;
use crate::prompt::Argument;
use crate::resource::{Excerpted, Reading, read};

/// Its name.
pub(crate) const NAME: &str = "postmortem";
/// What it takes.
pub(crate) const ARGUMENTS: [Argument; 1] =
    [Argument { name: "run", description: "the name of a run, `r_…`", required: true }];

/// Bytes of each part that goes with it.
const PART_BYTES: usize = 16 << 10;
/// Lines of the story's beginning and of its end.
const FIRST: usize = 40;
const LAST: usize = 120;
/// What goes with it.
const PARTS: [&str; 3] = ["", "/handoffs", "/cost"];

/// The story in the making: how it began and how it ended.
#[derive(Default)]
struct Story {
    first: Vec<String>,
    last: VecDeque<String>,
    n_left_out: usize,
}

impl Story {
    fn take(&mut self, line: String) {
        if self.first.len() < FIRST {
            self.first.push(line);
            return;
        }
        self.last.push_back(line);
        if self.last.len() > LAST {
            self.last.pop_front();
            self.n_left_out += 1;
        }
    }

    fn told(self, run: &RunId) -> String {
        let gap = match self.n_left_out {
            0 => None,
            n_lines => Some(format!("… {n_lines} lines left out: read team://runs/{run}/trace …")),
        };
        self.first.into_iter().chain(gap).chain(self.last).collect::<Vec<_>>().join("\n")
    }
}

/// What the client's model is told, and what goes with it.
pub(crate) async fn told(
    desk: &Desk,
    run: &str,
    caller: &Caller,
) -> Result<(String, Vec<Excerpted>)> {
    let run = RunId::from_text(run);
    let view = desk.view(&run, caller).await?;
    let mut story = Story::default();
    let walk = |it: &Record| {
        story.take(story_line(&desk.told(it)));
        true
    };
    desk.walk(&run, caller, walk).await?;
    let mut parts = Vec::with_capacity(PARTS.len());
    for part in PARTS {
        let uri = format!("team://runs/{run}{part}");
        let reading = Reading { uri, most: PART_BYTES, ..Reading::default() };
        parts.push(read(desk, &reading, caller).await?);
    }
    let state = if view.state.is_over() { "is over" } else { "is still open: judge what there is" };
    let text = format!(
        "Write the post-mortem of the run {run} of the team \"{team}\". It {state}. Its view, its \
         handoffs and its cost go with this message; its story, a line a record, stands below.\n\n\
         1. What was asked, and what came of it, in two sentences.\n\
         2. The turning points, each with the line of the story that shows it.\n\
         3. The cause: the first record after which the end was decided. Tell it apart from what \
         followed from it.\n\
         4. The handoffs: which were needed, and what got lost on the way.\n\
         5. Where tokens and time went, and what of it was waste.\n\
         6. What to change, each with the file and key it belongs to: an agent's instructions, \
         `handoffs`, `tools`, `maxTurns` in its file (team://agents/{agent} shows the last one's \
         card), or `limits` and `models` in team.yaml (team://config shows what is in force).\n\
         Say what the records do not show instead of guessing it.\n\n\
         The story:\n{story}\n",
        team = desk.team().name,
        agent = view.agent,
        story = story.told(&run),
    );
    Ok((text, parts))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn story(n_lines: usize) -> String {
        let mut story = Story::default();
        (1..=n_lines).for_each(|it| story.take(format!("line {it}")));
        story.told(&RunId::from_text("r_a"))
    }

    #[test]
    fn a_long_story_keeps_its_beginning_and_its_end() {
        assert_eq!(story(0), "");
        assert_eq!(story(160).lines().count(), 160);
        let long = story(1_000);
        let lines: Vec<&str> = long.lines().collect();
        assert_eq!((lines.len(), lines[0], lines[160]), (161, "line 1", "line 1000"));
        assert_eq!(lines[40], "… 840 lines left out: read team://runs/r_a/trace …");
        assert_eq!(lines[41], "line 881");
    }
}
