//! What the owner agreed to run: the path and hash of every file whose tool servers may start.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::pins::{self, Pins};
use crate::problem::{Problem, Severity};
use crate::team::{SourceFile, Team, ToolServer, Trust};

/// The record in the data folder.
const FILE: &str = "trust.json";

/// The record, as it is written.
#[derive(Default, Serialize, Deserialize)]
struct Written {
    files: Vec<SourceFile>,
}

impl Trust {
    /// Reads the record in a data folder; one that is not there or not readable trusts nothing.
    pub fn read(data: &Path, named: bool) -> Trust {
        let file = data.join(FILE);
        let text = std::fs::read_to_string(&file).unwrap_or_default();
        let known: Written = serde_json::from_str(&text).unwrap_or_default();
        Trust { file, named, known: known.files }
    }

    /// The record as it is now.
    fn again(&self) -> Trust {
        Trust::read(self.file.parent().unwrap_or(Path::new("")), self.named)
    }

    /// Agrees to these files as they are now; what was agreed about them before is replaced.
    ///
    /// # Errors
    /// When the record cannot be written.
    pub fn record(&mut self, files: impl Iterator<Item = SourceFile>) -> io::Result<()> {
        for file in files.map(whole) {
            self.known.retain(|it| it.path != file.path);
            self.known.push(file);
        }
        let text = serde_json::to_string_pretty(&Written { files: self.known.clone() })?;
        pins::replace(&self.file, text.as_bytes())
    }

    /// What was agreed to of the tools of servers that may run.
    pub fn pins(&self) -> Pins {
        Pins::beside(&self.file)
    }

    fn holds(&self, server: &ToolServer) -> bool {
        let source = whole(server.source.clone());
        (self.named && server.own) || (!source.hash.is_empty() && self.known.contains(&source))
    }
}

impl Team {
    /// Gives the agents those servers that may run; each other one stays in `untrusted` and is a
    /// problem that names the way out. Until this is called, none may.
    pub fn trust(&mut self, trust: &Trust) {
        for server in std::mem::take(&mut self.untrusted) {
            if trust.holds(&server) {
                self.problems.extend(changed(&server, trust.pins().changes(&server.key).len()));
                for agent in self.agents.values_mut().filter(|it| server.users.contains(&it.name)) {
                    agent.servers.push(server.key.clone());
                    agent.servers.sort();
                }
                self.servers.insert(server.key.clone(), server);
            } else {
                self.problems.push(untrusted(&server));
                self.untrusted.push(server);
            }
        }
        self.trust = Some(trust.clone());
    }

    /// Trusts what the team before this one was read with, as it is recorded now.
    pub fn trust_like(&mut self, before: &Team) {
        if let Some(trust) = &before.trust {
            self.trust(&trust.again());
        }
    }
}

fn untrusted(server: &ToolServer) -> Problem {
    let name = &server.name;
    Problem {
        file: server.source.path.clone(),
        line: server.line,
        message: format!("tool server `{name}` is not used: nobody agreed yet that it may run"),
        help: Some("`callboard trust` shows what it would run, and records that it may".into()),
        severity: Severity::Warning,
    }
}

/// That a server changed so many of its tools, or added them, if it did.
fn changed(server: &ToolServer, count: usize) -> Option<Problem> {
    let name = &server.name;
    (count > 0).then(|| Problem {
        file: server.source.path.clone(),
        line: server.line,
        message: format!(
            "tool server `{name}` changed or added {count} of its tools: they are not used"
        ),
        help: Some("`callboard trust` shows what is other, and records that they may be".into()),
        severity: Severity::Warning,
    })
}

/// The file by its whole path.
fn whole(file: SourceFile) -> SourceFile {
    let path = file.path.canonicalize().unwrap_or(file.path);
    SourceFile { path, hash: file.hash }
}
