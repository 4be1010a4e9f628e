//! The journal in partitions, on a server: each holds the trees of a million roots, and is made before it
//! is needed. A case goes on at a later place by the sequence that numbers the runs.

use callboard_store::look::Wish;
use callboard_store::{Advance, Store, StoreError};
use callboard_trace::RunId;
use tokio::time::Instant;

use crate::fixture::{Fixture, Words, child, end, fact, id, park, said, starts, step, story};
use crate::server::Eye;

/// The tables of format 7 with rows in most of them, as the program of that time left them.
const SEVEN: &str = include_str!("../samples/postgres-7.sql");

/// A server that knows no partitions, as the program sees it.
const PLAIN: &str = "
    CREATE FUNCTION no_partitions() RETURNS event_trigger LANGUAGE plpgsql AS $$ BEGIN
      IF current_query() LIKE '%PARTITION BY%' THEN
        RAISE EXCEPTION 'it has no partitions' USING ERRCODE = 'feature_not_supported';
      END IF;
    END $$;
    CREATE EVENT TRIGGER plain ON ddl_command_start EXECUTE FUNCTION no_partitions();";

async fn look(db: &Fixture) -> Eye {
    db.database().unwrap().look().await
}

async fn texts(eye: &Eye, sql: &str) -> Vec<String> {
    let rows = eye.client.query(sql, &[]).await.unwrap();
    rows.iter().map(|it| it.get(0)).collect()
}

/// The partitions that there are.
async fn parts(eye: &Eye) -> Vec<String> {
    let sql = "SELECT CAST(CAST(inhrelid AS regclass) AS TEXT) FROM pg_inherits
        WHERE inhparent = to_regclass('journal') ORDER BY 1";
    texts(eye, sql).await
}

/// Where the records of a run are.
async fn part_of(eye: &Eye, run: &RunId) -> String {
    let sql = format!(
        "SELECT DISTINCT CAST(CAST(j.tableoid AS regclass) AS TEXT) FROM journal j
         WHERE j.run = (SELECT pos FROM run WHERE id = '{run}')"
    );
    texts(eye, &sql).await.join(" ")
}

/// The next run has this place.
async fn go_to(eye: &Eye, place: i64) {
    let sql = format!("SELECT setval(pg_get_serial_sequence('run', 'pos'), {place}, false)");
    eye.client.execute(&sql, &[]).await.unwrap();
}

/// All rows of the journal, as text.
async fn rows(eye: &Eye) -> Vec<String> {
    texts(eye, "SELECT CAST(ROW(j.*) AS TEXT) FROM journal j ORDER BY pos").await
}

/// A number that a record has already is taken by no other.
async fn no_record_is_doubled(eye: &Eye) {
    let sql = "INSERT INTO journal(run, root, seq, at, v, attempt, author, kind, prev, body)
        SELECT run, root, seq, at, v, attempt, author, kind, prev, body FROM journal j WHERE pos = $1";
    let all = "SELECT min(pos) FROM journal GROUP BY CAST(tableoid AS regclass)";
    for row in eye.client.query(all, &[]).await.unwrap() {
        let error = eye.client.execute(sql, &[&row.get::<_, i64>(0)]).await.unwrap_err();
        assert_eq!(error.code().unwrap().code(), "23505", "{error:?}");
    }
}

async fn is_whole(store: &Store, run: &RunId, told: &str) {
    assert_eq!(store.story(run).await, told);
    assert_eq!(store.verify(run).await.unwrap().breaks, vec![]);
}

pub(crate) async fn a_database_of_format_7_is_divided_and_keeps_its_rows(db: Fixture) {
    let eye = look(&db).await;
    eye.client.batch_execute(SEVEN).await.unwrap();
    eye.client.batch_execute("SET search_path = public").await.unwrap();
    let was = rows(&eye).await;
    assert_eq!(was.len(), 11);
    let store = db.open("n_new");
    assert_eq!(rows(&eye).await, was);
    assert_eq!(parts(&eye).await, ["journal_0", "journal_1000000", "journal_rest"]);
    is_whole(&store, &id(1), "begin hands on child ended is over").await;
    is_whole(&store, &id(100), "begin works").await;
    is_whole(&store, &id(2), "begin long").await;
    assert_eq!(store.tree(&id(1), 0, 100).await.unwrap().len(), 6);
    assert_eq!(store.remembered("default", vec!["ships".to_owned()]).await.unwrap().len(), 1);
    let newest = store.newest_of(None, 0).await.unwrap().0;
    let lease = store.take().await;
    assert_eq!(lease.run, id(3));
    store.advance(&lease, step(1, &["goes on"], end())).await.unwrap();
    is_whole(&store, &id(3), "begin goes on").await;
    assert!(store.newest_of(None, 0).await.unwrap().0 > newest, "places go on where they were");
    no_record_is_doubled(&eye).await;
    drop(db.open("n_other"));
    assert_eq!(parts(&eye).await.len(), 3, "it is divided once");
}

