//! Every path of a job in its store, built by one type: strings are formatted once.
//!
//! ```text
//! <state URI>/<namespace>/<name>/<uid>/journal/<slot, 20 digits>
//!                                     /checkpoints/<run, 10>.<incarnation, 10>.<writer>/<epoch, 20>/{manifest,<name>}
//!                                     /savepoints/<name>/{manifest,objects/<n>}
//!                                     /lock                     (local directories)
//!                                     /probe/<random>/<n>       (during a start)
//! ```
//!
//! An object's name says who wrote it and for which epoch, so that garbage is known by name.

use crate::id::{Epoch, Fence, Incarnation, JobUid, OperatorId, Run, WriterId};
use crate::journal::Slot;
use std::fmt::Write;

/// Paths of one job, relative to the store's root.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JobPaths {
    /// `<namespace>/<name>/<uid>`
    root: String,
}

/// What the name of an object under `checkpoints/` says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ObjectName {
    pub fence: Fence,
    pub writer: WriterId,
    pub epoch: Epoch,
}

impl JobPaths {
    pub fn new(namespace: &str, name: &str, uid: &JobUid) -> Self {
        Self { root: format!("{}/{}", job_home(namespace, name), escape(&uid.0)) }
    }

    pub fn root(&self) -> &str {
        &self.root
    }

    pub fn journal(&self) -> String {
        format!("{}/journal", self.root)
    }

    pub fn slot(&self, slot: Slot) -> String {
        format!("{}/journal/{:020}", self.root, slot.0)
    }

    /// The slot that a listed path names; `None` for what is not a slot (a temporary file).
    pub fn parse_slot(path: &str) -> Option<Slot> {
        let digits = path.rsplit('/').next()?;
        (digits.len() == 20 && digits.bytes().all(|b| b.is_ascii_digit())).then(|| digits.parse().ok().map(Slot))?
    }

    pub fn checkpoints(&self) -> String {
        format!("{}/checkpoints", self.root)
    }

    pub fn savepoints(&self) -> String {
        format!("{}/savepoints", self.root)
    }

    pub fn savepoint(&self, name: &str) -> String {
        format!("{}/savepoints/{}", self.root, escape(name))
    }

    pub fn lock(&self) -> String {
        format!("{}/lock", self.root)
    }

    pub fn probe(&self, random: &str) -> String {
        format!("{}/probe/{random}", self.root)
    }

    /// A path that stands in a manifest or record, as a path in the store.
    pub fn resolve(&self, relative: &str) -> String {
        format!("{}/{relative}", self.root)
    }

    /// The other way round.
    pub fn relative<'a>(&self, path: &'a str) -> Option<&'a str> {
        path.strip_prefix(self.root.as_str())?.strip_prefix('/')
    }
}

/// The directory of all jobs that ever had this name.
pub fn job_home(namespace: &str, name: &str) -> String {
    format!("{}/{}", escape(namespace), escape(name))
}

impl ObjectName {
    /// The directory, relative to the job's, of what this writer makes for this epoch.
    pub fn directory(&self) -> String {
        let Self { fence, writer, epoch } = self;
        format!("checkpoints/{:010}.{:010}.{writer}/{:020}", fence.run.0, fence.incarnation.0, epoch.0)
    }

    pub fn manifest(&self) -> String {
        format!("{}/manifest", self.directory())
    }

    /// `part` numbers the segments of one operator's task in this epoch.
    pub fn segment(&self, operator: &OperatorId, task: usize, part: usize) -> String {
        format!("{}/{}-{task}-{part}.seg", self.directory(), escape(&operator.0))
    }

    /// Reads a path relative to the job's directory. `None`: not an object of a checkpoint.
    pub fn parse(relative: &str) -> Option<Self> {
        let mut parts = relative.split('/');
        if parts.next()? != "checkpoints" {
            return None;
        }
        let mut who = parts.next()?.splitn(3, '.');
        let number = |text: &str, digits: usize| {
            (text.len() == digits && text.bytes().all(|b| b.is_ascii_digit())).then(|| text.parse::<u64>().ok())?
        };
        let run = Run(number(who.next()?, 10)?);
        let incarnation = Incarnation(number(who.next()?, 10)?);
        let writer = WriterId(who.next()?.to_string());
        let epoch = Epoch(number(parts.next()?, 20)?);
        parts.next()?;
        Some(Self { fence: Fence { run, incarnation }, writer, epoch })
    }
}

/// One path component: everything but letters, digits and `._-` becomes `=XX`. Injective; never empty, `.` or `..`.
pub fn escape(part: &str) -> String {
    let mut out = String::with_capacity(part.len());
    for (at, byte) in part.bytes().enumerate() {
        let plain = byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-') || byte == b'.' && at > 0;
        if plain {
            out.push(char::from(byte));
        } else {
            write!(out, "={byte:02X}").expect("a String takes all text");
        }
    }
    if out.is_empty() { "=".into() } else { out }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name() -> ObjectName {
        ObjectName {
            fence: Fence { run: Run(3), incarnation: Incarnation(2) },
            writer: WriterId("ab".repeat(16)),
            epoch: Epoch(41),
        }
    }

    #[test]
    fn layout_is_fixed() {
        let paths = JobPaths::new("default", "bids per minute", &JobUid("u1".into()));
        assert_eq!(paths.slot(Slot(17)), "default/bids=20per=20minute/u1/journal/00000000000000000017");
        let segment = name().segment(&OperatorId("id1:00ff".into()), 1, 2);
        let writer = "ab".repeat(16);
        assert_eq!(
            segment,
            format!("checkpoints/0000000003.0000000002.{writer}/00000000000000000041/id1=3A00ff-1-2.seg")
        );
        assert_eq!(ObjectName::parse(&segment), Some(name()));
        assert_eq!(paths.relative(&paths.resolve(&segment)), Some(segment.as_str()));
    }

    #[test]
    fn strange_names_are_not_taken_for_ours() {
        for path in [
            "",
            "checkpoints",
            "checkpoints/x",
            "journal/0",
            "savepoints/a/objects/1",
            "checkpoints/0000000003.0000000002/00000000000000000041/x",
            "checkpoints/3.2.w/00000000000000000041/x",
            "checkpoints/0000000003.0000000002.w/41/x",
            "checkpoints/0000000003.0000000002.w/00000000000000000041",
        ] {
            assert_eq!(ObjectName::parse(path), None, "{path}");
        }
        assert_eq!(JobPaths::parse_slot("a/journal/00000000000000000007"), Some(Slot(7)));
        assert_eq!(JobPaths::parse_slot("a/journal/.00000000000000000007.tmp"), None);
        assert_eq!(JobPaths::parse_slot("a/journal/7"), None);
        assert_eq!(JobPaths::parse_slot("a/journal/99999999999999999999"), None);
    }

    proptest! {
        #[test]
        fn escaping_is_injective_and_safe(a: String, b: String) {
            prop_assert_eq!(escape(&a) == escape(&b), a == b);
            let e = escape(&a);
            prop_assert!(!e.is_empty() && e != "." && e != ".." && !e.contains(['/', '\\']) && e.is_ascii());
        }

        #[test]
        fn object_names_round_trip(run in 0u64..10_000_000_000, i in 0u64..10_000_000_000, e: u64) {
            let name = ObjectName {
                fence: Fence { run: Run(run), incarnation: Incarnation(i) },
                epoch: Epoch(e),
                ..name()
            };
            prop_assert_eq!(ObjectName::parse(&name.manifest()), Some(name));
        }
    }
}
