//! A tool server as it is written: in `team.yaml`, in an agent's file, or in `.mcp.json`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use secrecy::{ExposeSecret, SecretString};
use serde::Deserialize;
use serde_json::json;

use crate::fields::Fields;
use crate::place::{At, Place, Sink};
use crate::sandbox::{self, WrittenSandbox};
use crate::secret::{self, Outside, is_delicate};
use crate::select::slug;
use crate::team::{Reach, SourceFile, ToolServer};
use crate::units::OneOf;
use crate::yaml::{Node, Value};

/// Headers that the protocol itself sets.
const RESERVED: [&str; 4] = ["accept", "content-type", "mcp-session-id", "last-event-id"];
/// Keys of other programs that change nothing here.
const IDLE: [&str; 4] = ["timeout", "description", "trust", "alwaysAllow"];

/// One MCP server: a `command` that speaks on its stdin and stdout, or a `url`.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "server", deny_unknown_fields)]
#[expect(dead_code, reason = "describes what `Written` reads, for the schema")]
pub(crate) struct WrittenServer {
    /// How it speaks; told by `command` or `url` where it is left out.
    r#type: Option<Speaks>,
    /// The program: a name on PATH, or a path from the team's folder.
    command: Option<String>,
    /// Its arguments, each as it is; no shell reads them.
    args: Option<Vec<String>>,
    /// Its variables; secrets as `env:NAME`, `file:PATH` or `${NAME}`.
    env: Option<BTreeMap<String, String>>,
    /// The folder it starts in. Default: the team's.
    cwd: Option<String>,
    /// Whether the program runs in the sandbox, and what it reaches there. Default: false.
    sandbox: Option<OneOf<bool, WrittenSandbox>>,
    /// An https address, or an http one on this machine.
    url: Option<String>,
    /// Sent with every request; secrets as `env:NAME`, `file:PATH` or `Bearer ${NAME}`.
    headers: Option<BTreeMap<String, String>>,
    /// Whether the address is in a private network. Default: false.
    private: Option<bool>,
}

/// How a tool server speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum Speaks {
    /// On stdin and stdout.
    #[serde(alias = "local")]
    Stdio,
    /// Streamable HTTP.
    #[serde(alias = "streamable-http", alias = "streamable_http", alias = "streamableHttp")]
    Http,
}

/// Every entry of a map, with the place of its name.
pub(crate) fn entries(node: &Node) -> Vec<(At<String>, Node)> {
    let Value::Map(entries) = &node.value else { return vec![] };
    let named = |it: &(crate::yaml::Key, Node)| {
        (At { place: it.0.place.clone(), value: it.0.name.clone() }, it.1.clone())
    };
    entries.iter().map(named).collect()
}

/// What definitions are read against.
pub(crate) struct Ground<'a> {
    pub(crate) outside: &'a Outside<'a>,
    pub(crate) files: &'a [SourceFile],
}

impl Ground<'_> {
    /// Checks one definition. `None` if it cannot be used; why is in `sink`.
    pub(crate) fn read(
        &self,
        name: &At<String>,
        node: &Node,
        path: &str,
        sink: &Sink,
    ) -> Option<ToolServer> {
        let fields = Fields::open(node, format!("{path}.{}", name.value), sink);
        let mut reader = Reader { ground: self, fields: &fields, secrets: vec![], whole: true };
        let server = reader.server(name);
        fields.close();
        server
    }

    fn source(&self, place: &Place) -> SourceFile {
        let path = &place.source.path;
        let found = self.files.iter().find(|it| it.path == *path).cloned();
        found.unwrap_or_else(|| SourceFile { path: path.clone(), hash: String::new() })
    }

    fn is_own(&self, place: &Place) -> bool {
        let path = &place.source.path;
        let folder = path.parent().unwrap_or(Path::new(""));
        let is_agent = path.extension().is_some_and(|it| it == "md");
        let home = self.outside.folder;
        place.source.strict || (is_agent && (folder == home || folder == home.join("agents")))
    }
}

struct Reader<'a> {
    ground: &'a Ground<'a>,
    fields: &'a Fields<'a>,
    secrets: Vec<SecretString>,
    /// Whether nothing was found that makes it useless.
    whole: bool,
}

