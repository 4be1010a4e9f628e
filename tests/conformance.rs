//! The official conformance suite, over HTTP: on the product with the suite's fixtures on top, and
//! on the product as it is.

#![expect(clippy::panic, reason = "where the test cannot begin, it says what is missing and fails")]

#[path = "conformance/asks.rs"]
mod asks;
#[path = "conformance/forms.rs"]
mod forms;
#[path = "conformance/jobs.rs"]
mod jobs;
#[path = "conformance/news.rs"]
mod news;
#[path = "conformance/pack.rs"]
mod pack;
#[path = "conformance/plain.rs"]
mod plain;
#[path = "conformance/served.rs"]
mod served;
#[path = "conformance/shelf.rs"]
mod shelf;

use pack::Fixtures;
use served::Served;
use tokio::sync::Mutex;

/// Who computes for the suite.
const WORKER: &str = "researcher";

/// One suite at a time: it gives a stream less than a second, whatever else the machine does.
static ALONE: Mutex<()> = Mutex::const_new(());

/// Everything a revision asks for, on the fixtures: `least` checks pass, none fails.
async fn the_pack_passes(revision: &str, least: usize) {
    let _alone = ALONE.lock().await;
    let served = Served::new(|team| {
        let fixtures = Fixtures::new(WORKER, team);
        move |it| fixtures.over(it)
    })
    .await;
    let found = served.suite(revision).await;
    found.is_as_expected("pack.txt");
    assert!(found.n_passed >= least, "only {} checks passed", found.n_passed);
    served.ends().await;
}

/// The same without fixtures: what fails is what they are for, each named in a file of its own.
async fn the_product_passes(revision: &str, least: usize) {
    let _alone = ALONE.lock().await;
    let served = Served::new(|_| |it| it).await;
    let found = served.suite(revision).await;
    found.is_as_expected(&format!("product-{revision}.txt"));
    assert!(found.n_passed >= least, "only {} checks passed", found.n_passed);
    served.ends().await;
}

#[tokio::test]
async fn the_pack_passes_what_2026_07_28_asks_for() {
    the_pack_passes("2026-07-28", 197).await;
}

#[tokio::test]
async fn the_pack_passes_what_2025_11_25_asks_for() {
    the_pack_passes("2025-11-25", 83).await;
}

#[tokio::test]
async fn the_product_passes_what_2026_07_28_asks_for() {
    the_product_passes("2026-07-28", 111).await;
}

#[tokio::test]
async fn the_product_passes_what_2025_11_25_asks_for() {
    the_product_passes("2025-11-25", 45).await;
}
