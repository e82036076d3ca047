//! Tries at the start whether a store honours what exactly-once leans on; one that does not is refused in plain words.
//!
//! Creating twice in sequence is not enough: stores without consensus pass that. Here several creators race for every key,
//! and exactly one must win; what one created, a listing and a read must show at once.

use super::{Create, Store, StoreError};
use bytes::Bytes;
use futures::future::join_all;
use sluice_core::paths::JobPaths;

/// Racing creators per key, and keys: together some 64 requests, a fraction of a second also over a network.
const CREATORS: usize = 8;
const KEYS: usize = 8;

#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    #[error(
        "the store {store} does not honour create-if-absent: {winners} of {CREATORS} concurrent creators of one object were \
         told that they had created it; exactly-once is not possible there: use another store, or at-least-once"
    )]
    SeveralWinners { store: String, winners: usize },
    #[error(
        "the store {store} let none of {CREATORS} concurrent creators of one object win; exactly-once is not possible there"
    )]
    NoWinner { store: String },
    #[error(
        "the store {store} does not show at once what was written: {what}; its listing or cache lags, so exactly-once is not \
         possible there (NFS: mount with lookupcache=none,noac)"
    )]
    Lagging { store: String, what: &'static str },
    #[error("the store {store} returned other bytes than were written")]
    OtherBytes { store: String },
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// `random` names a directory of this probe's own; it is removed afterwards.
pub async fn probe(store: &dyn Store, paths: &JobPaths, random: &str) -> Result<(), ProbeError> {
    let directory = paths.probe(random);
    let keys: Vec<_> = (0..KEYS).map(|n| format!("{directory}/{n}")).collect();
    let verdict = examine(store, &directory, &keys).await;
    for key in &keys {
        // A store that denies deletes only keeps a few small objects.
        let _ = store.delete(key).await;
    }
    verdict
}

async fn examine(store: &dyn Store, directory: &str, keys: &[String]) -> Result<(), ProbeError> {
    let content = |creator: usize| Bytes::from(format!("creator {creator}"));
    let lagging = |what| ProbeError::Lagging { store: store.describe(), what };
    let race = |key: String| async move {
        let answers = join_all((0..CREATORS).map(|n| store.create(&key, content(n)))).await;
        let mut winners = Vec::new();
        for (n, answer) in answers.into_iter().enumerate() {
            if answer? == Create::Created {
                winners.push(n);
            }
        }
        match winners.as_slice() {
            [winner] => match store.get(&key).await {
                Ok(bytes) if bytes == content(*winner) => Ok(()),
                Ok(_) => Err(ProbeError::OtherBytes { store: store.describe() }),
                Err(e) if e.is_not_found() => Err(lagging("an object that was just created cannot be read")),
                Err(e) => Err(e.into()),
            },
            [] => Err(ProbeError::NoWinner { store: store.describe() }),
            several => Err(ProbeError::SeveralWinners { store: store.describe(), winners: several.len() }),
        }
    };
    for verdict in join_all(keys.iter().cloned().map(race)).await {
        verdict?;
    }
    let listed = store.list(directory, None).await?;
    if keys.iter().any(|key| !listed.iter().any(|l| l.path == *key)) {
        return Err(lagging("an object that was just created is not listed"));
    }
    let after = store.list(directory, keys.get(KEYS - 2).map(String::as_str)).await?;
    if after.len() != 1 {
        return Err(lagging("a listing that starts after an object does not show exactly what follows it"));
    }
    Ok(())
}
