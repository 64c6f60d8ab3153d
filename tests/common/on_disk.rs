//! What a root on disk holds, as far as rpm decides it: what two installations are compared by.

use std::collections::BTreeMap;
use std::path::Path;

use imgbuild::layer::LayerPath;
use imgbuild::oci::Digest;

/// What a tree holds at a path, as far as rpm decides it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(crate) what: String,
    pub(crate) mode: u32,
    pub(crate) owner: (u32, u32),
    pub(crate) mtime: i64,
    pub(crate) capability: Option<Vec<u8>>,
}

/// Returns what a folder holds, without the rpm database; the first name of a hard link in order is the file.
pub(crate) fn on_disk(root: &Path) -> BTreeMap<String, Seen> {
    use std::os::unix::fs::{FileTypeExt, MetadataExt};
    let mut found = BTreeMap::new();
    let mut first_names: BTreeMap<u64, String> = BTreeMap::new();
    let mut todo = vec![root.to_owned()];
    let mut all = Vec::new();
    while let Some(directory) = todo.pop() {
        for entry in std::fs::read_dir(directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            if path.symlink_metadata().expect("is there").is_dir() {
                todo.push(path.clone());
            }
            all.push(path);
        }
    }
    all.sort_by_key(|path| path.as_os_str().as_encoded_bytes().to_vec());
    for path in all {
        use std::os::unix::ffi::OsStrExt;
        let inside = LayerPath::parse(
            path.strip_prefix(root)
                .expect("inside")
                .as_os_str()
                .as_bytes(),
        );
        let name = inside.expect("a path").to_string();
        if name.starts_with("/var/lib/rpm") {
            continue;
        }
        let meta = path.symlink_metadata().expect("is there");
        let kind = meta.file_type();
        let what = if kind.is_dir() {
            "directory".to_owned()
        } else if kind.is_symlink() {
            let target = std::fs::read_link(&path).expect("reads");
            format!("link to {}", target.display())
        } else if kind.is_file() {
            match first_names.get(&meta.ino()).filter(|_| meta.nlink() > 1) {
                Some(first) => format!("same as {first}"),
                None => {
                    first_names.insert(meta.ino(), name.clone());
                    Digest::of(&std::fs::read(&path).expect("reads")).to_string()
                }
            }
        } else {
            format!("special {} {}", kind.is_char_device(), meta.rdev())
        };
        let mut value = [0; 64];
        let capability = rustix::fs::lgetxattr(&path, "security.capability", &mut value[..])
            .ok()
            .map(|length| value[..length].to_vec());
        let is_dir = kind.is_dir();
        let seen = Seen {
            what,
            mode: meta.mode() & 0o7777,
            owner: (meta.uid(), meta.gid()),
            // A directory's time changes with what is put into it.
            mtime: if is_dir { 0 } else { meta.mtime() },
            capability,
        };
        found.insert(name, seen);
    }
    found
}
