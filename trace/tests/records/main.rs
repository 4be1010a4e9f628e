//! Records as text and what they add up to: they open for ever, and every view is a fold.

mod any;
mod kinds;
mod lines;
mod notes;
mod round_trip;
mod sample;
mod stage;
mod states;
mod sums;
