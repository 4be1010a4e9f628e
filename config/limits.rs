//! Every bound of the product as a named number, with its default.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// All bounds; `limits:` in `team.yaml` overrides them one by one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Seats: runs with a step in progress at once, over all processes on one store.
    pub concurrent: u32,
    /// Open root tasks before `over_capacity`.
    pub queue: u32,
    /// Nested delegations under a root.
    pub depth: u32,
    /// Transfers along one path.
    pub hops: u32,
    /// Children one run ever creates.
    pub fan_out: u32,
    /// Runs created by agents under one root.
    pub tasks_per_root: u32,
    /// Open runs created by agents in one workspace.
    pub tasks_per_workspace: u32,
    /// Runs that agents may create under one root at a stretch.
    pub spawn_burst: u32,
    /// Runs that agents may create under one root in ten seconds, once `spawn_burst` is used up.
    pub spawn_rate: u32,
    /// Laps of one path of agents, each with something new.
    pub laps: u32,
    /// Calls of one tool with the same arguments in a row.
    pub repeat_calls: u32,
    /// Calls of one tool with the same arguments in a whole run.
    pub repeat_calls_all: u32,
    /// Identical replies of a model in a row.
    pub repeat_replies: u32,
    /// Tasks of one plan from a caller.
    pub plan_steps: usize,
    /// Model turns of a run, unless its agent says otherwise.
    pub turns: u32,
    /// Tool calls taken from one reply.
    pub parallel_calls: u32,
    /// Wall clock of a root, seconds.
    pub deadline_s: u64,
    /// One tool call, seconds.
    pub tool_timeout_s: u64,
    /// Attempts of a step that failed retryably, in total.
    pub attempts: u32,
    /// Rate-limited attempts of one step, which are not counted as attempts.
    pub rate_limited: u32,
    /// Longest pause a provider's `Retry-After` may ask for, seconds.
    pub retry_after_max_s: u64,
    /// How long a call waits before it answers with a handle, seconds.
    pub wait_s: u64,
    /// Longest `wait_s` a caller may ask for.
    pub wait_max_s: u64,
    /// Characters of a task.
    pub task_chars: usize,
    /// Bytes of a context.
    pub context_bytes: usize,
    /// Bytes of one message: a line on stdio, a body over HTTP.
    pub line_bytes: usize,
    /// Nesting of a JSON message.
    pub json_depth: usize,
    /// Calls in flight on one connection, or in one session.
    pub in_flight: usize,
    /// Calls in flight over HTTP, all together; one caller has half of them at most.
    pub in_flight_all: usize,
    /// HTTP connections.
    pub connections: usize,
    /// Streams over HTTP that stay open and wait for news; one caller has half of them at most.
    pub streams: usize,
    /// Sessions of the older era over HTTP; one caller has half of them at most.
    pub sessions: usize,
    /// How long a session may say nothing before it is put aside; its next request takes it up.
    pub session_idle_s: u64,
    /// How long the head of an HTTP request may take, and a connection may be idle, seconds.
    pub head_s: u64,
    /// How long the body of an HTTP request may take, seconds.
    pub body_s: u64,
    /// Bytes of one reply of a provider.
    pub reply_bytes: usize,
    /// Bytes of one event of a stream.
    pub event_bytes: usize,
    /// Bytes of an error body that are read.
    pub error_bytes: usize,
    /// Bytes of one tool's output that the model is shown.
    pub tool_output_bytes: usize,
    /// Bytes of one tool's output that are kept, to be read page by page.
    pub tool_kept_bytes: usize,
    /// Bytes of a file that is written or edited, or searched as a whole.
    pub file_bytes: usize,
    /// Files and folders that one search looks at.
    pub walk_entries: usize,
    /// Bytes of a page that is fetched.
    pub fetch_bytes: usize,
    /// How long a page may take, its redirects included, seconds.
    pub fetch_s: u64,
    /// How long each request of `doctor --probe` may take, seconds.
    pub probe_s: u64,
    /// Tokens of each reply to `doctor --probe`.
    pub probe_tokens: u64,
    /// Memory of one process in the sandbox, MiB.
    pub program_memory_mib: u64,
    /// The largest file that a process in the sandbox writes, MiB.
    pub program_file_mib: u64,
    /// Files that a process in the sandbox has open.
    pub program_files: u64,
    /// Processes and threads of one program in the sandbox.
    pub program_processes: u32,
    /// Output of one command before it is stopped, MiB.
    pub command_output_mib: u32,
    /// Bytes of a result inside a RunView; the rest is read with `team_read`.
    pub result_bytes: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            concurrent: 50,
            queue: 100_000,
            depth: 5,
            hops: 10,
            fan_out: 20,
            tasks_per_root: 200,
            tasks_per_workspace: 500,
            spawn_burst: 20,
            spawn_rate: 3,
            laps: 3,
            repeat_calls: 3,
            repeat_calls_all: 5,
            repeat_replies: 3,
            plan_steps: 100_000,
            turns: 20,
            parallel_calls: 32,
            deadline_s: 86_400,
            tool_timeout_s: 120,
            attempts: 3,
            rate_limited: 10,
            retry_after_max_s: 3_600,
            wait_s: 40,
            wait_max_s: 3_600,
            task_chars: 32_000,
            context_bytes: 256 << 10,
            line_bytes: 8 << 20,
            json_depth: 64,
            in_flight: 64,
            in_flight_all: 1_024,
            connections: 8_192,
            streams: 4_096,
            sessions: 512,
            session_idle_s: 900,
            head_s: 10,
            body_s: 20,
            reply_bytes: 16 << 20,
            event_bytes: 1 << 20,
            error_bytes: 64 << 10,
            tool_output_bytes: 64 << 10,
            tool_kept_bytes: 1 << 20,
            file_bytes: 16 << 20,
            walk_entries: 500_000,
            fetch_bytes: 5 << 20,
            fetch_s: 60,
            probe_s: 30,
            probe_tokens: 512,
            program_memory_mib: 4_096,
            program_file_mib: 1_024,
            program_files: 1_024,
            program_processes: 1_024,
            command_output_mib: 64,
            result_bytes: 6_000,
        }
    }
}
