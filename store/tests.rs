//! What only SQLite can get wrong inside: plans, chains, blobs, counters, clocks.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use callboard_trace::{Event, Fact, RunId};
use rusqlite::Connection;
use serde_json::Value;
use tempfile::TempDir;

use crate::busy::BUSY;
use crate::claim::{TAKE, TAKE_FIRST, TAKE_OF, TAKE_URGENT, TAKE_URGENT_OF};
use crate::error::Result;
use crate::open::{Use, connect};
use crate::seats::{CROWD, HELD};
use crate::share::{EXEMPT, FIRST, FIRSTS, SEATS};
use crate::sqlite::translate;
use crate::under::{ASKING, BRANCH, FAMILY, UNDER};
use crate::{Advance, Lease, NewRun, Next, OpenOptions, Store};

pub(crate) fn options(folder: &Path, node: &str) -> OpenOptions {
    static STATE: AtomicU64 = AtomicU64::new(1);
    let chance = || u128::from(STATE.fetch_add(0x9e37_79b9_7f4a_7c15, Ordering::Relaxed));
    OpenOptions::new(folder, node, Arc::new(chance))
}

pub(crate) fn fresh() -> (TempDir, Store) {
    let home = tempfile::tempdir().unwrap();
    let store = Store::open(options(&home.path().join("data"), "n_a")).unwrap();
    (home, store)
}

pub(crate) fn file(home: &TempDir) -> std::path::PathBuf {
    home.path().join("data").join(crate::open::FILE)
}

/// The file behind the store's back.
pub(crate) fn raw(home: &TempDir) -> Connection {
    Connection::open(file(home)).unwrap()
}

pub(crate) fn fact(text: &str) -> Fact {
    Fact::new("me", Event::PlanChanged { plan: text.to_owned(), change: Value::Null })
}

pub(crate) fn root(n: u128) -> NewRun {
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
        points: callboard_trace::rank::Points::default(),
        unscored: false,
        deadline: 0,
        facts: vec![fact("begin")],
        queue_cap: u32::MAX,
    }
}

pub(crate) async fn say(store: &Store, lease: &Lease, seen: u64, text: &str) -> Result<u64> {
    let (facts, next) = (vec![fact(text)], Next::Go);
    let write = Advance::new(seen, facts, next);
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
    for (sql, index) in
        [(TAKE, "run_ready"), (TAKE_FIRST, "run_ready"), (TAKE_URGENT, "run_urgent")]
    {
        let sql = format!("EXPLAIN QUERY PLAN {}", translate(sql));
        let conn = raw(&home);
        let mut statement = conn.prepare(&sql).unwrap();
        let rows = statement.query_map((16, "n", 1), |row| row.get::<_, String>(3)).unwrap();
        let plan = rows.map(Result::unwrap).collect::<Vec<_>>().join("\n");
        assert!(plan.contains(&format!("SCAN run USING COVERING INDEX {index}")), "{plan}");
        assert!(plan.contains("SEARCH run USING INTEGER PRIMARY KEY"), "{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{plan}");
    }
    let conn = raw(&home);
    let plan = format!("EXPLAIN QUERY PLAN {HELD}");
    let plan = conn.query_row(&plan, [], |row| row.get::<_, String>(3)).unwrap();
    assert_eq!(plan, "SCAN run USING COVERING INDEX run_seat");
    let mut statement = conn.prepare(&format!("EXPLAIN QUERY PLAN {BUSY}")).unwrap();
    let rows = statement.query_map([], |row| row.get::<_, String>(3)).unwrap();
    for step in rows.map(Result::unwrap).filter(|it| it.contains(" run") || it.contains(" r ")) {
        assert!(step.contains("USING INDEX"), "{step}");
    }
    for sql in [TAKE_OF, TAKE_URGENT_OF] {
        let sql = format!("EXPLAIN QUERY PLAN {}", translate(sql));
        let conn = raw(&home);
        let mut statement = conn.prepare(&sql).unwrap();
        let rows = statement.query_map((16, "n", 1, "r"), |row| row.get::<_, String>(3)).unwrap();
        let plan = rows.map(Result::unwrap).collect::<Vec<_>>().join("\n");
        assert!(plan.contains("SEARCH run USING INDEX run_root (root=?)"), "{plan}");
        assert!(plan.contains("SEARCH run USING INTEGER PRIMARY KEY"), "{plan}");
    }
}

