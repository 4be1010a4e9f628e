//! What a connection shows of the team, made anew whenever the team was read anew.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use callboard_config::Team;
use callboard_scheduler::Desk;
use callboard_tools::{Published, Toolset};
use rmcp::model::{Tool, ToolAnnotations};
use tokio::time::Instant;

/// The tools of one reading of the team.
pub(crate) struct Shown {
    team: Arc<Team>,
    /// When the list became what it is, if it ever was another on this connection.
    since: Option<Instant>,
    pub(crate) tools: Toolset,
    pub(crate) listed: Vec<Tool>,
}

/// The tools of the team as it is now.
pub(crate) struct Showcase(RwLock<Arc<Shown>>);

impl Showcase {
    pub(crate) fn new(desk: &Desk) -> Showcase {
        Showcase(RwLock::new(Arc::new(Shown::of(desk.team()))))
    }

    /// What is shown from now on: made anew if the team was replaced.
    pub(crate) fn now(&self, desk: &Desk) -> Arc<Shown> {
        let shown = self.0.read().unwrap_or_else(PoisonError::into_inner).clone();
        let team = desk.team();
        if Arc::ptr_eq(&shown.team, &team) {
            return shown;
        }
        let mut fresh = Shown::of(team);
        let is_another = fresh.listed != shown.listed;
        fresh.since = if is_another { Some(Instant::now()) } else { shown.since };
        let fresh = Arc::new(fresh);
        *self.0.write().unwrap_or_else(PoisonError::into_inner) = fresh.clone();
        fresh
    }
}

impl Shown {
    fn of(team: Arc<Team>) -> Shown {
        let tools = Toolset::of(&team);
        let listed = tools.published().iter().map(listed).collect();
        Shown { team, since: None, tools, listed }
    }

    /// Whether the list changed within this time.
    pub(crate) fn is_newer_than(&self, age: Duration) -> bool {
        self.since.is_some_and(|it| it.elapsed() < age)
    }
}

fn listed(tool: &Published) -> Tool {
    let hints = tool.annotations;
    let listed = Tool::new(tool.name.clone(), tool.description.clone(), tool.input_schema.clone());
    if hints.says_nothing() {
        return listed;
    }
    listed.with_annotations(ToolAnnotations::from_raw(
        None,
        hints.read_only_hint,
        hints.destructive_hint,
        hints.idempotent_hint,
        hints.open_world_hint,
    ))
}
