//! A resource under watch: whether what it says may be another since it was looked at last.

use std::sync::Arc;
use std::time::Duration;

use callboard_config::Team;
use callboard_scheduler::Desk;
use callboard_trace::{Caller, RunId};

use crate::check::Result;
use crate::resource::{Reading, of_files, parsed, read};
use crate::uri::Uri;

/// One resource and the mark it had.
#[derive(Clone)]
pub struct Watched {
    caller: Caller,
    of: Uri,
    mark: Mark,
}

/// What tells that a resource has changed, without reading it.
#[derive(Clone)]
enum Mark {
    /// A run's tree has another record.
    Run(RunId, u64),
    /// One of the caller's runs has another record, or the team was read anew.
    Mine(u64, Arc<Team>),
    /// The team's files say something else.
    Files(Arc<Team>, String),
    /// It stays as it is.
    Never,
}

impl Watched {
    /// Looks at a resource for the first time. Answers also whether it changed within this time.
    ///
    /// # Errors
    /// As reading it: `not_found` for what is not there or somebody else's; `engine_unavailable`.
    pub async fn begin(
        desk: &Desk,
        uri: &str,
        caller: &Caller,
        within: Duration,
    ) -> Result<(Watched, bool)> {
        let of = parsed(uri)?;
        let team = desk.team();
        let watched = |of: Uri, mark: Mark| Watched { caller: caller.clone(), of, mark };
        if let Some(said) = of_files(&team, &of) {
            return Ok((watched(of, Mark::Files(team, said?.0)), false));
        }
        let (mark, age) = match &of {
            Uri::Run(run) | Uri::Part(run, _) => {
                let (mark, age) = desk.newest_under(run, caller).await?;
                (Mark::Run(run.clone(), mark), Some(age))
            }
            Uri::Artifact(..) | Uri::Named(_) => {
                let reading = Reading { uri: uri.to_owned(), ..Reading::default() };
                read(desk, &reading, caller).await?;
                (Mark::Never, None)
            }
            Uri::Team(_) | Uri::Report(_) | Uri::Agent(_) | Uri::Schema(_) => {
                let (mark, age, _) = desk.newest_of(caller, u64::MAX).await?;
                (Mark::Mine(mark, team), Some(age))
            }
        };
        let is_news = age.is_some_and(|it| it <= within);
        Ok((watched(of, mark), is_news))
    }

    /// Whether a uri may be watched, as far as the team's files can say.
    pub fn may_be(team: &Team, uri: &str) -> bool {
        Uri::parse(uri).is_some_and(|it| of_files(team, &it).is_none_or(|it| it.is_ok()))
    }

    /// Whether it changed since it was looked at last.
    ///
    /// # Errors
    /// `engine_unavailable`: it is to be looked at again.
    pub async fn is_news(&mut self, desk: &Desk) -> Result<bool> {
        let now = desk.team();
        Ok(match &mut self.mark {
            Mark::Run(run, seen) => {
                let (mark, _) = desk.newest_under(run, &self.caller).await?;
                std::mem::replace(seen, mark) != mark
            }
            Mark::Mine(seen, team) => {
                let (mark, _, touched) = desk.newest_of(&self.caller, *seen).await?;
                *seen = mark;
                let is_another = !Arc::ptr_eq(team, &now);
                *team = now;
                touched || is_another
            }
            Mark::Files(team, _) if Arc::ptr_eq(team, &now) => false,
            Mark::Files(team, said) => {
                // What is gone says nothing, which is news too.
                let text = of_files(&now, &self.of).and_then(Result::ok).unwrap_or_default().0;
                *team = now;
                std::mem::replace(said, text.clone()) != text
            }
            Mark::Never => false,
        })
    }
}
