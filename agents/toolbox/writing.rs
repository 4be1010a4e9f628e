//! `Write` and `Edit`: a file takes another's place whole, or not at all.

use std::sync::{Arc, LazyLock};

use callboard_trace::secrets;
use serde_json::{Value, json};

use super::card::{Card, is_set, text};
use super::changed::changed;
use super::ground::Ground;
use super::kit::{Kit, Known};
use super::place::{self, Was};
use super::reach::Spot;
use super::reading::may_see;
use super::used::{Used, apart, hash, touched};

/// Places of a text that are told.
const PLACES: usize = 10;

/// What the model is told of `Write`.
pub(super) static WRITE: LazyLock<Card> = LazyLock::new(|| {
    Card::new(
        "Write",
        "Write a whole file. One that is there is read first.",
        json!({
            "file_path": {"type": "string", "description": "Whole, or from the project's folder."},
            "content": {"type": "string"},
        }),
        &["file_path", "content"],
    )
});

/// What the model is told of `Edit`.
pub(super) static EDIT: LazyLock<Card> = LazyLock::new(|| {
    Card::new(
        "Edit",
        "Replace a text in a file. It must stand there exactly so, and only once.",
        json!({
            "file_path": {"type": "string", "description": "Whole, or from the project's folder."},
            "old_string": {"type": "string", "minLength": 1},
            "new_string": {"type": "string"},
            "replace_all": {"type": "boolean", "description": "Every place, not only one."},
        }),
        &["file_path", "old_string", "new_string"],
    )
});

/// What both need besides their arguments.
struct Job {
    ground: Arc<Ground>,
    known: Known,
    spot: Spot,
    /// What tells this call's unfinished file from all others.
    mark: String,
    is_again: bool,
}

impl Job {
    fn of(kit: &Kit<'_>, arguments: &Value) -> Result<Job, String> {
        let spot = kit.ground.spot(text(arguments, "file_path"))?;
        place::may_write(kit.ground, &spot)?;
        may_see(kit, &spot)?;
        let mark = hash(format!("{} {}", kit.run, kit.call).as_bytes())[..16].to_owned();
        let (ground, known) = (Arc::clone(kit.ground), kit.known.clone());
        Ok(Job { ground, known, spot, mark, is_again: kit.attempt > 1 })
    }

    /// The hash of the file as the run saw or left it last.
    fn seen(&self) -> Option<&String> {
        self.known.files.get(&*self.spot.path().to_string_lossy())
    }

    /// That the file is still what the run saw.
    fn is_known(&self, was: &Was) -> Result<(), String> {
        let shown = &self.spot.shown;
        match self.seen() {
            Some(seen) if *seen == hash(&was.content) => Ok(()),
            Some(_) => Err(format!("`{shown}` was changed since this run read it: read it again")),
            None => Ok(()),
        }
    }

    /// Puts the text into the file's place, and tells what is other.
    fn put(&self, was: Option<&Was>, content: &str, done: &str) -> Result<Used, String> {
        let most = self.ground.limits.file_bytes;
        if content.len() > most {
            return Err(format!("{} bytes are more than a file may get, {most}", content.len()));
        }
        let before = was.map_or("".into(), |it| String::from_utf8_lossy(&it.content));
        let hidden = |text: &str| text.matches(secrets::INSTEAD).count();
        if was.is_some() && hidden(content) > hidden(&before) {
            let (shown, instead) = (&self.spot.shown, secrets::INSTEAD);
            return Err(format!(
                "`{instead}` stands where `{shown}` may hold a secret that nobody is shown, and it \
                 would be lost: `Edit` what is around it, or write another word"
            ));
        }
        place::put(&self.spot, was, content.as_bytes(), &self.mark)?;
        let told = format!("{done} `{}`: {}", self.spot.shown, changed(&before, content));
        Ok(self.used(told, content))
    }

