//! Plan, inputs and a sink become an image: a function of its arguments, whatever the machine.

pub mod accounts_layer;
mod error;
mod python_layers;
mod rpm_layer;
pub mod scriptlets;
mod through_links;

use std::io::{self, Write};
use std::sync::Arc;

use crate::image::{self, BaseImage, Image, NewLayer, Settings};
use crate::layer::codec::Codec;
use crate::layer::tree::Stacked;
use crate::layer::write::{Layer, WriteOptions, write_layer};
use crate::layer::{Contents, LayerPath, Node, RandomRead, Tree, index, parents};
use crate::lock::Lock;
use crate::oci::Digest;
use crate::plan::Plan;
use crate::recipe::{Args, ConfigSection, Recipe, Stage};
use crate::root::Root;
use crate::source::{self, SourceList};

pub use error::BuildError;
use through_links::through_links;

/// Opens inputs by digest.
pub trait BlobSource: Sync {
    /// Returns the blob with `digest`, if it is at hand.
    fn open(&self, digest: &Digest) -> Option<Arc<dyn RandomRead>>;
}

/// Makes files for bytes that are needed only while a layer is made.
pub trait SpoolSource: Sync {
    /// Begins one.
    ///
    /// # Errors
    /// What the disk says.
    fn spool(&self) -> io::Result<Box<dyn crate::rpm::payload::Spool>>;
}

/// Takes finished layers: a store, or a sink that only hashes.
pub trait LayerSink: Sync {
    /// Returns the layer that was made of these very entries before, if it is still at hand and sound.
    ///
    /// `key` stands for everything that decides a byte of it; a sink that keeps nothing has none.
    fn find(&self, key: &Digest) -> Option<Layer> {
        let _ = key;
        None
    }

    /// Begins one.
    ///
    /// # Errors
    /// What the disk says.
    fn begin(&self) -> io::Result<Box<dyn PendingLayer>>;
}

/// A layer that is being written.
pub trait PendingLayer: Write + Send {
    /// Keeps what was written as `layer`, to be found again by `key`.
    ///
    /// # Errors
    /// What the disk says.
    fn commit(self: Box<Self>, key: &Digest, layer: &Layer) -> io::Result<()>;
}

/// What an image is made of.
pub struct Materials<'a> {
    /// The recipe.
    pub recipe: &'a Recipe,
    /// Its lock.
    pub lock: &'a Lock,
    /// Build arguments.
    pub args: &'a Args,
    /// Creation time, seconds since 1970 UTC: the lock's, or `SOURCE_DATE_EPOCH`.
    pub epoch: i64,
    /// The base's documents.
    pub base: &'a BaseImage,
    /// The base's merged root.
    pub root: &'a Root,
    /// Locked inputs.
    pub blobs: &'a dyn BlobSource,
    /// What the copy rules found.
    pub source: &'a SourceList,
    /// Where the bytes of those files are.
    pub source_contents: &'a Contents,
}

/// Where an image goes, and with how many threads it is made; neither reaches its bytes.
pub struct Workshop<'a> {
    /// Takes layers.
    pub sink: &'a dyn LayerSink,
    /// Makes temporary files.
    pub spools: &'a dyn SpoolSource,
    /// Threads that compress.
    pub threads: usize,
    /// Is told of each finished layer.
    pub finished: &'a (dyn Fn(&NewLayer) + Sync),
    /// Is told what a person may want to know of the result.
    pub remark: &'a (dyn Fn(&str) + Sync),
}

/// Builds one image.
///
/// # Errors
/// [`BuildError`] with the input, path or layer it is about.
pub fn build(
    plan: &Plan<'_>,
    materials: &Materials<'_>,
    workshop: &Workshop<'_>,
) -> Result<Image, BuildError> {
    let mut work = Work {
        root: materials.root,
        upper: Tree::default(),
        layers: Vec::new(),
        workshop,
    };
    let mut accounts = accounts_layer::read(materials.root, materials.lock.epoch);

    if !plan.rpms.is_empty() || !plan.erased.is_empty() {
        let made = rpm_layer::make(plan, materials, workshop, &mut accounts)?;
        let requests = materials.recipe.packages(plan.stage).join(" ");
        work.add(
            format!("imgbuild: rpm: {requests}"),
            made.tree,
            &made.contents,
        )?;
    }
    if plan.stage == Stage::Builder {
        let config = ConfigSection::default();
        return work.assemble(plan, materials, &config);
    }
    if let Some(user) = &materials.recipe.user {
        let (mut tree, mut contents) = (Tree::default(), Contents::default());
        accounts_layer::add_user(user, &mut accounts, work.below(), &mut tree)?;
        accounts_layer::write(&accounts, work.below(), &mut tree, &mut contents);
        work.add(
            format!(
                "imgbuild: user: {} ({}:{})",
                user.name,
                user.uid,
                user.group_id()
            ),
            tree,
            &contents,
        )?;
    }
    if let Some(python) = &materials.recipe.python {
        let venv = python_layers::make(plan, materials, python)?;
        work.add(
            format!("imgbuild: python: {} (pure wheels)", python.venv),
            venv.pure,
            &venv.contents,
        )?;
        work.add(
            format!("imgbuild: python: {} (native wheels)", python.venv),
            venv.native,
            &venv.contents,
        )?;
    }
    let owner = |name: &str| accounts.user(name).map(|user| (user.uid, user.gid));
    let mut tree = source::lay_out(&materials.recipe.copy, materials.source, owner)?;
    add_workdir(&materials.recipe.config, work.below(), &mut tree)?;
    let rules = materials.recipe.copy.iter();
    let from: Vec<&str> = rules.map(|rule| rule.from.as_str()).collect();
    let created_by = match from.as_slice() {
        [] => "imgbuild: workdir".to_owned(),
        some => format!("imgbuild: copy: {}", some.join(" ")),
    };
    work.add(created_by, tree, materials.source_contents)?;
    work.assemble(plan, materials, &materials.recipe.config)
}

