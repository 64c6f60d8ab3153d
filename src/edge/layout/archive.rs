//! Writes a layout as one tar file whose bytes depend on the image alone.

use std::collections::BTreeMap;
use std::io::{BufWriter, Write};
use std::path::Path;

use super::copy::copy;
use super::error::LayoutError;
use super::stage::Target;
use super::write::OCI_LAYOUT;
use super::{BlobSource, Parts};
use crate::edge::disk::DiskError;
use crate::layer::node::MADE_MTIME;
use crate::oci::Digest;

const BLOCK: u64 = 512;

/// Writes the archive, with `manifest.json` if it is for Docker.
pub(super) fn write(
    target: &Target,
    parts: &Parts,
    docker: Option<&[u8]>,
) -> Result<(), LayoutError> {
    if target.path().is_dir() {
        let why = "it is a folder, and an archive is a file".to_owned();
        return Err(LayoutError::Occupied {
            path: target.path().to_owned(),
            why,
        });
    }
    // By name, as the order of a map of names is; all of them sort after the folders.
    let mut members: BTreeMap<String, (Digest, u64, BlobSource)> = BTreeMap::new();
    let small = [
        ("index.json", Some(parts.index())),
        ("manifest.json", docker.map(<[u8]>::to_vec)),
        ("oci-layout", Some(OCI_LAYOUT.to_vec())),
    ];
    for (name, bytes) in small {
        if let Some(bytes) = bytes {
            let about = (Digest::of(&bytes), bytes.len() as u64, bytes.into());
            members.insert(name.to_owned(), about);
        }
    }
    for (digest, (size, source)) in &parts.blobs {
        let name = format!("blobs/sha256/{}", digest.hex());
        members.insert(name, (*digest, *size, source.clone()));
    }
    let stage = target.file()?;
    let path = stage.path();
    let mut out = BufWriter::with_capacity(256 * 1024, stage.as_file());
    // With its folders: skopeo, run by another user than root, fails to make those that are left out.
    for name in ["blobs/", "blobs/sha256/"] {
        put(
            &mut out,
            &header(name, tar::EntryType::Directory, 0o755, 0),
            path,
        )?;
    }
    for (name, (digest, size, source)) in &members {
        put(
            &mut out,
            &header(name, tar::EntryType::Regular, 0o644, *size),
            path,
        )?;
        copy(source, *digest, *size, &mut out, path)?;
        let padding = size.next_multiple_of(BLOCK) - size;
        put(&mut out, &[0; BLOCK as usize][..padding as usize], path)?;
    }
    // Two empty blocks are the end.
    put(&mut out, &[0; 2 * BLOCK as usize], path)?;
    out.flush().map_err(DiskError::at("write", path))?;
    drop(out);
    stage.into_place(target)
}

fn put(out: &mut dyn Write, bytes: &[u8], path: &Path) -> Result<(), DiskError> {
    out.write_all(bytes).map_err(DiskError::at("write", path))
}

/// Returns the ustar header of a member. Names here are short and ASCII.
fn header(name: &str, kind: tar::EntryType, mode: u32, size: u64) -> [u8; BLOCK as usize] {
    let mut header = tar::Header::new_ustar();
    let field = &mut header.as_old_mut().name;
    field[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_mode(mode);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(MADE_MTIME.unsigned_abs());
    header.set_size(size);
    header.set_cksum();
    *header.as_bytes()
}
