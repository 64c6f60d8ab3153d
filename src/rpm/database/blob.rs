//! Merges a package's headers into the one that rpm stores for an installed package.
//!
//! The package's own header comes first, byte for byte; what the installation adds ("dribbles") follows, sorted by tag.
//! Source: `headerMergeLegacySigs` in rpm's `lib/package.c` and `rpmpsm` in `lib/psm.c`.

use super::DatabaseError;
use crate::rpm::header::{Header, Kind};
use crate::rpm::selection::FileState;
use crate::rpm::tag;

/// A tag that moves from the signature header to the installed one.
struct Moved {
    from: u32,
    to: u32,
    kind: Kind,
    /// How many items it must have; any if 0.
    count: u32,
}

const fn moved(from: u32, to: u32, kind: Kind, count: u32) -> Moved {
    Moved {
        from,
        to,
        kind,
        count,
    }
}

/// In the order of rpm's `xlateTags`.
const MOVED: [Moved; 17] = [
    moved(tag::signature::SIZE, tag::SIGSIZE, Kind::Int32, 1),
    moved(tag::signature::PGP, tag::SIGPGP, Kind::Bin, 0),
    moved(tag::signature::MD5, tag::SIGMD5, Kind::Bin, 16),
    moved(tag::signature::GPG, tag::SIGGPG, Kind::Bin, 0),
    moved(
        tag::signature::PAYLOADSIZE,
        tag::ARCHIVESIZE,
        Kind::Int32,
        1,
    ),
    moved(
        tag::signature::FILESIGNATURES,
        tag::FILESIGNATURES,
        Kind::StringArray,
        0,
    ),
    moved(
        tag::signature::FILESIGNATURELENGTH,
        tag::FILESIGNATURELENGTH,
        Kind::Int32,
        1,
    ),
    moved(
        tag::VERITYSIGNATURES,
        tag::VERITYSIGNATURES,
        Kind::StringArray,
        0,
    ),
    moved(
        tag::VERITYSIGNATUREALGO,
        tag::VERITYSIGNATUREALGO,
        Kind::Int32,
        1,
    ),
    moved(tag::SHA1HEADER, tag::SHA1HEADER, Kind::String, 1),
    moved(tag::SHA256HEADER, tag::SHA256HEADER, Kind::String, 1),
    moved(tag::DSAHEADER, tag::DSAHEADER, Kind::Bin, 0),
    moved(tag::RSAHEADER, tag::RSAHEADER, Kind::Bin, 0),
    moved(tag::LONGSIGSIZE, tag::LONGSIGSIZE, Kind::Int64, 1),
    moved(tag::LONGARCHIVESIZE, tag::LONGARCHIVESIZE, Kind::Int64, 1),
    moved(tag::OPENPGP, tag::OPENPGP, Kind::StringArray, 0),
    moved(tag::SHA3_256HEADER, tag::SHA3_256HEADER, Kind::String, 1),
];

/// Tags of [`MOVED`] that may be in the package's own header instead.
const IN_EITHER: [u32; 3] = [
    tag::ARCHIVESIZE,
    tag::FILESIGNATURES,
    tag::FILESIGNATURELENGTH,
];

/// What is stored about an installation besides the package itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstallFacts {
    /// When: seconds since 1970 UTC. Also the number of the transaction, as rpm has it.
    pub time: u32,
    /// The colours of files that this system installs: INSTALLCOLOR of the packages of the base.
    pub color: u32,
}

struct Dribble {
    tag: u32,
    kind: Kind,
    count: u32,
    data: Vec<u8>,
}

/// Returns the header that the database holds for an installed package.
///
/// # Errors
/// [`DatabaseError`] if the headers do not fit together.
pub fn merge(
    signature: &Header,
    header: &Header,
    states: &[FileState],
    facts: InstallFacts,
) -> Result<Header, DatabaseError> {
    let package = || header.nevra();
    let files = header.count(tag::BASENAMES);
    if states.len() != files {
        return Err(DatabaseError::States {
            package: package(),
            wanted: files,
            found: states.len(),
        });
    }
    let mut dribbles = moved_tags(signature, header)?;
    if files > 0 {
        dribbles.push(Dribble {
            tag: tag::FILESTATES,
            kind: Kind::Char,
            count: files as u32,
            data: states.iter().map(|&state| state as u8).collect(),
        });
    }
    // Relocatable packages record where their prefixes went: here, nowhere else.
    if let Some(prefixes) = header.entry(tag::PREFIXES) {
        dribbles.push(Dribble {
            tag: tag::INSTPREFIXES,
            kind: Kind::StringArray,
            count: prefixes.count,
            data: header.data(prefixes).to_vec(),
        });
    }
    for (tag, value) in [
        (tag::INSTALLTIME, facts.time),
        (tag::INSTALLTID, facts.time),
        (tag::INSTALLCOLOR, facts.color),
    ] {
        dribbles.push(Dribble {
            tag,
            kind: Kind::Int32,
            count: 1,
            data: value.to_be_bytes().to_vec(),
        });
    }
    dribbles.sort_by_key(|dribble| dribble.tag);
    let region = header
        .immutable_region()
        .ok_or_else(|| DatabaseError::NoRegion(package()))?;
    let bytes = append(&region[8..], &dribbles);
    Header::parse(&bytes).map_err(|source| DatabaseError::Merged {
        package: package(),
        source,
    })
}

fn moved_tags(signature: &Header, header: &Header) -> Result<Vec<Dribble>, DatabaseError> {
    let mut out = Vec::new();
    for rule in &MOVED {
        let (package, tag) = (|| header.nevra(), rule.to);
        let found = signature.entry(rule.from);
        if header.contains(tag) && (found.is_some() || !IN_EITHER.contains(&tag)) {
            return Err(DatabaseError::Foreign {
                package: package(),
                tag,
            });
        }
        let Some(entry) = found else {
            continue;
        };
        if entry.kind != rule.kind || (rule.count != 0 && entry.count != rule.count) {
            return Err(DatabaseError::Type {
                package: package(),
                tag: rule.from,
            });
        }
        out.push(Dribble {
            tag,
            kind: entry.kind,
            count: entry.count,
            data: signature.data(entry).to_vec(),
        });
    }
    Ok(out)
}

/// Appends entries to a header without magic: `headerExport` in rpm's `lib/header.c`.
fn append(header: &[u8], dribbles: &[Dribble]) -> Vec<u8> {
    let count = |at: usize| {
        header
            .get(at..at + 4)
            .and_then(|raw| raw.try_into().ok())
            .map_or(0, u32::from_be_bytes)
    };
    let (index, store) = header[8..].split_at(16 * count(0) as usize);
    let (mut index, mut store) = (index.to_vec(), store.to_vec());
    for dribble in dribbles {
        let aligned = store.len().next_multiple_of(dribble.kind.alignment());
        store.resize(aligned, 0);
        for word in [
            dribble.tag,
            dribble.kind.number(),
            store.len() as u32,
            dribble.count,
        ] {
            index.extend(word.to_be_bytes());
        }
        store.extend(&dribble.data);
    }
    let mut out = Vec::with_capacity(8 + index.len() + store.len());
    out.extend((index.len() as u32 / 16).to_be_bytes());
    out.extend((store.len() as u32).to_be_bytes());
    out.extend(index);
    out.extend(store);
    out
}
