//! `applies_to` of a check: the agents and tools that it is about.

use schemars::JsonSchema;

use crate::fields::Fields;
use crate::hands::misspelt;
use crate::nearest::did_you_mean;
use crate::place::At;
use crate::units::OneOf;

/// What a check is about.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "applies_to", deny_unknown_fields)]
#[expect(dead_code, reason = "stands here for the schema; the keys are read one by one")]
pub(crate) struct AppliesTo {
    /// Agents by name.
    agents: Option<OneOf<Vec<String>, String>>,
    /// Tools by name or glob.
    tools: Option<OneOf<Vec<String>, String>>,
}

type Names = Option<Vec<At<String>>>;

/// The agents and tools that a check is about, where it says so.
pub(crate) fn applies_to(fields: &Fields<'_>) -> (Names, Names) {
    let Some(node) = fields.node("applies_to") else { return (None, None) };
    let inner = Fields::open(node, fields.name("applies_to"), fields.sink);
    let found = (inner.texts("agents"), inner.texts("tools"));
    for (key, place) in inner.rest() {
        let near = did_you_mean(key, ["agents", "tools"]);
        let said = format!("key `{}` is not known there{near}", inner.name(key));
        fields.sink.push(place.error(said, "write `agents` or `tools`"));
    }
    for tool in found.1.iter().flatten() {
        if let Some(near) = misspelt(&tool.value) {
            let said = format!("`applies_to.tools` names `{}`, which is no tool{near}", tool.value);
            fields.sink.push(tool.place.warning(said, "the check is never made for it"));
        }
    }
    found
}
