//! Sessions of the older era. A session's name carries, signed, whom it belongs to and what its
//! client said at the beginning: so nothing about it is stored, nobody else can use it, and it goes
//! on after it was put aside, or after another process has taken this one's place.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::{HeaderMap, HeaderValue};
use rmcp::model::{
    ClientCapabilities, ElicitationCapability, Implementation, InitializeRequestParams,
    ProtocolVersion,
};
use rmcp::transport::streamable_http_server::session::{
    SessionState, SessionStore, SessionStoreError,
};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use crate::open::Open;
use crate::seal::Seals;

/// The header that names a session.
pub(crate) const HEADER: &str = "mcp-session-id";
/// How long a name is good.
const GOOD_FOR: Duration = Duration::from_secs(7 * 86_400);
/// A name that no session has.
const NOBODYS: HeaderValue = HeaderValue::from_static("unknown");
/// Ended sessions that are remembered, so that their names stay dead.
const ENDED: usize = 10_000;
/// Letters of a client's name and version that are kept.
const NAME_CHARS: usize = 64;

/// What a client said when it came, as far as it matters later.
#[derive(Clone, Debug, Deserialize, Serialize, PartialEq)]
pub(crate) struct Visitor {
    client: String,
    version: String,
    protocol: ProtocolVersion,
    elicits: bool,
}

/// The sessions of this process.
pub(crate) struct Sessions {
    seals: Arc<Seals>,
    inside: Mutex<Inside>,
}

#[derive(Default)]
struct Inside {
    /// Requests that are not answered yet, by session.
    open: HashMap<String, Arc<Open>>,
    /// Visitors that may have to be introduced anew, while their request is under way.
    known: HashMap<String, (usize, Visitor)>,
    /// Whose the sessions are, and when each was there last.
    owners: HashMap<String, (String, Instant)>,
    ended: HashSet<String>,
    order: VecDeque<String>,
}

/// One request's session, by its own name; forgets the visitor when it is dropped.
pub(crate) struct Visit {
    sessions: Arc<Sessions>,
    pub(crate) session: String,
}

impl Visitor {
    /// What an `initialize` says.
    pub(crate) fn of(request: &InitializeRequestParams) -> Visitor {
        let short = |text: &str| text.chars().take(NAME_CHARS).collect();
        Visitor {
            client: short(&request.client_info.name),
            version: short(&request.client_info.version),
            protocol: request.protocol_version.clone(),
            elicits: request.capabilities.elicitation.is_some(),
        }
    }

    fn introduced(self) -> InitializeRequestParams {
        let mut can = ClientCapabilities::default();
        can.elicitation = self.elicits.then(ElicitationCapability::default);
        let who = Implementation::new(self.client, self.version);
        InitializeRequestParams::new(can, who).with_protocol_version(self.protocol)
    }
}

impl Sessions {
    /// No sessions yet.
    pub(crate) fn new(seals: Arc<Seals>) -> Sessions {
        Sessions { seals, inside: Mutex::default() }
    }

    fn inside(&self) -> MutexGuard<'_, Inside> {
        self.inside.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts into the headers the session's own name for the one that the client was given; a name
    /// that is not its caller's, or that ended, is nobody's.
    pub(crate) fn enter(
        self: &Arc<Self>,
        headers: &mut HeaderMap,
        principal: &str,
    ) -> Option<Visit> {
        let given = headers.get(HEADER)?.to_str().unwrap_or_default().to_owned();
        let found = self.read(&given, principal);
        let own = found.as_ref().and_then(|it| HeaderValue::from_str(&it.session).ok());
        headers.insert(HEADER, own.unwrap_or(NOBODYS));
        found
    }

