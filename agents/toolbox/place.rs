//! The place of a file that is written: whether it may be, what was there, and how another takes it.

use std::ffi::OsStr;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use cap_fs_ext::{FollowSymlinks, MetadataExt, OpenOptionsFollowExt};
use cap_std::fs::{Dir, Metadata, OpenOptions};

use super::ground::Ground;
use super::reach::{self, Spot, wrong};
use super::reading::whole;

/// Folders of version control, whose files make programs run.
const CONTROL: &str = ".git";

/// A file that is there.
pub(super) struct Was {
    pub(super) content: Vec<u8>,
    about: Metadata,
}

/// One writer at a time in this process: what was there is looked at and replaced in one breath.
pub(super) fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether agents write there at all: not what decides over agents, nor version control itself.
///
/// # Errors
/// A sentence for the model.
pub(super) fn may_write(ground: &Ground, spot: &Spot) -> Result<(), String> {
    // Letters of either case are one name on many file systems.
    let small = |it: &Path| PathBuf::from(it.to_string_lossy().to_lowercase());
    let path = small(&spot.path());
    let is_control = spot.names().iter().any(|it| it.eq_ignore_ascii_case(CONTROL));
    if is_control || ground.guarded.iter().any(|it| path.starts_with(small(it))) {
        let shown = &spot.shown;
        return Err(format!(
            "`{shown}` is not written by agents: it decides what programs or agents do"
        ));
    }
    Ok(())
}

/// What lies at that place; `None` if nothing does. With `make`, folders that are missing are made.
///
/// # Errors
/// A sentence for the model where it is no file that may be replaced.
pub(super) fn was(spot: &Spot, ground: &Ground, make: bool) -> Result<Option<Was>, String> {
    let (dir, name) = reach::parent(spot, make)?;
    if reach::look(&dir, name, &spot.shown)?.is_none() {
        return Ok(None);
    }
    let (file, about) = reach::open_in(&dir, name, &spot.shown)?;
    let shown = &spot.shown;
    if about.permissions().readonly() {
        return Err(format!("`{shown}` is read-only: it is not written"));
    }
    if about.nlink() > 1 {
        return Err(format!(
            "`{shown}` has a second name elsewhere (a hard link): it is not written"
        ));
    }
    Ok(Some(Was { content: whole(file, spot, ground)?, about }))
}

/// Puts a content into that place: whole or not at all, and there for good.
///
/// # Errors
/// A sentence for the model; what was there is there then.
pub(super) fn put(
    spot: &Spot,
    was: Option<&Was>,
    content: &[u8],
    mark: &str,
) -> Result<(), String> {
    let (dir, name) = reach::parent(spot, false)?;
    let beside = format!(".callboard-{mark}.tmp");
    // One of that name is what a call before this one left when its process went away.
    let _ = dir.remove_file(&beside);
    let put = fill(&dir, &beside, was, content, spot)
        .and_then(|()| is_as_it_was(&dir, name, was, spot))
        .and_then(|()| dir.rename(&beside, &dir, name).map_err(|it| wrong(&spot.shown, &it)));
    if put.is_err() {
        let _ = dir.remove_file(&beside);
    }
    put?;
    // Not every system lets a folder be synced.
    if let Ok(folder) = dir.open(".") {
        let _ = folder.sync_all();
    }
    Ok(())
}

fn fill(
    dir: &Dir,
    beside: &str,
    was: Option<&Was>,
    content: &[u8],
    spot: &Spot,
) -> Result<(), String> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).follow(FollowSymlinks::No);
    let failed = |it: std::io::Error| wrong(&spot.shown, &it);
    let mut file = dir.open_with(beside, &options).map_err(failed)?;
    if let Some(was) = was {
        file.set_permissions(was.about.permissions()).map_err(failed)?;
    }
    file.write_all(content).map_err(failed)?;
    file.sync_all().map_err(failed)
}

/// That nobody wrote or replaced it meanwhile.
fn is_as_it_was(dir: &Dir, name: &OsStr, was: Option<&Was>, spot: &Spot) -> Result<(), String> {
    let now = reach::look(dir, name, &spot.shown)?;
    let mark = |it: &Metadata| (it.ino(), it.len(), it.modified().ok());
    if now.as_ref().map(mark) != was.map(|it| mark(&it.about)) {
        return Err(format!("`{}` was changed meanwhile: read it again", spot.shown));
    }
    Ok(())
}
