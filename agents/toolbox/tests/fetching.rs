//! Pages from a server on loopback, which the owner declared, and where it leads to.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::{Response, Uri};
use callboard_config::hands::Fetch;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::yard::Yard;
use crate::toolbox::egress::Egress;

/// A server for as long as it is held, and its address.
struct Web(String, #[expect(dead_code, reason = "serves until it is dropped")] JoinSet<()>);

async fn web() -> Web {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let here = format!("http://{}", listener.local_addr().expect("an address"));
    let origin: Arc<str> = here.as_str().into();
    let app = axum::Router::new().fallback(move |uri: Uri| answer(uri, Arc::clone(&origin)));
    let mut serving = JoinSet::new();
    serving.spawn(async move {
        axum::serve(listener, app).await.expect("it serves");
    });
    Web(here, serving)
}

async fn answer(uri: Uri, here: Arc<str>) -> Response<Body> {
    let page = |kind: &str, body: Body| {
        Response::builder().header("content-type", kind).body(body).expect("a response")
    };
    let to = |place: &str| {
        Response::builder().status(302).header("location", place).body(Body::empty()).expect("one")
    };
    let query = uri.query().unwrap_or_default();
    match uri.path() {
        "/html" => {
            page("text/html; charset=utf-8", "<h1>Hi</h1><script>no</script><p>there".into())
        }
        "/json" => page("application/json", "{\"a\": 1}".into()),
        "/latin" => page("text/plain; charset=iso-8859-1", b"caf\xe9".to_vec().into()),
        "/image" => page("image/png", b"\x89PNG\0\0".to_vec().into()),
        "/large" => page("text/plain", "x".repeat(6 << 20).into()),
        "/long" => page("text/plain", "y".repeat(100_000).into()),
        "/to" => to(query),
        "/round" => to(&format!("{here}/round")),
        "/hops" => match query.parse::<u32>().expect("a number") {
            0 => page("text/plain", "arrived".into()),
            n => to(&format!("{here}/hops?{}", n - 1)),
        },
        "/never" => {
            tokio::time::sleep(Duration::from_secs(600)).await;
            page("text/plain", Body::empty())
        }
        _ => Response::builder().status(404).body(Body::empty()).expect("a response"),
    }
}

#[tokio::test]
async fn pages_come_as_text() {
    let (yard, web) = (Yard::new(), web().await);
    let url = |path: &str| format!("{}{path}", web.0);
    let fetch = async |path: &str| {
        let told = yard.told("WebFetch", json!({"url": url(path), "prompt": "what is it"})).await;
        told.strip_prefix(&format!("{}\n\n", url(path))).map(str::to_owned).unwrap_or(told)
    };
    assert_eq!(fetch("/html").await, "# Hi\n\nthere");
    assert_eq!(fetch("/json").await, "{\"a\": 1}");
    assert_eq!(fetch("/latin").await, "café");
    assert_eq!(fetch("/image").await, "[image/png, 6 bytes, not shown]");
    assert!(fetch("/hops?5").await.ends_with("arrived"));
    let used = yard.uses("WebFetch", json!({"url": url("/long")})).await.expect("fetched");
    assert!(used.result.as_str().expect("a text").len() < (64 << 10) + 200);
    assert!(used.whole.is_some() && used.documents.len() == 1);
    let used = yard.uses("WebFetch", json!({"url": url("/large")})).await.expect("fetched");
    assert!(used.whole.expect("kept").as_str().expect("a text").len() <= 1 << 20);
    let told = yard.refused("WebFetch", json!({"url": url("/nowhere")})).await;
    assert!(told.contains("404"), "{told}");
}

#[tokio::test]
async fn nobody_is_led_astray() {
    let (mut yard, web) = (Yard::new(), web().await);
    let to = |place: &str| json!({"url": format!("{}/to?{place}", web.0)});
    for place in [
        "https://169.254.169.254/latest/meta-data/",
        "http://169.254.169.254/latest/meta-data/",
        "https://[fd00:ec2::254]/",
        "https://10.0.0.1/",
        "https://0xa000001/",
        "http://example.org/",
        "file:///etc/passwd",
        "ftp://127.0.0.1/",
    ] {
        let told = yard.refused("WebFetch", to(place)).await;
        // What is no address of the web at all is not even tried.
        let is_led = told.contains("cannot be fetched") || told.contains("answered 302");
        assert!(is_led && !told.contains("cannot be fetched: error"), "{place}: {told}");
    }
    let six = json!({"url": format!("{}/hops?6", web.0)});
    assert!(yard.refused("WebFetch", six).await.contains("more than 5 times"));
    let round = json!({"url": format!("{}/round", web.0)});
    assert!(yard.refused("WebFetch", round).await.contains("more than 5 times"));
    for url in ["https://localhost/", "http://127.0.0.1:9/", "https://169.254.169.254/", "nonsense"]
    {
        yard.ground.egress = Egress::new(Fetch::default());
        yard.refused("WebFetch", json!({ "url": url })).await;
    }
    // By name, too: what the name is for is found out when the connection is made.
    let port = web.0.rsplit(':').next().expect("a port");
    let named = json!({"url": format!("https://localhost:{port}/json")});
    let told = yard.refused("WebFetch", named).await;
    assert!(told.contains("no public address"), "{told}");
}

#[tokio::test]
async fn the_list_of_hosts_holds_on_the_way_too() {
    let (mut yard, web) = (Yard::new(), web().await);
    let port: u16 = web.0.rsplit(':').next().and_then(|it| it.parse().ok()).expect("a port");
    let hosts = Some(vec![format!("127.0.0.1:{port}")]);
    yard.ground.egress = Egress::new(Fetch { hosts, loopback: true });
    yard.told("WebFetch", json!({"url": format!("{}/json", web.0)})).await;
    let elsewhere = format!("http://localhost:{port}/json");
    let told = yard.refused("WebFetch", json!({ "url": elsewhere })).await;
    assert!(told.contains("not among the hosts"), "{told}");
    let led = json!({"url": format!("{}/to?{elsewhere}", web.0)});
    let told = yard.refused("WebFetch", led).await;
    assert!(told.contains("not among the hosts"), "{told}");
}

#[tokio::test]
async fn who_never_answers_is_not_waited_for() {
    let (mut yard, web) = (Yard::new(), web().await);
    yard.ground.limits.fetch_s = 1;
    let told = yard.refused("WebFetch", json!({"url": format!("{}/never", web.0)})).await;
    assert!(told.contains("it took too long"), "{told}");
}