    fn read(self: &Arc<Self>, given: &str, principal: &str) -> Option<Visit> {
        let (session, sealed) = given.split_once('.')?;
        let visitor: Visitor = self.seals.open(sealed, &bound_to(session, principal)).ok()?;
        let mut inside = self.inside();
        if inside.ended.contains(session) {
            return None;
        }
        inside.owners.insert(session.to_owned(), (principal.to_owned(), Instant::now()));
        inside.known.entry(session.to_owned()).or_insert((0, visitor)).0 += 1;
        Some(Visit { sessions: Arc::clone(self), session: session.to_owned() })
    }

    /// The name under which a client is given its new session.
    pub(crate) fn named(
        &self,
        session: &str,
        visitor: &Visitor,
        principal: &str,
    ) -> Option<HeaderValue> {
        let sealed = self.seals.seal(visitor, &bound_to(session, principal), GOOD_FOR)?;
        let owner = (principal.to_owned(), Instant::now());
        self.inside().owners.insert(session.to_owned(), owner);
        HeaderValue::from_str(&format!("{session}.{sealed}")).ok()
    }

    /// The open requests of a session.
    pub(crate) fn open(&self, session: &str) -> Arc<Open> {
        Arc::clone(self.inside().open.entry(session.to_owned()).or_default())
    }

    /// How many of the sessions that are held belong to a caller. Forgets whose the others were.
    pub(crate) fn held_by(&self, principal: &str, is_held: impl Fn(&str) -> bool) -> usize {
        let owners = &mut self.inside().owners;
        owners.retain(|session, _| is_held(session));
        owners.values().filter(|it| it.0 == principal).count()
    }

    /// The session that has been silent for longest, of a caller or of all, and asks for nothing
    /// now. It can be put aside: its name brings it back.
    pub(crate) fn idlest(&self, whose: Option<&str>) -> Option<String> {
        let mut inside = self.inside();
        let Inside { known, owners, .. } = &mut *inside;
        let idle = owners.iter().filter(|(session, (owner, _))| {
            !known.contains_key(*session) && whose.is_none_or(|it| it == owner)
        });
        let session = idle.min_by_key(|it| it.1.1)?.0.clone();
        owners.remove(&session);
        Some(session)
    }

    /// The session is put aside; it may come again.
    pub(crate) fn aside(&self, session: &str) {
        self.inside().open.remove(session);
    }

    /// The session was ended by its client, for good.
    pub(crate) fn end(&self, session: &str) {
        self.aside(session);
        let mut inside = self.inside();
        if inside.ended.insert(session.to_owned()) {
            inside.order.push_back(session.to_owned());
        }
        if inside.order.len() > ENDED
            && let Some(oldest) = inside.order.pop_front()
        {
            inside.ended.remove(&oldest);
        }
    }
}

impl Drop for Visit {
    fn drop(&mut self) {
        let mut inside = self.sessions.inside();
        if let Some((n_visits, _)) = inside.known.get_mut(&self.session) {
            *n_visits -= 1;
            if *n_visits == 0 {
                inside.known.remove(&self.session);
            }
        }
    }
}

fn bound_to(session: &str, principal: &str) -> String {
    format!("session\n{session}\n{principal}")
}

/// What the library asks when it meets a session it does not hold: the visitor's name tells.
pub(crate) struct Introductions(pub(crate) Arc<Sessions>);

#[async_trait::async_trait]
impl SessionStore for Introductions {
    async fn load(&self, session: &str) -> Result<Option<SessionState>, SessionStoreError> {
        let known = self.0.inside().known.get(session).map(|it| it.1.clone());
        Ok(known.map(|it| SessionState::new(it.introduced())))
    }

    async fn store(&self, _session: &str, _state: &SessionState) -> Result<(), SessionStoreError> {
        Ok(())
    }

