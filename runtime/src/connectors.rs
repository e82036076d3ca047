//! The connectors: what `'connector' = '…'` names, which options each knows, and how a declared table is opened.
//!
//! Options are parsed without touching the outside world ([`validate_source`], [`validate_sink`]), so that `sluice check`
//! says everything that is wrong with a text before anything runs; opening then does the I/O.

mod blackhole;
mod datagen;
mod filesystem;
mod generated;
mod nexmark;
mod on_error;
pub mod options;
mod print;
mod socket;
pub mod terminal;

use crate::clock::Clock;
use crate::connector::{Accepts, ConnectorError, Sink, SinkGuarantee, Source, SourceGuarantee};
use options::{Options, nearest};
use sluice_core::id::WriterId;
use sluice_core::plan::Table;
use std::path::PathBuf;
use std::sync::Arc;
use terminal::Terminal;

/// What a connector gets from the process that opens it.
#[derive(Clone)]
pub struct ConnectorContext {
    pub clock: Clock,
    /// Relative paths in options resolve against this: the directory of the job's file, so that a job gives the same
    /// output from wherever it is started.
    pub base_dir: PathBuf,
    /// This process; a part of the names of what it writes.
    pub writer: WriterId,
    /// Where `print` writes.
    pub terminal: Arc<dyn Terminal>,
}

/// Every connector by its name, in the order in which messages list them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Connector {
    Filesystem,
    Socket,
    Nexmark,
    Datagen,
    Print,
    Blackhole,
}

impl Connector {
    pub const ALL: [Self; 6] =
        [Self::Filesystem, Self::Socket, Self::Nexmark, Self::Datagen, Self::Print, Self::Blackhole];

    pub const fn name(self) -> &'static str {
        match self {
            Self::Filesystem => "filesystem",
            Self::Socket => "socket",
            Self::Nexmark => "nexmark",
            Self::Datagen => "datagen",
            Self::Print => "print",
            Self::Blackhole => "blackhole",
        }
    }

    /// The connector that a table names.
    pub fn of(table: &Table) -> Result<Self, ConnectorError> {
        let options = Options::new(table);
        let name = options.required("connector")?;
        Self::ALL.into_iter().find(|c| c.name() == name).ok_or_else(|| {
            let names = Self::ALL.map(Self::name);
            let hint = nearest(name, names).map(|n| format!("; did you mean '{n}'?")).unwrap_or_default();
            options.invalid(format!("unknown connector '{name}'{hint} (known: {})", names.join(", ")))
        })
    }

    fn cannot_read(self, table: &Table) -> ConnectorError {
        let name = self.name();
        Options::new(table).invalid(format!("connector '{name}' only writes: it cannot be used after FROM or JOIN"))
    }

    fn cannot_write(self, table: &Table) -> ConnectorError {
        let name = self.name();
        Options::new(table).invalid(format!("connector '{name}' only reads: it cannot be used after INSERT INTO"))
    }
}

/// Checks a table that is read and says what its source can promise. Pure: no file, no network.
pub fn validate_source(table: &Table) -> Result<SourceGuarantee, ConnectorError> {
    let connector = Connector::of(table)?;
    match connector {
        Connector::Filesystem => filesystem::FileTable::parse(table).map(|_| SourceGuarantee::Replayable),
        Connector::Socket => socket::SocketTable::parse(table).map(|_| SourceGuarantee::AtMostOnce),
        Connector::Nexmark => nexmark::NexmarkTable::parse(table).map(|_| SourceGuarantee::Replayable),
        Connector::Datagen => datagen::DatagenTable::parse(table).map(|_| SourceGuarantee::Replayable),
        Connector::Print | Connector::Blackhole => Err(connector.cannot_read(table)),
    }
}

/// Checks a table that is written and says what its sink can promise. Pure: no file, no network.
pub fn validate_sink(table: &Table) -> Result<SinkGuarantee, ConnectorError> {
    let connector = Connector::of(table)?;
    match connector {
        Connector::Filesystem => filesystem::FileTable::for_writing(table).map(|_| SinkGuarantee::ExactlyOnce),
        Connector::Socket => socket::SocketTable::parse(table).map(|_| SinkGuarantee::BestEffort),
        Connector::Print => print::PrintOptions::parse(table).map(|_| SinkGuarantee::AtLeastOnce),
        Connector::Blackhole => blackhole::check(table).map(|()| SinkGuarantee::ExactlyOnce),
        Connector::Nexmark | Connector::Datagen => Err(connector.cannot_write(table)),
    }
}

