//! `serve`: the team behind an MCP server, on stdin and stdout and over HTTP.

use std::io::{self, IsTerminal};
use std::net::SocketAddr;
use std::time::Duration;

use callboard_config::Team;
use callboard_scheduler::Node;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio::time::sleep;
use tokio_util::sync::CancellationToken;

use super::args::ServeArgs;
use super::fault::{Fault, Result};
use super::place;
use super::problems;
use super::say::Say;
use crate::http::{self, HttpOptions};
use crate::serve::{Stdio, leave};
use crate::shared::Shared;
use crate::{detached, ending};

/// Serves until the client leaves or the process is asked to stop. With HTTP the end of stdin is no
/// end: nobody may ever have been there.
pub(crate) async fn serve(args: &ServeArgs, say: Say) -> Result<u8> {
    let is_person = io::stdin().is_terminal();
    if is_person && args.http.is_none() {
        say.tell(
            "this speaks MCP on stdin and stdout and waits for a client; Ctrl-C ends it\n\
             a client starts it by itself: `callboard init` prints what to tell it",
        );
    }
    let stdio = Stdio::take().map_err(|error| {
        Fault::broken(
            format!("stdin and stdout cannot be taken: {error}"),
            "an MCP client starts this and holds both; leave them open",
        )
    })?;
    let node = place::watching(&args.place, !args.no_work).await?;
    args.at_once.into_iter().for_each(|it| node.at_once(it));
    let team = node.desk().team();
    problems::tell(&team, say);
    let shared = Shared::new(node.desk()).await.map_err(|error| {
        let help = "mend the data folder, or the database";
        Fault::broken(format!("no key can be kept: {error}"), help)
    })?;
    let grace = Duration::from_secs(args.grace);
    if let Some(address) = args.http {
        let stdio = (!is_person).then_some(stdio);
        let served = over_http(address, args.sse, (&shared, &node, grace), stdio, say).await;
        leave(node).await;
        return served.map(|()| 0);
    }
    stdio.serve(&shared, CancellationToken::new()).await;
    place::drain(&node, grace, say).await;
    let finishes = team.finishes && !(args.no_finish || args.no_work || is_person);
    if leave(node).await && finishes {
        let (named, store) = (args.place.team.as_deref(), args.place.store.as_deref());
        if let Err(error) = detached::work_on(named, &place::data(&args.place)?, store) {
            tracing::warn!(%error, "nobody goes on with what is open; the next process will");
        }
    }
    Ok(0)
}

/// Serves over HTTP until the process is asked to stop, and beside it whoever is on stdin.
async fn over_http(
    address: SocketAddr,
    sse: bool,
    (shared, node, grace): (&Shared, &Node, Duration),
    stdio: Option<Stdio>,
    say: Say,
) -> Result<()> {
    let listener = TcpListener::bind(address).await.map_err(|error| {
        let help = "name an address of this machine with a free port, or port 0 for any";
        Fault::call(format!("nobody can listen on {address}: {error}"), help)
    })?;
    let own = listener.local_addr().unwrap_or(address);
    if let Some(told) = http::open_to_all(own, &shared.desk.team()) {
        return Err(Fault::call(
            told,
            "write `http: {tokens: [...]}` or `http: {oauth: ...}` into team.yaml, or listen on \
             127.0.0.1",
        ));
    }
    say.tell(&format!("listening on http://{own}/mcp"));
    if sse {
        say.tell(&format!("listening on http://{own}/sse"));
    }
    tell_of_doors(own, &shared.desk.team(), say);
    let (leaving, ending) = (CancellationToken::new(), CancellationToken::new());
    let mut beside = JoinSet::new();
    if let Some(stdio) = stdio {
        let (shared, ending) = (shared.clone(), ending.child_token());
        beside.spawn(async move { stdio.serve_beside(&shared, ending).await });
    }
    let ends = (leaving.clone(), ending.child_token());
    let served = ends.1.clone();
    let serving = async {
        http::serve(listener, shared.clone(), HttpOptions { sse }, ends, |it| it).await;
        served.cancel();
    };
    let asked = async {
        ending::asked_to_stop().await;
        leaving.cancel();
        let drained = async { tokio::join!(place::drain(node, grace, say), served.cancelled()) };
        tokio::select! {
            _ = drained, if !grace.is_zero() => {}
            () = sleep(grace) => {}
            () = ending::asked_to_stop() => {}
        }
        ending.cancel();
    };
    tokio::join!(serving, asked);
    // Answers that are on their way over stdout have as long as those over HTTP had.
    while beside.join_next().await.is_some() {}
    Ok(())
}

/// What keeps out more than its owner may have meant.
fn tell_of_doors(own: SocketAddr, team: &Team, say: Say) {
    let http = &team.http;
    let has_token = http.tokens.iter().any(|it| it.secret.is_some()) || http.oauth.is_some();
    if !has_token && !http.tokens.is_empty() {
        say.complain("nobody can call: none of the tokens in team.yaml has a value");
    }
    if !own.ip().is_loopback() && http.allowed_hosts.is_empty() {
        say.tell(
            "clients have to ask for this server by its number; a name of its own is written into \
             `allowed_hosts` of `http` in team.yaml",
        );
    }
}
