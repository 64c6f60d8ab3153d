//! Writes an image as a layout or archive.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs::{self, DirBuilder, File};
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use serde_json::json;

use super::copy::copy_to_file;
use super::error::LayoutError;
use super::referrers::LIST;
use super::stage::{Target, owner_may, replaceable, sync_folder};
use super::{BlobSource, Format, Parts, archive};
use crate::abreast::abreast;
use crate::edge::disk::DiskError;
use crate::edge::registry::MANIFEST_LIMIT;
use crate::edge::store::FileBlob;
use crate::oci::manifest::Document;
use crate::oci::{Descriptor, Digest, json, media_type};

/// The contents of the file `oci-layout`.
pub(super) const OCI_LAYOUT: &[u8] = br#"{"imageLayoutVersion":"1.0.0"}"#;

/// Writes `parts` to `path`, replacing a layout (or archive) that is there, all at once.
///
/// Until everything is written and checked, `path` stays as it is, also when the process is killed.
///
/// # Errors
/// [`LayoutError::Occupied`] if something else than a layout (or a file) is at `path`; [`LayoutError::Missing`],
/// [`LayoutError::Digest`] or [`LayoutError::Size`] if the parts are not complete and true;
/// [`LayoutError::Platforms`] if a docker-archive would need several images; [`LayoutError::Disk`].
pub fn write(path: &Path, format: Format, parts: &Parts) -> Result<(), LayoutError> {
    let manifests = parts.manifests(path)?;
    let target = Target::new(path)?;
    match format {
        Format::Oci => folder(&target, parts),
        Format::OciArchive => archive::write(&target, parts, None),
        Format::DockerArchive => {
            let [manifest] = manifests.as_slice() else {
                return Err(LayoutError::Platforms {
                    path: path.to_owned(),
                    count: manifests.len(),
                });
            };
            archive::write(
                &target,
                parts,
                Some(&docker_manifest(manifest, &parts.docker_tags)),
            )
        }
    }
}

/// Tells whether the folder at `path` is already the layout that [`write`] would make of `parts`: nothing else, nothing
/// less, every byte. `digest_of` tells what a file holds.
#[must_use]
pub fn is_there(
    path: &Path,
    parts: &Parts,
    digest_of: &(dyn Fn(&FileBlob) -> io::Result<Digest> + Sync),
) -> bool {
    let names = |folder: &Path| -> Option<BTreeSet<OsString>> {
        let entries = fs::read_dir(folder).ok()?;
        entries.map(|entry| Some(entry.ok()?.file_name())).collect()
    };
    let are = |folder: &Path, wanted: &[&str]| {
        names(folder).is_some_and(|found| found.iter().eq(wanted.iter().copied()))
    };
    let blobs = path.join("blobs/sha256");
    if !are(path, &["blobs", "index.json", "oci-layout"]) || !are(&path.join("blobs"), &["sha256"])
    {
        return false;
    }
    let index = parts.index();
    let mut wanted: Vec<(PathBuf, Digest, u64)> = vec![
        (
            path.join("index.json"),
            Digest::of(&index),
            index.len() as u64,
        ),
        (
            path.join("oci-layout"),
            Digest::of(OCI_LAYOUT),
            OCI_LAYOUT.len() as u64,
        ),
    ];
    let all: BTreeSet<OsString> = parts.blobs.keys().map(|it| it.hex().into()).collect();
    if names(&blobs) != Some(all) {
        return false;
    }
    let blob =
        |(digest, (size, _)): (&Digest, &(u64, _))| (blobs.join(digest.hex()), *digest, *size);
    wanted.extend(parts.blobs.iter().map(blob));
    let checked = abreast(
        &wanted,
        WRITERS,
        |(_, _, size)| *size,
        |(path, digest, size)| {
            let is_file = fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file());
            let blob = FileBlob::open(path)
                .ok()
                .filter(|blob| is_file && blob.len() == *size);
            let found = blob.and_then(|blob| digest_of(&blob).ok());
            if found == Some(*digest) {
                Ok(())
            } else {
                Err(())
            }
        },
    );
    checked.is_ok()
}

/// Tells before a build whether [`write`] could put an image of so many platforms there.
///
/// # Errors
/// [`LayoutError::Occupied`], [`LayoutError::Platforms`] and [`LayoutError::Disk`], as [`write`] would give them.
pub fn check(path: &Path, format: Format, platforms: usize) -> Result<(), LayoutError> {
    if format == Format::DockerArchive && platforms > 1 {
        return Err(LayoutError::Platforms {
            path: path.to_owned(),
            count: platforms,
        });
    }
    let target = Target::new(path)?;
    if format == Format::Oci {
        replaceable(&target)?;
    }
    Ok(())
}

/// How many blobs are written at once. More than there are cores: each waits for the disk at its end.
const WRITERS: usize = 8;

