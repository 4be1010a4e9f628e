//! The agent files in `tests/corpus/agents`, written after what each product documents, and a team
//! made of those of one product as they stand in a user's project.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use callboard_config::{Problem, Team};
use serde_json::Value;
use tempfile::TempDir;

/// The products.
pub(crate) const STYLES: [&str; 7] =
    ["claude", "vscode", "gemini", "opencode", "codex", "cursor", "own"];

/// The agent files of one product, as one project.
pub(crate) struct Project {
    pub(crate) folder: TempDir,
    /// Where the product looks for agents.
    pub(crate) agents: PathBuf,
    /// What it documents, and what becomes of it here.
    pub(crate) style: Value,
    /// The text of each file, by its path below `agents`.
    pub(crate) texts: BTreeMap<String, String>,
}

impl Project {
    /// A project with this product's files, on a model at this address.
    pub(crate) fn of(style: &str, base_url: &str) -> Project {
        let folder = tempfile::tempdir().expect("a folder");
        let written = home(style).join("style.json");
        let written: Value = serde_json::from_str(&read(&written)).expect("JSON");
        let agents = folder.path().join(written["folder"].as_str().expect("a folder"));
        let mut texts = BTreeMap::new();
        for name in files(&home(style)) {
            let to = agents.join(&name);
            fs::create_dir_all(to.parent().expect("a folder")).expect("a folder");
            fs::copy(home(style).join(&name), &to).expect("a copy");
            texts.insert(name, read(&to));
        }
        let project = Project { folder, agents, style: written, texts };
        project.write(
            "team.yaml",
            &format!(
                "team: {style}\nentry: {}\nroots: [.]\nthrottle: off\n\
                 providers: {{endpoint: {{base_url: \"{base_url}\"}}}}\n\
                 models: {{default: endpoint/usual, sonnet: endpoint/middle, opus: endpoint/large, \
                 haiku: endpoint/small}}\n",
                project.entry()
            ),
        );
        let servers = "{\"mcpServers\": {\"docs\": {\"command\": \"sh\"}, \
            \"github\": {\"command\": \"sh\"}}}";
        project.write(".mcp.json", servers);
        project
    }

    /// Adds a file of another folder of the corpus.
    pub(crate) fn add(&self, style: &str, name: &str) {
        fs::copy(home(style).join(name), self.agents.join(name)).expect("a copy");
    }

    pub(crate) fn load(&self) -> Team {
        callboard_config::load_here(self.folder.path()).unwrap_or_else(|it| panic!("{it}"))
    }

    /// What is told about one of its files.
    pub(crate) fn told<'a>(
        &'a self,
        team: &'a Team,
        file: &str,
    ) -> impl Iterator<Item = &'a Problem> {
        let path = self.agents.join(file);
        team.problems.iter().filter(move |it| it.file == path)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.folder.path().join(name), text).expect("a file");
    }

    /// Any agent of it that needs nobody else.
    fn entry(&self) -> &'static str {
        match self.style["folder"].as_str() {
            Some(".claude/agents") => "code-reviewer",
            Some(".github") => "Planner",
            Some(".gemini/agents") => "writer",
            Some(".opencode") => "review",
            Some(".codex/agents") => "worker",
            Some(".cursor/agents") => "verifier",
            _ => "coordinator",
        }
    }
}

/// A folder of the corpus.
pub(crate) fn home(style: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/corpus/agents").join(style)
}

/// The agent files below a folder.
pub(crate) fn files(home: &Path) -> Vec<String> {
    let (mut found, mut open) = (vec![], vec![home.to_path_buf()]);
    while let Some(folder) = open.pop() {
        for entry in fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let is_agent = path.extension().is_some_and(|it| it == "md" || it == "toml");
            if path.is_dir() {
                open.push(path);
            } else if is_agent {
                let name = path.strip_prefix(home).expect("below it").to_str().expect("a name");
                found.push(name.to_owned());
            }
        }
    }
    found.sort();
    found
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|it| panic!("{}: {it}", path.display()))
}

/// The front matter of a file, or all of it where it is TOML.
pub(crate) fn front(text: &str) -> &str {
    let text = text.trim_start_matches('\u{feff}');
    let rest = text.strip_prefix("---").map(|it| it.split_once("\n---").expect("an end").0);
    rest.unwrap_or(text)
}

/// The keys at the top of a file, found without our own readers.
pub(crate) fn keys(text: &str) -> Vec<&str> {
    let is_key = |it: char| it.is_ascii_alphanumeric() || it == '-' || it == '_';
    let (mut keys, mut in_table, mut in_text) = (vec![], false, None);
    let is_toml = !text.trim_start_matches('\u{feff}').starts_with("---");
    for line in front(text).lines() {
        if let Some(quotes) = in_text {
            in_text = (!line.contains(quotes)).then_some(quotes);
            continue;
        }
        let head = line.trim_start_matches('[');
        let length = head.find(|it| !is_key(it)).unwrap_or(head.len());
        let (key, rest) = head.split_at(length);
        let is_table = is_toml && line.starts_with('[');
        let is_entry = is_toml && !in_table && rest.trim_start().starts_with('=');
        let is_yaml = !is_toml && rest.starts_with(':');
        if !key.is_empty() && (is_table || is_entry || is_yaml) && !keys.contains(&key) {
            keys.push(key);
        }
        in_table |= is_table;
        let quotes = ["\"\"\"", "'''"].into_iter().find(|it| is_toml && line.contains(it));
        in_text = quotes.filter(|it| line.matches(it).count() == 1);
    }
    keys
}
