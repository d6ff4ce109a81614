//! `clima-local status`: how each part is.

use std::path::Path;

use anyhow::bail;

use crate::control::{PartStatus, Reply, Request, ask};

/// Prints a table, or JSON for scripts.
pub(crate) async fn run(json: bool, state_dir: &Path) -> anyhow::Result<()> {
    let Reply::Parts { parts } = ask(state_dir, Request::Status).await? else {
        bail!("the stack is still being started");
    };
    if json {
        println!("{}", serde_json::to_string_pretty(&parts)?);
    } else {
        print!("{}", table(&parts));
    }
    Ok(())
}

fn table(parts: &[PartStatus]) -> String {
    let row = |part: &str, address: &str, pid: &str, memory: &str, up: &str, state: &str| {
        format!("{part:<18} {address:<18} {pid:>8} {memory:>9} {up:>10}  {state}\n")
    };
    let mut text = row("PART", "ADDRESS", "PID", "RSS", "UPTIME", "STATE");
    for part in parts {
        let pid = part.pid.map(|pid| pid.to_string()).unwrap_or_default();
        let memory = part
            .rss_bytes
            .map(|bytes| format!("{} MiB", bytes >> 20))
            .unwrap_or_default();
        let up = part.uptime_seconds.map(uptime).unwrap_or_default();
        text += &row(
            part.part.name(),
            &part.address,
            &pid,
            &memory,
            &up,
            &part.state,
        );
    }
    text
}

fn uptime(seconds: u64) -> String {
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m {seconds:02}s"),
        (hours, minutes, _) => format!("{hours}h {minutes:02}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clima_local::Part;

    #[test]
    fn a_dead_part_shows_how_it_ended_and_no_process() {
        let dead = PartStatus {
            part: Part::Kafka,
            address: "127.0.0.1:9092".to_owned(),
            pid: None,
            state: "was killed".to_owned(),
            rss_bytes: None,
            uptime_seconds: None,
        };
        let alive = PartStatus {
            pid: Some(42),
            state: "running".to_owned(),
            rss_bytes: Some(5 << 20),
            uptime_seconds: Some(3_725),
            ..dead.clone()
        };
        let text = table(&[dead, alive]);
        let lines: Vec<Vec<&str>> = text
            .lines()
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(lines[1], ["kafka", "127.0.0.1:9092", "was", "killed"]);
        assert_eq!(lines[2][2..], ["42", "5", "MiB", "1h", "02m", "running"]);
    }
}
