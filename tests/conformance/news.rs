//! The fixture tools that change the team, so that every open subscription hears of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use rmcp::model::{CallToolResult, ContentBlock, Tool};

use super::plain::no_arguments;

const TOOLS: &str = "test_trigger_tool_change";
const PROMPTS: &str = "test_trigger_prompt_change";

/// Changes the files of a team that is watched.
pub(crate) struct News {
    team: PathBuf,
    n_changes: AtomicU64,
}

impl News {
    pub(crate) fn new(team: &Path) -> News {
        News { team: team.to_path_buf(), n_changes: AtomicU64::new(0) }
    }

    pub(crate) fn is_one(tool: &str) -> bool {
        [TOOLS, PROMPTS].contains(&tool)
    }

    pub(crate) fn tools() -> [Tool; 2] {
        [
            no_arguments(TOOLS, "Changes an agent, and with it the list of tools"),
            no_arguments(PROMPTS, "Changes the team's name, and with it the list of prompts"),
        ]
    }

    pub(crate) fn call(&self, tool: &str) -> CallToolResult {
        let number = self.n_changes.fetch_add(1, Ordering::Relaxed);
        let (file, line) = match tool {
            TOOLS => ("agents/coder.md", format!("description: Writes code, edition {number}.")),
            _ => ("team.yaml", format!("team: edition {number}")),
        };
        let path = self.team.join(file);
        let text = fs::read_to_string(&path).expect("the team's file");
        let key = line.split_inclusive(':').next().expect("a key");
        let rest = text.lines().filter(|it| !it.starts_with(key));
        let lines: Vec<&str> = match tool {
            // Behind the first line, which opens the front matter.
            TOOLS => rest.clone().take(1).chain([line.as_str()]).chain(rest.skip(1)).collect(),
            _ => rest.chain([line.as_str()]).collect(),
        };
        fs::write(path, lines.join("\n") + "\n").expect("the team's file is written");
        CallToolResult::success(vec![ContentBlock::text("the team is another one")])
    }
}
