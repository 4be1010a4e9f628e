//! The shipped team, embedded: its files, and writing them where a user wants a team.

use std::path::{Path, PathBuf};

use crate::place::{Place, Sink};
use crate::problem::Problems;

/// Every file of the engineering team: its path in the team's folder, and its text.
pub(crate) fn engineering() -> Vec<(&'static str, &'static str)> {
    macro_rules! files {
        ($($path:literal),* $(,)?) => {
            vec![$(($path, include_str!(concat!("../examples/engineering/", $path)))),*]
        };
    }
    files![
        "team.yaml",
        "agents/architect.md",
        "agents/coder.md",
        "agents/coordinator.md",
        "agents/debugger.md",
        "agents/devops.md",
        "agents/integration_tester.md",
        "agents/monitor.md",
        "agents/optimizer.md",
        "agents/product_owner.md",
        "agents/refactorer.md",
        "agents/researcher.md",
        "agents/reviewer.md",
        "agents/security_auditor.md",
        "agents/technical_writer.md",
        "agents/tester.md",
        ".callboard/agent.schema.json",
        ".callboard/team.schema.json",
    ]
}

/// Writes the engineering team into a folder and answers with what it wrote. With `force` the
/// shipped files take the place of files of the same name.
///
/// # Errors
/// Every file that stands in the way, before anything is written; or the one that could not be.
pub fn write(folder: &Path, force: bool) -> Result<Vec<PathBuf>, Problems> {
    let sink = Sink::default();
    let files: Vec<(PathBuf, &str)> =
        engineering().into_iter().map(|(path, text)| (folder.join(path), text)).collect();
    let stands = |path: &Path| path.symlink_metadata().is_ok() && (!force || path.is_dir());
    let taken: Vec<&PathBuf> = files.iter().map(|it| &it.0).filter(|it| stands(it)).collect();
    let help = "name another folder, or overwrite with `--force`";
    if taken.len() == files.len() {
        let said = format!("all {} files of the team are there already", files.len());
        sink.push(Place::whole(folder, true).error(said, help));
    } else {
        taken
            .iter()
            .for_each(|it| sink.push(Place::whole(it, true).error("is there already", help)));
    }
    if sink.has_errors() {
        return Err(Problems(sink.sorted()));
    }
    for (path, text) in &files {
        let parent = path.parent().unwrap_or(folder);
        let written = std::fs::create_dir_all(parent).and_then(|()| std::fs::write(path, text));
        if let Err(error) = written {
            sink.push(Place::whole(path, true).error(format!("cannot be written: {error}"), ""));
            return Err(Problems(sink.sorted()));
        }
    }
    Ok(files.into_iter().map(|(path, _)| path).collect())
}
