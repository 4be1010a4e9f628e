// Does with the official TypeScript SDK what it is told, and tells what came back.
//
//     node driver.mjs v1 legacy COMMAND ARGUMENT...
//     node driver.mjs v2 legacy|auto|VERSION COMMAND ARGUMENT...
//
// Speaks as driver.py does. Stands in a folder under which `node_modules` holds both lines.

import { createInterface } from 'node:readline';

const [line, era, command, ...args] = process.argv.slice(2);
const TIMEOUT_MS = 90_000;

const tell = (said) => process.stdout.write(JSON.stringify(said) + '\n');
const me = { name: `driver-${line}`, version: '1' };

async function connected() {
    let version;
    let client;
    let transport;
    if (line === 'v1') {
        const { Client } = await import('@modelcontextprotocol/sdk/client/index.js');
        const { StdioClientTransport } = await import('@modelcontextprotocol/sdk/client/stdio.js');
        client = new Client(me);
        transport = new StdioClientTransport({ command, args, stderr: 'inherit' });
        // This line has no question for the version; it tells it to a transport that wants to know.
        transport.setProtocolVersion = (it) => { version = it; };
    } else {
        const { Client } = await import('@modelcontextprotocol/client');
        const { StdioClientTransport } = await import('@modelcontextprotocol/client/stdio');
        const mode = era === 'legacy' || era === 'auto' ? era : { pin: era };
        client = new Client(me, { versionNegotiation: { mode } });
        transport = new StdioClientTransport({ command, args, stderr: 'inherit' });
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

async function act(client, asked) {
    const { id } = asked;
    const onprogress = ({ progress, message }) => tell({ id, progress: { progress, message } });
    const options = { timeout: TIMEOUT_MS, onprogress };
    try {
        let result;
        if (asked.list) {
            result = await client.listTools(undefined, { timeout: TIMEOUT_MS, cacheMode: 'bypass' });
        } else {
            const call = { name: asked.call, arguments: asked.arguments };
            result = line === 'v1'
                ? await client.callTool(call, undefined, options)
                : await client.callTool(call, options);
        }
        tell({ id, result });
    } catch (error) {
        tell({ id, error: { code: error.code, message: error.message } });
    }
}

const client = await connected();
const acts = [];
for await (const text of createInterface({ input: process.stdin })) {
    acts.push(act(client, JSON.parse(text)));
}
await Promise.all(acts);
await client.close();
