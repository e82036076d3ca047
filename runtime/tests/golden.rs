//! Golden cases (`sql/README.md`): each runs straight, in parallel, over ranges of its files, across crashes, and across stops
//! that are resumed at another parallelism; the rows are always those that Flink gave.
//!
//! `SLUICE_GOLDEN=join` runs only the cases whose name begins with `join`. A failure names the case, the mode and the seed.

#[path = "golden/case.rs"]
mod case;
#[path = "golden/job.rs"]
mod job;
#[path = "golden/output.rs"]
mod output;

use case::{Case, cases};
use job::{Job, Reading};
use sluice_runtime::coordinator::Outcome;
use std::cell::Cell;
use std::future::Future;
use std::path::Path;

/// Cases that the engine does not do yet, with the reason. Shrinks only: one that passes must be struck out.
const GAPS: &[(&str, &str)] = &[("dst_windows", "windows over TIMESTAMP_LTZ follow UTC only")];

/// Cases that take longer are listed when the test fails.
const SLOW: std::time::Duration = std::time::Duration::from_secs(3);

/// Deterministic choices, a stream for each case and mode.
struct Seed(u64);

impl Seed {
    fn of(text: &str) -> Self {
        Self(text.bytes().fold(0xcbf2_9ce4_8422_2325, |h, b| (h ^ u64::from(b)).wrapping_mul(0x100_0000_01b3)))
    }

    /// Below `n` (SplitMix64).
    fn below(&mut self, n: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % n
    }

    fn pick<T: Copy>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize]
    }
}

fn scratch() -> tempfile::TempDir {
    // Memory where there is such a place: the runs sync every part to disk.
    let memory = Path::new("/dev/shm");
    let made = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    made.expect("a directory for output")
}

/// Runs every case of a mode and lists all failures at the end.
fn check<F>(mode: &str, wanted: impl Fn(&Case) -> bool, run: impl Fn(Case, Seed, tempfile::TempDir) -> F)
where
    F: Future<Output = Result<Vec<String>, String>>,
{
    // Its one thread serves the timers and reads of worker threads while this thread waits for them.
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let (mut passed, mut failures) = (0, vec![]);
    for case in cases().into_iter().filter(wanted) {
        let gap = GAPS.iter().find(|(name, _)| *name == case.name);
        let seed = Seed::of(&format!("{mode} {}", case.name));
        #[allow(clippy::disallowed_methods, reason = "how long a case took, for people only")]
        let began = std::time::Instant::now();
        let found = tokio::task::LocalSet::new().block_on(&runtime, run(case.clone(), seed, scratch()));
        if began.elapsed() > SLOW {
            eprintln!("{mode} {}: {:?}", case.name, began.elapsed());
        }
        let failure = match found {
            Err(e) => Some(e),
            Ok(rows) => output::difference(&case.expected, &rows),
        };
        match (failure, gap) {
            (None, None) => passed += 1,
            (Some(_), Some(_)) => {}
            (Some(e), None) => failures.push(format!("{}: {e}", case.name)),
            (None, Some((_, why))) if mode == "straight" => {
                failures.push(format!("{}: passes now, strike it from GAPS ({why})", case.name));
            }
            (None, Some(_)) => {}
        }
    }
    assert!(
        failures.is_empty(),
        "{mode}: {passed} cases passed, {} failed\n  {}",
        failures.len(),
        failures.join("\n  ")
    );
    assert!(passed > 0, "{mode}: no case ran");
}

async fn run_to_the_end(
    case: &Case,
    reading: Reading,
    parallelism: usize,
    output: &Path,
) -> Result<Vec<String>, String> {
    let job = Job::new(job::plan(case, output, reading)?);
    match job.start(parallelism).finish().await? {
        Outcome::Finished { .. } => output::materialise(output),
        other => Err(format!("ended as {other:?}")),
    }
}

#[test]
fn straight() {
    check(
        "straight",
        |_| true,
        |case, _, scratch| async move { run_to_the_end(&case, Reading::default(), 1, &scratch.path().join("out")).await },
    );
}

