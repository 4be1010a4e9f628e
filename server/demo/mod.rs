//! The demo: a client of its own server, on scripted answers, that checks what it says.

mod at_once;
mod broken;
mod client;
mod crash;
mod facts;
mod handing;
mod house;
mod pause;
mod play;
mod show;
mod surface;

use std::path::PathBuf;

use futures::future::BoxFuture;

use self::client::Client;
use self::house::House;
use self::play::Play;
use self::show::Show;
use crate::paint::Paint;

pub(crate) use self::broken::Broken;

/// How the demo is wanted.
pub(crate) struct Stage {
    /// A new folder for its team and journal, which then stays.
    pub(crate) keep: Option<PathBuf>,
    /// Colours for stdout.
    pub(crate) paint: Paint,
}

type Act = for<'a> fn(&'a mut Play) -> BoxFuture<'a, Result<(), Broken>>;

/// The script: title and deed of each act.
const ACTS: [(&str, Act); 8] = [
    ("the team as MCP tools", |play| Box::pin(surface::tools(play))),
    ("a graph of tasks in one call", |play| Box::pin(at_once::graph(play))),
    ("a chain of handoffs", |play| Box::pin(handing::chain(play))),
    ("a review loop", |play| Box::pin(handing::review(play))),
    ("a provider that answers 429", |play| Box::pin(pause::pause(play))),
    ("kill -9 in the middle of a run", |play| Box::pin(crash::crash(play))),
    ("the story of act 3, from the journal", |play| Box::pin(surface::story(play))),
    ("the client leaves", |play| Box::pin(surface::leave(play))),
];

/// Plays all acts; the first claim that does not hold ends the demo.
pub(crate) async fn play(stage: &Stage) -> Result<(), Broken> {
    let show = Show::new(stage.paint);
    show.say(
        "This demo starts `callboard serve` and talks MCP to it, as a client would.\n\
         The engine is the real one. The model is the built-in rehearsal model: every answer\n\
         below is scripted in a playbook, and no key and no network is used.",
    )?;
    let house = House::build(stage.keep.as_deref())?;
    let client = Client::start(&house).await.map_err(|broken| with_log(broken, &house))?;
    let mut play = Play { house, client, show, story: None };
    for (at, (title, act)) in ACTS.iter().enumerate() {
        play.show.act(at + 1, title)?;
        act(&mut play).await.map_err(|broken| with_log(broken, &play.house))?;
    }
    let kept = stage.keep.is_some().then_some(&play.house);
    play.show.say(&go_on(kept))
}

fn with_log(broken: Broken, house: &House) -> Broken {
    match broken {
        Broken::Said { message, help } if help.is_empty() => {
            let words = house.last_words();
            let help = if words.is_empty() { words } else { format!("the server said:\n{words}") };
            Broken::Said { message, help }
        }
        Broken::Said { .. } | Broken::Unread => broken,
    }
}

fn go_on(kept: Option<&House>) -> String {
    let kept = kept.map_or_else(String::new, |house| {
        let (team, data) = (house.team.display(), house.data.display());
        format!("\n  callboard status --team {team} --data {data}   what the demo left behind")
    });
    format!(
        "\nEverything happened as said. To go on:{kept}\n  \
         callboard init                      write the same team here, and see what to tell your client\n  \
         callboard run coder \"...\"           give an agent a task of your own"
    )
}
