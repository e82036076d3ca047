//! Benchmarks. Each compares ours with a peer within one run of one process, because only a ratio means something on a
//! machine that is not described; the machine is printed all the same.
//!
//! `cargo run --profile rel -p sluice-bench -- [--list] [NAME …]`: a name selects every benchmark that contains it.

mod connectors;
mod machine;
mod queries;
mod report;
mod state;

use report::Report;
use std::process::ExitCode;

/// A benchmark adds its lines to the report; one function may measure several figures that belong together.
pub struct Bench {
    pub name: &'static str,
    pub what: &'static str,
    pub run: fn(&mut Report),
}

/// Every module's list, in the order in which they run.
fn all() -> impl Iterator<Item = &'static Bench> {
    [queries::BENCHES, state::BENCHES, connectors::BENCHES].into_iter().flatten()
}

fn main() -> ExitCode {
    let args: Vec<String> = std::env::args().skip(1).collect();
    if args.iter().any(|a| a == "--list") {
        all().for_each(|b| println!("{:24} {}", b.name, b.what));
        return ExitCode::SUCCESS;
    }
    if let Some(flag) = args.iter().find(|a| a.starts_with('-')) {
        eprintln!("unknown option '{flag}': usage: sluice-bench [--list] [NAME ...]");
        return ExitCode::from(2);
    }
    let chosen: Vec<&Bench> =
        all().filter(|b| args.is_empty() || args.iter().any(|a| b.name.contains(a.as_str()))).collect();
    if chosen.is_empty() {
        eprintln!("no benchmark is named so; --list shows all");
        return ExitCode::from(2);
    }
    println!("{}", machine::describe());
    if cfg!(debug_assertions) {
        println!("this is not an optimised build: the figures mean nothing (use --profile rel)");
    }
    let mut report = Report::new();
    for b in chosen {
        report.begin(b.name);
        (b.run)(&mut report);
    }
    if report.finish() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
