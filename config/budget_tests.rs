//! Budgets and prices: what they set over which defaults, and the exact text of what is wrong.

use crate::budget::{Budgets, Caps, Price};
use crate::load::footprint;
use crate::testing::{PLAIN, agent, folder, team, told, told_of_agent, told_of_team};
use crate::{Team, load};

fn of_team(text: &str) -> Team {
    team(&[("team.yaml", text), ("agents/lead.md", PLAIN)])
}

fn of_prices(text: &str) -> Team {
    team(&[("team.yaml", FAR), ("prices.yaml", text), ("agents/lead.md", PLAIN)])
}

const FAR: &str = "providers: {far: {base_url: \"https://far.example/v1\"}}\n\
                   models: {default: far/big}\n";

#[test]
fn what_is_written_stands_over_the_defaults_and_null_lifts_them() {
    let default = Budgets::default();
    assert_eq!(of_team("budgets:\n").budgets, default);
    let text = "budgets:\n  run: {tokens: 1000, minutes: 5, documents: null}\n  \
                root: {usd: 0.25, seconds: 2h, model_calls: 0}\n  day: {usd: null}\n";
    let Budgets { run, task, day } = of_team(text).budgets;
    let wanted = Caps { tokens: Some(1_000), ms: Some(300_000), documents: None, ..default.run };
    assert_eq!(run, wanted);
    let wanted = Caps {
        micro_usd: Some(250_000),
        usd_is_written: true,
        ms: Some(7_200_000),
        model_calls: Some(0),
        ..default.task
    };
    assert_eq!(task, wanted);
    assert!(day.is_unlimited() && !day.usd_is_written);
    let day = of_team("budgets: {day: {usd: 0.0000015, tokens: 7, tool_calls: null}}").budgets.day;
    assert_eq!((day.micro_usd, day.tokens, day.tool_calls), (Some(2), Some(7), None));
}

#[test]
fn an_agents_budget_is_whole_wherever_it_is_written() {
    let own = "---\ndescription: d\nbudget: {tokens: 200000, usd: 1}\nmax_parallel: 2\n---\nx";
    let text = "entry: lead\nbudgets: {run: {tokens: 9000, tool_calls: 3}}\nagents:\n  \
                other: {budget: {minutes: null}, max_parallel: 1}\n";
    let files = [
        ("team.yaml", text),
        ("agents/lead.md", PLAIN),
        ("agents/odd.md", own),
        ("agents/other.md", own),
    ];
    let team = team(&files);
    assert_eq!((agent(&team, "lead").budget, agent(&team, "lead").max_parallel), (None, None));
    let odd = agent(&team, "odd");
    let wanted = Caps {
        tokens: Some(200_000),
        micro_usd: Some(1_000_000),
        usd_is_written: true,
        ..team.budgets.run
    };
    assert_eq!((odd.budget, odd.max_parallel), (Some(wanted), Some(2)));
    let other = agent(&team, "other");
    assert_eq!(
        (other.budget, other.max_parallel),
        (Some(Caps { ms: None, ..team.budgets.run }), Some(1))
    );
    assert_eq!(wanted.tool_calls, Some(3));
    let spoken = team.problems.iter().map(|it| it.message.as_str()).collect::<Vec<_>>();
    assert_eq!(spoken.len(), 1, "only what the price is missing for: {spoken:?}");
}

