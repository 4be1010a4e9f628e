"""Does with the official Python SDK what it is told, and tells what came back.

    driver.py legacy|auto|VERSION COMMAND ARGUMENT...

Starts the command as a server. One JSON object a line on stdin: `{"id": 1, "list": {}}` or
`{"id": 2, "call": TOOL, "arguments": {...}}`; calls run side by side. One a line on stdout: first
`connected`, then for an id its `progress` lines and one `result` or `error`. `strange` is what the
SDK made of lines that are not the protocol. Ends when stdin does.
"""

import json
import os
import sys
import tempfile

import anyio
from anyio import to_thread
from mcp import Client, MCPError, StdioServerParameters

# Writes its own process id, then becomes the server: the only way to learn whom to kill.
BECOME = """
import os, sys
with open(sys.argv[1] + "~", "w") as file:
    file.write(str(os.getpid()))
os.rename(sys.argv[1] + "~", sys.argv[1])
os.execv(sys.argv[2], sys.argv[2:])
"""


def tell(**said) -> None:
    print(json.dumps(said), flush=True)


def plain(it):
    return it.model_dump(mode="json", by_alias=True, exclude_none=True)


async def do(client: Client, asked: dict) -> None:
    id = asked["id"]

    async def progress(done: float, total: float | None, message: str | None) -> None:
        tell(id=id, progress={"progress": done, "message": message})

    try:
        if "list" in asked:
            result = await client.list_tools(cache_mode="bypass")
        else:
            result = await client.call_tool(asked["call"], asked["arguments"], progress_callback=progress)
        tell(id=id, result=plain(result))
    except MCPError as error:
        tell(id=id, error={"code": error.error.code, "message": error.error.message})


async def heard(message) -> None:
    if isinstance(message, Exception):
        tell(strange=repr(message))


async def written(note: str) -> int:
    """The process id, once it stands there: without a handshake the client does not wait for the server."""
    while not os.path.exists(note):
        await anyio.sleep(0.01)
    with open(note) as file:
        return int(file.read())


async def main(era: str, command: list[str]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        note = os.path.join(folder, "pid")
        server = StdioServerParameters(command=sys.executable, args=["-c", BECOME, note, *command])
        async with Client(server, mode=era, read_timeout_seconds=90, message_handler=heard) as client:
            pid = await written(note)
            named = client.server_info.name if client.server_info else ""
            version, instructions = client.protocol_version, client.instructions
            tell(connected={"version": version, "name": named, "instructions": instructions, "pid": pid})
            async with anyio.create_task_group() as tasks:
                while line := await to_thread.run_sync(sys.stdin.readline):
                    tasks.start_soon(do, client, json.loads(line))


anyio.run(main, sys.argv[1], sys.argv[2:])
