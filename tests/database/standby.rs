//! A primary with a standby: what `doctor` tells of each, and which of several hosts is used.

use std::sync::Arc;

use crate::checks::{checked, of};
use crate::server::Server;
use crate::server::script::Script;
use crate::{Kept, PASSWORD};

/// A server that follows another.
struct Standby {
    _script: Script,
    port: u16,
}

impl Standby {
    fn of(primary: &Server) -> Standby {
        let arguments = [PASSWORD.to_owned(), primary.port().to_string()];
        let (script, said) = Script::start("tests/database/standby.sh", arguments);
        let Some(port) = said.strip_prefix("ready ") else { panic!("{said}") };
        Standby { _script: script, port: port.parse().expect("a port") }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_standby_is_known_and_the_primary_found_among_several_hosts() {
    let primary = Arc::new(Server::start());
    let (kept, database) = Kept::on(&primary).await;
    assert_eq!(kept.does(&["run", "coder", "write it", "--quiet"]).code, 0);
    let standby = Standby::of(&primary);
    let (here, there) =
        (format!("127.0.0.1:{}", primary.port()), format!("127.0.0.1:{}", standby.port));
    let with = |hosts: &str| Kept::at(kept.url.replace(&here, hosts));

    let alone = with(&there);
    let (code, store) = checked(&alone);
    let (grade, said) = of(&store, "writes");
    assert_eq!((code, &*grade), (1, "error"), "{store}");
    assert!(said.contains("standby"), "{said}");
    let said = alone.does(&["status"]);
    assert_eq!(said.code, 1, "{}", said.out);

    let both = with(&format!("{there},{here}"));
    let (code, store) = checked(&both);
    assert_eq!(code, 0, "{store}");
    assert_eq!(of(&store, "writes").0, "ok");
    assert!(of(&store, &format!("host {there}")).1.starts_with("a standby, PostgreSQL"));
    assert!(of(&store, &format!("host {here}")).1.starts_with("a primary, PostgreSQL"));
    assert_eq!(of(&store, "standby").0, "warning", "nobody waits for it yet");
    assert_eq!(both.does(&["run", "coder", "write it again", "--quiet"]).code, 0);

    let eye = database.look().await;
    for sql in ["ALTER SYSTEM SET synchronous_standby_names = '*'", "SELECT pg_reload_conf()"] {
        eye.client.batch_execute(sql).await.expect("done");
    }
    for _ in 0..50 {
        if of(&checked(&both).1, "standby").0 == "ok" {
            break;
        }
    }
    assert_eq!(of(&checked(&both).1, "standby"), ("ok".into(), "synchronous: *".into()));
    assert_eq!(both.does(&["run", "coder", "write it once more", "--quiet"]).code, 0);
    database.sets("synchronous_commit", "local").await;
    let (grade, said) = of(&checked(&both).1, "standby");
    assert_eq!(grade, "warning", "a commit waits for nobody: {said}");
    drop(standby);
    let (_, store) = checked(&both);
    assert_eq!(of(&store, &format!("host {there}")).0, "warning");
    for sql in ["ALTER SYSTEM RESET synchronous_standby_names", "SELECT pg_reload_conf()"] {
        eye.client.batch_execute(sql).await.expect("done");
    }
}