    async fn delete(&self, session: &str) -> Result<(), SessionStoreError> {
        self.0.end(session);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::seal::KEY_BYTES;

    fn sessions() -> Arc<Sessions> {
        Arc::new(Sessions::new(Arc::new(Seals::new([3; KEY_BYTES]))))
    }

    fn visitor() -> Visitor {
        Visitor {
            client: "codex".to_owned(),
            version: "1".to_owned(),
            protocol: ProtocolVersion::V_2025_06_18,
            elicits: true,
        }
    }

    fn entered(sessions: &Arc<Sessions>, name: &HeaderValue, principal: &str) -> (String, bool) {
        let mut headers =
            HeaderMap::from_iter([(http::HeaderName::from_static(HEADER), name.clone())]);
        let visit = sessions.enter(&mut headers, principal);
        (headers[HEADER].to_str().expect("text").to_owned(), visit.is_some())
    }

    #[test]
    fn a_name_is_good_for_its_owner_in_every_process_with_the_key() {
        let name = sessions().named("s1", &visitor(), "ann").expect("a name");
        assert_eq!(entered(&sessions(), &name, "ann"), ("s1".to_owned(), true));
        assert_eq!(entered(&sessions(), &name, "ben"), ("unknown".to_owned(), false));
        for garbage in ["", "s1", "s1.", ".", "s2.x", "\u{7f}"] {
            let Ok(garbage) = HeaderValue::from_str(garbage) else { continue };
            assert_eq!(entered(&sessions(), &garbage, "ann"), ("unknown".to_owned(), false));
        }
    }

    #[test]
    fn a_session_that_its_client_ended_stays_ended() {
        let sessions = sessions();
        let name = sessions.named("s1", &visitor(), "ann").expect("a name");
        assert!(entered(&sessions, &name, "ann").1);
        sessions.aside("s1");
        assert!(entered(&sessions, &name, "ann").1, "put aside is not ended");
        sessions.end("s1");
        assert!(!entered(&sessions, &name, "ann").1);
    }

    #[test]
    fn a_callers_sessions_are_counted_while_they_are_held() {
        let sessions = sessions();
        for (session, whose) in [("s1", "ann"), ("s2", "ann"), ("s3", "ben")] {
            sessions.named(session, &visitor(), whose).expect("a name");
        }
        assert_eq!(sessions.held_by("ann", |_| true), 2);
        assert_eq!(sessions.held_by("ann", |it| it != "s1"), 1);
        assert_eq!(sessions.held_by("ann", |_| true), 1, "s1 is forgotten");
        assert_eq!(sessions.held_by("eve", |_| true), 0);
    }

    #[test]
    fn the_session_that_was_silent_for_longest_gives_way() {
        let sessions = sessions();
        let names = ["s1", "s2", "s3", "s4"].map(|session| {
            let whose = if session == "s1" { "ben" } else { "ann" };
            sessions.named(session, &visitor(), whose).expect("a name")
        });
        let mut headers =
            HeaderMap::from_iter([(http::HeaderName::from_static(HEADER), names[1].clone())]);
        let visit = sessions.enter(&mut headers, "ann").expect("known");
        assert!(entered(&sessions, &names[2], "ann").1);
        assert_eq!(sessions.idlest(Some("ann")).as_deref(), Some("s4"), "s2 asks, s3 just did");
        assert_eq!(sessions.idlest(None).as_deref(), Some("s1"));
        assert_eq!(sessions.idlest(None).as_deref(), Some("s3"));
        assert_eq!(sessions.idlest(None), None, "s2 still asks");
        drop(visit);
        assert_eq!(sessions.idlest(None).as_deref(), Some("s2"));
    }

    #[tokio::test]
    async fn a_visitor_is_introduced_anew_only_while_it_asks() {
        let sessions = sessions();
        let desk = Introductions(Arc::clone(&sessions));
        let name = sessions.named("s1", &visitor(), "ann").expect("a name");
        let mut headers = HeaderMap::from_iter([(http::HeaderName::from_static(HEADER), name)]);
        let visit = sessions.enter(&mut headers, "ann").expect("known");
        let state = desk.load("s1").await.expect("no error").expect("known");
        assert_eq!(Visitor::of(&state.initialize_params), visitor());
        drop(visit);
        assert!(desk.load("s1").await.expect("no error").is_none());
    }
}
