//! What a prompt is, and how it speaks of an agent.

use callboard_config::Agent;

/// One prompt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Prompt {
    /// Its name.
    pub name: &'static str,
    /// What it asks for.
    pub description: String,
    /// What it takes.
    pub arguments: &'static [Argument],
}

/// One argument of a prompt; every one is a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Argument {
    /// Its name.
    pub name: &'static str,
    /// What to write.
    pub description: &'static str,
    /// Whether the prompt cannot do without.
    pub required: bool,
}

/// An agent as one line of a prompt: its description, what it is good at, and to whom it passes.
pub(crate) fn line(agent: &Agent, how: &str) -> String {
    let mut line = format!("- {}{how}: {}", agent.name, agent.description.trim());
    if !agent.capabilities.is_empty() {
        line = format!("{line} Good at: {}.", agent.capabilities.join(", "));
    }
    let to: Vec<&str> = agent.handoffs.iter().map(|it| it.to.as_str()).collect();
    if !to.is_empty() {
        line = format!("{line} Passes work on to: {}.", to.join(", "));
    }
    line
}
