//! Tasks that wait for each other in a circle.

use std::collections::HashMap;

use callboard_trace::PlanStep;

/// A circle of tasks that wait for each other, its first one named again at its end.
pub fn cycle(steps: &[PlanStep]) -> Option<Vec<&str>> {
    let at: HashMap<&str, usize> = steps.iter().enumerate().map(|(at, it)| (&*it.id, at)).collect();
    let needs = |it: usize| steps[it].after.iter().filter_map(|id| at.get(&**id).copied());
    let mut unmet: Vec<usize> = (0..steps.len()).map(|it| needs(it).count()).collect();
    let mut heirs: Vec<Vec<usize>> = vec![Vec::new(); steps.len()];
    for it in 0..steps.len() {
        needs(it).for_each(|need| heirs[need].push(it));
    }
    let mut free: Vec<usize> = (0..steps.len()).filter(|it| unmet[*it] == 0).collect();
    while let Some(done) = free.pop() {
        for heir in &heirs[done] {
            unmet[*heir] -= 1;
            if unmet[*heir] == 0 {
                free.push(*heir);
            }
        }
    }
    // Who is left waits for somebody who is left: walking from need to need comes round.
    let mut here = (0..steps.len()).find(|it| unmet[*it] > 0)?;
    let mut path = Vec::new();
    let mut seen = HashMap::new();
    while !seen.contains_key(&here) {
        seen.insert(here, path.len());
        path.push(here);
        here = needs(here).find(|it| unmet[*it] > 0)?;
    }
    let round = path[seen[&here]..].iter().chain([&here]).rev();
    Some(round.map(|it| &*steps[*it].id).collect())
}
