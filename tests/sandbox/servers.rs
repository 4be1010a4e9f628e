//! A tool server in the sandbox: it serves as ever, and reaches no more than its owner wrote.

use std::net::TcpListener;

use callboard_trace::{Event, State};
use serde_json::{Value, json};

use super::left::{mark, until_gone};
use super::stage::{Stage, ask, play, records};

/// A tool server that runs what it is told and answers with what that said.
const SERVER: &str = r#"
while IFS= read -r line; do
    [[ $line =~ \"id\":([0-9]+) ]] || continue
    id=${BASH_REMATCH[1]}
    case $line in
    *'"method":"initialize"'*) result='{"protocolVersion":"2025-11-25","capabilities":{"tools":{}},
        "serverInfo":{"name":"s","version":"1"}}' ;;
    *'"method":"tools/list"'*) result='{"tools":[{"name":"do","inputSchema":{"type":"object"}}]}' ;;
    *'"method":"tools/call"'*)
        [[ $line =~ \"text\":\"([^\"]*)\" ]]
        said=$(eval "${BASH_REMATCH[1]}" 2>&1 | tr -d '"\\' | tr '\n' ' ')
        result='{"content":[{"type":"text","text":"'$said'"}]}' ;;
    *) printf '{"jsonrpc":"2.0","id":%s,"error":{"code":-32601,"message":"no"}}\n' "$id"; continue ;;
    esac
    printf '{"jsonrpc":"2.0","id":%s,"result":%s}\n' "$id" "${result//$'\n'/}"
done
"#;

/// What such a server answers to each command.
async fn told(sandbox: &Value, commands: &[String]) -> Vec<String> {
    let mut rules: Vec<Value> = commands
        .iter()
        .zip(1..)
        .map(|(text, turn)| {
            let call = json!({"tool": "mcp__x__do", "arguments": {"text": text}});
            json!({"when": {"turn": turn}, "calls": [call]})
        })
        .collect();
    rules.push(json!({"answer": {"summary": "done", "confidence": 1}}));
    let stage = Stage::new(&json!(rules).to_string());
    let script = format!("server{}.sh", mark(1));
    let script = script.as_str();
    let server = json!({"command": "bash", "args": [script], "sandbox": sandbox});
    stage.write(script, SERVER);
    stage.write("out/a", "mine");
    stage.write(
        "team.yaml",
        &format!(
            "team: stage\nproviders:\n  rehearsal: {{kind: rehearsal, playbook: playbook.yaml}}\n\
             models:\n  default: rehearsal/rehearsal\nthrottle: off\nmcpServers: {{x: {server}}}\n\
             approvals: {{tainted: allow}}\n"
        ),
    );
    let node = stage.node().await;
    let view = play(&node.desk(), ask("researcher", "go")).await;
    assert_eq!(view.state, State::Completed, "{:?}", view.error);
    let all = records(&node.desk(), &view.run).await;
    node.stop().await;
    until_gone(script).await;
    let told = all.iter().filter_map(|it| match &it.event {
        Event::ToolReturned { result, .. } => Some(result.to_string()),
        _ => None,
    });
    // The first is the list of its tools.
    told.skip(1).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_reaches_what_its_owner_wrote() {
    let port = TcpListener::bind("127.0.0.1:0").expect("a port");
    let through = format!("exec 3<>/dev/tcp/{} && echo done", port.local_addr().expect("one"))
        .replace("127.0.0.1:", "127.0.0.1/");
    let commands = [
        "cat /etc/shadow && echo done".to_owned(),
        "echo a > out/b && echo done".to_owned(),
        "head -c 5 server*.sh; echo a > $TMPDIR/a && cat $HOME/a".to_owned(),
        format!("kill -9 {} && echo done", std::process::id()),
        through,
        format!("(setsid sleep {} >/dev/null 2>&1 &) ; echo left", mark(86_421)),
    ];
    let closed = told(&json!(true), &commands).await;
    for at in [0, 1] {
        assert!(closed[at].contains("Permission denied"), "{closed:?}");
    }
    assert!(closed[2].contains("whila"), "{closed:?}");
    for at in [3, 4] {
        assert!(closed[at].contains("Operation not permitted"), "{closed:?}");
    }
    assert!(!closed.iter().any(|it| it.contains("done")), "{closed:?}");
    until_gone(&mark(86_421)).await;
    let open = told(&json!({"network": true, "write": ["out"]}), &commands).await;
    assert!(open[0].contains("Permission denied"), "{open:?}");
    assert!(open[1].contains("done") && open[4].contains("done"), "{open:?}");
    until_gone(&mark(86_421)).await;
}
