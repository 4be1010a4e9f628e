//! Paths as handles: every file is opened beneath a root, folder by folder, and no link is followed.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::path::{Component, Path, PathBuf};

use cap_fs_ext::{DirExt, FollowSymlinks, OpenOptionsFollowExt, OpenOptionsSyncExt};
use cap_std::ambient_authority;
use cap_std::fs::{Dir, Metadata, OpenOptions};

use super::ground::Ground;

/// Bytes of the longest path of a file.
const PATH_MAX: usize = 4_095;

/// A place beneath a root, by its spelling: nothing was looked at yet.
#[derive(Clone, Debug)]
pub(crate) struct Spot {
    root: PathBuf,
    inside: Vec<OsString>,
    /// As it is told to a model: from the first root, or whole.
    pub(crate) shown: String,
}

impl Spot {
    /// The whole path.
    pub(crate) fn path(&self) -> PathBuf {
        self.root.iter().chain(self.inside.iter().map(OsString::as_os_str)).collect()
    }

    /// The path from its root.
    pub(crate) fn inside(&self) -> PathBuf {
        self.inside.iter().collect()
    }

    /// The names from its root.
    pub(crate) fn names(&self) -> &[OsString] {
        &self.inside
    }

    /// Its root.
    pub(crate) fn root(&self) -> &Path {
        &self.root
    }
}

impl Ground {
    /// The place that a path means: whole, or from the first root.
    ///
    /// # Errors
    /// A sentence for the model where it is none beneath a root.
    pub(crate) fn spot(&self, given: &str) -> Result<Spot, String> {
        let Some(first) = self.roots.first() else {
            return Err(
                "there is no folder to see: the team's owner names some with `roots`".into()
            );
        };
        if given.len() > PATH_MAX || given.contains('\0') {
            let bytes = given.len();
            return Err(format!("a path of {bytes} bytes, or one with a zero byte, names no file"));
        }
        if Path::new(given).components().any(|it| it == Component::ParentDir) {
            return Err(format!("`{given}` goes up with `..`: write the path without it"));
        }
        let whole = first.join(given);
        let Some(root) = self.roots.iter().find(|it| whole.starts_with(it)) else {
            let roots: Vec<String> = self.roots.iter().map(|it| it.display().to_string()).collect();
            let roots = roots.join(", ");
            return Err(format!("`{given}` is outside of what may be seen, which is {roots}"));
        };
        let inside: Vec<OsString> = whole
            .strip_prefix(root)
            .into_iter()
            .flat_map(Path::components)
            .filter(|it| matches!(it, Component::Normal(_)))
            .map(|it| it.as_os_str().to_owned())
            .collect();
        Ok(Spot { root: root.clone(), shown: self.shown(&whole), inside })
    }

    /// Every root, as a place.
    pub(crate) fn tops(&self) -> Vec<Spot> {
        let top = |it: &PathBuf| Spot { root: it.clone(), inside: vec![], shown: self.shown(it) };
        self.roots.iter().map(top).collect()
    }

    /// A whole path as a model is told it.
    pub(crate) fn shown(&self, path: &Path) -> String {
        let first = self.roots.first().and_then(|it| path.strip_prefix(it).ok());
        let shown = first.filter(|it| !it.as_os_str().is_empty()).unwrap_or(path);
        shown.to_string_lossy().into_owned()
    }
}

/// The folder at a place.
///
/// # Errors
/// A sentence for the model.
pub(crate) fn folder(spot: &Spot) -> Result<Dir, String> {
    walk(spot, &spot.inside, false)
}

/// The folder that a place lies in, and its name there; with `make`, folders that are missing are
/// made.
///
/// # Errors
/// A sentence for the model.
pub(crate) fn parent(spot: &Spot, make: bool) -> Result<(Dir, &OsStr), String> {
    let Some((name, above)) = spot.inside.split_last() else {
        return Err(format!("`{}` is a folder", spot.shown));
    };
    Ok((walk(spot, above, make)?, name))
}

