//! Matches the members of a wheel with its RECORD, and says where each goes.

use std::collections::BTreeMap;

use super::{Category, DROPPED, PLACEHOLDER, WheelFault, WheelFile, check};
use crate::layer::Content;
use crate::oci::Digest;
use crate::python::record::{self, Recorded, Row};
use crate::python::scripts::EntryPoint;
use crate::python::zip::{Archive, Member};

/// The members of a wheel with their lines in RECORD.
pub(super) struct Reader<'a> {
    archive: &'a Archive,
    dist_info: &'a str,
    /// Members by name, without those that are not installed.
    members: BTreeMap<&'a str, (&'a Member, Row, Recorded)>,
}

/// Each file that a wheel installs, and each member with its digest.
type Files = (Vec<WheelFile>, Vec<(Member, Recorded)>);

impl<'a> Reader<'a> {
    /// Matches members and lines: each must have the other.
    pub(super) fn new(archive: &'a Archive, dist_info: &'a str) -> Result<Self, WheelFault> {
        let record_name = format!("{dist_info}/RECORD");
        let record = archive.members().iter().find(|it| it.name == record_name);
        let record = record.ok_or_else(|| WheelFault::Missing(record_name.clone()))?;
        let text = String::from_utf8(archive.read(record)?);
        let text = text.map_err(|_| WheelFault::NotText(record_name.clone()))?;
        let mut rows: BTreeMap<String, Row> = BTreeMap::new();
        for row in record::parse(&text)? {
            if rows.get(&row.path).is_some_and(|first| *first != row) {
                return Err(WheelFault::TwoRows(row.path));
            }
            rows.insert(row.path.clone(), row);
        }
        rows.remove(&record_name);
        let mut members = BTreeMap::new();
        for member in archive.members() {
            if member.name == record_name {
                continue;
            }
            let row = rows.remove(&member.name);
            let in_dist_info = member.name.strip_prefix(dist_info);
            let in_dist_info = in_dist_info.and_then(|rest| rest.strip_prefix('/'));
            if in_dist_info.is_some_and(|name| DROPPED.contains(&name)) {
                continue;
            }
            let row = row.ok_or_else(|| WheelFault::Unrecorded(member.name.clone()))?;
            let recorded = examine(member, &row)?;
            members.insert(member.name.as_str(), (member, row, recorded));
        }
        // Some tools list folders; these say nothing.
        if let Some(ghost) = rows.into_keys().find(|path| !path.ends_with('/')) {
            return Err(WheelFault::Ghost(ghost));
        }
        Ok(Self {
            archive,
            dist_info,
            members,
        })
    }

    /// Returns the text of a file of metadata, checked.
    pub(super) fn text(&self, name: &str) -> Result<String, WheelFault> {
        let path = format!("{}/{name}", self.dist_info);
        let Some((member, _, recorded)) = self.members.get(path.as_str()) else {
            return Err(WheelFault::Missing(path));
        };
        let bytes = check(self.archive, member, recorded)?;
        String::from_utf8(bytes).map_err(|_| WheelFault::NotText(path))
    }

    /// Returns every file with the place it goes to.
    pub(super) fn files(self, entry_points: &[EntryPoint]) -> Result<Files, WheelFault> {
        let data = data_prefix(self.dist_info);
        let mut files = Vec::new();
        let mut digests = Vec::new();
        for (name, (member, row, recorded)) in self.members {
            digests.push((member.clone(), recorded));
            let (category, path) = match name.strip_prefix(&data) {
                Some(rest) => in_data(name, rest)?,
                None => (Category::Library, name),
            };
            if category == Category::Scripts && is_entry_point(path, entry_points) {
                continue;
            }
            let digest = match recorded {
                Recorded::Sha256(digest) => digest,
                // Nodes are known by SHA-256: it is taken from the bytes that RECORD vouches for.
                _ => Digest::of(&check(self.archive, member, &recorded)?),
            };
            let is_placeholder = category == Category::Scripts
                && self.archive.read_start(member, PLACEHOLDER.len() as u64)? == PLACEHOLDER;
            let placeholder = is_placeholder.then(|| check(self.archive, member, &recorded));
            files.push(WheelFile {
                category,
                path: path.to_owned(),
                executable: member.executable || category == Category::Scripts,
                content: Content {
                    digest,
                    size: member.size,
                },
                row,
                placeholder: placeholder.transpose()?,
            });
        }
        Ok((files, digests))
    }
}

/// Returns the folders that the archive lists: an empty one is a part of the package too, perhaps a namespace.
pub(super) fn folders(archive: &Archive, dist_info: &str) -> Vec<(Category, String)> {
    let data = data_prefix(dist_info);
    let place = |name: &String| {
        if format!("{name}/") == data {
            return None;
        }
        match name.strip_prefix(&data) {
            None => Some((Category::Library, name.clone())),
            Some(rest) => match in_data(name, rest) {
                Ok((Category::Scripts, _)) | Err(_) => None,
                Ok((category, path)) => Some((category, path.to_owned())),
            },
        }
    };
    archive.folders().iter().filter_map(place).collect()
}

/// Returns what the paths of the `.data` folder start with.
fn data_prefix(dist_info: &str) -> String {
    let stem = dist_info.strip_suffix(".dist-info").unwrap_or(dist_info);
    format!("{stem}.data/")
}

/// Compares what RECORD says of a member with what the archive says.
fn examine(member: &Member, row: &Row) -> Result<Recorded, WheelFault> {
    let file = || member.name.clone();
    if let Some(recorded) = row.size.filter(|size| *size != member.size) {
        return Err(WheelFault::Size {
            file: file(),
            recorded,
            found: member.size,
        });
    }
    let hash = row.hash.as_deref();
    let hash = hash.ok_or_else(|| WheelFault::Unhashed(file()))?;
    Ok(Recorded::parse(hash)?)
}

/// Splits the path in the `.data` folder into its category and the path there.
fn in_data<'n>(name: &'n str, rest: &'n str) -> Result<(Category, &'n str), WheelFault> {
    let (key, path) = rest
        .split_once('/')
        .ok_or_else(|| WheelFault::Category(name.to_owned()))?;
    let category = match key {
        "purelib" | "platlib" => Category::Library,
        "headers" => Category::Headers,
        "scripts" => Category::Scripts,
        "data" => Category::Data,
        _ => return Err(WheelFault::Category(name.to_owned())),
    };
    if category == Category::Scripts && path.contains('/') {
        return Err(WheelFault::ScriptFolder(name.to_owned()));
    }
    Ok((category, path))
}

/// Tells whether a script is a launcher of an entry point, which is written anew; all installers know these names.
fn is_entry_point(script: &str, entry_points: &[EntryPoint]) -> bool {
    let suffixes = [".exe", "-script.py", ".pya"];
    let stem = suffixes
        .iter()
        .find_map(|suffix| script.strip_suffix(suffix));
    let stem = stem.unwrap_or(script);
    entry_points.iter().any(|point| point.name == stem)
}
