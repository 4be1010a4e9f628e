//! What is next, and how is one step done? Runs, rules, prompts, the model client, the toolbox.
//!
//! `Run` and `next` never wait and never do IO; `perform` does the IO of one step. Nothing here
//! starts another agent: it can only say so.

mod advice;
mod afford;
mod alert;
mod answer;
mod asked_back;
mod budget;
mod checked;
mod checks;
pub mod concepts;
mod counts;
mod cycle;
mod fold;
mod gathered;
mod guard;
mod heard;
mod leave;
pub mod limits;
mod loops;
mod meant;
pub mod model;
mod next;
mod notes;
mod outcome;
mod passing;
mod perform;
mod person;
pub mod plan;
mod prompt;
mod quoted;
mod recall;
mod recorded;
mod retry;
mod rules;
mod run;
mod same;
mod schema;
mod shares;
mod shelf;
mod slots;
mod spending;
mod step;
mod toolbox;
mod weight;
mod words;

pub use answer::{artifact_of, noted};
pub use next::next;
pub use outcome::Outcome;
pub use perform::{Hands, Prepared, perform, prepare_model, prepare_tool};
pub use person::declines;
pub use recorded::Recorded;
pub use rules::handoff::declined;
pub use run::{Declined, Run};
pub use step::{Asked, Declared, Draft, Step};
pub use toolbox::{Answer, Board, ToolServers};
