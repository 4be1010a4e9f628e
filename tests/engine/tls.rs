//! TLS to a server: one that proves its name is used, and one that does not is refused where it must.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use callboard_store::{Store, StoreError};
use tokio::task::block_in_place;
use tokio::time::{Instant, sleep};

use crate::fixture::{Fixture, Words};

/// In this time a server has read its settings anew.
const PATIENCE: Duration = Duration::from_secs(20);
const AGAIN: Duration = Duration::from_millis(50);

/// A key, and a certificate that it signed itself, for 127.0.0.1 only.
fn make(folder: &Path, name: &str) {
    let made = Command::new("openssl")
        .args(["req", "-x509", "-nodes", "-days", "2", "-subj", "/CN=database"])
        .args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"])
        .args(["-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(folder.join(format!("{name}.key")))
        .arg("-out")
        .arg(folder.join(format!("{name}.crt")))
        .output()
        .expect("openssl comes with Debian's PostgreSQL");
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

pub(crate) async fn who_must_prove_its_name_does_or_is_refused(db: Fixture) {
    let folder = tempfile::tempdir().unwrap();
    make(folder.path(), "server");
    make(folder.path(), "other");
    let database = db.database().unwrap();
    let open = |host: &str, more: &str| -> Result<Store, StoreError> {
        let address = database.address().replacen("@127.0.0.1:", &format!("@{host}:"), 1);
        let place = db.through(format!("{address}?{more}"));
        block_in_place(|| place.open("n_a", |_| {}))
    };
    let refused = |host: &str, more: &str| open(host, more).err().expect(more).to_string();
    let root = |name: &str| format!("sslrootcert={}", folder.path().join(name).display());

    // A server without TLS gets nothing from whoever wants it.
    let told = refused("127.0.0.1", "sslmode=require");
    assert!(told.contains("TLS"), "{told}");
    database.server().prove(folder.path());
    let begun = Instant::now();
    let store = loop {
        match open("127.0.0.1", "sslmode=require") {
            Ok(store) => break store,
            Err(error) => assert!(begun.elapsed() < PATIENCE, "{error}"),
        }
        sleep(AGAIN).await;
    };
    let run = store.begin(1).await;
    drop(store);

    // With its own certificate it is who it says, by this name and no other.
    let proved = format!("sslmode=verify-full&{}", root("server.crt"));
    let store = open("127.0.0.1", &proved).unwrap();
    assert_eq!(store.story(&run).await, "begin");
    let eye = database.look().await;
    let sql = "SELECT count(*) FROM pg_stat_ssl s JOIN pg_stat_activity a USING (pid)
        WHERE s.ssl AND a.application_name = 'callboard'";
    let safe: i64 = eye.client.query_one(sql, &[]).await.unwrap().get(0);
    assert!(safe >= 3, "{safe} connections: those that write, read and listen");
    drop(store);
    for (host, more, why) in [
        ("localhost", proved, "not valid for name"),
        ("127.0.0.1", format!("sslmode=verify-full&{}", root("other.crt")), "certificate"),
        ("127.0.0.1", "sslmode=verify-full".to_owned(), "certificate"),
        ("127.0.0.1", format!("sslmode=verify-full&{}", root("none.crt")), "none.crt"),
    ] {
        let told = refused(host, &more);
        assert!(told.contains(why), "{told}");
    }
}
