//! What commands can write and must not change: looked at before they run, and put back after them.
//!
//! Landlock allows whole folders: it cannot leave out files of one that are not there yet, nor those
//! of `.git` beside which Git makes others. Commands that run at the same time share one look, so
//! that none of them takes for given what another one wrote.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};

use cap_fs_ext::{FollowSymlinks, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, OpenOptions, Permissions, PermissionsExt};
use serde::{Deserialize, Serialize};

use crate::jail::Watch;

/// Bytes of all that is kept, each name counted with them.
const ROOM: usize = 4 << 20;
/// Bytes that each name counts for besides its own.
const NAME: usize = 64;
/// Folders in each other.
const DEPTH: usize = 32;

/// One thing as it was found.
#[derive(PartialEq, Eq, Serialize, Deserialize)]
enum Found {
    File { mode: u32, bytes: Vec<u8> },
    Link(PathBuf),
    Folder,
    Other,
}

/// What was found in a folder, by the path in it.
type All = BTreeMap<PathBuf, Found>;

/// A watch that has begun.
#[derive(Debug)]
pub struct Watched<'a> {
    watch: &'a Watch,
    /// What was found, locked for as long as somebody needs it.
    kept: File,
}

impl Watch {
    /// Looks at everything, or shares the look of a command that is running.
    ///
    /// # Errors
    /// Why it cannot be watched.
    pub fn begin(&self) -> Result<Watched<'_>, String> {
        let told = |it: io::Error| format!("{}: {it}", self.kept.display());
        let _turn = self.turn().map_err(told)?;
        let mut options = File::options();
        let kept = options.read(true).write(true).create(true).truncate(false);
        let mut kept = kept.open(self.kept.with_extension("json")).map_err(told)?;
        if kept.try_lock().is_ok() {
            let all = self.files.iter().map(|(root, files)| Ok((root, look(root, files)?)));
            let all: BTreeMap<&PathBuf, All> = all.collect::<Result<_, String>>()?;
            let text = serde_json::to_vec(&all).map_err(|it| it.to_string())?;
            kept.set_len(0).and_then(|()| kept.write_all(&text)).map_err(told)?;
            kept.unlock().map_err(told)?;
        }
        kept.lock_shared().map_err(told)?;
        Ok(Watched { watch: self, kept })
    }

    /// One process at a time; no command reaches the file.
    fn turn(&self) -> io::Result<File> {
        self.kept.parent().map_or(Ok(()), std::fs::create_dir_all)?;
        let turn = File::create(self.kept.with_extension("lock"))?;
        turn.lock()?;
        Ok(turn)
    }
}

impl Watched<'_> {
    /// Puts back what has changed; each with what could not be done about it.
    ///
    /// # Errors
    /// When what was found before cannot be read.
    pub fn end(mut self) -> io::Result<Vec<String>> {
        let _turn = self.watch.turn()?;
        let mut text = Vec::new();
        self.kept.rewind()?;
        self.kept.read_to_end(&mut text)?;
        let all: BTreeMap<PathBuf, All> = serde_json::from_slice(&text)?;
        let mut told = Vec::new();
        for (root, before) in &all {
            let files = self.watch.files.get(root).map_or(&[][..], Vec::as_slice);
            match Dir::open_ambient_dir(root, ambient_authority()) {
                Ok(dir) => told.extend(put_back(&dir, before, files)),
                Err(error) => told.push(format!("{}: {error}", root.display())),
            }
        }
        Ok(told)
    }
}

fn look(root: &Path, files: &[PathBuf]) -> Result<All, String> {
    let told = |it: io::Error| format!("{}: {it}", root.display());
    let dir = Dir::open_ambient_dir(root, ambient_authority()).map_err(told)?;
    found(&dir, files, None).ok_or_else(|| {
        let names: Vec<_> = files.iter().map(|it| it.to_string_lossy()).collect();
        let (root, names) = (root.display(), names.join(", "));
        format!("{root} holds too much that no command may change, in one of {names}")
    })
}

/// Everything there, for the first time or to be held against what was there before. `None` if it is
/// too much at first.
fn found(dir: &Dir, files: &[PathBuf], before: Option<&All>) -> Option<All> {
    let mut look = Look { dir, before, room: ROOM, all: All::new() };
    for path in files {
        // Where a folder belongs there may be a link to another.
        let top = Path::new(path.iter().next().unwrap_or_default());
        if top != path && dir.symlink_metadata(top).is_ok_and(|it| !it.is_dir()) {
            look.add(top, 0)?;
        }
        if look.add(path, 0).is_none() {
            before?;
            // Somebody filled it: it goes as a whole.
            look.all.retain(|it, _| !it.starts_with(path));
            look.all.insert(path.clone(), Found::Other);
        }
    }
    Some(look.all)
}

