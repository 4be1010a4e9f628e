"""What a client expects of Callboard, one scenario a function; each returns what it saw."""

import json
import os
import re
import signal
import time
from typing import Any

import anyio

# The tasks that the playbook beside this file knows.
CHAIN = "Research async patterns, implement an example, test it"
SHORT = "Answer briefly: what is a callboard"
SLOW = "Take your time over this one"
ENDLESS = "Work on this until somebody stops you"

TEAM_TOOLS = {"team_status", "team_handoff", "team_answer", "team_control"}
AGENTS = 15
SURFACE_TOKENS_MAX = 2000
BYTES_PER_TOKEN = 4
OVER = {"completed", "partial", "failed", "cancelled"}
OPEN = {"queued", "working"}

CANCEL_S_MAX = 1.0
# A dead process is known by its file lock: the next one need not wait for the lease of 30 s.
RESUME_S_MAX = 20


class Deviation(Exception):
    """The server did something else than its papers say."""


def expect(holds: Any, otherwise: str) -> None:
    if not holds:
        raise Deviation(otherwise)


async def call(client, tool: str, **arguments) -> dict:
    """Calls a tool that must succeed; returns the one object that both halves of the result carry."""
    result = await client.call_tool(tool, arguments)
    facts = both_halves(tool, result)
    expect(not result.is_error, f"{tool} refused: {facts}")
    return facts


async def refused(client, tool: str, **arguments) -> dict:
    """Calls a tool that must refuse; returns the reason."""
    result = await client.call_tool(tool, arguments)
    facts = both_halves(tool, result)
    expect(result.is_error, f"{tool} took a wrong call: {arguments} gave {facts}")
    return facts.get("error", facts)


def both_halves(tool: str, result) -> dict:
    facts = result.structured_content
    expect(isinstance(facts, dict), f"{tool}: structuredContent is {facts!r}, not an object")
    texts = [one.text for one in result.content if one.type == "text"]
    expect(texts, f"{tool}: no text in the content")
    try:
        told = json.loads(texts[0])
    except ValueError:
        raise Deviation(f"{tool}: the text is not the JSON of the result: {texts[0][:200]!r}") from None
    expect(told == facts, f"{tool}: text and structuredContent differ: {told} and {facts}")
    return facts


def view(facts: dict) -> dict:
    """Checks that the object is a RunView."""
    for name, kind in [("run", str), ("state", str), ("agent", str), ("cost", dict), ("notices", list)]:
        expect(isinstance(facts.get(name), kind), f"a RunView has {name}: {facts}")
    expect(re.fullmatch(r"r_[a-z0-9]{26}", facts["run"]), f"{facts['run']!r} is no run id")
    expect(isinstance(facts.get("handoffs"), int), f"a RunView counts handoffs: {facts}")
    if facts["state"] in OVER:
        expect(facts.get("stop"), f"a run that is over says what stopped it: {facts}")
    elif facts["state"] in OPEN:
        expect("team_status" in facts.get("next", ""), f"an open run names the call to make: {facts}")
    return facts


async def until_over(client, run: str, within_s: float) -> dict:
    deadline = time.monotonic() + within_s
    while True:
        facts = view(await call(client, "team_status", run=run, wait_s=5))
        expect(facts["run"] == run, f"asked about {run}, told about {facts['run']}")
        if facts["state"] in OVER:
            return facts
        expect(time.monotonic() < deadline, f"not over after {within_s} s: {facts}")


async def at_work(client, run: str) -> dict:
    """Waits until a node has the run in its hands."""
    for _ in range(200):
        facts = view(await call(client, "team_status", run=run, wait_s=0))
        expect(facts["state"] in OPEN, f"it should still be open: {facts}")
        if facts["state"] == "working":
            return facts
        await anyio.sleep(0.05)
    raise Deviation(f"nobody took up the run within 10 s: {facts}")


def completed(facts: dict) -> dict:
    expect(facts["state"] == "completed" and facts["stop"] == "done", f"it should be completed: {facts}")
    expect(facts.get("result"), f"a completed run has a result: {facts}")
    return facts


