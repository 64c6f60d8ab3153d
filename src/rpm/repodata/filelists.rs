//! Looks for a few paths in filelists.xml, which holds every path of every package.

use std::collections::{BTreeSet, HashMap};
use std::io::BufRead;
use std::sync::Arc;

use super::RepodataError;
use super::xml::{Document, Piece};
use crate::rpm::package::Package;

/// A package that holds a path.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct FoundFile {
    /// The package's checksum as hexadecimal digits, which filelists.xml uses as its identity.
    pub package: String,
    /// The path.
    pub path: Arc<str>,
}

/// Reads filelists.xml once and returns who holds one of `wanted`, in the order of the document.
///
/// # Errors
/// [`RepodataError`] for what is not filelists.xml.
pub fn scan_filelists(
    input: impl BufRead,
    wanted: &BTreeSet<Arc<str>>,
) -> Result<Vec<FoundFile>, RepodataError> {
    let mut document = Document::new("filelists.xml", "filelists", input);
    let mut buffer = Vec::new();
    let mut package = String::new();
    let mut is_file = false;
    let mut text = String::new();
    let mut found = Vec::new();
    loop {
        match document.next(&mut buffer)? {
            Piece::Open(element) => {
                text.clear();
                is_file = element.name() == "file";
                if element.name() == "package" {
                    package = element
                        .attribute("pkgid")
                        .unwrap_or_default()
                        .to_ascii_lowercase();
                }
            }
            Piece::Text(piece) if is_file => text.push_str(&piece),
            Piece::Raw(piece) if is_file => text.push_str(&piece),
            Piece::Character(c) if is_file => text.push(c),
            Piece::Close(_) => {
                if let Some(path) = wanted.get(&*text).filter(|_| is_file) {
                    found.push(FoundFile {
                        package: package.clone(),
                        path: path.clone(),
                    });
                }
                is_file = false;
            }
            Piece::Text(_) | Piece::Raw(_) | Piece::Character(_) | Piece::Skipped => {}
            Piece::End => return Ok(found),
        }
    }
}

/// Adds to each package the paths that were found for it, once each.
pub fn add_files(packages: &mut [Package], found: &[FoundFile]) {
    let mut by_checksum: HashMap<&str, Vec<&Arc<str>>> = HashMap::new();
    for file in found {
        by_checksum
            .entry(&file.package)
            .or_default()
            .push(&file.path);
    }
    for package in packages {
        let hex = package.checksum.as_ref().map(|checksum| checksum.hex());
        for path in hex
            .iter()
            .filter_map(|hex| by_checksum.get(hex.as_str()))
            .flatten()
        {
            if !package.files.contains(path) {
                package.files.push((*path).clone());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpm::evr::Evr;
    use crate::rpm::package::Checksum;

    #[test]
    fn wanted_paths_reach_their_packages() {
        let id = "0a".repeat(32);
        let text = format!(
            "<filelists><package pkgid=\"{id}\" name=\"a\"><file>/usr/lib/a &amp; b</file><file type=\"dir\">/c</file>\
             <version ver=\"1\"/></package><package pkgid=\"ff\"><file>/c</file></package></filelists>"
        );
        let wanted: BTreeSet<Arc<str>> = ["/usr/lib/a & b".into(), "/c".into(), "/d".into()].into();
        let found = scan_filelists(text.as_bytes(), &wanted).expect("well-formed");
        assert_eq!(found.len(), 3);
        let mut package = Package::new("a", Evr::parse("1-1"), "noarch");
        package.checksum = Some(Checksum::parse("sha256", &id).expect("64 digits"));
        let mut packages = [package];
        add_files(&mut packages, &found);
        add_files(&mut packages, &found);
        assert_eq!(packages[0].files, ["/usr/lib/a & b".into(), "/c".into()]);
    }
}
