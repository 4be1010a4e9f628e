//! The words of gates: what a step takes, what it gives back, and what the gate says.

pub use crate::gate::{Gate, Ruling, Wait};
pub use crate::gauge::{Fragile, Held, Rate, Standing, Take};
pub use crate::give::{Give, Learned, Went};
pub use crate::ledger::{Amounts, Charge, DIMENSIONS, Poor, Return, Spent};
pub use crate::opener::{Opener, Openers};
pub use crate::spawn::{Blown, Growth};
pub use crate::standing::Stands;
