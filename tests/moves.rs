//! `callboard store move` by the built binary: all that is kept comes over row by row, whatever ends the
//! process on the way, and what is not whole is used by nobody.
#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on fails")]

#[allow(dead_code, reason = "this test needs a part of it")]
#[path = "engine/fixture.rs"]
mod fixture;
#[allow(dead_code, reason = "this test needs a part of it")]
#[path = "engine/gates.rs"]
mod gates;
#[path = "moves/rich.rs"]
mod rich;
#[path = "moves/rows.rs"]
mod rows;
#[allow(dead_code, reason = "this test breaks no server")]
#[path = "engine/server.rs"]
mod server;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use callboard_store::look::Asked;
use callboard_store::{Store, StoreError};
use callboard_trace::RunId;
use fixture::{Fixture, Place, Words, fact, id, root};
use rows::Rows;
use server::{Database, Server};
use tempfile::TempDir;
use tokio::time::{Instant, sleep};

/// Longer than any of these moves takes, also beside other tests.
const PATIENCE: Duration = Duration::from_secs(120);

/// Three places: a file, a database on a server, and another file.
struct Scene {
    home: TempDir,
    database: Database,
}

/// Where a move comes from or goes to.
enum Side {
    File(PathBuf),
    Server,
}

impl Scene {
    async fn new() -> Scene {
        let database = Server::shared().database().await;
        Scene { home: tempfile::tempdir().unwrap(), database }
    }

    fn folder(&self, name: &str) -> PathBuf {
        self.home.path().join(name)
    }

    fn file(&self, name: &str) -> Side {
        Side::File(self.folder(name))
    }

    fn place(&self, side: &Side) -> Place {
        match side {
            Side::File(path) => Place { path: path.clone(), address: None },
            Side::Server => {
                Place { path: self.folder("locks"), address: Some(self.database.address()) }
            }
        }
    }

    fn command(&self, from: &Side, to: &Side) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_callboard"));
        // There are the locks that prove that the nodes of the first store are dead.
        command.args(["store", "move", "--data"]).arg(self.folder("a"));
        for (option, side) in [("--from", from), ("--to", to)] {
            command.arg(option).arg(match side {
                Side::File(path) => path.as_os_str(),
                Side::Server => "env:MOVED".as_ref(),
            });
        }
        command.env("MOVED", self.database.address()).env("HOME", self.home.path());
        command.current_dir(self.home.path());
        command
    }

    fn moved(&self, from: &Side, to: &Side) -> Output {
        self.command(from, to).output().unwrap()
    }

    async fn rows(&self, side: &Side) -> Rows {
        match side {
            Side::File(path) => rows::of_file(path),
            Side::Server => rows::of_server(&self.database).await,
        }
    }

    /// Starts a move and kills it as soon as the target has so many records.
    async fn killed(&self, from: &Side, to: &Side, at: u64) {
        let quiet = (Stdio::null(), Stdio::null());
        let mut child = self.command(from, to).stdout(quiet.0).stderr(quiet.1).spawn().unwrap();
        let (begun, look) = (Instant::now(), self.look(to).await);
        loop {
            let there = look.records().await;
            if there >= at {
                break;
            }
            assert!(begun.elapsed() < PATIENCE, "it never came to {at} records");
            assert!(
                child.try_wait().unwrap().is_none(),
                "it ended, and had {there} of {at} records"
            );
            sleep(Duration::from_millis(1)).await;
        }
        kill(&mut child);
    }

    /// A look at the records that the target has so far.
    async fn look(&self, side: &Side) -> rows::Look {
        match side {
            Side::File(path) => rows::Look::File(path.clone()),
            Side::Server => rows::Look::Server(self.database.look().await),
        }
    }

    /// Nobody can use the target.
    fn is_refused(&self, side: &Side) {
        self.is_refused_for(side, "is not whole; finish that with the same `callboard store move`");
    }

    fn is_refused_for(&self, side: &Side, why: &str) {
        let error = self.place(side).open("n_early", |_| {}).map(|_| ()).unwrap_err();
        let StoreError::Db(text) = &error else { panic!("{error:?}") };
        assert!(text.contains(why), "{text}");
    }
}

