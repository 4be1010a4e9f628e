//! From a fact to the line that is kept: secrets go, long strings go apart. No other way leads in.

use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use callboard_trace::secrets::{self, INSTEAD};
use callboard_trace::{Event, Fact};
use serde::Serialize;
use serde_json::Value;

use crate::StoreError;
use crate::alike::{Alike, Ready};
use crate::blob::{BLOB_OVER, Blob, LEVELS, SHARED, depth, pack, shared};
use crate::chain::digest;
use crate::error::Result;
use crate::memory::{self, Touch};

/// The most bytes a record may have, its blobs included.
const BODY_MAX: usize = 32 << 20;

/// The most levels of nesting a record may have. JSON from outside has at most 128.
const DEPTH_MAX: usize = 200;

/// Shorter values are no secrets: taking them out would blacken ordinary text.
const SECRET_MIN: usize = 8;

/// How many times over a secret is looked for as escaped text.
const DEEP: usize = 5;

/// Makes lines. Holds the secrets, in every spelling they may turn up in.
pub(crate) struct Ink {
    secrets: RwLock<Vec<String>>,
    alike: Alike,
}

/// A fact ready to be kept; only [`Ink`] makes one.
#[derive(Clone, Debug)]
pub(crate) struct Line {
    pub(crate) author: String,
    pub(crate) kind: &'static str,
    pub(crate) body: String,
    pub(crate) digest: String,
    pub(crate) blobs: Vec<Blob>,
    /// What it does to the index over memory.
    pub(crate) touch: Option<Touch>,
}

impl Ink {
    pub(crate) fn new(secrets: &[String]) -> Ink {
        let ink = Ink { secrets: RwLock::default(), alike: Alike::default() };
        ink.learn(secrets);
        ink
    }

    /// From here on these are secrets too. None is forgotten: a run may still hold an old one.
    pub(crate) fn learn(&self, secrets: &[String]) {
        let mut all = self.secrets.write().unwrap_or_else(PoisonError::into_inner);
        let long = secrets.iter().filter(|it| it.len() >= SECRET_MIN);
        all.extend(long.flat_map(|it| spellings(it)));
        // A secret inside another must not leave the rest of the longer one behind.
        all.sort_by(|a, b| b.len().cmp(&a.len()).then_with(|| a.cmp(b)));
        all.dedup();
        drop(all);
        self.alike.forget();
    }

    fn secrets(&self) -> RwLockReadGuard<'_, Vec<String>> {
        self.secrets.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A record as it is written, and what it says as a reader will find it.
    pub(crate) fn write(&self, fact: Fact) -> Result<(Fact, Line)> {
        let Fact { by, event } = fact;
        let kind = event.kind();
        let (event, body, blobs) = match self.plain(&event) {
            Some(text) => (event, text, Vec::new()),
            None => self.begun(event)?,
        };
        let bytes = blobs.iter().fold(body.len(), |sum, it| sum + it.text.len());
        if bytes > BODY_MAX {
            let text = format!(
                "a {kind} record of {bytes} bytes is over the limit of {BODY_MAX}; shorten it"
            );
            return Err(StoreError::Db(text));
        }
        let author = self.clean(&by).unwrap_or(by);
        let (digest, touch) = (digest(body.as_bytes()), memory::touch(&event));
        let line = Line { author: author.clone(), kind, digest, body, blobs, touch };
        Ok((Fact { by: author, event }, line))
    }

    /// The text of a record that is kept as it is: short, not deep, without what is written in another way,
    /// and without a secret, which would stand in it as it is. The two that seldom are so are not tried.
    fn plain(&self, event: &Event) -> Option<String> {
        if matches!(event, Event::RunStarted(_) | Event::ModelReplied(_)) {
            return None;
        }
        let text = serde_json::to_string(event).ok().filter(|_| event.erasable().is_empty())?;
        let opens = text.bytes().filter(|it| matches!(it, b'[' | b'{'));
        let is_plain = text.len() <= BLOB_OVER
            && !text.contains(['\\', '$'])
            && opens.count() < LEVELS
            && !self.is_told(&text);
        is_plain.then_some(text)
    }

    /// The same as [`Ink::taken_apart`], the definition that a run begins with as it was made ready.
    fn begun(&self, mut event: Event) -> Result<(Event, String, Vec<Blob>)> {
        let mut known = None;
        if let Event::RunStarted(it) = &mut event {
            let ready = self.alike.of(&it.agent, |agent| self.ready(agent));
            known = ready.map(|ready| (ready, std::mem::take(&mut it.agent)));
        }
        let (mut event, mut body, mut blobs) = self.taken_apart(event)?;
        if let (Some((ready, agent)), Event::RunStarted(it)) = (known, &mut event) {
            body[SHARED] = ready.0.clone();
            blobs.extend(ready.1.iter().cloned());
            it.agent = agent;
        }
        Ok((event, body.to_string(), blobs))
    }

