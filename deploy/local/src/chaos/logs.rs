//! What the parts had to say at a time: their logs, without reading a single date in them.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _, Seek as _, SeekFrom};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;
use tokio::time::interval;

/// How often it is noted how long each log is.
const EVERY: Duration = Duration::from_millis(250);

/// Most lines of one log at a time, and most characters of a line.
const LINES: usize = 12;
const WIDTH: usize = 240;

/// How long each log was at a time. Logs differ in their form of a date, and in its zone; all of them only grow.
#[derive(Debug)]
struct Mark {
    at: Duration,
    sizes: Vec<(PathBuf, u64)>,
}

/// The logs of a run, followed while it lasts.
#[derive(Debug)]
pub(super) struct Logs {
    folder: PathBuf,
    marks: Arc<Mutex<Vec<Mark>>>,
    task: JoinHandle<()>,
}

impl Logs {
    /// Follows the logs in a folder; times are told from `began` on.
    pub(super) fn follow(folder: PathBuf, began: Instant) -> Self {
        let marks = Arc::<Mutex<Vec<Mark>>>::default();
        let task = tokio::spawn(keep_marking(folder.clone(), began, Arc::clone(&marks)));
        Self {
            folder,
            marks,
            task,
        }
    }

    /// What each log took in at this time, a little more on both sides, and no more than a dozen lines of each.
    pub(super) fn during(&self, time: Range<Duration>) -> Vec<String> {
        let marks = self.marks.lock().unwrap_or_else(PoisonError::into_inner);
        let before = marks.iter().rev().find(|mark| mark.at <= time.start);
        let after = marks.iter().find(|mark| mark.at >= time.end);
        let mut all = Vec::new();
        for (path, length) in sizes(&self.folder) {
            let of = |mark: Option<&Mark>, otherwise| {
                mark.map_or(otherwise, |mark| size_of(mark, &path))
            };
            let bytes = of(before, 0)..of(after, length);
            let lines = read(&path, bytes).unwrap_or_default();
            all.extend(shown(&path, &lines, LINES));
        }
        all
    }

    /// The lines that name this text, of all logs.
    pub(super) fn naming(&self, text: &str) -> Vec<String> {
        let mut all = Vec::new();
        for (path, length) in sizes(&self.folder) {
            let lines = read(&path, 0..length).unwrap_or_default();
            let naming: Vec<_> = lines
                .into_iter()
                .filter(|line| line.contains(text))
                .collect();
            all.extend(shown(&path, &naming, LINES));
        }
        all
    }
}

impl Drop for Logs {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn keep_marking(folder: PathBuf, began: Instant, marks: Arc<Mutex<Vec<Mark>>>) {
    let mut ticks = interval(EVERY);
    loop {
        ticks.tick().await;
        let mark = Mark {
            at: began.elapsed(),
            sizes: sizes(&folder),
        };
        marks
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(mark);
    }
}

/// Every log with its length, by name.
fn sizes(folder: &Path) -> Vec<(PathBuf, u64)> {
    let Ok(entries) = fs::read_dir(folder) else {
        return Vec::new();
    };
    let mut sizes: Vec<_> = entries
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let about = entry.metadata().ok()?;
            about.is_file().then(|| (entry.path(), about.len()))
        })
        .collect();
    sizes.sort_unstable();
    sizes
}

fn size_of(mark: &Mark, path: &Path) -> u64 {
    let found = mark.sizes.iter().find(|(of, _)| of == path);
    found.map_or(0, |(_, size)| *size)
}

fn read(path: &Path, bytes: Range<u64>) -> std::io::Result<Vec<String>> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(bytes.start))?;
    let part = file.take(bytes.end.saturating_sub(bytes.start));
    let lines = BufReader::new(part).split(b'\n');
    lines
        .map(|line| Ok(String::from_utf8_lossy(&line?).into_owned()))
        .collect()
}

fn shown<'a>(path: &Path, lines: &'a [String], most: usize) -> impl Iterator<Item = String> + 'a {
    let name = path
        .file_stem()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default();
    let more = lines.len().saturating_sub(most);
    let omitted = (more > 0).then(|| format!("{name} | ({more} more lines)"));
    let first = lines.iter().take(most).map(move |line| {
        let line: String = line.chars().take(WIDTH).collect();
        format!("{name} | {line}")
    });
    first.chain(omitted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn lines_are_found_by_the_time_at_which_they_came() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("gateway.log");
        let mark = |at| Mark {
            at: Duration::from_secs(at),
            sizes: sizes(folder.path()),
        };
        let mut marks = Vec::new();
        for second in 0..6 {
            marks.push(mark(second));
            let text = fs::read_to_string(&path).unwrap_or_default();
            fs::write(&path, format!("{text}in second {second}\n")).unwrap();
        }
        marks.push(mark(6));
        let logs = Logs {
            folder: folder.path().to_owned(),
            marks: Arc::new(Mutex::new(marks)),
            task: tokio::spawn(async {}),
        };
        let time = Duration::from_millis(2_500)..Duration::from_millis(3_500);
        let expected = ["gateway | in second 2", "gateway | in second 3"];
        assert_eq!(logs.during(time), expected);
        assert_eq!(logs.naming("second 5"), ["gateway | in second 5"]);
        let all = logs.during(Duration::ZERO..Duration::from_secs(60));
        assert_eq!(all.len(), 6);
    }

    #[test]
    fn many_lines_are_counted_and_long_ones_cut() {
        let lines: Vec<_> = (0..20).map(|_| "x".repeat(1_000)).collect();
        let shown: Vec<_> = shown(Path::new("logs/rest.log"), &lines, 3).collect();
        assert_eq!(shown.len(), 4);
        assert_eq!(shown[0].len(), "rest | ".len() + WIDTH);
        assert_eq!(shown[3], "rest | (17 more lines)");
    }
}
