//! Whom the paths of an image belong to: its own rpm database and the RECORDs of its Python packages tell.

use std::collections::BTreeMap;

use super::verdict::Owner;
use crate::layer::LayerPath;
use crate::oci::PlatformImage;
use crate::python::record;
use crate::root::Root;
use crate::rpm::entries::entries;

/// What the layers that imgbuild makes begin their line of the history with.
const MADE: &str = "imgbuild: ";

/// Larger RECORDs are not read, in bytes.
const LARGEST_RECORD: u64 = 16 << 20;

/// Whom the paths of one image belong to.
pub struct Owners {
    files: BTreeMap<LayerPath, Owner>,
    /// For each layer, what is not owned otherwise belongs to.
    layers: Vec<Owner>,
}

/// Tells whether a file is needed to know owners: while layers are merged, its contents are to be kept.
#[must_use]
pub fn keeps_for_owners(path: &LayerPath, size: u64) -> bool {
    let is_record = path.file_name() == b"RECORD"
        && path
            .parent()
            .is_some_and(|folder| folder.file_name().ends_with(b".dist-info"));
    (is_record && size <= LARGEST_RECORD)
        || (path.file_name().starts_with(b"rpmdb.sqlite") && crate::root::keep(path, size))
}

impl Owners {
    /// Reads who owns what in an image whose merged root is `root`.
    #[must_use]
    pub fn read(image: &PlatformImage, root: &Root) -> Self {
        let mut owners = Self {
            files: BTreeMap::new(),
            layers: by_layer(image),
        };
        owners.add_wheels(root);
        owners.add_packages(root);
        owners
    }

    /// Returns whom a path belongs to that is in this layer.
    #[must_use]
    pub fn of(&self, path: &LayerPath, layer: usize) -> Option<Owner> {
        let owned = self.files.get(path).or_else(|| self.source_of(path));
        owned.or_else(|| self.layers.get(layer)).cloned()
    }

    /// Bytecode that an installer made belongs to its source.
    fn source_of(&self, path: &LayerPath) -> Option<&Owner> {
        let stem = path.file_name().strip_suffix(b".pyc")?;
        let folder = path.parent()?;
        let module = stem.split(|&byte| byte == b'.').next()?;
        let source = folder
            .parent()
            .filter(|_| folder.file_name() == b"__pycache__")?
            .join([module, b".py"].concat())
            .ok()?;
        self.files.get(&source)
    }

    fn add_packages(&mut self, root: &Root) {
        // A database that cannot be read has no say in who owns what; that it differs is a row of its own.
        let Ok(Some(database)) = root.rpm_database() else {
            return;
        };
        let mut folders: BTreeMap<LayerPath, LayerPath> = BTreeMap::new();
        for package in &database.packages {
            let Ok(list) = entries(&package.header) else {
                continue;
            };
            let owner = Owner::Rpm(package.header.nevra());
            for entry in list.entries {
                let written = entry.path.parent().unwrap_or_default();
                let folder = folders.entry(written).or_insert_with_key(|written| {
                    root.tree
                        .resolve(written)
                        .unwrap_or_else(|_| written.clone())
                });
                if let Ok(path) = folder.join(entry.path.file_name()) {
                    // Several packages may own a directory; the first is as good as any.
                    self.files.entry(path).or_insert_with(|| owner.clone());
                }
            }
        }
    }

    fn add_wheels(&mut self, root: &Root) {
        for (path, _) in root.tree.iter() {
            if !keeps_for_owners(path, 0) || path.file_name() != b"RECORD" {
                continue;
            }
            let Some(info) = path.parent() else {
                continue;
            };
            let Some(rows) = root
                .read_node(path)
                .and_then(|bytes| str::from_utf8(bytes).ok())
                .and_then(|text| record::parse(text).ok())
            else {
                continue;
            };
            let name = String::from_utf8_lossy(info.file_name()).into_owned();
            let name = name.trim_end_matches(".dist-info").replacen('-', " ", 1);
            let site = info.parent().unwrap_or_default();
            for row in rows {
                if let Some(path) = beside(&site, &row.path) {
                    self.files.insert(path, Owner::Wheel(name.clone()));
                }
            }
        }
    }
}

/// Returns the path that `relative` means from a folder; `..` leads up, as RECORD has it for scripts.
fn beside(folder: &LayerPath, relative: &str) -> Option<LayerPath> {
    let mut at = folder.clone();
    for part in relative.split('/') {
        at = match part {
            "" | "." => at,
            ".." => at.parent()?,
            part => at.join(part).ok()?,
        };
    }
    Some(at)
}

/// Returns whom the rest of each layer belongs to. In an image of imgbuild's, what lies below its layers is the base.
fn by_layer(image: &PlatformImage) -> Vec<Owner> {
    let layers = &image.layers;
    let is_made = |at: &usize| layers[*at].created_by.starts_with(MADE);
    let first_made = (0..layers.len()).find(is_made);
    let owner = |at: usize| {
        let created_by = &layers[at].created_by;
        if first_made.is_some_and(|first| at < first) {
            Owner::Base
        } else if let Some(from) = created_by.strip_prefix("imgbuild: copy: ") {
            Owner::Copy(from.to_owned())
        } else if created_by.is_empty() {
            Owner::Layer(format!("layer {}", at + 1))
        } else {
            Owner::Layer(created_by.clone())
        }
    };
    (0..layers.len()).map(owner).collect()
}

/// Tells whether a layer is one of the base, as far as the history tells.
pub(super) fn is_base(image: &PlatformImage, at: usize) -> bool {
    by_layer(image).get(at) == Some(&Owner::Base)
}
