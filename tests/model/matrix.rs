//! Each fault of an endpoint, streamed and not, in the first, a middle and the last turn of a run.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use callboard_scheduler::Desk;
use callboard_trace::{Event, FailureCode, Record, RunId, RunView, State, Work};
use futures::future::join_all;
use serde_json::{Value, json};

use crate::endpoint::{Act, Ask, Endpoint, Request};
use crate::faults::{End, Fault, faults};
use crate::gone;
use crate::stage::{Stage, ask, caller, end, records, tell};

/// Attempts of one step that count, and those that its provider asked to wait with.
const ATTEMPTS: u32 = 3;
const RATE_LIMITED: u32 = 10;
/// What stands above the table.
const LEGEND: &str = "\
Each fault in the first, a middle and the last turn of a run, streamed and whole: what becomes of it.
One line where all six end alike. `goes on, N more` = it does all it was to do with N more requests;
`answers` = what came is its answer; a stop and a code `after N` = it ends with them, after N requests.

";
/// What all providers are given, and nobody is shown.
pub(crate) const KEY: &str = "a-key-for-every-provider-of-the-matrix";
/// What the places of a run are called.
pub(crate) const PLACES: [&str; 3] = ["first", "middle", "last"];

/// One meeting of a run with a fault.
struct Cell {
    fault: Arc<Fault>,
    /// How many files it has written when it meets it: 0, 1 or 2 of two.
    place: usize,
    streams: bool,
    end: End,
}

fn cells() -> Vec<Cell> {
    let mut cells = Vec::new();
    for fault in faults().into_iter().map(Arc::new) {
        for place in 0..PLACES.len() {
            for (streams, end) in [true, false].into_iter().zip(fault.ends) {
                let fault = Arc::clone(&fault);
                cells.extend(end.map(|end| Cell { fault, place, streams, end }));
            }
        }
    }
    cells
}

/// Two files and an answer, whatever the run is called.
pub(crate) fn plain(ask: &Ask, run: &str) -> Act {
    let wrote = wrote(ask);
    if wrote == 2 {
        return Act::answer(&json!({"summary": "done", "confidence": 0.5}));
    }
    let path = format!("{run}/{}", wrote + 1);
    Act::call("Write", json!({"file_path": path, "content": "a thought"}))
}

/// How many files the conversation tells of.
pub(crate) fn wrote(ask: &Ask) -> usize {
    let told = ask.messages().iter().filter(|it| it["role"] == "tool");
    told.filter(|it| it["content"].to_string().contains("made `")).count()
}

/// As always, but for the fault of the cell that asks.
fn script(cells: Arc<Vec<Cell>>) -> impl Fn(&Ask) -> Act + Send + Sync + 'static {
    let met: Mutex<HashMap<usize, usize>> = Mutex::default();
    move |ask| {
        let user = ask.user();
        let nth: usize =
            user.split_whitespace().find_map(|it| it.parse().ok()).expect("the number of a cell");
        let cell = &cells[nth];
        let mut met = met.lock().expect("the count");
        let times = met.entry(nth).or_default();
        if wrote(ask) == cell.place && *times < cell.fault.times {
            *times += 1;
            return (cell.fault.act)(ask);
        }
        plain(ask, &format!("c{nth}"))
    }
}

/// Each cell asks a provider of its own: what one of them fails at, or asks a pause for, holds up
/// whoever shares it.
fn team(base_url: &str, cells: &[Cell]) -> Stage {
    let stage = Stage::at(base_url, "");
    let mut providers = String::new();
    for (nth, cell) in cells.iter().enumerate() {
        let idle = if cell.fault.is_of_patience() { "idle_s: 2, timeout_s: 4, " } else { "" };
        providers.push_str(&provider(&format!("c{nth}"), base_url, cell.streams, idle));
        agent(&stage, &format!("c{nth}"));
    }
    finish(&stage, &providers);
    stage
}

pub(crate) fn provider(name: &str, base_url: &str, streams: bool, more: &str) -> String {
    format!(
        "  {name}: {{base_url: \"{base_url}\", api_key: \"file:key\", {more}stream: {streams}}}\n"
    )
}

/// An agent that writes files, on the model of its own name.
pub(crate) fn agent(stage: &Stage, name: &str) {
    let fields = format!(
        "name: {name}\ndescription: x\nmodel: {name}/{name}\nmaxTurns: 8\ntemperature: 0.5\n\
         permissions: {{write: allow}}"
    );
    stage.write(&format!("agents/{name}.md"), &format!("---\n{fields}\n---\nWork.\n"));
}

