//! `doctor --probe`: endpoints that can everything, some, or nothing, and what is said of each.

use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::endpoint::{Act, Ask, Endpoint};
use crate::shell::{House, Said};

/// A key that every endpoint here says back wherever it can.
const KEY: &str = "sk-planted-0123456789abcdef";

fn house(base_url: &str, more: &str) -> House {
    let house = House::empty();
    house.write(
        "team/team.yaml",
        &format!(
            "entry: lead\nproviders:\n  local: {{base_url: \"{base_url}\", api_key: env:PROBE_KEY}}\n  \
             rehearsal: {{kind: rehearsal}}\n\
             models:\n  default: local/usual\n{more}"
        ),
    );
    house.write("team/agents/lead.md", "---\ndescription: Leads.\ncolor: red\n---\nLead.\n");
    house
}

fn does(house: &House, arguments: &[&str]) -> Said {
    let mut command = house.command(arguments);
    let said = Said::of(command.env("PROBE_KEY", KEY).output().expect("it runs"));
    for (name, text) in [("stdout", &said.out), ("stderr", &said.err)] {
        assert!(!text.contains(&KEY[3..]), "{name}: {text}");
    }
    said
}

/// Names of things, whether they work, and how.
type Found = Vec<(String, Option<bool>, String)>;

/// What was found at an endpoint, by its name: whether it works, and how.
fn probed(house: &House) -> (i32, Value, Found) {
    let said = does(house, &["doctor", "--probe", "local", "--json"]);
    let all: Value = serde_json::from_str(&said.out).unwrap_or_else(|it| {
        panic!("{it}: {}\n{}", said.out, said.err);
    });
    let survey = all["endpoints"][0].clone();
    let text = |it: &Value| it.as_str().expect("text").to_owned();
    let found = survey["found"].as_array().expect("findings").iter();
    let found =
        found.map(|it| (text(&it["what"]), it["works"].as_bool(), text(&it["said"]))).collect();
    (said.code, survey, found)
}

fn of<'a>(found: &'a Found, what: &str) -> (Option<bool>, &'a str) {
    let line = found.iter().find(|it| it.0 == what);
    let (_, works, said) = line.unwrap_or_else(|| panic!("no {what} in {found:?}"));
    (*works, said)
}

fn list(names: &[&str]) -> Act {
    let data: Vec<Value> = names.iter().map(|it| json!({"id": it, "object": "model"})).collect();
    plain(&json!({"object": "list", "data": data}))
}

fn plain(body: &Value) -> Act {
    Act::bytes("application/json", vec![body.to_string().into_bytes()])
}

fn is_about(ask: &Ask, words: &str) -> bool {
    ask.user().contains(words)
}

