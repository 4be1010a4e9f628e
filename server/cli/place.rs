//! Where the team is, where its work is, and the node that joins the two.

use std::path::{Path, PathBuf};
use std::time::Duration;

use callboard_config::Team;
use callboard_config::database::Database;
use callboard_config::servers::Trust;
use callboard_scheduler::{Node, NodeOptions, World};
use callboard_trace::Caller;
use clap::Args;
use directories::ProjectDirs;
use sha2::{Digest, Sha256};

use super::fault::{Fault, Result};
use super::say::Say;
use crate::ending::asked_to_stop;
use crate::veil;

/// The file of a journal in its folder.
pub(crate) const STORE: &str = "callboard.sqlite";
/// Characters of a team's folder that the name of its data folder begins with.
const NAME_CHARS: usize = 40;
/// Most that giving the leases back may take.
const LEAVE: Duration = Duration::from_millis(900);

/// Where the team and its work are.
#[derive(Args, Clone, Debug)]
pub(crate) struct Where {
    /// Folder with team.yaml or agents/, or a file in it [default: here, else the user's own folder]
    #[arg(long, value_name = "DIR")]
    pub(crate) team: Option<PathBuf>,
    /// Folder of the journal [default: $CALLBOARD_DATA, else the team's own]
    #[arg(long, value_name = "DIR")]
    pub(crate) data: Option<PathBuf>,
    /// PostgreSQL server of the journal: env:NAME, file:PATH or an address without a password
    /// [default: `store` of team.yaml, else a file in the data folder]
    #[arg(long, value_name = "STORE")]
    pub(crate) store: Option<String>,
}

/// Whom every command works for: one data folder belongs to one user.
pub(crate) fn caller() -> Caller {
    Caller {
        principal: "local".to_owned(),
        client: "callboard".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        transport: "cli".to_owned(),
    }
}

/// Where the team is: the named place (a folder or a file), else this folder, else the user's own.
///
/// # Errors
/// When there is no team in any of them.
pub(crate) fn team_folder(named: Option<&Path>) -> Result<PathBuf> {
    if let Some(named) = named {
        return if named.exists() {
            Ok(named.to_path_buf())
        } else {
            let shown = named.display();
            let help = match named.extension() {
                Some(_) => "name a team's folder, or a file such as its team.yaml".to_owned(),
                None => format!("write a team there with `callboard init {shown}`"),
            };
            Err(Fault::call(format!("there is no team at {shown}"), help))
        };
    }
    let user = dirs().map(|it| it.config_dir().to_path_buf());
    let mut places: Vec<PathBuf> = vec![PathBuf::from(".")];
    places.extend(user);
    let found = places.iter().find(|it| callboard_config::holds_a_team(it));
    found.cloned().ok_or_else(|| {
        let looked: Vec<String> = places.iter().map(|it| it.display().to_string()).collect();
        Fault::call(
            format!("there is no team.yaml and no agents/ in {}", looked.join(" or ")),
            "write a team here with `callboard init`, or name the folder of one",
        )
    })
}

/// The team, checked.
///
/// # Errors
/// When its files do not hold; agents left out are no error and stand in `Team::problems`.
pub(crate) fn team(place: &Where) -> Result<Team> {
    let folder = team_folder(place.team.as_deref())?;
    let mut team = callboard_config::load_here(&folder).map_err(Fault::Problems)?;
    team.trust(&Trust::read(&data(place)?, place.team.is_some()));
    if let Some(named) = named_store(place)? {
        team.database = Some(named);
    }
    Ok(team)
}

/// The database that was named, if one was.
fn named_store(place: &Where) -> Result<Option<Database>> {
    let named = place.store.as_deref();
    let named = named.map(|it| callboard_config::load::database_named("--store", it));
    named.transpose().map_err(Fault::Problems)
}

/// Where the journal is, also where no team holds: nothing if in a file of the data folder.
///
/// # Errors
/// When what was named or written is no database, or nobody can tell whether one was written.
pub(crate) fn database(place: &Where) -> Result<Option<Database>> {
    match (named_store(place)?, team_folder(place.team.as_deref())) {
        (None, Ok(folder)) => {
            callboard_config::load::database_here(&folder).map_err(Fault::Problems)
        }
        (named, _) => Ok(named),
    }
}

