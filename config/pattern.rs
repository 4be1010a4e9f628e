//! Whether a pattern such as `Bash(git status:*)` fits what a call wants to do.

use crate::nearest::did_you_mean;
use crate::permission::Act;
use crate::select::{fits, selects};

/// The tools that patterns may name beside those of tool servers, and the class of each.
const TOOLS: [(&str, Act); 11] = [
    ("Bash", Act::Run),
    ("Read", Act::Read),
    ("Grep", Act::Read),
    ("Glob", Act::Read),
    ("LS", Act::Read),
    ("Write", Act::Write),
    ("Edit", Act::Write),
    ("MultiEdit", Act::Write),
    ("NotebookEdit", Act::Write),
    ("WebFetch", Act::Fetch),
    ("WebSearch", Act::Fetch),
];
/// How a tool of a server begins.
const OF_SERVERS: &str = "mcp__";
/// How the argument of `WebFetch` begins.
const DOMAIN: &str = "domain:";
/// Words before what a command is to do.
const OPTIONS: usize = 32;
/// Folders of a path that is looked at.
const PARTS: usize = 256;

/// What one call wants to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deed {
    /// Its class.
    pub act: Act,
    /// The tool, as the model calls it.
    pub tool: String,
    /// What it is done to.
    pub object: Object,
}

impl Deed {
    /// The same with one of its commands.
    pub(crate) fn of_one(&self, command: &[String]) -> Deed {
        let object = Object::Commands(Some(vec![command.to_vec()]));
        Deed { act: self.act, tool: self.tool.clone(), object }
    }
}

/// What a deed is done to, as patterns tell it apart.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Object {
    /// Nothing that patterns know.
    Any,
    /// The simple commands of a line, each as its words; `None` = that cannot be told, as where one
    /// runs others.
    Commands(Option<Vec<Vec<String>>>),
    /// A path; `None` = that cannot be told.
    Path(Option<String>),
    /// Everything that stands below a path is read.
    Below(Option<String>),
    /// A host on the network; `None` = that cannot be told.
    Host(Option<String>),
}

/// Whether a pattern fits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fit {
    Yes,
    No,
    /// It may, and nobody can tell.
    Maybe,
}

/// The class of act that a pattern speaks of; `None` for tools of servers, which differ.
pub(crate) fn act_of_tool(pattern: &str) -> Option<Act> {
    let tool = parts(pattern).0;
    TOOLS.iter().find(|it| it.0 == tool).map(|it| it.1)
}

/// What is wrong with a pattern, if something is, and the way out.
pub(crate) fn problem(pattern: &str) -> Option<(String, String)> {
    let (tool, argument) = parts(pattern);
    let names = TOOLS.map(|it| it.0);
    if argument.is_some() && !pattern.trim_end().ends_with(')') {
        return Some(("its bracket is not closed".to_owned(), format!("write `{pattern})`")));
    }
    if tool.strip_prefix(OF_SERVERS).is_some_and(|it| it.is_empty() || it.starts_with('_')) {
        let said = "it names no server".to_owned();
        return Some((said, "write `mcp__SERVER__TOOL`, or `mcp__*` for all".to_owned()));
    }
    if tool.starts_with(OF_SERVERS) {
        let said = "tools of servers take no argument".to_owned();
        return argument.map(|_| (said, format!("write `{tool}`")));
    }
    if !names.contains(&tool) {
        let near = did_you_mean(tool, names);
        let help = format!("write one of {}, or `mcp__SERVER__TOOL`", names.join(", "));
        return Some((format!("there is no tool `{tool}`{near}"), help));
    }
    let argument = argument?;
    let said = |it: &str, help: &str| Some((it.to_owned(), help.to_owned()));
    match tool {
        _ if argument.is_empty() => said("it names nothing", "leave the brackets out"),
        "WebSearch" => said("`WebSearch` takes no argument", "leave it out"),
        "WebFetch" if !argument.starts_with(DOMAIN) && argument != "*" => {
            said("it is no domain", "write `WebFetch(domain:docs.rs)`")
        }
        "WebFetch" if argument.trim_end() == DOMAIN => {
            said("it names no host", "write `WebFetch(domain:docs.rs)`")
        }
        "WebFetch" => None,
        "Bash" => line(argument),
        _ if argument.starts_with('~') || argument.split('/').any(|it| it == "..") => {
            said("its path leaves the folder", "write it from the team's root")
        }
        _ if argument.contains(['?', '[', ']', '{', '}', '!', '\\']) => {
            said("its path knows only `*` and `**`", "write a pattern for each case")
        }
        _ => None,
    }
}