/// Can everything.
fn able(ask: &Ask) -> Act {
    let call = |key: &str| ("look_up", json!({"key": key}));
    let act = match ask.path.as_str() {
        "/models" => list(&["other", "usual"]),
        "/embeddings" => plain(&json!({"data": [{"index": 0, "embedding": [0.5, 0.25, 1.0]}]})),
        _ if is_about(ask, "twice") => Act::calls(&[call("one"), call("two")]),
        _ if !ask.tools().is_empty() => Act::calls(&[call("one")]),
        _ if ask.body["response_format"].is_object() => {
            Act::say("{\"city\": \"Lagos\", \"people\": 16000000}")
        }
        _ => Act::say("ready"),
    };
    act.header("x-ratelimit-limit-requests", "500").header("x-ratelimit-remaining-requests", "499")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_that_can_everything_is_said_to() {
    let endpoint = Endpoint::start(able).await;
    let house = house(&endpoint.base_url(), "  embed: local/vectors\n");
    let (code, survey, found) = probed(&house);
    assert_eq!(code, 0, "{found:?}");
    let wrong: Vec<_> = found.iter().filter(|it| it.1 != Some(true)).collect();
    assert!(wrong.is_empty(), "{wrong:?}");
    let names: Vec<&str> = found.iter().map(|it| it.0.as_str()).collect();
    assert_eq!(
        names,
        [
            "address",
            "models",
            "answer",
            "key",
            "usage",
            "streaming",
            "tools",
            "parallel tools",
            "JSON schema",
            "temperature",
            "seed",
            "max_tokens",
            "max_completion_tokens",
            "rate limits",
            "embeddings"
        ]
    );
    assert_eq!(of(&found, "models").1, "2 listed");
    assert_eq!(of(&found, "tools").1, "native");
    assert_eq!(of(&found, "rate limits").1, "x-ratelimit-limit-requests 500");
    assert_eq!(of(&found, "embeddings").1, "\"vectors\" gives 3 numbers");
    let requests = endpoint.requests();
    assert_eq!(json!(requests.len()), survey["requests"]);
    assert_eq!((&survey["model"], &survey["answers"]), (&json!("usual"), &json!(true)));
    // Every answer of the model tells of 15 tokens.
    let chats = requests.iter().filter(|it| it.path == "/chat/completions").count();
    assert_eq!(survey["tokens"], json!(15 * chats));
    let most = requests
        .iter()
        .filter_map(|it| it.body.get("max_tokens").or(it.body.get("max_completion_tokens")));
    assert!(most.clone().count() == chats && most.clone().all(|it| *it == 512), "a bound each");
    let bearer = format!("Bearer {KEY}");
    assert!(requests.iter().all(|it| it.headers["authorization"] == bearer.as_str()));

    let said = does(&house, &["doctor", "--probe"]);
    assert_eq!(said.code, 0);
    for line in [
        "endpoint local, model usual: 11 requests, ",
        "  streaming             yes  with usage",
        "  JSON schema           yes  kept to",
        "not acted on by this version: `color`",
        "files: team team, agents: 1",
        "sandbox: ",
    ] {
        assert!(said.out.contains(line), "{line}: {}", said.out);
    }
}

/// Streams nothing, counts nothing, writes its calls as text, and refuses fields with the key in its
/// words.
fn odd(ask: &Ask) -> Act {
    let refused = |field: &str| {
        let message = format!("Unsupported parameter: '{field}' is not supported for {KEY}.");
        Act::error(400, &json!({"error": {"message": message, "param": field}}))
    };
    let field =
        ["temperature", "seed", "max_tokens"].into_iter().find(|it| ask.body.get(*it).is_some());
    let call = "<tool_call>{\"name\": \"look_up\", \"arguments\": {\"key\": \"one\"}}</tool_call>";
    let said = |text: &str| {
        plain(&json!({"choices": [{"message": {"role": "assistant", "content": text},
            "finish_reason": "stop"}]}))
    };
    match (ask.path.as_str(), field) {
        ("/models", _) => Act::error(404, &json!({"error": {"message": "no such page"}})),
        (_, Some(field)) => refused(field),
        _ if !ask.tools().is_empty() => said(call),
        _ => said("ready"),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_odd_endpoint_is_told_apart_and_never_says_the_key() {
    let endpoint = Endpoint::start(odd).await;
    let (code, survey, found) = probed(&house(&endpoint.base_url(), ""));
    assert_eq!((code, &survey["answers"]), (0, &json!(true)), "{found:?}");
    assert_eq!(of(&found, "models").0, Some(false));
    let (works, said) = of(&found, "answer");
    assert!(
        works == Some(true) && said.contains("the output limit goes by its other name"),
        "{said}"
    );
    assert_eq!(of(&found, "usage"), (Some(false), "not told; tokens are estimated"));
    assert_eq!(of(&found, "streaming"), (Some(false), "taken, and answered as a whole"));
    assert_eq!(of(&found, "tools"), (Some(true), "written as text, which is read as calls"));
    assert_eq!(of(&found, "parallel tools"), (Some(false), "1 of 2 calls in one reply"));
    assert_eq!(of(&found, "JSON schema"), (Some(false), "taken, and not kept to"));
    for field in ["temperature", "seed", "max_tokens"] {
        let (works, said) = of(&found, field);
        assert!(
            works == Some(false) && said.contains(field) && said.contains("[redacted]"),
            "{said}"
        );
    }
    assert_eq!(of(&found, "max_completion_tokens").0, Some(true));
    assert_eq!(of(&found, "rate limits").0, None);
    assert_eq!(json!(endpoint.requests().len()), survey["requests"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_with_broken_arguments_and_in_words_are_no_tools() {
    for (message, said) in [
        (
            json!({"role": "assistant", "content": null, "tool_calls": [{"type": "function",
                "function": {"name": "look_up", "arguments": "key is one"}}]}),
            "its arguments are no JSON object",
        ),
        (json!({"role": "assistant", "content": "I would look it up."}), "it answered in words"),
    ] {
        let act = message.clone();
        let endpoint = Endpoint::start(move |ask| match ask.path.as_str() {
            "/models" => list(&["usual"]),
            _ if ask.tools().is_empty() => Act::say("ready"),
            _ => Act::message(act.clone()),
        })
        .await;
        let (_, _, found) = probed(&house(&endpoint.base_url(), ""));
        assert_eq!(of(&found, "tools"), (Some(false), said));
        assert!(found.iter().all(|it| it.0 != "parallel tools"), "{found:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_a_cut_reply_would_have_been_is_not_guessed() {
    let endpoint = Endpoint::start(|ask| match ask.path.as_str() {
        "/models" => list(&["usual"]),
        _ if is_about(ask, "ready") => Act::say("ready"),
        _ => Act::say("Let me think about").finish("length"),
    })
    .await;
    let (code, _, found) = probed(&house(&endpoint.base_url(), "limits: {probe_tokens: 64}\n"));
    assert_eq!(code, 0, "{found:?}");
    for what in ["tools", "JSON schema"] {
        let (works, said) = of(&found, what);
        assert!(works.is_none() && said.ends_with("raise limits.probe_tokens"), "{what}: {said}");
    }
    let bounds =
        endpoint.requests().into_iter().filter_map(|it| it.body.get("max_tokens").cloned());
    assert!(bounds.into_iter().all(|it| it == 64));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_endpoint_of_responses_alone_is_asked_there() {
    let endpoint = Endpoint::start(|ask| match ask.path.as_str() {
        "/models" => list(&["usual"]),
        "/chat/completions" => Act::error(404, &json!({"detail": "Not Found"})),
        _ => Act::say("ready"),
    })
    .await;
    let (code, survey, found) = probed(&house(&endpoint.base_url(), ""));
    assert_eq!((code, &survey["answers"]), (0, &json!(true)), "{found:?}");
    assert!(of(&found, "answer").1.contains("over the Responses API"), "{found:?}");
    assert!(found.iter().all(|it| it.0 != "seed" && it.0 != "max_tokens"), "{found:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn endpoints_that_give_no_answer_are_told_by_why() {
    // Nobody listens any more.
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let dead = format!("http://{}/v1", listener.local_addr().expect("its address"));
    drop(listener);
    let (code, survey, found) = probed(&house(&dead, ""));
    assert_eq!((code, &survey["answers"], &survey["requests"]), (1, &json!(false), &json!(1)));
    let (works, said) = of(&found, "address");
    assert!(works == Some(false) && said.contains("cannot be reached"), "{said}");
    assert_eq!(found.len(), 1, "{found:?}");

    // It takes the request and never says a word.
    let endpoint = Endpoint::start(|_| Act::silence()).await;
    let (code, _, found) = probed(&house(&endpoint.base_url(), "limits: {probe_s: 1}\n"));
    let (works, said) = of(&found, "address");
    assert!(
        code == 1 && works == Some(false) && said.contains(" 1 s; raise limits.probe_s"),
        "{said}"
    );
    assert_eq!((found.len(), endpoint.requests().len()), (1, 1), "{found:?}");

    // It listed its models, and then never says a word.
    let endpoint = Endpoint::start(|ask| match ask.path.as_str() {
        "/models" => list(&["usual"]),
        _ => Act::silence(),
    })
    .await;
    let (code, _, found) = probed(&house(&endpoint.base_url(), "limits: {probe_s: 1}\n"));
    let (works, said) = of(&found, "answer");
    assert!(
        code == 1 && works == Some(false) && said.contains(" 1 s; raise limits.probe_s"),
        "{said}"
    );
    assert_eq!(found.len(), 3, "{found:?}");

    // The key is wrong, and said back.
    let endpoint = Endpoint::start(|_| {
        let message = format!("Incorrect API key provided: {KEY}");
        Act::error(401, &json!({"error": {"message": message}}))
    })
    .await;
    let (code, _, found) = probed(&house(&endpoint.base_url(), ""));
    assert_eq!((code, of(&found, "address").0, of(&found, "key").0), (1, Some(true), Some(false)));
    assert!(of(&found, "answer").1.contains("env:PROBE_KEY"), "{found:?}");

    // It is a web page.
    let endpoint = Endpoint::start(|_| Act::page()).await;
    let (code, _, found) = probed(&house(&endpoint.base_url(), ""));
    let (works, said) = of(&found, "answer");
    assert!(code == 1 && works == Some(false) && said.contains("web page"), "{said}");
    assert_eq!(of(&found, "models").0, Some(false));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_is_asked_unless_it_is_wanted() {
    let endpoint = Endpoint::start(able).await;
    let house = house(&endpoint.base_url(), "");
    let said = does(&house, &["doctor"]);
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(said.out.contains("endpoints: local; `--probe` asks them"), "{}", said.out);
    let said = does(&house, &["doctor", "--probe", "lokal"]);
    assert_eq!(said.code, 2);
    assert!(said.err.contains("provider \"lokal\" is not in this team"), "{}", said.err);
    let said = does(&house, &["doctor", "--probe", "rehearsal"]);
    assert!(said.out.contains("there is no endpoint"), "{}", said.out);
    assert_eq!((said.code, endpoint.requests().len()), (0, 0));

    house.write("team/agents/broken.md", "---\ndescription: [a\n---\nx\n");
    let said = does(&house, &["doctor", "--json"]);
    let told: Value = serde_json::from_str(&said.out).expect("JSON");
    assert_eq!((said.code, &told["files"]["ok"]), (2, &json!(false)), "{told}");
    assert_eq!(told["endpoints"], json!([]));
}
