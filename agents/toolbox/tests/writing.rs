//! Files that are written and edited: whole or not at all, and never over what nobody saw.

use std::os::unix::fs::PermissionsExt;

use serde_json::json;

use super::yard::Yard;

fn edit(old: &str, new: &str) -> serde_json::Value {
    json!({"file_path": "a.txt", "old_string": old, "new_string": new})
}

#[tokio::test]
async fn a_file_is_made_with_its_folders_and_written_over_only_once_it_was_read() {
    let yard = Yard::new();
    let write = |text: &str| json!({"file_path": "new/deep/a.txt", "content": text});
    let used = yard.uses("Write", write("one\ntwo\n")).await.expect("made");
    assert_eq!(used.result, "made `new/deep/a.txt`: 2 lines, 8 bytes");
    assert!(used.files[0].wrote && used.files[0].bytes == 8);
    assert_eq!(yard.text("new/deep/a.txt"), "one\ntwo\n");
    let told = yard.told("Write", write("one\n2\n")).await;
    assert_eq!(told, "wrote `new/deep/a.txt`: line 2\n- two\n+ 2");
    yard.write("old.txt", "old\n");
    let over = json!({"file_path": "old.txt", "content": "new\n"});
    let told = yard.refused("Write", over.clone()).await;
    assert!(told.contains("read it first"), "{told}");
    yard.told("Read", json!({"file_path": "old.txt"})).await;
    yard.write("old.txt", "changed meanwhile\n");
    let told = yard.refused("Write", over.clone()).await;
    assert!(told.contains("was changed since this run read it"), "{told}");
    assert_eq!(yard.text("old.txt"), "changed meanwhile\n");
    yard.told("Read", json!({"file_path": "old.txt"})).await;
    yard.told("Write", over.clone()).await;
    assert_eq!(yard.told("Write", over).await, "`old.txt` holds that already");
    assert_eq!(yard.names(), ["new", "old.txt"], "nothing is left beside them");
}

#[tokio::test]
async fn the_mode_stays_and_what_is_read_only_too() {
    let yard = Yard::new();
    let mode = |mode: u32| {
        let permissions = std::fs::Permissions::from_mode(mode);
        std::fs::set_permissions(yard.root().join("a.txt"), permissions).expect("set");
    };
    yard.write("a.txt", "one\n");
    mode(0o750);
    yard.told("Edit", edit("one", "two")).await;
    let about = std::fs::metadata(yard.root().join("a.txt")).expect("there");
    assert_eq!(about.permissions().mode() & 0o777, 0o750);
    mode(0o444);
    assert_eq!(
        yard.refused("Edit", edit("two", "three")).await,
        "`a.txt` is read-only: it is not written"
    );
}

#[tokio::test]
async fn an_edit_wants_one_exact_place() {
    let yard = Yard::new();
    yard.write("a.txt", "one\ntwo\none\n");
    let told = yard.refused("Edit", edit("One", "x")).await;
    assert!(told.contains("does not stand there"), "{told}");
    let told = yard.refused("Edit", edit("one", "x")).await;
    assert!(told.contains("2 times, at lines 1, 3"), "{told}");
    let told = yard.refused("Edit", edit("one", "one")).await;
    assert!(told.contains("are the same"), "{told}");
    assert_eq!(yard.told("Edit", edit("two\n", "2\n")).await, "edited `a.txt`: line 2\n- two\n+ 2");
    let mut all = edit("one", "1");
    all["replace_all"] = json!(true);
    yard.told("Edit", all).await;
    assert_eq!(yard.text("a.txt"), "1\n2\n1\n");
    yard.write("a.txt", "changed\n");
    let told = yard.refused("Edit", edit("changed", "x")).await;
    assert!(told.contains("was changed since this run read it"), "{told}");
    yard.write("a.txt", b"\xff\xfe");
    let told = yard.refused("Edit", edit("a", "b")).await;
    assert!(told.contains("no UTF-8 text"), "{told}");
    assert!(
        yard.refused("Edit", json!({"file_path": "none", "old_string": "a"}))
            .await
            .contains("`Write` makes it")
    );
}