/// Makes the working folder where nothing else did: on a read-only root no runtime could make it.
fn add_workdir(
    config: &ConfigSection,
    below: Stacked<'_>,
    tree: &mut Tree,
) -> Result<(), BuildError> {
    // One that depends on arguments is not known to be a path before the config is put together.
    let Some(workdir) = config.workdir.as_deref().filter(|path| !path.contains('$')) else {
        return Ok(());
    };
    let path = LayerPath::parse(workdir).map_err(|error| BuildError::Path(error.to_string()))?;
    let is_there =
        tree.within(&path).next().is_some() || below.get(&below.resolve(&path)?).is_some();
    if !path.is_root() && !is_there {
        tree.insert(path, Node::made_dir());
    }
    Ok(())
}

/// Returns what a layer is found again by: its entries, their contents' digests among them, and how and by whom it is
/// written. Another version does not take over a layer that it might have written otherwise.
fn key(tree: &Tree, codec: Codec) -> Digest {
    let version = env!("CARGO_PKG_VERSION");
    let mut bytes = format!("{version}\0{codec:?}\0").into_bytes();
    bytes.extend(index::encode(tree));
    Digest::of(&bytes)
}

/// An image half made: what lies below the next layer, and the layers so far.
struct Work<'a> {
    root: &'a Root,
    upper: Tree,
    layers: Vec<NewLayer>,
    workshop: &'a Workshop<'a>,
}

impl Work<'_> {
    fn below(&self) -> Stacked<'_> {
        Stacked {
            lower: &self.root.tree,
            upper: &self.upper,
        }
    }

    /// Writes `tree` as the next layer, unless there is nothing in it.
    fn add(
        &mut self,
        created_by: String,
        tree: Tree,
        contents: &Contents,
    ) -> Result<(), BuildError> {
        if tree.is_empty() {
            return Ok(());
        }
        let mut tree = through_links(tree, self.below())?;
        parents::complete(&mut tree, self.below())?;
        let options = WriteOptions {
            codec: Codec::GzipV1,
            threads: self.workshop.threads,
        };
        let key = key(&tree, options.codec);
        let layer = match self.workshop.sink.find(&key) {
            Some(layer) => layer,
            None => self.write(&key, &created_by, &tree, contents, &options)?,
        };
        let new = NewLayer { layer, created_by };
        (self.workshop.finished)(&new);
        self.layers.push(new);
        for (path, node) in tree {
            self.upper.insert(path, node);
        }
        Ok(())
    }

    fn write(
        &self,
        key: &Digest,
        created_by: &str,
        tree: &Tree,
        contents: &Contents,
        options: &WriteOptions,
    ) -> Result<Layer, BuildError> {
        let disk = |source| BuildError::Sink {
            layer: created_by.to_owned(),
            source,
        };
        let mut pending = self.workshop.sink.begin().map_err(disk)?;
        let layer = write_layer(tree, contents, options, &mut *pending).map_err(|error| {
            BuildError::Write {
                layer: created_by.to_owned(),
                error: Box::new(error),
            }
        })?;
        pending.commit(key, &layer).map_err(disk)?;
        Ok(layer)
    }

    fn assemble(
        self,
        plan: &Plan<'_>,
        materials: &Materials<'_>,
        config: &ConfigSection,
    ) -> Result<Image, BuildError> {
        let user = materials
            .recipe
            .user
            .as_ref()
            .filter(|_| plan.stage == Stage::Runtime);
        let name = match plan.stage {
            Stage::Runtime => materials.recipe.image.name.clone(),
            Stage::Builder => format!("{}-builder", materials.recipe.image.name),
        };
        let settings = Settings {
            name: &name,
            config,
            user,
            args: materials.args,
            epoch: materials.epoch,
        };
        Ok(image::assemble(
            plan.platform,
            materials.base,
            &self.layers,
            &settings,
        )?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::layer::Content;

    #[test]
    fn a_working_folder_is_made_only_where_nothing_else_makes_it() {
        let path = |text: &str| LayerPath::parse(text).expect(text);
        let lower: Tree = [(path("srv"), Node::made_dir())].into_iter().collect();
        let upper = Tree::default();
        let below = Stacked {
            lower: &lower,
            upper: &upper,
        };
        let made = |workdir: &str, copied: &str| {
            let config = ConfigSection {
                workdir: Some(workdir.to_owned()),
                ..ConfigSection::default()
            };
            let file = Node::made_file(Content::of(b"x"), 0o644);
            let mut tree: Tree = [(path(copied), file)].into_iter().collect();
            add_workdir(&config, below, &mut tree).expect("a path");
            tree.get(&path(workdir)).is_some()
        };
        assert!(made("/app", "etc/x"));
        assert!(!made("/app", "app/x"));
        assert!(!made("/srv", "etc/x"));
        assert!(!made("/", "etc/x"));
    }
}
