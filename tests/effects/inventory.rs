//! Every scriptlet of real distributions, and which of them nobody knows.

use std::path::Path;

use imgbuild::rpm::effects::{Arriving, Verdict, inventory, known};
use imgbuild::rpm::header::Header;

use crate::common;

fn headers(database: &Path) -> Vec<Header> {
    let flags = rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY | rusqlite::OpenFlags::SQLITE_OPEN_URI;
    let uri = format!("file:{}?immutable=1", database.display());
    let database = rusqlite::Connection::open_with_flags(uri, flags).expect("opens");
    let mut rows = database
        .prepare("SELECT blob FROM Packages ORDER BY hnum")
        .expect("has packages");
    rows.query_map([], |row| row.get::<_, Vec<u8>>(0))
        .expect("rows")
        .map(|row| Header::parse(&row.expect("a blob")).expect("a header"))
        .collect()
}

#[test]
fn dump() {
    for name in ["centos-stream-9", "cbl-mariner-2.0"] {
        let path = common::data(&format!("rpmdb/{name}/rpmdb.sqlite")).unwrap();
        let headers = headers(&path);
        let arriving: Vec<_> = headers
            .iter()
            .map(|header| Arriving {
                header,
                upgrades: false,
            })
            .collect();
        for s in inventory(&arriving, &[], &[]) {
            println!(
                "{name} {} {:?} {} {}",
                s.key(),
                s.woken_by,
                s.interpreter,
                match &s.verdict {
                    Verdict::Effect(e) => format!("EFFECT {e:?}"),
                    Verdict::NoEffect { reason } => format!("NO {reason}"),
                    Verdict::Unknown { why } => format!(
                        "UNKNOWN {why} {}",
                        known::fingerprint(&s.interpreter, &s.body)
                    ),
                }
            );
        }
    }
}