async def list_tools(server) -> dict:
    async with server.client() as client:
        tools = (await client.list_tools(cache_mode="bypass")).tools
        again = (await client.list_tools(cache_mode="bypass")).tools
        expect([one.name for one in tools] == [one.name for one in again], "the order of tools changed")
        names = {one.name for one in tools}
        expect(TEAM_TOOLS <= names, f"missing: {sorted(TEAM_TOOLS - names)}")
        agents = [one for one in tools if not one.name.startswith("team_")]
        expect(len(agents) == AGENTS, f"{len(agents)} agents are published, not {AGENTS}")
        for one in tools:
            expect(re.fullmatch(r"[a-z][a-z0-9_]{1,31}", one.name), f"{one.name!r} is no name for a tool")
            expect(one.description, f"{one.name} has no description")
            expect(one.input_schema.get("type") == "object", f"{one.name}: its schema is no object")
        for one in agents:
            arguments = list(one.input_schema["properties"])
            expect(arguments == ["task", "context", "wait_s"], f"{one.name} takes {arguments}")
            expect(one.input_schema["required"] == ["task"], f"{one.name} needs more than a task")
        status = next(one for one in tools if one.name == "team_status")
        expect(status.annotations and status.annotations.read_only_hint, "team_status only reads")
        instructions = client.instructions or ""
        expect("team_status" in instructions, f"the instructions do not say how to go on: {instructions!r}")
        listed = [one.model_dump(mode="json", by_alias=True, exclude_none=True) for one in tools]
        surface = len(json.dumps(listed, separators=(",", ":"), ensure_ascii=False).encode())
        tokens = (surface + len(instructions.encode())) / BYTES_PER_TOKEN
        expect(tokens < SURFACE_TOKENS_MAX, f"tools and instructions take {tokens:.0f} tokens")
        return {"version": client.protocol_version, "tools": len(tools), "tokens": round(tokens)}


async def handoff(server) -> dict:
    async with server.client() as client:
        facts = completed(view(await call(client, "researcher", task=CHAIN, wait_s=60)))
        expect(facts["handoffs"] == 2, f"the work goes to coder and to tester: {facts}")
        expect(facts["agent"] == "tester", f"the last one in the chain finishes: {facts}")
        passed = {"summary": "The pattern is chosen: a bounded channel.", "task": SHORT}
        given = await call(client, "team_handoff", to="coder", wait_s=60, **passed)
        taken = given.get("handoff", {})
        told = taken.get("accepted") and taken.get("to") == "coder"
        expect(told, f"the reply tells who took over: {given}")
        completed(view(given))
        why = await refused(client, "team_handoff", to="codr", **passed)
        expect(why.get("code") == "unknown_agent", f"a wrong name is `unknown_agent`: {why}")
        expect("coder" in json.dumps(why), f"a wrong name is answered with the nearest one: {why}")
        return {"run": facts["run"], "handoffs": facts["handoffs"], "taken_over": given["run"]}


async def status(server) -> dict:
    async with server.client() as client:
        start = time.monotonic()
        handle = view(await call(client, "researcher", task=SLOW, wait_s=0))
        answered_s = time.monotonic() - start
        expect(handle["state"] in OPEN, f"with wait_s 0 the answer is a handle: {handle}")
        expect(answered_s < 2, f"with wait_s 0 the answer took {answered_s:.1f} s")
        facts = completed(await until_over(client, handle["run"], 60))
        board = await call(client, "team_status")
        expect(len(board.get("agents", [])) >= AGENTS, f"the board shows every agent: {board}")
        expect(facts["run"] in json.dumps(board), f"the board shows recent runs: {board}")
        unknown = await refused(client, "team_status", run="r_" + "a" * 26)
        expect(unknown.get("code") == "not_found", f"an unknown run is `not_found`: {unknown}")
        return {"run": facts["run"], "answered_s": round(answered_s, 3), "elapsed_s": facts["elapsed_s"]}


async def cancel(server) -> dict:
    async with server.client() as client:
        run = view(await call(client, "researcher", task=ENDLESS, wait_s=0))["run"]
        await at_work(client, run)
        start = time.monotonic()
        await call(client, "team_control", run=run, action="cancel", reason="no longer wanted")
        facts = await until_over(client, run, 10)
        took_s = time.monotonic() - start
        ended = (facts["state"], facts["stop"])
        expect(ended == ("cancelled", "cancelled"), f"it should be cancelled: {facts}")
        expect(took_s <= CANCEL_S_MAX, f"cancelling took {took_s:.2f} s, at most {CANCEL_S_MAX} s")
        return {"run": run, "took_s": round(took_s, 3)}


async def resume(server) -> dict:
    async with server.client() as client:
        run = view(await call(client, "researcher", task=SLOW, wait_s=0))["run"]
        await at_work(client, run)
        killed = server.pid()
        os.kill(killed, signal.SIGKILL)
    start = time.monotonic()
    async with server.client() as client:
        expect(server.pid() != killed, "a new process should serve now")
        facts = completed(await until_over(client, run, RESUME_S_MAX))
        return {"run": run, "resumed_s": round(time.monotonic() - start, 1)}


SCENARIOS = {"list": list_tools, "handoff": handoff, "status": status, "cancel": cancel, "resume": resume}
