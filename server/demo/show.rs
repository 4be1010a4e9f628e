//! What the demo says, and what it claims: a claim that does not hold ends it.

use std::io::{self, Write};

use tokio::time::Instant;

use super::broken::Broken;
use crate::paint::{Paint, one_line};

/// Columns of a line.
const COLUMNS: usize = 110;

/// Speaks to whoever watches.
pub(crate) struct Show {
    paint: Paint,
    begun: Instant,
}

impl Show {
    /// The clock of the demo starts here.
    pub(crate) fn new(paint: Paint) -> Show {
        Show { paint, begun: Instant::now() }
    }

    /// The title of an act.
    pub(crate) fn act(&self, number: usize, title: &str) -> Result<(), Broken> {
        let at = format!("{:.1}s", self.begun.elapsed().as_secs_f64());
        write(&format!(
            "\n{} {}",
            self.paint.bold(&format!("{number}. {title}")),
            self.paint.dim(&at)
        ))
    }

    /// A line as it is.
    pub(crate) fn say(&self, text: &str) -> Result<(), Broken> {
        write(text)
    }

    /// A line of what others wrote.
    pub(crate) fn quote(&self, text: &str) -> Result<(), Broken> {
        write(&format!("   {}", one_line(text, COLUMNS)))
    }

    /// A line about the line above.
    pub(crate) fn detail(&self, text: &str) -> Result<(), Broken> {
        write(&format!("     {}", self.paint.dim(&one_line(text, COLUMNS))))
    }

    /// What was checked and holds; what does not hold ends the demo.
    pub(crate) fn claim(&self, holds: bool, text: &str) -> Result<(), Broken> {
        if !holds {
            return Err(Broken::said(format!("this did not happen: {text}")));
        }
        write(&format!(" {} {text}", self.paint.green("✓")))
    }
}

fn write(text: &str) -> Result<(), Broken> {
    let mut out = io::stdout().lock();
    writeln!(out, "{text}")?;
    out.flush()?;
    Ok(())
}
