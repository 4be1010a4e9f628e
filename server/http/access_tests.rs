//! Who is let in over HTTP, and what the others are told.

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{self, Ed25519KeyPair, KeyPair};
use aws_lc_rs::{hmac, rsa};
use callboard_config::http::{Http, Scope, Token};
use http::HeaderMap;
use jsonwebtoken::get_current_timestamp;
use serde_json::{Value, json};

use super::access::{Access, Gate};
use super::claims::Denied;
use super::login::{
    AUDIENCE, Answer, JWKS, Login, NO_KEY, SECRET, Signer, ada, bad, bring, coded, door, headers,
    jwt, known, team,
};
use crate::who::Principal;

#[tokio::test]
async fn an_open_door_lets_in_whoever_is_here() {
    let door = door(Http::default());
    assert!(Access::is_open(door.team()));
    assert_eq!(door.metadata(), None);
    let local = Principal { name: "local".into(), scope: Scope::Admin };
    assert_eq!(bring(&door, "whatever").await, Ok(local));
}

#[tokio::test]
async fn known_tokens_are_told_apart() {
    let door = door(known());
    assert!(!Access::is_open(door.team()));
    let found = |name: &str, scope| Ok(Principal { name: name.into(), scope });
    let unknown = bad("it is not known here");
    let empty = bad("it is empty, or has a blank in it");
    for (sent, wanted) in [
        (vec!["Bearer ci-token-0123456789"], found("ci", Scope::Run)),
        (vec!["bearer ops-token-0123456789"], found("ops", Scope::Admin)),
        (vec!["BEARER  ci-token-0123456789 "], found("ci", Scope::Run)),
        (vec![], Err(Denied::NoToken)),
        (vec!["Basic Y2k6Y2k="], Err(Denied::NoToken)),
        (vec!["ci-token-0123456789"], Err(Denied::NoToken)),
        (vec!["Bearer"], empty.clone()),
        (vec!["Bearer "], empty.clone()),
        (vec!["Bearer ci-token 0123456789"], empty),
        (vec!["Bearer ci-token-012345678"], unknown.clone()),
        (vec!["Bearer Ci-token-0123456789"], unknown),
        (
            vec!["Bearer ci-token-0123456789", "Bearer ci-token-0123456789"],
            bad("there is more than one Authorization header"),
        ),
    ] {
        assert_eq!(door.admit(&headers(&sent)).await, wanted, "{sent:?}");
    }
    let long = format!("Bearer {}", "x".repeat(8 * 1024 + 1));
    assert_eq!(door.admit(&headers(&[&long])).await, bad("it is longer than 8 KiB"));
}

#[tokio::test]
async fn a_token_without_a_value_lets_nobody_in() {
    let off = Token { name: "off".into(), secret: None, scope: Scope::Admin };
    let door = door(Http { tokens: vec![off], ..Http::default() });
    assert!(!Access::is_open(door.team()));
    assert_eq!(door.admit(&HeaderMap::new()).await, Err(Denied::NoToken));
    assert!(bring(&door, "x").await.is_err());
}