pub(crate) async fn trees_in_three_partitions_are_read_written_and_fenced(db: Fixture) {
    let (store, eye) = (db.open("n_a"), look(&db).await);
    let mut leases = Vec::new();
    for (n, place) in [(1, 1), (2, 1_000_000), (3, 2_500_000)] {
        go_to(&eye, place).await;
        let run = store.begin(n).await;
        store.beat().await.unwrap();
        let lease = store.take().await;
        let mut write = step(1, &["asks"], park());
        write = starts(&store, write, vec![child(100 + n, &lease)]);
        store.advance(&lease, write).await.unwrap();
        let part = format!("journal_{}", place / 1_000_000 * 1_000_000);
        assert_eq!(part_of(&eye, &run).await, part);
        assert_eq!(part_of(&eye, &id(100 + n)).await, part, "a tree stays together");
        leases.push(store.take().await);
    }
    assert_eq!(
        parts(&eye).await,
        ["journal_0", "journal_1000000", "journal_2000000", "journal_3000000", "journal_rest"]
    );
    // The other way round, so that an older partition has the newest record.
    for (n, lease) in [1, 2, 3].into_iter().zip(leases).rev() {
        let tell = vec![(id(n), said("told", "y".repeat(3_000).into()))];
        let ahead = store.advance(&lease, step(2, &["ahead"], end())).await;
        assert_eq!(ahead.unwrap_err(), StoreError::Fenced);
        store.advance(&lease, Advance { tell, ..step(1, &["is over"], end()) }).await.unwrap();
        let late = store.advance(&lease, step(2, &["late"], end())).await;
        assert_eq!(late.unwrap_err(), StoreError::Fenced);
        is_whole(&store, &id(n), "begin asks told").await;
        is_whole(&store, &id(100 + n), "begin is over").await;
        let tree = store.tree(&id(n), 0, 100).await.unwrap();
        assert_eq!(story(tree.iter().map(|it| &it.1)), "begin asks begin is over told");
        assert_eq!(store.branch(&id(100 + n), 0, 100).await.unwrap().len(), 2);
        assert_eq!(story(&store.latest(&id(n), 1).await.unwrap()), "told");
    }
    let log = store.log(0, 100).await.unwrap();
    assert_eq!(log.len(), 15);
    assert!(log.is_sorted_by_key(|it| it.0));
    assert_eq!(log.last().unwrap().1.task, id(1), "the order is that of writing");
    assert_eq!(store.written(Some(0)).await.unwrap().1.len(), 15);
    assert_eq!(store.newest_of(None, 0).await.unwrap().0, log.last().unwrap().0);
    no_record_is_doubled(&eye).await;
}

pub(crate) async fn a_partition_is_made_before_it_is_needed_and_once(db: Fixture) {
    let (one, two, eye) = (db.open("n_a"), db.open("n_b"), look(&db).await);
    assert_eq!(parts(&eye).await, ["journal_0", "journal_1000000", "journal_rest"]);
    go_to(&eye, 999_999).await;
    one.begin(1).await;
    one.beat().await.unwrap();
    assert_eq!(parts(&eye).await.len(), 3, "a whole one is left");
    one.begin(2).await;
    let (first, second) = tokio::join!(one.beat(), two.beat());
    assert!(first.is_ok() && second.is_ok());
    let now = ["journal_0", "journal_1000000", "journal_2000000", "journal_rest"];
    assert_eq!(parts(&eye).await, now);
    one.beat().await.unwrap();
    assert_eq!(parts(&eye).await, now);
}

pub(crate) async fn what_no_partition_is_for_is_kept_and_the_next_begins_behind_it(db: Fixture) {
    let (store, eye) = (db.open("n_a"), look(&db).await);
    go_to(&eye, 5_200_000).await;
    let stray = store.begin(1).await;
    assert_eq!(part_of(&eye, &stray).await, "journal_rest");
    store.beat().await.unwrap();
    let new = ["journal_5200001", "journal_6000000"];
    assert_eq!(parts(&eye).await[2..4], new);
    let next = store.begin(2).await;
    assert_eq!(part_of(&eye, &next).await, new[0]);
    let lease = store.take().await;
    let mut write = step(1, &["asks"], park());
    write = starts(&store, write, vec![child(3, &lease)]);
    store.advance(&lease, write).await.unwrap();
    is_whole(&store, &stray, "begin asks").await;
    is_whole(&store, &next, "begin").await;
    for run in [&stray, &id(3)] {
        assert_eq!(part_of(&eye, run).await, "journal_rest");
    }
    store.beat().await.unwrap();
    assert_eq!(parts(&eye).await.len(), 5);
    no_record_is_doubled(&eye).await;
}

