//! An image that is taken apart, changed and written again: digests are made right, unless a test damages them.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde_json::{Value, json};

use crate::harness::sha256;
use crate::tarball::{Piece, Tarball};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// A layer: its tar and its blob.
#[derive(Clone)]
pub(crate) struct Layer {
    pub(crate) tar: Arc<Vec<u8>>,
    pub(crate) blob: Arc<Vec<u8>>,
    pub(crate) media_type: String,
    pub(crate) created_by: String,
    /// Its line of the history, and those of no layer that follow it.
    pub(crate) history: Vec<Value>,
    diff_id: String,
    digest: String,
    /// A file that already holds the blob.
    file: Option<PathBuf>,
}

/// Tells whom a path of a layer belongs to.
pub(crate) type Owner = Arc<dyn Fn(usize, &str) -> String + Send + Sync>;

/// An image of one platform.
#[derive(Clone)]
pub(crate) struct Picture {
    pub(crate) layers: Vec<Layer>,
    /// Without `rootfs` and `history`.
    pub(crate) config: Value,
    pub(crate) annotations: BTreeMap<String, String>,
    /// When each line of the history was written.
    pub(crate) created: String,
    /// Written with white space, which changes the bytes alone.
    pub(crate) is_spaced: bool,
    /// What the config says of the tars, if it is not the truth.
    pub(crate) claimed: BTreeMap<usize, String>,
    /// Under an index over platforms, with these annotations.
    pub(crate) index: Option<BTreeMap<String, String>>,
    /// How many layers, the lowest, changes leave alone.
    pub(crate) untouched: usize,
    /// Whom paths belong to, as far as a test knows.
    pub(crate) owner: Owner,
}

/// Where the parts of a written image are.
pub(crate) struct Written {
    pub(crate) folder: PathBuf,
    pub(crate) top: String,
    pub(crate) manifest: String,
    pub(crate) config: String,
    pub(crate) layers: Vec<String>,
}

/// Compresses with the header that imgbuild writes.
pub(crate) fn gzip(tar: &[u8], level: u32, time: u32) -> Vec<u8> {
    let level = flate2::Compression::new(level);
    let header = flate2::GzBuilder::new().mtime(time).operating_system(255);
    let mut out = header.write(Vec::new(), level);
    out.write_all(tar).expect("in memory");
    out.finish().expect("in memory")
}

impl Layer {
    pub(crate) fn new(tarball: &Tarball, created_by: &str) -> Self {
        let tar = tarball.bytes();
        let blob = gzip(&tar, 1, 0);
        Self {
            diff_id: sha256(&tar),
            digest: sha256(&blob),
            blob: Arc::new(blob),
            tar: Arc::new(tar),
            media_type: format!("{LAYER}+gzip"),
            created_by: created_by.to_owned(),
            history: vec![json!({"created_by": created_by})],
            file: None,
        }
    }

    /// Returns the same with another tar.
    pub(crate) fn with(&self, tarball: &Tarball) -> Self {
        Self {
            history: self.history.clone(),
            ..Self::new(tarball, &self.created_by)
        }
    }

    /// Returns the same tar in another blob.
    pub(crate) fn packed(&self, blob: Vec<u8>, suffix: &str) -> Self {
        Self {
            digest: sha256(&blob),
            blob: Arc::new(blob),
            media_type: format!("{LAYER}{suffix}"),
            file: None,
            ..self.clone()
        }
    }

    pub(crate) fn tarball(&self) -> Tarball {
        Tarball::parse(&self.tar)
    }
}

/// Cuts a history so that each part begins with the line of a layer.
fn by_layer(history: &Value) -> Vec<Vec<Value>> {
    let mut out: Vec<Vec<Value>> = Vec::new();
    for line in history.as_array().expect("a list") {
        match out.last_mut() {
            Some(last) if line["empty_layer"] == true => last.push(line.clone()),
            _ => out.push(vec![line.clone()]),
        }
    }
    out
}

impl Picture {
    /// Takes a layout of one image apart.
    pub(crate) fn read(folder: &Path) -> Self {
        let layout = crate::harness::Layout::open(folder);
        let images = layout.images();
        let [image] = images.as_slice() else {
            panic!("{} holds not one image", folder.display())
        };
        let layers = image
            .layers
            .iter()
            .zip(image.manifest["layers"].as_array().expect("layers"));
        let mut history = by_layer(&image.config["history"]).into_iter();
        let layers = layers.map(|(layer, described)| Layer {
            diff_id: layer.diff_id.clone(),
            digest: layer.digest.clone(),
            file: Some(folder.join("blobs/sha256").join(&layer.digest[7..])),
            history: history.next().expect("a line for each layer"),
            tar: Arc::new(layout.tar(layer)),
            blob: Arc::new(layout.blob(&layer.digest)),
            media_type: described["mediaType"].as_str().expect("text").to_owned(),
            created_by: layer.created_by.clone(),
        });
        let mut config = image.config.clone();
        let fields = config.as_object_mut().expect("an object");
        fields.remove("rootfs");
        fields.remove("history");
        let annotations = &image.manifest["annotations"];
        Self {
            layers: layers.collect(),
            created: config["created"].as_str().expect("text").to_owned(),
            config,
            annotations: serde_json::from_value(annotations.clone()).unwrap_or_default(),
            is_spaced: false,
            claimed: BTreeMap::new(),
            index: None,
            untouched: 0,
            owner: Arc::new(|layer, path| panic!("whose is {path} of layer {layer}?")),
        }
    }

