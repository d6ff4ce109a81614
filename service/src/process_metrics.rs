//! What the operating system says of this process, under the names that all Prometheus clients use.
//!
//! Read from `/proc` when somebody asks (proc(5)). Where there is no `/proc`, the metrics are missing.

use std::fs;
use std::time::{SystemTime, UNIX_EPOCH};

use prometheus_client::collector::Collector;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};

/// Clock ticks a second in `/proc`: USER_HZ, which Linux keeps at 100 for all programs.
const TICKS: f64 = 100.0;

/// Metrics below `process_`.
pub(crate) fn registry() -> Registry {
    let mut registry = Registry::with_prefix("process");
    registry.register_collector(Box::new(ProcFs));
    registry
}

#[derive(Debug)]
struct ProcFs;

impl Collector for ProcFs {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> Result<(), std::fmt::Error> {
        let mut metric = |name, help, unit: Option<&Unit>, metric: &dyn EncodeMetric| {
            let encoder = encoder.encode_descriptor(name, help, unit, metric.metric_type())?;
            metric.encode(encoder)
        };
        if let Some(stat) = Stat::read() {
            let cpu = ConstCounter::new(stat.cpu_seconds);
            let help = "Time spent on a CPU, user and system";
            metric("cpu", help, Some(&Unit::Seconds), &cpu)?;
            if let Some(started) = stat.start_time() {
                let started = ConstGauge::new(started);
                let help = "Start of the process, since the Unix epoch";
                metric("start_time", help, Some(&Unit::Seconds), &started)?;
            }
        }
        let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
        if let Some(kilobytes) = number_after(&status, "VmRSS:") {
            let memory = ConstGauge::new(kilobytes * 1_024);
            let help = "Memory in RAM";
            metric("resident_memory", help, Some(&Unit::Bytes), &memory)?;
        }
        if let Some(threads) = number_after(&status, "Threads:") {
            let threads = ConstGauge::new(threads);
            metric("threads", "Threads", None, &threads)?;
        }
        if let Ok(open) = fs::read_dir("/proc/self/fd") {
            // One of them is the listing itself.
            let open = ConstGauge::new(open.count().saturating_sub(1) as u64);
            metric("open_fds", "Open file descriptors", None, &open)?;
        }
        let limits = fs::read_to_string("/proc/self/limits").unwrap_or_default();
        if let Some(most) = number_after(&limits, "Max open files") {
            let most = ConstGauge::new(most);
            let help = "Most file descriptors that may be open";
            metric("max_fds", help, None, &most)?;
        }
        Ok(())
    }
}

/// Of `/proc/self/stat`.
struct Stat {
    cpu_seconds: f64,
    /// Since the machine was started.
    start_seconds: f64,
}

impl Stat {
    fn read() -> Option<Self> {
        Self::parse(&fs::read_to_string("/proc/self/stat").ok()?)
    }

    fn parse(stat: &str) -> Option<Self> {
        // The second field is the program's name in brackets, and may hold anything; the rest begins with the third.
        let (_, rest) = stat.rsplit_once(')')?;
        let fields: Vec<&str> = rest.split_whitespace().collect();
        let ticks = |field: usize| fields.get(field - 3)?.parse::<f64>().ok();
        Some(Self {
            cpu_seconds: (ticks(14)? + ticks(15)?) / TICKS,
            start_seconds: ticks(22)? / TICKS,
        })
    }

    /// Seconds since the Unix epoch.
    fn start_time(&self) -> Option<f64> {
        let uptime = fs::read_to_string("/proc/uptime").ok()?;
        let uptime: f64 = uptime.split_whitespace().next()?.parse().ok()?;
        let now = SystemTime::now().duration_since(UNIX_EPOCH).ok()?;
        // To the hundredth: the two clocks are not read at one moment.
        let started = now.as_secs_f64() - uptime + self.start_seconds;
        Some((started * TICKS).round() / TICKS)
    }
}

/// The first number after `name` at the start of a line.
fn number_after(text: &str, name: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use prometheus_client::encoding::text::encode;

    #[test]
    fn a_program_whose_name_looks_like_fields_is_read() {
        let stat = "7 (a) b (c) S 1 7 7 0 -1 0 0 0 0 0 150 50 0 0 20 0 9 0 1234 0 0";
        let stat = Stat::parse(stat).unwrap();
        assert_eq!((stat.cpu_seconds, stat.start_seconds), (2.0, 12.34));
    }

    #[test]
    fn what_linux_says_of_this_process_is_told() {
        let mut text = String::new();
        encode(&mut text, &registry()).unwrap();
        let value = |name: &str| -> f64 {
            let line = text.lines().find_map(|line| line.strip_prefix(name));
            line.unwrap_or_else(|| panic!("{name}: {text}"))
                .trim()
                .parse()
                .unwrap()
        };
        assert!(value("process_cpu_seconds_total ") >= 0.0);
        assert!(value("process_resident_memory_bytes ") > 100_000.0);
        assert!(value("process_open_fds ") >= 3.0);
        assert!(value("process_max_fds ") >= value("process_open_fds "));
        assert!(value("process_threads ") >= 1.0);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let age = now.as_secs_f64() - value("process_start_time_seconds ");
        assert!((-1.0..3_600.0).contains(&age), "{age}");
    }
}
