//! JSON Schemas: of what an owner writes, generated from the types that read it; of every answer.

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema};

pub use crate::answer::answer_schema as answer;
pub use crate::form::problem;
use crate::written_agent::WrittenAgent;
use crate::written_prices::WrittenPrices;
use crate::written_team::WrittenTeam;

/// The JSON Schema of `team.yaml`, as text.
pub fn team() -> String {
    text::<WrittenTeam>()
}

/// The JSON Schema of an agent file's front matter, as text.
pub fn agent() -> String {
    text::<WrittenAgent>()
}

/// The JSON Schema of `prices.yaml`, as text.
pub fn prices() -> String {
    text::<WrittenPrices>()
}

fn text<T: JsonSchema>() -> String {
    let settings = SchemaSettings::draft07();
    let schema: Schema = settings.into_generator().into_root_schema_for::<T>();
    format!("{:#}\n", schema.as_value())
}
