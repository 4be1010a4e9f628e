"""Drives the built binary over stdio with the official SDK, in one era of the protocol, through one scenario.

    drive.py BINARY TEAM_DIR DATA_DIR --era legacy|modern --scenario list|handoff|status|cancel|resume

Prints one JSON line of what it saw. A deviation is told on stderr, and the exit code is 1.
"""

import argparse
import json
import os
import sys
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

sys.dont_write_bytecode = True

import anyio
from mcp import Client, MCPError, StdioServerParameters

from scenarios import SCENARIOS, Deviation, expect

MODERN = "2026-07-28"

# No scenario waits on anything longer than its own deadlines; this one only keeps a hang from lasting.
WHOLE_RUN_S = 240

# Writes its own process id, then becomes the server: the only way to learn whom to kill.
BECOME = "import os, sys; open(sys.argv[1], 'w').write(str(os.getpid())); os.execv(sys.argv[2], sys.argv[2:])"


@dataclass
class Server:
    """The binary under test, with the folders it works on, and the era it is spoken to in."""

    binary: str
    team: str
    data: str
    era: str

    @property
    def pid_file(self) -> Path:
        return Path(self.data + ".pid")

    @asynccontextmanager
    async def client(self):
        """A connected client; the server ends with it."""
        serve = [self.binary, "serve", "--team", self.team, "--data", self.data]
        command = StdioServerParameters(
            command=sys.executable, args=["-c", BECOME, str(self.pid_file), *serve]
        )
        # `auto` asks `server/discover` and would fall back: that it did not is what `greets` looks at.
        mode = "legacy" if self.era == "legacy" else "auto"
        strange: list[Exception] = []

        async def heard(message) -> None:
            if isinstance(message, Exception):
                strange.append(message)

        async with Client(command, mode=mode, read_timeout_seconds=90, message_handler=heard) as client:
            self.greets(client)
            yield client
        expect(not strange, f"standard output carried something else than the protocol: {strange}")

    def greets(self, client: Client) -> None:
        version = client.protocol_version
        if self.era == "modern":
            expect(version == MODERN, f"discover settled on {version}, not on {MODERN}")
        else:
            expect(version < MODERN, f"initialize settled on {version}")
        named = client.server_info is not None and client.server_info.name
        expect(named == "callboard", f"the server calls itself {named!r}")

    def pid(self) -> int:
        return int(self.pid_file.read_text())


def leaves(error: BaseException) -> list[BaseException]:
    """The errors inside of nested groups, the deviations first."""
    inner = getattr(error, "exceptions", None)
    if inner is None:
        return [error]
    found = [leaf for one in inner for leaf in leaves(one)]
    return sorted(found, key=lambda one: not isinstance(one, Deviation))


async def drive(server: Server, scenario: str) -> dict:
    with anyio.fail_after(WHOLE_RUN_S):
        return await SCENARIOS[scenario](server)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("binary", type=os.path.abspath)
    parser.add_argument("team", type=os.path.abspath)
    parser.add_argument("data", type=os.path.abspath)
    parser.add_argument("--era", choices=["legacy", "modern"], required=True)
    parser.add_argument("--scenario", choices=list(SCENARIOS), required=True)
    asked = parser.parse_args()
    server = Server(asked.binary, asked.team, asked.data, asked.era)
    try:
        seen = anyio.run(drive, server, asked.scenario)
    except BaseException as error:
        first = leaves(error)[0]
        told = str(first) if isinstance(first, Deviation | MCPError) else repr(first)
        print(f"{asked.era} {asked.scenario}: {told}", file=sys.stderr)
        return 1
    print(json.dumps({"era": asked.era, "scenario": asked.scenario, **seen}))
    return 0


if __name__ == "__main__":
    sys.exit(main())
