//! What a connection shows of the team, made anew whenever the team was read anew.

use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use callboard_config::Team;
use callboard_scheduler::Desk;
use callboard_tools::{Listing, Published, Toolset};
use rmcp::model::{Prompt, Resource, ResourceTemplate, Tool, ToolAnnotations};
use tokio::time::Instant;

use crate::resources::{prompt, resource, template};

/// The lists of one reading of the team.
pub(crate) struct Shown {
    team: Arc<Team>,
    /// When this reading took the place of another, if it did on this connection.
    made: Option<Instant>,
    /// When each list became what it is, likewise.
    since: [Option<Instant>; 3],
    pub(crate) tools: Toolset,
    pub(crate) listed: Vec<Tool>,
    pub(crate) resources: Vec<Resource>,
    pub(crate) templates: Vec<ResourceTemplate>,
    pub(crate) prompts: Vec<Prompt>,
}

/// A list of which a client may be told that it is another one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum List {
    Tools,
    Prompts,
    Resources,
}

/// All of them, in the order in which they are told.
pub(crate) const LISTS: [List; 3] = [List::Tools, List::Prompts, List::Resources];

/// The lists of the team as it is now.
pub(crate) struct Showcase {
    desk: Desk,
    shown: RwLock<Arc<Shown>>,
}

impl Showcase {
    pub(crate) fn new(desk: &Desk) -> Showcase {
        let shown = RwLock::new(Arc::new(Shown::of(desk.team())));
        Showcase { desk: desk.clone(), shown }
    }

    /// What is shown from now on: made anew if the team was replaced.
    pub(crate) fn now(&self) -> Arc<Shown> {
        let shown = self.shown.read().unwrap_or_else(PoisonError::into_inner).clone();
        let team = self.desk.team();
        if Arc::ptr_eq(&shown.team, &team) {
            return shown;
        }
        let mut fresh = Shown::of(team);
        fresh.made = Some(Instant::now());
        fresh.since = LISTS.map(|list| {
            if fresh.differs(list, &shown) { fresh.made } else { shown.since[list as usize] }
        });
        let fresh = Arc::new(fresh);
        *self.shown.write().unwrap_or_else(PoisonError::into_inner) = fresh.clone();
        fresh
    }
}

impl Shown {
    fn of(team: Arc<Team>) -> Shown {
        let (tools, listing) = (Toolset::of(&team), Listing::of(&team));
        Shown {
            made: None,
            since: [None; 3],
            listed: tools.published().iter().map(listed).collect(),
            tools,
            resources: listing.resources.iter().map(resource).collect(),
            templates: listing.templates.iter().map(template).collect(),
            prompts: listing.prompts.iter().map(prompt).collect(),
            team,
        }
    }

    /// Whether a list is another one here.
    pub(crate) fn differs(&self, list: List, other: &Shown) -> bool {
        match list {
            List::Tools => self.listed != other.listed,
            List::Prompts => self.prompts != other.prompts,
            List::Resources => self.resources != other.resources,
        }
    }

    /// Whether a list changed within this time.
    pub(crate) fn is_newer_than(&self, list: List, age: Duration) -> bool {
        self.since[list as usize].is_some_and(|it| it.elapsed() < age)
    }

    /// Whether the team was read anew within this time.
    pub(crate) fn was_made_within(&self, age: Duration) -> bool {
        self.made.is_some_and(|it| it.elapsed() < age)
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