impl Reader<'_> {
    fn server(&mut self, name: &At<String>) -> Option<ToolServer> {
        let fields = self.fields;
        let speaks = fields.choice::<Speaks>("type", &["stdio", "http"]);
        let (command, url) = (fields.text("command"), fields.either(&["url", "httpUrl"]));
        let url = url.and_then(|it| fields.text_of(it, "url"));
        let (arguments, cwd) = (self.list("args"), fields.text("cwd"));
        let (env, headers) = (self.values("env"), self.values("headers"));
        let private = fields.flag("private").unwrap_or(false);
        for key in IDLE {
            let _ = fields.node(key);
        }
        if let Some(node) = fields.node("tools").filter(|it| it.json() != json!(["*"])) {
            let said = format!("`{}` takes no tool away", fields.name("tools"));
            let help = "name those it may use in the agent's own `tools`: `mcp__SERVER__TOOL`";
            fields.sink.push(node.place.warning(said, help));
        }
        let sandbox = sandbox::sandbox(fields, self.ground.outside, fields.sink);
        if fields.flag("disabled") == Some(true) || fields.flag("enabled") == Some(false) {
            return None;
        }
        let (reach, shown) = match (command, url) {
            (Some(command), None) if speaks.as_ref().is_none_or(|it| it.value == Speaks::Stdio) => {
                let words = std::iter::once(&command.value).chain(&arguments);
                let shown = words.map(|it| quoted(it)).collect::<Vec<_>>().join(" ");
                (self.program(&command, &arguments, cwd, env), shown)
            }
            (None, Some(url)) if speaks.as_ref().is_none_or(|it| it.value == Speaks::Http) => {
                (self.address(&url, headers, private)?, quoted(&url.value))
            }
            (Some(_) | None, _) => {
                self.wrong(&name.place, "takes a `command` or a `url`, one of the two", "");
                return None;
            }
        };
        let is_program = matches!(reach, Reach::Program { .. });
        if sandbox.is_err() {
            let said = "has a `sandbox` that is wrong as told here, and does not start without it";
            self.wrong(&name.place, said, "");
        } else if !is_program && sandbox != Ok(None) {
            let said = "has a `sandbox`, but what is behind a `url` runs elsewhere";
            self.wrong(&name.place, said, "");
        }
        let slug = slug(&name.value);
        if slug.is_empty() {
            self.wrong(&name.place, "has a name without a letter", "");
        }
        self.whole.then(|| ToolServer {
            key: slug.clone(),
            name: slug,
            reach,
            shown,
            source: self.ground.source(&name.place),
            line: name.place.line,
            own: self.ground.is_own(&name.place),
            users: vec![],
            sandbox: sandbox.unwrap_or_default(),
            secrets: std::mem::take(&mut self.secrets),
        })
    }

    fn program(
        &mut self,
        command: &At<String>,
        arguments: &[String],
        cwd: Option<At<String>>,
        env: BTreeMap<String, SecretString>,
    ) -> Reach {
        let outside = self.ground.outside;
        let command = self.expanded(&command.value, &command.place).0;
        // A bare name is looked for on PATH.
        let is_path = command.contains('/') || command.starts_with('~');
        let cwd = cwd.map(|it| outside.path(&self.expanded(&it.value, &it.place).0));
        let place = self.fields_place();
        Reach::Program {
            command: if is_path { outside.path(&command) } else { PathBuf::from(command) },
            args: arguments.iter().map(|it| self.expanded(it, &place).0).collect(),
            env,
            inherited: BTreeMap::new(),
            cwd: cwd.unwrap_or_else(|| outside.folder.to_path_buf()),
        }
    }

    fn address(
        &mut self,
        url: &At<String>,
        headers: BTreeMap<String, SecretString>,
        private: bool,
    ) -> Option<Reach> {
        let whole = self.expanded(&url.value, &url.place).0;
        if let Err(why) = allowed(&whole) {
            let help = "write \"https://...\", or \"http://localhost:PORT/...\" for this machine";
            self.wrong(&url.place, why, help);
            return None;
        }
        for name in headers.keys() {
            let lower = name.to_ascii_lowercase();
            let token = |it: u8| it.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&it);
            if RESERVED.contains(&&*lower) || lower.starts_with("mcp-") || !lower.bytes().all(token)
            {
                self.wrong(&url.place, &format!("cannot send the header `{name}`"), "remove it");
            }
        }
        Some(Reach::Http { url: whole, headers, private })
    }

    /// The values of a map whose secrets are references.
    fn values(&mut self, key: &str) -> BTreeMap<String, SecretString> {
        let mut all = BTreeMap::new();
        for (name, node) in self.fields.entries(key) {
            let path = self.fields.name(&format!("{key}.{}", name.name));
            let Some(text) = scalar(node) else {
                self.fields.expected(node, &format!("{key}.{}", name.name), "text", "");
                continue;
            };
            let written = At { place: node.place.clone(), value: text };
            if let Some(value) = self.value(&name.name, &written, &path) {
                all.insert(name.name.clone(), value);
            }
        }
        all
    }

    fn value(&mut self, name: &str, written: &At<String>, path: &str) -> Option<SecretString> {
        let is_address = written.value.starts_with("file://");
        if secret::is_reference(&written.value) && !is_address {
            let value = secret::resolve(written, path, self.ground.outside, self.fields.sink)?;
            self.secrets.push(value.clone());
            return Some(value);
        }
        let (text, was_reference) = self.expanded(&written.value, &written.place);
        let value = SecretString::from(text);
        if is_delicate(name) {
            if !was_reference && !value.expose_secret().is_empty() {
                let said = format!("`{path}` holds a secret itself; it belongs outside the file");
                let help = "write `env:NAME`, `file:PATH` or `${NAME}`";
                self.fields.sink.push(written.place.by_its_file(said, help));
            }
            self.secrets.push(value.clone());
        }
        Some(value)
    }

    fn list(&self, key: &str) -> Vec<String> {
        let Some(node) = self.fields.node(key) else { return vec![] };
        let Value::List(items) = &node.value else {
            self.fields.expected(node, key, "a list of texts", "write `[one, two]`");
            return vec![];
        };
        let text = |it: &Node| {
            let text = scalar(it);
            if text.is_none() {
                self.fields.expected(it, key, "a list of texts", "");
            }
            text
        };
        items.iter().filter_map(text).collect()
    }

    /// The text with `${NAME}` and `${NAME:-default}` filled in, and whether there was any.
    fn expanded(&mut self, text: &str, place: &Place) -> (String, bool) {
        let (mut done, mut rest, mut any) = (String::new(), text, false);
        while let Some((before, after)) = rest.split_once("${") {
            let Some((inside, tail)) = after.split_once('}') else { break };
            let (name, default) =
                inside.split_once(":-").map_or((inside, None), |it| (it.0, Some(it.1)));
            done.push_str(before);
            rest = tail;
            any = true;
            let found = (self.ground.outside.env)(name).or(default.map(str::to_owned));
            let Some(value) = found else {
                let path = self.fields.name("");
                let said = format!("`{path}` is left out: the variable {name} is not set");
                self.fields.sink.push(place.warning(said.replace(".`", "`"), ""));
                self.whole = false;
                continue;
            };
            let value = value.trim().to_owned();
            if is_delicate(name) {
                self.secrets.push(SecretString::from(value.clone()));
            }
            done.push_str(&value);
        }
        done.push_str(rest);
        (done, any)
    }

    fn fields_place(&self) -> Place {
        self.fields
            .node("command")
            .map_or_else(|| Place::whole(Path::new(""), false), |it| it.place.clone())
    }

    /// Tells why the server is left out; in `team.yaml` nothing starts then.
    fn wrong(&mut self, place: &Place, what: &str, help: &str) {
        self.whole = false;
        let said = format!("tool server `{}` {what}", self.fields.name("").trim_end_matches('.'));
        let help = if help.is_empty() { "it is left out until this is mended" } else { help };
        self.fields.sink.push(place.by_its_file(said, help));
    }
}