fn folder(target: &Target, parts: &Parts) -> Result<(), LayoutError> {
    // Before the work, and again when it is done.
    replaceable(target)?;
    let stage = target.folder()?;
    let blobs = stage.path().join("blobs/sha256");
    for dir in [stage.path().join("blobs"), blobs.clone()] {
        DirBuilder::new()
            .mode(0o777)
            .create(&dir)
            .and_then(|()| owner_may(&dir, 0o700))
            .map_err(DiskError::at("make the folder", &dir))?;
    }
    let all: Vec<_> = parts.blobs.iter().collect();
    abreast(
        &all,
        WRITERS,
        |(_, (size, _))| *size,
        |(digest, (size, source))| file(&blobs.join(digest.hex()), source, **digest, *size),
    )?;
    sync_folder(&blobs);
    sync_folder(&stage.path().join("blobs"));
    for (name, bytes) in [
        ("index.json", parts.index()),
        ("oci-layout", OCI_LAYOUT.to_vec()),
    ] {
        let (digest, size) = (Digest::of(&bytes), bytes.len() as u64);
        file(&stage.path().join(name), &bytes.into(), digest, size)?;
    }
    stage.into_place(target)
}

fn file(path: &Path, source: &BlobSource, digest: Digest, size: u64) -> Result<(), LayoutError> {
    let mut out = File::options()
        .write(true)
        .create_new(true)
        .open(path)
        .map_err(DiskError::at("write", path))?;
    owner_may(path, 0o600).map_err(DiskError::at("set the mode of", path))?;
    copy_to_file(source, digest, size, &mut out, path)?;
    out.sync_data().map_err(DiskError::at("write", path))?;
    Ok(())
}

/// Returns what `docker load` of every version reads: where in the archive config and layers are.
fn docker_manifest(manifest: &crate::oci::manifest::Manifest, tags: &[String]) -> Vec<u8> {
    let blob = |descriptor: &Descriptor| format!("blobs/sha256/{}", descriptor.digest.hex());
    json::canonical(&json!([{
        "Config": blob(&manifest.config),
        "RepoTags": tags,
        "Layers": manifest.layers.iter().map(blob).collect::<Vec<_>>(),
    }]))
}

impl Parts {
    /// Returns the bytes of `index.json`.
    pub(super) fn index(&self) -> Vec<u8> {
        let mut index = json!({
            "schemaVersion": 2,
            "mediaType": media_type::INDEX,
            "manifests": self.images,
        });
        if let Some(list) = &self.list {
            index["annotations"] = json!({ LIST: list });
        }
        json::canonical(&index)
    }

    /// Returns the image manifests that `index.json` leads to, having checked that all blobs they name are there.
    fn manifests(&self, path: &Path) -> Result<Vec<crate::oci::manifest::Manifest>, LayoutError> {
        let mut found = Vec::new();
        let mut seen = std::collections::BTreeSet::new();
        let mut todo: Vec<&Descriptor> = self.images.iter().rev().collect();
        let mut indexes = Vec::new();
        while let Some(descriptor) = todo.pop().cloned().or_else(|| indexes.pop()) {
            if !seen.insert(descriptor.digest) {
                continue;
            }
            match self.document(path, &descriptor)? {
                Document::Index(index) => indexes.extend(index.manifests.into_iter().rev()),
                Document::Manifest(manifest) => {
                    self.has(path, "config", &manifest.config)?;
                    manifest
                        .layers
                        .iter()
                        .try_for_each(|layer| self.has(path, "layer", layer))?;
                    found.push(manifest);
                }
            }
        }
        Ok(found)
    }

    fn has(
        &self,
        path: &Path,
        what: &'static str,
        descriptor: &Descriptor,
    ) -> Result<(), LayoutError> {
        match self.blobs.get(&descriptor.digest) {
            None => Err(LayoutError::Missing {
                path: path.to_owned(),
                what,
                digest: descriptor.digest,
            }),
            Some((size, _)) if *size != descriptor.size => Err(LayoutError::Size {
                path: path.to_owned(),
                digest: descriptor.digest,
                wanted: descriptor.size,
                found: *size,
            }),
            Some(_) => Ok(()),
        }
    }

    fn document(&self, path: &Path, descriptor: &Descriptor) -> Result<Document, LayoutError> {
        self.has(path, "manifest", descriptor)?;
        let what = descriptor.digest.to_string();
        if descriptor.size > MANIFEST_LIMIT {
            let (size, limit) = (descriptor.size, MANIFEST_LIMIT);
            return Err(LayoutError::TooLarge {
                path: path.to_owned(),
                what,
                size,
                limit,
            });
        }
        let mut bytes = Vec::new();
        if let Some((size, source)) = self.blobs.get(&descriptor.digest) {
            super::copy::copy(source, descriptor.digest, *size, &mut bytes, path)?;
        }
        Document::parse(&bytes).map_err(|error| LayoutError::Document {
            path: path.to_owned(),
            what,
            error,
        })
    }
}
