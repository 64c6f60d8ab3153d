//! Collects the files of a venv and refuses two that want one place.

use std::collections::BTreeMap;

use super::{Venv, VenvError, VenvSpec, is_reserved};
use crate::layer::{Contents, LayerPath, Node, Tree};
use crate::python::wheel::{Purity, Wheel};

/// The owner of what no package brings.
const VENV: &str = "venv";

/// What has been placed so far.
pub(super) struct Placed<'s> {
    spec: &'s VenvSpec,
    entries: BTreeMap<LayerPath, Entry>,
    /// Where the bytes are.
    pub(super) contents: Contents,
}

struct Entry {
    node: Node,
    owners: Vec<String>,
    purity: Purity,
}

impl<'s> Placed<'s> {
    /// Starts with nothing, if `spec` can be written into scripts.
    pub(super) fn new(spec: &'s VenvSpec) -> Result<Self, VenvError> {
        let path = str::from_utf8(spec.path.as_bytes());
        if spec.path.is_root()
            || path.is_err()
            || path.is_ok_and(|it| it.chars().any(char::is_control))
        {
            return Err(VenvError::Path(spec.path.clone()));
        }
        let interpreter = &spec.interpreter;
        let is_odd = |c: char| c.is_control() || c.is_whitespace();
        if !interpreter.starts_with('/')
            || interpreter.ends_with('/')
            || interpreter.contains(is_odd)
        {
            return Err(VenvError::Interpreter(interpreter.clone()));
        }
        Ok(Self {
            spec,
            entries: BTreeMap::new(),
            contents: Contents::default(),
        })
    }

    /// Places a part of the venv itself.
    pub(super) fn own(&mut self, path: &str, node: Node) -> Result<(), VenvError> {
        self.put(VENV.to_owned(), path, node, Purity::Pure)
    }

    /// Places a folder that is there even if empty.
    pub(super) fn own_folder(&mut self, path: &str) -> Result<(), VenvError> {
        self.own(path, Node::made_dir())
    }

    /// Places a file or folder of `wheel`.
    pub(super) fn file(&mut self, wheel: &Wheel, path: &str, node: Node) -> Result<(), VenvError> {
        let package = wheel.to_string();
        if is_reserved(path) {
            let path = self.join(&package, path)?;
            return Err(VenvError::Reserved { path, package });
        }
        self.put(package, path, node, wheel.purity())
    }

    fn join(&self, package: &str, path: &str) -> Result<LayerPath, VenvError> {
        self.spec
            .path
            .join(path)
            .map_err(|fault| VenvError::FilePath {
                package: package.to_owned(),
                fault,
            })
    }

    fn put(
        &mut self,
        package: String,
        path: &str,
        node: Node,
        purity: Purity,
    ) -> Result<(), VenvError> {
        let path = self.join(&package, path)?;
        let Some(there) = self.entries.get_mut(&path) else {
            let entry = Entry {
                node,
                owners: vec![package],
                purity,
            };
            self.entries.insert(path, entry);
            return Ok(());
        };
        // The same bytes and mode twice are one file of both, as a LICENSE at the top of site-packages. Installers
        // that write over what is there keep whichever came last.
        if there.node != node {
            return Err(VenvError::Conflict {
                path,
                first: there.owners.join(", "),
                second: package,
            });
        }
        if !there.owners.contains(&package) {
            there.owners.push(package);
        }
        there.purity = there.purity.shared(purity);
        Ok(())
    }

    /// Returns both trees, with every folder from the venv down.
    pub(super) fn finish(self) -> Result<Venv, VenvError> {
        let mut venv = Venv {
            contents: self.contents,
            ..Venv::default()
        };
        for (path, entry) in &self.entries {
            let tree = match entry.purity {
                Purity::Pure => &mut venv.pure,
                Purity::Native => &mut venv.native,
            };
            let mut folder = path.parent();
            while let Some(above) = folder.filter(|above| above.is_within(&self.spec.path)) {
                refuse_file(&self.entries, &above, entry)?;
                // The folders above one that is there are there too.
                if tree.get(&above).is_some() {
                    break;
                }
                folder = above.parent();
                tree.insert(above, Node::made_dir());
            }
        }
        for (path, entry) in self.entries {
            let tree: &mut Tree = match entry.purity {
                Purity::Pure => &mut venv.pure,
                Purity::Native => &mut venv.native,
            };
            if !entry.node.is_dir() && entry.owners.iter().any(|owner| owner != VENV) {
                venv.owners.insert(path.clone(), entry.owners.join(", "));
            }
            tree.insert(path, entry.node);
        }
        Ok(venv)
    }
}

/// Refuses a file where another package needs a folder.
fn refuse_file(
    entries: &BTreeMap<LayerPath, Entry>,
    folder: &LayerPath,
    below: &Entry,
) -> Result<(), VenvError> {
    match entries.get(folder) {
        Some(file) if !file.node.is_dir() => Err(VenvError::Conflict {
            path: folder.clone(),
            first: file.owners.join(", "),
            second: below.owners.join(", "),
        }),
        _ => Ok(()),
    }
}
