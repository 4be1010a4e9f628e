//! `init`: the shipped team's files, and what to do next.

use std::path::Path;

use serde_json::json;

use super::args::InitArgs;
use super::fault::{Fault, Result};
use super::place::quoted;
use super::say::Say;

/// Writes the files and says how a client is told about them.
pub(crate) fn init(args: &InitArgs, say: Say) -> Result<u8> {
    let folder = &args.folder;
    let written = callboard_config::write(folder, args.force).map_err(Fault::Problems)?;
    for file in &written {
        say.tell(&format!("wrote {}", file.display()));
    }
    let whole = folder.canonicalize().unwrap_or_else(|_| folder.clone());
    say.data(&next(&whole, &binary()?))?;
    Ok(0)
}

fn binary() -> Result<String> {
    let path = std::env::current_exe()
        .map_err(|error| Fault::broken(format!("this program cannot find itself: {error}"), ""))?;
    Ok(path.display().to_string())
}

fn next(folder: &Path, binary: &str) -> String {
    let folder = folder.display().to_string();
    let entry = json!({"mcpServers": {"team": {
        "command": binary, "args": ["serve", "--team", folder]
    }}});
    let entry = serde_json::to_string_pretty(&entry).unwrap_or_default();
    format!(
        "next:
1. choose the model: set OPENAI_API_KEY or OPENAI_BASE_URL where the program runs,
   or write `providers` and `models` in {team};
   without one, `providers: {{try: {{kind: rehearsal}}}}` and `models: {{default: try/any}}` play it through
2. check it:   callboard validate {shown}
3. tell your MCP client, either by its own command line

  claude mcp add -s user team -- {command} serve --team {shown}
  codex mcp add team -- {command} serve --team {shown}

   or in its configuration file (`mcpServers`; VS Code calls the key `servers`)

{entry}

or without a client:  callboard run coder \"...\" --team {shown}",
        team = Path::new(&folder).join("team.yaml").display(),
        shown = quoted(&folder),
        command = quoted(binary),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_snippet_names_the_binary_by_its_whole_path() {
        let text = next(Path::new("/home/me/my team"), "/opt/bin/callboard");
        assert!(text.contains("-- /opt/bin/callboard serve --team '/home/me/my team'"), "{text}");
        assert!(text.contains("\"command\": \"/opt/bin/callboard\""), "{text}");
        assert!(text.contains("/home/me/my team/team.yaml"), "{text}");
    }
}
