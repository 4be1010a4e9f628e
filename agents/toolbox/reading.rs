//! `Read` and `LS`: a file page by page with its lines numbered, and what a folder holds.

use std::fs::File;
use std::io::{BufRead, BufReader, Cursor, Read};
use std::sync::{Arc, LazyLock};

use globset::GlobMatcher;
use serde_json::{Value, json};

use super::card::{Card, number, text};
use super::ground::Ground;
use super::kit::Kit;
use super::reach::{self, Spot};
use super::secret_names::{is_named, is_secret, path_glob};
use super::used::{Stop, Used, apart, hash, touched};

/// Lines of a page, where nobody says otherwise.
const LINES: u64 = 2_000;
/// Characters of a line that are shown.
const LINE: usize = 2_000;
/// Bytes that tell whether a file is text.
const HEAD: usize = 8 << 10;
/// Room for what is said below a page.
const FOOT: usize = 200;

/// What the model is told of `Read`.
pub(super) static READ: LazyLock<Card> = LazyLock::new(|| {
    Card::new(
        "Read",
        "Read a text file: its lines, numbered, 2,000 at a time.",
        json!({
            "file_path": {"type": "string", "description": "Whole, or from the project's folder."},
            "offset": {"type": "integer", "minimum": 1, "description": "The first line."},
            "limit": {"type": "integer", "minimum": 1},
        }),
        &["file_path"],
    )
});

/// What the model is told of `LS`.
pub(super) static LS: LazyLock<Card> = LazyLock::new(|| {
    Card::new(
        "LS",
        "List a folder. Folders end with `/`, links with `@`.",
        json!({
            "path": {"type": "string", "description": "The project's folder if left out."},
            "ignore": {"type": "array", "items": {"type": "string"}, "description": "Globs."},
        }),
        &[],
    )
});

/// Performs `Read`.
///
/// # Errors
/// A sentence for the model.
pub(super) async fn read(kit: &Kit<'_>, arguments: &Value) -> Result<Used, String> {
    let spot = kit.ground.spot(text(arguments, "file_path"))?;
    may_see(kit, &spot)?;
    let from = number(arguments, "offset").unwrap_or(1).max(1);
    let lines = number(arguments, "limit").unwrap_or(LINES);
    let ground = Arc::clone(kit.ground);
    apart(move |stop| {
        let (file, found) = reach::open(&spot)?;
        let bytes = found.len();
        if bytes > ground.limits.file_bytes as u64 {
            let mut source = BufReader::with_capacity(64 << 10, file);
            let text = page(&mut source, &spot, (from, lines), bytes, &ground, stop)?;
            let documents = vec![hash(text.as_bytes())];
            return Ok(Used { result: json!(text), documents, ..Used::default() });
        }
        let content = whole(file, &spot, &ground)?;
        let mut source = Cursor::new(&content);
        let text = page(&mut source, &spot, (from, lines), bytes, &ground, stop)?;
        let file = touched(&spot.path(), &content, false);
        let documents = vec![file.hash.clone()];
        Ok(Used { result: json!(text), documents, files: vec![file], whole: None })
    })
    .await
}

/// Whether the agent may look into that file, whose name may say that it is a secret.
///
/// # Errors
/// A sentence for the model.
pub(super) fn may_see(kit: &Kit<'_>, spot: &Spot) -> Result<(), String> {
    let inside = spot.inside();
    if is_secret(&inside) && !is_named(&kit.known.agent, &inside) {
        let shown = &spot.shown;
        return Err(format!(
            "`{shown}` looks like a secret, and this agent's `tools` do not name it: \
             its owner would write `Read({})`",
            inside.display()
        ));
    }
    Ok(())
}

/// All of a file that is not larger than may be.
///
/// # Errors
/// A sentence for the model.
pub(super) fn whole(file: File, spot: &Spot, ground: &Ground) -> Result<Vec<u8>, String> {
    let most = ground.limits.file_bytes;
    let mut content = Vec::new();
    let read = file.take(most as u64 + 1).read_to_end(&mut content);
    read.map_err(|it| reach::wrong(&spot.shown, &it))?;
    if content.len() > most {
        return Err(format!("`{}` has more than {most} bytes", spot.shown));
    }
    Ok(content)
}

/// Whether bytes from the beginning of a file are no text.
pub(super) fn is_binary(head: &[u8]) -> bool {
    head.iter().take(HEAD).any(|it| *it == 0)
}

