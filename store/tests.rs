//! What only SQLite can get wrong: the file, its damage, its limits, its plans.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use callboard_trace::{Event, Fact, RunId};
use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;

use crate::claim::{TAKE, TAKE_URGENT};
use crate::sqlite::translate;
use crate::{Advance, Lease, NewRun, Next, OpenOptions, Store, StoreError};

fn options(folder: &Path, node: &str) -> OpenOptions {
    static STATE: AtomicU64 = AtomicU64::new(1);
    let chance = || u128::from(STATE.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed));
    OpenOptions::new(folder, node, Arc::new(chance))
}

fn fresh() -> (TempDir, Store) {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(options(&home.path().join("data"), "n_a")).unwrap();
    (home, store)
}

fn file(home: &TempDir) -> std::path::PathBuf {
    home.path().join("data").join(crate::open::FILE)
}

/// The file behind the store's back.
fn raw(home: &TempDir) -> Connection {
    Connection::open(file(home)).unwrap()
}

fn refused(home: &TempDir) -> StoreError {
    Store::open(options(&home.path().join("data"), "n_b")).map(|_| ()).unwrap_err()
}

fn fact(text: &str) -> Fact {
    Fact::new("me", Event::PlanChanged { plan: text.to_owned(), change: Value::Null })
}

fn root(n: u128) -> NewRun {
    NewRun {
        run: RunId::new(n),
        root: None,
        parent: None,
        agent: "coder".to_owned(),
        workspace: "default".to_owned(),
        principal: "me".to_owned(),
        key: None,
        fingerprint: String::new(),
        priority: 100,
        deadline: 0,
        facts: vec![fact("begin")],
        queue_cap: u32::MAX,
    }
}

async fn say(store: &Store, lease: &Lease, seen: u64, text: &str) -> Result<u64, StoreError> {
    let (facts, next) = (vec![fact(text)], Next::Go);
    let write = Advance { seen, facts, spawn: Vec::new(), tell: Vec::new(), next };
    store.advance(lease, write).await.map(|it| it.seq)
}

/// A run with three records, one of them long.
async fn three(store: &Store) -> RunId {
    let run = store.submit(root(1)).await.unwrap().run;
    let lease = store.claim(1, 1).await.unwrap().remove(0);
    say(store, &lease, 1, &"long ".repeat(500)).await.unwrap();
    say(store, &lease, 2, "last").await.unwrap();
    run
}

#[tokio::test]
async fn a_claim_follows_an_index() {
    let (home, store) = fresh();
    store.submit(root(1)).await.unwrap();
    for (sql, index) in [(TAKE, "run_ready"), (TAKE_URGENT, "run_urgent")] {
        let sql = format!("EXPLAIN QUERY PLAN {}", translate(sql));
        let conn = raw(&home);
        let mut statement = conn.prepare(&sql).unwrap();
        let rows = statement.query_map((16, "n", 1), |row| row.get::<_, String>(3)).unwrap();
        let plan = rows.map(Result::unwrap).collect::<Vec<_>>().join("\n");
        assert!(plan.contains(&format!("SCAN run USING COVERING INDEX {index}")), "{plan}");
        assert!(plan.contains("SEARCH run USING INTEGER PRIMARY KEY"), "{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{plan}");
    }
}

#[cfg(unix)]
#[test]
fn nobody_else_may_look() {
    use std::os::unix::fs::PermissionsExt;
    let (home, _store) = fresh();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&home.path().join("data")), 0o700);
    for entry in std::fs::read_dir(home.path().join("data")).unwrap().flatten() {
        if entry.path().is_file() {
            assert_eq!(mode(&entry.path()), 0o600, "{}", entry.path().display());
        }
    }
}

#[test]
fn every_commit_is_synced() {
    let home = tempfile::tempdir().unwrap();
    let conn = crate::open::prepare(&home.path().join("data"), None).unwrap();
    let number = |sql: &str| conn.query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(number("PRAGMA synchronous"), 2);
    let mode: String = conn.query_row("PRAGMA journal_mode", [], |row| row.get(0)).unwrap();
    assert_eq!(mode, "wal");
}

#[test]
fn a_newer_file_is_refused() {
    let (home, store) = fresh();
    drop(store);
    raw(&home).execute_batch("PRAGMA user_version = 77").unwrap();
    let error = refused(&home);
    assert_eq!(error, StoreError::Newer { found: 77, known: 1 });
    assert!(error.to_string().contains("use the newer program"), "{error}");
}