#[tokio::test]
async fn a_challenge_says_what_to_bring_and_where_to_get_it() {
    let login = Login::start().await;
    let (plain, full) = (door(known()), login.door());
    let told = |denied: &Denied| {
        let text = |it: &Access| it.challenge(denied).unwrap_or_default();
        let lines = format!("{}\n{}\n{}", denied.status().as_u16(), text(&plain), text(&full));
        lines.replace("\", ", "\",\n  ")
    };
    insta::assert_snapshot!(told(&Denied::NoToken), @r#"
    401
    Bearer
    Bearer resource_metadata="https://callboard.example.com/.well-known/oauth-protected-resource/mcp",
      scope="callboard:run"
    "#);
    insta::assert_snapshot!(told(&Denied::BadToken("it has expired")), @r#"
    401
    Bearer error="invalid_token",
      error_description="the token is not taken: it has expired"
    Bearer error="invalid_token",
      error_description="the token is not taken: it has expired",
      resource_metadata="https://callboard.example.com/.well-known/oauth-protected-resource/mcp",
      scope="callboard:run"
    "#);
    insta::assert_snapshot!(told(&Denied::Scope(Scope::Admin)), @r#"
    403
    Bearer error="insufficient_scope",
      error_description="this takes the scope admin"
    Bearer error="insufficient_scope",
      error_description="this takes the scope admin",
      resource_metadata="https://callboard.example.com/.well-known/oauth-protected-resource/mcp",
      scope="callboard:admin"
    "#);
    assert_eq!(told(&Denied::Unavailable("down".into())), "503\n\n");
    assert_eq!(plain.metadata(), None);
    let wanted = json!({
        "resource": AUDIENCE,
        "authorization_servers": [login.address],
        "scopes_supported": ["callboard:read", "callboard:run", "callboard:admin"],
        "bearer_methods_supported": ["header"],
    });
    assert_eq!(full.metadata(), Some(wanted));
}

#[tokio::test]
async fn a_good_token_says_who_calls_and_how_far_they_may_go() {
    let login = Login::start().await;
    let signer = Signer::new("one");
    login.publishes(&[&signer]);
    let door = login.door();
    let none = Err(Denied::Scope(Scope::Read));
    for (key, scopes, wanted) in [
        ("scope", json!("openid callboard:read callboard:run"), ada(Scope::Run)),
        ("scope", json!("callboard:admin"), ada(Scope::Admin)),
        ("scp", json!(["callboard:read", 7]), ada(Scope::Read)),
        ("scp", json!("callboard:run"), ada(Scope::Run)),
        ("scope", json!("callboard:administer"), none.clone()),
        ("scope", json!({"callboard:admin": true}), none.clone()),
        ("other", json!("callboard:admin"), none),
    ] {
        let mut claims = login.claims();
        claims.as_object_mut().unwrap().remove("scope");
        claims[key] = scopes.clone();
        assert_eq!(bring(&door, &signer.token(&claims)).await, wanted, "{key}: {scopes}");
    }
    assert_eq!(login.fetched(), 1);
}

#[tokio::test]
async fn a_token_with_a_wrong_claim_is_refused() {
    let login = Login::start().await;
    let signer = Signer::new("one");
    login.publishes(&[&signer]);
    let door = login.door();
    let now = get_current_timestamp();
    let (claim, subject) = (
        bad("a claim of it is missing or wrong"),
        bad("its subject is not 1 to 200 visible characters"),
    );
    for (key, value, wanted) in [
        ("aud", json!("https://other.example.com"), bad("it is for another audience")),
        ("aud", json!(["https://other.example.com", AUDIENCE]), ada(Scope::Run)),
        ("aud", json!(format!("{AUDIENCE}/")), bad("it is for another audience")),
        ("aud", Value::Null, claim.clone()),
        ("iss", json!("https://other.example.com"), bad("it is of another issuer")),
        ("iss", json!([login.address]), claim.clone()),
        ("iss", Value::Null, claim.clone()),
        ("exp", json!(now - 61), bad("it has expired")),
        ("exp", json!(now - 30), ada(Scope::Run)),
        ("exp", json!("tomorrow"), claim.clone()),
        ("exp", Value::Null, claim.clone()),
        ("nbf", json!(now + 120), bad("it is not valid yet")),
        ("nbf", json!("never"), claim.clone()),
        ("sub", json!(7), claim.clone()),
        ("sub", Value::Null, claim),
        ("sub", json!(""), subject.clone()),
        ("sub", json!("a\nb"), subject.clone()),
        ("sub", json!("x".repeat(201)), subject),
    ] {
        let mut claims = login.claims();
        claims[key] = value.clone();
        assert_eq!(bring(&door, &signer.token(&claims)).await, wanted, "{key}: {value}");
    }
}

#[tokio::test]
async fn only_signatures_of_a_private_key_are_taken() {
    let login = Login::start().await;
    let (signer, thief) = (Signer::new("one"), Signer::new("one"));
    let text = json!({"kty": "oct", "kid": "shared", "k": coded(b"shared-secret-0123456789")});
    login.says(JWKS, Answer::Json(json!({"keys": [signer.jwk(), text]})));
    let (door, claims) = (login.door(), login.claims());
    let way = bad("it is signed in a way that is not taken");
    let unread = bad("it is neither known here nor a signed JWT of the issuer");
    let public = signer.pair.public_key().as_ref();
    let mac = |key: &[u8], text: &[u8]| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text).as_ref().to_vec()
    };
    let header = |alg: &str, kid: &str| json!({"alg": alg, "kid": kid});
    let good = signer.token(&claims);
    let (text, _) = good.rsplit_once('.').unwrap();
    for (token, wanted) in [
        (good.clone(), ada(Scope::Run)),
        (jwt(&header("none", "one"), &claims, |_| vec![]), unread.clone()),
        (jwt(&header("HS256", "one"), &claims, |it| mac(public, it)), way.clone()),
        (jwt(&header("HS256", "shared"), &claims, |it| mac(b"shared-secret-0123456789", it)), way),
        (
            jwt(&header("ES384", "one"), &claims, |it| signer.sign(it)),
            bad("its signature is wrong"),
        ),
        (jwt(&header("RS256", "one"), &claims, |it| signer.sign(it)), bad(NO_KEY)),
        (thief.token(&claims), bad("its signature is wrong")),
        (format!("{text}."), bad("its signature is wrong")),
        (
            jwt(&json!({"alg": "ES256", "kid": "one", "crit": ["b64"]}), &claims, |it| {
                signer.sign(it)
            }),
            bad("it asks for an extension that is not known here"),
        ),
        (jwt(&json!({"alg": "ES256"}), &claims, |it| signer.sign(it)), ada(Scope::Run)),
        ("garbage".into(), unread.clone()),
        ("a.b.c".into(), unread.clone()),
        ("...".into(), unread),
    ] {
        assert_eq!(bring(&door, &token).await, wanted, "{token}");
    }
}

#[tokio::test]
async fn rsa_and_edwards_keys_are_taken_too() {
    let login = Login::start().await;
    let edwards = Ed25519KeyPair::generate().unwrap();
    let pair = rsa::KeyPair::generate(rsa::KeySize::Rsa2048).unwrap();
    let public = pair.public_key();
    let (n, e) = (public.modulus(), public.exponent());
    login.says(
        JWKS,
        Answer::Json(json!({"keys": [
            {"kty": "RSA", "kid": "r", "n": coded(n.big_endian_without_leading_zero()),
             "e": coded(e.big_endian_without_leading_zero())},
            {"kty": "OKP", "crv": "Ed25519", "alg": "EdDSA", "kid": "e",
             "x": coded(edwards.public_key().as_ref())},
            {"kty": "RSA", "kid": "enc", "use": "enc", "n": coded(n.big_endian_without_leading_zero()),
             "e": coded(e.big_endian_without_leading_zero())},
        ]})),
    );
    let (door, claims) = (login.door(), login.claims());
    let by_rsa = |way: &'static dyn signature::RsaEncoding, text: &[u8]| {
        let mut signed = vec![0; pair.public_modulus_len()];
        pair.sign(way, &SystemRandom::new(), text, &mut signed).unwrap();
        signed
    };
    let header = |alg: &str, kid: &str| json!({"alg": alg, "kid": kid});
    let rs =
        |kid| jwt(&header("RS256", kid), &claims, |it| by_rsa(&signature::RSA_PKCS1_SHA256, it));
    assert_eq!(bring(&door, &rs("r")).await, ada(Scope::Run));
    assert_eq!(bring(&door, &rs("enc")).await, bad(NO_KEY));
    let ps = jwt(&header("PS512", "r"), &claims, |it| by_rsa(&signature::RSA_PSS_SHA512, it));
    assert_eq!(bring(&door, &ps).await, ada(Scope::Run));
    let ed = jwt(&header("EdDSA", "e"), &claims, |it| edwards.sign(it).as_ref().to_vec());
    assert_eq!(bring(&door, &ed).await, ada(Scope::Run));
}

#[tokio::test]
async fn another_reading_of_the_team_keeps_the_keys_and_changes_the_tokens() {
    let login = Login::start().await;
    let signer = Signer::new("one");
    login.publishes(&[&signer]);
    let token = signer.token(&login.claims());
    let set = || Http { oauth: Some(login.oauth(Some(JWKS))), ..Http::default() };
    let first = team(set());
    let gate = Gate::new(first.clone());
    assert_eq!(bring(&gate.now(&first), &token).await, ada(Scope::Run));
    assert!(bring(&gate.now(&first), SECRET).await.is_err());

    let second = team(Http { tokens: known().tokens, ..set() });
    assert_eq!(bring(&gate.now(&second), &token).await, ada(Scope::Run));
    assert!(bring(&gate.now(&second), SECRET).await.is_ok());
    assert_eq!(login.fetched(), 1);

    let mut other = set();
    other.oauth.as_mut().unwrap().audience.push('x');
    let third = team(other);
    assert_eq!(bring(&gate.now(&third), &token).await, bad("it is for another audience"));
    assert_eq!(login.fetched(), 2);
}
