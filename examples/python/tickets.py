"""Directs a support desk: several tickets at once, each followed to its end.

    pip install -r requirements.txt
    python tickets.py ../support-triage/rehearsal.yaml      # no key, no network
    python tickets.py ../support-triage                     # with the models of its team.yaml

The desk is an MCP server like any other, started over stdio. Each of its agents is a tool; a call
gives back one object, the RunView. This program shows the four things a client needs: calls side by
side, progress, a handle that is followed, and a question that a person answers.
"""

import argparse
import asyncio
import os

from mcp import Client, StdioServerParameters

TICKETS = [
    "I was charged twice this month.",
    "Exports have failed since this morning.",
    "How do I invite a colleague?",
    # This one comes to a person: you.
    "Your outage cost us a deal, make it good.",
]

# While a run is in one of these states, there is nothing to do but to wait.
OPEN = {"queued", "working"}


async def call(client: Client, tool: str, progress=None, **arguments) -> dict:
    """Calls a tool. An error means that the call was wrong; a run that failed is an ordinary answer."""
    result = await client.call_tool(tool, arguments, progress_callback=progress)
    if result.is_error:
        raise SystemExit(f"{tool}: {result.content[0].text}")
    return result.structured_content


async def told(_done: float, _total: float | None, message: str | None) -> None:
    print(f"  … {message}", flush=True)


# One question at a time, also when several tickets have come to one.
desk_is_free = asyncio.Lock()


def answered_by_a_person(question: dict) -> str:
    """Puts a question of the team to whoever sits here."""
    print(f"\nThe desk asks:\n{question['prompt']}")
    if question.get("options"):
        print("One of:", ", ".join(question["options"]))
    return input("> ")


async def followed(client: Client, run: str) -> dict:
    """Waits until the run is over. It goes on if this program ends; the next start can follow it."""
    while True:
        # Answers at the end, at a question, or after 30 s; a long wait costs one call, not thirty.
        view = await call(client, "team_status", progress=told, run=run, wait_s=30)
        if view["state"] in OPEN:
            continue
        if not view.get("questions"):
            return view
        async with desk_is_free:
            # In a thread: the other tickets go on while somebody thinks.
            answers = {one["id"]: await asyncio.to_thread(answered_by_a_person, one) for one in view["questions"]}
        await call(client, "team_answer", run=run, answers=answers, wait_s=0)


async def settled(client: Client, ticket: str) -> dict:
    # `wait_s: 0` gives the handle at once. Keep it where you keep the ticket: with it the result is
    # found tomorrow as well.
    handle = await call(client, "intake", task=ticket, wait_s=0)
    print(f"{handle['run']}  {ticket}", flush=True)
    return await followed(client, handle["run"])


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("team", help="a team's folder, or its rehearsal.yaml")
    parser.add_argument("--callboard", default="callboard", help="the program, if it is not on the PATH")
    parser.add_argument("--data", help="the folder of the journal")
    parser.add_argument("--ticket", action="append", help="instead of the four that are written here")
    asked = parser.parse_args()

    args = ["serve", "--quiet", "--team", asked.team]
    if asked.data:
        args += ["--data", asked.data]
    # The SDK passes on almost nothing of the environment; the team's keys are in it.
    server = StdioServerParameters(command=asked.callboard, args=args, env=dict(os.environ))
    async with Client(server) as client:
        tickets = asked.ticket or TICKETS
        views = await asyncio.gather(*(settled(client, ticket) for ticket in tickets))

    for ticket, view in zip(tickets, views):
        print(f"\n== {ticket}\n{view['state']} by {view['agent']}, {view['handoffs']} handoffs")
        answer = view.get("answer") or {}
        # `result` is always there when a run completed; an agent's own fields stand in `answer`.
        print(answer.get("reply") or view.get("result") or view.get("error"))
        if answer.get("send") == "hold":
            print("held for a person:", answer.get("hold_because", "no reason was given"))


asyncio.run(main())
