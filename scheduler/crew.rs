//! The team that is served, where it can be replaced, and what is told of it.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use callboard_agents::Hands;
use callboard_config::{Agent, AgentName, Team};
use callboard_trace::Event;
use tokio::sync::watch;

/// The team as it was read last, and the hands made for it.
pub(crate) struct Crew {
    served: watch::Sender<(Arc<Team>, Arc<Hands>)>,
    met: Met,
}

/// Agents kept for runs to share, by name; beyond it they are met anew.
const MET_MAX: usize = 256;

/// The agents of runs, as they were met last.
#[derive(Default)]
struct Met(Mutex<BTreeMap<AgentName, Arc<Agent>>>);

impl Met {
    fn one(&self, agent: Arc<Agent>) -> Arc<Agent> {
        let mut met = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match met.get(&agent.name) {
            Some(known) if *known == agent => known.clone(),
            Some(_) | None => {
                if met.len() >= MET_MAX {
                    met.clear();
                }
                met.insert(agent.name.clone(), agent.clone());
                agent
            }
        }
    }
}

impl Crew {
    pub(crate) fn new(team: Arc<Team>, hands: Hands) -> Crew {
        Crew { served: watch::Sender::new((team, Arc::new(hands))), met: Met::default() }
    }

    /// The team that new runs begin with.
    pub(crate) fn team(&self) -> Arc<Team> {
        self.served.borrow().0.clone()
    }

    /// What its agents reach the world with: one for all steps, of which ten thousand may wait.
    pub(crate) fn hands(&self) -> Arc<Hands> {
        self.served.borrow().1.clone()
    }

    /// Puts another team in its place; runs under way keep what they recorded.
    pub(crate) fn replace(&self, team: Arc<Team>, hands: Hands) {
        self.served.send_replace((team, Arc::new(hands)));
        self.met.0.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    pub(crate) fn reloads(&self) -> Reloads {
        Reloads(self.served.subscribe())
    }

    /// The same agent as one value for all runs that began with it: each journal tells it whole, and
    /// ten thousand runs need not hold ten thousand of it.
    pub(crate) fn one(&self, agent: Arc<Agent>) -> Arc<Agent> {
        self.met.one(agent)
    }
}

/// Hears of every team that takes the place of another.
pub struct Reloads(watch::Receiver<(Arc<Team>, Arc<Hands>)>);

impl Reloads {
    /// Resolves when the team was replaced since the last call, or since this was made.
    pub async fn next(&mut self) {
        if self.0.changed().await.is_err() {
            // The house is gone, and so will be whoever waits here.
            std::future::pending::<()>().await;
        }
    }
}

/// That this team is the one that new runs begin with.
pub(crate) fn loaded(team: &Team) -> Event {
    Event::TeamLoaded {
        files: team.files.clone(),
        agents: team.agents.keys().cloned().collect(),
        problems: team.problems.iter().map(ToString::to_string).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_agents_are_kept_once_and_others_as_they_are() {
        let (met, first) = (Met::default(), crate::plan::leader());
        let one = |agent: &Agent| met.one(Arc::new(agent.clone()));
        let kept = one(&first);
        assert!(Arc::ptr_eq(&kept, &one(&first)));
        let other = Agent { description: "another".into(), ..first.clone() };
        assert_eq!(*one(&other), other);
        assert_eq!(*one(&first), first);
    }
}
