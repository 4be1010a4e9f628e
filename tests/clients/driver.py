"""Does with the official Python SDK what it is told, and tells what came back.

    driver.py legacy|auto|VERSION ABLE stdio COMMAND ARGUMENT...
    driver.py legacy|auto|VERSION ABLE http|sse URL

ABLE is what the client says it can, `-` or words with commas between: `elicits`, `tasks`. One JSON
object a line on stdin, with an `id` of its own:

    list: tools|resources|templates|prompts
    call: TOOL, arguments: {...}, answers: [what the user says to each question]; as_task: true
    cancel: THE CALL'S ID, reason: TEXT
    read: URI          watch: URI, or `tools` for the list of them
    prompt: NAME, arguments: {...}
    complete: {ref: {...}, argument: {...}}
    task: METHOD, params: {...}

They run side by side. One line on stdout each: first `connected`, then for an id its `progress` and
`task` lines and one `result`, `error` or `cancelled`; `asked` is a question to the user, `updated` a
resource that is watched, `lost` one that is not any more. `strange` is what the SDK made of lines that are not the protocol. Ends when
stdin does.
"""

import contextlib
import json
import os
import sys
import tempfile
import warnings
from contextvars import ContextVar
from typing import Any, Literal

import anyio
import mcp_types as types
from anyio import to_thread
from mcp import Client, MCPError, StdioServerParameters
from mcp.client import ClientExtension
from mcp.client.extension import ResultClaim
from mcp.client.session import ClientRequestContext
from mcp.client.sse import sse_client
from mcp.client.subscriptions import SubscriptionLost
from pydantic import ConfigDict, TypeAdapter

# Writes its own process id, then becomes the server: the only way to learn whom to kill.
BECOME = """
import os, sys
with open(sys.argv[1] + "~", "w") as file:
    file.write(str(os.getpid()))
os.rename(sys.argv[1] + "~", sys.argv[1])
os.execv(sys.argv[2], sys.argv[2:])
"""
PATIENCE_S = 90
# How often a task is asked about: sooner than the server proposes, for the sake of the test's time.
POLL_S = 0.2
LISTED = {
    "tools": "list_tools",
    "resources": "list_resources",
    "templates": "list_resource_templates",
    "prompts": "list_prompts",
}

# What the user says next.
answers: list[dict] = []
scopes: dict[int, anyio.CancelScope] = {}
# What goes on until the driver ends.
watches: set[int] = set()
# Which of the things asked for is done here.
doing: ContextVar[int] = ContextVar("doing")


def tell(**said) -> None:
    print(json.dumps(said), flush=True)


def plain(it):
    return it.model_dump(mode="json", by_alias=True, exclude_none=True)


async def elicited(context, params) -> types.ElicitResult:
    tell(asked={"message": params.message, "schema": plain(params).get("requestedSchema")})
    return types.ElicitResult.model_validate(answers.pop(0) if answers else {"action": "cancel"})


class Whatever(types.Result):
    model_config = ConfigDict(extra="allow")


class Handle(Whatever):
    result_type: Literal["task"] = "task"
    task_id: str


class TaskRequest(types.Request[dict[str, Any], str]):
    name_param = "taskId"


class Tasks(ClientExtension):
    """The SDK knows no task, but lets an extension claim results and finish them."""

    identifier = "io.modelcontextprotocol/tasks"

    def claims(self):
        return [ResultClaim(result_type="task", model=Handle, resolve=finished)]


async def finished(handle: Handle, context) -> types.CallToolResult:
    tell(id=doing.get(), task=plain(handle))
    answered = set()
    while True:
        asked = TaskRequest(method="tasks/get", params={"taskId": handle.task_id})
        task = plain(await context.session.send_request(asked, Whatever))
        tell(id=doing.get(), task=task)
        if task["status"] == "completed":
            return types.CallToolResult.model_validate(task["result"])
        if task["status"] not in ("working", "input_required"):
            raise MCPError(code=0, message=f"the task is {task['status']}")
        open = {key: it for key, it in task.get("inputRequests", {}).items() if key not in answered}
        if open:
            answered |= open.keys()
            responses = {key: await put(key, it, context.session) for key, it in open.items()}
            params = {"taskId": handle.task_id, "inputResponses": responses}
            await context.session.send_request(TaskRequest(method="tasks/update", params=params), Whatever)
        else:
            await anyio.sleep(POLL_S)