    pub(crate) fn owner(&self, layer: usize, path: &str) -> String {
        (self.owner)(layer, path)
    }

    /// Returns the lines of the history.
    pub(crate) fn history(&self) -> Vec<Value> {
        let lines = self.layers.iter().flat_map(|layer| &layer.history);
        let mut lines: Vec<Value> = lines.cloned().collect();
        for line in lines
            .iter_mut()
            .filter(|line| line.get("created").is_none())
        {
            line["created"] = json!(self.created);
        }
        lines
    }

    /// Changes one layer.
    pub(crate) fn edit(&mut self, layer: usize, edit: impl FnOnce(&mut Tarball)) {
        let mut tarball = self.layers[layer].tarball();
        edit(&mut tarball);
        self.layers[layer] = self.layers[layer].with(&tarball);
    }

    /// Changes one entry.
    pub(crate) fn edit_entry(&mut self, layer: usize, path: &str, edit: impl FnOnce(&mut Piece)) {
        self.edit(layer, |tarball| edit(tarball.entry(path)));
    }

    fn config_bytes(&self) -> Vec<u8> {
        let mut config = self.config.clone();
        let diff_ids: Vec<String> = self
            .layers
            .iter()
            .enumerate()
            .map(|(at, layer)| {
                let claimed = self.claimed.get(&at).cloned();
                claimed.unwrap_or_else(|| layer.diff_id.clone())
            })
            .collect();
        config["rootfs"] = json!({"type": "layers", "diff_ids": diff_ids});
        config["history"] = Value::from(self.history());
        if self.is_spaced {
            return serde_json::to_vec_pretty(&config).expect("JSON");
        }
        config.to_string().into_bytes()
    }

    /// Writes it as a layout.
    pub(crate) fn write(&self, folder: &Path) -> Written {
        let blobs = folder.join("blobs/sha256");
        fs::create_dir_all(&blobs).expect("a folder");
        let put = |bytes: &[u8], media_type: &str| {
            let digest = sha256(bytes);
            fs::write(blobs.join(&digest[7..]), bytes).expect("written");
            json!({"mediaType": media_type, "digest": digest, "size": bytes.len()})
        };
        let layers: Vec<Value> = self
            .layers
            .iter()
            .map(|layer| {
                let path = blobs.join(&layer.digest[7..]);
                let is_linked = |file: &PathBuf| fs::hard_link(file, &path).is_ok();
                if !layer.file.as_ref().is_some_and(is_linked) {
                    fs::write(path, &*layer.blob).expect("written");
                }
                json!({
                    "mediaType": layer.media_type, "digest": layer.digest,
                    "size": layer.blob.len(),
                })
            })
            .collect();
        let config = put(&self.config_bytes(), CONFIG);
        let manifest = json!({
            "schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": layers,
            "annotations": self.annotations,
        });
        let mut top = put(manifest.to_string().as_bytes(), MANIFEST);
        let digest = |descriptor: &Value| descriptor["digest"].as_str().expect("text").to_owned();
        let manifest = digest(&top);
        if let Some(annotations) = &self.index {
            top["platform"] = json!({"os": "linux", "architecture": "amd64"});
            let index = json!({
                "schemaVersion": 2, "mediaType": INDEX, "manifests": [top],
                "annotations": annotations,
            });
            top = put(index.to_string().as_bytes(), INDEX);
        }
        top["annotations"] = json!({"org.opencontainers.image.ref.name": "t"});
        let index = json!({"schemaVersion": 2, "manifests": [top]});
        fs::write(folder.join("index.json"), index.to_string()).expect("written");
        fs::write(
            folder.join("oci-layout"),
            r#"{"imageLayoutVersion":"1.0.0"}"#,
        )
        .expect("written");
        Written {
            folder: folder.to_owned(),
            top: digest(&top),
            manifest,
            config: digest(&config),
            layers: layers.iter().map(digest).collect(),
        }
    }
}

impl Written {
    /// Changes the bytes of a blob and not its name.
    pub(crate) fn damage(&self, digest: &str, damage: impl FnOnce(&mut Vec<u8>)) {
        let path = self.folder.join("blobs/sha256").join(&digest[7..]);
        let mut bytes = Vec::new();
        fs::File::open(&path)
            .and_then(|mut file| file.read_to_end(&mut bytes))
            .expect("a blob");
        damage(&mut bytes);
        // The file may be a link to one that others use.
        fs::remove_file(&path).expect("a blob");
        fs::write(&path, bytes).expect("written");
    }

    /// Takes a blob away.
    pub(crate) fn lose(&self, digest: &str) {
        fs::remove_file(self.folder.join("blobs/sha256").join(&digest[7..])).expect("a blob");
    }
}
