//! The two ends of a connection: bytes that come in, and lines that go out in the order given.

use std::io::{self, Read, Write};
use std::thread;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinSet;

/// A connection.
pub(crate) struct Pipe {
    /// Pieces of what the client wrote; ends when the client hangs up.
    pub(crate) input: mpsc::Receiver<Vec<u8>>,
    /// Where our lines go.
    pub(crate) output: Output,
}

/// Takes lines, keeps their order, and tells when each is written.
#[derive(Clone)]
pub(crate) struct Output(mpsc::UnboundedSender<Outgoing>);

struct Outgoing {
    line: Vec<u8>,
    written: oneshot::Sender<()>,
}

/// Lines that were queued, for whoever carries them.
pub(crate) struct Lines(mpsc::UnboundedReceiver<Outgoing>);

impl Lines {
    /// The next line without its newline, which counts as written; `None` when there will be none.
    pub(crate) async fn next(&mut self) -> Option<Vec<u8>> {
        let Outgoing { mut line, written } = self.0.recv().await?;
        line.pop();
        // Whoever asked may have left.
        let _ = written.send(());
        Some(line)
    }
}

/// Bytes of one read.
const PIECE: usize = 64 << 10;

impl Output {
    /// An output that somebody else carries.
    pub(crate) fn unread() -> (Output, Lines) {
        let (lines, given) = mpsc::unbounded_channel();
        (Output(lines), Lines(given))
    }

    /// Queues a line; it stands in its place when this returns, and is written when the future
    /// ends. The queue is as long as there are callers that wait for theirs, and no longer.
    pub(crate) fn write(
        &self,
        mut line: Vec<u8>,
    ) -> impl Future<Output = io::Result<()>> + Send + 'static {
        line.push(b'\n');
        let (written, told) = oneshot::channel();
        let queued = self.0.send(Outgoing { line, written });
        async move {
            queued.map_err(|_| io::ErrorKind::BrokenPipe)?;
            told.await.map_err(|_| io::ErrorKind::BrokenPipe.into())
        }
    }
}

/// A connection over blocking files, each with a thread of its own: they block on a client that
/// says nothing or does not read, hold nothing up, and end with the process.
///
/// # Errors
/// When there are no threads left.
pub(crate) fn over_files(
    mut input: impl Read + Send + 'static,
    mut output: impl Write + Send + 'static,
) -> io::Result<Pipe> {
    let (pieces, taken) = mpsc::channel(1);
    let (lines, mut given) = mpsc::unbounded_channel::<Outgoing>();
    thread::Builder::new().name("stdin".to_owned()).spawn(move || {
        let mut piece = vec![0; PIECE];
        loop {
            match input.read(&mut piece) {
                Ok(0) => break,
                Ok(n_bytes) if pieces.blocking_send(piece[..n_bytes].to_vec()).is_ok() => {}
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(_) | Err(_) => break,
            }
        }
    })?;
    thread::Builder::new().name("stdout".to_owned()).spawn(move || {
        while let Some(Outgoing { line, written }) = given.blocking_recv() {
            if output.write_all(&line).and_then(|()| output.flush()).is_err() {
                break;
            }
            // Whoever asked may have left.
            let _ = written.send(());
        }
    })?;
    Ok(Pipe { input: taken, output: Output(lines) })
}

/// A connection over a stream that does not block, carried by two tasks.
pub(crate) fn over_stream(
    mut input: impl AsyncRead + Unpin + Send + 'static,
    mut output: impl AsyncWrite + Unpin + Send + 'static,
    tasks: &mut JoinSet<()>,
) -> Pipe {
    let (pieces, taken) = mpsc::channel(1);
    let (lines, mut given) = mpsc::unbounded_channel::<Outgoing>();
    tasks.spawn(async move {
        let mut piece = vec![0; PIECE];
        while let Ok(n_bytes @ 1..) = input.read(&mut piece).await {
            if pieces.send(piece[..n_bytes].to_vec()).await.is_err() {
                break;
            }
        }
    });
    tasks.spawn(async move {
        while let Some(Outgoing { line, written }) = given.recv().await {
            if output.write_all(&line).await.is_err() || output.flush().await.is_err() {
                break;
            }
            // Whoever asked may have left.
            let _ = written.send(());
        }
    });
    Pipe { input: taken, output: Output(lines) }
}