    fn used(&self, told: String, content: &str) -> Used {
        let files = vec![touched(&self.spot.path(), content.as_bytes(), true)];
        Used { files, ..Used::told(told, 0, &self.ground) }
    }
}

/// Performs `Write`.
///
/// # Errors
/// A sentence for the model.
pub(super) async fn write(kit: &Kit<'_>, arguments: &Value) -> Result<Used, String> {
    let job = Job::of(kit, arguments)?;
    let content = text(arguments, "content").to_owned();
    apart(move |stop| {
        let _turn = place::turn();
        stop.check()?;
        let was = place::was(&job.spot, &job.ground, true)?;
        let Some(was) = was else { return job.put(None, &content, "made") };
        if was.content == content.as_bytes() {
            let told = format!("`{}` holds that already", job.spot.shown);
            return Ok(job.used(told, &content));
        }
        if job.seen().is_none() {
            let shown = &job.spot.shown;
            return Err(format!("`{shown}` is there, and this run has not read it: read it first"));
        }
        job.is_known(&was)?;
        job.put(Some(&was), &content, "wrote")
    })
    .await
}

/// Performs `Edit`.
///
/// # Errors
/// A sentence for the model.
pub(super) async fn edit(kit: &Kit<'_>, arguments: &Value) -> Result<Used, String> {
    let job = Job::of(kit, arguments)?;
    let [old, new] = ["old_string", "new_string"].map(|it| text(arguments, it).to_owned());
    let all = is_set(arguments, "replace_all");
    apart(move |stop| {
        let _turn = place::turn();
        let shown = &job.spot.shown;
        let was = place::was(&job.spot, &job.ground, false)?;
        let was = was.ok_or_else(|| format!("`{shown}` is not there: `Write` makes it"))?;
        let content = std::str::from_utf8(&was.content)
            .map_err(|_| format!("`{shown}` is no UTF-8 text, and cannot be edited"))?;
        // Models write the ends of lines as they are shown them.
        let (old, new) = if content.contains("\r\n") && !content.contains(&*old) {
            (as_windows(&old), as_windows(&new))
        } else {
            (old, new)
        };
        if job.is_again && is_done(&job, content, &old, &new) {
            return Ok(job.used(format!("`{shown}` was edited before the call broke off"), content));
        }
        job.is_known(&was)?;
        stop.check()?;
        let edited = edited(content, &old, &new, all).map_err(|it| format!("`{shown}`: {it}"))?;
        job.put(Some(&was), &edited, "edited")
    })
    .await
}

fn as_windows(text: &str) -> String {
    text.replace("\r\n", "\n").replace('\n', "\r\n")
}

/// Whether an edit that broke off had come to its end: the way back leads to what the run saw, or
/// the new text is there and the old is not.
fn is_done(job: &Job, content: &str, old: &str, new: &str) -> bool {
    match job.seen() {
        Some(seen) if *seen == hash(content.as_bytes()) => false,
        Some(seen) => !new.is_empty() && hash(content.replace(new, old).as_bytes()) == *seen,
        None => !new.is_empty() && content.contains(new) && !content.contains(old),
    }
}

/// A content with the new text in the place of the old one.
fn edited(content: &str, old: &str, new: &str, all: bool) -> Result<String, String> {
    if old == new {
        return Err("`old_string` and `new_string` are the same".into());
    }
    let places: Vec<usize> = content.match_indices(old).map(|it| it.0).collect();
    match places.len() {
        0 => Err("`old_string` does not stand there; it must be exact, with every space".into()),
        n if n > 1 && !all => {
            let line = |at: &usize| (content[..*at].matches('\n').count() + 1).to_string();
            let lines: Vec<String> = places.iter().take(PLACES).map(line).collect();
            let lines = lines.join(", ");
            Err(format!(
                "`old_string` stands there {n} times, at lines {lines}: give more of what is \
                 around it, or `replace_all`"
            ))
        }
        _ => Ok(content.replace(old, new)),
    }
}
