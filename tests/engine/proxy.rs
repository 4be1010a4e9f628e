//! The way to a server, which can fail without the server: it falls silent, or breaks at the worst
//! moment.

use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;

/// What becomes of the bytes.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// Both sides hear each other.
    Open,
    /// What comes is taken in and goes nowhere. A connection that lost bytes stays like this.
    Silent,
    /// The first connection that carried the mark breaks when its commit is answered, before the
    /// client hears that; from then on all is open.
    BreaksAfterCommit(&'static str),
    /// The same, before the server hears of the commit.
    BreaksBeforeCommit(&'static str),
}

/// A proxy on loopback; its connections break when it is dropped.
pub(crate) struct Proxy {
    pub(crate) port: u16,
    way: Arc<watch::Sender<Way>>,
    _work: JoinSet<()>,
}

/// What the server answers to a commit, and what it is asked for one.
const COMMITTED: &[u8] = b"COMMIT\0";
const COMMIT: &[u8] = b"COMMIT";

impl Proxy {
    /// To a port of this machine.
    pub(crate) async fn to(port: u16) -> Proxy {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let own = listener.local_addr().unwrap().port();
        let way = Arc::new(watch::Sender::new(Way::Open));
        let (mut work, ways) = (JoinSet::new(), way.clone());
        work.spawn(async move {
            let mut carried = JoinSet::new();
            while let Ok((client, _)) = listener.accept().await {
                carried.spawn(carry(client, port, ways.clone()));
            }
        });
        Proxy { port: own, way, _work: work }
    }

    pub(crate) fn is(&self, way: Way) {
        self.way.send_replace(way);
    }

    /// Waits until what was to break is broken.
    pub(crate) async fn is_open_again(&self) {
        self.way.subscribe().wait_for(|it| *it == Way::Open).await.unwrap();
    }
}

async fn carry(mut client: TcpStream, port: u16, way: Arc<watch::Sender<Way>>) {
    let Ok(mut server) = TcpStream::connect(("127.0.0.1", port)).await else { return };
    let (mut asked, mut answered) = (vec![0; 1 << 16], vec![0; 1 << 16]);
    let mut is_marked = false;
    loop {
        let (bytes, is_question) = tokio::select! {
            n = client.read(&mut asked) => (&asked[..n.unwrap_or(0)], true),
            n = server.read(&mut answered) => (&answered[..n.unwrap_or(0)], false),
        };
        let now = *way.borrow();
        match now {
            Way::Silent => return swallow(client, server).await,
            Way::BreaksAfterCommit(mark) | Way::BreaksBeforeCommit(mark) => {
                is_marked |= is_question && holds(bytes, mark.as_bytes());
                let is_late = matches!(now, Way::BreaksAfterCommit(_));
                let sign = if is_late { COMMITTED } else { COMMIT };
                if is_marked && is_late != is_question && holds(bytes, sign) {
                    way.send_replace(Way::Open);
                    return;
                }
            }
            Way::Open => {}
        }
        let to = if is_question { &mut server } else { &mut client };
        if bytes.is_empty() || to.write_all(bytes).await.is_err() {
            return;
        }
    }
}

/// Both ends stay open and hear nothing.
async fn swallow(mut client: TcpStream, _server: TcpStream) {
    let mut lost = vec![0; 1 << 16];
    while client.read(&mut lost).await.is_ok_and(|n| n > 0) {}
}

fn holds(bytes: &[u8], what: &[u8]) -> bool {
    bytes.windows(what.len()).any(|it| it == what)
}
