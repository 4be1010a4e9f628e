//! The tables, as numbered changes. A change that was shipped is never edited; a new one follows it.

use crate::StoreError;
use crate::error::Result;

/// The statements of each version, first to last.
pub(crate) const CHANGES: &[&str] = &[ONE, TWO, THREE, FOUR, FIVE, SIX, SEVEN, EIGHT, NINE, TEN];

/// Whether a store that must not be changed has the newest format.
pub(crate) fn is_newest(found: u32) -> Result<()> {
    let known = CHANGES.len() as u32;
    match found {
        it if it > known => Err(StoreError::Newer { found, known }),
        it if it < known => Err(StoreError::Older { found, known }),
        _ => Ok(()),
    }
}

/// `run` is an index over the journal: what the queue, the lists and the fences need in one row.
/// `turn` is the `pos` of the root's row, and so the order of acceptance. A row in state `stream`
/// carries the records of a node or of the team; no list shows it.
const ONE: &str = "
CREATE TABLE run(
  pos {serial},
  id TEXT NOT NULL UNIQUE,
  root TEXT NOT NULL,
  parent TEXT,
  top {int} NOT NULL,
  agent TEXT NOT NULL,
  workspace TEXT NOT NULL,
  principal TEXT NOT NULL,
  once TEXT,
  fingerprint TEXT NOT NULL,
  state TEXT NOT NULL,
  outcome TEXT,
  priority {int} NOT NULL,
  root_at {int} NOT NULL,
  rank {int} NOT NULL,
  turn {int} NOT NULL,
  wake {int},
  seq {int} NOT NULL,
  head TEXT NOT NULL,
  lease {int},
  node TEXT,
  attempt {int} NOT NULL,
  stop {int} NOT NULL,
  created {int} NOT NULL,
  ended {int},
  deadline {int} NOT NULL
) {options};
CREATE UNIQUE INDEX run_once ON run(principal, once) WHERE once IS NOT NULL;
CREATE INDEX run_ready ON run(rank, turn, root_at) WHERE state = 'ready';
CREATE INDEX run_urgent ON run(rank, turn, root_at) WHERE state = 'ready' AND stop = 1;
CREATE INDEX run_wake ON run(wake) WHERE state = 'waiting';
CREATE INDEX run_node ON run(node) WHERE state = 'running';
CREATE INDEX run_parent ON run(parent) WHERE parent IS NOT NULL;
CREATE INDEX run_root ON run(root);
CREATE INDEX run_top ON run(pos) WHERE top = 1;
CREATE INDEX run_open ON run(pos) WHERE top = 1 AND ended IS NULL;
CREATE INDEX run_caller ON run(principal, pos) WHERE top = 1;

CREATE TABLE journal(
  pos {serial},
  run {int} NOT NULL,
  root {int} NOT NULL,
  seq {int} NOT NULL,
  at {int} NOT NULL,
  v {int} NOT NULL,
  attempt {int} NOT NULL,
  author TEXT NOT NULL,
  kind TEXT NOT NULL,
  prev TEXT NOT NULL,
  body TEXT NOT NULL
) {options};
CREATE UNIQUE INDEX journal_run ON journal(run, seq);
CREATE INDEX journal_root ON journal(root, pos);

CREATE TABLE blob(hash TEXT PRIMARY KEY, bytes {bytes} NOT NULL) {options};
CREATE TABLE node(id TEXT PRIMARY KEY, started {int} NOT NULL, seen {int} NOT NULL) {options};
CREATE TABLE pace(name TEXT PRIMARY KEY, tat {int} NOT NULL, at {int} NOT NULL) {options};
CREATE TABLE tally(name TEXT PRIMARY KEY, n {int} NOT NULL) {options};
INSERT INTO tally(name, n) VALUES('open_roots', 0), ('ended', 0);
";

/// `heard` says what the caller of a root has heard of it: `yes` = its end was delivered, or nobody
/// is to be told; `no` = nobody waits; `left` = a call waited and went without the end; else the
/// node at which a call waits. What was there before this change counts as delivered.
const TWO: &str = "
ALTER TABLE run ADD COLUMN heard TEXT NOT NULL DEFAULT 'yes';
CREATE INDEX run_unread ON run(principal, heard, ended)
  WHERE top = 1 AND heard <> 'yes' AND ended IS NOT NULL;
CREATE INDEX run_left ON run(principal, fingerprint) WHERE top = 1 AND heard = 'left';
CREATE INDEX run_heard ON run(heard) WHERE heard <> 'yes' AND heard <> 'no' AND heard <> 'left';
";

