//! What the kernel counts of this process.
use std::fs;

use anyhow::Context;

/// The largest resident set so far, in MiB.
pub(crate) fn peak_rss_mib() -> anyhow::Result<f64> {
    let status = fs::read_to_string("/proc/self/status").context("/proc/self/status cannot be read")?;
    let kib: f64 = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:")?.trim().strip_suffix("kB")?.trim().parse().ok())
        .context("/proc/self/status has no VmHWM line")?;
    Ok(kib / 1024.0)
}

/// Seconds that all threads together have computed, in steps of 10 ms.
pub(crate) fn cpu_seconds() -> anyhow::Result<f64> {
    let stat = fs::read_to_string("/proc/self/stat").context("/proc/self/stat cannot be read")?;
    // The second field is the name in parentheses and may hold anything; utime and stime are the 14th and 15th. Their unit
    // is fixed at 1/100 s for what leaves the kernel.
    let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest).split_whitespace();
    let ticks: Vec<u64> = fields.skip(11).take(2).filter_map(|field| field.parse().ok()).collect();
    match ticks[..] {
        [user, system] => Ok((user + system) as f64 / 100.0),
        _ => anyhow::bail!("/proc/self/stat has no times"),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    #[test]
    fn computing_takes_time_and_memory() -> anyhow::Result<()> {
        assert!(peak_rss_mib()? > 1.0);
        let (before, start) = (cpu_seconds()?, Instant::now());
        // Other work may hold the core; a minute is enough anywhere.
        while cpu_seconds()? < before + 0.05 && start.elapsed() < Duration::from_secs(60) {
            std::hint::spin_loop();
        }
        assert!(cpu_seconds()? >= before + 0.05);
        Ok(())
    }
}
