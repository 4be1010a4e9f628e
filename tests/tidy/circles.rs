//! Which module of a room needs which, and the circles among them.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::Source;
use crate::uses::{How, Mention, mentions};

/// A module by its path inside the crate; the empty path is `lib.rs`.
type Module = Vec<String>;

/// The circles among the modules of one room, each told as one finding.
pub(crate) fn circles(room: &str, sources: &[&Source]) -> Vec<String> {
    let map = Map::new(room, sources);
    let mut needs: BTreeMap<Module, Needs> = BTreeMap::new();
    for (module, uses) in &map.uses {
        for mention in uses {
            let Some(target) = map.home(module, mention, 0) else { continue };
            let Some((parent, from, to)) = siblings(module, &target) else { continue };
            if from == DOOR && matches!(mention.how, How::Shared(_) | How::Exported(_)) {
                continue;
            }
            let seen = format!("{}:{} needs `{to}`", map.files[module], mention.line);
            needs.entry(parent).or_default().entry(from).or_default().entry(to).or_insert(seen);
        }
    }
    needs.iter().filter_map(|(parent, needs)| told(room, parent, needs)).collect()
}

/// The name under which `lib.rs` stands among the modules it declares.
const DOOR: &str = "lib";

/// From module, to module, and where it is seen.
type Needs = BTreeMap<String, BTreeMap<String, String>>;

/// The modules of one room and the paths each of them mentions.
struct Map {
    files: BTreeMap<Module, String>,
    uses: BTreeMap<Module, Vec<Mention>>,
}

impl Map {
    fn new(room: &str, sources: &[&Source]) -> Self {
        let mut map = Self { files: BTreeMap::new(), uses: BTreeMap::new() };
        for source in sources {
            let module = module_of(room, &source.path);
            map.files.insert(module.clone(), source.path.clone());
            map.uses.insert(module, mentions(&source.tokens));
        }
        map
    }

    /// The module in which the mentioned thing is written down, if it is in this room.
    fn home(&self, from: &Module, mention: &Mention, hops: usize) -> Option<Module> {
        let (mut at, mut rest) = self.start(from, mention)?;
        while let Some((name, after)) = rest.split_first() {
            let child = [at.as_slice(), std::slice::from_ref(name)].concat();
            if self.files.contains_key(&child) {
                (at, rest) = (child, after);
                continue;
            }
            let alias = self.uses.get(&at)?.iter().find(|it| gives(it, name));
            return match alias {
                Some(alias) if hops < HOPS_MAX => self.home(&at, alias, hops + 1),
                Some(_) | None => Some(at),
            };
        }
        Some(at)
    }

    fn start<'a>(&self, from: &Module, mention: &'a Mention) -> Option<(Module, &'a [String])> {
        let names = &mention.names;
        let first = names.first()?;
        if first == "crate" {
            return (names.len() > 1).then(|| (Vec::new(), &names[1..]));
        }
        if first == "self" && names.len() > 1 {
            return (mention.depth == 0).then(|| (from.clone(), &names[1..]));
        }
        let supers = names.iter().take_while(|it| *it == "super").count();
        if supers > 0 {
            let up = supers.saturating_sub(mention.depth).min(from.len());
            let leaves = up > 0 && names.len() > supers;
            return leaves.then(|| (from[..from.len() - up].to_vec(), &names[supers..]));
        }
        let child = [from.as_slice(), std::slice::from_ref(first)].concat();
        (names.len() > 1 && self.files.contains_key(&child))
            .then(|| (from.clone(), names.as_slice()))
    }
}

/// A chain of re-exports longer than this is taken as it stands.
const HOPS_MAX: usize = 8;

fn gives(mention: &Mention, name: &str) -> bool {
    match &mention.how {
        How::Imported(alias) | How::Shared(alias) | How::Exported(alias) => alias == name,
        How::Named | How::Called => false,
    }
}

/// The two modules under one parent between which a need from `from` to `to` runs.
fn siblings(from: &Module, to: &Module) -> Option<(Module, String, String)> {
    if from == to {
        return None;
    }
    let shared = from.iter().zip(to).take_while(|(a, b)| a == b).count();
    let name = |module: &Module| module.get(shared).cloned();
    match (name(from), name(to)) {
        (Some(a), Some(b)) => Some((from[..shared].to_vec(), a, b)),
        (None, Some(b)) if shared == 0 => Some((Vec::new(), DOOR.to_owned(), b)),
        (Some(a), None) if shared == 0 => Some((Vec::new(), a, DOOR.to_owned())),
        (Some(_) | None, None) | (None, Some(_)) => None,
    }
}