/// What is wrong with the words of a pattern for commands: what would never fit.
fn line(argument: &str) -> Option<(String, String)> {
    let joins = |it: &str| {
        ["&&", "||", "|", "&", ";"].contains(&it)
            || it.ends_with(';')
            || it.starts_with(['>', '<'])
            || it.contains("$(")
            || it.contains('`')
    };
    if argument.split_whitespace().any(joins) {
        let said = "a line is taken apart first, so it never fits".to_owned();
        return Some((said, "write a pattern for each command".to_owned()));
    }
    let head = argument.strip_suffix(":*")?;
    head.split_whitespace().any(|it| it == "*").then(|| {
        let said = "behind another `*` the word before `:*` is a whole one".to_owned();
        (said, format!("write `Bash({head} *)`, or `Bash({head}* *)` for words that begin so"))
    })
}

/// Whether a pattern fits a deed. Loosely where that makes it more careful: what allows something
/// has to fit to the letter, what forbids it also fits in disguise.
pub(crate) fn fit(pattern: &str, deed: &Deed, loosely: bool) -> Fit {
    let (tool, argument) = parts(pattern);
    if tool.starts_with(OF_SERVERS) {
        return of(selects(&[tool.to_owned()], &deed.tool));
    }
    if !covers(tool, &deed.tool, argument.is_some()) {
        return Fit::No;
    }
    let Some(argument) = argument.filter(|it| *it != "*") else { return Fit::Yes };
    let unclear = if loosely { Fit::Maybe } else { Fit::No };
    match &deed.object {
        Object::Any
        | Object::Commands(None)
        | Object::Path(None)
        | Object::Below(None)
        | Object::Host(None) => unclear,
        Object::Commands(Some(all)) => {
            let one = |it: &Vec<String>| command(argument, it, loosely);
            all.first().map_or(unclear, one)
        }
        Object::Path(Some(path)) => match normal(path) {
            Some(path) => of(place(argument, &path, loosely)),
            None => unclear,
        },
        Object::Below(Some(path)) => match normal(path) {
            Some(path) => below(argument, &path, loosely),
            None => unclear,
        },
        Object::Host(Some(host)) => of(domain(argument, host, loosely)),
    }
}

/// Whether the tools of an agent have this one, if they name it with arguments only. `None` if
/// they do not narrow it.
pub(crate) fn narrowed(tools: &[String], deed: &Deed) -> Option<bool> {
    let narrow = |it: &&String| it.contains('(') && covers(parts(it).0, &deed.tool, true);
    let narrow: Vec<&String> = tools.iter().filter(narrow).collect();
    let is_whole = || tools.iter().any(|it| !it.contains('(') && fits(it, &deed.tool));
    if narrow.is_empty() || is_whole() {
        return None;
    }
    let fits = |deed: &Deed| narrow.iter().any(|it| fit(it, deed, false) == Fit::Yes);
    let Object::Commands(Some(commands)) = &deed.object else { return Some(fits(deed)) };
    Some(commands.iter().all(|it| fits(&deed.of_one(it))))
}

/// The tool and, in brackets, the argument.
fn parts(pattern: &str) -> (&str, Option<&str>) {
    match pattern.split_once('(') {
        Some((tool, rest)) => {
            (tool.trim(), Some(rest.trim_end().strip_suffix(')').unwrap_or(rest).trim()))
        }
        None => (pattern.trim(), None),
    }
}

/// Who may edit a file may also write it whole, and who reads may search.
fn covers(named: &str, tool: &str, with_argument: bool) -> bool {
    let edits = ["Write", "Edit", "MultiEdit", "NotebookEdit"];
    named == tool
        || named == "Edit" && edits.contains(&tool)
        || named == "Write" && with_argument && edits.contains(&tool)
        || named == "Read" && ["Grep", "Glob", "LS"].contains(&tool)
}

fn of(fits: bool) -> Fit {
    if fits { Fit::Yes } else { Fit::No }
}

/// Words against words: `*` stands for any number of them, and inside a word for any letters.
fn command(argument: &str, words: &[String], loosely: bool) -> Fit {
    let (argument, is_head) = match argument.strip_suffix(":*") {
        Some(head) => (head, true),
        None => (argument, false),
    };
    let many = |it| if it == "*" { "**" } else { it };
    let pattern: Vec<&str> =
        argument.split_whitespace().map(many).chain(is_head.then_some("**")).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    of(walk(&pattern, &words) || loosely && disguised(&words).any(|it| walk(&pattern, &it)))
}