#[tokio::test]
async fn ends_of_lines_stay_as_they_are() {
    let yard = Yard::new();
    yard.write("a.txt", "one\r\ntwo\r\nthree\r\n");
    yard.told("Edit", edit("one\ntwo", "1\n2")).await;
    assert_eq!(yard.text("a.txt"), "1\r\n2\r\nthree\r\n");
}

#[tokio::test]
async fn a_call_that_broke_off_is_taken_again_and_done_once() {
    // What it finds: the text before the call, or the text after it.
    for (seen, old, new) in
        [(true, "b", "bb"), (true, "b", ""), (false, "b", "x"), (true, "b", "x")]
    {
        for is_done in [false, true] {
            let yard = Yard::new();
            yard.write("a.txt", "a b c\n");
            if seen {
                yard.told("Read", json!({"file_path": "a.txt"})).await;
            }
            let after = format!("a {new} c\n");
            if is_done {
                yard.write("a.txt", &after);
            }
            let again = yard.attempts(2, "Edit", edit(old, new)).await;
            if new.is_empty() && is_done {
                // Nothing tells that it was done: the model looks for itself.
                again.expect_err("changed");
            } else {
                again.expect("done");
            }
            assert_eq!(yard.text("a.txt"), after, "{seen} {old} {new} {is_done}");
        }
    }
    let yard = Yard::new();
    let write = json!({"file_path": "a.txt", "content": "x\n"});
    yard.write("a.txt", "x\n");
    yard.attempts(2, "Write", write).await.expect("it holds that already");
    // The unfinished file of a call that was cut is swept by the call that takes it again.
    let mark =
        crate::toolbox::used::hash(format!("{} c1", callboard_trace::RunId::new(7)).as_bytes());
    yard.write(&format!(".callboard-{}.tmp", &mark[..16]), "half");
    yard.attempts(2, "Edit", edit("x", "y")).await.expect("done");
    assert_eq!(yard.names(), ["a.txt"]);
}

#[tokio::test]
async fn a_secret_that_nobody_was_shown_is_not_written_over() {
    let yard = Yard::new();
    yard.write("a.txt", "key: hunter22\nport: 1\n");
    yard.told("Read", json!({"file_path": "a.txt"})).await;
    let whole = |path: &str| json!({"file_path": path, "content": "key: [secret]\nport: 2\n"});
    let told = yard.refused("Write", whole("a.txt")).await;
    assert!(told.contains("`Edit` what is around it"), "{told}");
    let told = yard.refused("Edit", edit("hunter22", "[secret]")).await;
    assert!(told.contains("a secret that nobody is shown"), "{told}");
    yard.told("Edit", edit("port: 1", "port: 2")).await;
    assert_eq!(yard.text("a.txt"), "key: hunter22\nport: 2\n");
    yard.told("Write", whole("b.txt")).await;
    yard.told("Edit", json!({"file_path": "b.txt", "old_string": "2", "new_string": "3"})).await;
}

#[tokio::test]
async fn too_much_is_not_written() {
    let mut yard = Yard::new();
    yard.ground.limits.file_bytes = 10;
    let told =
        yard.refused("Write", json!({"file_path": "a.txt", "content": "x".repeat(11)})).await;
    assert!(told.contains("more than a file may get"), "{told}");
    yard.write("a.txt", "x".repeat(11));
    assert!(yard.refused("Edit", edit("x", "y")).await.contains("more than 10 bytes"));
    assert_eq!(yard.names(), ["a.txt"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn edits_at_once_lose_nothing() {
    let yard = Yard::new();
    let text: String = (0..40).map(|it| format!("<{it}>\n")).collect();
    yard.write("a.txt", &text);
    let edits = (0..40).map(|it| yard.uses("Edit", edit(&format!("<{it}>"), &format!("[{it}]"))));
    let done = futures::future::join_all(edits).await;
    assert!(done.iter().all(Result::is_ok), "{done:?}");
    assert_eq!(yard.text("a.txt"), text.replace('<', "[").replace('>', "]"));
}
