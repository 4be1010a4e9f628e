//! How busy the machine is with something else: the one place where that is read.

use std::fs::read_to_string;

/// Ticks of all processors so far: those that other processes used, and all. `None` where the
/// system does not tell, which is everywhere but on Linux.
pub(crate) fn read() -> Option<(u64, u64)> {
    // Both are answered from memory, in microseconds.
    let (busy, all) = machine(&read_to_string("/proc/stat").ok()?)?;
    let own = process(&read_to_string("/proc/self/stat").ok()?)?;
    Some((busy.saturating_sub(own), all))
}

/// Busy ticks and all ticks: `cpu  user nice system idle iowait irq softirq steal …`. What comes
/// behind counts again what is in `user`.
fn machine(stat: &str) -> Option<(u64, u64)> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> =
        line.split_whitespace().take(8).map(str::parse).collect::<Result<_, _>>().ok()?;
    let [user, nice, system, idle, rest @ ..] = &*ticks else { return None };
    let iowait = rest.first().copied().unwrap_or_default();
    let others = rest.iter().skip(1).try_fold(0_u64, |sum, it| sum.checked_add(*it))?;
    let busy = user.checked_add(*nice)?.checked_add(*system)?.checked_add(others)?;
    Some((busy, busy.checked_add(*idle)?.checked_add(iowait)?))
}

/// The ticks of one process: the 14th and 15th field, in user code and in the kernel. The name of
/// the program, the second, may hold anything.
fn process(stat: &str) -> Option<u64> {
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let mut ticks = || fields.next()?.parse::<u64>().ok();
    ticks()?.checked_add(ticks()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_linux_tells_is_read_and_garbage_is_not() {
        let cases = [
            ("cpu  10 20 30 400 50 6 7 8 5 5\ncpu0 1 1 1 1\n", Some((81, 531))),
            ("cpu  10 20 30 400\n", Some((60, 460))),
            ("cpu  10 20 30\n", None),
            ("cpu  10 20 30 -1 0 0 0 0\n", None),
            ("cpu0 10 20 30 400 50 6 7 8\n", None),
            ("cpu  18446744073709551615 1 1 1\n", None),
            ("intr 1\n", None),
            ("", None),
        ];
        for (text, expected) in cases {
            assert_eq!(machine(text), expected, "{text:?}");
        }
        let of = |name: &str| format!("7 ({name}) S 1 7 7 0 -1 4194304 9 9 9 9 40 2 9 9 20 0 5 0");
        for name in ["callboard", "a) S 1 (b", "", "ä\n"] {
            assert_eq!(process(&of(name)), Some(42), "{name:?}");
        }
        for garbage in ["", "7 (callboard) S 1", "7 callboard S 1 7 7 0 -1 4 9 9 9 9 40 2"] {
            assert_eq!(process(garbage), None, "{garbage:?}");
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn this_machine_tells_it() {
        let (others, all) = read().expect("Linux tells it");
        assert!(0 < others && others < all, "{others} of {all}");
    }
}