pub(crate) async fn who_reads_for_long_holds_up_no_work(db: Fixture) {
    let (store, eye, backup) = (db.open("n_a"), look(&db).await, look(&db).await);
    backup.client.batch_execute("BEGIN; SELECT count(*) FROM journal").await.unwrap();
    go_to(&eye, 1_000_000).await;
    let run = store.begin(1).await;
    let begun = Instant::now();
    store.beat().await.unwrap();
    let took = begun.elapsed();
    assert!(took.as_secs() < 3, "{took:?}");
    assert_eq!(parts(&eye).await.len(), 3, "it is put off");
    store.signal(&run, vec![fact("goes on")], false).await.unwrap();
    is_whole(&store, &run, "begin goes on").await;
    backup.client.batch_execute("COMMIT").await.unwrap();
    store.beat().await.unwrap();
    assert_eq!(parts(&eye).await.len(), 4);
}

pub(crate) async fn a_server_without_partitions_has_one_table(db: Fixture) {
    let eye = look(&db).await;
    eye.client.batch_execute(PLAIN).await.unwrap();
    let store = db.open("n_a");
    let sql = "SELECT CAST(relkind AS TEXT) FROM pg_class WHERE relname LIKE 'journal%'
        AND relkind IN ('r', 'p')";
    assert_eq!(texts(&eye, sql).await, ["r"]);
    go_to(&eye, 3_000_000).await;
    let run = store.begin(1).await;
    store.beat().await.unwrap();
    let lease = store.take().await;
    store.advance(&lease, step(1, &["goes on"], end())).await.unwrap();
    is_whole(&store, &run, "begin goes on").await;
    no_record_is_doubled(&eye).await;
    drop(db.open("n_b"));
    eye.client.batch_execute("DROP EVENT TRIGGER plain").await.unwrap();
}

/// How often each partition was looked into, whichever way.
async fn looks(eye: &Eye) -> Vec<(String, i64)> {
    eye.client.batch_execute("SELECT pg_stat_clear_snapshot()").await.unwrap();
    let sql = "SELECT relname::TEXT, seq_scan + idx_scan FROM pg_stat_user_tables
        WHERE relname LIKE 'journal%' ORDER BY 1";
    let rows = eye.client.query(sql, &[]).await.unwrap();
    rows.iter().map(|it| (it.get(0), it.get::<_, Option<i64>>(1).unwrap_or_default())).collect()
}

/// Waits until no store is connected: what was counted is told then.
async fn alone(eye: &Eye) {
    let sql = "SELECT CAST(pid AS TEXT) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()
          AND backend_type = 'client backend'";
    while !texts(eye, sql).await.is_empty() {
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
}

pub(crate) async fn what_is_asked_of_a_run_looks_into_one_partition(db: Fixture) {
    let (store, eye) = (db.open("n_a"), look(&db).await);
    for (n, place) in [(1, 10), (2, 1_000_000), (3, 2_000_000)] {
        go_to(&eye, place).await;
        store.begin(n).await;
        store.beat().await.unwrap();
        let lease = store.take().await;
        let mut write = step(1, &["asks"], park());
        write = starts(&store, write, vec![child(100 + n, &lease)]);
        store.advance(&lease, write).await.unwrap();
        let lease = store.take().await;
        store.advance(&lease, step(1, &["waits"], park())).await.unwrap();
    }
    drop(store);
    alone(&eye).await;
    let before = looks(&eye).await;
    let store = db.open("n_b");
    // Often enough for a plan that is kept.
    for seen in 2..14 {
        everything_of(&store, &id(2), &id(102), seen).await;
    }
    drop(store);
    alone(&eye).await;
    let after = looks(&eye).await;
    let more: Vec<_> = before.iter().zip(&after).filter(|it| it.0 != it.1).collect();
    assert_eq!(more.len(), 1, "{more:?}");
    assert_eq!(more[0].0.0, "journal_1000000");
}

/// All that drives and shows a run, but for what follows the order of writing.
async fn everything_of(store: &Store, root: &RunId, below: &RunId, seen: u64) {
    store.signal(below, vec![fact("hey")], true).await.unwrap();
    let wish = || Wish { limit: 9, ..Wish::default() };
    assert!(store.look(below, wish()).await.unwrap().unwrap().touched.is_some(), "it is ready");
    let lease = store.take().await;
    assert_eq!((&lease.run, lease.seq), (below, 2 * seen - 1));
    store.advance(&lease, step(lease.seq, &["more"], park())).await.unwrap();
    for run in [root, below] {
        let row = store.row(run).await.unwrap().unwrap();
        assert_eq!(store.journal(run, 0, 1_000).await.unwrap().len() as u64, row.seq);
        assert_eq!(store.latest(run, 3).await.unwrap().len() as u64, row.seq.min(3));
        store.branch(run, 0, 1_000).await.unwrap();
        store.newest_under(&row).await.unwrap();
        store.look(run, wish()).await.unwrap();
    }
    assert_eq!(store.tree(root, 0, 1_000).await.unwrap().len() as u64, 2 * seen + 2);
    assert_eq!(store.verify(root).await.unwrap().breaks, vec![]);
    store.notes_of(root, "x").await.unwrap();
    store.asking_under(root, root, 10).await.unwrap();
}