/// The folder of the journal. The store makes it, so that nobody else can look into it.
///
/// # Errors
/// When there is no place for it.
pub(crate) fn data(place: &Where) -> Result<PathBuf> {
    data_folder(place.data.as_deref(), team_folder(place.team.as_deref()).ok().as_deref())
}

/// Whether a text names a folder, and neither is an address nor was meant as one: what is mistyped may
/// hold a password, which is not to become the name of a folder.
pub(crate) fn is_folder(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    !(text.contains("://") || text.starts_with("env:") || text.starts_with("file:"))
}

/// The named folder, else the one the environment names, else the team's own in the user's.
///
/// # Errors
/// When there is no place for it, or an address stands in its place.
pub(crate) fn data_folder(named: Option<&Path>, team: Option<&Path>) -> Result<PathBuf> {
    let said = named.map(Path::to_path_buf).or_else(named_data);
    if said.as_ref().is_some_and(|it| !is_folder(&it.to_string_lossy())) {
        return Err(Fault::call(
            "the data folder that was named is an address".to_owned(),
            "name a folder as `--data` or CALLBOARD_DATA, and a database as `--store env:NAME`",
        ));
    }
    said.or_else(|| dirs().map(|it| of_team(it.data_dir(), team)))
        .ok_or_else(|| Fault::call("this user has no data folder", "name one with `--data DIR`"))
}

fn named_data() -> Option<PathBuf> {
    let said = callboard_config::environment("CALLBOARD_DATA");
    said.filter(|it| !it.is_empty()).map(PathBuf::from)
}

