//! Savepoints as decisions: what is copied under which name, from where a start is to go on, and what of a state a changed
//! job can use.
//!
//! A savepoint is a copy of one canonical, settled manifest and of all objects that it names, under a directory of its own.
//! It carries no sink staging, so that nobody can settle from it. No checkpoint refers into it and it refers to nothing
//! outside itself: either can be deleted without asking the other.

use crate::id::{Epoch, JobUid, OperatorId};
use crate::journal::{ManifestRef, Summary};
use crate::key_group::KeyGroups;
use crate::manifest::{Manifest, ManifestKind, OperatorState, PlanOperator};
use std::collections::BTreeSet;
use std::fmt;

/// What a user says behind `--restore`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RestoreSource {
    /// `latest`: where the job has come to.
    Latest,
    /// `none`: from nothing, on purpose.
    Nothing,
    /// A savepoint of this job by its name.
    Named(String),
    /// A savepoint's directory: a path with a slash, or a URI.
    Location(String),
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SavepointNameError {
    #[error("a savepoint's name must not be empty")]
    Empty,
    #[error("'{0}' cannot name a savepoint, for it means something else; choose another name")]
    Reserved(String),
    #[error("'{name}' cannot name a savepoint: '{character}' is not a letter, digit, '.', '_' or '-'")]
    Character { name: String, character: char },
    #[error("'{0}' cannot name a savepoint: it begins with a dot or is longer than 128 characters")]
    Shape(String),
}

impl RestoreSource {
    pub fn parse(text: &str) -> Result<Self, SavepointNameError> {
        match text {
            "latest" => Ok(Self::Latest),
            "none" => Ok(Self::Nothing),
            location if location.contains(['/', ':']) => Ok(Self::Location(location.trim_end_matches('/').to_string())),
            name => check_name(name).map(|()| Self::Named(name.to_string())),
        }
    }
}

/// A name is one path component in every store and a word on every command line.
pub fn check_name(name: &str) -> Result<(), SavepointNameError> {
    if name.is_empty() {
        return Err(SavepointNameError::Empty);
    }
    if matches!(name, "latest" | "none") {
        return Err(SavepointNameError::Reserved(name.to_string()));
    }
    if let Some(character) = name.chars().find(|c| !(c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-'))) {
        return Err(SavepointNameError::Character { name: name.to_string(), character });
    }
    if name.starts_with('.') || name.len() > 128 {
        return Err(SavepointNameError::Shape(name.to_string()));
    }
    Ok(())
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NotSavable {
    #[error("the job has no checkpoint yet")]
    NoCheckpoint,
    #[error("the output of epoch {epoch} is not committed yet; a savepoint of it would lose that output")]
    Unsettled { epoch: Epoch },
    #[error("the job has just been restored from a savepoint and has no checkpoint of its own yet")]
    RestoredOnly,
}

/// The checkpoint that a savepoint taken now copies: the resume point, once its output is out.
pub fn savable(summary: &Summary) -> Result<&ManifestRef, NotSavable> {
    let point = summary.resume.as_ref().ok_or(NotSavable::NoCheckpoint)?;
    if point.savepoint {
        return Err(NotSavable::RestoredOnly);
    }
    if summary.unsettled.iter().any(|u| u.manifest == *point) {
        return Err(NotSavable::Unsettled { epoch: point.epoch });
    }
    Ok(point)
}

/// One object of a savepoint to be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Copy {
    /// Relative to the job's directory.
    pub from: String,
    /// Relative to the savepoint's.
    pub to: String,
}

/// The savepoint's manifest, and the copies to make before it is stored. The targets' names carry maker and epoch, so that
/// two attempts under one savepoint name never write different bytes to one place.
pub fn copy_of(checkpoint: &Manifest) -> (Manifest, Vec<Copy>) {
    let mut savepoint = checkpoint.clone();
    savepoint.kind = ManifestKind::Savepoint;
    let mut copies = Vec::new();
    let prefix = format!("objects/{}.{}.{}", checkpoint.fence.run, checkpoint.fence.incarnation, checkpoint.epoch);
    for operator in &mut savepoint.operators {
        for segment in &mut operator.segments {
            let to = format!("{prefix}-{}", copies.len());
            copies.push(Copy { from: std::mem::replace(&mut segment.path, to.clone()), to });
        }
        if let Some(sink) = &mut operator.sink {
            // Its output is out (see `savable`); a clone of the job must not put it out again.
            sink.staged.clear();
        }
    }
    (savepoint, copies)
}

/// Whether a savepoint at `path` may be deleted: not while the job would come back to it.
pub fn is_referenced(summary: &Summary, path: &str) -> bool {
    let refers = |m: &ManifestRef| m.savepoint && m.path == path;
    summary.resume.iter().chain(summary.pins.iter().map(|p| &p.manifest)).any(refers)
}

/// What a job's operators make of a manifest. Each list is in plan order.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Comparison {
    /// Goes on with its state.
    pub reused: Vec<PlanOperator>,
    /// Has no state there and begins empty.
    pub new: Vec<PlanOperator>,
    /// Has state there that no operator of the plan would use.
    pub dropped: Vec<PlanOperator>,
}