#[test]
fn in_parallel_with_other_batch_sizes() {
    check(
        "parallel",
        |case| !case.large,
        |case, mut seed, scratch| async move {
            // With more than one task a late row may come before the tasks without input have said that they are idle.
            let parallelisms: &[usize] = if case.by_hand { &[1] } else { &[2, 4] };
            for &parallelism in parallelisms {
                let reading = Reading { batch: Some(seed.pick(&[1, 40, 150, 700])), ..Reading::default() };
                let output = scratch.path().join(format!("out{parallelism}"));
                let rows = run_to_the_end(&case, reading, parallelism, &output).await;
                let rows = rows.map_err(|e| format!("p={parallelism}, {reading:?}: {e}"))?;
                if let Some(difference) = output::difference(&case.expected, &rows) {
                    return Err(format!("p={parallelism}, {reading:?}: {difference}"));
                }
            }
            Ok(case.expected)
        },
    );
}

/// Files cut into ranges that are read side by side: the order of the rows is lost, the watermark is not.
#[test]
fn over_ranges_of_the_files() {
    check(
        "ranges",
        |case| !case.by_hand && !case.by_arrival && !case.large,
        |case, mut seed, scratch| async move {
            let reading =
                Reading { split: Some(seed.pick(&[300, 900])), batch: Some(seed.pick(&[1, 100])), pace: None };
            run_to_the_end(&case, reading, 3, &scratch.path().join("out"))
                .await
                .map_err(|e| format!("{reading:?}: {e}"))
        },
    );
}

/// Reads a case in about this many steps.
const STEPS: u64 = 12;

fn stepwise(case: &Case, seed: &mut Seed) -> Reading {
    // The largest small input has 120 rows, the flights 27004.
    let rows = if case.large { 27_004 } else { seed.pick(&[20, 60, 120]) };
    let batch = if case.large { 20_000 } else { seed.pick(&[1, 100]) };
    Reading { batch: Some(batch), split: None, pace: Some(rows / STEPS + 1) }
}

/// Steps with a checkpoint now and then, until `steps` are done or the run ends. Gives the number of checkpoints.
async fn advance(run: &job::Run, steps: u64, seed: &mut Seed) -> u32 {
    let mut checkpoints = 0;
    for _ in 0..steps {
        if run.has_ended() {
            break;
        }
        run.step().await;
        if seed.below(3) == 0 {
            checkpoints += u32::from(run.checkpoint().await.is_some());
        }
    }
    checkpoints
}

#[test]
fn across_crashes() {
    // Crashes of a live run, and those of them that had a checkpoint to go back to.
    let (crashes, restores) = (&Cell::new(0), &Cell::new(0));
    check(
        "crash",
        |_| true,
        |case, mut seed, scratch| async move {
            let output = scratch.path().join("out");
            let job = Job::new(job::plan(&case, &output, stepwise(&case, &mut seed))?);
            let parallelism = if case.by_hand { 1 } else { seed.pick(&[1, 2, 3]) };
            for _ in 0..seed.pick(&[1, 2]) {
                let run = job.start(parallelism);
                let checkpoints = advance(&run, 1 + seed.below(STEPS), &mut seed).await;
                if !run.has_ended() {
                    crashes.set(crashes.get() + 1);
                    restores.set(restores.get() + u32::from(checkpoints > 0));
                }
                if seed.below(2) == 0 {
                    run.abort().await;
                } else {
                    run.kill().await?;
                }
            }
            job.start(parallelism).finish().await?;
            output::materialise(&output)
        },
    );
    let (crashes, restores) = (crashes.get(), restores.get());
    let enough = cases().len() as u32 / 2;
    assert!(
        crashes >= enough && restores >= enough / 2,
        "{crashes} crashes hit a live run, {restores} a checkpointed one"
    );
}

#[test]
fn across_stops_at_other_parallelisms() {
    check(
        "rescale",
        |case| !case.by_hand,
        |case, mut seed, scratch| async move {
            let output = scratch.path().join("out");
            let job = Job::new(job::plan(&case, &output, stepwise(&case, &mut seed))?);
            for parallelism in [seed.pick(&[1, 2]), seed.pick(&[3, 4])] {
                let run = job.start(parallelism);
                advance(&run, 1 + seed.below(STEPS / 2), &mut seed).await;
                run.stop().await?;
            }
            job.start(1).finish().await?;
            output::materialise(&output)
        },
    );
}