/// The folder of a team within the user's: whoever serves one team does no work of another, with other
/// files and other models. A journal from when there was one for all stays the one of all.
fn of_team(user: &Path, team: Option<&Path>) -> PathBuf {
    let Some(team) = team.filter(|_| !user.join(STORE).exists()) else {
        return user.to_path_buf();
    };
    let folder = if team.is_dir() { Some(team) } else { team.parent() };
    let folder = folder.filter(|it| !it.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let whole = std::path::absolute(folder).unwrap_or_else(|_| folder.to_path_buf());
    let whole = whole.canonicalize().unwrap_or(whole);
    let hash = Sha256::digest(whole.as_os_str().as_encoded_bytes());
    let name = whole.file_name().unwrap_or_default().to_string_lossy();
    let name: String =
        name.chars().filter(|it| it.is_alphanumeric() || "-_.".contains(*it)).collect();
    let name: String = name.trim_matches('.').chars().take(NAME_CHARS).collect();
    let mark: String = hash.iter().take(4).map(|it| format!("{it:02x}")).collect();
    user.join("teams").join(format!("{name}-{mark}").trim_start_matches('-'))
}

/// Joins the work in the data folder; `work: false` looks and asks only.
///
/// # Errors
/// When the team does not hold or the journal cannot be opened.
pub(crate) async fn node(place: &Where, work: bool) -> Result<Node> {
    let keeper = std::env::current_exe().ok();
    let team = team(place)?;
    veil::learn(&team);
    let options = NodeOptions { team, data: data(place)?, work, keeper, world: World::real() };
    Node::start(options).await.map_err(Fault::Start)
}

/// As `node`, and reads the team anew whenever its files change.
///
/// # Errors
/// As `node`.
pub(crate) async fn watching(place: &Where, work: bool) -> Result<Node> {
    let folder = team_folder(place.team.as_deref())?;
    let mut node = node(place, work).await?;
    node.watch(folder);
    Ok(node)
}

/// A node that only looks and tells. It needs no team: where none holds, the journal still does.
///
/// # Errors
/// When a team was named that is not there, or the journal cannot be opened.
pub(crate) async fn looking<T>(
    place: &Where,
    look: impl AsyncFnOnce(&mut Node) -> Result<T>,
) -> Result<T> {
    let team = match team_folder(place.team.as_deref()) {
        Ok(_) => match team(place) {
            Err(Fault::Problems(problems)) => {
                Team { database: database(place)?, ..Team::nobody(problems.0) }
            }
            held => held?,
        },
        Err(fault) if place.team.is_some() || !is_said(place)? => return Err(fault),
        Err(_) => Team { database: named_store(place)?, ..Team::nobody(Vec::new()) },
    };
    veil::learn(&team);
    let options =
        NodeOptions { team, data: data(place)?, work: false, keeper: None, world: World::real() };
    let mut node = Node::start(options).await.map_err(Fault::Start)?;
    let done = look(&mut node).await;
    node.stop().await;
    done
}

/// Whether it is said where the journal is, without a word of a team.
///
/// # Errors
/// As [`data`].
pub(crate) fn is_said(place: &Where) -> Result<bool> {
    let is_named = place.data.is_some() || place.store.is_some() || named_data().is_some();
    Ok(is_named || data(place)?.join(STORE).exists())
}

/// A command to go on with, in the same place as this one.
pub(crate) fn command(place: &Where, verb: &str) -> String {
    let mut text = format!("callboard {verb}");
    let shown = |it: &Option<PathBuf>| it.as_ref().map(|it| it.display().to_string());
    let (team, data) = (shown(&place.team), shown(&place.data));
    for (name, typed) in [("--team", team), ("--data", data), ("--store", place.store.clone())] {
        if let Some(typed) = typed {
            text.push_str(&format!(" {name} {}", quoted(&typed)));
        }
    }
    text
}

/// As a shell takes it.
pub(crate) fn quoted(text: &str) -> String {
    let plain = |it: char| it.is_ascii_alphanumeric() || "/\\:._-+".contains(it);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}

/// Lets the steps under way take so long; who asks once more to stop does not wait for them.
pub(crate) async fn drain(node: &Node, grace: Duration, say: Say) {
    if grace.is_zero() {
        return;
    }
    if node.held() > 0 {
        let seconds = grace.as_secs();
        say.tell(&format!(
            "waiting {seconds} s at most for the steps under way; Ctrl-C ends it now"
        ));
    }
    tokio::select! {
        () = node.drain() => {}
        () = asked_to_stop() => {}
        () = tokio::time::sleep(grace) => {}
    }
}

/// Gives every lease back; who asks once more to stop does not wait for it.
pub(crate) async fn leave(node: Node, say: Say) {
    tokio::select! {
        () = node.stop() => {}
        () = asked_to_stop() => {}
        () = tokio::time::sleep(LEAVE) => {
            say.complain("the journal did not answer in time; leases run out by themselves");
        }
    }
}

fn dirs() -> Option<ProjectDirs> {
    ProjectDirs::from("", "", "callboard")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_team_has_a_data_folder_of_its_own_however_it_is_named() {
        let home = tempfile::tempdir().unwrap();
        let (user, one, other) =
            (home.path().join("data"), home.path().join("a team!"), home.path().join("b/a team!"));
        for folder in [&one, &other] {
            std::fs::create_dir_all(folder).unwrap();
            std::fs::write(folder.join("team.yaml"), "").unwrap();
        }
        let of = |team: &Path| of_team(&user, Some(team));
        let shown = of(&one).file_name().unwrap().to_string_lossy().into_owned();
        assert!(shown.starts_with("ateam-") && shown.len() == 14, "{shown}");
        assert_eq!(of(&one), of(&one.join("team.yaml")));
        assert_eq!(of(&one), of(&other.join("../../a team!")));
        assert_ne!(of(&one), of(&other), "another place with the same name");
        assert_eq!(of_team(&user, None), user);
        std::fs::create_dir_all(&user).unwrap();
        std::fs::write(user.join(STORE), "").unwrap();
        assert_eq!(of(&one), user, "there is a journal of all teams");
    }

    #[test]
    fn a_command_to_go_on_with_names_the_same_place() {
        let mut place = Where { team: None, data: None, store: None };
        assert_eq!(command(&place, "work"), "callboard work");
        place.data = Some("it's here".into());
        place.team = Some("team".into());
        assert_eq!(command(&place, "work"), r"callboard work --team team --data 'it'\''s here'");
        (place.data, place.store) = (None, Some("env:STORE".into()));
        assert_eq!(command(&place, "work"), "callboard work --team team --store env:STORE");
    }
}
