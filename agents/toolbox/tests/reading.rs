//! Files page by page, and folders.

use serde_json::json;

use super::yard::Yard;

#[tokio::test]
async fn lines_come_numbered_and_in_pages() {
    let yard = Yard::new();
    let text: String = (1..=5_000).map(|it| format!("line {it}\n")).collect();
    yard.write("long.txt", &text);
    let used = yard.uses("Read", json!({"file_path": "long.txt"})).await.expect("read");
    let told = used.result.as_str().expect("a text");
    assert!(told.starts_with("     1\tline 1\n     2\tline 2\n"), "{told}");
    let end = format!(
        "  2000\tline 2000\n[it goes on: {} bytes in all; `offset` 2001 is next]",
        text.len()
    );
    assert!(told.ends_with(&end), "{}", &told[told.len() - 200..]);
    assert_eq!(used.files[0].bytes, text.len() as u64);
    assert_eq!(used.documents, [used.files[0].hash.clone()]);
    let told = yard.told("Read", json!({"file_path": "long.txt", "offset": 4_999})).await;
    assert_eq!(told, "  4999\tline 4999\n  5000\tline 5000\n");
    let told = yard.told("Read", json!({"file_path": "long.txt", "offset": 2, "limit": 1})).await;
    assert!(told.starts_with("     2\tline 2\n[it goes on"), "{told}");
    let told = yard.refused("Read", json!({"file_path": "long.txt", "offset": 9_999})).await;
    assert_eq!(told, "`long.txt` has only 5000 lines");
    let whole = yard.root().join("long.txt");
    yard.told("Read", json!({"file_path": whole.to_str(), "limit": 1})).await;
}

#[tokio::test]
async fn odd_files_are_described() {
    let yard = Yard::new();
    yard.write("empty.txt", "");
    yard.write("one.txt", "no end of line");
    yard.write("windows.txt", "a\r\nb\r\n");
    yard.write("latin.txt", b"caf\xe9\n");
    yard.write("image.png", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR");
    yard.write("wide.txt", "x".repeat(3_000));
    let read = async |name: &str| yard.told("Read", json!({"file_path": name})).await;
    assert_eq!(read("empty.txt").await, "[`empty.txt` is there and empty]");
    assert_eq!(read("one.txt").await, "     1\tno end of line\n");
    assert_eq!(read("windows.txt").await, "     1\ta\n     2\tb\n");
    assert_eq!(read("latin.txt").await, "     1\tcaf\u{fffd}\n");
    assert_eq!(
        read("image.png").await,
        "[`image.png` is no text: a PNG image, 16 bytes, not shown]"
    );
    assert_eq!(read("wide.txt").await, format!("     1\t{}…\n", "x".repeat(2_000)));
    assert_eq!(
        yard.refused("Read", json!({"file_path": "none.txt"})).await,
        "`none.txt` is not there"
    );
}

#[tokio::test]
async fn a_page_is_never_longer_than_a_model_is_shown() {
    let yard = Yard::new();
    let text: String = (1..=1_999).map(|it| format!("{it} {}\n", "y".repeat(1_000))).collect();
    yard.write("wide.txt", &text);
    let (mut offset, mut seen) = (1, 0);
    loop {
        let told = yard.told("Read", json!({"file_path": "wide.txt", "offset": offset})).await;
        assert!(told.len() <= yard.ground.limits.tool_output_bytes);
        seen += told.lines().filter(|it| it.contains('\t')).count();
        let Some(at) = told.find("`offset` ") else { break };
        let next = told[at + 9..].split(' ').next().expect("a number");
        offset = next.parse().expect("a number");
    }
    assert_eq!(seen, 1_999);
}

#[tokio::test]
async fn a_folder_is_listed_by_name() {
    let yard = Yard::new();
    yard.write("b.rs", "");
    yard.write("a/inner.rs", "");
    yard.write("c.lock", "");
    std::os::unix::fs::symlink("b.rs", yard.root().join("link")).expect("a link");
    let root = yard.root().display();
    assert_eq!(yard.told("LS", json!({})).await, format!("{root}:\na/\nb.rs\nc.lock\nlink@"));
    let told = yard.told("LS", json!({"path": "a"})).await;
    assert_eq!(told, format!("{root}/a:\ninner.rs"));
    let told = yard.told("LS", json!({"ignore": ["*.lock", "a"]})).await;
    assert_eq!(told, format!("{root}:\nb.rs\nlink@"));
    std::fs::create_dir(yard.root().join("void")).expect("a folder");
    assert_eq!(yard.told("LS", json!({"path": "void"})).await, format!("{root}/void:\n[nothing]"));
    assert_eq!(yard.refused("LS", json!({"path": "b.rs"})).await, "`b.rs` is no folder");
}