async def put(key: str, asked: dict, session) -> dict:
    """Asks the user by the same callback that the SDK asks by."""
    context = ClientRequestContext(session=session, request_id=key)
    request = TypeAdapter(types.InputRequest).validate_python(asked)
    return plain(await session.dispatch_input_request(context, request))


async def result_of(client: Client, asked: dict):
    id = asked["id"]

    async def progress(done: float, total: float | None, message: str | None) -> None:
        tell(id=id, progress={"progress": done, "message": message})

    match asked:
        case {"list": what}:
            return await getattr(client, LISTED[what])(cache_mode="bypass")
        case {"call": tool}:
            answers[:] = asked.get("answers", [])
            return await client.call_tool(tool, asked["arguments"], progress_callback=progress)
        case {"task": method, "params": params}:
            return await client.session.send_request(TaskRequest(method=method, params=params), Whatever)
        case {"read": uri}:
            return await client.read_resource(uri, cache_mode="bypass")
        case {"prompt": name}:
            return await client.get_prompt(name, asked["arguments"])
        case {"complete": {"ref": ref, "argument": argument}}:
            ref = TypeAdapter(types.PromptReference | types.ResourceTemplateReference).validate_python(ref)
            return await client.complete(ref, argument)
    raise ValueError(f"unheard of: {asked}")


async def watch(client: Client, id: int, uri: str) -> None:
    is_list = uri == "tools"
    if client.protocol_version < "2026":
        # Of lists the older era tells unasked.
        tell(id=id, result={} if is_list else plain(await client.subscribe_resource(uri)))
        return
    watches.add(id)
    wanted = {"tools_list_changed": True} if is_list else {"resource_subscriptions": [uri]}
    async with client.listen(**wanted) as subscription:
        tell(id=id, result=plain(subscription.honored))
        try:
            async for event in subscription:
                tell(updated="tools" if is_list else event.uri)
        except SubscriptionLost:
            tell(lost=uri)


async def do(client: Client, asked: dict) -> None:
    id = asked["id"]
    doing.set(id)
    with anyio.CancelScope() as scope:
        scopes[id] = scope
        try:
            if "watch" in asked:
                await watch(client, id, asked["watch"])
            else:
                tell(id=id, result=plain(await result_of(client, asked)))
        except MCPError as error:
            tell(id=id, error={"code": error.error.code, "message": error.error.message})
    if scope.cancelled_caught:
        tell(id=id, cancelled=True)


async def heard(message) -> None:
    if isinstance(message, Exception):
        tell(strange=repr(message))
    elif isinstance(message, types.ResourceUpdatedNotification | types.ToolListChangedNotification):
        # What a subscription of the newer era hears carries its name, and is told by it.
        meta = (message.params.meta if message.params else None) or {}
        if "io.modelcontextprotocol/subscriptionId" not in meta:
            tell(updated=str(getattr(message.params, "uri", "tools")))


async def written(note: str) -> int:
    """The process id, once it stands there: without a handshake the client does not wait for the server."""
    while not os.path.exists(note):
        await anyio.sleep(0.01)
    with open(note) as file:
        return int(file.read())


async def main(era: str, able: str, way: str, *rest: str) -> None:
    with contextlib.ExitStack() as stack:
        note = None
        match way:
            case "stdio":
                note = os.path.join(stack.enter_context(tempfile.TemporaryDirectory()), "pid")
                server = StdioServerParameters(command=sys.executable, args=["-c", BECOME, note, *rest])
            case "http":
                (server,) = rest
            case "sse":
                server = sse_client(*rest)
        able = able.split(",")
        client = Client(
            server,
            mode=era,
            read_timeout_seconds=PATIENCE_S,
            message_handler=heard,
            elicitation_callback=elicited if "elicits" in able else None,
            extensions=[Tasks()] if "tasks" in able else None,
        )
        async with client:
            pid = await written(note) if note else None
            named = client.server_info.name if client.server_info else ""
            version, instructions = client.protocol_version, client.instructions
            tell(connected={"version": version, "name": named, "instructions": instructions, "pid": pid})
            async with anyio.create_task_group() as tasks:
                while line := await to_thread.run_sync(sys.stdin.readline):
                    asked = json.loads(line)
                    if "cancel" in asked:
                        # The SDK has its own words for the reason.
                        scopes[asked["cancel"]].cancel()
                    else:
                        tasks.start_soon(do, client, asked)
                for id in watches:
                    scopes[id].cancel()


warnings.simplefilter("ignore")
anyio.run(main, *sys.argv[1:])
