//! A job in a directory of its own, and the real binary that runs it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

/// Three statements in one job: rows copied, windows counted, and totals that update.
const SQL: &str = "
SET 'state.checkpoints.num-retained' = '1';
CREATE TABLE numbers (id BIGINT, k BIGINT, v BIGINT, ts TIMESTAMP(3), WATERMARK FOR ts AS ts - INTERVAL '5' SECOND) WITH (
  'connector' = 'filesystem', 'path' = '${INPUT}', 'format' = 'csv',
  'scan.rows-per-second' = '${PACE}', 'scan.batch-size' = '2kb'
);
CREATE TABLE copied (id BIGINT, v BIGINT) WITH ('connector' = 'filesystem', 'path' = '${OUTPUT}/copied', 'format' = 'csv');
CREATE TABLE windows (w TIMESTAMP(3), k BIGINT, c BIGINT, s BIGINT) WITH (
  'connector' = 'filesystem', 'path' = '${OUTPUT}/windows', 'format' = 'csv'
);
CREATE TABLE totals (k BIGINT, c BIGINT, s BIGINT) WITH (
  'connector' = 'filesystem', 'path' = '${OUTPUT}/totals', 'format' = 'csv', 'sink.changelog' = 'true'
);
EXECUTE STATEMENT SET BEGIN
  INSERT INTO copied SELECT id, v FROM numbers;
  INSERT INTO windows SELECT window_start, k, COUNT(*), SUM(v)
    FROM TABLE(TUMBLE(TABLE numbers, DESCRIPTOR(ts), INTERVAL '10' SECOND)) GROUP BY window_start, window_end, k;
  INSERT INTO totals SELECT k, COUNT(*), SUM(v) FROM numbers GROUP BY k;
END;
";

pub const ROWS: u64 = 30_000;

/// No brake.
pub const FAST: u64 = 1_000_000_000;

/// Waiting for a process never takes longer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a job, its input, its output and its state lie.
pub struct Place {
    root: PathBuf,
}

