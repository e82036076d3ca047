//! DataFusion's batch engine over the same rows in memory, one partition, results collected.

use super::Bids;
use datafusion::datasource::MemTable;
use datafusion::prelude::{SessionConfig, SessionContext};
use std::sync::Arc;
use tokio::runtime::Runtime;

pub struct Engine {
    io: Runtime,
    context: SessionContext,
}

impl Engine {
    pub fn new(tables: &[(&str, &Bids)]) -> Self {
        let io = tokio::runtime::Builder::new_current_thread().build().expect("a runtime starts");
        let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
        for (name, bids) in tables {
            let table = MemTable::try_new(Arc::clone(&bids.schema), vec![bids.batches.clone()]);
            let table = Arc::new(table.expect("batches have the schema"));
            context.register_table(*name, table).expect("names are different");
        }
        Self { io, context }
    }

    pub fn rows(&self, sql: &str) -> u64 {
        let run = async { self.context.sql(sql).await?.collect().await };
        let batches = self.io.block_on(run).expect("the peer runs the query");
        batches.iter().map(|b| b.num_rows() as u64).sum()
    }
}