pub(crate) fn finish(stage: &Stage, providers: &str) {
    let limits = "limits: {event_bytes: 64KiB, reply_bytes: 256KiB, concurrent: 900, raise: true}";
    let rest = format!("models: {{default: c0/m}}\nroots: [work]\n{limits}\n");
    stage.write("team.yaml", &format!("providers:\n{providers}{rest}"));
    stage.write("key", KEY);
    std::fs::create_dir_all(stage.team().join("work")).expect("a folder");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_fault_in_every_place_ends_as_it_should() {
    let cells = Arc::new(cells());
    let endpoint = Endpoint::start(script(cells.clone())).await;
    let stage = team(&endpoint.base_url(), &cells);
    let node = stage.node().await;
    let desk = &node.desk();
    let mut played = BTreeMap::new();
    // Whose provider has little time meets its fault when the others are over.
    for is_patient in [false, true] {
        let these = cells.iter().enumerate().filter(|it| it.1.fault.is_of_patience() == is_patient);
        let these = these.map(|(nth, cell)| async move {
            let asked = ask(&format!("c{nth}"), &format!("cell {nth}"));
            let run = desk.submit(asked).await.expect("in").run;
            (nth, settled(desk, &run, cell).await)
        });
        played.extend(join_all(these).await);
    }
    // What asks a machine for its time is not asked of it while it is busy with all the others.
    let mut table = gone::rows().await;
    let mut seen: HashMap<String, Vec<Request>> = HashMap::new();
    for request in endpoint.requests() {
        let model = request.body["model"].as_str().expect("a model").to_owned();
        seen.entry(model).or_default().push(request);
    }
    let mut wrong = Vec::new();
    for (nth, (cell, (view, records))) in cells.iter().zip(played.values()).enumerate() {
        let met = Met { cell, view, records, asked: &seen[&format!("c{nth}")] };
        let Cell { fault, place, streams, end } = cell;
        let became = met.end();
        let mut all = met.problems();
        if became != end.to_string() {
            all.push(format!("it {became} and not: {end}"));
        }
        let files = names(&stage.team().join(format!("work/c{nth}")));
        if files != (1..=met.files()).map(|it| it.to_string()).collect() {
            all.push(format!("it wrote {files:?}"));
        }
        if !all.is_empty() {
            let (name, told) = (&fault.name, tell(records));
            wrong.push(format!("{name}, place {place}, stream {streams}: {all:#?}\n{told}"));
        }
        row(&mut table, &fault.name)[usize::from(!streams) * 3 + place].insert(became);
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cells.len(), wrong.join("\n"));
    assert!(!stage.team().join("work/half").exists(), "a call was made that was cut off");
    insta::assert_snapshot!(shown(&table));
    node.stop().await;
}

fn names(folder: &std::path::Path) -> BTreeSet<String> {
    let all = std::fs::read_dir(folder).into_iter().flatten().flatten();
    all.map(|it| it.file_name().to_string_lossy().into_owned()).collect()
}

async fn settled(desk: &Desk, run: &RunId, cell: &Cell) -> (RunView, Vec<Record>) {
    if cell.end != End::Parks {
        let view = end(desk, run).await;
        return (view, records(desk, run).await);
    }
    loop {
        let all = records(desk, run).await;
        if all.iter().any(|it| matches!(it.event, Event::StepFailed(_))) {
            return (desk.view(run, &caller()).await.expect("there"), all);
        }
        desk.changed().await;
    }
}

/// For each fault what became of a run in each of its places: streamed, and then not.
pub(crate) type Table = Vec<(String, [BTreeSet<String>; 6])>;

pub(crate) fn row<'a>(table: &'a mut Table, name: &str) -> &'a mut [BTreeSet<String>; 6] {
    let at = table.iter().position(|it| it.0 == name).unwrap_or_else(|| {
        table.push((name.to_owned(), Default::default()));
        table.len() - 1
    });
    &mut table[at].1
}

/// The table as lines, those of one number together; a fault whose cells all end alike has one.
fn shown(table: &Table) -> String {
    let mut table: Vec<_> = table.iter().collect();
    table.sort_by(|a, b| a.0[..3].cmp(&b.0[..3]));
    let mut lines = LEGEND.to_owned();
    for (name, cells) in table {
        let cell = |it: &BTreeSet<String>| {
            let all: Vec<&str> = it.iter().map(String::as_str).collect();
            if all.is_empty() { "-".to_owned() } else { all.join(" | ") }
        };
        let cells: Vec<String> = cells.iter().map(cell).collect();
        if cells.iter().all(|it| *it == cells[0]) {
            lines.push_str(&format!("{name:<40} {}\n", cells[0]));
            continue;
        }
        lines.push_str(&format!("{name}\n"));
        for (way, cells) in ["streamed", "whole"].iter().zip(cells.chunks(3)) {
            let each = PLACES.iter().zip(cells);
            let each: Vec<String> = each.map(|(place, it)| format!("{place}: {it}")).collect();
            let same = cells.iter().all(|it| *it == cells[0]);
            let said = if same { cells[0].clone() } else { each.join("; ") };
            lines.push_str(&format!("    {way:<36} {said}\n"));
        }
    }
    lines
}