/// Some lines of a file, with their numbers.
fn page(
    source: &mut impl BufRead,
    spot: &Spot,
    (from, lines): (u64, u64),
    bytes: u64,
    ground: &Ground,
    stop: &Stop,
) -> Result<String, String> {
    let failed = |it: std::io::Error| reach::wrong(&spot.shown, &it);
    let head = source.fill_buf().map_err(failed)?;
    if head.is_empty() {
        return Ok(format!("[`{}` is there and empty]", spot.shown));
    }
    if is_binary(head) {
        return Ok(format!(
            "[`{}` is no text: {}, {bytes} bytes, not shown]",
            spot.shown,
            form(head)
        ));
    }
    let room = ground.limits.tool_output_bytes.saturating_sub(FOOT);
    let (mut shown, mut at, mut line) = (String::new(), 0_u64, Vec::new());
    let end = loop {
        let goes_on = next_line(source, &mut line, stop).map_err(failed)?;
        if !goes_on {
            break None;
        }
        if at + 1 < from {
            at += 1;
            continue;
        }
        let told = String::from_utf8_lossy(&line);
        let told =
            format!("{:>6}\t{}\n", at + 1, crate::words::cut(told.trim_end_matches('\r'), LINE));
        if at + 1 >= from.saturating_add(lines) || shown.len() + told.len() > room {
            break Some(at + 1);
        }
        shown.push_str(&told);
        at += 1;
    };
    match end {
        None if shown.is_empty() => Err(format!("`{}` has only {at} lines", spot.shown)),
        None => Ok(shown),
        Some(next) => {
            shown.push_str(&format!("[it goes on: {bytes} bytes in all; `offset` {next} is next]"));
            Ok(shown)
        }
    }
}

/// The next line without its end, as far as it is shown; `false` where there is none.
fn next_line(
    source: &mut impl BufRead,
    line: &mut Vec<u8>,
    stop: &Stop,
) -> Result<bool, std::io::Error> {
    line.clear();
    let mut is_there = false;
    loop {
        stop.check().map_err(std::io::Error::other)?;
        let buffer = source.fill_buf()?;
        if buffer.is_empty() {
            return Ok(is_there);
        }
        is_there = true;
        let end = buffer.iter().position(|it| *it == b'\n');
        let part = &buffer[..end.unwrap_or(buffer.len())];
        // A character has four bytes at most, and one more tells that it was cut.
        let room = (LINE * 4 + 4).saturating_sub(line.len());
        line.extend_from_slice(&part[..part.len().min(room)]);
        let used = part.len() + usize::from(end.is_some());
        source.consume(used);
        if end.is_some() {
            return Ok(true);
        }
    }
}

/// What a file that is no text seems to be, by its first bytes.
fn form(head: &[u8]) -> &'static str {
    const FORMS: [(&[u8], &str); 9] = [
        (b"\x89PNG", "a PNG image"),
        (b"\xff\xd8\xff", "a JPEG image"),
        (b"GIF8", "a GIF image"),
        (b"%PDF", "a PDF document"),
        (b"PK\x03\x04", "a ZIP archive"),
        (b"\x1f\x8b", "a gzip archive"),
        (b"\x7fELF", "a program"),
        (b"SQLite format 3", "an SQLite database"),
        (b"\xff\xfe", "text in UTF-16"),
    ];
    FORMS.iter().find(|it| head.starts_with(it.0)).map_or("bytes", |it| it.1)
}

/// Performs `LS`.
///
/// # Errors
/// A sentence for the model.
pub(super) async fn list(kit: &Kit<'_>, arguments: &Value) -> Result<Used, String> {
    let path = text(arguments, "path");
    let spot = kit.ground.spot(if path.is_empty() { "." } else { path })?;
    let globs = arguments.get("ignore").and_then(Value::as_array).into_iter().flatten();
    let globs: Vec<GlobMatcher> = globs
        .filter_map(Value::as_str)
        .map(|it| path_glob(it).map_err(|error| error.to_string()))
        .collect::<Result<_, _>>()?;
    let ground = Arc::clone(kit.ground);
    apart(move |stop| {
        let folder = reach::folder(&spot)?;
        let entries = folder.entries().map_err(|it| reach::wrong(&spot.shown, &it))?;
        let (mut names, mut bytes, mut looked) = (Vec::new(), 0, 0);
        let limits = &ground.limits;
        for entry in entries.flatten() {
            stop.check()?;
            looked += 1;
            if looked > limits.walk_entries || bytes > limits.tool_kept_bytes {
                break;
            }
            let name = entry.file_name().to_string_lossy().into_owned();
            if globs.iter().any(|it| it.is_match(&name)) {
                continue;
            }
            bytes += name.len() + 2;
            let mark = match entry.file_type() {
                Ok(it) if it.is_dir() => "/",
                Ok(it) if it.is_symlink() => "@",
                Ok(_) | Err(_) => "",
            };
            names.push(name + mark);
        }
        names.sort();
        let mut text = format!("{}:\n{}", spot.path().display(), names.join("\n"));
        if names.is_empty() {
            text.push_str("[nothing]");
        }
        if looked > limits.walk_entries || bytes > limits.tool_kept_bytes {
            text.push_str("\n[there is more]");
        }
        Ok(Used::told(text, bytes, &ground))
    })
    .await
}
