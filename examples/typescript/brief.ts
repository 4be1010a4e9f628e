// Directs a research desk: has claims checked side by side, then leads a plan to a brief.
//
//     npm ci
//     npm start -- ../research-desk/rehearsal.yaml "a four-day week"
//
// From Node 22.18 on, `node brief.ts ...` runs it as it stands. The desk is an MCP server like any
// other, started over stdio; each of its agents is a tool.

import { Client } from '@modelcontextprotocol/client';
import { StdioClientTransport } from '@modelcontextprotocol/client/stdio';

/** What every call about a run gives back, as far as it is used here. */
interface RunView {
    run: string;
    state: 'queued' | 'working' | 'input_required' | 'halted' | 'completed' | 'partial' | 'failed' | 'cancelled';
    agent: string;
    handoffs: number;
    elapsed_s: number;
    cost: { tokens: number };
    result?: string;
    /** What an agent adds to its result; its file says which fields. */
    answer?: Record<string, unknown>;
    error?: { code: string; message: string; hint: string };
}

/** What a plan answers with: for each id, the run that did it and how it ended. */
type Results = Record<string, { run: string; state: string; result?: string }>;

interface Verdict { claim: string; verdict: string; because: string }

const [team, topic, data] = process.argv.slice(2);
if (team === undefined || topic === undefined) {
    console.error('usage: npm start -- TEAM TOPIC [DATA]');
    process.exit(2);
}

/** Calls a tool. An error means that the call was wrong; a run that failed is an ordinary answer. */
async function call(tool: string, args: Record<string, unknown>): Promise<RunView> {
    const result = await client.callTool(
        { name: tool, arguments: args },
        // Progress is a line of text and a number that rises; it never follows the answer.
        { onprogress: ({ message }) => console.log(`  … ${message}`) },
    );
    if (result.isError) {
        throw new Error(`${tool}: ${JSON.stringify(result.structuredContent)}`);
    }
    return result.structuredContent as RunView;
}

/** Has something done and stays with it to its end, however long that takes. */
async function done(tool: string, args: Record<string, unknown>): Promise<RunView> {
    let view = await call(tool, { ...args, wait_s: 30 });
    // The SDK gives a call up after 60 s. A call to the desk answers before that, with the result or
    // with the handle of the run; the work goes on either way.
    while (view.state === 'queued' || view.state === 'working') {
        view = await call('team_status', { run: view.run, wait_s: 30 });
    }
    if (view.state !== 'completed') {
        const why = view.error ? `${view.error.message}; ${view.error.hint}` : view.state;
        throw new Error(`${tool} (${view.run}): ${why}`);
    }
    return view;
}

const args = ['serve', '--quiet', '--team', team, ...(data === undefined ? [] : ['--data', data])];
const command = process.env['CALLBOARD'] ?? 'callboard';
// The SDK passes on almost nothing of the environment; the team's keys are in it.
const env = Object.fromEntries(
    Object.entries(process.env).filter((it): it is [string, string] => it[1] !== undefined),
);
// `auto` speaks the newest version of the protocol where the server does, and the older one else.
const client = new Client({ name: 'brief', version: '1.0.0' }, { versionNegotiation: { mode: 'auto' } });
await client.connect(new StdioClientTransport({ command, args, env }));

const { tools } = await client.listTools();
console.log('the desk:', tools.map((it) => it.name).filter((it) => !it.startsWith('team_')).join(', '));

// Three calls at once: the desk has seats for fifty, and each call is a run of its own.
const claims = ['The benefit is measurable.', 'The benefit lasts.', 'It costs less than it brings.'];
const checked = await Promise.all(
    claims.map((it) => done('fact_checker', { task: `On ${topic}, check this claim: ${it}` })),
);
for (const [n, view] of checked.entries()) {
    const verdicts = (view.answer?.['verdicts'] ?? []) as Verdict[];
    console.log(`${claims[n]} ${verdicts.map((it) => it.verdict).join(', ')} (${view.run})`);
}

// A plan, where you know the way better than the team does: what can be done at once is, and a task
// begins when those it comes `after` have ended; it is given what they found. One run, one result.
const plan = await done('team_run', {
    context: checked.map((it) => it.result).join('\n'),
    tasks: [
        { id: 'for', to: 'scout', task: `Find the best evidence for ${topic}` },
        { id: 'against', to: 'scout', task: `Find the best evidence against ${topic}` },
        { id: 'weigh', to: 'analyst', task: `Say what follows on ${topic}`, after: ['for', 'against'] },
        { id: 'brief', to: 'writer', task: `Write a brief on ${topic}`, after: ['weigh'] },
    ],
});
const results = (plan.answer?.['results'] ?? {}) as Results;
for (const [id, { state, result }] of Object.entries(results)) {
    console.log(`${id}: ${state}, ${result}`);
}
console.log(`\nall of it in ${plan.elapsed_s} s for ${plan.cost.tokens} tokens:`);

// Each task is a run, with everything that is known of it under its name.
const written = results['brief'];
if (written !== undefined) {
    const brief = await call('team_status', { run: written.run });
    console.log(brief.answer?.['brief'] ?? brief.result);
}

await client.close();
