//! Makes staged files visible, from the staging of a manifest alone: any process, any number of times, after a crash at any
//! point. Size and checksum are compared before anything counts as done; nothing is ever replaced.

use super::writer::failed;
use crate::connector::{ConnectorError, Staged};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

/// One file of a manifest; paths are below the table's directory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct StagedFile {
    pub staged: String,
    pub target: String,
    pub bytes: u64,
    pub crc32: u32,
    pub rows: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Files {
    pub files: Vec<StagedFile>,
}

impl Files {
    pub(super) fn to_json(&self) -> serde_json::Value {
        serde_json::to_value(self).expect("texts and numbers are JSON")
    }

    /// All files of an epoch. Paths that leave the table's directory are refused: a manifest is data.
    pub(super) fn of(table: &str, staged: &[Staged]) -> Result<Self, ConnectorError> {
        let mut files = vec![];
        for slot in staged {
            let part: Self = serde_json::from_value(slot.data.clone())
                .map_err(|e| damaged(table, format!("the staging of slot {} cannot be read: {e}", slot.slot)))?;
            files.extend(part.files);
        }
        let inside = |p: &str| !p.is_empty() && Path::new(p).components().all(|c| matches!(c, Component::Normal(_)));
        match files.iter().find(|f| !inside(&f.staged) || !inside(&f.target)) {
            Some(f) => Err(damaged(table, format!("'{}' → '{}' leaves the table's directory", f.staged, f.target))),
            None => Ok(Self { files }),
        }
    }
}

fn damaged(table: &str, message: String) -> ConnectorError {
    ConnectorError::Damaged { table: table.to_owned(), message }
}

/// What a path has, compared with what was staged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    Absent,
    Same,
    Different,
}

fn content(path: &Path, file: &StagedFile) -> io::Result<Content> {
    let mut opened = match File::open(path) {
        Ok(f) => f,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Ok(Content::Absent),
        Err(e) => return Err(e),
    };
    if opened.metadata()?.len() != file.bytes {
        return Ok(Content::Different);
    }
    let mut crc = crc32fast::Hasher::new();
    let mut buffer = vec![0; 128 << 10];
    loop {
        match opened.read(&mut buffer)? {
            0 => break,
            n => crc.update(&buffer[..n]),
        }
    }
    Ok(if crc.finalize() == file.crc32 { Content::Same } else { Content::Different })
}

/// Links every file to its name, makes the names durable, and only then removes the hidden ones.
pub(super) fn publish(table: &str, root: &Path, files: &Files) -> Result<(), ConnectorError> {
    let mut directories = BTreeSet::new();
    for file in &files.files {
        publish_one(table, root, file, &mut directories)?;
    }
    for directory in &directories {
        sync_directory(directory).map_err(|e| failed(table, "publish into", directory, e))?;
    }
    for file in &files.files {
        let path = root.join(&file.staged);
        match fs::remove_file(&path) {
            Err(e) if e.kind() != io::ErrorKind::NotFound => return Err(failed(table, "remove", &path, e)),
            _ => {}
        }
    }
    Ok(())
}

fn publish_one(
    table: &str,
    root: &Path,
    file: &StagedFile,
    directories: &mut BTreeSet<PathBuf>,
) -> Result<(), ConnectorError> {
    let (staged, target) = (root.join(&file.staged), root.join(&file.target));
    let parent = target.parent().unwrap_or(root);
    for ancestor in parent.ancestors().take_while(|a| a.starts_with(root)) {
        directories.insert(ancestor.to_owned());
    }
    let at_target = content(&target, file).map_err(|e| failed(table, "check", &target, e))?;
    let at_staged = || content(&staged, file).map_err(|e| failed(table, "check", &staged, e));
    match at_target {
        Content::Same => Ok(()),
        Content::Different => Err(damaged(
            table,
            format!(
                "'{}' exists and is not what was staged ({} bytes, crc32 {:08x}): it was changed after it was published",
                target.display(),
                file.bytes,
                file.crc32
            ),
        )),
        Content::Absent => match at_staged()? {
            Content::Same => {
                fs::create_dir_all(parent).map_err(|e| failed(table, "create", parent, e))?;
                link(&staged, &target).map_err(|e| failed(table, "publish", &target, e))
            }
            Content::Different => Err(damaged(
                table,
                format!(
                    "'{}' is not what was staged ({} bytes, crc32 {:08x})",
                    staged.display(),
                    file.bytes,
                    file.crc32
                ),
            )),
            Content::Absent => Err(damaged(
                table,
                format!(
                    "neither '{}' nor '{}' exists: {} rows are gone; was the directory cleaned, or a published file removed before its epoch was committed?",
                    staged.display(),
                    target.display(),
                    file.rows
                ),
            )),
        },
    }
}

/// A second name. Where the file system has no links: a rename, which replaces nothing but the same content, for the name
/// says writer, slot and epoch.
fn link(staged: &Path, target: &Path) -> io::Result<()> {
    match fs::hard_link(staged, target) {
        Ok(()) => Ok(()),
        // Another settler of the same epoch was faster; it published the same file.
        Err(e) if e.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(e)
            if matches!(
                e.kind(),
                io::ErrorKind::Unsupported | io::ErrorKind::PermissionDenied | io::ErrorKind::TooManyLinks
            ) =>
        {
            fs::rename(staged, target)
        }
        Err(e) => Err(e),
    }
}

/// Makes names in a directory durable.
pub(super) fn sync_directory(path: &Path) -> io::Result<()> {
    File::open(path)?.sync_all()
}

/// Removes hidden files; published ones stay.
pub(super) fn discard(root: &Path, files: &Files) {
    for file in &files.files {
        // Best effort: what stays is hidden.
        let _ = fs::remove_file(root.join(&file.staged));
    }
}
