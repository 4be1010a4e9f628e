//! A lane: takes jobs, brings each to its end on its connection, and gets itself another one when
//! that is lost.

use std::sync::atomic::Ordering;
use std::sync::mpsc as answers;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::Instant;

use super::conn::Fault;
use super::session::{Ended, Session};
use super::{Enter, Jobs, PATIENCE, Shared, migrate};
use crate::StoreError;
use crate::db::Job;
use crate::dialect::Dialect;
use crate::error::Result;
use crate::writer::attempt_on;

/// Jobs that share one commit.
const BATCH: usize = 64;
/// Between two tries; twice as long after each, up to the longest.
const PAUSE: Duration = Duration::from_millis(20);
const PAUSE_MAX: Duration = Duration::from_millis(640);

/// A lane's own state.
pub(super) struct Lane<'a> {
    runtime: &'a Runtime,
    shared: Shared,
    begin: String,
    /// Whether something may stand after a commit that did not answer.
    is_writer: bool,
    session: Option<Session<'a>>,
    /// Outages we know of.
    known: u64,
    /// Since when nothing works.
    away: Option<Instant>,
    /// Why the last jobs were given up.
    gone: Option<StoreError>,
}

/// Why the jobs of one transaction have no answer yet.
enum Stop {
    /// This one refused, or it was refused: without it the others may do.
    Job(StoreError),
    /// All of them are answered so.
    All(StoreError),
}

impl<'a> Lane<'a> {
    /// Opens the tables and enters, says so, and writes until every sender is gone.
    pub(super) fn write(
        shared: Shared,
        enter: Option<Enter>,
        ready: &answers::Sender<Result<()>>,
        jobs: &Jobs,
    ) {
        let runtime = match Builder::new_current_thread().enable_all().build() {
            Ok(it) => it,
            Err(error) => {
                let _ = ready.send(Err(StoreError::Db(format!("cannot start a lane: {error}"))));
                return;
            }
        };
        // Who holds the row writes, and sees what was committed until then, whatever the database has
        // for its default; the clock is read when it is held.
        let begin = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE;
            SELECT version FROM callboard FOR UPDATE; SELECT {now}";
        let mut lane = Lane::new(&runtime, shared, (begin, true));
        let opened = lane.enter(enter);
        let is_open = opened.is_ok();
        let _ = ready.send(opened);
        if is_open {
            lane.serve(jobs, BATCH);
        }
    }

    /// Answers questions until every sender is gone.
    pub(super) fn read(shared: Shared, questions: &Jobs) {
        let Ok(runtime) = Builder::new_current_thread().enable_all().build() else { return };
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
        Lane::new(&runtime, shared, (begin, false)).serve(questions, 1);
    }

