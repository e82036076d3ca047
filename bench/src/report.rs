//! The table of results: name, ours, peer, ratio, bar.

/// One figure against what it must reach.
#[derive(Debug)]
pub struct Line {
    pub what: String,
    pub ours: String,
    pub peer: String,
    /// What is compared with the bar.
    pub figure: f64,
    pub bar: Bar,
}

#[derive(Clone, Copy, Debug)]
pub enum Bar {
    AtLeast(f64),
    AtMost(f64),
    /// For information.
    None,
}

#[derive(Debug, Default)]
pub struct Report {
    name: &'static str,
    lines: usize,
    below: Vec<String>,
}

impl Report {
    pub fn new() -> Self {
        println!("{:<16} {:<44} {:>16} {:>16} {:>9} {:>9}", "benchmark", "figure", "ours", "peer", "value", "bar");
        Self::default()
    }

    pub fn begin(&mut self, name: &'static str) {
        self.name = name;
    }

    pub fn add(&mut self, line: Line) {
        let (bar, ok) = match line.bar {
            Bar::AtLeast(b) => (format!(">= {b}"), line.figure >= b),
            Bar::AtMost(b) => (format!("<= {b}"), line.figure <= b),
            Bar::None => (String::new(), true),
        };
        let mark = match (line.bar, ok) {
            (Bar::None, _) => "",
            (_, true) => "ok",
            (_, false) => "BELOW",
        };
        println!(
            "{:<16} {:<44} {:>16} {:>16} {:>9.3} {:>9} {mark}",
            self.name, line.what, line.ours, line.peer, line.figure, bar
        );
        self.lines += 1;
        if !ok {
            self.below.push(format!("{}: {}", self.name, line.what));
        }
    }

    /// Rates of ours and of a peer: the figure is ours / peer.
    pub fn rate(&mut self, what: impl Into<String>, ours: f64, peer: f64, bar: Bar) {
        let show = |r: f64| format!("{:.1} M/s", r / 1e6);
        self.add(Line { what: what.into(), ours: show(ours), peer: show(peer), figure: ours / peer, bar });
    }

    /// A figure of its own with its unit.
    pub fn value(&mut self, what: impl Into<String>, figure: f64, unit: &str, bar: Bar) {
        let ours = format!("{figure:.2} {unit}");
        self.add(Line { what: what.into(), ours, peer: String::new(), figure, bar });
    }

    /// Whether every bar was reached.
    pub fn finish(self) -> bool {
        println!("{} figures, {} below their bar", self.lines, self.below.len());
        self.below.iter().for_each(|b| println!("  below: {b}"));
        self.below.is_empty()
    }
}