/// A command as it is too: its program without its folder, and without the options that stand before
/// what it is to do, each with a value or without. `git -C x push` is `git push`.
fn disguised<'a>(words: &[&'a str]) -> impl Iterator<Item = Vec<&'a str>> {
    let mut heads = vec![1];
    let mut at = 0;
    while let Some(&head) = heads.get(at) {
        let option = words.get(head).filter(|it| it.starts_with(['-', '+']));
        let after = option.map_or(0..0, |it| head + 1..head + 2 + usize::from(!it.contains('=')));
        let is_new = |it: &usize| !heads.contains(it) && *it <= words.len().min(OPTIONS);
        let new: Vec<usize> = after.filter(is_new).collect();
        heads.extend(new);
        at += 1;
    }
    let first = words.first().map(|it| program(it));
    let rest = |head: usize| words.get(head..).unwrap_or_default();
    let all: Option<Vec<_>> =
        first.map(|first| heads.into_iter().map(|it| [&[first], rest(it)].concat()).collect());
    all.unwrap_or_default().into_iter()
}

/// `/bin/rm` and `\rm` are `rm`.
fn program(word: &str) -> &str {
    word.rsplit(['/', '\\']).next().unwrap_or(word)
}

/// Parts against parts: `**` stands for any number of them.
fn walk(pattern: &[&str], parts: &[&str]) -> bool {
    let (mut at, mut here, mut many) = (0, 0, None);
    while here < parts.len() {
        match (pattern.get(at), many) {
            (Some(&"**"), _) => {
                many = Some((at, here));
                at += 1;
            }
            (Some(one), _) if fits(one, parts[here]) => (at, here) = (at + 1, here + 1),
            // The last `**` takes one more.
            (_, Some((before, from))) => {
                (at, here) = (before + 1, from + 1);
                many = Some((before, here));
            }
            (_, None) => return false,
        }
    }
    pattern[at..].iter().all(|it| *it == "**")
}

/// A path without `.` and `..`; one that begins with `/` keeps an empty part at its head. `None` if
/// it leads out of where it begins, or is longer than paths are.
fn normal(path: &str) -> Option<Vec<&str>> {
    let mut parts: Vec<&str> = Vec::new();
    let root = usize::from(path.starts_with('/'));
    parts.extend(path.starts_with('/').then_some(""));
    for part in path.split(['/', '\\']).filter(|it| !it.is_empty() && *it != ".") {
        if part != ".." {
            parts.push(part);
        } else if parts.len() > root {
            parts.pop();
        } else {
            return None;
        }
    }
    Some(parts).filter(|it| it.len() <= PARTS)
}

/// The parts of a written path: `//etc` is the machine's, `/src` and `src` the root's.
fn written(argument: &str) -> (bool, Vec<&str>) {
    let is_whole = argument.starts_with("//");
    let parts = argument.split('/').filter(|it| !it.is_empty() && *it != ".");
    let folder = argument.ends_with('/').then_some("**");
    (is_whole, is_whole.then_some("").into_iter().chain(parts).chain(folder).collect())
}

fn place(argument: &str, path: &[&str], loosely: bool) -> bool {
    let (is_whole, pattern) = written(argument);
    let is_absolute = path.first() == Some(&"");
    if walk(&pattern, path) {
        return true;
    }
    // A name alone is meant in every folder, and where the root is nobody knows here.
    let floats = !is_whole && (pattern.len() == 1 || is_absolute);
    let starts = if floats { 0..path.len() } else { 0..path.len().min(1) };
    let ends = |from: usize| (from + 1..=path.len()).map(move |to| (from, to));
    loosely && starts.flat_map(ends).any(|(from, to)| walk(&pattern, &path[from..to]))
}

/// Whether all below a path is meant, or for a careful one anything there may be.
fn below(argument: &str, path: &[&str], loosely: bool) -> Fit {
    let (is_whole, pattern) = written(argument);
    if !loosely {
        return of(pattern.last() == Some(&"**") && walk(&pattern, path));
    }
    if place(argument, path, true) {
        return Fit::Yes;
    }
    let is_absolute = path.first() == Some(&"");
    let mut heads = pattern.iter().zip(path).take_while(|(it, _)| **it != "**");
    let may = pattern.len() == 1 || is_absolute != is_whole || heads.all(|(it, at)| fits(it, at));
    if may { Fit::Maybe } else { Fit::No }
}

fn domain(argument: &str, host: &str, loosely: bool) -> bool {
    let wanted = argument.strip_prefix(DOMAIN).unwrap_or(argument).trim().to_ascii_lowercase();
    let host = host.trim_end_matches('.').to_ascii_lowercase();
    let is_under = || host.strip_suffix(&wanted).is_some_and(|it| it.ends_with('.'));
    fits(&wanted, &host) || loosely && is_under()
}
