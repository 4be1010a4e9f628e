//! Keys of a login server: when they are fetched, how long they serve, and which are never taken.

use std::time::Duration;

use callboard_config::http::{Http, Scope};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::time::Instant;

use super::claims::Denied;
use super::login::{
    Answer, JWKS, Login, NO_KEY, SECRET, Signer, ada, bad, bring, bring_at, door, known,
};

#[tokio::test]
async fn an_unknown_key_is_looked_for_once_in_a_while() {
    let login = Login::start().await;
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    login.publishes(&[&old]);
    let (door, claims) = (login.door(), login.claims());
    let (old_token, new_token) = (old.token(&claims), new.token(&claims));
    let start = Instant::now();
    let after = |seconds| start + Duration::from_secs(seconds);
    assert_eq!(bring_at(&door, &old_token, start).await, ada(Scope::Run));
    assert_eq!(login.fetched(), 1);
    for seconds in [1, 2, 30] {
        assert_eq!(bring_at(&door, &new_token, after(seconds)).await, bad(NO_KEY));
        assert_eq!(login.fetched(), 2, "after {seconds} s");
    }
    login.publishes(&[&new]);
    assert_eq!(bring_at(&door, &new_token, after(32)).await, ada(Scope::Run));
    assert_eq!(login.fetched(), 3);
    assert_eq!(bring_at(&door, &old_token, after(33)).await, bad(NO_KEY));
    assert_eq!(login.fetched(), 3);
}

#[tokio::test]
async fn a_rotated_key_is_taken_at_once() {
    let login = Login::start().await;
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    login.publishes(&[&old]);
    let (door, claims) = (login.door(), login.claims());
    assert_eq!(bring(&door, &old.token(&claims)).await, ada(Scope::Run));
    login.publishes(&[&old, &new]);
    assert_eq!(bring(&door, &new.token(&claims)).await, ada(Scope::Run));
    assert_eq!(bring(&door, &old.token(&claims)).await, ada(Scope::Run));
    assert_eq!(login.fetched(), 2);
}

#[tokio::test]
async fn callers_at_one_time_share_one_fetch() {
    let login = Login::start().await;
    let signer = Signer::new("one");
    login.publishes(&[&signer]);
    let (door, token) = (login.door(), signer.token(&login.claims()));
    let all = futures::future::join_all((0..20).map(|_| bring(&door, &token))).await;
    assert!(all.iter().all(|it| *it == ada(Scope::Run)), "{all:?}");
    assert_eq!(login.fetched(), 1);
}

#[tokio::test]
async fn a_caller_that_leaves_does_not_use_up_the_look_for_a_key() {
    let login = Login::start().await;
    let (old, new) = (Signer::new("old"), Signer::new("new"));
    login.publishes(&[&old]);
    let (door, claims) = (login.door(), login.claims());
    assert_eq!(bring(&door, &old.token(&claims)).await, ada(Scope::Run));
    login.publishes(&[&old, &new]);
    let token = new.token(&claims);
    let mut leaver = Box::pin(bring(&door, &token));
    assert!(futures::poll!(leaver.as_mut()).is_pending());
    drop(leaver);
    assert_eq!(bring(&door, &token).await, ada(Scope::Run));
    assert_eq!(login.fetched(), 2);
}

#[tokio::test]
async fn old_keys_serve_while_no_new_ones_can_be_had() {
    const HOUR: u64 = 3_600;
    let login = Login::start().await;
    let (signer, other) = (Signer::new("one"), Signer::new("two"));
    login.publishes(&[&signer]);
    let (door, claims) = (login.door(), login.claims());
    let token = signer.token(&claims);
    let start = Instant::now();
    let after = |seconds| start + Duration::from_secs(seconds);
    assert_eq!(bring_at(&door, &token, start).await, ada(Scope::Run));
    login.says(JWKS, Answer::Status(500));
    for (seconds, fetched) in [(HOUR - 1, 1), (HOUR, 2), (HOUR + 29, 2), (HOUR + 30, 3)] {
        assert_eq!(bring_at(&door, &token, after(seconds)).await, ada(Scope::Run));
        assert_eq!(login.fetched(), fetched, "after {seconds} s");
    }
    assert_eq!(bring_at(&door, &token, after(24 * HOUR - 1)).await, ada(Scope::Run));
    let late = bring_at(&door, &token, after(24 * HOUR + 60)).await;
    assert_eq!(late, Err(Denied::Unavailable(format!("{}{JWKS} answers 500", login.address))));
    let unknown = bring_at(&door, &other.token(&claims), after(24 * HOUR + 120)).await;
    assert!(matches!(unknown, Err(Denied::Unavailable(_))), "{unknown:?}");
    login.publishes(&[&signer]);
    assert_eq!(bring_at(&door, &token, after(25 * HOUR)).await, ada(Scope::Run));
}