#[tokio::test]
async fn shares_are_seen_in_indexes_alone() {
    let (home, store) = fresh();
    store.submit(root(1)).await.unwrap();
    let conn = raw(&home);
    for (sql, n_args, ways) in [
        (CROWD, 0, &["COVERING INDEX run_seat", "COVERING INDEX run_share"][..]),
        (FIRSTS, 1, &["USING COVERING INDEX run_share", "INDEX run_share (workspace>?)"]),
        (FIRST, 1, &["SEARCH run USING COVERING INDEX run_share (workspace>?)"]),
        (EXEMPT, 0, &["SCAN run USING INDEX run_exempt"]),
        (SEATS, 0, &["USING COVERING INDEX run_seat"]),
    ] {
        let mut statement =
            conn.prepare(&format!("EXPLAIN QUERY PLAN {}", translate(sql))).unwrap();
        let args = rusqlite::params_from_iter((0..n_args).map(|_| "default"));
        let rows = statement.query_map(args, |row| row.get::<_, String>(3)).unwrap();
        let plan = rows.map(Result::unwrap).collect::<Vec<_>>().join("\n");
        assert!(ways.iter().all(|it| plan.contains(it)), "{plan}");
        assert!(!plan.contains("TEMP B-TREE"), "{plan}");
    }
}

#[tokio::test]
async fn a_look_at_a_tree_starts_from_its_root() {
    let (home, store) = fresh();
    store.submit(root(1)).await.unwrap();
    let plan = |sql: &'static str, parameters: &[i64]| {
        let conn = connect(&file(&home), Use::Read, None).unwrap();
        let sql = format!("EXPLAIN QUERY PLAN {}", translate(sql));
        let mut statement = conn.prepare(&sql).unwrap();
        let parameters = rusqlite::params_from_iter(parameters);
        let rows = statement.query_map(parameters, |row| row.get::<_, String>(3)).unwrap();
        rows.map(Result::unwrap).collect::<Vec<_>>().join("\n")
    };
    for (sql, parameters, way) in [
        (FAMILY, &[1][..], "SEARCH r USING INDEX sqlite_autoindex_run_1 (id=?)"),
        (UNDER, &[1, 2], "SEARCH r USING COVERING INDEX sqlite_autoindex_run_1 (id=?)"),
        (BRANCH, &[1, 2, 3], "SEARCH j USING INDEX journal_run (run=?)"),
        (ASKING, &[1, 2, 3], "USING INDEX run_wake"),
    ] {
        let plan = plan(sql, parameters);
        assert!(plan.contains(way), "{plan}");
    }
}

#[tokio::test]
async fn a_look_for_what_is_unread_follows_an_index() {
    let (home, store) = fresh();
    store.submit(root(1)).await.unwrap();
    let sql = format!("EXPLAIN QUERY PLAN {}", translate(crate::callers::UNREAD));
    let conn = raw(&home);
    let mut statement = conn.prepare(&sql).unwrap();
    let rows = statement.query_map(("me", "left", 0, 6), |row| row.get::<_, String>(3)).unwrap();
    let plan = rows.map(Result::unwrap).collect::<Vec<_>>().join("\n");
    let index = "USING INDEX run_unread (principal=? AND heard=? AND ended>?)";
    assert!(plan.contains(index) && !plan.contains("TEMP B-TREE"), "{plan}");
}