fn told(room: &str, parent: &Module, needs: &Needs) -> Option<String> {
    let circle = circle(needs)?;
    let place = [&[room.to_owned()], parent.as_slice()].concat().join("/");
    let proof: Vec<&str> =
        circle.windows(2).map(|pair| needs[&pair[0]][&pair[1]].as_str()).collect();
    Some(format!(
        "{place}: {} need each other in a circle ({}); move what both need into a module below them",
        circle.join(" -> "),
        proof.join(", ")
    ))
}

/// One circle, first name repeated at the end.
fn circle(needs: &Needs) -> Option<Vec<String>> {
    let mut open: BTreeSet<&String> = needs.keys().collect();
    while let Some(leaf) =
        open.iter().copied().find(|it| needs[*it].keys().all(|used| !open.contains(used)))
    {
        open.remove(leaf);
    }
    let mut walk: Vec<&String> = vec![open.first().copied()?];
    loop {
        let last = walk[walk.len() - 1];
        let next = needs[last].keys().find(|it| open.contains(it))?;
        if let Some(start) = walk.iter().position(|it| *it == next) {
            walk.push(next);
            return Some(walk[start..].iter().map(|it| (*it).clone()).collect());
        }
        walk.push(next);
    }
}

/// `agents/model/wire.rs` is the module `[model, wire]` of the room `agents`.
fn module_of(room: &str, path: &str) -> Module {
    let inside = path.strip_prefix(room).unwrap_or(path).trim_matches('/');
    let inside = inside.trim_end_matches(".rs");
    let mut module: Module = inside.split('/').map(str::to_owned).collect();
    if module.last().is_some_and(|it| it == "mod") || module == [DOOR] {
        module.pop();
    }
    module
}

mod cases {
    use super::circles;
    use crate::source::Source;

    fn found(files: &[(&str, &str)]) -> Vec<String> {
        let sources: Vec<Source> =
            files.iter().map(|(path, text)| Source::parse(path, text).expect("Rust")).collect();
        circles("room", &sources.iter().collect::<Vec<_>>())
    }

    #[test]
    fn a_circle_through_groups_is_found() {
        let found = found(&[
            ("room/lib.rs", "mod a; mod b; mod c;"),
            ("room/a.rs", "use crate::{\n    b::{B, More},\n    c::C,\n};"),
            ("room/b.rs", "fn f() -> usize { crate::c::size() }"),
            ("room/c.rs", "use super::a::A;"),
        ]);
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("room: a -> b -> c -> a need each other"), "{found:?}");
        assert!(found[0].contains("room/b.rs:1 needs `c`"), "{found:?}");
    }

    #[test]
    fn a_circle_through_the_door_is_found() {
        let door = "mod a;\nmod b;\npub use a::A;\npub use self::b::B as Renamed;";
        let found = found(&[
            ("room/lib.rs", door),
            ("room/a.rs", "use crate::Renamed;"),
            ("room/b.rs", "fn f(a: crate::A) {}"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn a_circle_inside_a_folder_is_found() {
        let found = found(&[
            ("room/lib.rs", "mod a;"),
            ("room/a/mod.rs", "mod x; mod y; pub use x::X;"),
            ("room/a/x.rs", "use super::y::Y;"),
            ("room/a/y.rs", "use super::X;"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
        assert!(found[0].starts_with("room/a: "), "{found:?}");
    }

    #[test]
    fn code_in_the_door_that_others_need_is_a_circle() {
        let found = found(&[
            ("room/lib.rs", "mod a;\npub fn go() { a::go() }"),
            ("room/a.rs", "fn go() { crate::go() }"),
        ]);
        assert_eq!(found.len(), 1, "{found:?}");
    }

    #[test]
    fn arrows_that_only_point_down_are_fine() {
        let found = found(&[
            ("room/lib.rs", "mod a;\nmod b;\npub use a::A;\npub use b::B;"),
            (
                "room/a.rs",
                "use crate::B;\nuse std::fmt;\n#[cfg(test)]\nmod tests { use crate::A; }",
            ),
            ("room/b.rs", "struct B;\n#[cfg(test)]\nmod tests { use crate::a::A; }"),
        ]);
        assert!(found.is_empty(), "{found:?}");
    }
}
