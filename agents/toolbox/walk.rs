//! Every file below a place, folder by folder through handles, without what its project ignores.
//!
//! The walk of the library that knows the rules opens paths, waits for a pipe that is called
//! `.gitignore`, and follows a link of that name: only its rules are used.

use std::ffi::OsStr;
use std::io::Read;
use std::path::{Path, PathBuf};

use cap_std::fs::Dir;
use ignore::Match;
use ignore::gitignore::{Gitignore, GitignoreBuilder};
use ignore::overrides::{Override, OverrideBuilder};
use ignore::types::{Types, TypesBuilder};

use super::reach::{self, Spot};
use super::used::Stop;

/// Folders inside folders.
const DEPTH: usize = 100;
/// Bytes of one file of rules.
const RULES: u64 = 256 << 10;
/// The files of rules, the stronger ones last.
const RULE_FILES: [&str; 2] = [".gitignore", ".ignore"];
/// Folders of version control, which nobody searches.
const CONTROL: [&str; 5] = [".git", ".hg", ".svn", ".bzr", ".jj"];

/// A walk with what it still may look at.
pub(super) struct Walk<'a> {
    stop: &'a Stop,
    left: usize,
    /// Whether a folder was too deep to be looked into.
    is_cut: bool,
    globs: Override,
    types: Types,
}

/// A file that was come by; it may be something else by now.
pub(super) struct Found<'a> {
    pub(super) dir: &'a Dir,
    pub(super) name: &'a OsStr,
    /// The whole path.
    pub(super) path: &'a Path,
}

/// What is done with each file; `false` ends the walk.
pub(super) type Each<'a> = dyn FnMut(&Found<'_>) -> Result<bool, String> + 'a;

/// The rules of a folder, over those of the folders it lies in.
struct Rules<'a> {
    own: Gitignore,
    above: Option<&'a Rules<'a>>,
}

impl Rules<'_> {
    fn ignore(&self, path: &Path, is_dir: bool) -> bool {
        match self.own.matched(path, is_dir) {
            Match::Ignore(_) => true,
            Match::Whitelist(_) => false,
            Match::None => self.above.is_some_and(|it| it.ignore(path, is_dir)),
        }
    }
}

impl<'a> Walk<'a> {
    /// A walk over at most so many entries, by these globs (`!` leaves out) and types of files.
    ///
    /// # Errors
    /// A sentence for the model.
    pub(super) fn new(
        stop: &'a Stop,
        most: usize,
        globs: &[&str],
        kind: &str,
        top: &Path,
    ) -> Result<Walk<'a>, String> {
        let mut overrides = OverrideBuilder::new(top);
        for glob in globs {
            overrides.add(glob).map_err(|it| format!("`{glob}` is no glob: {it}"))?;
        }
        let globs = overrides.build().map_err(|it| it.to_string())?;
        let mut types = TypesBuilder::new();
        if !kind.is_empty() {
            types.add_defaults().select(kind);
        }
        let types = types.build().map_err(|it| it.to_string())?;
        Ok(Walk { stop, left: most, is_cut: false, globs, types })
    }

    /// Goes through all files below a place, or takes the one that lies there. `false` if it ended
    /// before all were seen.
    ///
    /// # Errors
    /// A sentence for the model.
    pub(super) fn below(&mut self, spot: &Spot, each: &mut Each<'_>) -> Result<bool, String> {
        let top = (&reach::top(spot)?, spot.root().to_path_buf());
        let is_whole = self.down(top, spot, 0, None, each)?;
        Ok(is_whole && !self.is_cut)
    }

    /// Goes down to the place from its nth name on, and learns the rules on the way.
    fn down(
        &mut self,
        (dir, at): (&Dir, PathBuf),
        spot: &Spot,
        nth: usize,
        above: Option<&Rules<'_>>,
        each: &mut Each<'_>,
    ) -> Result<bool, String> {
        let rules = Rules { own: rules(dir, &at), above };
        let Some(name) = spot.names().get(nth) else {
            return self.through((dir, &at), &rules, 0, each);
        };
        let path = at.join(name);
        let way = path.strip_prefix(spot.root()).unwrap_or(&path);
        let is_last = nth + 1 == spot.names().len();
        if is_last && reach::look(dir, name, &spot.shown)?.is_some_and(|it| it.is_file()) {
            return each(&Found { dir, name, path: &path });
        }
        let inner = reach::inner(dir, name, way)?;
        self.down((&inner, path), spot, nth + 1, Some(&rules), each)
    }

    fn through(
        &mut self,
        (dir, at): (&Dir, &Path),
        rules: &Rules<'_>,
        depth: usize,
        each: &mut Each<'_>,
    ) -> Result<bool, String> {
        // A folder that may not be read is gone without, like one that was just removed.
        let Ok(entries) = dir.entries() else { return Ok(true) };
        for entry in entries {
            self.stop.check()?;
            if self.left == 0 {
                return Ok(false);
            }
            self.left -= 1;
            let Some((name, kind)) =
                entry.ok().and_then(|it| Some((it.file_name(), it.file_type().ok()?)))
            else {
                continue;
            };
            let path = at.join(&name);
            if self.leaves_out(&path, kind.is_dir(), rules) {
                continue;
            }
            let goes_on = if kind.is_dir() {
                self.inside((dir, &name), &path, rules, depth, each)?
            } else if kind.is_file() {
                each(&Found { dir, name: &name, path: &path })?
            } else {
                true
            };
            if !goes_on {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn inside(
        &mut self,
        (dir, name): (&Dir, &OsStr),
        path: &Path,
        above: &Rules<'_>,
        depth: usize,
        each: &mut Each<'_>,
    ) -> Result<bool, String> {
        if depth == DEPTH {
            self.is_cut = true;
            return Ok(true);
        }
        let Ok(inner) = reach::inner(dir, name, path) else { return Ok(true) };
        let rules = Rules { own: self::rules(&inner, path), above: Some(above) };
        self.through((&inner, path), &rules, depth + 1, each)
    }

    fn leaves_out(&self, path: &Path, is_dir: bool, rules: &Rules<'_>) -> bool {
        let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
        is_dir && CONTROL.contains(&name)
            || rules.ignore(path, is_dir)
            || self.globs.matched(path, is_dir).is_ignore()
            || self.types.matched(path, is_dir).is_ignore()
    }
}

/// What a folder says is to be ignored; rules that cannot be read are none.
fn rules(dir: &Dir, at: &Path) -> Gitignore {
    let mut builder = GitignoreBuilder::new(at);
    for name in RULE_FILES {
        let Ok((file, _)) = reach::open_in(dir, name.as_ref(), name) else { continue };
        let mut text = Vec::new();
        if file.take(RULES).read_to_end(&mut text).is_ok() {
            // One line that is no rule does not undo the others.
            String::from_utf8_lossy(&text).lines().for_each(|it| {
                let _ = builder.add_line(None, it);
            });
        }
    }
    builder.build().unwrap_or_else(|_| Gitignore::empty())
}