#[test]
fn a_foreign_file_is_left_alone() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("data")).unwrap();
    for text in ["hello, this is no database", &"x".repeat(10_000)] {
        std::fs::write(file(&home), text).unwrap();
        let error = refused(&home);
        assert!(
            matches!(&error, StoreError::Corrupt(it) if it.contains("no callboard store")),
            "{error}"
        );
        assert_eq!(std::fs::read_to_string(file(&home)).unwrap(), text);
    }
    std::fs::remove_file(file(&home)).unwrap();
    raw(&home).execute_batch("CREATE TABLE theirs(x)").unwrap();
    let error = refused(&home);
    assert!(error.to_string().contains("belongs to another program"), "{error}");
}

#[tokio::test]
async fn a_damaged_file_is_refused() {
    let (home, store) = fresh();
    for n in 0..50 {
        store.submit(root(n)).await.unwrap();
    }
    store.leave().await.unwrap();
    drop(store);
    let whole = std::fs::read(file(&home)).unwrap();
    std::fs::write(file(&home), &whole[..whole.len() / 2]).unwrap();
    let error = refused(&home);
    assert!(matches!(&error, StoreError::Corrupt(it) if it.contains("put back a copy")), "{error}");
    assert!(error.to_string().contains("callboard.sqlite"), "{error}");
    let mut torn = whole.clone();
    torn[4096 * 3..4096 * 5].fill(0xa5);
    std::fs::write(file(&home), torn).unwrap();
    assert!(matches!(refused(&home), StoreError::Corrupt(_)));
    std::fs::write(file(&home), whole).unwrap();
    let store = Store::open(options(&home.path().join("data"), "n_c")).unwrap();
    assert_eq!(store.counts().await.unwrap().ready, 50);
}

#[tokio::test]
async fn a_changed_byte_breaks_the_chain() {
    let (home, store) = fresh();
    let run = three(&store).await;
    assert_eq!(store.verify(&run).await.unwrap().breaks, vec![]);
    let changes = [
        ("UPDATE journal SET body = replace(body, 'begin', 'bogin') WHERE seq = 1", 2),
        ("UPDATE journal SET author = 'you' WHERE seq = 2", 3),
        ("UPDATE journal SET at = at + 1 WHERE seq = 3", 3),
        ("UPDATE blob SET bytes = CAST(replace(CAST(bytes AS TEXT), 'l', 'L') AS BLOB)", 2),
        ("DELETE FROM journal WHERE seq = 3", 3),
        ("DELETE FROM journal WHERE seq = 2", 3),
        (
            "UPDATE run SET head = prev FROM journal WHERE journal.run = run.pos AND journal.seq = 2",
            3,
        ),
    ];
    let whole = raw(&home);
    for (sql, seq) in changes {
        let copy = "CREATE TABLE j AS SELECT * FROM journal; CREATE TABLE b AS SELECT * FROM blob;
            CREATE TABLE h AS SELECT pos, head FROM run";
        whole.execute_batch(copy).unwrap();
        assert!(whole.execute(sql, []).unwrap() > 0, "{sql}");
        let breaks = store.verify(&run).await.unwrap().breaks;
        assert_eq!(breaks.len(), 1, "{sql}: {breaks:?}");
        assert_eq!((&breaks[0].run, breaks[0].seq), (&run, seq), "{sql}: {breaks:?}");
        let back = "DELETE FROM journal; INSERT INTO journal SELECT * FROM j; DELETE FROM blob;
            INSERT INTO blob SELECT * FROM b; UPDATE run SET head = h.head FROM h WHERE h.pos = run.pos;
            DROP TABLE j; DROP TABLE b; DROP TABLE h";
        whole.execute_batch(back).unwrap();
        assert_eq!(store.verify(&run).await.unwrap().breaks, vec![], "put back");
    }
}

#[tokio::test]
async fn the_same_long_text_is_kept_once() {
    let (home, store) = fresh();
    let run = three(&store).await;
    store
        .signal(&run, vec![fact(&"long ".repeat(500)), fact(&"other".repeat(500))], false)
        .await
        .unwrap();
    let number = |sql: &str| raw(&home).query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    assert_eq!(number("SELECT count(*) FROM blob"), 2);
    assert!(number("SELECT max(length(body)) FROM journal") < 200);
}

#[tokio::test]
async fn a_panic_undoes_one_write_only() {
    let (_home, store) = fresh();
    let bad = store.inner.db.write::<u64, _>(|tx| {
        tx.exec("INSERT INTO pace(name, tat, at) VALUES('bad', 0, 0)", &[])?;
        panic!("as asked");
    });
    let good = store
        .inner
        .db
        .write(|tx| tx.exec("INSERT INTO pace(name, tat, at) VALUES('good', 0, 0)", &[]));
    let wrong = store.inner.db.write(|tx| {
        tx.exec("INSERT INTO pace(name, tat, at) VALUES('wrong', 0, 0)", &[])?;
        tx.exec("INSERT INTO pace(name, tat, at) VALUES('wrong', 0, 0)", &[])
    });
    let (bad, good, wrong) = tokio::join!(bad, good, wrong);
    assert!(bad.unwrap_err().to_string().contains("panicked"));
    assert_eq!(good.unwrap(), 1);
    assert!(wrong.is_err());
    let names = store.inner.db.read(|tx| {
        let rows = tx.query("SELECT name FROM pace ORDER BY name", &[])?;
        rows.iter().map(|it| it.text(0)).collect::<Result<Vec<_>, _>>()
    });
    assert_eq!(names.await.unwrap(), ["good"]);
}