/// What lies at a place itself, link or not; `None` if nothing does.
///
/// # Errors
/// A sentence for the model.
pub(crate) fn look(dir: &Dir, name: &OsStr, shown: &str) -> Result<Option<Metadata>, String> {
    match dir.symlink_metadata(name) {
        Ok(found) => Ok(Some(found)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(wrong(shown, &error)),
    }
}

/// Opens the regular file at a place to be read.
///
/// # Errors
/// A sentence for the model where there is none, or it is something else.
pub(crate) fn open(spot: &Spot) -> Result<(File, Metadata), String> {
    let (dir, name) = parent(spot, false)?;
    open_in(&dir, name, &spot.shown)
}

/// The same in a folder that is open.
///
/// # Errors
/// A sentence for the model.
pub(crate) fn open_in(dir: &Dir, name: &OsStr, shown: &str) -> Result<(File, Metadata), String> {
    // Looked at first, since the mere opening of a device may do something; what is opened then is
    // looked at again.
    let found = look(dir, name, shown)?.ok_or_else(|| format!("`{shown}` is not there"))?;
    regular(&found, shown)?;
    let mut options = OpenOptions::new();
    options.read(true).follow(FollowSymlinks::No).nonblock(true);
    let file = dir.open_with(name, &options).map_err(|it| wrong(shown, &it))?;
    let opened = file.metadata().map_err(|it| wrong(shown, &it))?;
    regular(&opened, shown)?;
    Ok((file.into_std(), opened))
}

/// Whether it is a regular file.
///
/// # Errors
/// What it is instead.
pub(crate) fn regular(found: &Metadata, shown: &str) -> Result<(), String> {
    if found.is_file() {
        Ok(())
    } else if found.is_symlink() {
        Err(format!("`{shown}` is a link, and no link is followed: name what it points to"))
    } else if found.is_dir() {
        Err(format!("`{shown}` is a folder: `LS` lists it"))
    } else {
        Err(format!("`{shown}` is a pipe, a socket or a device, and no file"))
    }
}

fn walk(spot: &Spot, names: &[OsString], make: bool) -> Result<Dir, String> {
    let mut at = top(spot)?;
    let mut way = PathBuf::new();
    for name in names {
        way.push(name);
        if make
            && look(&at, name, &way.to_string_lossy())?.is_none()
            && let Err(error) = at.create_dir(name)
            // Somebody else may have made it just now.
            && error.kind() != ErrorKind::AlreadyExists
        {
            return Err(wrong(&way.to_string_lossy(), &error));
        }
        at = inner(&at, name, &way)?;
    }
    Ok(at)
}

/// The root that a place lies beneath.
///
/// # Errors
/// A sentence for the model.
pub(crate) fn top(spot: &Spot) -> Result<Dir, String> {
    let opened = Dir::open_ambient_dir(&spot.root, ambient_authority());
    opened.map_err(|it| wrong(&spot.root.to_string_lossy(), &it))
}

/// A folder inside one that is open; `way` is what it is called in what is told.
///
/// # Errors
/// A sentence for the model.
pub(crate) fn inner(at: &Dir, name: &OsStr, way: &Path) -> Result<Dir, String> {
    at.open_dir_nofollow(name).map_err(|error| no_folder(at, name, way, &error))
}

fn no_folder(at: &Dir, name: &OsStr, way: &Path, error: &io::Error) -> String {
    let shown = way.to_string_lossy();
    match at.symlink_metadata(name) {
        Ok(found) if found.is_symlink() => {
            format!("`{shown}` is a link, and no link is followed: name what it points to")
        }
        Ok(found) if !found.is_dir() => format!("`{shown}` is no folder"),
        Ok(_) | Err(_) => wrong(&shown, error),
    }
}

/// What went wrong with a path.
pub(crate) fn wrong(shown: &str, error: &io::Error) -> String {
    let shown = crate::words::cut(shown, 300);
    if error.kind() == ErrorKind::NotFound {
        return format!("`{shown}` is not there");
    }
    format!("`{shown}` cannot be used: {}", crate::words::cut(&error.to_string(), 200))
}
