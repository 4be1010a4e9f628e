//! A tool server's program: started by its keeper, in an environment of its own, on three pipes.

use std::path::Path;
use std::pin::Pin;
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use callboard_config::ExposeSecret;
use callboard_config::servers::{Reach, Sandbox, ToolServer};
use callboard_sandbox::Jail;
use tokio::io::{AsyncRead, AsyncReadExt, ReadBuf};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout};
use tokio::task::JoinSet;
use tokio::time::timeout;

use crate::toolbox::kept::Keeper;

/// Bytes of one line from a tool server.
pub(super) const LINE_MAX: usize = 8 << 20;
/// Longest wait for a keeper to be done; it goes on by itself.
const GONE: Duration = Duration::from_secs(5);
/// What is kept of the last words on stderr, in bytes.
const WORDS_MAX: usize = 400;

/// A running program, or rather its keeper: whoever holds its input open keeps it.
pub(super) struct Program {
    keeper: Child,
    pub(super) words: Arc<Words>,
    _heard: JoinSet<()>,
}

/// What a program said to people at last.
#[derive(Default)]
pub(super) struct Words(Mutex<Said>);

#[derive(Default)]
struct Said {
    bytes: Vec<u8>,
    /// It was cut off for its own sake: what it says of that is no news.
    is_cut_off: bool,
}

impl Words {
    /// On one line.
    pub(super) fn last(&self) -> String {
        let said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let text = String::from_utf8_lossy(&said.bytes);
        let plain = |it: char| if it.is_control() { ' ' } else { it };
        let text: String = text.chars().map(plain).collect();
        text.split_whitespace().collect::<Vec<_>>().join(" ")
    }

    fn add(&self, bytes: &[u8]) {
        let mut said = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if said.is_cut_off {
            return;
        }
        said.bytes.extend_from_slice(bytes);
        let over = said.bytes.len().saturating_sub(WORDS_MAX);
        said.bytes.drain(..over);
    }

    /// The last of them: why nobody listens to it any more.
    fn cut_off(&self, why: &str) {
        self.add(why.as_bytes());
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_cut_off = true;
    }
}

impl Program {
    /// Waits for the end that the end of its input asks for, but not for long.
    pub(super) async fn gone(&mut self) {
        if timeout(GONE, self.keeper.wait()).await.is_err() {
            tracing::debug!("a tool server takes long to go; its keeper sees to it");
        }
    }
}

/// Starts the program of a server: no shell, no variable but those it is to have, a group of its
/// own, and a keeper that takes it along when this process goes.
pub(super) fn spawn(
    server: &ToolServer,
    keeper: Option<&Keeper>,
    traceparent: &str,
) -> Result<(Program, ChildStdin, Lines<ChildStdout>), String> {
    let Reach::Program { command, args, env, inherited, cwd } = &server.reach else {
        return Err("it is no program".into());
    };
    let keeper = keeper.ok_or("no program is started by this process")?;
    let jail = server.sandbox.as_ref().map(|it| jail(it, command, cwd, keeper));
    let mut start = keeper.command(jail.as_ref(), false)?;
    start.arg(command).args(args).current_dir(cwd);
    start.envs(inherited).env("TRACEPARENT", traceparent);
    start.envs(env.iter().map(|(name, it)| (name, it.expose_secret())));
    start.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut keeper = start.spawn().map_err(|error| format!("it cannot be started: {error}"))?;
    let pipes = (keeper.stdin.take(), keeper.stdout.take(), keeper.stderr.take());
    let (Some(input), Some(output), Some(errors)) = pipes else {
        return Err("it was started without its pipes".into());
    };
    let words = Arc::new(Words::default());
    let mut heard = JoinSet::new();
    heard.spawn(hear(errors, server.name.clone(), words.clone()));
    let output = Lines { inner: output, since: 0, words: words.clone() };
    Ok((Program { keeper, words, _heard: heard }, input, output))
}

/// The sandbox of a program: besides what its owner wrote it reads itself and where it starts.
fn jail(sandbox: &Sandbox, command: &Path, cwd: &Path, keeper: &Keeper) -> Jail {
    let whole = |it: &Path| it.canonicalize().unwrap_or_else(|_| it.to_path_buf());
    let mut read = vec![command.to_path_buf(), cwd.to_path_buf()];
    read.extend(sandbox.read.iter().cloned());
    let write = sandbox.write.iter().map(|it| whole(it)).collect();
    let Keeper { bounds, guarded, .. } = keeper;
    let guarded = guarded.clone();
    Jail { write, guarded, read, network: sandbox.network, bounds: *bounds, watch: None }
}

/// Reads what a program says to people, so that it never waits for a reader.
async fn hear(mut errors: ChildStderr, name: String, words: Arc<Words>) {
    let mut bytes = [0; 4096];
    while let Ok(n @ 1..) = errors.read(&mut bytes).await {
        words.add(&bytes[..n]);
        tracing::debug!(server = name, said = %String::from_utf8_lossy(&bytes[..n]).trim_end());
    }
}

/// A program's output, which ends at a line that is too long: what asked for it is answered then,
/// and does not wait for a line that nobody would keep.
pub(super) struct Lines<R> {
    inner: R,
    /// Bytes since the last line end.
    since: usize,
    words: Arc<Words>,
}

impl<R: AsyncRead + Unpin> AsyncRead for Lines<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        if self.since > LINE_MAX {
            return Poll::Ready(Ok(()));
        }
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.inner).poll_read(context, buffer))?;
        let read = &buffer.filled()[before..];
        self.since = match read.iter().rposition(|it| *it == b'\n') {
            Some(at) => read.len() - at - 1,
            None => self.since + read.len(),
        };
        if self.since > LINE_MAX {
            self.words.cut_off(&format!(" [a line of more than {LINE_MAX} bytes]"));
            buffer.set_filled(before);
        }
        Poll::Ready(Ok(()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_program_says_of_being_cut_off_is_no_news() {
        let words = Words::default();
        words.add(b"starting\n up");
        words.cut_off(" [a line of more than 8 bytes]");
        words.add(&[b'x'; 1_000]);
        assert_eq!(words.last(), "starting up [a line of more than 8 bytes]");
    }
}
