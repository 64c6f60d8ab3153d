//! Finds out where in a tar file each member's bytes are, without reading them.

use std::collections::BTreeMap;
use std::path::Path;

use super::error::LayoutError;
use crate::edge::store::FileBlob;
use crate::layer::RandomRead as _;

const BLOCK: u64 = 512;
/// An archive of an image has some hundred members.
const MEMBERS: usize = 100_000;
/// PAX records and long names are short.
const EXTRA: u64 = 1024 * 1024;

/// What a name in an archive leads to.
pub(super) enum Member {
    /// Its bytes.
    File(FileBlob),
    /// Another name.
    Link(String),
}

/// Returns the files and links of an archive by name, `./` and doubled slashes removed.
pub(super) fn index(
    archive: &FileBlob,
    path: &Path,
) -> Result<BTreeMap<String, Member>, LayoutError> {
    let mut members = BTreeMap::new();
    let mut offset = 0;
    let (mut long_name, mut long_link, mut long_size) = (None, None, None);
    loop {
        let bad = |why| LayoutError::Tar {
            path: path.to_owned(),
            offset,
            why,
        };
        let mut block = [0; BLOCK as usize];
        if offset == archive.len() && offset > 0 {
            // Some writers leave out the end.
            return Ok(members);
        }
        archive
            .read_exact_at(&mut block, offset)
            .map_err(|_| bad("the file ends here"))?;
        if block == [0; BLOCK as usize] {
            return Ok(members);
        }
        let header = tar::Header::from_byte_slice(&block);
        if !sum_is_right(&block, header) {
            return Err(bad(if offset == 0 {
                "this is no tar file"
            } else {
                "the header's sum is wrong"
            }));
        }
        let kind = header.entry_type();
        let mut size = header
            .entry_size()
            .map_err(|_| bad("the size is malformed"))?;
        let extra =
            kind.is_pax_local_extensions() || kind.is_gnu_longname() || kind.is_gnu_longlink();
        if !extra && let Some(said) = long_size.take() {
            size = said;
        }
        let has_bytes =
            extra || kind.is_file() || kind.is_contiguous() || kind.is_pax_global_extensions();
        let start = offset + BLOCK;
        let content = archive
            .slice(start, if has_bytes { size } else { 0 })
            .ok_or_else(|| bad("the file ends inside this member"))?;
        if extra {
            let bytes = content
                .read_all(EXTRA)
                .map_err(|_| bad("an extended header is too long"))?;
            let text = |bytes: &[u8]| {
                String::from_utf8_lossy(bytes)
                    .trim_end_matches('\0')
                    .to_owned()
            };
            if kind.is_gnu_longname() {
                long_name = Some(text(&bytes));
            } else if kind.is_gnu_longlink() {
                long_link = Some(text(&bytes));
            } else {
                for (key, value) in
                    pax(&bytes).ok_or_else(|| bad("an extended header is malformed"))?
                {
                    match key {
                        b"path" => long_name = Some(text(value)),
                        b"linkpath" => long_link = Some(text(value)),
                        b"size" => {
                            let said = std::str::from_utf8(value)
                                .ok()
                                .and_then(|value| value.parse().ok());
                            long_size = Some(said.ok_or_else(|| bad("the size is malformed"))?);
                        }
                        _ => {}
                    }
                }
            }
        } else if !kind.is_pax_global_extensions() {
            let name = long_name
                .take()
                .unwrap_or_else(|| String::from_utf8_lossy(&header.path_bytes()).into_owned());
            let link = long_link.take().or_else(|| {
                header
                    .link_name_bytes()
                    .map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
            });
            let member = match link {
                Some(link) if kind.is_symlink() => Some(Member::Link(beside(&name, &link))),
                Some(link) if kind.is_hard_link() => Some(Member::Link(clean(&link))),
                _ if kind.is_file() || kind.is_contiguous() => Some(Member::File(content)),
                _ => None,
            };
            if let Some(member) = member
                && members.insert(clean(&name), member).is_some()
            {
                // Readers differ in which one they take.
                return Err(bad("this name is there twice"));
            }
            if members.len() > MEMBERS {
                return Err(bad("there are too many members"));
            }
        }
        let used = if has_bytes {
            size.checked_next_multiple_of(BLOCK)
        } else {
            Some(0)
        };
        // The last member's padding may be cut off.
        let next = used
            .and_then(|used| start.checked_add(used))
            .ok_or_else(|| bad("the size is absurd"))?;
        offset = next.min(archive.len());
    }
}

fn sum_is_right(block: &[u8; BLOCK as usize], header: &tar::Header) -> bool {
    // The sum's own field counts as blanks.
    let sum: u32 = block
        .iter()
        .enumerate()
        .map(|(at, byte)| {
            if (148..156).contains(&at) {
                u32::from(b' ')
            } else {
                u32::from(*byte)
            }
        })
        .sum();
    header.cksum().is_ok_and(|said| said == sum)
}

/// Reads PAX records: `LENGTH KEY=VALUE\n`.
fn pax(mut bytes: &[u8]) -> Option<Vec<(&[u8], &[u8])>> {
    let mut records = Vec::new();
    while !bytes.is_empty() {
        let blank = bytes.iter().position(|byte| *byte == b' ')?;
        let length: usize = std::str::from_utf8(&bytes[..blank]).ok()?.parse().ok()?;
        let (record, rest) = bytes.split_at_checked(length)?;
        let record = record.get(blank + 1..)?.strip_suffix(b"\n")?;
        let equals = record.iter().position(|byte| *byte == b'=')?;
        records.push((&record[..equals], &record[equals + 1..]));
        bytes = rest;
    }
    Some(records)
}

/// Returns a name without `./` and doubled slashes.
pub(super) fn clean(name: &str) -> String {
    name.split('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .collect::<Vec<_>>()
        .join("/")
}

/// Returns where a symbolic link leads, seen from the archive's root. It cannot leave it: names are only looked up.
fn beside(name: &str, link: &str) -> String {
    let name = clean(name);
    let mut parts: Vec<&str> = name.split('/').collect();
    parts.pop();
    for part in link.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            part => parts.push(part),
        }
    }
    parts.join("/")
}