#[test]
fn wrong_budgets_are_told_together() {
    let text = "budgets:\n  run: {tokens: -1, usd: cheap, minutes: 1.5, tool_cals: 3}\n  \
                task: {usd: -0.1, seconds: 5 weeks}\n  root: {minutes: 1, seconds: 60}\n  \
                day: {usd: .inf, documents: 9999999999999999}\n  agents: {lead: {tokens: 1}}\n  \
                week: {usd: 1}\n";
    insta::assert_snapshot!(told_of_team(text), @r#"
    team.yaml:2: `budgets.run.usd` must be a number, found text
    team.yaml:2: `budgets.run.tokens` must be 0 to 1000000000000
    team.yaml:2: `budgets.run.minutes` must be a whole number such as 20, found a number
    team.yaml:2: key `budgets.run.tool_cals` is not known; did you mean "tool_calls"?
    team.yaml:3: `budgets.task.usd` must be 0 to 1000000000
    team.yaml:3: `budgets.task.seconds` must be seconds, or a duration such as "30s", "5m" or "1h", found text
    team.yaml:4: `budgets.root` means the same as `budgets.task`
      help: write one of them
    team.yaml:4: `budgets.root.minutes` stands beside `seconds`
      help: write one of them
    team.yaml:5: `budgets.day.usd` must be 0 to 1000000000
    team.yaml:5: `budgets.day.documents` must be 0 to 1000000000000
    team.yaml:6: `budgets.agents` is no place for the budgets of agents
      help: write `agents: {NAME: {budget: ...}}`, or `budget:` in the agent's own file
    team.yaml:7: key `budgets.week` is not known
    12 errors, 0 warnings
    "#);
    insta::assert_snapshot!(
        told_of_agent("---\ndescription: d\nbudget: {tokens: few, tokns: 3}\nmax_parallel: 0\n---\nx"),
        @r#"
    starts
    agents/odd.md:3: `budget.tokens` must be a whole number such as 20, found text
    warning: agents/odd.md:3: key `budget.tokns` is not known; did you mean "tokens"?
    agents/odd.md:4: `max_parallel` must be 1 to 10000
    2 errors, 1 warning
    "#
    );
}

#[test]
fn the_most_specific_price_counts_and_this_machine_is_free() {
    let text = "as_of: 2026-01-31\nmodels:\n  \"*\": {input: 9, output: 9}\n  \
                \"far/*\": {input: 2, cached_input: 0.5, output: 8}\n  \
                \"far/big-*\": {input: 3, output: 12}\n  big: {input: 4.5, output: 20}\n";
    let team = of_prices(text);
    assert_eq!(team.prices.as_of.as_deref(), Some("2026-01-31"));
    let of = |provider: &str, model: &str| team.prices.of(provider, model).unwrap();
    assert_eq!(of("far", "big"), Price { input: 4.5, cached_input: 4.5, output: 20.0 });
    assert_eq!(of("far", "big-2"), Price { input: 3.0, cached_input: 3.0, output: 12.0 });
    assert_eq!(of("far", "small"), Price { input: 2.0, cached_input: 0.5, output: 8.0 });
    assert_eq!(of("near", "small").input, 9.0);

    let text = "providers:\n  a: {base_url: \"http://localhost:11434/v1\"}\n  \
                b: {base_url: \"http://127.0.0.9/v1\"}\n  c: {base_url: \"http://[::1]:8080/v1\"}\n  \
                d: {base_url: \"http://localhost.example/v1\"}\n  \
                e: {base_url: \"https://127.0.0.1.example:80\"}\n  f: {kind: rehearsal}\n\
                models: {default: a/m}\n";
    let prices = of_team(text).prices;
    assert_eq!(prices.free, ["a", "b", "c", "f"]);
    assert_eq!((prices.of("a", "m"), prices.of("d", "m")), (Some(Price::default()), None));
}

#[test]
fn a_wrong_price_file_stops_the_start() {
    let files = |text| [("team.yaml", FAR), ("prices.yaml", text), ("agents/lead.md", PLAIN)];
    let text = "as_of: January\nmodles: {}\nmodels:\n  a: {input: -1, output: x}\n  b: {input: 1}\n  \
                c: {inputs: 1, output: 2}\n  d: 3\n  a: {input: 1, output: 1}\n";
    insta::assert_snapshot!(told(&files(text)), @r#"
    prices.yaml:1: `as_of` cannot be "January"
      help: write the day, such as 2026-01-31
    prices.yaml:2: key `modles` is not known; did you mean "models"?
    prices.yaml:4: `models.a.input` must be 0 to 1000000
    prices.yaml:4: `models.a.output` must be a number, found text
    prices.yaml:5: `models.b` has no `output`
      help: write `{input: 2.00, output: 8.00}`, in usd per million tokens
    prices.yaml:6: `models.c` has no `input`
      help: write `{input: 2.00, output: 8.00}`, in usd per million tokens
    prices.yaml:6: key `models.c.inputs` is not known; did you mean "input"?
    prices.yaml:7: `models.d` must be a map, found a number
      help: write `key: value` lines
    prices.yaml:8: key `a` stands twice
      help: it stands in line 4 already
    9 errors, 0 warnings
    "#);
    insta::assert_snapshot!(told(&files("models: [")), @r#"
    prices.yaml:2: is no YAML here: while parsing a node, did not find expected node content
    1 error, 0 warnings
    "#);
}

#[test]
fn a_limit_in_money_names_the_models_nobody_priced() {
    let limit = format!("{FAR}budgets: {{task: {{usd: 2}}}}\n");
    let files = [("team.yaml", limit.as_str()), ("agents/lead.md", PLAIN)];
    insta::assert_snapshot!(told(&files), @r#"
    starts
    warning: team.yaml: a limit in usd is written, and nobody said what far/big costs
      help: write its price into `prices.yaml`: until then its runs are refused
    0 errors, 1 warning
    "#);
    let priced = "models: {\"far/*\": {input: 1, output: 2}}";
    let files = [files[0], files[1], ("prices.yaml", priced)];
    assert_eq!(team(&files).problems, []);
    assert_eq!(of_team(FAR).problems, [], "under the default limit it is counted in tokens");
}

#[test]
fn prices_are_part_of_what_the_team_was_loaded_from() {
    let files = folder(&[
        ("team.yaml", FAR),
        ("agents/lead.md", PLAIN),
        ("prices.yaml", "models: {big: {input: 1, output: 2}}"),
    ]);
    let load = || load(files.path(), &|_| None).unwrap();
    let (team, before) = (load(), footprint(files.path(), &load()));
    assert!(team.files.iter().any(|it| it.path.ends_with("prices.yaml")));
    std::fs::write(files.path().join("prices.yaml"), "models: {big: {input: 10, output: 2}}")
        .unwrap();
    assert_ne!(footprint(files.path(), &team), before);
    assert_eq!(load().prices.of("far", "big").unwrap().input, 10.0);
    std::fs::remove_file(files.path().join("prices.yaml")).unwrap();
    assert_eq!(load().prices.of("far", "big"), None);
}
