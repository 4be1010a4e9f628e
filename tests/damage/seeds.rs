//! Good messages, of which the damaged ones are made.

use serde_json::{Value, json};

/// Good messages of both eras; `id` is their own, and none of them waits long.
pub(crate) fn seeds(id: &Value, modern: bool) -> Vec<Value> {
    let meta = if modern {
        json!({"io.modelcontextprotocol/protocolVersion": "2026-07-28",
            "io.modelcontextprotocol/clientCapabilities": {},
            "io.modelcontextprotocol/clientInfo": {"name": "damage", "version": "1"}})
    } else {
        json!({"progressToken": "p"})
    };
    let request = |method: &str, mut params: Value| {
        params["_meta"] = meta.clone();
        json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params})
    };
    let call = |tool: &str, arguments: Value| {
        request("tools/call", json!({"name": tool, "arguments": arguments}))
    };
    let told =
        |method: &str, params: Value| json!({"jsonrpc": "2.0", "method": method, "params": params});
    let hello = json!({"protocolVersion": "2025-06-18", "capabilities": {},
        "clientInfo": {"name": "damage", "version": "1"}});
    let task = json!({"task": "a task", "context": "some context", "wait_s": 0});
    vec![
        request("ping", json!({})),
        request("tools/list", json!({})),
        request("tools/list", json!({"cursor": "abc"})),
        request("server/discover", json!({})),
        request("initialize", hello),
        request("resources/list", json!({})),
        request("resources/read", json!({"uri": "team://runs"})),
        request("prompts/list", json!({})),
        request("prompts/get", json!({"name": "x", "arguments": {"a": "b"}})),
        request(
            "completion/complete",
            json!({"ref": {"type": "ref/prompt", "name": "x"},
            "argument": {"name": "a", "value": "b"}}),
        ),
        request("tasks/get", json!({"taskId": "r_unknown"})),
        request("logging/setLevel", json!({"level": "info"})),
        request("who/knows", json!({"a": [1, 2.5, null, "b"]})),
        call("coder", task),
        call("team_status", json!({})),
        call("team_status", json!({"run": "r_unknown", "wait_s": 0})),
        call("team_read", json!({"uri": "team://runs", "offset": 0, "max_tokens": 100})),
        call("team_control", json!({"run": "r_unknown", "action": "cancel"})),
        call("team_answer", json!({"run": "r_unknown", "answers": {"q_1": "yes"}})),
        call("team_handoff", json!({"to": "nobody", "task": "t", "summary": "s"})),
        told("notifications/initialized", json!({})),
        told("notifications/cancelled", json!({"requestId": "nobody's", "reason": "no"})),
        told("notifications/progress", json!({"progressToken": "x", "progress": 1})),
        json!({"jsonrpc": "2.0", "id": "nobody's", "result": {"a": 1}}),
        json!({"jsonrpc": "2.0", "id": "nobody's", "error": {"code": 1, "message": "no"}}),
    ]
}
