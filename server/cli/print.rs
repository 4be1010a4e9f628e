//! What the program prints about itself: first steps, completions, schemas, its man page.

use callboard_config::schema as of;
use clap::{Command, CommandFactory};
use clap_mangen::Man;
use clap_mangen::roff::{Roff, roman};

use super::args::{CompletionsArgs, SchemaArgs, Typed, Written};
use super::fault::Result;
use super::say::Say;

const FIRST_STEPS: &str = "\
callboard: a team of specialist agents behind one MCP server, and on this command line

see it work, without a key        callboard demo
write the team's files here       callboard init
give an agent a task              callboard run coder \"...\"
see who does what                 callboard status
serve it to an MCP client         callboard init prints what to tell the client
everything else                   callboard --help";

/// What to do first.
pub(crate) fn first_steps(say: Say) -> Result<u8> {
    say.data(FIRST_STEPS)?;
    Ok(0)
}

/// The completions of a shell.
pub(crate) fn completions(args: &CompletionsArgs, say: Say) -> Result<u8> {
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Typed::command(), "callboard", &mut text);
    say.file(&text)?;
    Ok(0)
}

/// The JSON Schema of what an owner writes.
pub(crate) fn schema(args: &SchemaArgs, say: Say) -> Result<u8> {
    let text = match args.of {
        Written::Team => of::team(),
        Written::Agent => of::agent(),
        Written::Prices => of::prices(),
    };
    say.file(text.as_bytes())?;
    Ok(0)
}

/// The man page: the program, and a section for each verb.
pub(crate) fn man(say: Say) -> Result<u8> {
    let mut program = Typed::command();
    program.build();
    let mut page = Vec::new();
    Man::new(program.clone()).render(&mut page)?;
    for verb in program.get_subcommands().filter(|it| !it.is_hide_set()) {
        section(verb, &mut page)?;
    }
    say.file(&page)?;
    Ok(0)
}

fn section(verb: &Command, page: &mut Vec<u8>) -> Result<()> {
    let mut head = Roff::new();
    head.control("SH", [format!("callboard {}", verb.get_name()).as_str()]);
    let about = verb.get_about().map(ToString::to_string).unwrap_or_default();
    head.text([roman(about)]);
    head.to_writer(page)?;
    let man = Man::new(verb.clone());
    man.render_options_section(page)?;
    Ok(man.render_extra_section(page)?)
}
