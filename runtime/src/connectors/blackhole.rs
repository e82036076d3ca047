//! `blackhole`: takes rows and forgets them. Nothing becomes visible, so nothing is visible twice.

use super::options::Options;
use crate::connector::{Accepts, ConnectorError, Sink, SinkGuarantee, SinkSlot, SinkWriter, Staged};
use crate::element::Batch;
use async_trait::async_trait;
use sluice_core::id::Epoch;
use sluice_core::plan::Table;

pub(super) fn check(table: &Table) -> Result<(), ConnectorError> {
    Options::new(table).check_known(&[], &[])
}

pub(super) struct BlackholeSink;

impl BlackholeSink {
    pub(super) fn open(table: &Table) -> Result<Self, ConnectorError> {
        check(table).map(|()| Self)
    }
}

#[async_trait]
impl Sink for BlackholeSink {
    fn guarantee(&self) -> SinkGuarantee {
        SinkGuarantee::ExactlyOnce
    }

    fn accepts(&self) -> Accepts {
        Accepts::Everything
    }

    fn writer(&self, _slot: SinkSlot) -> Result<Box<dyn SinkWriter>, ConnectorError> {
        Ok(Box::new(BlackholeWriter))
    }

    async fn settle(&self, _epoch: Epoch, _staged: &[Staged]) -> Result<(), ConnectorError> {
        Ok(())
    }

    async fn discard(&self, _staged: &[Staged]) -> Result<(), ConnectorError> {
        Ok(())
    }
}

struct BlackholeWriter;

impl SinkWriter for BlackholeWriter {
    fn write(&mut self, _batch: &Batch) -> Result<(), ConnectorError> {
        Ok(())
    }

    fn barrier(&mut self, _epoch: Epoch) -> Result<Option<Staged>, ConnectorError> {
        Ok(None)
    }

    fn confirmed(&mut self, _epoch: Epoch) {}
}