/// State that would be lost, as a list to read.
#[derive(Debug, PartialEq, Eq)]
pub struct DroppedState(pub Vec<PlanOperator>);

impl std::error::Error for DroppedState {}

impl fmt::Display for DroppedState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the changed job has no operator for this state, it would be lost:")?;
        for operator in &self.0 {
            write!(f, "\n  {} ({})", operator.label, operator.id)?;
        }
        f.write_str("\ngive the operators their old meaning, or accept the loss with --allow-dropped-state")
    }
}

/// Compares by operator id alone: equal ids mean equal, whatever statements were added, removed or reordered around them.
pub fn compare(manifest: &Manifest, plan: &[PlanOperator]) -> Comparison {
    let has_state = |o: &OperatorState| !o.segments.is_empty() || !o.splits.is_empty();
    let stored: BTreeSet<&OperatorId> = manifest.operators.iter().filter(|o| has_state(o)).map(|o| &o.id).collect();
    // An operator may also have been recorded as stateful while it was still empty.
    let known: BTreeSet<&OperatorId> = manifest.plan.iter().map(|o| &o.id).chain(stored.iter().copied()).collect();
    let wanted: BTreeSet<&OperatorId> = plan.iter().map(|o| &o.id).collect();
    let (mut reused, mut new) = (Vec::new(), Vec::new());
    for operator in plan.iter().filter(|o| o.stateful) {
        let list = if known.contains(&operator.id) { &mut reused } else { &mut new };
        list.push(operator.clone());
    }
    let dropped = manifest.operators.iter().filter(|o| stored.contains(&o.id) && !wanted.contains(&o.id));
    let dropped = dropped.map(|o| describe(manifest, &o.id)).collect();
    Comparison { reused, new, dropped }
}

impl Comparison {
    /// Refuses a loss that was not accepted.
    pub fn check(&self, allow_dropped_state: bool) -> Result<(), DroppedState> {
        if self.dropped.is_empty() || allow_dropped_state { Ok(()) } else { Err(DroppedState(self.dropped.clone())) }
    }
}

fn describe(manifest: &Manifest, id: &OperatorId) -> PlanOperator {
    let known = manifest.plan.iter().find(|o| o.id == *id).cloned();
    known.unwrap_or_else(|| PlanOperator { id: id.clone(), label: "operator".into(), stateful: true })
}

#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum Unusable {
    #[error("the state has {found} key groups, the job has {expected}; the number is fixed at a job's first start")]
    KeyGroups { expected: u32, found: u32 },
    #[error("the state is spread by key hash '{found}', this release uses '{expected}'")]
    HashId { expected: String, found: String },
    #[error("the checkpoint belongs to job {found}, not to {expected}; take a savepoint to move state between jobs")]
    OtherJob { expected: JobUid, found: JobUid },
}

