//! Which tools of servers an agent may use: the names and globs of its `tools`.

/// What every tool of a server is called at the beginning.
const PREFIX: &str = "mcp__";

/// What it is called in files of Gemini CLI, where one underline ends the name of a server.
const FLAT: &str = "mcp_";

/// The sets of VS Code's own tools, which are written like servers: `search/usages`.
const SETS: [&str; 9] =
    ["agent", "browser", "edit", "execute", "read", "search", "todo", "vscode", "web"];

/// Whether the names and globs of an agent's `tools` select this tool. `server/tool`, as VS Code
/// writes it, and `mcp_server_tool`, as Gemini CLI does, mean `mcp__server__tool`, and `mcp__server`
/// all tools of a server.
pub(crate) fn selects(patterns: &[String], tool: &str) -> bool {
    let flat = tool.strip_prefix(PREFIX).and_then(|it| it.split_once("__"));
    let flat = flat.map(|(server, tool)| format!("{FLAT}{server}_{tool}"));
    patterns.iter().map(|it| pattern(it)).any(|it| {
        fits(&it, tool)
            || tool.strip_prefix(&it).is_some_and(|rest| rest.starts_with("__"))
            || is_flat(&it) && flat.as_ref().is_some_and(|flat| fits(&it, flat))
    })
}

/// Whether a name is written as in files of Gemini CLI.
pub(crate) fn is_flat(pattern: &str) -> bool {
    pattern.starts_with(FLAT) && !pattern.starts_with(PREFIX)
}

/// Whether they may select any tool of that server.
pub(crate) fn reaches(patterns: &[String], server: &str) -> bool {
    let forms = [format!("{PREFIX}{server}__"), format!("{FLAT}{server}_")];
    patterns.iter().map(|it| pattern(it)).any(|it| {
        let all = &forms[usize::from(is_flat(&it))];
        match it.split_once('*') {
            Some((head, _)) => all.starts_with(head) || head.starts_with(all),
            None => it.starts_with(all) || all.strip_suffix("__") == Some(&it),
        }
    })
}

/// The server that a name in `tools` speaks of, if it speaks of one.
pub(crate) fn server_in(written: &str) -> Option<String> {
    if written.split_once('/').is_some_and(|it| SETS.contains(&it.0)) {
        return None;
    }
    let pattern = pattern(written);
    let rest = pattern.strip_prefix(PREFIX)?;
    let name = rest.split_once("__").map_or(rest, |it| it.0);
    (!name.contains('*')).then(|| name.to_owned())
}

fn pattern(written: &str) -> String {
    match written.split_once('/') {
        Some((server, tool)) if !written.starts_with(PREFIX) && !written.contains('(') => {
            format!("{PREFIX}{}__{tool}", slug(server))
        }
        Some(_) | None => written.to_owned(),
    }
}

/// A server's name as it stands in the names of its tools.
pub(crate) fn slug(name: &str) -> String {
    let plain = |it: char| if it.is_ascii_alphanumeric() || it == '-' { it } else { '_' };
    let slug: String = name.trim().chars().map(plain).take(32).collect();
    // Two underlines end the name of a server.
    let parts: Vec<&str> = slug.split('_').filter(|it| !it.is_empty()).collect();
    parts.join("_")
}

/// A glob whose `*` stands for any text.
pub(crate) fn fits(glob: &str, text: &str) -> bool {
    let Some((head, rest)) = glob.split_once('*') else { return glob == text };
    let (middle, tail) = rest.rsplit_once('*').unwrap_or(("", rest));
    let inner = text.strip_prefix(head).and_then(|it| it.strip_suffix(tail));
    let Some(mut left) = inner else { return false };
    middle.split('*').all(|part| {
        let found = left.find(part).map(|at| &left[at + part.len()..]);
        left = found.unwrap_or_default();
        found.is_some()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_globs_select_tools() {
        let yes = [
            ("*", "mcp__files__read"),
            ("mcp__files__read", "mcp__files__read"),
            ("mcp__files", "mcp__files__read"),
            ("mcp__files__*", "mcp__files__read"),
            ("mcp__*__read", "mcp__files__read"),
            ("files/read", "mcp__files__read"),
            ("files/*", "mcp__files__read"),
            ("mcp_*", "mcp__files__read"),
            ("mcp_files_*", "mcp__files__read"),
            ("mcp_files_read", "mcp__files__read"),
            ("mcp_my_files_read_all", "mcp__my_files__read_all"),
        ];
        let no = [
            ("Read", "mcp__files__read"),
            ("mcp__files__rea", "mcp__files__read"),
            ("mcp__file", "mcp__files__read"),
            ("mcp__git__*", "mcp__files__read"),
            ("Bash(git a/b)", "mcp__files__read"),
            ("mcp_git_*", "mcp__files__read"),
            ("mcp_files_write", "mcp__files__read"),
        ];
        for (pattern, tool) in yes {
            assert!(selects(&[pattern.to_owned()], tool), "{pattern}");
            let server = tool.split("__").nth(1).unwrap();
            assert!(reaches(&[pattern.to_owned()], server), "{pattern}");
        }
        for (pattern, tool) in no {
            assert!(!selects(&[pattern.to_owned()], tool), "{pattern}");
        }
        assert!(!reaches(&["Read".to_owned(), "mcp__git".to_owned()], "files"));
        assert_eq!(slug("@me/my  server__x"), "me_my_server_x");
        assert_eq!(server_in("mcp__files__read").as_deref(), Some("files"));
        for none in ["mcp__*", "search/usages", "Read"] {
            assert_eq!(server_in(none), None);
        }
    }
}
