//! Resources, breakers, order, routes and the throttle: what is set, and what is told when it is wrong.

use crate::Team;
use crate::policy::{Breaker, Ranking, Resource, Retain, Route, RouteMode, Throttle};
use crate::testing::{PLAIN, agent, team, told_of_team};

fn of_team(text: &str) -> Team {
    team(&[("team.yaml", text), ("agents/lead.md", PLAIN)])
}

const SMALL: &str = "providers: {r: {kind: rehearsal}}\nmodels: {default: r/m, small: r/s}\n";

#[test]
fn resources_and_the_tools_that_take_them_are_read() {
    let text = "resources:\n  search: {capacity: 100, refill_per_s: 1}\n  \
                orders: {capacity: 20, refill_per_s: 10, cost: 2.5, concurrency: 4,\n    \
                breaker: {failures: 5, reset_s: 1m, wait_s: 10s}, fallback: search}\n  \
                printer: {concurrency: 1, fallback: [orders, search]}\n\
                tools: {mcp__web__search: search, \"mcp__web__*\": printer}\n";
    let resources = of_team(text).resources;
    let breaker = Breaker { failures: 5, reset_s: 60, wait_s: Some(10) };
    let orders = Resource {
        capacity: Some(20.0),
        refill_per_s: 10.0,
        concurrency: Some(4),
        cost: 2.5,
        breaker,
        fallback: vec!["search".into()],
    };
    assert_eq!(resources.named["orders"], orders);
    let search = &resources.named["search"];
    assert_eq!((search.cost, search.breaker), (1.0, Breaker::default()));
    let of = |server, tool| resources.of_tool(server, tool).map(|it| it.0);
    assert_eq!(of(Some("web"), "mcp__web__search"), Some("search"));
    assert_eq!(of(Some("web"), "mcp__web__fetch"), Some("printer"));
    assert_eq!(of(Some("orders"), "mcp__orders__all"), Some("orders"));
    assert_eq!(of(Some("files"), "mcp__files__read"), None);
    assert_eq!(resources.in_place_of("printer"), ["orders", "search"]);
    assert_eq!(resources.in_place_of("search"), [""; 0]);
}