/// Whether a manifest's state can be spread over this job's tasks at all.
pub fn check_usable(manifest: &Manifest, job: &JobUid, key_groups: KeyGroups, hash_id: &str) -> Result<(), Unusable> {
    if manifest.kind == ManifestKind::Checkpoint && manifest.job != *job {
        return Err(Unusable::OtherJob { expected: job.clone(), found: manifest.job.clone() });
    }
    if manifest.key_groups != key_groups {
        return Err(Unusable::KeyGroups { expected: key_groups.count(), found: manifest.key_groups.count() });
    }
    if manifest.hash_id != hash_id {
        return Err(Unusable::HashId { expected: hash_id.to_string(), found: manifest.hash_id.clone() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::checksum::Checksum;
    use crate::id::Fence;
    use crate::journal::{Pin, Unsettled};
    use crate::manifest::tests::sample;

    fn operator(id: &str, stateful: bool) -> PlanOperator {
        PlanOperator { id: OperatorId(id.into()), label: format!("label of {id}"), stateful }
    }

    fn reference(epoch: u64, savepoint: bool) -> ManifestRef {
        ManifestRef {
            epoch: Epoch(epoch),
            path: format!("m{epoch}"),
            checksum: Checksum::Crc32(0),
            made_by: Fence::default(),
            savepoint,
        }
    }

    fn summary() -> Summary {
        Summary::new(JobUid("j".into()), KeyGroups::DEFAULT, "h1".into())
    }

    #[test]
    fn sources() {
        use RestoreSource::*;
        let parse = |text| RestoreSource::parse(text).unwrap();
        assert_eq!(parse("latest"), Latest);
        assert_eq!(parse("none"), Nothing);
        assert_eq!(parse("before-migration"), Named("before-migration".into()));
        assert_eq!(parse("./sp/"), Location("./sp".into()));
        assert_eq!(parse("s3://b/p/x"), Location("s3://b/p/x".into()));
        assert!(
            RestoreSource::parse("").is_err()
                && RestoreSource::parse("a b").is_err()
                && RestoreSource::parse(".a").is_err()
        );
        assert_eq!(check_name("none"), Err(SavepointNameError::Reserved("none".into())));
        assert!(check_name(&"x".repeat(129)).is_err());
    }

    #[test]
    fn only_what_is_settled_is_saved() {
        let mut s = summary();
        assert_eq!(savable(&s), Err(NotSavable::NoCheckpoint));
        s.resume = Some(reference(3, false));
        s.unsettled = vec![Unsettled { manifest: reference(3, false), held: false }];
        assert_eq!(savable(&s), Err(NotSavable::Unsettled { epoch: Epoch(3) }));
        s.unsettled.clear();
        assert_eq!(savable(&s), Ok(&reference(3, false)));
        s.resume = Some(reference(3, true));
        assert_eq!(savable(&s), Err(NotSavable::RestoredOnly));
    }

    #[test]
    fn a_copy_is_self_contained_and_carries_no_staging() {
        let checkpoint = sample();
        let (savepoint, copies) = copy_of(&checkpoint);
        savepoint.check().unwrap();
        assert!(!savepoint.has_staging() && checkpoint.has_staging());
        let from: Vec<_> = checkpoint.segments().map(|s| s.path.clone()).collect();
        assert_eq!(copies.iter().map(|c| c.from.clone()).collect::<Vec<_>>(), from);
        assert_eq!(copies[1].to, "objects/1.2.7-1");
        assert_eq!(
            savepoint.segments().map(|s| s.path.clone()).collect::<Vec<_>>(),
            copies.iter().map(|c| c.to.clone()).collect::<Vec<_>>()
        );
        assert_eq!(savepoint.sum(), checkpoint.sum());
    }

    #[test]
    fn what_the_job_may_come_back_to_is_not_deleted() {
        let mut s = summary();
        s.pins = vec![Pin { run: crate::id::Run(1), manifest: reference(3, true) }];
        assert!(is_referenced(&s, "m3") && !is_referenced(&s, "m4"));
        s.pins[0].manifest.savepoint = false;
        assert!(!is_referenced(&s, "m3"), "a checkpoint of that name is something else");
        s.resume = Some(reference(4, true));
        assert!(is_referenced(&s, "m4"));
    }

    #[test]
    fn a_changed_job_keeps_what_means_the_same() {
        let manifest = sample(); // State: id1:…aa (keyed) and name:flights (splits); name:out has only a layout.
        let (kept, flights) = (manifest.plan[0].clone(), operator("name:flights", true));
        let same = compare(&manifest, &[flights.clone(), operator("stateless", false), kept.clone()]);
        assert_eq!(same, Comparison { reused: vec![flights.clone()], new: vec![], dropped: vec![] }.with(kept.clone()));
        let changed = compare(&manifest, &[flights, operator("id1:bb", true)]);
        assert_eq!(changed.new, [operator("id1:bb", true)]);
        assert_eq!(changed.dropped, [kept]);
        let refused = changed.check(false).unwrap_err().to_string();
        assert!(refused.contains("\n  Aggregate(key: a) (id1:00000000000000aa)\n"), "{refused}");
        assert!(changed.check(true).is_ok() && same.check(false).is_ok());
    }

    impl Comparison {
        fn with(mut self, reused: PlanOperator) -> Self {
            self.reused.push(reused);
            self
        }
    }

    #[test]
    fn foreign_state_is_refused_unless_it_is_a_savepoint() {
        let mut manifest = sample();
        let job = manifest.job.clone();
        let usable = |m: &Manifest, job: &JobUid| check_usable(m, job, KeyGroups::DEFAULT, "h1");
        assert_eq!(usable(&manifest, &job), Ok(()));
        let other = JobUid("other".into());
        assert!(matches!(usable(&manifest, &other), Err(Unusable::OtherJob { .. })));
        manifest = copy_of(&manifest).0;
        assert_eq!(usable(&manifest, &other), Ok(()));
        manifest.hash_id = "h2".into();
        assert!(matches!(usable(&manifest, &other), Err(Unusable::HashId { .. })));
        manifest.key_groups = KeyGroups::new(64).unwrap();
        assert_eq!(usable(&manifest, &other), Err(Unusable::KeyGroups { expected: 128, found: 64 }));
    }
}