    fn new(runtime: &'a Runtime, shared: Shared, (begin, is_writer): (&str, bool)) -> Lane<'a> {
        let begin = Dialect::Postgres.translate(begin);
        Lane { runtime, shared, begin, is_writer, session: None, known: 0, away: None, gone: None }
    }

    fn enter(&mut self, enter: Option<Enter>) -> Result<()> {
        let mut session =
            Session::open(self.runtime, &self.shared.address).map_err(|it| it.error())?;
        let Some(enter) = enter else {
            migrate::look(&mut session)?;
            self.session = Some(session);
            return Ok(());
        };
        migrate::migrate(&mut session)?;
        session.begin(&self.begin).map_err(|it| it.error())?;
        enter(&mut session)?;
        session.commit().map_err(|it| match it {
            Ended::Not(fault) => fault.error(),
            Ended::Unknown => StoreError::Unknown,
        })?;
        self.session = Some(session);
        Ok(())
    }

    fn serve(&mut self, jobs: &Jobs, most: usize) {
        while let Some(batch) = self.next(jobs, most) {
            self.take(batch);
            if let Some(error) = self.gone.take() {
                refuse(jobs, &error);
            }
        }
    }

    /// The next jobs. The connection is driven meanwhile, so that its end is heard.
    fn next(&self, jobs: &Jobs, most: usize) -> Option<Vec<Box<dyn Job>>> {
        self.runtime.block_on(async {
            let mut jobs = jobs.lock().await;
            let mut batch = vec![jobs.recv().await?];
            while batch.len() < most
                && let Ok(job) = jobs.try_recv()
            {
                batch.push(job);
            }
            Some(batch)
        })
    }

    fn take(&mut self, mut batch: Vec<Box<dyn Job>>) {
        match self.together(&mut batch) {
            Ok(refused) => {
                for (job, refused) in batch.into_iter().zip(refused) {
                    job.answer(refused.map_or(Ok(()), Err));
                }
            }
            Err(Stop::All(error)) => {
                batch.into_iter().for_each(|it| it.answer(Err(error.clone())));
            }
            Err(Stop::Job(error)) if batch.len() == 1 => {
                batch.into_iter().for_each(|it| it.answer(Err(error.clone())));
            }
            // One of them undid them all: each goes by itself.
            Err(Stop::Job(_)) => {
                for job in batch {
                    self.take(vec![job]);
                }
            }
        }
    }

    /// All in one commit, again and again while the database only wants another try.
    fn together(&mut self, batch: &mut [Box<dyn Job>]) -> Result<Refused, Stop> {
        let mut pause = PAUSE;
        let begun = Instant::now();
        loop {
            let outcome = self.once(batch);
            let is_lost = matches!(outcome, Err(Tried::Failed(Fault::Lost(_))));
            self.away = is_lost.then(|| self.away.unwrap_or(begun));
            let fault = match outcome {
                Ok(refused) => return Ok(refused),
                Err(Tried::Stopped(stop)) => return Err(stop),
                Err(Tried::Failed(Fault::Refused(error))) => return Err(Stop::Job(error)),
                Err(Tried::Failed(fault)) => fault,
            };
            if self.away.unwrap_or(begun).elapsed() > PATIENCE {
                self.gone = is_lost.then(|| fault.error());
                return Err(Stop::All(fault.error()));
            }
            tracing::debug!(error = %fault.error(), "the database is asked again");
            thread::sleep(pause);
            pause = (pause * 2).min(PAUSE_MAX);
        }
    }

    fn once(&mut self, batch: &mut [Box<dyn Job>]) -> Result<Refused, Tried> {
        let mut session = self.session().map_err(Tried::Failed)?;
        let outcome = match self.is_writer {
            true => transact(&mut session, &self.begin, batch),
            false => look(&mut session, &self.begin, batch),
        };
        let lost = match &outcome {
            Err(Tried::Failed(Fault::Lost(_))) => true,
            Err(Tried::Stopped(Stop::All(StoreError::Unknown))) => true,
            // What was begun is undone before the connection is used again.
            Err(_) => session.rollback().is_err(),
            Ok(_) => {
                // Who only asked has nothing to tell: others would look, and so ring in turn.
                if self.is_writer {
                    self.shared.rung.notify_one();
                }
                false
            }
        };
        if lost {
            self.known = self.shared.outages.fetch_add(1, Ordering::SeqCst) + 1;
        } else {
            self.session = Some(session);
        }
        outcome
    }

    /// The connection, or a new one if it is gone or another lane's fell silent.
    fn session(&mut self) -> Result<Session<'a>, Fault> {
        let outages = self.shared.outages.load(Ordering::SeqCst);
        let kept = self.session.take().filter(|it| outages == self.known && !it.is_closed());
        self.known = outages;
        match kept {
            Some(it) => Ok(it),
            None => Session::open(self.runtime, &self.shared.address),
        }
    }
}

/// Who waits behind jobs that waited in vain has waited as long, and must not do so again.
fn refuse(jobs: &Jobs, error: &StoreError) {
    let Ok(mut jobs) = jobs.try_lock() else { return };
    while let Ok(job) = jobs.try_recv() {
        job.answer(Err(error.clone()));
    }
}

/// What each of the jobs that share a commit is refused with, if it is.
type Refused = Vec<Option<StoreError>>;

/// How one try ended.
enum Tried {
    Failed(Fault),
    Stopped(Stop),
}

/// Answers questions in one look at what is there, or each for itself where that will do.
fn look(
    session: &mut Session<'_>,
    begin: &str,
    batch: &mut [Box<dyn Job>],
) -> Result<Refused, Tried> {
    let is_glance = batch.iter().all(|it| it.is_glance());
    match is_glance {
        true => session.glance(),
        false => session.look(begin).map_err(Tried::Failed)?,
    }
    let answered = batch.iter_mut().map(|job| attempt_on(job.as_mut(), session).err()).collect();
    if let Some(fault) = session.fault() {
        return Err(Tried::Failed(fault));
    }
    if !is_glance {
        session.looked().map_err(Tried::Failed)?;
    }
    Ok(answered)
}

fn transact(
    session: &mut Session<'_>,
    begin: &str,
    batch: &mut [Box<dyn Job>],
) -> Result<Refused, Tried> {
    session.begin(begin).map_err(Tried::Failed)?;
    let (is_alone, mut refused) = (batch.len() == 1, Vec::with_capacity(batch.len()));
    for job in batch {
        session.has_written = false;
        let outcome = attempt_on(job.as_mut(), session);
        // Whatever the job made of it: a statement that failed undid everything.
        if let Some(fault) = session.fault() {
            return Err(Tried::Failed(fault));
        }
        // One that only looked before it refused, as who has lost a run does, has left nothing that
        // would have to be undone.
        match outcome {
            Err(error) if is_alone || session.has_written => {
                return Err(Tried::Stopped(Stop::Job(error)));
            }
            outcome => refused.push(outcome.err()),
        }
    }
    session.commit().map(|()| refused).map_err(|it| match it {
        Ended::Not(fault) => Tried::Failed(fault),
        Ended::Unknown => Tried::Stopped(Stop::All(StoreError::Unknown)),
    })
}
