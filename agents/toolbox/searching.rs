//! `Grep` and `Glob`: what stands in files, and how they are called.

use std::collections::BTreeMap;
use std::io::Read;
use std::sync::{Arc, LazyLock};
use std::time::SystemTime;

use grep_regex::{RegexMatcher, RegexMatcherBuilder};
use grep_searcher::{
    BinaryDetection, Searcher, SearcherBuilder, Sink, SinkContext, SinkContextKind, SinkMatch,
};
use serde_json::{Value, json};

use super::card::{Card, is_set, number, text};
use super::ground::Ground;
use super::kit::{Kit, Known};
use super::reach::{self, Spot};
use super::reading::is_binary;
use super::secret_names::{is_named, is_secret, path_glob};
use super::used::{Stop, Used, apart};
use super::walk::{Found, Walk};

/// Characters of a line that are shown.
const LINE: usize = 500;
/// Lines around a match.
const AROUND: u64 = 100;
/// Bytes that tell whether a file is text.
const HEAD: u64 = 8 << 10;
/// Bytes of a pattern that was made ready.
const PATTERN: usize = 10 << 20;

/// What the model is told of `Grep`.
pub(super) static GREP: LazyLock<Card> = LazyLock::new(|| {
    let lines = json!({"type": "integer", "minimum": 0});
    Card::new(
        "Grep",
        "Search files with a regular expression (Rust's). What `.gitignore` names is left out.",
        json!({
            "pattern": {"type": "string", "minLength": 1},
            "path": {"type": "string", "description": "A file or folder."},
            "glob": {"type": "string", "description": "Such as `*.rs` or `!*.md`."},
            "type": {"type": "string", "description": "Such as `rust`."},
            "output_mode": {"type": "string", "enum": ["files_with_matches", "content", "count"]},
            "-i": {"type": "boolean"}, "-n": {"type": "boolean"},
            "-A": lines, "-B": lines, "-C": lines,
            "head_limit": lines,
            "multiline": {"type": "boolean", "description": "A match may span lines."},
        }),
        &["pattern"],
    )
});

/// What the model is told of `Glob`.
pub(super) static GLOB: LazyLock<Card> = LazyLock::new(|| {
    Card::new(
        "Glob",
        "Find files by their paths, such as `**/*.rs`; the newest first. What `.gitignore` names \
         is left out.",
        json!({
            "pattern": {"type": "string", "minLength": 1},
            "path": {"type": "string"},
        }),
        &["pattern"],
    )
});

/// How matches are told.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Mode {
    Files,
    Content { numbers: bool },
    Count,
}

/// One search, on its way through the files.
struct Search<'a> {
    ground: &'a Ground,
    known: &'a Known,
    stop: &'a Stop,
    matcher: RegexMatcher,
    searcher: Searcher,
    mode: Mode,
    /// What is told of each file, by its path.
    told: BTreeMap<String, Vec<String>>,
    bytes: usize,
    secrets: usize,
    failed: usize,
}

/// Performs `Grep`.
///
/// # Errors
/// A sentence for the model.
pub(super) async fn grep(kit: &Kit<'_>, arguments: &Value) -> Result<Used, String> {
    let spots = places(kit, arguments)?;
    let (ground, known) = (Arc::clone(kit.ground), kit.known.clone());
    let arguments = arguments.clone();
    apart(move |stop| {
        let mode = match text(&arguments, "output_mode") {
            "content" => Mode::Content {
                numbers: arguments.get("-n").and_then(Value::as_bool).unwrap_or(true),
            },
            "count" => Mode::Count,
            _ => Mode::Files,
        };
        let mut search = Search {
            ground: &ground,
            known: &known,
            stop,
            matcher: matcher(&arguments)?,
            searcher: searcher(&arguments, mode, ground.limits.file_bytes),
            mode,
            told: BTreeMap::new(),
            bytes: 0,
            secrets: 0,
            failed: 0,
        };
        let globs: Vec<&str> = text(&arguments, "glob").split_whitespace().collect();
        let (most, kind) = (ground.limits.walk_entries, text(&arguments, "type"));
        let mut is_whole = true;
        for spot in &spots {
            let mut walk = Walk::new(stop, most, &globs, kind, spot.root())?;
            is_whole &= walk.below(spot, &mut |found| search.take(found))?;
        }
        let most = number(&arguments, "head_limit").filter(|it| *it > 0).unwrap_or(u64::MAX);
        Ok(search.tell(is_whole, usize::try_from(most).unwrap_or(usize::MAX)))
    })
    .await
}

