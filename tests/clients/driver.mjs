// Does with the official TypeScript SDK what it is told, and tells what came back.
//
//     node driver.mjs v1 legacy ABLE stdio COMMAND ARGUMENT...
//     node driver.mjs v2 legacy|auto|VERSION ABLE http|sse URL
//
// Is told and speaks as driver.py. Stands in a folder under which `node_modules` holds both lines.

import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const [line, era, able, way, ...rest] = process.argv.slice(2);
const TIMEOUT_MS = 90_000;
// How often a task is asked about: sooner than the server proposes, for the sake of the test's time.
const POLL_MS = 200;
const TASKS = { extensions: { 'io.modelcontextprotocol/tasks': {} } };
const can = able.split(',');

const tell = (said) => process.stdout.write(JSON.stringify(said) + '\n');
const me = { name: `driver-${line}`, version: '1' };
const capabilities = {
    ...can.includes('elicits') && { elicitation: {} },
    ...can.includes('tasks') && TASKS,
};

// Each line's own modules, by one name.
async function sdk() {
    if (line === 'v1') {
        const at = '@modelcontextprotocol/sdk';
        const [client, stdio, http, sse, types] = await Promise.all(
            ['client/index.js', 'client/stdio.js', 'client/streamableHttp.js', 'client/sse.js', 'types.js']
                .map((it) => import(`${at}/${it}`)));
        return { ...types, ...client, ...stdio, ...http, ...sse };
    }
    return { ...await import('@modelcontextprotocol/client'), ...await import('@modelcontextprotocol/client/stdio') };
}

const SDK = await sdk();

function reached() {
    switch (way) {
        case 'stdio': {
            const [command, ...args] = rest;
            return new SDK.StdioClientTransport({ command, args, stderr: 'inherit' });
        }
        case 'http': return new SDK.StreamableHTTPClientTransport(new URL(rest[0]));
        case 'sse': return new SDK.SSEClientTransport(new URL(rest[0]));
    }
}

// What the user says next.
const answers = [];

function elicited({ params }) {
    tell({ asked: { message: params.message, schema: params.requestedSchema } });
    return answers.shift() ?? { action: 'cancel' };
}

function updated({ params }) {
    tell({ updated: params?.uri ?? 'tools' });
}

async function connected() {
    const transport = reached();
    let version;
    let client;
    if (line === 'v1') {
        client = new SDK.Client(me, { capabilities });
        // This line has no question for the version; it tells it to a transport that wants to know.
        const told = transport.setProtocolVersion?.bind(transport);
        transport.setProtocolVersion = (it) => { version = it; told?.(it); };
        if (capabilities.elicitation) client.setRequestHandler(SDK.ElicitRequestSchema, elicited);
        client.setNotificationHandler(SDK.ResourceUpdatedNotificationSchema, updated);
        client.setNotificationHandler(SDK.ToolListChangedNotificationSchema, updated);
    } else {
        const mode = era === 'legacy' || era === 'auto' ? era : { pin: era };
        client = new SDK.Client(me, { capabilities, versionNegotiation: { mode } });
        if (capabilities.elicitation) client.setRequestHandler('elicitation/create', elicited);
        client.setNotificationHandler('notifications/resources/updated', updated);
        client.setNotificationHandler('notifications/tools/list_changed', updated);
    }
    client.onerror = (error) => {
        // The SDK takes progress one turn later than answers, and wonders about it when both came
        // in one piece. That no progress follows an answer is tested on the raw lines.
        if (!String(error).includes('progress notification for an unknown token')) {
            tell({ strange: String(error) });
        }
    };
    await client.connect(transport);
    version ??= client.getNegotiatedProtocolVersion();
    const name = client.getServerVersion()?.name;
    tell({ connected: { version, name, instructions: client.getInstructions(), pid: transport.pid } });
    return client;
}

const meta = (able) => ({ 'io.modelcontextprotocol/clientCapabilities': able });

// A request about a task, by the SDK's own `request`.
function ofTask(client, method, params) {
    const _meta = meta({ elicitation: {}, ...TASKS });
    return client.request({ method, params: { ...params, _meta } }, anything, { timeout: TIMEOUT_MS });
}

// The newer line has no task: it refuses such a result, and a request that says nothing of tasks
// gets a run, whose name is that of its task.
async function asTask(client, id, call, options) {
    const handle = await client.callTool({ ...call, _meta: meta({ elicitation: {} }) }, options);
    const taskId = handle.structuredContent.run;
    const answered = new Set();
    for (;;) {
        const task = await ofTask(client, 'tasks/get', { taskId });
        tell({ id, task });
        if (task.status === 'completed') return task.result;
        if (task.status !== 'working' && task.status !== 'input_required') {
            throw new Error(`the task is ${task.status}`);
        }
        const open = Object.entries(task.inputRequests ?? {}).filter(([key]) => !answered.has(key));
        const inputResponses = Object.fromEntries(open.map(([key, asked]) => [key, elicited(asked)]));
        open.forEach(([key]) => answered.add(key));
        if (open.length > 0) await ofTask(client, 'tasks/update', { taskId, inputResponses });
        else await sleep(POLL_MS);
    }
}

// A schema that takes what comes.
const anything = { '~standard': { version: 1, vendor: 'driver', validate: (value) => ({ value }) } };

async function watch(client, uri, options) {
    const isList = uri === 'tools';
    // Of lists the older era tells unasked.
    if (era === 'legacy') return isList ? {} : client.subscribeResource({ uri }, options);
    const wanted = isList ? { toolsListChanged: true } : { resourceSubscriptions: [uri] };
    const subscription = await client.listen(wanted, options);
    subscription.closed.then((cause) => { if (cause === 'remote') tell({ lost: uri }); });
    return subscription.honoredFilter;
}

const LISTED = {
    tools: 'listTools', resources: 'listResources', templates: 'listResourceTemplates', prompts: 'listPrompts',
};

function resultOf(client, asked, signal) {
    const { id } = asked;
    const options = { timeout: TIMEOUT_MS, signal };
    if (asked.list) return client[LISTED[asked.list]](undefined, { ...options, cacheMode: 'bypass' });
    if (asked.read) return client.readResource({ uri: asked.read }, { ...options, cacheMode: 'bypass' });
    if (asked.task) return ofTask(client, asked.task, asked.params);
    if (asked.watch) return watch(client, asked.watch, options);
    if (asked.prompt) return client.getPrompt({ name: asked.prompt, arguments: asked.arguments }, options);
    if (asked.complete) return client.complete(asked.complete, options);
    answers.splice(0, Infinity, ...asked.answers ?? []);
    const call = { name: asked.call, arguments: asked.arguments };
    if (asked.as_task) return asTask(client, id, call, options);
    options.onprogress = ({ progress, message }) => tell({ id, progress: { progress, message } });
    return line === 'v1' ? client.callTool(call, undefined, options) : client.callTool(call, options);
}

const aborts = new Map();

async function act(client, asked) {
    const { id } = asked;
    const abort = new AbortController();
    aborts.set(id, abort);
    try {
        tell({ id, result: await resultOf(client, asked, abort.signal) });
    } catch (error) {
        if (abort.signal.aborted) tell({ id, cancelled: true });
        else tell({ id, error: { code: error.code, message: error.message } });
    }
}

const client = await connected();
const acts = [];
for await (const text of createInterface({ input: process.stdin })) {
    const asked = JSON.parse(text);
    if (asked.cancel) aborts.get(asked.cancel).abort(asked.reason);
    else acts.push(act(client, asked));
}
await Promise.all(acts);
client.onerror = undefined;
await client.transport.terminateSession?.();
await client.close();
