//! What /proc says about a process.

use std::fs;

use anyhow::{Context as _, Result};

/// Resident memory in bytes.
pub(crate) fn resident_bytes(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).context("cannot read the process status")?;
    parse_resident(&status).context("no VmRSS in the process status")
}

/// CPU seconds used so far, user and system, all threads, without children.
pub(crate) fn cpu_seconds(pid: u32) -> Result<f64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).context("cannot read the process statistics")?;
    let ticks = parse_ticks(&stat).context("process statistics of an unknown form")?;
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// CPU seconds that the whole machine has used so far.
#[cfg(feature = "cluster")]
pub(crate) fn machine_seconds() -> Result<f64> {
    let stat = fs::read_to_string("/proc/stat").context("cannot read the machine's statistics")?;
    let ticks = parse_machine_ticks(&stat).context("machine statistics of an unknown form")?;
    Ok(ticks as f64 / rustix::param::clock_ticks_per_second() as f64)
}

/// Allows this process, and the children it will start, as many open files as the system lets it.
pub(crate) fn raise_file_limit(wanted: u64) -> Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok(());
    }
    let raised = limit.maximum.map_or(wanted, |maximum| maximum.min(wanted));
    let new = Rlimit {
        current: Some(raised),
        maximum: limit.maximum,
    };
    setrlimit(Resource::Nofile, new).context("cannot raise the limit of open files")?;
    anyhow::ensure!(
        raised >= wanted,
        "{wanted} open files are needed, the system allows {raised}"
    );
    Ok(())
}

fn parse_resident(status: &str) -> Option<u64> {
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

fn parse_ticks(stat: &str) -> Option<u64> {
    // The second field is the name in parentheses and may hold anything, so count from its end: state is field 3,
    // utime 14 and stime 15.
    let after_name = stat.rsplit_once(')')?.1;
    let mut fields = after_name.split_ascii_whitespace().skip(11);
    let user: u64 = fields.next()?.parse().ok()?;
    let system: u64 = fields.next()?.parse().ok()?;
    Some(user + system)
}

/// All ticks but those of idling and waiting for the disk.
#[cfg(feature = "cluster")]
fn parse_machine_ticks(stat: &str) -> Option<u64> {
    let all = stat.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let ticks: Vec<u64> = all
        .split_ascii_whitespace()
        .map(str::parse)
        .collect::<Result<_, _>>()
        .ok()?;
    let [user, nice, system, _idle, _wait, interrupts, soft, ..] = ticks[..] else {
        return None;
    };
    Some(user + nice + system + interrupts + soft)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_of_proc() {
        assert_eq!(
            parse_resident("Name:\tx\nVmRSS:\t  12 kB\nRssAnon:\t 1 kB\n"),
            Some(12 * 1024)
        );
        let stat = "7 (a ) b) S 1 7 7 0 -1 4194560 100 0 0 0 250 50 0 0 20 0 3 0 100 1 2";
        assert_eq!(parse_ticks(stat), Some(300));
        #[cfg(feature = "cluster")]
        assert_eq!(parse_machine_ticks("cpu  1 2 4 800 900 8 16 0 0 0\ncpu0 1\n"), Some(31));
    }

    #[test]
    fn this_process_has_both() {
        assert!(resident_bytes(std::process::id()).unwrap() > 100_000);
        assert!(cpu_seconds(std::process::id()).unwrap() >= 0.0);
    }
}