impl Place {
    /// Writes the job and its input below `root`.
    pub fn new(root: &Path) -> Self {
        fs::write(root.join("job.sql"), SQL).unwrap();
        let mut input = String::new();
        for id in 0..ROWS {
            // Ten rows a second of event time, up to three seconds out of order, 97 keys.
            let ms = (id * 100 + (id * 7919) % 3000) % 3_600_000;
            let (minute, second, rest) = (ms / 60_000, ms / 1000 % 60, ms % 1000);
            let (k, v) = (id * id % 97, id % 1000);
            writeln!(input, "{id},{k},{v},2026-03-01 10:{minute:02}:{second:02}.{rest:03}").unwrap();
        }
        fs::write(root.join("numbers.csv"), input).unwrap();
        Self { root: root.to_path_buf() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Starts `sluice run`, with state in `state` and output in `output` of this place.
    pub fn start(&self, pace: u64) -> Sluice {
        self.start_on(2, pace)
    }

    pub fn start_on(&self, parallelism: usize, pace: u64) -> Sluice {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sluice"));
        command.arg("run").arg(self.path("job.sql")).arg("--state").arg(self.path("state"));
        command.args(["--checkpoint-interval", "50ms", "--parallelism", &parallelism.to_string()]);
        let vars = [
            format!("INPUT={}", self.path("numbers.csv").display()),
            format!("OUTPUT={}", self.path("output").display()),
            format!("PACE={pace}"),
        ];
        for var in &vars {
            command.args(["--var", var]);
        }
        let child = command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        Sluice { child }
    }

    /// Every visible row of each table: a multiset, changelogs applied.
    pub fn rows(&self) -> BTreeMap<String, i64> {
        let mut rows = BTreeMap::new();
        for table in ["copied", "windows", "totals"] {
            let Ok(entries) = fs::read_dir(self.path("output").join(table)) else { continue };
            for path in entries.map(|e| e.unwrap().path()).filter(|p| p.is_file()) {
                let text = fs::read_to_string(&path).unwrap();
                assert!(text.is_empty() || text.ends_with('\n'), "{} ends in the middle of a line", path.display());
                for line in text.lines() {
                    let (change, row) = match line.split_at_checked(3) {
                        Some(("+I," | "+U,", row)) => (1, row),
                        Some(("-U," | "-D,", row)) => (-1, row),
                        _ => (1, line),
                    };
                    *rows.entry(format!("{table}: {row}")).or_insert(0) += change;
                }
            }
        }
        rows.retain(|_, n| *n != 0);
        rows
    }

    /// Objects of the state directory, without the lock and what the probe left.
    pub fn state_objects(&self) -> Vec<PathBuf> {
        let mut found = Vec::new();
        let mut open = vec![self.path("state")];
        while let Some(directory) = open.pop() {
            for path in fs::read_dir(directory).unwrap().map(|e| e.unwrap().path()) {
                if path.is_dir() {
                    open.push(path);
                } else if !path.ends_with("lock") && !path.components().any(|c| c.as_os_str() == "probe") {
                    found.push(path);
                }
            }
        }
        found.sort();
        found
    }

    /// Starts slowly and waits until some output is visible: at least one epoch is committed.
    pub fn start_and_wait_for_output(&self, pace: u64) -> Sluice {
        let before = self.rows().len();
        let mut sluice = self.start(pace);
        for _ in 0..PATIENCE.as_millis() / 10 {
            if self.rows().len() > before {
                return sluice;
            }
            if !sluice.is_running() {
                panic!("ended too early: {}", sluice.wait().errors);
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("no output became visible within {PATIENCE:?}: {}", sluice.kill().errors);
    }
}

/// What an undisturbed run writes, computed once per test binary.
pub fn undisturbed() -> &'static BTreeMap<String, i64> {
    static ROWS_OF: std::sync::OnceLock<BTreeMap<String, i64>> = std::sync::OnceLock::new();
    ROWS_OF.get_or_init(|| {
        let directory = tempfile::tempdir().unwrap();
        let place = Place::new(directory.path());
        let ended = place.start(FAST).wait();
        assert!(ended.status.success(), "{}", ended.errors);
        let rows = place.rows();
        assert_eq!(rows.keys().filter(|r| r.starts_with("copied")).count() as u64, ROWS);
        assert_eq!(rows.keys().filter(|r| r.starts_with("totals")).count() as u64, distinct_keys());
        rows
    })
}

fn distinct_keys() -> u64 {
    (0..ROWS).map(|id| id * id % 97).collect::<std::collections::BTreeSet<_>>().len() as u64
}

pub struct Sluice {
    child: Child,
}

/// How it ended.
#[derive(Debug)]
pub struct Ended {
    pub status: ExitStatus,
    pub errors: String,
}

impl Sluice {
    /// Sends a signal by name, as a person would.
    pub fn signal(&self, name: &str) {
        let sent = Command::new("kill")
            .arg(format!("-{name}"))
            .arg(self.child.id().to_string())
            .status()
            .expect("kill is there");
        assert!(sent.success(), "signal {name}");
    }

    pub fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Kills it without a chance to react.
    pub fn kill(mut self) -> Ended {
        self.child.kill().unwrap();
        self.wait()
    }

    /// Its end, or its death after a while.
    pub fn wait(mut self) -> Ended {
        let mut pipe = self.child.stderr.take().expect("stderr is piped");
        let reader = std::thread::spawn(move || {
            let mut errors = String::new();
            let _ = pipe.read_to_string(&mut errors); // What is there is what is shown.
            errors
        });
        let mut waited = Duration::ZERO;
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if waited > PATIENCE {
                let _ = self.child.kill();
                let _ = self.child.wait();
                panic!("still running after {PATIENCE:?}: {}", reader.join().unwrap());
            }
            std::thread::sleep(Duration::from_millis(10));
            waited += Duration::from_millis(10);
        };
        Ended { status, errors: reader.join().unwrap() }
    }
}
