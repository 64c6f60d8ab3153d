//! What is said about contents of each format.

use super::*;

fn lines(path: &str, a: &[u8], b: &[u8]) -> (String, Option<Cause>) {
    let found = look(&LayerPath::parse(path).expect(path), a, b);
    (found.lines.join("\n"), found.cause)
}

fn pyc(flags: u32, time: u32, code: &[u8]) -> Vec<u8> {
    let mut out = b"\xa7\x0d\r\n".to_vec();
    for word in [flags, time, 7] {
        out.extend(word.to_le_bytes());
    }
    out.extend(code);
    out
}

#[test]
fn bytecode_is_compared_by_its_header_and_its_code() {
    let look = |a: &[u8], b: &[u8]| lines("x/__pycache__/y.cpython-311.pyc", a, b);
    let (text, cause) = look(&pyc(0, 1, b"code"), &pyc(0, 86_400, b"code"));
    assert_eq!(
        text,
        "time of the source 1970-01-01T00:00:01Z → 1970-01-02T00:00:00Z\nthe code is the same"
    );
    assert_eq!(cause, Some(Cause::PycMtime));
    let (text, cause) = look(&pyc(0, 1, b"code"), &pyc(3, 1, b"code"));
    assert!(
        text.contains("validated by time and size → by hash, checked"),
        "{text}"
    );
    assert_eq!(cause, Some(Cause::PycFlags));
    let (text, cause) = look(&pyc(0, 1, b"code"), &pyc(0, 2, b"other"));
    assert!(text.contains("the code differs"), "{text}");
    assert_eq!(cause, None);
}

#[test]
fn one_byte_is_named_with_its_offset() {
    let (text, _) = lines("a", b"\0\x01\x02", b"\0\x03\x02");
    assert_eq!(text, "1 byte differs, the first at offset 1: 01 → 03");
    let (text, _) = lines("a", b"\0\x01", b"\0\x01\x02");
    assert_eq!(text, "the same up to offset 2, where one ends");
}

#[test]
fn text_is_a_unified_diff_that_steers_no_terminal() {
    let (text, _) = lines("etc/motd", b"one\ntwo\n", b"one\n\x1b[31mtwo\n");
    assert!(text.contains("-two\n+\\u{1b}[31mtwo"), "{text}");
}

#[test]
fn json_is_compared_by_path() {
    let (text, _) = lines("a.json", br#"{"a": {"b": 1}}"#, br#"{"a": {"b": 2}}"#);
    assert_eq!(text, "a.b: 1 → 2");
}

#[test]
fn lines_of_record_in_another_order_are_recognised() {
    let (text, cause) = lines("x.dist-info/RECORD", b"a,,\nb,,\n", b"b,,\na,,\n");
    assert!(text.starts_with("the same lines"), "{text}");
    assert_eq!(cause, Some(Cause::RecordOrder));
}

#[test]
fn gzip_is_compared_by_header_and_by_what_it_holds() {
    use std::io::Write as _;
    let gzip = |level, time| {
        let level = flate2::Compression::new(level);
        let mut out = flate2::GzBuilder::new()
            .mtime(time)
            .write(Vec::new(), level);
        out.write_all(&b"words and words and words ".repeat(40))
            .expect("in memory");
        out.finish().expect("in memory")
    };
    let (text, cause) = lines("a.gz", &gzip(6, 0), &gzip(6, 60));
    assert!(
        text.contains("no time") && text.contains("1970-01-01T00:01:00Z"),
        "{text}"
    );
    assert_eq!(cause, Some(Cause::GzipHeader));
    let (text, cause) = lines("a.gz", &gzip(0, 0), &gzip(9, 0));
    assert!(text.contains("the unpacked bytes are the same"), "{text}");
    assert_eq!(cause, Some(Cause::Compressor));
}

#[test]
fn databases_are_compared_by_their_tables() {
    let database = |rows: i64| {
        let mut connection = rusqlite::Connection::open_in_memory().expect("in memory");
        connection
            .execute_batch("CREATE TABLE t(x); CREATE TABLE same(y);")
            .expect("valid");
        for row in 0..rows {
            connection
                .execute("INSERT INTO t VALUES (?1)", [row])
                .expect("valid");
        }
        connection
            .serialize(rusqlite::MAIN_DB)
            .expect("bytes")
            .to_vec()
    };
    let (text, _) = lines("a.db", &database(1), &database(3));
    assert_eq!(text, "table t: number of rows 1 → 3");
}

#[test]
fn no_bytes_make_looking_panic() {
    let starts: [&[u8]; 7] = [
        b"SQLite format 3\0",
        b"\x1f\x8b\x08\xff",
        b"\x7fELF\x02\x01\x01",
        b"PK\x03\x04",
        b"{",
        b"\xa7\x0d\r\n",
        b"",
    ];
    for start in starts {
        for length in [0, 1, 7, 40, 300] {
            for name in ["a", "rpmdb.sqlite", "RECORD", "x.pyc"] {
                let a = [start, &vec![0xff; length]].concat();
                let b = [start, &vec![0x01; length]].concat();
                look(&LayerPath::parse(name).expect("a path"), &a, &b);
            }
        }
    }
}
