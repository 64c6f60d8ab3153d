//! The index tables of a database, and the rows that a header gives them.
//!
//! Source: `rpmdbAdd` and `tag2index` in rpm's `lib/rpmdb.c`, `lib/backend/sqlite.c`.

use std::collections::BTreeSet;

use super::rich;
use crate::rpm::header::Header;
use crate::rpm::tag;

/// An index table: its name, the tag it indexes.
#[derive(Clone, Copy)]
pub(super) struct Table {
    pub(super) name: &'static str,
    pub(super) tag: u32,
}

const fn table(name: &'static str, tag: u32) -> Table {
    Table { name, tag }
}

/// All index tables, in the order in which rpm creates them.
pub(super) const TABLES: [Table; 18] = [
    table("Name", tag::NAME),
    table("Basenames", tag::BASENAMES),
    table("Group", tag::GROUP),
    table("Requirename", tag::REQUIRENAME),
    table("Providename", tag::PROVIDENAME),
    table("Conflictname", tag::CONFLICTNAME),
    table("Obsoletename", tag::OBSOLETENAME),
    table("Triggername", tag::TRIGGERNAME),
    table("Dirnames", tag::DIRNAMES),
    table("Installtid", tag::INSTALLTID),
    table("Sigmd5", tag::SIGMD5),
    table("Sha1header", tag::SHA1HEADER),
    table("Filetriggername", tag::FILETRIGGERNAME),
    table("Transfiletriggername", tag::TRANSFILETRIGGERNAME),
    table("Recommendname", tag::RECOMMENDNAME),
    table("Suggestname", tag::SUGGESTNAME),
    table("Supplementname", tag::SUPPLEMENTNAME),
    table("Enhancename", tag::ENHANCENAME),
];

impl Table {
    /// Tells whether keys are bytes rather than text.
    pub(super) fn has_binary_keys(self) -> bool {
        matches!(self.tag, tag::INSTALLTID | tag::SIGMD5)
    }

    /// Tells whether a header can give it several rows, so that it is also indexed by package.
    pub(super) fn has_many_rows(self) -> bool {
        !matches!(
            self.tag,
            tag::NAME | tag::GROUP | tag::INSTALLTID | tag::SIGMD5 | tag::SHA1HEADER
        )
    }
}

/// A key and the position that goes with it.
pub(super) type Row = (Vec<u8>, u32);

/// Dependencies that only matter while a package is installed are not indexed.
mod sense {
    const POSTTRANS: u32 = 1 << 5;
    const PRETRANS: u32 = 1 << 7;
    const SCRIPT_PRE: u32 = 1 << 9;
    const SCRIPT_POST: u32 = 1 << 10;
    const SCRIPT_PREUN: u32 = 1 << 11;
    const SCRIPT_POSTUN: u32 = 1 << 12;
    const RPMLIB: u32 = 1 << 24;
    const KEYRING: u32 = 1 << 26;
    const META: u32 = 1 << 29;

    const INSTALL: u32 = POSTTRANS | PRETRANS | SCRIPT_PRE | SCRIPT_POST | RPMLIB | KEYRING;
    const ERASE: u32 = SCRIPT_PREUN | SCRIPT_POSTUN;

    /// `isTransientReq` of rpm.
    pub(super) fn is_transient(flags: u32) -> bool {
        flags & INSTALL != 0 && flags & (ERASE | META) == 0
    }
}

/// Returns the rows that `header` gives to `table`, in the order in which rpm inserts them.
pub(super) fn rows(header: &Header, table: Table) -> Vec<Row> {
    match table.tag {
        tag::GROUP => {
            let group = header.string_bytes(tag::GROUP).unwrap_or(b"Unknown");
            vec![(group.to_vec(), 0)]
        }
        // In the byte order of the machine, which is little on all that images are built for.
        tag::INSTALLTID => header
            .u32s(tag::INSTALLTID)
            .first()
            .map_or_else(Vec::new, |id| vec![(id.to_le_bytes().to_vec(), 0)]),
        tag::SIGMD5 => header
            .binary(tag::SIGMD5)
            .map_or_else(Vec::new, |md5| vec![(md5.to_vec(), 0)]),
        _ => string_rows(header, table.tag),
    }
}

fn string_rows(header: &Header, tag: u32) -> Vec<Row> {
    let flags = match tag {
        tag::REQUIRENAME => header.u32s(tag::REQUIREFLAGS),
        _ => Vec::new(),
    };
    let positions = match tag {
        tag::FILETRIGGERNAME => header.u32s(tag::FILETRIGGERINDEX),
        tag::TRANSFILETRIGGERNAME => header.u32s(tag::TRANSFILETRIGGERINDEX),
        _ => Vec::new(),
    };
    let can_be_rich = matches!(
        tag,
        tag::REQUIRENAME
            | tag::CONFLICTNAME
            | tag::RECOMMENDNAME
            | tag::SUGGESTNAME
            | tag::SUPPLEMENTNAME
            | tag::ENHANCENAME
    );
    let mut triggers = BTreeSet::new();
    let mut out = Vec::new();
    for (at, value) in header.strings(tag).into_iter().enumerate() {
        let is_transient = flags
            .get(at)
            .is_some_and(|&flags| sense::is_transient(flags));
        // A package is found once by each name it triggers on, however many scripts it has for it.
        let is_repeated = tag == tag::TRIGGERNAME && !triggers.insert(value);
        if is_transient || is_repeated {
            continue;
        }
        let position = positions.get(at).copied().unwrap_or(at as u32);
        out.push((value.to_vec(), position));
        if can_be_rich && value.starts_with(b"(") {
            out.extend(rich::names(value).into_iter().map(|name| (name, position)));
        }
    }
    out
}