/// A word as it can be shown: blanks in quotes, and nothing in it that a terminal acts on.
fn quoted(word: &str) -> String {
    let plain = |it: u8| it.is_ascii_graphic() && it != b'"' && it != b'\\';
    if !word.is_empty() && word.bytes().all(plain) { word.to_owned() } else { format!("{word:?}") }
}

fn scalar(node: &Node) -> Option<String> {
    match &node.value {
        Value::Text(it) => Some(it.clone()),
        Value::Whole(it) => Some(it.to_string()),
        Value::Real(it) => Some(it.to_string()),
        Value::Flag(it) => Some(it.to_string()),
        Value::Null => Some(String::new()),
        Value::List(_) | Value::Map(_) => None,
    }
}

/// Whether an address may be asked: https, or this machine itself.
pub(crate) fn allowed(url: &str) -> Result<(), &'static str> {
    let (rest, safe) = match (url.strip_prefix("https://"), url.strip_prefix("http://")) {
        (Some(rest), _) => (rest, true),
        (None, Some(rest)) => (rest, false),
        (None, None) => return Err("has a `url` that is no http address"),
    };
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let bare = match host.strip_prefix('[').and_then(|it| it.split_once(']')) {
        Some((inside, _)) => inside,
        None => host.split(':').next().unwrap_or_default(),
    };
    if bare.is_empty() || !url.bytes().all(|it| (b'!'..=b'~').contains(&it)) {
        return Err("has a `url` that is no address");
    }
    if host.contains('@') {
        return Err("has a `url` with a name or password in it");
    }
    let is_local = ["localhost", "127.0.0.1", "::1"].contains(&bare);
    if safe || is_local { Ok(()) } else { Err("would be asked without encryption") }
}
