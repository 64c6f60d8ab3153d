//! Reads OCI layouts independently of the product: serde_json, flate2 and tar, every digest checked.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde_json::Value;
use sha2::{Digest as _, Sha256};

/// Returns the digest of bytes as OCI writes it.
pub(crate) fn sha256(bytes: &[u8]) -> String {
    let hex: String = Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{hex}")
}

/// An OCI layout.
#[derive(Clone, Debug)]
pub(crate) struct Layout {
    folder: PathBuf,
}

/// One image of a layout.
#[derive(Clone, Debug)]
pub(crate) struct Image {
    /// `linux/amd64`.
    pub(crate) platform: String,
    /// The manifest's digest.
    pub(crate) digest: String,
    /// The manifest.
    pub(crate) manifest: Value,
    /// The config.
    pub(crate) config: Value,
    /// The layers, lowest first.
    pub(crate) layers: Vec<Layer>,
}

/// A layer and its line of the history.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Layer {
    /// Of the compressed blob.
    pub(crate) digest: String,
    /// Of the tar.
    pub(crate) diff_id: String,
    /// `created_by`; empty for layers of a base without history.
    pub(crate) created_by: String,
}

/// An entry of a layer's tar.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// Without a slash at either end.
    pub(crate) path: String,
    /// The tar's type flag: `0` a file, `1` a hard link, `2` a symlink, `5` a folder.
    pub(crate) kind: char,
    /// Permission bits.
    pub(crate) mode: u32,
    /// User and group.
    pub(crate) owner: (u64, u64),
    /// Seconds since 1970 UTC.
    pub(crate) mtime: u64,
    /// Digest of a file's content.
    pub(crate) content: String,
    /// Where a link leads.
    pub(crate) link: String,
    /// Extended attributes.
    pub(crate) xattrs: BTreeMap<String, Vec<u8>>,
}

fn text<'a>(value: &'a Value, key: &str) -> &'a str {
    value
        .get(key)
        .and_then(Value::as_str)
        .unwrap_or_else(|| panic!("no {key} in {value}"))
}

fn list<'a>(value: &'a Value, key: &str) -> &'a [Value] {
    value
        .get(key)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

impl Layout {
    /// Names the layout in a folder.
    pub(crate) fn open(folder: &Path) -> Self {
        Self {
            folder: folder.to_owned(),
        }
    }

    /// Returns where it is.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the bytes of a blob, whose digest is checked.
    pub(crate) fn blob(&self, digest: &str) -> Vec<u8> {
        let hex = digest
            .strip_prefix("sha256:")
            .unwrap_or_else(|| panic!("{digest} is not sha256"));
        let path = self.folder.join("blobs/sha256").join(hex);
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert_eq!(
            sha256(&bytes),
            digest,
            "{} holds other bytes",
            path.display()
        );
        bytes
    }

    fn json(&self, digest: &str) -> Value {
        serde_json::from_slice(&self.blob(digest))
            .unwrap_or_else(|error| panic!("{digest}: {error}"))
    }

    /// Returns `index.json`.
    pub(crate) fn index(&self) -> Value {
        let path = self.folder.join("index.json");
        let bytes = fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        serde_json::from_slice(&bytes).expect("JSON")
    }

    /// Returns the one thing that is tagged: a manifest, or an index over platforms.
    pub(crate) fn top(&self) -> Value {
        let index = self.index();
        let [top] = list(&index, "manifests") else {
            panic!("not one entry: {index}")
        };
        top.clone()
    }

    /// Returns every image: that of the layout, or those of the index in it.
    pub(crate) fn images(&self) -> Vec<Image> {
        let top = self.top();
        if !text(&top, "mediaType").contains("index") {
            return vec![self.image(&top)];
        }
        let index = self.json(text(&top, "digest"));
        list(&index, "manifests")
            .iter()
            .map(|descriptor| self.image(descriptor))
            .collect()
    }

    fn image(&self, descriptor: &Value) -> Image {
        let digest = text(descriptor, "digest").to_owned();
        let manifest = self.json(&digest);
        let config = self.json(text(&manifest["config"], "digest"));
        let history = list(&config, "history").iter();
        let mut made_by =
            history.filter(|line| line.get("empty_layer") != Some(&Value::Bool(true)));
        let layers = list(&manifest, "layers")
            .iter()
            .zip(list(&config["rootfs"], "diff_ids"));
        let layers = layers
            .map(|(layer, diff_id)| Layer {
                digest: text(layer, "digest").to_owned(),
                diff_id: diff_id.as_str().expect("text").to_owned(),
                created_by: made_by
                    .next()
                    .and_then(|line| line.get("created_by")?.as_str())
                    .unwrap_or_default()
                    .to_owned(),
            })
            .collect();
        let platform = format!("{}/{}", text(&config, "os"), text(&config, "architecture"));
        Image {
            platform,
            digest,
            manifest,
            config,
            layers,
        }
    }