/// `kill -9`.
fn kill(child: &mut Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

fn said(output: &Output) -> String {
    let text = |it: &[u8]| String::from_utf8_lossy(it).into_owned();
    format!("{}{}", text(&output.stdout), text(&output.stderr))
}

fn is_done(output: &Output) -> String {
    assert!(output.status.success(), "{}", said(output));
    said(output)
}

fn is_not_done(output: &Output, why: &str) {
    assert_eq!(output.status.code(), Some(1), "{}", said(output));
    assert!(said(output).contains(why), "{}", said(output));
}

fn file(path: &Path) -> Fixture {
    Fixture::in_folder(path)
}

/// A store of so many runs that are over, five records each.
async fn filled(path: &Path, runs: u32) -> Store {
    let store = file(path).open("n_fill");
    rich::fill(&store, runs).await;
    store
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_that_is_kept_is_the_same_there_and_back() {
    let scene = Scene::new().await;
    let (a, b, c) = (scene.file("a"), Side::Server, scene.file("c"));
    rich::everything(&file(&scene.folder("a"))).await;
    let was = scene.rows(&a).await;
    was.are_of_all_kinds();
    let told = is_done(&scene.moved(&a, &b));
    assert!(told.contains("moved and checked: "), "{told}");
    assert!(told.contains("write `store: env:MOVED` in team.yaml"), "{told}");
    assert_eq!(scene.rows(&a).await.unmarked(), was, "the source stays as it is");
    assert_eq!(scene.rows(&b).await, was);
    let told = is_done(&scene.moved(&b, &a));
    assert!(told.contains("nothing works on the old one any more"), "{told}");
    assert_eq!(scene.rows(&a).await, was, "into the first one, which held it before");
    scene.is_refused_for(&b, "it was moved: all of it is in the store in ");
    let address = callboard_store::Address::parse(&scene.database.address()).unwrap();
    let probe = callboard_store::probe(&address, || 0).await.unwrap();
    assert!(probe.closed.is_some_and(|it| it.starts_with("it was moved: ")), "`doctor` says it");
    is_done(&scene.moved(&a, &b));
    let told = is_done(&scene.moved(&b, &c));
    assert!(told.contains("take `store` out of team.yaml"), "{told}");
    assert_eq!(scene.rows(&c).await, was);
    for side in [&a, &b] {
        scene.is_refused_for(side, "it was moved: all of it is in the store ");
    }
    goes_on(&scene.place(&c)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_left_when_some_is_past_its_time_moves_as_it_is() {
    let scene = Scene::new().await;
    let (a, b, c) = (scene.file("a"), Side::Server, scene.file("c"));
    rich::everything(&file(&scene.folder("a"))).await;
    let store = file(&scene.folder("a")).open("n_drop");
    let old = store.ended_before("default", i64::MAX, 0).await.unwrap().0;
    let ended = old.iter().find(|it| it.run == id(rich::ENDED)).unwrap().pos;
    assert_eq!(store.drop_roots(&[ended], i64::MAX).await.unwrap().roots, 1);
    assert!(store.sweep_bodies("default", Some(i64::MAX)).await.unwrap().is_whole);
    store.leave().await.unwrap();
    drop(store);
    let was = scene.rows(&a).await;
    is_done(&scene.moved(&a, &b));
    assert_eq!(scene.rows(&b).await, was);
    is_done(&scene.moved(&b, &c));
    assert_eq!(scene.rows(&c).await, was);
    goes_on(&scene.place(&c)).await;
}

/// The store is one to work with: places go on behind what was moved, what was remembered is found,
/// and what a dead node held is taken back.
async fn goes_on(place: &Place) {
    let store = place.open("n_on", fixture::hasty).unwrap();
    let newest = store.newest_of(None, 0).await.unwrap().0;
    let new = store.begin(900).await;
    let (placed, _, _) = store.newest_of(None, 0).await.unwrap();
    assert!(placed > newest, "{placed} behind {newest}");
    assert_eq!(store.story(&new).await, "begin");
    for root in [rich::ENDED, rich::HELD, rich::LONG] {
        assert_eq!(store.verify(&id(root)).await.unwrap().breaks, vec![]);
    }
    let asked = Asked {
        workspace: "default".to_owned(),
        principal: "me".to_owned(),
        words: vec!["harbour".to_owned()],
        ..Asked::default()
    };
    assert_eq!(store.recall(asked).await.unwrap().memory.len(), 1);
    store
        .note_memory("default", vec![rich::note("lighthouse", "a tower with a lamp")])
        .await
        .unwrap();
    store.sweep_at_last().await;
    let mut taken = store.claim(100, 1_000).await.unwrap();
    taken.retain(|it| it.run == id(rich::HELD));
    assert_eq!(taken.len(), 1);
    let again = store.submit(rich::keyed()).await.unwrap();
    assert!(again.joined, "a key joins its run here, too");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn partitions_are_there_for_whatever_is_moved_and_a_file_has_none() {
    let scene = Scene::new().await;
    let (a, b, c) = (scene.file("a"), Side::Server, scene.file("c"));
    let store = file(&scene.folder("a")).open("n_fill");
    for (n, place) in [(1, 1), (2, 17_500_000), (3, 40_000_000)] {
        rows::go_to(&scene.folder("a"), place);
        store.begin(n).await;
    }
    store.leave().await.unwrap();
    drop(store);
    let was = scene.rows(&a).await;
    is_done(&scene.moved(&a, &b));
    assert_eq!(scene.rows(&b).await, was);
    let parts = rows::parts(&scene.database).await;
    let names: Vec<&str> = parts.keys().map(String::as_str).collect();
    assert_eq!(names, ["journal_0", "journal_17000000", "journal_40000000"]);
    is_done(&scene.moved(&b, &c));
    assert_eq!(scene.rows(&c).await, was);
    // The way out where the new one is lost, as the manual has it.
    let eye = scene.database.look().await;
    eye.client.batch_execute("DELETE FROM filling").await.unwrap();
    let store = scene.place(&b).open("n_on", |_| {}).unwrap();
    let new = store.begin(4).await;
    assert_eq!(store.story(&new).await, "begin");
    assert_eq!(store.row(&new).await.unwrap().unwrap().pos, 40_000_001);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_any_moment_it_goes_on_where_it_was() {
    const RUNS: u32 = 3_000;
    let scene = Scene::new().await;
    let (a, b, c) = (scene.file("a"), Side::Server, scene.file("c"));
    drop(filled(&scene.folder("a"), RUNS).await);
    let was = scene.rows(&a).await;
    for (from, to) in [(&a, &b), (&b, &c)] {
        for third in 1..=2_u64 {
            let part = u64::from(RUNS) * 5 / 3;
            let some = fixture::chance() as u64 % part;
            scene.killed(from, to, (third - 1) * part + 1 + some).await;
            scene.is_refused(to);
        }
        let before = scene.look(to).await.records().await;
        assert!(before >= u64::from(RUNS) * 5 / 3, "what was there is still there");
        let told = is_done(&scene.moved(from, to));
        assert!(told.contains(&format!("{RUNS} runs, ")), "{told}");
        assert_eq!(scene.rows(to).await, was);
    }
    is_not_done(&scene.moved(&a, &b), "it was moved: all of it is in the store at ");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_source_that_was_used_in_between_is_copied_anew() {
    let scene = Scene::new().await;
    let (a, b) = (scene.file("a"), Side::Server);
    let store = filled(&scene.folder("a"), 1_500).await;
    store.leave().await.unwrap();
    drop(store);
    scene.killed(&a, &b, 2_000).await;
    let other = file(&scene.folder("a")).open("n_between");
    other.note("n_between", vec![fact("I was there")]).await.unwrap();
    other.note_memory("default", vec![rich::note("pier", "a pier")]).await.unwrap();
    let busy = scene.moved(&a, &b);
    is_not_done(
        &busy,
        &format!("is in use: process {} works on it; stop that", std::process::id()),
    );
    other.leave().await.unwrap();
    drop(other);
    let was = scene.rows(&a).await;
    is_done(&scene.moved(&a, &b));
    assert_eq!(scene.rows(&b).await, was);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_row_that_differs_is_named_and_the_next_try_begins_anew() {
    let scene = Scene::new().await;
    let (a, b) = (scene.file("a"), Side::Server);
    drop(filled(&scene.folder("a"), 1_500).await);
    let was = scene.rows(&a).await;
    scene.killed(&a, &b, 2_000).await;
    let eye = scene.database.look().await;
    let changed = "UPDATE journal SET body = body || ' ' WHERE pos = 7";
    assert_eq!(eye.client.execute(changed, &[]).await.unwrap(), 1);
    let sql = "SELECT id FROM run WHERE pos = (SELECT run FROM journal WHERE pos = 7)";
    let run: String = eye.client.query_one(sql, &[]).await.unwrap().get(0);
    is_not_done(&scene.moved(&a, &b), &format!("run {run} (row [Int(7)] of table journal)"));
    scene.is_refused(&b);
    is_done(&scene.moved(&a, &b));
    assert_eq!(scene.rows(&b).await, was);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_that_were_changed_in_the_source_are_found() {
    let scene = Scene::new().await;
    let (a, b) = (scene.file("a"), Side::Server);
    drop(filled(&scene.folder("a"), 1_200).await);
    let run = RunId::from_text(rows::change_a_record(&scene.folder("a"), 1_100));
    is_not_done(&scene.moved(&a, &b), &format!("run {run}, record 4: "));
    scene.is_refused(&b);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_moved_is_refused_and_left_alone() {
    let scene = Scene::new().await;
    let (a, b, c) = (scene.file("a"), Side::Server, scene.file("c"));
    is_not_done(&scene.moved(&a, &b), "there is no store in ");
    assert!(!scene.folder("a").exists());
    is_not_done(&scene.moved(&b, &c), "there is no store in this database");
    assert!(!scene.folder("c").exists(), "nothing is made before it is known what to move");
    drop(filled(&scene.folder("a"), 10).await);
    drop(filled(&scene.folder("c"), 10).await);
    let looked = scene.place(&b).open("n_look", |_| {}).unwrap();
    // A server that makes its first tables may be silent for longer than a write waits for it.
    let note = async || looked.note("n_look", vec![fact("I looked")]).await;
    let mut noted = note().await;
    for _ in 0..5 {
        if matches!(noted, Err(StoreError::Away(_))) {
            noted = note().await;
        }
    }
    noted.unwrap();
    is_not_done(&scene.moved(&a, &b), "is in use: ");
    looked.leave().await.unwrap();
    drop(looked);
    let was = scene.rows(&c).await;
    is_not_done(&scene.moved(&a, &c), "the target holds a store of its own already");
    assert_eq!(scene.rows(&c).await, was);
    is_done(&scene.moved(&a, &b));
    is_not_done(&scene.moved(&a, &scene.file("d")), "it was moved: all of it is in the store at ");
    for mistyped in ["postgre://me:hunter2pw@h/x", "POSTGRES://me:hunter2pw@h/x", "ENV:MOVED"] {
        let refused = scene.moved(&a, &Side::File(mistyped.into()));
        let told = said(&refused);
        assert_eq!(refused.status.code(), Some(2), "{told}");
        assert!(told.contains("`--to` is no address of a PostgreSQL server"), "{told}");
        assert!(!told.contains("hunter2pw"), "{told}");
        let folder = mistyped.split('/').next().unwrap();
        assert!(!scene.folder(folder).exists(), "what was mistyped is no folder");
    }
    rows::set_format(&scene.folder("a"), 77);
    is_not_done(
        &scene.moved(&a, &scene.file("d")),
        "the store has format 77 and this program knows",
    );
    rows::set_format(&scene.folder("a"), 6);
    is_not_done(&scene.moved(&a, &scene.file("d")), "the store has format 6 and is to have 10");
    let eye = scene.database.look().await;
    eye.client.batch_execute("UPDATE callboard SET version = 78").await.unwrap();
    is_not_done(
        &scene.moved(&b, &scene.file("d")),
        "the store has format 78 and this program knows",
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_unfinished_copy_is_gone_on_with_from_its_own_source_only() {
    let scene = Scene::new().await;
    let (a, b, c) = (scene.file("a"), Side::Server, scene.file("c"));
    drop(filled(&scene.folder("a"), 1_500).await);
    let other = file(&scene.folder("c")).open("n_c");
    other.submit(root(77, 100)).await.unwrap();
    drop(other);
    scene.killed(&a, &b, 1_000).await;
    is_not_done(&scene.moved(&c, &b), "the target is being filled from another store, in ");
    is_not_done(&scene.moved(&b, &scene.file("d")), "it is being filled from the store in ");
    is_done(&scene.moved(&a, &b));
}

/// `cargo test --release --test moves -- --ignored --nocapture a_hundred_thousand`
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "takes minutes"]
#[allow(clippy::print_stdout, reason = "a measurement says what it found")]
async fn a_hundred_thousand_runs_are_moved_through_two_interruptions() {
    const RUNS: u32 = 100_000;
    let scene = Scene::new().await;
    let (a, b, c) = (scene.file("a"), Side::Server, scene.file("c"));
    let begun = Instant::now();
    drop(filled(&scene.folder("a"), RUNS).await);
    println!("{RUNS} runs written in {:.1} s", begun.elapsed().as_secs_f64());
    let was = scene.rows(&a).await;
    for (from, to, way) in [(&a, &b, "file to server"), (&b, &c, "server to file")] {
        let begun = Instant::now();
        for third in 1..=2 {
            scene.killed(from, to, u64::from(RUNS) * 5 * third / 3).await;
            println!("{way}: killed after {:.1} s", begun.elapsed().as_secs_f64());
            scene.is_refused(to);
        }
        let told = is_done(&scene.moved(from, to));
        println!(
            "{way}: {:.1} s in all; the last of three said: {told}",
            begun.elapsed().as_secs_f64()
        );
        assert_eq!(scene.rows(to).await, was);
    }
}
