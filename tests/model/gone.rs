//! F24: endpoints that go away in the middle of a run, and one that speaks no TLS.

use callboard_trace::{Event, RunView};
use futures::future::join_all;

use crate::endpoint::{Act, Endpoint};
use crate::matrix::{KEY, PLACES, Table, agent, finish, plain, provider, row, wrote};
use crate::stage::{Stage, ask, end, records, until};

/// The rows of the table that are about them.
pub(crate) async fn rows() -> Table {
    let mut table = Table::new();
    let ways = [true, false].into_iter().flat_map(|it| (0..PLACES.len()).map(move |at| (it, at)));
    let died = join_all(ways.map(|(streams, place)| dies(streams, place))).await;
    for (at, became) in died.into_iter().enumerate() {
        row(&mut table, "F24 it goes away and stays away")[at].insert(became);
    }
    for streams in [true, false] {
        let became = speaks_no_tls(streams).await;
        row(&mut table, "F24 it speaks no TLS")[usize::from(!streams) * 3].insert(became);
    }
    table
}

/// The endpoint is gone while it is asked: the first attempt breaks off, the others find nobody.
async fn dies(streams: bool, place: usize) -> String {
    let endpoint = Endpoint::start(move |ask| match wrote(ask) == place {
        true => Act::silence(),
        false => plain(ask, "c0"),
    })
    .await;
    let stage = stage(&endpoint.base_url(), streams);
    let node = stage.node().await;
    let run = node.desk().submit(ask("c0", "work")).await.expect("in").run;
    until("the last request", async || endpoint.requests().len() == place + 1).await;
    drop(endpoint);
    let view = end(&node.desk(), &run).await;
    let all = records(&node.desk(), &run).await;
    node.stop().await;
    let failed: Vec<&str> = all
        .iter()
        .filter_map(|it| match &it.event {
            Event::StepFailed(failure) => Some(failure.message.as_str()),
            _ => None,
        })
        .collect();
    assert_eq!(failed.len(), 3, "{failed:?}");
    assert!(failed[0].contains("broke off before its reply"), "{failed:?}");
    assert!(failed[1..].iter().all(|it| it.contains("cannot be reached")), "{failed:?}");
    let written = std::fs::read_dir(stage.team().join("work/c0")).into_iter().flatten().count();
    assert_eq!(written, place);
    told(&view, failed.len())
}

async fn speaks_no_tls(streams: bool) -> String {
    let endpoint = Endpoint::start(|ask| plain(ask, "c0")).await;
    let stage = stage(&endpoint.base_url().replace("http:", "https:"), streams);
    let node = stage.node().await;
    let run = node.desk().submit(ask("c0", "work")).await.expect("in").run;
    let view = end(&node.desk(), &run).await;
    let all = records(&node.desk(), &run).await;
    let failed = all.iter().filter(|it| matches!(it.event, Event::StepFailed(_))).count();
    node.stop().await;
    assert!(endpoint.requests().is_empty());
    told(&view, failed)
}

fn stage(base_url: &str, streams: bool) -> Stage {
    let stage = Stage::at(base_url, "");
    agent(&stage, "c0");
    finish(&stage, &provider("c0", base_url, streams, ""));
    stage
}

fn told(view: &RunView, attempts: usize) -> String {
    let error = view.error.as_ref().expect("it failed");
    assert!(error.message.contains("provider \"c0\"") && !error.message.contains(KEY), "{error:?}");
    assert!(error.message.contains(&format!("({attempts} attempts)")), "{error:?}");
    crate::faults::End::Fails(view.stop.expect("a stop"), error.code, attempts).to_string()
}
