//! Files whose names say that they hold secrets: they are read only where an agent is allowed to
//! in so many words.

use std::path::Path;
use std::sync::LazyLock;

use callboard_config::Agent;
use globset::{Glob, GlobBuilder, GlobSet, GlobSetBuilder};

/// Names of files, in small letters.
const SECRET: &str = ".env .env.* .envrc *.pem *.key *.p12 *.pfx *.jks *.keystore *.kdbx *.ovpn \
    *.tfstate id_rsa* id_dsa* id_ecdsa* id_ed25519* .netrc _netrc .pgpass .npmrc .pypirc .htpasswd \
    .git-credentials credentials credentials.{json,toml} secrets.{json,toml,yaml,yml} \
    service-account*.json";
/// Those among them that hold none.
const OPEN: &str = "*.pub *.example *.sample *.template *.dist";
/// Folders all of whose files are.
const FOLDERS: [&str; 3] = [".ssh", ".gnupg", ".aws"];

/// Whether a file by its name holds a secret.
pub(crate) fn is_secret(inside: &Path) -> bool {
    static SECRETS: LazyLock<GlobSet> = LazyLock::new(|| set(SECRET));
    static OPENS: LazyLock<GlobSet> = LazyLock::new(|| set(OPEN));
    let small = |it: &std::ffi::OsStr| it.to_string_lossy().to_lowercase();
    let name = inside.file_name().map(small).unwrap_or_default();
    let above = inside.parent().into_iter().flat_map(Path::iter);
    let is_in = above.map(small).any(|it| FOLDERS.contains(&it.as_str()));
    (is_in || SECRETS.is_match(&name)) && !OPENS.is_match(&name)
}

/// Whether the agent's own file names that path: `tools: Read(deploy/.env)`.
pub(crate) fn is_named(agent: &Agent, inside: &Path) -> bool {
    let tools = agent.tools.iter().flatten();
    let mut named = tools.filter_map(|it| it.strip_prefix("Read(")?.strip_suffix(')'));
    named.any(|it| path_glob(it.trim_start_matches("./")).is_ok_and(|it| it.is_match(inside)))
}

/// A glob over paths: `*` stays inside a folder, `**` does not.
pub(crate) fn path_glob(glob: &str) -> Result<globset::GlobMatcher, globset::Error> {
    let built = GlobBuilder::new(glob).literal_separator(true).build()?;
    Ok(built.compile_matcher())
}

fn set(globs: &str) -> GlobSet {
    let mut set = GlobSetBuilder::new();
    globs.split_whitespace().filter_map(|it| Glob::new(it).ok()).for_each(|it| {
        set.add(it);
    });
    set.build().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_tell_secrets_from_what_is_only_called_like_them() {
        let yes = [
            ".env",
            "deploy/.env.production",
            "ID_RSA",
            "keys/id_ed25519",
            "tls/server.pem",
            ".ssh/config",
            "home/.AWS/x",
            "secrets.yaml",
            "credentials",
        ];
        let no = [
            ".env.example",
            "id_rsa.pub",
            "environment.rs",
            "secrets.rs",
            "credentials.md",
            "keyboard.rs",
            ".ssh/id_rsa.pub",
        ];
        yes.iter().for_each(|it| assert!(is_secret(Path::new(it)), "{it}"));
        no.iter().for_each(|it| assert!(!is_secret(Path::new(it)), "{it}"));
    }
}
