//! Who has which share of a plan's budget: a task, or an agent for all its tasks alike.

use std::collections::{BTreeMap, HashMap};

use callboard_trace::PlanStep;

use crate::TaskAsk;

/// The whole, as shares are counted.
const WHOLE: u64 = 1_000_000;

/// Gives each task its share of `split`, which names tasks and agents; `entry` does what nobody is
/// named for. Answers everything that is wrong with the shares.
pub(crate) fn share_out(
    tasks: &mut [TaskAsk],
    ids: &[String],
    entry: &str,
    split: &BTreeMap<String, f64>,
) -> Vec<String> {
    let mut problems = Vec::new();
    let bad = |share: f64| !(0.0..=1.0).contains(&share);
    for (at, task) in tasks.iter().enumerate() {
        if let Some(share) = task.share.filter(|it| bad(*it)) {
            problems.push(format!("tasks[{at}].share: {share} is no share; write 0 to 1"));
        }
    }
    let by_id: HashMap<&str, usize> = ids.iter().enumerate().map(|(at, it)| (&**it, at)).collect();
    let mut by_agent: HashMap<String, Vec<usize>> = HashMap::new();
    for (at, task) in tasks.iter().enumerate() {
        let agent = task.to.as_deref().unwrap_or(entry).to_lowercase();
        by_agent.entry(agent).or_default().push(at);
    }
    let mut given: Vec<(usize, f64)> = Vec::new();
    for (name, share) in split {
        let is_free = |at: &usize| tasks[*at].share.is_none() && !split.contains_key(&ids[*at]);
        let of_agent = || by_agent.get(&name.to_lowercase());
        let shared: Vec<usize> = match (by_id.get(name.as_str()), of_agent()) {
            _ if bad(*share) => {
                problems.push(format!("split.{name}: {share} is no share; write 0 to 1"));
                continue;
            }
            (Some(at), _) => {
                Some(*at).filter(|at| tasks[*at].share.is_none()).into_iter().collect()
            }
            (None, Some(all)) => all.iter().copied().filter(is_free).collect(),
            (None, None) => {
                problems.push(format!("split.{name}: no task and no agent of them has that name"));
                continue;
            }
        };
        if shared.is_empty() {
            problems.push(format!("split.{name}: has its share already; write it once"));
        }
        let each = PlanStep::millionths(*share) / shared.len().max(1) as u64;
        given.extend(shared.into_iter().map(|at| (at, each as f64 / WHOLE as f64)));
    }
    given.into_iter().for_each(|(at, share)| tasks[at].share = Some(share));
    let shares = tasks.iter().filter_map(|it| it.share).filter(|it| !bad(*it));
    let sum: u64 = shares.map(PlanStep::millionths).sum();
    if sum > WHOLE {
        let sum = sum as f64 / WHOLE as f64;
        problems.push(format!("split: the shares are {sum} together, at most 1"));
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(tasks: &[(&str, &str, Option<f64>)], split: &[(&str, f64)]) -> (String, Vec<String>) {
        let ids: Vec<String> = tasks.iter().map(|it| it.0.to_owned()).collect();
        let task = |it: &(&str, &str, Option<f64>)| TaskAsk {
            to: (!it.1.is_empty()).then(|| it.1.to_owned()),
            share: it.2,
            ..TaskAsk::default()
        };
        let mut tasks: Vec<TaskAsk> = tasks.iter().map(task).collect();
        let split = split.iter().map(|it| (it.0.to_owned(), it.1)).collect();
        let problems = share_out(&mut tasks, &ids, "lead", &split);
        let shares =
            tasks.iter().map(|it| it.share.map_or_else(|| "-".into(), |it| it.to_string()));
        (shares.collect::<Vec<_>>().join(" "), problems)
    }

    #[test]
    fn a_share_is_a_tasks_or_an_agents_for_all_its_tasks() {
        let whole =
            [("a", "lead", None), ("b", "Coder", None), ("c", "coder", None), ("d", "", None)];
        let none: [String; 0] = [];
        let cases: [(&[(&str, f64)], &str); 5] = [
            (&[], "- - - -"),
            (&[("a", 0.1), ("coder", 0.6)], "0.1 0.3 0.3 -"),
            (&[("lead", 0.1), ("b", 0.9)], "0.05 0.9 - 0.05"),
            (&[("CODER", 0.9), ("b", 0.1)], "- 0.1 0.9 -"),
            (&[("a", 0.1), ("b", 0.2), ("c", 0.7), ("d", 0.0)], "0.1 0.2 0.7 0"),
        ];
        for (split, shares) in cases {
            let (found, problems) = told(&whole, split);
            assert_eq!((found.as_str(), &problems[..]), (shares, &none[..]), "{split:?}");
        }
        let three = [("a", "x", None), ("b", "x", None), ("c", "x", None)];
        assert_eq!(told(&three, &[("x", 1.0)]).0, "0.333333 0.333333 0.333333");
        let own = [("a", "x", Some(0.4)), ("b", "x", None)];
        assert_eq!(told(&own, &[("x", 0.6)]), ("0.4 0.6".into(), vec![]));
    }

    #[test]
    fn everything_that_is_wrong_with_shares_is_told_at_once() {
        let tasks = [("a", "x", Some(-0.5)), ("b", "x", Some(0.7)), ("c", "y", None)];
        let split = [("b", 0.1), ("nobody", 0.1), ("x", 0.1), ("y", 0.8), ("z", 1.5)];
        let (_, problems) = told(&tasks, &split);
        assert_eq!(
            problems,
            [
                "tasks[0].share: -0.5 is no share; write 0 to 1",
                "split.b: has its share already; write it once",
                "split.nobody: no task and no agent of them has that name",
                "split.x: has its share already; write it once",
                "split.z: 1.5 is no share; write 0 to 1",
                "split: the shares are 1.5 together, at most 1",
            ]
        );
        assert_eq!(told(&tasks[2..], &[("c", f64::NAN)]).1.len(), 1);
    }
}