#[tokio::test]
async fn a_reader_cannot_write() {
    let (_home, store) = fresh();
    let sql = "INSERT INTO pace(name, tat, at) VALUES('x', 0, 0)";
    assert!(store.inner.db.read(|tx| tx.exec(sql, &[])).await.is_err());
    assert_eq!(store.inner.db.write(|tx| tx.exec(sql, &[])).await.unwrap(), 1);
}

#[tokio::test]
async fn a_locked_store_is_said_to_be_locked() {
    let (home, store) = fresh();
    let other = raw(&home);
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let error = store.submit(root(1)).await.unwrap_err();
    assert!(error.to_string().contains("another process has kept the store locked"), "{error}");
    assert_eq!(store.counts().await.unwrap().ready, 0, "reading goes on");
    other.execute_batch("COMMIT").unwrap();
    store.submit(root(1)).await.unwrap();
}

#[tokio::test]
async fn a_full_store_says_so_and_loses_nothing() {
    let (home, store) = fresh();
    drop(store);
    let small = |node: &str, max| OpenOptions {
        max_bytes: Some(max),
        ..options(&home.path().join("data"), node)
    };
    let store = Store::open(small("n_b", 400_000)).unwrap();
    let run = store.submit(root(1)).await.unwrap().run;
    let lease = store.claim(1, 1).await.unwrap().remove(0);
    let text = |seq: u64| format!("{seq} {}", "x".repeat(10_000 + seq as usize));
    let mut seq = 1;
    let error = loop {
        match say(&store, &lease, seq, &text(seq)).await {
            Ok(it) => seq = it,
            Err(error) => break error,
        }
    };
    assert_eq!(error, StoreError::Full);
    assert!(seq > 5, "it took {seq}");
    // A big write in the same commit takes no small one with it.
    let more = text(seq);
    let (big, little) = tokio::join!(say(&store, &lease, seq, &more), store.beat());
    assert_eq!(big.unwrap_err(), StoreError::Full);
    assert!(little.unwrap().lost.is_empty());
    assert_eq!(store.journal(&run, 0, u32::MAX).await.unwrap().len() as u64, seq);
    assert_eq!(store.verify(&run).await.unwrap().breaks, vec![]);
    store.leave().await.unwrap();
    drop((lease, store));
    let store = Store::open(small("n_c", 4_000_000)).unwrap();
    let lease = store.claim(1, 1).await.unwrap().remove(0);
    assert_eq!(say(&store, &lease, seq, &text(seq)).await.unwrap(), seq + 1);
}

#[tokio::test]
async fn a_giant_record_is_refused() {
    let (_home, store) = fresh();
    let run = store.submit(root(1)).await.unwrap().run;
    let change = (0..300).fold(Value::Null, |it, _| Value::from(vec![it]));
    let deep = Fact::new("me", Event::PlanChanged { plan: String::new(), change });
    let error = store.signal(&run, vec![deep], false).await.unwrap_err();
    assert!(error.to_string().contains("301 levels deep"), "{error}");
    let error = store.signal(&run, vec![fact(&"x".repeat(33 << 20))], false).await.unwrap_err();
    assert!(error.to_string().contains("over the limit"), "{error}");
    assert_eq!(store.journal(&run, 0, 10).await.unwrap().len(), 1);
}

#[tokio::test]
async fn an_old_key_means_nothing_any_more() {
    let (home, store) = fresh();
    let keyed = |n| NewRun { key: Some("k".to_owned()), ..root(n) };
    store.submit(keyed(1)).await.unwrap();
    raw(&home).execute_batch("UPDATE run SET created = created - 86401000000").unwrap();
    assert!(!store.submit(keyed(2)).await.unwrap().joined);
    assert_eq!(store.submit(keyed(3)).await.unwrap().run, RunId::new(2));
}

