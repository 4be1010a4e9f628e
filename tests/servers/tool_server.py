"""A tool server that does as it is told, well or badly: MCP over stdin and stdout, stdlib only.

usage: tool_server.py FOLDER [WORD ...]

FOLDER takes `pids` (one line a process), `seen.jsonl` (one line a call begun) and `done.jsonl`
(one line a call answered). A call of `wait` is answered when FOLDER/gate is there. Words:
modern, strict (the eras), dead, mute, many, deep, odd (what it lists), stubborn, escape (its end).
"""

import json
import os
import signal
import subprocess
import sys
import time

FOLDER, WORDS = sys.argv[1], sys.argv[2:]
TEXT = {"type": "object", "properties": {"text": {"type": "string"}}, "required": ["text"]}
SIZE = {"type": "object", "properties": {"bytes": {"type": "integer"}}}
NONE = {"type": "object", "properties": {}}


def tool(name, schema=NONE, **hints):
    told = {"name": name, "description": "Does " + name + ".", "inputSchema": schema}
    if hints:
        told["annotations"] = hints
    return told


TOOLS = [
    tool("echo", TEXT, readOnlyHint=True),
    tool("wait", TEXT),
    tool("wait_again", TEXT, idempotentHint=True),
    tool("env"),
    tool("big", SIZE),
    tool("huge"),
    tool("hang"),
    tool("crash"),
    tool("noise"),
    tool("fail"),
    tool("ask"),
    tool("structured"),
    tool("input"),
]


def note(name, line):
    with open(os.path.join(FOLDER, name), "a") as out:
        out.write(line + "\n")


def say(message):
    sys.stdout.write(json.dumps(message) + "\n")
    sys.stdout.flush()


def nested(levels):
    schema = {"type": "string"}
    for _ in range(levels):
        schema = {"type": "object", "properties": {"a": schema}}
    return schema


def listed():
    if "many" in WORDS:
        return [tool("t%d" % it, TEXT) for it in range(10_000)]
    if "deep" in WORDS:
        return [tool("deep", nested(40)), tool("echo", TEXT)]
    if "odd" in WORDS:
        fetched = {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/x.json"}}}
        return [tool("fetched", fetched), tool("echo", TEXT), tool("echo", TEXT),
                {"name": "hidden\u202e", "description": "a\u200bb\x1b[31m", "inputSchema": NONE}]
    return TOOLS


def text(said, **more):
    return dict({"content": [{"type": "text", "text": said}]}, **more)


def call(name, arguments):
    if name == "echo":
        return text(arguments["text"])
    if name in ("wait", "wait_again"):
        while not os.path.exists(os.path.join(FOLDER, "gate")):
            time.sleep(0.02)
        return text("waited for " + arguments["text"])
    if name == "env":
        return text(json.dumps(dict(os.environ), sort_keys=True))
    if name == "big":
        return text("0123456789abcdef" * (arguments.get("bytes", 200_000) // 16))
    if name == "huge":
        sys.stdout.write('{"jsonrpc":"2.0","id":0,"result":{"content":[{"type":"text","text":"')
        for _ in range(200):
            sys.stdout.write("x" * (1 << 20))
        return text("too late")
    if name == "hang":
        time.sleep(3600)
    if name == "crash":
        sys.stderr.write("out of paper\n")
        sys.stderr.flush()
        os._exit(3)
    if name == "noise":
        print("a log line on stdout")
        print("{not json")
        print('{"jsonrpc":"2.0","method":"notifications/odd"}')
        sys.stderr.write("and one on stderr\n" * 10_000)
        return text("in spite of the noise")
    if name == "fail":
        return text("it does not work", isError=True)
    if name == "ask":
        say({"jsonrpc": "2.0", "id": "q1", "method": "elicitation/create",
             "params": {"message": "your name?", "requestedSchema": NONE}})
        return text("answered: " + json.loads(sys.stdin.readline()).get("result", {}).get("action", "no"))
    if name == "structured":
        return {"content": [], "structuredContent": {"a": [1, 2]}}
    if name == "input":
        return {"resultType": "input_required", "requestState": "s"}
    return text("no such tool", isError=True)


def answer(request):
    method, params = request["method"], request.get("params") or {}
    if method == "server/discover" and "modern" in WORDS:
        return {"resultType": "complete", "supportedVersions": ["2026-07-28"], "ttlMs": 0,
                "cacheScope": "private", "capabilities": {"tools": {}}}
    if method == "initialize" and "modern" not in WORDS:
        return {"protocolVersion": params["protocolVersion"], "capabilities": {"tools": {}},
                "serverInfo": {"name": "fixture", "version": "1"}}
    if method == "tools/list":
        if "mute" in WORDS:
            time.sleep(3600)
        return {"tools": listed(), "ttlMs": 0, "cacheScope": "private"}
    if method == "tools/call":
        name, arguments = params["name"], params.get("arguments") or {}
        line = {"name": name, "arguments": arguments, "meta": params.get("_meta", {})}
        note("seen.jsonl", json.dumps(line))
        result = call(name, arguments)
        note("done.jsonl", json.dumps({"name": name, "arguments": arguments, "result": result}))
        return result
    return None


def main():
    os.makedirs(FOLDER, exist_ok=True)
    note("pids", str(os.getpid()))
    if "dead" in WORDS:
        sys.stderr.write("cannot find its own feet\n")
        sys.exit(1)
    if "stubborn" in WORDS:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    if "escape" in WORDS:
        hidden = "import os,time; os.fork() and os._exit(0); os.setsid(); print(os.getpid(), flush=True); time.sleep(3600)"
        started = subprocess.Popen([sys.executable, "-c", hidden], stdout=subprocess.PIPE, text=True)
        note("pids", started.stdout.readline().strip())
    first = True
    for line in iter(sys.stdin.readline, ""):
        request = json.loads(line)
        if first and "strict" in WORDS and request.get("method") != "initialize":
            sys.exit("expected initialize")
        first = False
        if "id" not in request or "method" not in request:
            continue
        result = answer(request)
        reply = {"jsonrpc": "2.0", "id": request["id"]}
        if result is None:
            reply["error"] = {"code": -32601, "message": "no such method"}
        else:
            reply["result"] = result
        say(reply)
    while "stubborn" in WORDS:
        time.sleep(1)


main()
