//! The team's files under watch: a change is served within a second, a broken team file never.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use callboard_config::load::{Footprint, footprint};
use callboard_config::{Problem, Problems, Severity, Team, load_here};
use callboard_trace::Fact;
use notify::{RecommendedWatcher, RecursiveMode, Watcher as _};
use tokio::sync::Notify;

use crate::crew::loaded;
use crate::hands::hands;
use crate::house::House;
use crate::playbook_problems;

/// Between two looks at the files, where the system tells of no change.
const LOOK: Duration = Duration::from_secs(5);
/// How long the files must be left alone before they are read: editors write in several steps.
const QUIET: Duration = Duration::from_millis(150);
/// Looks for that quiet; files that are written all the time are read all the same.
const LOOKS_MAX: usize = 10;

/// Reads the team at `place` anew whenever its files change, until the process is to go.
pub(crate) async fn watch(house: Arc<House>, place: PathBuf) {
    tokio::select! {
        () = house.stopping.cancelled() => (),
        () = follow(&house, &place) => (),
    }
}

async fn follow(house: &House, place: &Path) {
    let hint = Arc::new(Notify::new());
    let mut eyes = Eyes::open(&hint);
    let mut seen = Footprint::default();
    loop {
        let found = look(house, place).await;
        if found != seen {
            eyes.turn_to(&found.folders);
            seen = settled(house, place, found).await;
            reload(house, place).await;
            continue;
        }
        tokio::select! {
            () = hint.notified() => (),
            () = tokio::time::sleep(LOOK) => (),
        }
    }
}

async fn look(house: &House, place: &Path) -> Footprint {
    let (place, team) = (place.to_path_buf(), house.crew.team());
    let look = tokio::task::spawn_blocking(move || footprint(&place, &team));
    look.await.unwrap_or_default()
}

/// The files as they are once nobody writes them any more.
async fn settled(house: &House, place: &Path, mut found: Footprint) -> Footprint {
    for _ in 0..LOOKS_MAX {
        tokio::time::sleep(QUIET).await;
        let before = std::mem::replace(&mut found, look(house, place).await);
        if found == before {
            break;
        }
    }
    found
}

/// Puts the team as it is written now in the place of the old one, if that makes a difference.
async fn reload(house: &House, place: &Path) {
    let path = place.to_path_buf();
    let Ok(read) = tokio::task::spawn_blocking(move || load_here(&path)).await else { return };
    let old = house.crew.team();
    let team = match read {
        Ok(mut team) => {
            team.trust_like(&old);
            team.problems.extend(stays(&old, &team, place));
            successor(&old, team)
        }
        Err(problems) => Team { problems: kept(place, problems), ..(*old).clone() },
    };
    let same_secrets = team.secrets() == old.secrets();
    if team.files == old.files && team.problems == old.problems && same_secrets {
        return;
    }
    // First of all, so that no record can hold a new key.
    house.store.learn(&team.secrets());
    let is_same = same_secrets
        && reached(&team) == reached(&old)
        && team.limits == old.limits
        && team.bounds == old.bounds
        && team.ranking.synonyms == old.ranking.synonyms;
    let hands = match is_same {
        true => (*house.crew.hands()).clone(),
        false => hands(&team, &house.data, &house.store, house.keeper.clone(), &house.world),
    };
    for problem in team.problems.iter().filter(|it| !old.problems.contains(it)) {
        tracing::warn!("{problem}");
    }
    let fact = Fact::new(house.node.as_str(), loaded(&team));
    if let Err(error) = house.store.note(&house.node, vec![fact]).await {
        tracing::warn!(%error, "could not write that the team was read anew");
    }
    tracing::info!(agents = team.agents.len(), problems = team.problems.len(), "read anew");
    house.crew.replace(Arc::new(team), hands);
}

/// The new team, with the endpoints that only the old one names: runs under way may ask them.
fn successor(old: &Team, mut team: Team) -> Team {
    let problems = playbook_problems(&team);
    team.problems.extend(problems);
    for (name, provider) in &old.providers {
        team.providers.entry(name.clone()).or_insert_with(|| provider.clone());
    }
    team.database.clone_from(&old.database);
    team
}

/// A process keeps to the store it began on: what is told if its team names another now.
fn stays(old: &Team, team: &Team, place: &Path) -> Option<Problem> {
    let is_same = match (&old.database, &team.database) {
        (Some(old), Some(new)) => old.named || old.is_same(new),
        (Some(old), None) => old.named,
        (None, new) => new.is_none(),
    };
    (!is_same).then(|| Problem {
        file: team.origins.get("store").map_or(place, |it| &it.0).to_path_buf(),
        line: team.origins.get("store").map_or(0, |it| it.1),
        message: "`store` is another now; this process keeps to the one it began with".into(),
        help: Some("start every process of this team again".into()),
        severity: Severity::Warning,
    })
}

/// What the team reaches outside, as text; secrets do not print themselves.
fn reached(team: &Team) -> String {
    format!("{:?} {:?} {:?}", team.providers, team.servers, team.bash)
}

fn kept(place: &Path, problems: Problems) -> Vec<Problem> {
    let told = Problem {
        file: place.to_path_buf(),
        line: 0,
        message: "the team cannot be read anew; it is served as it was before".into(),
        help: Some("mend what is named beside this; the files are read again at once".into()),
        severity: Severity::Error,
    };
    // What a broken file leads to, such as a missing endpoint, is not worth a warning.
    let errors = problems.0.into_iter().filter(|it| it.severity == Severity::Error);
    std::iter::once(told).chain(errors).collect()
}

/// Hears from the system that something in a folder changed, where the system can tell.
struct Eyes {
    watcher: Option<RecommendedWatcher>,
    on: BTreeSet<PathBuf>,
}

impl Eyes {
    fn open(hint: &Arc<Notify>) -> Eyes {
        let hint = Arc::clone(hint);
        let heard = move |event: notify::Result<notify::Event>| {
            // Our own reading is an event too.
            if !event.is_ok_and(|it| it.kind.is_access()) {
                hint.notify_one();
            }
        };
        let watcher = notify::recommended_watcher(heard);
        let told = |error: &notify::Error| {
            tracing::debug!(%error, "no word of changed files; they are looked at now and then");
        };
        Eyes { watcher: watcher.inspect_err(told).ok(), on: BTreeSet::new() }
    }

    /// Watches these folders and no others. All of them anew: a folder that was removed and made
    /// again is another one to the system.
    fn turn_to(&mut self, folders: &BTreeSet<PathBuf>) {
        let Some(watcher) = &mut self.watcher else { return };
        for gone in self.on.difference(folders) {
            // Where the folder is gone, its watch went with it.
            let _ = watcher.unwatch(gone);
        }
        for folder in folders {
            if let Err(error) = watcher.watch(folder, RecursiveMode::NonRecursive) {
                tracing::debug!(%error, folder = %folder.display(), "not watched");
            }
        }
        self.on.clone_from(folders);
    }
}
