//! Which files a `path` means: itself, or everything below it that is not hidden.

use crate::connector::ConnectorError;
use regex::Regex;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A file to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Found {
    /// Below the table's path, with `/`: the split's id. A table that is one file: the file's name.
    pub relative: String,
    pub path: PathBuf,
    pub size: u64,
}

/// Deeper than any sane partitioning: a loop of symbolic links ends here.
const DEPTH_MAX: usize = 32;

/// Where the file of a split is.
pub(super) fn path_of(root: &Path, relative: &str) -> PathBuf {
    if root.is_file() { root.to_owned() } else { root.join(relative) }
}

/// All files in the order of their names. Missing, unreadable: errors, not an empty list.
pub(super) fn list(root: &Path, pattern: Option<&Regex>) -> Result<Vec<Found>, ConnectorError> {
    let meta = fs::metadata(root).map_err(|e| failed("read", root, e))?;
    let mut files = vec![];
    if meta.is_file() {
        let relative = root.file_name().map(|n| n.to_string_lossy().into_owned()).unwrap_or_default();
        files.push(Found { relative, path: root.to_owned(), size: meta.len() });
    } else {
        directory(root, "", 0, &mut files)?;
    }
    if let Some(pattern) = pattern {
        files.retain(|f| std::path::absolute(&f.path).is_ok_and(|p| pattern.is_match(&p.to_string_lossy())));
    }
    files.sort_by(|a, b| a.relative.cmp(&b.relative));
    Ok(files)
}

fn directory(path: &Path, prefix: &str, depth: usize, files: &mut Vec<Found>) -> Result<(), ConnectorError> {
    if depth > DEPTH_MAX {
        let e =
            io::Error::other(format!("directories are nested more than {DEPTH_MAX} deep; is there a loop of links?"));
        return Err(failed("list", path, e));
    }
    for entry in fs::read_dir(path).map_err(|e| failed("list", path, e))? {
        let entry = entry.map_err(|e| failed("list", path, e))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with('.') || name.starts_with('_') {
            continue;
        }
        let path = entry.path();
        let meta = match fs::metadata(&path) {
            Ok(meta) => meta,
            // It was there a moment ago: someone is moving files, the next listing tells.
            Err(e) if e.kind() == io::ErrorKind::NotFound => continue,
            Err(e) => return Err(failed("read", &path, e)),
        };
        let relative = if prefix.is_empty() { name } else { format!("{prefix}/{name}") };
        if meta.is_dir() {
            directory(&path, &relative, depth + 1, files)?;
        } else {
            files.push(Found { relative, path, size: meta.len() });
        }
    }
    Ok(())
}

fn failed(action: &'static str, path: &Path, source: io::Error) -> ConnectorError {
    ConnectorError::Io { action, path: path.display().to_string(), source }
}