    /// A definition as it is written, if it is not deep and holds no secret.
    fn ready(&self, definition: &impl Serialize) -> Option<Ready> {
        let value = serde_json::to_value(definition).ok()?;
        let is_plain = depth(&value) < LEVELS && !self.is_told_in(&value);
        is_plain.then(|| Arc::new(shared(value)))
    }

    /// A record without secrets, what is kept of it, and what is kept apart.
    fn taken_apart(&self, event: Event) -> Result<(Event, Value, Vec<Blob>)> {
        let kind = event.kind();
        let body = serde_json::to_value(&event).map_err(|it| unwritable(kind, &it))?;
        let levels = depth(&body);
        if levels > DEPTH_MAX {
            let text =
                format!("a {kind} record is {levels} levels deep, over the limit of {DEPTH_MAX}");
            return Err(StoreError::Db(text));
        }
        let (event, mut body) = self.redact(event, body)?;
        let mut blobs = Vec::new();
        pack(&mut body, &event.erasable(), &mut blobs);
        Ok((event, body, blobs))
    }

    pub(crate) fn write_all(&self, facts: Vec<Fact>) -> Result<(Vec<Fact>, Vec<Line>)> {
        let both = facts.into_iter().map(|it| self.write(it)).collect::<Result<Vec<_>, _>>()?;
        Ok(both.into_iter().unzip())
    }

    /// Only a body that held a secret is read back, to be sure that it still is a record. Keys are
    /// left alone when one of them is a word of the format itself.
    fn redact(&self, event: Event, body: Value) -> Result<(Event, Value)> {
        if !self.is_told_in(&body) {
            return Ok((event, body));
        }
        for keys in [true, false] {
            let mut clean = body.clone();
            if !self.walk(&mut clean, keys) {
                return Ok((event, body));
            }
            if let Ok(event) = serde_json::from_value(clean.clone()) {
                return Ok((event, clean));
            }
        }
        let text = "a secret has the value of a word of the record format; choose another secret";
        Err(StoreError::Db(text.to_owned()))
    }

    /// Whether a secret, or what looks like one, stands in one of its strings or keys.
    fn is_told_in(&self, body: &Value) -> bool {
        any_text(body, &|text| self.is_told(text))
    }

    fn is_told(&self, text: &str) -> bool {
        self.secrets().iter().any(|it| text.contains(it.as_str())) || secrets::is_told(text)
    }

    /// The event as it will be kept: what was learnt from outside is known without its secrets from
    /// the first moment on, as whoever reads it again later knows it.
    pub(crate) fn told(&self, event: Event) -> Event {
        match serde_json::to_value(&event) {
            Ok(body) if self.is_told_in(&body) => {
                self.redact(event.clone(), body).map_or(event, |it| it.0)
            }
            _ => event,
        }
    }

    fn walk(&self, value: &mut Value, keys: bool) -> bool {
        match value {
            Value::String(text) => self.clean(text).map(|it| *text = it).is_some(),
            Value::Array(items) => {
                items.iter_mut().fold(false, |any, it| self.walk(it, keys) | any)
            }
            Value::Object(map) => {
                let mut any = map.values_mut().fold(false, |any, it| self.walk(it, keys) | any);
                if keys && map.keys().any(|key| self.clean(key).is_some()) {
                    let taken = std::mem::take(map).into_iter();
                    map.extend(taken.map(|(key, it)| (self.clean(&key).unwrap_or(key), it)));
                    any = true;
                }
                any
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => false,
        }
    }

    /// The text without secrets, if it had any.
    pub(crate) fn clean(&self, text: &str) -> Option<String> {
        let known = self.secrets();
        let found = known.iter().filter(|it| text.contains(it.as_str()));
        let done = found.fold(None, |done: Option<String>, it| {
            Some(done.as_deref().unwrap_or(text).replace(it.as_str(), INSTEAD))
        });
        secrets::hide(done.as_deref().unwrap_or(text)).or(done)
    }
}

fn any_text(value: &Value, is_so: &impl Fn(&str) -> bool) -> bool {
    match value {
        Value::String(text) => is_so(text),
        Value::Array(items) => items.iter().any(|it| any_text(it, is_so)),
        Value::Object(map) => map.iter().any(|(key, it)| is_so(key) || any_text(it, is_so)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

/// A secret as it is, inside JSON text, inside JSON text that stands in JSON text, and so on.
fn spellings(secret: &str) -> impl Iterator<Item = String> {
    std::iter::successors(Some(secret.to_owned()), |it| Some(escaped(it))).take(DEEP)
}

fn escaped(text: &str) -> String {
    let quoted = Value::String(text.to_owned()).to_string();
    quoted[1..quoted.len() - 1].to_owned()
}

fn unwritable(kind: &str, error: &serde_json::Error) -> StoreError {
    StoreError::Db(format!("a {kind} record cannot be written as JSON: {error}"))
}
