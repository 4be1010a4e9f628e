"""An agent of another framework (openai-agents) that uses the research desk as its tools.

    pip install -r requirements.txt
    export OPENAI_API_KEY=...                  # or OPENAI_BASE_URL for any compatible endpoint
    python columnist.py ../research-desk "Write two sentences on the four-day week."

The columnist is an ordinary agent with a model of its own. It knows nothing of Callboard: the desk's
agents are MCP tools to it, and a whole team behind a call looks like one answer.
"""

import argparse
import asyncio
import os

from agents import Agent, Runner, set_default_openai_api, set_tracing_disabled
from agents.items import ToolCallItem, ToolCallOutputItem
from agents.mcp import MCPServerStdio, create_static_tool_filter

# What most compatible endpoints speak, and no traces sent to anybody.
set_default_openai_api("chat_completions")
set_tracing_disabled(True)

INSTRUCTIONS = """You write a column of a few sentences. Before you state anything as a fact, have it
checked with `fact_checker`, and keep to its verdict. If a tool answers with `state` working, call
`team_status` with that run and `wait_s` until it is over; do not start it again."""


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("team", help="a team's folder, or its rehearsal.yaml")
    parser.add_argument("task")
    parser.add_argument("--callboard", default="callboard", help="the program, if it is not on the PATH")
    parser.add_argument("--data", help="the folder of the journal")
    asked = parser.parse_args()

    args = ["serve", "--quiet", "--team", asked.team]
    if asked.data:
        args += ["--data", asked.data]
    async with MCPServerStdio(
        # Almost nothing of the environment is passed on by itself; the team's keys are in it.
        params={"command": asked.callboard, "args": args, "env": dict(os.environ)},
        name="desk",
        cache_tools_list=True,
        # The default of 5 s is shorter than most work; the desk answers within 40 s, at worst with
        # the handle of the run.
        client_session_timeout_seconds=60,
        # A model chooses better among few tools.
        tool_filter=create_static_tool_filter(
            allowed_tool_names=["scout", "fact_checker", "analyst", "team_status"]
        ),
    ) as desk:
        columnist = Agent(
            name="columnist",
            instructions=INSTRUCTIONS,
            mcp_servers=[desk],
            model=os.environ.get("OPENAI_MODEL", "gpt-5-mini"),
        )
        result = await Runner.run(columnist, asked.task)

    for item in result.new_items:
        if isinstance(item, ToolCallItem):
            print(f"asked {item.raw_item.name}: {item.raw_item.arguments}")
        elif isinstance(item, ToolCallOutputItem):
            print(f"heard {str(item.output)[:160]}…")
    print(f"\n{result.final_output}")


asyncio.run(main())
