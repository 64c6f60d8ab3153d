//! Checks the names of the members of an archive: each means one place, inside the folder, and none means two.

use std::collections::BTreeMap;

use super::records::Entry;
use super::{NameFault, ZipError};

/// Reads the name of a member.
pub(super) fn parse(bytes: &[u8], is_utf8: bool) -> Result<String, ZipError> {
    // Without the flag a name is in code page 437, of which only ASCII is safe.
    let text = str::from_utf8(bytes)
        .ok()
        .filter(|_| is_utf8 || bytes.is_ascii());
    let fault = match text {
        Some(text) => fault(text),
        None => Some(NameFault::NotText),
    };
    match (text, fault) {
        (Some(text), None) => Ok(text.to_owned()),
        (_, fault) => Err(ZipError::Name {
            name: crate::layer::path::show(bytes),
            fault: fault.unwrap_or(NameFault::NotText),
        }),
    }
}

fn fault(name: &str) -> Option<NameFault> {
    if name.chars().any(char::is_control) {
        return Some(NameFault::NotText);
    }
    if name.contains('\\') {
        return Some(NameFault::Backslash);
    }
    if name.starts_with('/') {
        return Some(NameFault::Absolute);
    }
    let path = name.strip_suffix('/').unwrap_or(name);
    if path.len() > 4000 {
        return Some(NameFault::Long);
    }
    path.split('/').find_map(|component| match component {
        ".." => Some(NameFault::Parent),
        "" | "." => Some(NameFault::NotNormal),
        _ if component.len() > 255 => Some(NameFault::Long),
        _ => None,
    })
}

/// Refuses two members of one name, and members below a file.
pub(super) fn check(entries: &[Entry]) -> Result<(), ZipError> {
    let refuse = |entry: &Entry, fault| {
        Err(ZipError::Name {
            name: entry.name.clone(),
            fault,
        })
    };
    let mut is_folder = BTreeMap::new();
    for entry in entries {
        let path = entry.name.strip_suffix('/').unwrap_or(&entry.name);
        if is_folder.insert(path, entry.is_folder()).is_some() {
            return refuse(entry, NameFault::Duplicate);
        }
    }
    for entry in entries {
        let path = entry.name.strip_suffix('/').unwrap_or(&entry.name);
        for (at, _) in path.match_indices('/') {
            let above = path.get(..at).and_then(|above| is_folder.get(above));
            if above == Some(&false) {
                return refuse(entry, NameFault::FileAsFolder);
            }
        }
    }
    Ok(())
}
