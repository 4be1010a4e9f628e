//! What can be wrong with the file: damage, strangers, other versions, locks, a full disk.

use std::path::Path;

use callboard_trace::RunId;
use tempfile::TempDir;

use crate::tests::{fact, file, fresh, options, raw, root, say};
use crate::{Advance, NewRun, Next, OpenOptions, Store, StoreError};

fn refused(home: &TempDir) -> StoreError {
    Store::open(options(&home.path().join("data"), "n_b")).map(|_| ()).unwrap_err()
}

#[test]
fn nobody_else_may_look() {
    use std::os::unix::fs::PermissionsExt;
    let (home, _store) = fresh();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    assert_eq!(mode(&home.path().join("data")), 0o700);
    assert_eq!(mode(&home.path().join("data/nodes")), 0o700);
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
    assert_eq!(error, StoreError::Newer { found: 77, known: crate::schema::CHANGES.len() as u32 });
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
async fn a_store_that_is_left_is_one_file() {
    for _ in 0..20 {
        let (home, store) = fresh();
        store.submit(root(1)).await.unwrap();
        store.leave().await.unwrap();
        drop(store);
        assert!(!file(&home).with_extension("sqlite-wal").exists(), "who copies it copies all");
    }
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
    assert_eq!(store.unread("me", 0, 9).await.unwrap().n_all, 0, "it counts as delivered");
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
    let write =
        Advance { spawn: vec![store.entry(child).unwrap()], ..Advance::new(1, facts, next) };
    store.advance(&lease, write).await.unwrap();
    store.prioritise(&run, 50, fact("slower")).await.unwrap();
    store.leave().await.unwrap();
    drop((lease, store));
    raw(&home).execute_batch("VACUUM").unwrap();
    std::fs::create_dir_all(Path::new(SAMPLE).parent().unwrap()).unwrap();
    std::fs::copy(file(&home), SAMPLE).unwrap();
}