#[tokio::test]
async fn a_clock_set_back_freezes_nothing() {
    let (home, store) = fresh();
    let day = 86_400_000_000i64;
    let wait = std::time::Duration::from_secs(1);
    store.pace("p", 1, 1_000.0, wait, wait).await.unwrap().unwrap();
    let sql = format!(
        "UPDATE pace SET tat = tat + {day}, at = at + {day}; UPDATE node SET seen = seen + {day}"
    );
    raw(&home).execute_batch(&sql).unwrap();
    assert!(store.pace("p", 1, 1_000.0, wait, wait).await.unwrap().is_some());
    store.beat().await.unwrap();
    let now = store.now().await.unwrap();
    let seen = store.inner.db.read(|tx| tx.one("SELECT max(seen) FROM node", &[])).await.unwrap();
    assert!(seen.unwrap().int(0).unwrap() <= now);
}

#[test]
fn two_nodes_cannot_have_one_name() {
    let (home, _store) = fresh();
    let error = Store::open(options(&home.path().join("data"), "n_a")).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("names of their own"), "{error}");
    for name in ["", "../x", "a b"] {
        assert!(Store::open(options(&home.path().join("data"), name)).is_err(), "{name}");
    }
}

#[test]
fn many_may_open_a_new_store_at_once() {
    let home = tempfile::tempdir().unwrap();
    let folder = home.path().join("data");
    let open = |n: usize| Store::open(options(&folder, &format!("n_{n}"))).map(|_| ());
    std::thread::scope(|scope| {
        let all: Vec<_> = (0..8).map(|n| scope.spawn(move || open(n))).collect();
        for it in all {
            it.join().unwrap().unwrap();
        }
    });
}

#[tokio::test]
async fn counters_can_be_counted_again() {
    let (home, store) = fresh();
    for n in 1..=9 {
        store.submit(root(n)).await.unwrap();
    }
    for lease in store.claim(4, 9).await.unwrap() {
        let next = Next::End { state: "failed".to_owned() };
        let write = Advance { seen: 1, facts: vec![], spawn: vec![], tell: vec![], next };
        store.advance(&lease, write).await.unwrap();
    }
    store.reopen(&RunId::new(1), vec![fact("again")]).await.unwrap();
    let number = |sql: &str| raw(&home).query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let recount = number("SELECT count(*) FROM run WHERE top = 1 AND state <> 'ended'");
    assert_eq!(number("SELECT n FROM tally WHERE name = 'open_roots'"), recount);
    assert_eq!(number("SELECT n FROM tally WHERE name = 'ended'"), 3);
    assert_eq!(recount, 6);
}

/// A store of the first format, written once and opened by every later program.
const SAMPLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/samples/store-v1.sqlite");

#[tokio::test]
async fn a_store_of_the_first_format_opens() {
    let home = tempfile::tempdir().unwrap();
    std::fs::create_dir(home.path().join("data")).unwrap();
    std::fs::copy(SAMPLE, file(&home)).unwrap();
    let store = Store::open(options(&home.path().join("data"), "n_new")).unwrap();
    let run = RunId::new(1);
    let tree = store.tree(&run, 0, 100).await.unwrap();
    let kinds: Vec<_> = tree.iter().map(|it| (it.1.seq, it.1.event.kind())).collect();
    let kind = "plan_changed";
    assert_eq!(kinds, [(1, kind), (2, kind), (1, kind), (3, kind)]);
    assert_eq!(tree[1].1.event, fact(&"long ".repeat(500)).event);
    assert_eq!(store.verify(&run).await.unwrap().breaks, vec![]);
    assert_eq!(store.journal(&RunId::from_text("n_old"), 0, 9).await.unwrap().len(), 1);
    let lease = store.claim(1, 9).await.unwrap().remove(0);
    assert_eq!((lease.run.clone(), lease.seq), (RunId::new(2), 1));
    say(&store, &lease, 1, "new").await.unwrap();
    assert_eq!(store.verify(&run).await.unwrap().breaks, vec![]);
}

/// Writes the sample anew, which only a format that was never shipped may need.
#[tokio::test]
#[ignore = "writes tests/samples/store-v1.sqlite"]
async fn write_the_sample() {
    let (home, store) = fresh();
    store.note("n_old", vec![fact("up")]).await.unwrap();
    let run = store.submit(root(1)).await.unwrap().run;
    let lease = store.claim(1, 9).await.unwrap().remove(0);
    let child = NewRun { root: Some(run.clone()), parent: Some(run.clone()), ..root(2) };
    let (facts, next) = (vec![fact(&"long ".repeat(500))], Next::Park { until: None });
    let write = Advance { seen: 1, facts, spawn: vec![child], tell: vec![], next };
    store.advance(&lease, write).await.unwrap();
    store.prioritise(&run, 50, fact("slower")).await.unwrap();
    store.leave().await.unwrap();
    drop((lease, store));
    raw(&home).execute_batch("VACUUM").unwrap();
    std::fs::create_dir_all(Path::new(SAMPLE).parent().unwrap()).unwrap();
    std::fs::copy(file(&home), SAMPLE).unwrap();
}