#[tokio::test]
async fn keys_that_cannot_be_trusted_are_not_taken() {
    let signer = Signer::new("one");
    let many: Vec<Value> = (0..101).map(|_| signer.jwk()).collect();
    let only = |keys: Value| Answer::Json(json!({ "keys": keys }));
    for (answer, why) in [
        (Answer::Status(500), "answers 500"),
        (Answer::Huge, "is larger than 262144 bytes"),
        (Answer::Moved("/elsewhere".into()), "answers 302"),
        (only(json!(many)), "has more than 100 keys"),
        (only(json!([])), "has no key that can be used"),
        (only(json!([{"kty": "oct", "k": "AAAA", "kid": "one"}])), "has no key that can be used"),
        (Answer::Json(json!("none")), "has no key that can be used"),
    ] {
        let login = Login::start().await;
        login.says(JWKS, answer);
        login.says("/elsewhere", only(json!([signer.jwk()])));
        let (door, token) = (login.door(), signer.token(&login.claims()));
        let start = Instant::now();
        let wanted = Err(Denied::Unavailable(format!("{}{JWKS} {why}", login.address)));
        assert_eq!(bring_at(&door, &token, start).await, wanted);
        assert_eq!(bring_at(&door, &token, start + Duration::from_secs(4)).await, wanted);
        assert_eq!(login.fetched(), 1, "{why}");
        login.publishes(&[&signer]);
        let again = bring_at(&door, &token, start + Duration::from_secs(5)).await;
        assert_eq!(again, ada(Scope::Run), "{why}");
    }
}

#[tokio::test]
async fn an_issuer_that_nobody_answers_for_is_no_bad_token() {
    let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    let login = Login::start().await;
    let mut oauth = login.oauth(None);
    oauth.jwks = Some(format!("http://{free}/jwks.json"));
    let door = door(Http { oauth: Some(oauth), ..known() });
    let token = Signer::new("one").token(&login.claims());
    let told = bring(&door, &token).await;
    assert!(matches!(told, Err(Denied::Unavailable(_))), "{told:?}");
    assert!(!format!("{told:?}").contains(&token[..20]), "{told:?}");
    // Those who are known do not depend on it.
    assert_eq!(bring(&door, SECRET).await.map(|it| it.name), Ok("ci".into()));
}

#[tokio::test]
async fn keys_are_found_through_the_issuers_metadata() {
    let signer = Signer::new("one");
    for (path, tried) in [
        ("/.well-known/oauth-authorization-server/a", 1),
        ("/.well-known/openid-configuration/a", 2),
        ("/a/.well-known/openid-configuration", 3),
    ] {
        let login = Login::start().await;
        let mut oauth = login.oauth(None);
        oauth.issuer = format!("{}/a", login.address);
        let mut claims = login.claims();
        claims["iss"] = json!(oauth.issuer);
        let jwks = format!("{}{JWKS}", login.address);
        login.says(path, Answer::Json(json!({"issuer": oauth.issuer, "jwks_uri": jwks})));
        login.publishes(&[&signer]);
        let door = door(Http { oauth: Some(oauth), ..Http::default() });
        assert_eq!(bring(&door, &signer.token(&claims)).await, ada(Scope::Run), "{path}");
        assert_eq!(login.fetched(), tried + 1, "{path}");
    }
}

#[tokio::test]
async fn metadata_that_leads_astray_is_not_followed() {
    let signer = Signer::new("one");
    for (issuer, jwks, why) in [
        (Some("https://other.example.com"), None, "speaks of another issuer"),
        (None, Some("http://login.example.com/jwks.json"), "names no safe `jwks_uri`"),
        (None, Some("file:///etc/passwd"), "names no safe `jwks_uri`"),
        (None, Some(""), "names no safe `jwks_uri`"),
    ] {
        let login = Login::start().await;
        login.publishes(&[&signer]);
        let own = format!("{}{JWKS}", login.address);
        let metadata = json!({"issuer": issuer.unwrap_or(&login.address),
                              "jwks_uri": jwks.unwrap_or(&own)});
        let path = "/.well-known/openid-configuration";
        login.says(path, Answer::Json(metadata));
        let door = door(Http { oauth: Some(login.oauth(None)), ..Http::default() });
        let told = bring(&door, &signer.token(&login.claims())).await;
        let wanted = format!("{}{path} {why}", login.address);
        assert_eq!(told, Err(Denied::Unavailable(wanted)));
    }
}
