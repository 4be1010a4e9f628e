//! The library's own sessions, primed as each era wants it.
//!
//! An empty event at the beginning of a stream is legal only for clients of 2025-11-25 and later:
//! older ones take it for a broken message.

use std::collections::HashMap;
use std::fmt;
use std::future::ready;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError, RwLock};

use futures::{Stream, StreamExt};
use rmcp::model::{
    ClientJsonRpcMessage, JsonRpcMessage, ProtocolVersion, ServerJsonRpcMessage, ServerResult,
};
use rmcp::transport::streamable_http_server::session::local::{
    LocalSessionManager, LocalSessionManagerError,
};
use rmcp::transport::streamable_http_server::session::{
    RestoreOutcome, ServerSseMessage, SessionId, SessionManager,
};

use super::room::Full;
use super::session::{Sessions, Visit};

/// At most so many sessions at once.
pub(crate) struct Eras {
    inner: LocalSessionManager,
    most: usize,
    /// Whether a session's streams begin with an empty event.
    primes: RwLock<HashMap<SessionId, bool>>,
    sessions: Arc<Sessions>,
    /// Sessions that are being opened.
    opening: Arc<AtomicUsize>,
}

/// Room for a session, until it is there.
pub(crate) struct Reserved(Arc<AtomicUsize>);

impl Drop for Reserved {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Why there is no session.
#[derive(Debug)]
pub(crate) enum EraError {
    /// There are as many as there may be.
    Full(usize),
    /// The library says why.
    Inner(LocalSessionManagerError),
}

impl fmt::Display for EraError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EraError::Full(most) => write!(f, "{most} sessions are open, the most there may be"),
            EraError::Inner(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for EraError {}

impl Eras {
    /// Sessions that live in `inner`.
    pub(crate) fn new(inner: LocalSessionManager, most: usize, sessions: Arc<Sessions>) -> Eras {
        Eras { inner, most, primes: RwLock::default(), sessions, opening: Arc::default() }
    }

    async fn is_full(&self) -> bool {
        self.inner.sessions.read().await.len() >= self.most
    }

    /// Room for the session that a request opens or takes up again; nothing for one that is here.
    /// A caller has half of it at most, so that there is some for others; where there is none, the
    /// session that was silent for longest is put aside.
    pub(crate) async fn reserve(
        &self,
        visit: Option<&Visit>,
        whose: &str,
    ) -> Result<Option<Reserved>, Full> {
        let n_before = self.opening.fetch_add(1, Ordering::SeqCst);
        let reserved = Reserved(Arc::clone(&self.opening));
        loop {
            let held = self.inner.sessions.read().await;
            if visit.is_some_and(|it| held.contains_key(it.session.as_str())) {
                return Ok(None);
            }
            let n_theirs = self.sessions.held_by(whose, |it| held.contains_key(it)) + n_before;
            let share = self.most.div_ceil(2);
            let (full, of) = if n_theirs >= share {
                (("busy sessions of one caller", share), Some(whose))
            } else if held.len() + n_before >= self.most {
                (("busy sessions", self.most), None)
            } else {
                return Ok(Some(reserved));
            };
            drop(held);
            let idle = self.sessions.idlest(of).ok_or(full)?;
            if let Err(error) = self.close_session(&idle.into()).await {
                tracing::debug!(%error, "a session was not put aside");
            }
        }
    }

    async fn room(&self) -> Result<(), EraError> {
        if self.is_full().await { Err(EraError::Full(self.most)) } else { Ok(()) }
    }

    fn keeps(&self, id: &SessionId) -> impl Fn(&ServerSseMessage) -> bool + Send + Sync + 'static {
        let primes = self.primes.read().unwrap_or_else(PoisonError::into_inner);
        let primes = primes.get(id).copied().unwrap_or(false);
        move |message| primes || message.message.is_some()
    }
}

impl SessionManager for Eras {
    type Error = EraError;
    type Transport = <LocalSessionManager as SessionManager>::Transport;

    async fn create_session(&self) -> Result<(SessionId, Self::Transport), EraError> {
        self.room().await?;
        self.inner.create_session().await.map_err(EraError::Inner)
    }

    async fn initialize_session(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<ServerJsonRpcMessage, EraError> {
        let answer = self.inner.initialize_session(id, message).await.map_err(EraError::Inner)?;
        if let JsonRpcMessage::Response(it) = &answer
            && let ServerResult::InitializeResult(agreed) = &it.result
        {
            let primes = agreed.protocol_version >= ProtocolVersion::V_2025_11_25;
            self.primes.write().unwrap_or_else(PoisonError::into_inner).insert(id.clone(), primes);
        }
        Ok(answer)
    }

    async fn has_session(&self, id: &SessionId) -> Result<bool, EraError> {
        self.inner.has_session(id).await.map_err(EraError::Inner)
    }

    async fn close_session(&self, id: &SessionId) -> Result<(), EraError> {
        self.primes.write().unwrap_or_else(PoisonError::into_inner).remove(id);
        self.sessions.aside(id);
        self.inner.close_session(id).await.map_err(EraError::Inner)
    }

    async fn create_stream(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, EraError> {
        let keeps = self.keeps(id);
        let stream = self.inner.create_stream(id, message).await.map_err(EraError::Inner)?;
        Ok(stream.filter(move |it| ready(keeps(it))))
    }

    async fn accept_message(
        &self,
        id: &SessionId,
        message: ClientJsonRpcMessage,
    ) -> Result<(), EraError> {
        self.inner.accept_message(id, message).await.map_err(EraError::Inner)
    }

    async fn create_standalone_stream(
        &self,
        id: &SessionId,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, EraError> {
        let keeps = self.keeps(id);
        let stream = self.inner.create_standalone_stream(id).await.map_err(EraError::Inner)?;
        Ok(stream.filter(move |it| ready(keeps(it))))
    }

    async fn resume(
        &self,
        id: &SessionId,
        last: String,
    ) -> Result<impl Stream<Item = ServerSseMessage> + Send + Sync + 'static, EraError> {
        let keeps = self.keeps(id);
        let stream = self.inner.resume(id, last).await.map_err(EraError::Inner)?;
        Ok(stream.filter(move |it| ready(keeps(it))))
    }

    async fn restore_session(
        &self,
        id: SessionId,
    ) -> Result<RestoreOutcome<Self::Transport>, EraError> {
        self.room().await?;
        self.inner.restore_session(id).await.map_err(EraError::Inner)
    }
}
