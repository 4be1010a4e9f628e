//! More than anybody wants to read: bounded time and memory, and a word about what was left out.

use std::fs::File;
use std::os::unix::fs::symlink;
use std::time::Duration;

use serde_json::json;

use super::yard::Yard;
use crate::toolbox::used::apart;

#[tokio::test]
async fn ten_thousand_files_are_searched() {
    let yard = Yard::new();
    for folder in 0..100 {
        for file in 0..100 {
            yard.write(&format!("f{folder}/g/{file}.txt"), "a line\nthe needle\n");
        }
    }
    let grep = json!({"pattern": "needle", "output_mode": "count"});
    let whole = yard.uses("Grep", grep).await.expect("found").whole.expect("it is long");
    let lines = whole.as_str().expect("a text").lines();
    assert_eq!(lines.filter(|it| it.ends_with(".txt:1")).count(), 10_000);
    let used = yard.uses("Glob", json!({"pattern": "**/*.txt"})).await.expect("found");
    let whole = used.whole.expect("it is long");
    assert_eq!(whole.as_str().expect("a text").lines().count(), 10_000);
}

#[tokio::test]
async fn a_gigabyte_of_nothing_is_no_burden() {
    let yard = Yard::new();
    let huge = File::create(yard.root().join("huge")).expect("a file");
    huge.set_len(1 << 30).expect("sparse");
    yard.write("small.txt", "needle\n");
    let told = yard.told("Read", json!({"file_path": "huge"})).await;
    assert_eq!(told, "[`huge` is no text: bytes, 1073741824 bytes, not shown]");
    assert_eq!(yard.told("Grep", json!({"pattern": "needle"})).await, "small.txt");
    let span = json!({"pattern": "needle", "multiline": true});
    let told = yard.told("Grep", span).await;
    assert_eq!(told, "small.txt");
    let told = yard.refused("Write", json!({"file_path": "huge", "content": "x"})).await;
    assert!(told.contains("more than"), "{told}");
    assert!(
        yard.refused("Edit", json!({"file_path": "huge", "old_string": "a", "new_string": "b"}))
            .await
            .contains("more than")
    );
}

#[tokio::test]
async fn one_line_without_an_end_is_no_burden() {
    let yard = Yard::new();
    yard.write("line.txt", "x".repeat(40 << 20));
    let told = yard.told("Read", json!({"file_path": "line.txt"})).await;
    assert!(told.len() < 3_000, "{}", told.len());
    let told = yard.told("Grep", json!({"pattern": "nothing"})).await;
    assert_eq!(told, "no match\n[1 files could not be searched]");
}

#[tokio::test]
async fn a_folder_full_of_ways_back_to_itself_ends() {
    let links = callboard_config::environment("CALLBOARD_LINKS");
    let links = links.map_or(20_000, |it| it.parse().expect("a number"));
    let mut yard = Yard::new();
    yard.ground.limits.walk_entries = links / 2;
    yard.write("needle.txt", "needle\n");
    for nth in 0..links {
        symlink(".", yard.root().join(format!("way_{nth}"))).expect("a link");
    }
    let told = yard.told("Grep", json!({"pattern": "needle"})).await;
    assert!(told.ends_with("[not everything was searched: name a narrower `path`]"), "{told}");
    let told = yard.told("Glob", json!({"pattern": "*.txt"})).await;
    assert!(told.ends_with("[not everything was seen: name a narrower `path`]"), "{told}");
    let used = yard.uses("LS", json!({})).await.expect("listed");
    assert!(used.whole.is_some());
}

#[tokio::test]
async fn who_waits_no_longer_is_not_worked_for() {
    let (tell, told) = std::sync::mpsc::channel();
    let work = apart(move |stop| {
        while stop.check().is_ok() {
            std::thread::yield_now();
        }
        tell.send(()).map_err(|it| it.to_string())
    });
    tokio::time::timeout(Duration::from_millis(5), work).await.expect_err("it goes on until then");
    told.recv_timeout(Duration::from_secs(60)).expect("it hears that nobody waits");
}

#[tokio::test]
async fn a_deep_way_down_ends() {
    let yard = Yard::new();
    let mut path = String::new();
    for _ in 0..300 {
        path.push_str("d/");
    }
    yard.write(&format!("{path}needle.txt"), "needle\n");
    yard.write("needle.txt", "needle\n");
    let told = yard.told("Grep", json!({"pattern": "needle"})).await;
    assert!(told.starts_with("needle.txt\n[not everything was searched"), "{told}");
    let told = yard.told("Read", json!({"file_path": format!("{path}needle.txt")})).await;
    assert_eq!(told, "     1\tneedle\n");
}
