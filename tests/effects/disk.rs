//! Moves trees between a folder and memory, to give both the real tool and ours the same root.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::process::Command;

use imgbuild::layer::node::Kind;
use imgbuild::layer::{Content, LayerPath, Node, Tree};
use imgbuild::oci::Digest;

/// The bytes behind trees.
#[derive(Default)]
pub(crate) struct Bytes(pub(crate) BTreeMap<Digest, Vec<u8>>);

impl Bytes {
    pub(crate) fn file(&mut self, bytes: &[u8], mode: u32) -> Node {
        let content = Content::of(bytes);
        self.0.insert(content.digest, bytes.to_vec());
        Node::made_file(content, mode)
    }

    pub(crate) fn get(&self, content: &Content) -> io::Result<Vec<u8>> {
        let bytes = self.0.get(&content.digest);
        bytes
            .cloned()
            .ok_or_else(|| io::Error::other("not at hand"))
    }
}

/// Reads a folder.
pub(crate) fn load(root: &Path, bytes: &mut Bytes) -> Tree {
    let mut tree = Tree::default();
    let mut todo = vec![root.to_owned()];
    while let Some(folder) = todo.pop() {
        for entry in std::fs::read_dir(&folder).expect("a folder") {
            let path = entry.expect("an entry").path();
            let relative = path.strip_prefix(root).expect("below the root");
            let at = LayerPath::parse(relative.as_os_str().as_bytes()).expect("a path");
            let meta = std::fs::symlink_metadata(&path).expect("exists");
            let node = if meta.is_symlink() {
                let target = std::fs::read_link(&path).expect("a link");
                Node::made_symlink(target.as_os_str().as_bytes())
            } else if meta.is_dir() {
                todo.push(path);
                Node::made_dir()
            } else {
                let content = std::fs::read(&path).expect("a file");
                bytes.file(&content, meta.permissions().mode() & 0o7777)
            };
            tree.insert(at, node);
        }
    }
    tree
}

/// Writes a tree into a folder.
pub(crate) fn store(tree: &Tree, bytes: &Bytes, root: &Path) {
    for (at, node) in tree.iter() {
        let path = root.join(std::ffi::OsStr::from_bytes(at.as_bytes()));
        match &node.kind {
            Kind::Dir => std::fs::create_dir_all(&path).expect("a folder"),
            Kind::Symlink(target) => {
                let target = std::ffi::OsStr::from_bytes(target);
                let _ = std::fs::remove_file(&path);
                std::os::unix::fs::symlink(target, &path).expect("a link");
            }
            Kind::File(content) => {
                let _ = std::fs::remove_file(&path);
                let bytes = bytes.get(content).expect("known bytes");
                std::fs::write(&path, bytes).expect("a file");
                let mode = std::fs::Permissions::from_mode(node.meta.mode);
                std::fs::set_permissions(&path, mode).expect("a mode");
            }
            Kind::Whiteout => {
                let _ = std::fs::remove_file(&path);
            }
            other => panic!("{other:?}"),
        }
    }
}

/// Returns a command, if the tool is here and a root may be changed with it.
pub(crate) fn tool(name: &str) -> Option<Command> {
    if !rustix::process::geteuid().is_root() {
        return crate::common::skip(&format!("{name} needs root"));
    }
    let found = ["/usr/sbin", "/usr/bin", "/sbin", "/bin"]
        .iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.exists());
    match found {
        Some(path) => Some(Command::new(path)),
        None => crate::common::skip(&format!("{name} is not installed")),
    }
}
