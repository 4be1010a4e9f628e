//! What is next, and how is one step done? Runs, rules, prompts, the model client, the toolbox.