    /// Returns the tar of a layer, whose `diff_id` is checked.
    pub(crate) fn tar(&self, layer: &Layer) -> Vec<u8> {
        let mut tar = Vec::new();
        let compressed = self.blob(&layer.digest);
        flate2::read::MultiGzDecoder::new(compressed.as_slice())
            .read_to_end(&mut tar)
            .expect("gzip");
        assert_eq!(
            sha256(&tar),
            layer.diff_id,
            "{} is another tar",
            layer.digest
        );
        tar
    }

    /// Returns the entries of a layer in its order.
    pub(crate) fn entries(&self, layer: &Layer) -> Vec<Entry> {
        let tar = self.tar(layer);
        let mut archive = tar::Archive::new(tar.as_slice());
        archive
            .entries()
            .expect("a tar")
            .map(|entry| read_entry(entry.expect("an entry")))
            .collect()
    }

    /// Returns the digest and manifest of all that refers to the image.
    pub(crate) fn referrers(&self) -> Vec<(String, Value)> {
        let index = self.index();
        let Some(digest) = index["annotations"]["vnd.imgbuild.referrers"].as_str() else {
            return Vec::new();
        };
        let listed = self.json(digest);
        let listed = list(&listed, "manifests").iter();
        listed
            .map(|entry| {
                let digest = text(entry, "digest");
                (digest.to_owned(), self.json(digest))
            })
            .collect()
    }

    /// Checks that every file of the layout is reached from its index, and everything reached is there.
    pub(crate) fn assert_complete(&self) {
        let mut reached = std::collections::BTreeSet::new();
        let top = self.top();
        reached.insert(text(&top, "digest").to_owned());
        for image in self.images() {
            reached.extend([
                image.digest.clone(),
                text(&image.manifest["config"], "digest").to_owned(),
            ]);
            for layer in &image.layers {
                self.blob(&layer.digest);
                reached.insert(layer.digest.clone());
            }
        }
        if let Some(list) = self.index()["annotations"]["vnd.imgbuild.referrers"].as_str() {
            reached.insert(list.to_owned());
        }
        for (digest, artifact) in self.referrers() {
            reached.insert(digest);
            let blobs = list(&artifact, "layers")
                .iter()
                .chain([&artifact["config"]]);
            for blob in blobs {
                self.blob(text(blob, "digest"));
                reached.insert(text(blob, "digest").to_owned());
            }
        }
        let present: std::collections::BTreeSet<_> =
            super::names(&self.folder.join("blobs/sha256"))
                .into_iter()
                .map(|hex| format!("sha256:{hex}"))
                .collect();
        assert_eq!(present, reached, "{}", self.folder.display());
        assert_eq!(
            super::names(&self.folder),
            ["blobs", "index.json", "oci-layout"]
        );
    }
}

impl Image {
    /// Returns the layer whose line of the history holds `words`.
    pub(crate) fn layer(&self, words: &str) -> &Layer {
        let found = self
            .layers
            .iter()
            .find(|layer| layer.created_by.contains(words));
        found.unwrap_or_else(|| panic!("no layer is made by {words:?}: {:?}", self.layers))
    }
}

fn read_entry(mut entry: tar::Entry<'_, &[u8]>) -> Entry {
    let clean = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_matches('/').to_owned();
    let path = clean(&entry.path_bytes());
    let link = entry
        .link_name_bytes()
        .map(|link| String::from_utf8_lossy(&link).into_owned())
        .unwrap_or_default();
    let xattrs =
        entry
            .pax_extensions()
            .expect("readable")
            .map_or_else(BTreeMap::new, |extensions| {
                extensions
                    .map(|extension| extension.expect("well-formed"))
                    .filter_map(|extension| {
                        let name = extension.key().ok()?.strip_prefix("SCHILY.xattr.")?;
                        Some((name.to_owned(), extension.value_bytes().to_vec()))
                    })
                    .collect()
            });
    let header = entry.header();
    let kind = header.entry_type().as_byte() as char;
    let (mode, mtime) = (
        header.mode().expect("octal") & 0o7777,
        header.mtime().expect("octal"),
    );
    let owner = (header.uid().expect("octal"), header.gid().expect("octal"));
    let mut bytes = Vec::new();
    entry.read_to_end(&mut bytes).expect("in memory");
    let content = if kind == '0' {
        sha256(&bytes)
    } else {
        String::new()
    };
    Entry {
        path,
        kind,
        mode,
        owner,
        mtime,
        content,
        link,
        xattrs,
    }
}