#[cfg(unix)]
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
    // The first time nothing is known of such jobs, the second time each has a savepoint.
    for _ in 0..2 {
        let db = &store.inner.db;
        let add = "INSERT INTO pace(name, tat, at) VALUES($1, 0, 0)";
        let good = |name: &'static str| db.write(move |tx| tx.exec(add, &[name.into()]));
        let bad = db.write::<u64, _>(|tx| {
            tx.exec(add, &["bad".into()])?;
            panic!("as asked");
        });
        let wrong = db.write(|tx| {
            tx.exec(add, &["wrong".into()])?;
            tx.exec(add, &["wrong".into()])
        });
        let all = tokio::join!(good("before"), bad, good("between"), wrong, good("behind"));
        assert!(all.1.unwrap_err().to_string().contains("panicked"));
        assert!(all.3.is_err());
        assert_eq!((all.0.unwrap(), all.2.unwrap(), all.4.unwrap()), (1, 1, 1));
        let names = db.write(|tx| {
            let rows = tx.query("DELETE FROM pace RETURNING name", &[])?;
            rows.iter().map(|it| it.text(0)).collect::<Result<Vec<_>, _>>()
        });
        assert_eq!(names.await.unwrap(), ["before", "between", "behind"]);
    }
}

#[tokio::test]
async fn a_reader_cannot_write() {
    let (_home, store) = fresh();
    let sql = "INSERT INTO pace(name, tat, at) VALUES('x', 0, 0)";
    assert!(store.inner.db.read(|tx| tx.exec(sql, &[])).await.is_err());
    assert_eq!(store.inner.db.write(|tx| tx.exec(sql, &[])).await.unwrap(), 1);
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
    let rate = crate::gates::Rate { capacity: 1.0, per_second: 0.5 };
    let take = crate::gates::Take {
        name: "p".into(),
        units: 1.0,
        rate: Some(rate),
        width: None,
        breaker: None,
    };
    let asked = move |tx: &mut dyn crate::db::Tx| {
        let at = tx.now()?;
        let mut gauge = crate::gauge::Gauge::find(tx, "p", at)?;
        let held = gauge.holds(&take, at).and_then(|it| it.1).map(|until| until - at);
        if held.is_none() {
            gauge.take(&take, at);
            gauge.keep(tx, "p")?;
        }
        Ok(held)
    };
    assert_eq!(store.inner.db.write(asked.clone()).await.unwrap(), None);
    let sql = format!("UPDATE gauge SET at = at + {day}; UPDATE node SET seen = seen + {day}");
    raw(&home).execute_batch(&sql).unwrap();
    let wait = store.inner.db.write(asked).await.unwrap().unwrap();
    assert!((1..=2_000_001).contains(&wait), "{wait}");
    store.beat().await.unwrap();
    let now = store.now().await.unwrap();
    let seen = store.inner.db.read(|tx| tx.one("SELECT max(seen) FROM node", &[])).await.unwrap();
    assert!(seen.unwrap().int(0).unwrap() <= now);
}

#[tokio::test]
async fn counters_can_be_counted_again() {
    let (home, store) = fresh();
    for n in 1..=9 {
        store.submit(root(n)).await.unwrap();
    }
    for lease in store.claim(4, 9).await.unwrap() {
        let next = Next::End { state: "failed".to_owned() };
        let write = Advance::new(1, vec![], next);
        store.advance(&lease, write).await.unwrap();
    }
    assert!(store.reopen(vec![(RunId::new(1), vec![fact("again")])], 0).await.unwrap());
    let number = |sql: &str| raw(&home).query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap();
    let recount = number("SELECT count(*) FROM run WHERE top = 1 AND state <> 'ended'");
    assert_eq!(number("SELECT n FROM tally WHERE name = 'open_roots'"), recount);
    assert_eq!(number("SELECT n FROM tally WHERE name = 'ended'"), 3);
    assert_eq!(recount, 6);
}
