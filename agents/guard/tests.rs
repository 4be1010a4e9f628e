//! Tables of every kind of check, both sides.

use std::collections::BTreeMap;

use callboard_config::guards::Kind;
use serde_json::{Value, json};

use super::*;

fn kind(written: Value) -> Kind {
    serde_json::from_value(written).expect("a kind")
}

/// A kind, content that passes, content that does not, and what is said of it.
type Case = (Value, Value, Value, &'static str);

fn by_form() -> [Case; 7] {
    let drop_table = json!({"kind": "pattern", "deny": ["(?i)drop +table"]});
    let git = json!({"kind": "pattern", "allow": ["^git "]});
    let banned = json!({"kind": "banned", "words": ["Foo", "c++"]});
    let (letters, size) = (json!({"a": "ab", "b": ["c"]}), "letters, at");
    [
        (json!({"kind": "size", "max": 3}), json!("äöü"), json!("äöüx"), size),
        (json!({"kind": "size", "min": 3}), letters, json!("ab"), size),
        (drop_table, json!("drop the table"), json!({"q": "DROP TABLE x"}), "it matches `(?i)d"),
        (git, json!("git log"), json!("rm -r"), "none of the forms"),
        (banned.clone(), json!("food and seafood"), json!(["a FOO."]), "may not stand there"),
        (banned, json!("c"), json!("in c++ now"), "may not stand there"),
        (json!({"kind": "secrets"}), json!("a secret"), json!("is [secret]"), "it held a secret"),
    ]
}

fn by_content() -> [Case; 6] {
    let finding = |evidence: &[&str]| json!({"findings": [{"key": "k", "evidence": evidence}]});
    let files = |path: &str| json!({"files": [{"path": path}]});
    let (evidence, bare) = (json!({"kind": "evidence"}), json!({"findings": [{"text": "x"}]}));
    let schema = json!({"kind": "schema", "schema": {"required": ["a"]}});
    let personal = json!({"kind": "personal"});
    let card = json!({"kind": "personal", "data": ["card"]});
    let required = json!({"kind": "required", "paths": ["/files/0/path"]});
    let (mail, number) = (json!("ann@mail.example"), json!("4111 1111 1111 1111"));
    [
        (schema, json!({"a": 1}), json!({"b": 1}), "\"a\" is a required"),
        (personal, json!("ann at mail"), json!({"to": mail}), "an e-mail address"),
        (card, mail, number, "a card number"),
        (required, files("a"), files(" "), "`/files/0/path` is not there"),
        (evidence.clone(), finding(&["a.rs:1"]), finding(&[]), "finding `k` names no evidence"),
        (evidence, json!({}), bare, "`/findings/0` names no evidence"),
    ]
}

#[test]
fn every_kind_passes_what_is_good_and_says_what_is_not() {
    for (written, good, bad, said) in by_form().into_iter().chain(by_content()) {
        let kind = kind(written.clone());
        assert_eq!(faults(&kind, &good, &[]), [""; 0], "{written}: {good}");
        let found = faults(&kind, &bad, &[]).join("; ");
        assert!(found.contains(said), "{written}: {found}");
    }
    let failing = ["test `a` failed".to_owned()];
    assert_eq!(faults(&Kind::TestsPass, &json!({}), &failing), failing);
    assert_eq!(faults(&Kind::TestsPass, &json!({}), &[]), [""; 0]);
}

#[test]
fn reasons_never_quote_what_offends() {
    let content = json!({"a": "ann@mail.example pays with 4111 1111 1111 1111", "b": "hunter2"});
    for written in [json!({"kind": "personal"}), json!({"kind": "banned", "words": ["hunter2"]})] {
        let said = faults(&kind(written), &content, &[]).join("; ");
        assert!(
            !said.contains("ann@") && !said.contains("4111") && !said.contains("hunter2"),
            "{said}"
        );
    }
}

#[test]
fn what_offends_is_taken_out_and_named_by_its_path() {
    let content =
        json!({"a": ["x ann@mail.example and bob@mail.example y"], "ann@mail.example": 1});
    let (cut, paths) = without(&kind(json!({"kind": "personal"})), &content);
    assert_eq!(cut, json!({"a": ["x [redacted] and [redacted] y"], "ann@mail.example": 1}));
    assert_eq!(paths, ["/a/0"]);
    let overlapping = kind(json!({"kind": "pattern", "deny": ["abc", "bcd"]}));
    assert_eq!(without(&overlapping, &json!("xabcdx")).0, "x[redacted]x");
    assert_eq!(without(&overlapping, &json!("nothing")).0, "nothing");
}

#[test]
fn of_an_answer_that_did_not_pass_only_what_is_harmless_is_shown() {
    let answer = json!({"summary": "ask ann@mail.example", "findings": [
        {"key": "a", "evidence": ["x"]}, {"key": "b", "evidence": []}]});
    let shown = |written| presentable(&kind(written), &answer);
    let (value, what) = shown(json!({"kind": "personal"}));
    assert_eq!(value.expect("a part")["summary"], "ask [redacted]");
    assert_eq!(what, "/summary");
    let (value, what) = shown(json!({"kind": "evidence"}));
    assert_eq!(value.expect("a part")["findings"], json!([{"key": "a", "evidence": ["x"]}]));
    assert_eq!(what, "finding `b`");
    assert_eq!(shown(json!({"kind": "tests_pass"})), (Some(answer.clone()), String::new()));
    assert_eq!(shown(json!({"kind": "size", "max": 1})), (None, "the answer".to_owned()));
    assert_eq!(shown(json!({"kind": "pattern", "allow": ["x"]})).0, None);
}

#[test]
fn tests_are_known_by_their_cases_and_the_last_word_counts() {
    let mut known = BTreeMap::new();
    cases(&mut known, "unit", &json!({"case": "a", "result": "fail", "message": "1 is not 2"}));
    cases(
        &mut known,
        "unit",
        &json!({"tests": [{"case": "b", "result": "error"}, {"result": "pass"}]}),
    );
    cases(&mut known, "unit", &json!("just text"));
    assert_eq!(failing(known.clone()), ["test `a` failed: 1 is not 2", "test `b` failed"]);
    cases(
        &mut known,
        "again",
        &json!([{"case": "a", "result": "pass"}, {"name": "b", "status": "PASSED"}]),
    );
    assert_eq!(failing(known), [""; 0]);
}