/// What kinds of rows the sink of a table takes. Pure.
pub fn sink_accepts(table: &Table) -> Result<Accepts, ConnectorError> {
    let connector = Connector::of(table)?;
    match connector {
        Connector::Filesystem => filesystem::FileTable::for_writing(table).map(|t| t.accepts()),
        Connector::Socket => Ok(Accepts::Inserts),
        Connector::Print | Connector::Blackhole => Ok(Accepts::Everything),
        Connector::Nexmark | Connector::Datagen => Err(connector.cannot_write(table)),
    }
}

/// Opens a table for reading.
pub fn open_source(table: &Table, cx: &ConnectorContext) -> Result<Box<dyn Source>, ConnectorError> {
    let connector = Connector::of(table)?;
    match connector {
        Connector::Filesystem => filesystem::open_source(table, cx),
        Connector::Socket => socket::open_source(table),
        Connector::Nexmark => nexmark::open_source(table, cx),
        Connector::Datagen => datagen::open_source(table, cx),
        Connector::Print | Connector::Blackhole => Err(connector.cannot_read(table)),
    }
}

/// Opens a table for writing.
pub fn open_sink(table: &Table, cx: &ConnectorContext) -> Result<Arc<dyn Sink>, ConnectorError> {
    let connector = Connector::of(table)?;
    match connector {
        Connector::Filesystem => filesystem::open_sink(table, cx),
        Connector::Socket => socket::open_sink(table),
        Connector::Print => Ok(Arc::new(print::PrintSink::open(table, cx)?)),
        Connector::Blackhole => Ok(Arc::new(blackhole::BlackholeSink::open(table)?)),
        Connector::Nexmark | Connector::Datagen => Err(connector.cannot_write(table)),
    }
}

#[cfg(test)]
mod tests {
    use super::options::tests::table;
    use super::*;

    #[test]
    fn unknown_connectors_and_wrong_directions_are_refused() {
        let check = |options: &[(&str, &str)]| validate_source(&table(vec![], options)).unwrap_err().to_string();
        assert!(check(&[]).contains("option 'connector' is required"));
        assert!(check(&[("connector", "filesytem")]).contains("did you mean 'filesystem'?"));
        assert!(
            check(&[("connector", "kafka")])
                .contains("(known: filesystem, socket, nexmark, datagen, print, blackhole)")
        );
        assert!(check(&[("connector", "print")]).contains("only writes"));
        let e = validate_sink(&table(vec![], &[("connector", "datagen")])).unwrap_err().to_string();
        assert!(e.contains("only reads"), "{e}");
    }

    /// `sluice check` and the run must not disagree.
    #[test]
    fn what_a_sink_takes_is_known_before_it_is_opened() {
        let csv = [("connector", "filesystem"), ("path", "p"), ("format", "csv")];
        assert_eq!(sink_accepts(&table(vec![], &csv)).unwrap(), Accepts::Inserts);
        let changelog: Vec<_> = csv.into_iter().chain([("sink.changelog", "true")]).collect();
        assert_eq!(sink_accepts(&table(vec![], &changelog)).unwrap(), Accepts::Everything);
        assert_eq!(sink_accepts(&table(vec![], &[("connector", "print")])).unwrap(), Accepts::Everything);
    }

    /// The manual cannot lack an option.
    #[test]
    fn every_option_is_documented() {
        let manual = include_str!("../../docs/connectors.md");
        let formats = crate::format::KNOWN_OPTIONS;
        let connectors = [filesystem::KNOWN, socket::KNOWN, nexmark::KNOWN, datagen::KNOWN];
        for option in formats.iter().chain(&connectors).copied().flatten() {
            assert!(manual.contains(&format!("`{option}`")), "docs/connectors.md does not explain '{option}'");
        }
        for connector in Connector::ALL {
            assert!(manual.contains(&format!("\n## {}\n", connector.name())), "{connector:?}");
        }
    }
}