/// The places that a search begins at: the one that is named, or every root.
fn places(kit: &Kit<'_>, arguments: &Value) -> Result<Vec<Spot>, String> {
    let path = text(arguments, "path");
    if !path.is_empty() || kit.ground.roots.is_empty() {
        return Ok(vec![kit.ground.spot(path)?]);
    }
    Ok(kit.ground.tops())
}

fn matcher(arguments: &Value) -> Result<RegexMatcher, String> {
    let spans = is_set(arguments, "multiline");
    let mut builder = RegexMatcherBuilder::new();
    builder.case_insensitive(is_set(arguments, "-i")).multi_line(true);
    builder.size_limit(PATTERN).dfa_size_limit(PATTERN).dot_matches_new_line(spans);
    if !spans {
        builder.line_terminator(Some(b'\n'));
    }
    let pattern = text(arguments, "pattern");
    builder.build(pattern).map_err(|it| {
        let hint = if spans { "" } else { "; `multiline` lets a match span lines" };
        format!("the pattern cannot be used: {}{hint}", crate::words::cut(&it.to_string(), 300))
    })
}

fn searcher(arguments: &Value, mode: Mode, most: usize) -> Searcher {
    let around = |key: &str| {
        let lines = number(arguments, key).or_else(|| number(arguments, "-C")).unwrap_or(0);
        let is_told = matches!(mode, Mode::Content { .. });
        if is_told { usize::try_from(lines.min(AROUND)).unwrap_or_default() } else { 0 }
    };
    SearcherBuilder::new()
        .before_context(around("-B"))
        .after_context(around("-A"))
        .multi_line(is_set(arguments, "multiline"))
        .binary_detection(BinaryDetection::quit(0))
        .heap_limit(Some(most))
        .build()
}

impl Search<'_> {
    /// Searches one file; `false` when enough was found.
    fn take(&mut self, found: &Found<'_>) -> Result<bool, String> {
        let inside = self.ground.roots.iter().find_map(|it| found.path.strip_prefix(it).ok());
        let inside = inside.unwrap_or(found.path);
        if is_secret(inside) && !is_named(&self.known.agent, inside) {
            self.secrets += 1;
            return Ok(true);
        }
        let shown = self.ground.shown(found.path);
        let Ok((mut file, _)) = reach::open_in(found.dir, found.name, &shown) else {
            self.failed += 1;
            return Ok(true);
        };
        let mut head = Vec::new();
        let read = Read::by_ref(&mut file).take(HEAD).read_to_end(&mut head);
        if read.is_err() || is_binary(&head) {
            self.failed += usize::from(read.is_err());
            return Ok(true);
        }
        let room = self.ground.limits.tool_kept_bytes.saturating_sub(self.bytes);
        let mut lines = Lines { shown: &shown, mode: self.mode, told: Vec::new(), count: 0, room };
        let source = Watched { source: head.as_slice().chain(file), stop: self.stop };
        let searched = self.searcher.search_reader(&self.matcher, source, &mut lines);
        self.stop.check()?;
        self.failed += usize::from(searched.is_err());
        if lines.count > 0 {
            let told = match self.mode {
                Mode::Files => vec![shown.clone()],
                Mode::Count => vec![format!("{shown}:{}", lines.count)],
                Mode::Content { .. } => lines.told,
            };
            self.bytes += told.iter().map(|it| it.len() + 1).sum::<usize>();
            self.told.insert(shown, told);
        }
        Ok(self.bytes < self.ground.limits.tool_kept_bytes)
    }

    fn tell(self, is_whole: bool, most: usize) -> Used {
        let files = self.told.len();
        let has_context = self.searcher.before_context() + self.searcher.after_context() > 0;
        let between = if has_context { "\n--\n" } else { "\n" };
        let groups: Vec<String> = self.told.into_values().map(|it| it.join("\n")).collect();
        let text = groups.join(between);
        let mut shown: Vec<&str> = text.lines().take(most).collect();
        if files == 0 {
            shown.push("no match");
        }
        let mut notes = Vec::new();
        if text.lines().count() > most {
            notes.push(format!("[the first {most} lines; {files} files have matches]"));
        }
        if !is_whole {
            notes.push("[not everything was searched: name a narrower `path`]".to_owned());
        }
        if self.secrets > 0 {
            notes.push(format!("[{} files that look like secrets were left out]", self.secrets));
        }
        if self.failed > 0 {
            notes.push(format!("[{} files could not be searched]", self.failed));
        }
        let text = shown.into_iter().chain(notes.iter().map(String::as_str)).collect::<Vec<_>>();
        Used::told(text.join("\n"), 0, self.ground)
    }
}