struct Look<'a> {
    dir: &'a Dir,
    before: Option<&'a All>,
    room: usize,
    all: All,
}

impl Look<'_> {
    fn add(&mut self, path: &Path, depth: usize) -> Option<()> {
        let Ok(about) = self.dir.symlink_metadata(path) else { return Some(()) };
        self.room = self.room.checked_sub(NAME + path.as_os_str().len())?;
        let mut found = Found::Other;
        if about.is_symlink() {
            found = self.dir.read_link_contents(path).map_or(found, Found::Link);
        } else if about.is_file() {
            if let Some(bytes) = self.bytes(path, about.len()) {
                found = Found::File { mode: about.permissions().mode(), bytes };
            }
            match &found {
                Found::File { bytes, .. } => self.room = self.room.checked_sub(bytes.len())?,
                // What cannot be kept cannot be put back.
                Found::Link(_) | Found::Folder | Found::Other => self.before.map(|_| ())?,
            }
        } else if let (true, Ok(entries)) = (about.is_dir(), self.dir.read_dir(path)) {
            for entry in entries.flatten() {
                let name = entry.file_name();
                (depth < DEPTH).then(|| self.add(&path.join(name), depth + 1))??;
            }
            found = Found::Folder;
        }
        self.all.insert(path.to_owned(), found);
        Some(())
    }

    /// What a file holds, if it may be as it was.
    fn bytes(&self, path: &Path, length: u64) -> Option<Vec<u8>> {
        let length = usize::try_from(length).ok().filter(|it| *it <= ROOM)?;
        let was = |all: &All| match all.get(path) {
            Some(Found::File { bytes, .. }) => bytes.len() == length,
            Some(Found::Link(_) | Found::Folder | Found::Other) | None => false,
        };
        self.before.is_none_or(was).then(|| read(self.dir, path, length + 1).ok())?
    }
}

fn read(dir: &Dir, path: &Path, most: usize) -> io::Result<Vec<u8>> {
    let mut options = OpenOptions::new();
    // Another command may have put a pipe there just now.
    options.read(true).follow(FollowSymlinks::No).nonblock(true);
    let mut bytes = Vec::new();
    dir.open_with(path, &options)?.take(most as u64).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Everything below a folder is reached by its handle: no link that was put there leads elsewhere.
fn put_back(dir: &Dir, before: &All, files: &[PathBuf]) -> Vec<String> {
    let now = found(dir, files, Some(before)).unwrap_or_default();
    let mut changed = BTreeSet::new();
    // What is in a folder goes before the folder.
    for (path, found) in now.iter().rev().filter(|(path, found)| before.get(*path) != Some(found)) {
        let gone = match found {
            Found::Folder => dir.remove_dir(path),
            Found::File { .. } | Found::Link(_) => dir.remove_file(path),
            Found::Other => dir.remove_file(path).or_else(|_| aside(dir, path)),
        };
        changed.insert((path, gone.err().map(|it| it.to_string())));
    }
    for (path, found) in before.iter().filter(|(path, found)| now.get(*path) != Some(found)) {
        let top = Path::new(path.iter().next().unwrap_or_default());
        // Whoever takes away a whole repository takes away what decides over it too.
        let is_whole = top == path || dir.symlink_metadata(top).is_ok_and(|it| it.is_dir());
        if is_whole && let Err(error) = put(dir, path, found) {
            changed.insert((path, Some(error.to_string())));
        } else if is_whole {
            changed.insert((path, None));
        }
    }
    let told = |(path, error): &(&PathBuf, Option<String>)| match error {
        None => format!("{}", path.display()),
        Some(error) => format!("{} (it cannot be put back: {error})", path.display()),
    };
    changed.iter().map(told).collect()
}

/// Moves away what may be too large to be removed.
fn aside(dir: &Dir, path: &Path) -> io::Result<()> {
    let place = |it: u32| PathBuf::from(format!("{}.undone-{it}", path.display()));
    let free = (0..u32::MAX).map(place).find(|it| dir.symlink_metadata(it).is_err());
    free.map_or(Ok(()), |it| dir.rename(path, dir, it))
}

fn put(dir: &Dir, path: &Path, found: &Found) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        dir.create_dir_all(folder)?;
    }
    match found {
        Found::File { mode, bytes } => {
            let mut options = OpenOptions::new();
            options.write(true).create_new(true).follow(FollowSymlinks::No);
            let mut file = dir.open_with(path, &options)?;
            file.set_permissions(Permissions::from_mode(*mode))?;
            file.write_all(bytes)
        }
        Found::Link(to) => dir.symlink_contents(to, path),
        Found::Folder => dir.create_dir_all(path),
        Found::Other => Err(io::Error::other("it was no file")),
    }
}
