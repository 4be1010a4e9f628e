//! Stays with a run until it is over or asks something, and shows what happens meanwhile.

use std::time::Duration;

use callboard_scheduler::Desk;
use callboard_trace::{Caller, Record, RunId, RunView, State, story_line};
use tokio::time::Instant;

use super::fault::Result;
use super::say::Say;
use super::screen::Screen;
use super::tree::Picture;
use crate::ending::asked_to_stop;
use crate::paint::one_line;

/// Between two looks at the run.
const TICK: Duration = Duration::from_millis(120);
/// Records asked for at once.
const PAGE: u32 = 200;
/// Characters of one record's line.
const LINE: usize = 240;

/// How a run is shown while it is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Show {
    /// Rows that are drawn again.
    Tree,
    /// A line for each record.
    Lines,
    /// Not at all.
    Nothing,
}

/// How it came out.
pub(crate) enum Stayed {
    /// The run is over, or waits for a person.
    Settled(Box<RunView>),
    /// The time is up.
    Open(Box<RunView>),
    /// Somebody at the terminal wants to leave.
    Left,
}

/// Whether a command need not wait any longer.
pub(crate) fn settled(view: &RunView) -> bool {
    view.state.is_over() || matches!(view.state, State::InputRequired | State::Halted)
}

/// Waits for the run, at most until that time, and shows it.
///
/// # Errors
/// When the desk does not know the run or cannot read its journal.
pub(crate) async fn stay(
    desk: &Desk,
    run: &RunId,
    caller: &Caller,
    until: Option<Instant>,
    (show, say): (Show, Say),
) -> Result<Stayed> {
    let mut shown = Shown::new(show, say);
    let stop = asked_to_stop();
    tokio::pin!(stop);
    loop {
        let view = tokio::select! {
            view = desk.wait(run, caller, TICK) => view?,
            () = &mut stop => return Ok(Stayed::Left),
        };
        shown.read(desk, run, caller).await?;
        if settled(&view) {
            return Ok(Stayed::Settled(Box::new(view)));
        }
        if until.is_some_and(|it| it <= Instant::now()) {
            return Ok(Stayed::Open(Box::new(view)));
        }
        if desk.stopping() {
            return Ok(Stayed::Left);
        }
    }
}

/// What has been shown so far.
struct Shown {
    show: Show,
    say: Say,
    after: u64,
    picture: Picture,
    screen: Screen,
    turn: usize,
    newest: Instant,
}

impl Shown {
    fn new(show: Show, say: Say) -> Shown {
        let (picture, screen) = (Picture::default(), Screen::default());
        Shown { show, say, after: 0, picture, screen, turn: 0, newest: Instant::now() }
    }

    /// Reads what was written since, and shows it.
    async fn read(&mut self, desk: &Desk, run: &RunId, caller: &Caller) -> Result<()> {
        if self.show == Show::Nothing {
            return Ok(());
        }
        loop {
            let page = desk.page(run, caller, self.after, PAGE).await?;
            for (at, record) in &page.records {
                self.after = self.after.max(*at);
                self.take(desk, record);
            }
            if page.next.is_none() {
                break;
            }
        }
        if self.show == Show::Tree {
            self.turn += 1;
            let since = self.newest.elapsed().as_secs_f64();
            self.screen.draw(&self.picture.lines(since, self.turn, self.say.paint));
        }
        Ok(())
    }

    fn take(&mut self, desk: &Desk, record: &Record) {
        match self.show {
            Show::Tree => {
                self.picture.take(record);
                self.newest = Instant::now();
            }
            Show::Lines => self.say.complain(&one_line(&story_line(&desk.told(record)), LINE)),
            Show::Nothing => {}
        }
    }
}
