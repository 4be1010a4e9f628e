//! `fetch` and `roots` of `team.yaml` as they are written: how far built-in tools reach.

use std::path::PathBuf;

use schemars::JsonSchema;

use crate::fields::Fields;
use crate::hands::Fetch;
use crate::place::{At, Sink};
use crate::secret::Outside;
use crate::units::Switch;

/// What the agents may fetch from the web.
#[derive(Debug, JsonSchema)]
#[schemars(rename = "fetch", deny_unknown_fields)]
#[expect(dead_code, reason = "describes what `read` reads, for the schema")]
pub(crate) struct WrittenFetch {
    /// The hosts; `*.example.org` is every host below that name. Default: any public one.
    hosts: Option<Vec<String>>,
    /// Whether this machine itself may be asked, also without encryption. Default: false.
    loopback: Option<Switch>,
}

/// Reads `fetch:`; whatever is wrong is in the sink and counts as not written.
pub(crate) fn read(team: &Fields<'_>) -> Fetch {
    let Some(node) = team.node("fetch") else { return Fetch::default() };
    let fields = Fields::open(node, "fetch", team.sink);
    let hosts =
        fields.texts("hosts").map(|all| all.iter().filter_map(|it| host(it, team.sink)).collect());
    let fetch = Fetch { hosts, loopback: fields.flag("loopback").unwrap_or(false) };
    fields.close();
    fetch
}

fn host(written: &At<String>, sink: &Sink) -> Option<String> {
    let name = written.value.to_lowercase();
    let plain = name.strip_prefix("*.").unwrap_or(&name);
    let is_host =
        !plain.is_empty() && plain.chars().all(|it| it.is_alphanumeric() || ".-:[]".contains(it));
    if !is_host {
        let said = format!("\"{}\" in `fetch.hosts` is no host", written.value);
        sink.push(written.place.error(said, "write a name such as `docs.rs` or `*.example.org`"));
    }
    is_host.then_some(name)
}

/// The folders that agents see: those written, or the project that the team was found in.
pub(crate) fn roots(
    written: &Option<Vec<At<String>>>,
    project: &Option<PathBuf>,
    outside: &Outside<'_>,
    sink: &Sink,
) -> Vec<PathBuf> {
    let Some(written) = written else {
        return project.as_ref().and_then(|it| (outside.folder_at)(it)).into_iter().collect();
    };
    let root = |it: &At<String>| {
        let path = outside.path(&it.value);
        let found = (outside.folder_at)(&path);
        if found.is_none() {
            let said = format!("`roots`: there is no folder {}", path.display());
            sink.push(it.place.error(said, "make it, or take it out"));
        }
        found
    };
    written.iter().filter_map(root).collect()
}