#[test]
fn what_stands_in_for_a_resource_is_there_and_leads_to_an_end() {
    let text = "resources:\n  a: {concurrency: 1, fallback: [b, serch]}\n  \
                b: {concurrency: 1, fallback: c}\n  c: {concurrency: 1, fallback: [a]}\n  \
                d: {concurrency: 1, fallback: d}\n  search: {concurrency: 1, fallback: {x: 1}}\n";
    insta::assert_snapshot!(told_of_team(text), @r#"
    team.yaml:2: `resources.a.fallback`: "serch" is not in `resources`; did you mean "search"?
      help: write it below `resources:`, with what it can take
    team.yaml:4: `resources.c.fallback` goes round: c → a → b → c
      help: take one of these out
    team.yaml:5: `resources.d.fallback` goes round: d → d
      help: take one of these out
    team.yaml:6: `resources.search.fallback` must be a list of names, found a map
      help: write `[one, two]`
    4 errors, 0 warnings
    "#);
}

#[test]
fn wrong_resources_are_told_together() {
    let text = "resources:\n  a: {capacity: 10, refill_per_s: 0}\n  \
                b: {capacity: 3, refill_per_s: 1, cost: 5}\n  c: {capacity: 0.5, refill_per_s: 1}\n  \
                d: {capacity: 10}\n  e: {refill_per_s: 1}\n  \
                f: {cost: 2}\n  g: {capacity: -1, refill_per_s: fast}\n  \
                h: {breaker: {failures: 0, resets: 3}}\n  \
                \"i j\": {concurrency: 1}\n  search: {refil_per_s: 1}\ntools:\n  x: serch\n  y: 3\n";
    insta::assert_snapshot!(told_of_team(text), @r#"
    team.yaml:2: `resources.a.refill_per_s` must be 0.000001 to 1000000000
    team.yaml:3: `resources.b.cost` is 5, above its capacity 3
      help: no step could ever take it
    team.yaml:4: `resources.c.cost` is 1, above its capacity 0.5
      help: no step could ever take it
    team.yaml:5: `resources.d.capacity` needs `refill_per_s` beside it
    team.yaml:6: `resources.e.refill_per_s` needs `capacity` beside it
    team.yaml:7: `resources.f.cost` is taken from nothing
      help: write `capacity` and `refill_per_s` too, or remove it
    team.yaml:8: `resources.g.capacity` must be 0.000001 to 1000000000
    team.yaml:8: `resources.g.refill_per_s` must be a number, found text
    team.yaml:9: `resources.h.breaker.failures` must be 1 to 10000
    team.yaml:9: key `resources.h.breaker.resets` is not known; did you mean "reset_s"?
    team.yaml:10: "i j" is no name for a resource
      help: use up to 64 letters, digits, `-` and `_`
    team.yaml:11: key `resources.search.refil_per_s` is not known; did you mean "refill_per_s"?
    team.yaml:13: `tools.x`: "serch" is not in `resources`; did you mean "search"?
      help: write it below `resources:`, with what it can take
    team.yaml:14: `tools.y` must be text, found a number
      help: put it in quotes if it is meant as text
    14 errors, 0 warnings
    "#);
}

#[test]
fn rates_and_breakers_of_providers_are_read() {
    let text = "providers:\n  a: {base_url: \"http://a/v1\", requests_per_min: 60, \
                tokens_per_min: 90000, concurrency: 3, breaker: {failures: 2}}\n  \
                b: {kind: rehearsal}\nmodels: {default: a/m}\n";
    let team = of_team(text);
    let a = &team.providers["a"];
    assert_eq!((a.requests_per_min, a.tokens_per_min), (Some(60), Some(90_000)));
    assert_eq!((a.concurrency, a.breaker.failures, a.breaker.reset_s), (Some(3), 2, 300));
    let b = &team.providers["b"];
    assert_eq!((b.requests_per_min, b.breaker), (None, Breaker::default()));
    insta::assert_snapshot!(told_of_team("providers:\n  a: {kind: rehearsal, requests_per_min: 0, \
        tokens_per_min: 1.5, breaker: {wait_s: -1}}\n"), @r#"
    team.yaml:2: `providers.a.requests_per_min` must be 1 to 1000000000000
    team.yaml:2: `providers.a.tokens_per_min` must be a whole number such as 20, found a number
    team.yaml:2: `providers.a.breaker.wait_s` must be 0 to 86400
    3 errors, 0 warnings
    "#);
}

#[test]
fn order_and_routes_are_read() {
    let team = of_team(&format!(
        "{SMALL}priority: {{unblocking: off, ttl_s: 10m, cosine: 0.9, overlap: 1, \
         synonyms: {{Memo: Article}}}}\n\
         route: {{mode: team, team: 0.2, fallback: none, judge: formula}}\n"
    ));
    let wanted = Ranking {
        unblocking: false,
        ttl_s: 600,
        cosine: 0.9,
        overlap: 1.0,
        synonyms: [("memo".to_owned(), "article".to_owned())].into(),
    };
    assert_eq!(team.ranking, wanted);
    let wanted = Route { mode: RouteMode::Team, team: 0.2, falls_back: false, judged: false };
    assert_eq!(team.route, wanted);
    let judged = of_team(&format!("{SMALL}route: {{judge: model}}\n"));
    assert!(judged.route.judged && judged.small.is_some());
    let plain = of_team("priority:\nroute: {team: 0.5}\n");
    assert_eq!(
        (plain.ranking, plain.route),
        (Ranking::default(), Route { team: 0.5, ..Route::default() })
    );
    insta::assert_snapshot!(told_of_team(
        "priority: {cosine: 1.5, ttl_s: -1, unblocking: maybe, synonyms: {a: 3, b: \"\"}, weight: 2}\n\
         route: {mode: teem, team: 20, fallback: both, judge: model}\n"
    ), @r#"
    team.yaml:1: `priority.unblocking` must be `true` or `false`, found text
    team.yaml:1: `priority.ttl_s` must be 0 to 2592000
    team.yaml:1: `priority.cosine` must be 0 to 1
    team.yaml:1: `priority.synonyms.a` must be text, found a number
      help: put it in quotes if it is meant as text
    team.yaml:1: `priority.synonyms.b` must not be empty
    team.yaml:1: key `priority.weight` is not known
    team.yaml:2: `route.fallback` cannot be "both"
      help: write one of single, none
    team.yaml:2: `route.judge` asks the model `small`, which is not in `models`
      help: name one below `models:`, or leave it out: the formula measures every task
    team.yaml:2: `route.mode` cannot be "teem"; did you mean "team"?
      help: write one of auto, simple, team
    team.yaml:2: `route.team` must be 0 to 1
    10 errors, 0 warnings
    "#);
}

#[test]
fn the_throttle_may_be_off() {
    let of = |text: &str| of_team(text).throttle;
    assert_eq!((of("throttle: off"), of("throttle: false")), (None, None));
    assert_eq!(
        (of("throttle: on"), of("entry: lead")),
        (Some(Throttle::default()), Some(Throttle::default()))
    );
    let wanted = Throttle { high: 90.0, low: 50.0, window_s: 60 };
    assert_eq!(of("throttle: {high: 90, low: 50, window_s: 1m}"), Some(wanted));
    insta::assert_snapshot!(told_of_team("throttle: {high: 60}"), @r#"
    team.yaml:1: `throttle.low` is 70, not below `throttle.high` 60
      help: write both, such as `{high: 80, low: 70}`
    1 error, 0 warnings
    "#);
    insta::assert_snapshot!(told_of_team("throttle: {high: 120, low: 80, window: 3}"), @r#"
    team.yaml:1: `throttle.high` must be 0 to 100
    team.yaml:1: key `throttle.window` is not known; did you mean "window_s"?
    2 errors, 0 warnings
    "#);
    insta::assert_snapshot!(told_of_team("throttle: sometimes"), @r#"
    team.yaml:1: `throttle` must be `off` or a map
      help: write `throttle: off`, or `{high: 80, low: 70, window_s: 5}`
    1 error, 0 warnings
    "#);
}

#[test]
fn where_each_key_was_written_is_kept() {
    let own = "---\ndescription: d\nauthority: 0.5\n---\nx";
    let text = "team: t\nentry: lead\nlimits:\n  depth: 3\nbudgets:\n  day: {usd: null}\n\
                agents:\n  Lead:\n    class: high\nproviders:\n  r: {kind: rehearsal}\n";
    let prices = "models:\n  a.b: {input: 1, output: 1}\n";
    let team = team(&[("team.yaml", text), ("prices.yaml", prices), ("agents/lead.md", own)]);
    assert_eq!(agent(&team, "lead").authority, 0.5);
    let shown = team
        .origins
        .iter()
        .map(|(key, (path, line))| format!("{key} {}:{line}", path.file_name().unwrap().display()));
    insta::assert_snapshot!(shown.collect::<Vec<_>>().join("\n"), @r#"
    agents.lead.authority lead.md:3
    agents.lead.class team.yaml:9
    agents.lead.description lead.md:2
    budgets.day.usd team.yaml:6
    entry team.yaml:2
    limits.depth team.yaml:4
    prices.models.a.b prices.yaml:2
    providers.r.kind team.yaml:11
    team team.yaml:1
    "#);
}

#[test]
fn what_was_done_is_kept_for_as_long_as_is_written() {
    let of = |text: &str| {
        let Retain { records, bodies } = of_team(text).retain;
        (records, bodies)
    };
    assert_eq!(of("entry: lead"), (Some(365), Some(90)));
    assert_eq!(of("retain: on"), (Some(365), Some(90)));
    assert_eq!(of("retain: off"), (None, None));
    assert_eq!(of("retain: {records_days: 30}"), (Some(30), Some(30)));
    assert_eq!(of("retain: {records_days: 30, bodies_days: 7}"), (Some(30), Some(7)));
    assert_eq!(of("retain: {records_days: off}"), (None, Some(90)));
    assert_eq!(of("retain: {records_days: null, bodies_days: 800}"), (None, Some(800)));
    assert_eq!(of("retain: {bodies_days: off}"), (Some(365), None));
}

#[test]
fn what_cannot_be_kept_so_is_told() {
    insta::assert_snapshot!(told_of_team("retain: {records_days: 0, bodies_days: -1, days: 3}"), @r#"
    team.yaml:1: `retain.bodies_days` must be 1 to 36500
    team.yaml:1: `retain.records_days` must be 1 to 36500
    team.yaml:1: key `retain.days` is not known
    3 errors, 0 warnings
    "#);
    for (text, said) in [
        ("{records_days: 40000}", "`retain.records_days` must be 1 to 36500"),
        (
            "{bodies_days: long}",
            "`retain.bodies_days` must be a whole number such as 20, found text",
        ),
        ("{records_days: 30, bodies_days: 31}", "is 31, above `retain.records_days` 30"),
        ("{bodies_days: 366}", "is 366, above `retain.records_days` 365"),
        ("30", "`retain` must be `off` or a map"),
    ] {
        let told = told_of_team(&format!("retain: {text}"));
        assert!(told.contains(said), "{text}: {told}");
    }
}
