//! What the published tools cost a client's context, and the sentence that goes with them.

use crate::published::Published;

/// Tokens that `tools/list` and the instructions may take, at 4 bytes a token.
pub const SURFACE_TOKENS: usize = 2_000;

/// Tokens of a list of tools and its instructions.
pub fn surface_tokens(tools: &[Published], instructions: &str) -> usize {
    let n_bytes: usize =
        tools.iter().map(|it| serde_json::to_string(it).map_or(0, |it| it.len() + 1)).sum();
    (n_bytes + instructions.len()).div_ceil(4)
}

/// What a client's model is told about the tools as a whole, at most 150 tokens.
pub(crate) fn instructions(is_compact: bool) -> String {
    let how = if is_compact {
        "Name one of the team's agents in `ask_agent`"
    } else {
        "Each agent of this team is a tool"
    };
    format!(
        "{how}: give it a whole `task`, and in `context` what it cannot know. `state: working` is \
         normal: call `team_status` with that `run` and `wait_s`, do not start it again. If a call \
         timed out, the run goes on: `team_status` without arguments lists unread results. \
         `input_required` or `halted`: ask the user, then `team_answer`. `team_read` reads every \
         `team://` uri."
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_instructions_are_short() {
        for is_compact in [false, true] {
            let n_tokens = instructions(is_compact).len().div_ceil(4);
            assert!(n_tokens <= 150, "{n_tokens} tokens");
        }
    }
}
