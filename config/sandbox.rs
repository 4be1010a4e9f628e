//! `bash:` of a team and `sandbox:` of a tool server: what programs reach that run in the sandbox.

use std::collections::BTreeMap;
use std::path::PathBuf;

use schemars::JsonSchema;
use secrecy::SecretString;

use crate::fields::Fields;
use crate::place::{At, Sink};
use crate::secret::{Outside, is_delicate, is_variable};
use crate::units::{Seconds, Unit};
use crate::yaml::{Node, Value};

/// How long a command of the tool Bash may take if nobody says otherwise, seconds.
const TIMEOUT_S: u64 = 120;
/// How long it may take at most, seconds.
pub(crate) const TIMEOUT_MAX_S: u64 = 600;

/// What a program reaches besides the system's own programs and libraries.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sandbox {
    /// Whether it reaches the network.
    pub network: bool,
    /// Folders and files that it may read.
    pub read: Vec<PathBuf>,
    /// Folders and files that it may write.
    pub write: Vec<PathBuf>,
}

/// What commands of the tool Bash reach, besides the roots.
#[derive(Clone, Debug)]
pub struct Commands {
    /// The network, and what may be read.
    pub sandbox: Sandbox,
    /// How long a command may take that says nothing, seconds.
    pub timeout_s: u64,
    /// What the team itself is or would be read from: no command writes it. Names that only other
    /// programs look for in a root are not among them, since a folder cannot be given without them.
    pub guarded: Vec<PathBuf>,
    /// The variables that the owner named.
    pub env: BTreeMap<String, SecretString>,
    /// Those of their values that must never reach a record.
    pub secrets: Vec<SecretString>,
    /// The variables of this process that every command gets: `PATH` and `TZ`.
    pub inherited: BTreeMap<String, String>,
}

impl Default for Commands {
    fn default() -> Commands {
        Commands {
            sandbox: Sandbox::default(),
            timeout_s: TIMEOUT_S,
            guarded: vec![],
            env: BTreeMap::new(),
            secrets: vec![],
            inherited: BTreeMap::new(),
        }
    }
}

/// What commands of the tool Bash may reach.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "bash", deny_unknown_fields)]
#[expect(dead_code, reason = "describes what `commands` reads, for the schema")]
pub(crate) struct WrittenCommands {
    /// Whether they reach the network. Default: false.
    network: Option<bool>,
    /// How long one may take that says nothing, 120 s; at most 600 s.
    #[schemars(with = "Option<Seconds>")]
    timeout_s: Option<u64>,
    /// Folders and files they may read besides the roots, such as a tool chain in your home folder.
    read: Option<Vec<String>>,
    /// Names of variables that they get from this process; they see the values.
    env: Option<Vec<String>>,
}

/// What a tool server's program may reach.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "sandbox", deny_unknown_fields)]
#[expect(dead_code, reason = "describes what `sandbox` reads, for the schema")]
pub(crate) struct WrittenSandbox {
    /// Whether it reaches the network. Default: false.
    network: Option<bool>,
    /// Folders and files it may read besides its own program and the folder it starts in.
    read: Option<Vec<String>>,
    /// Folders and files it may write.
    write: Option<Vec<String>>,
}

/// Reads `bash:` of `team.yaml`.
pub(crate) fn commands(node: Option<&Node>, outside: &Outside<'_>, sink: &Sink) -> Commands {
    let Some(node) = node else { return Commands::default() };
    let fields = Fields::open(node, "bash", sink);
    let timeout = fields.whole("timeout_s", Unit::Seconds, 1..=TIMEOUT_MAX_S);
    let (mut env, mut secrets) = (BTreeMap::new(), vec![]);
    for name in fields.texts("env").unwrap_or_default() {
        if !is_variable(&name.value) {
            let said = format!("`bash.env` names no variable: \"{}\"", name.value);
            sink.push(name.place.error(said, "write names only, such as `[CARGO_HOME]`"));
        } else if let Some(value) = (outside.env)(&name.value) {
            let value = SecretString::from(value);
            secrets.extend(is_delicate(&name.value).then(|| value.clone()));
            env.insert(name.value, value);
        } else {
            let said = format!("`bash.env`: the variable {} is not set", name.value);
            sink.push(name.place.warning(said, ""));
        }
    }
    let sandbox = reach(&fields, outside, false);
    fields.close();
    let timeout_s = timeout.map_or(TIMEOUT_S, |it| it.value);
    Commands { sandbox, timeout_s, guarded: vec![], env, secrets, inherited: BTreeMap::new() }
}

/// Reads `sandbox:` of a tool server. An error if it is written and cannot be kept: then the server
/// must not start.
pub(crate) fn sandbox(
    of: &Fields<'_>,
    outside: &Outside<'_>,
    sink: &Sink,
) -> Result<Option<Sandbox>, ()> {
    let Some(node) = of.node("sandbox") else { return Ok(None) };
    match &node.value {
        Value::Map(_) => {
            let fields = Fields::open(node, of.name("sandbox"), sink);
            let before = sink.count();
            let sandbox = reach(&fields, outside, true);
            fields.close();
            if sink.count() == before { Ok(Some(sandbox)) } else { Err(()) }
        }
        Value::Null
        | Value::Flag(_)
        | Value::Whole(_)
        | Value::Real(_)
        | Value::Text(_)
        | Value::List(_) => match of.flag("sandbox") {
            Some(true) => Ok(Some(Sandbox::default())),
            Some(false) => Ok(None),
            None => Err(()),
        },
    }
}

fn reach(fields: &Fields<'_>, outside: &Outside<'_>, with_write: bool) -> Sandbox {
    let paths = |all: Option<Vec<At<String>>>| -> Vec<PathBuf> {
        all.unwrap_or_default().iter().map(|it| outside.path(&it.value)).collect()
    };
    Sandbox {
        network: fields.flag("network").unwrap_or_default(),
        read: paths(fields.texts("read")),
        write: if with_write { paths(fields.texts("write")) } else { vec![] },
    }
}