/// `gauge` is what steps share, `hold` which step holds what, `line` who waits for what, `ledger` what
/// each budget that several runs share has spent and set aside. All of them can be counted again from
/// the journal: they are what several processes must agree on at once.
const THREE: &str = "
CREATE TABLE gauge(
  name TEXT PRIMARY KEY,
  level {int} NOT NULL,
  at {int} NOT NULL,
  capacity {int} NOT NULL,
  refill {int} NOT NULL,
  width {int} NOT NULL,
  used {int} NOT NULL,
  shut {int} NOT NULL,
  fails {int} NOT NULL,
  opened {int} NOT NULL,
  probe {int} NOT NULL,
  mode TEXT NOT NULL
) {options};
CREATE TABLE hold(
  run {int} NOT NULL,
  step {int} NOT NULL,
  name TEXT NOT NULL,
  PRIMARY KEY(run, step, name)
) {options};
CREATE TABLE line(
  run {int} PRIMARY KEY,
  name TEXT NOT NULL,
  rank {int} NOT NULL,
  since {int} NOT NULL,
  need {int} NOT NULL
) {options};
CREATE INDEX line_name ON line(name, rank, since, run);
CREATE TABLE ledger(
  node TEXT PRIMARY KEY,
  tokens {int} NOT NULL,
  usd {int} NOT NULL,
  ms {int} NOT NULL,
  model_calls {int} NOT NULL,
  tool_calls {int} NOT NULL,
  documents {int} NOT NULL
) {options};
";

/// `priority` is the base; `boost` and `fit` come on top of it, and `rank` says what that makes.
/// `unscored` = 1 marks roots for which a model may find a better base. Scores are found again
/// by where they stand in the journal.
const FOUR: &str = "
ALTER TABLE run ADD COLUMN boost {int} NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN fit {int} NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN unscored {int} NOT NULL DEFAULT 0;
CREATE INDEX run_unscored ON run(rank) WHERE state = 'ready' AND unscored = 1;
CREATE INDEX journal_score ON journal(pos) WHERE kind = 'rank_set' OR kind = 'embedded';
";

/// The seats that are held, counted from an index alone. Who leads a plan (`rank::LEADER`) holds none.
const FIVE: &str = "
CREATE INDEX run_seat ON run(agent) WHERE state = 'running' AND agent <> 'plan';
";

/// `memory` is an index over the notes that are remembered, by their records; `live` = 1 are those that
/// are shown. `memory_text` finds them by their words. `apart` names the bodies that are kept apart
/// from their records so that they can be erased, by the run whose records they belong to; what was
/// erased has no longer the hash it is kept under. Nothing of this was written before this change.
const SIX: &str = "
CREATE TABLE memory(
  pos {serial},
  workspace TEXT NOT NULL,
  principal TEXT NOT NULL,
  slot TEXT NOT NULL,
  key TEXT NOT NULL,
  session TEXT,
  agent TEXT NOT NULL,
  run {int} NOT NULL,
  seq {int} NOT NULL,
  at {int} NOT NULL,
  used {int} NOT NULL,
  expires {int},
  body TEXT,
  live {int} NOT NULL
) {options};
CREATE INDEX memory_key ON memory(workspace, principal, slot, key);
CREATE INDEX memory_live ON memory(workspace, principal, slot, used, pos) WHERE live = 1;
CREATE INDEX memory_agent ON memory(workspace, principal, agent, pos) WHERE live = 1;
CREATE INDEX memory_session ON memory(workspace, principal, session, pos)
  WHERE live = 1 AND session IS NOT NULL;
{words}
CREATE TABLE apart(
  hash TEXT NOT NULL,
  run {int} NOT NULL,
  erased {int} NOT NULL DEFAULT 0,
  PRIMARY KEY(run, hash)
) {options};
CREATE INDEX apart_hash ON apart(hash);
";

/// `filling` has a row as long as the store is a copy of another one that is not whole.
const SEVEN: &str = "
CREATE TABLE filling(
  first TEXT NOT NULL,
  shown TEXT NOT NULL,
  print TEXT NOT NULL,
  holder {int} NOT NULL
) {options};
";

/// The format of [`EIGHT`].
pub(crate) const DIVIDED: usize = 8;

/// The journal in parts: made by `postgres/partition.rs`, where the server knows them. A file has none.
const EIGHT: &str = "";

/// What runs noted is found by them when they leave.
const NINE: &str = "
CREATE INDEX memory_run ON memory(run);
";

/// The first ready run of each workspace, those that are never passed over (`share::EXEMPT`), and the
/// seats that each workspace holds.
const TEN: &str = "
CREATE INDEX run_share ON run(workspace, rank, turn, root_at) WHERE state = 'ready';
CREATE INDEX run_exempt ON run(rank, turn, root_at)
  WHERE state = 'ready' AND priority + boost + fit >= 900;
DROP INDEX run_seat;
CREATE INDEX run_seat ON run(workspace, agent) WHERE state = 'running' AND agent <> 'plan';
";