/// A run that met its fault, and what both sides know of it.
struct Met<'a> {
    cell: &'a Cell,
    view: &'a RunView,
    records: &'a [Record],
    asked: &'a [Request],
}

impl Met<'_> {
    /// The files that it wrote.
    fn files(&self) -> usize {
        let is_one = |it: &&Record| match &it.event {
            Event::ToolReturned { ok: true, files, .. } => files.iter().any(|it| it.wrote),
            _ => false,
        };
        self.records.iter().filter(is_one).count()
    }

    /// What became of it, in the words of [`End`].
    fn end(&self) -> String {
        let (place, files) = (self.cell.place, self.files());
        let mut asked = self.asked.len();
        // A busy machine may try such a patience once more.
        let most = match self.cell.end {
            End::Recovers(more) => 3 + more,
            End::Fails(_, _, times) => place + times,
            End::Answers | End::Parks => place + 1,
        };
        if self.cell.fault.is_of_patience() && asked == most + 1 {
            asked = most;
        }
        match (&self.view.error, self.view.stop) {
            (None, _) if self.view.state == State::Queued => End::Parks.to_string(),
            (None, _) if self.view.state != State::Completed => format!("{:?}", self.view.state),
            (None, _) if files == place && asked == place + 1 => End::Answers.to_string(),
            (None, _) => {
                format!("{}, {files} files", End::Recovers(asked - 3)).replace(", 2 files", "")
            }
            (Some(error), Some(stop)) if files == place => {
                End::Fails(stop, error.code, asked - place).to_string()
            }
            (Some(error), stop) => format!("{stop:?} {error:?}, {files} files"),
        }
    }

    /// What must hold whatever the fault is.
    fn problems(&self) -> Vec<String> {
        let mut all = Vec::new();
        let (mut counted, mut limited) = (BTreeMap::<u32, u32>::new(), BTreeMap::new());
        for record in self.records {
            match &record.event {
                Event::StepBegun(begun) => match &begun.work {
                    Work::Model { .. } => *counted.entry(begun.step).or_default() += 1,
                    work @ Work::Tool { .. } => {
                        let work = serde_json::to_string(work).expect("JSON");
                        all.extend(work.contains("half").then(|| format!("made: {work}")));
                    }
                },
                Event::StepFailed(it) if it.code == FailureCode::RateLimited => {
                    *limited.entry(it.step).or_default() += 1;
                }
                _ => {}
            }
            if serde_json::to_string(&record.event).is_ok_and(|it| it.contains(KEY)) {
                all.push("a record holds the key".into());
            }
        }
        for (step, begun) in counted {
            let limited: u32 = limited.get(&step).copied().unwrap_or_default();
            if begun - limited > ATTEMPTS || limited > RATE_LIMITED {
                all.push(format!("step {step} has {begun} attempts, {limited} of them limited"));
            }
        }
        all.extend(self.asked.iter().filter_map(|it| odd_history(&it.body)));
        all.extend(self.told_of_the_key());
        let told = serde_json::to_string(self.view).expect("JSON");
        if !told.contains(self.cell.fault.tells) || told.contains(KEY) {
            all.push(told);
        }
        all.extend(self.hurried());
        all
    }

    /// Who refused a key, and where that is written, is told.
    fn told_of_the_key(&self) -> Option<String> {
        let error = self.view.error.as_ref().filter(|it| it.code == FailureCode::Unauthorized)?;
        let tells = |it: &str| error.message.contains(it);
        (!tells("provider \"c") || !tells("check the key in file:")).then(|| error.message.clone())
    }

    /// The request that came sooner than it was to.
    fn hurried(&self) -> Option<String> {
        let at = |it: &Request| it.at;
        let at: Vec<_> = self.asked.iter().map(at).collect();
        let (fault, next) = (at.get(self.cell.place)?, at.get(self.cell.place + 1)?);
        let waited = *next - *fault;
        (waited < self.cell.fault.pause).then(|| format!("it came again after {waited:?}"))
    }
}

/// What makes a prompt one that an endpoint refuses: each call is answered once, right behind it.
fn odd_history(body: &Value) -> Option<String> {
    let mut open: BTreeSet<&str> = BTreeSet::new();
    for message in body["messages"].as_array()? {
        if message["role"] == "tool" {
            let id = message["tool_call_id"].as_str()?;
            if !open.remove(id) {
                return Some(format!("{id:?} is answered and was not called"));
            }
            continue;
        }
        if !open.is_empty() {
            return Some(format!("{open:?} are not answered"));
        }
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            if !call["id"].as_str().is_some_and(|it| !it.is_empty() && open.insert(it)) {
                return Some(format!("the id {} is none of its own", call["id"]));
            }
        }
    }
    (!open.is_empty()).then(|| format!("{open:?} are not answered at the end"))
}