/// A file that is read no further once nobody waits.
struct Watched<'a, R> {
    source: R,
    stop: &'a Stop,
}

impl<R: Read> Read for Watched<'_, R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        self.stop.check().map_err(std::io::Error::other)?;
        self.source.read(buffer)
    }
}

/// The matches of one file.
struct Lines<'a> {
    shown: &'a str,
    mode: Mode,
    told: Vec<String>,
    count: u64,
    room: usize,
}

impl Lines<'_> {
    /// One line, as `grep` tells it: `:` behind a match, `-` behind what stands around it.
    fn push(&mut self, bytes: &[u8], number: Option<u64>, sign: char) -> bool {
        let text = String::from_utf8_lossy(bytes);
        for (nth, line) in text.trim_end_matches(['\n', '\r']).split('\n').enumerate() {
            let line = crate::words::cut(line.trim_end_matches('\r'), LINE);
            let at = number.map_or(0, |it| it + nth as u64);
            let line = match self.mode {
                Mode::Content { numbers: true } => format!("{}{sign}{at}{sign}{line}", self.shown),
                Mode::Content { numbers: false } | Mode::Files | Mode::Count => {
                    format!("{}{sign}{line}", self.shown)
                }
            };
            self.room = self.room.saturating_sub(line.len() + 1);
            self.told.push(line);
        }
        self.room > 0
    }
}

impl Sink for Lines<'_> {
    type Error = std::io::Error;

    fn matched(&mut self, _: &Searcher, found: &SinkMatch<'_>) -> Result<bool, std::io::Error> {
        self.count += 1;
        Ok(match self.mode {
            Mode::Files => false,
            Mode::Count => true,
            Mode::Content { .. } => self.push(found.bytes(), found.line_number(), ':'),
        })
    }

    fn context(&mut self, _: &Searcher, near: &SinkContext<'_>) -> Result<bool, std::io::Error> {
        let is_told = *near.kind() != SinkContextKind::Other;
        Ok(!is_told || self.push(near.bytes(), near.line_number(), '-'))
    }

    fn context_break(&mut self, _: &Searcher) -> Result<bool, std::io::Error> {
        self.told.push("--".to_owned());
        Ok(true)
    }
}

/// Performs `Glob`.
///
/// # Errors
/// A sentence for the model.
pub(super) async fn glob(kit: &Kit<'_>, arguments: &Value) -> Result<Used, String> {
    let spots = places(kit, arguments)?;
    let ground = Arc::clone(kit.ground);
    let pattern = text(arguments, "pattern").trim_start_matches("./").to_owned();
    apart(move |stop| {
        let fits = path_glob(&pattern).map_err(|it| format!("`{pattern}` is no glob: {it}"))?;
        let (is_name, is_whole_path) = (!pattern.contains('/'), pattern.starts_with('/'));
        let mut all: Vec<(SystemTime, String)> = Vec::new();
        let (mut bytes, mut is_whole) = (0, true);
        for spot in &spots {
            let base = spot.path();
            let mut walk = Walk::new(stop, ground.limits.walk_entries, &[], "", spot.root())?;
            is_whole &= walk.below(spot, &mut |found| {
                let below = found.path.strip_prefix(&base).unwrap_or(found.path);
                let is_it = match (is_name, is_whole_path) {
                    (true, _) => fits.is_match(found.name),
                    (_, true) => fits.is_match(found.path),
                    (_, false) => fits.is_match(below),
                };
                let Some(file) = Some(found).filter(|_| is_it) else { return Ok(true) };
                let shown = ground.shown(file.path);
                let Ok(Some(about)) = reach::look(file.dir, file.name, &shown) else {
                    return Ok(true);
                };
                let changed = about.modified().map_or(SystemTime::UNIX_EPOCH, |it| it.into_std());
                bytes += shown.len() + 1;
                all.push((changed, shown));
                Ok(bytes < ground.limits.tool_kept_bytes)
            })?;
        }
        all.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
        let mut lines: Vec<String> = all.into_iter().map(|it| it.1).collect();
        if lines.is_empty() {
            lines.push("no file fits".to_owned());
        }
        if !is_whole {
            lines.push("[not everything was seen: name a narrower `path`]".to_owned());
        }
        Ok(Used::told(lines.join("\n"), 0, &ground))
    })
    .await
}
