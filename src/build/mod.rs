//! Plan, inputs and a sink become an image: a function of its arguments, whatever the machine.
//!
//! ```text
//! packages ─▶ unpack ─┐
//! wheels ──▶ read ────┼─▶ place: one layer after the other ─┬─▶ write: all layers at once ─▶ assemble
//! base ───▶ root ─────┘                                     └─▶ …
//! ```
//! Placing is quick and each layer needs to know what lies below it; unpacking and writing take the time, and run on
//! all cores, for several images at once.

pub mod accounts_layer;
mod error;
mod layers;
mod memory;
mod prepare;
mod python_layers;
mod rpm_layer;
pub mod scriptlets;
mod through_links;

use std::io::{self, Write};
use std::sync::Arc;
use std::thread;

use crate::accounts::Accounts;
use crate::image::{self, BaseImage, Image, NewLayer, Settings};
use crate::layer::tree::Stacked;
use crate::layer::write::{Layer, Press};
use crate::layer::{Contents, LayerPath, Node, RandomRead, Tree};
use crate::lock::Lock;
use crate::oci::Digest;
use crate::plan::Plan;
use crate::recipe::{Args, ConfigSection, Recipe, Stage};
use crate::root::Root;
use crate::rpm::payload::Unpacked;
use crate::source::SourceList;

pub use error::BuildError;
pub use layers::Underway;
pub use memory::Recalled;
pub use prepare::{Prepared, prepare};

use layers::Layers;
use memory::Keys;

/// Opens inputs by digest.
pub trait BlobSource: Sync {
    /// Returns the blob with `digest`, if it is at hand; waits for one that is on its way.
    fn open(&self, digest: &Digest) -> Option<Arc<dyn RandomRead>>;

    /// Ends all waiting: what has not come is needed no more, as the image cannot be made.
    fn give_up(&self) {}
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

    /// Tells whether a layer that was made before is still at hand and sound.
    fn holds(&self, layer: &Layer) -> bool {
        let _ = layer;
        false
    }

    /// Returns what was remembered under `key`, and by nobody else.
    fn recall(&self, key: &Digest) -> Option<Vec<u8>> {
        let _ = key;
        None
    }

    /// Remembers `bytes` under `key`; that it cannot costs time the next time, and nothing else.
    fn remember(&self, key: &Digest, bytes: &[u8]) {
        let _ = (key, bytes);
    }
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
    /// What the copy rules found.
    pub source: &'a SourceList,
    /// Where the bytes of those files are.
    pub source_contents: &'a Contents,
}

/// Where an image goes, and with what it is made; neither reaches its bytes.
#[derive(Clone, Copy)]
pub struct Workshop<'a> {
    /// Takes layers.
    pub sink: &'a dyn LayerSink,
    /// Makes temporary files.
    pub spools: &'a dyn SpoolSource,
    /// Compresses; shared by all images that are built at once.
    pub press: &'a Press,
    /// The layers being made; shared likewise, so that one that several images have is made once.
    pub underway: &'a Underway,
    /// Is told of each finished layer, in the order of the image.
    pub finished: &'a (dyn Fn(&NewLayer) + Sync),
    /// Is told what a person may want to know of the result.
    pub remark: &'a (dyn Fn(&str) + Sync),
}

/// Builds one image of what is prepared, on the merged root of its base.
///
/// Of several things that fail, the first in the order of the image is told, whichever fails first.
///
/// # Errors
/// [`BuildError`] with the input, path or layer it is about.
pub fn build(
    plan: &Plan<'_>,
    materials: &Materials<'_>,
    root: &Root,
    prepared: Prepared,
    workshop: &Workshop<'_>,
) -> Result<Image, BuildError> {
    thread::scope(|scope| {
        let mut layers = Layers::new(scope, &root.tree, workshop);
        let placed = place(plan, materials, root, prepared, workshop, &mut layers);
        assemble(plan, materials, &layers.finish(placed)?)
    })
}

/// Returns an image all of which is remembered.
///
/// # Errors
/// [`BuildError::Image`] for a configuration that cannot be put together.
pub fn recall(
    plan: &Plan<'_>,
    materials: &Materials<'_>,
    recalled: Recalled,
    workshop: &Workshop<'_>,
) -> Result<Image, BuildError> {
    assemble(plan, materials, &recalled.layers(workshop))
}

/// Places everything in its layer, lowest first; each is written as soon as it is placed.
fn place<'a>(
    plan: &Plan<'_>,
    materials: &Materials<'a>,
    root: &'a Root,
    prepared: Prepared,
    workshop: &Workshop<'_>,
    layers: &mut Layers<'_, 'a>,
) -> Result<(), BuildError> {
    let recipe = materials.recipe;
    let keys = Keys::of(plan, recipe, materials.lock, workshop);
    let accounts = match prepared.recalled.system {
        Some(memory) => {
            let accounts = memory.accounts();
            layers.resume(memory);
            accounts
        }
        None => {
            layers.begin(keys.system);
            place_system(plan, materials, root, &prepared.packages, workshop, layers)?
        }
    };
    if plan.stage == Stage::Builder {
        return Ok(());
    }
    match prepared.recalled.venv {
        Some(memory) => layers.resume(memory),
        None => {
            layers.begin(keys.venv);
            if let (Some(python), Some(venv)) = (&recipe.python, prepared.venv) {
                let contents = Arc::new(venv.contents);
                for (tree, which) in [(venv.pure, "pure"), (venv.native, "native")] {
                    let created_by = format!("imgbuild: python: {} ({which} wheels)", python.venv);
                    layers.add(created_by, tree, Arc::clone(&contents))?;
                }
            }
        }
    }
    let mut tree = memory::copied(recipe, materials.source, &accounts)?;
    layers.begin(keys.copy(recipe, &tree));
    add_workdir(&recipe.config, layers.below(), &mut tree)?;
    let rules = recipe.copy.iter();
    let from: Vec<&str> = rules.map(|rule| rule.from.as_str()).collect();
    let created_by = match from.as_slice() {
        [] => "imgbuild: workdir".to_owned(),
        some => format!("imgbuild: copy: {}", some.join(" ")),
    };
    layers.add(created_by, tree, materials.source_contents)
}

/// Places packages and user, and returns the accounts of the image.
fn place_system<'a>(
    plan: &Plan<'_>,
    materials: &Materials<'a>,
    root: &'a Root,
    packages: &[Unpacked],
    workshop: &Workshop<'_>,
    layers: &mut Layers<'_, 'a>,
) -> Result<Accounts, BuildError> {
    let recipe = materials.recipe;
    let mut accounts = accounts_layer::read(root, materials.lock.epoch);
    let mut remarks = Vec::new();
    if !packages.is_empty() || !plan.erased.is_empty() {
        let made = rpm_layer::make(plan, materials, root, packages, &mut accounts)?;
        remarks = made.remarks;
        remarks.iter().for_each(|text| (workshop.remark)(text));
        let requests = recipe.packages(plan.stage).join(" ");
        layers.add(
            format!("imgbuild: rpm: {requests}"),
            made.tree,
            Arc::new(made.contents),
        )?;
    }
    if let Some(user) = recipe
        .user
        .as_ref()
        .filter(|_| plan.stage == Stage::Runtime)
    {
        let (mut tree, mut contents) = (Tree::default(), Contents::default());
        accounts_layer::add_user(user, &mut accounts, layers.below(), &mut tree)?;
        accounts_layer::write(&accounts, layers.below(), &mut tree, &mut contents);
        let created_by = format!(
            "imgbuild: user: {} ({}:{})",
            user.name,
            user.uid,
            user.group_id()
        );
        layers.add(created_by, tree, Arc::new(contents))?;
    }
    layers.note(remarks, accounts.files().passwd);
    Ok(accounts)
}

/// Puts the image together.
fn assemble(
    plan: &Plan<'_>,
    materials: &Materials<'_>,
    layers: &[NewLayer],
) -> Result<Image, BuildError> {
    let recipe = materials.recipe;
    let nothing = ConfigSection::default();
    let (name, config, user) = match plan.stage {
        Stage::Runtime => (
            recipe.image.name.clone(),
            &recipe.config,
            recipe.user.as_ref(),
        ),
        Stage::Builder => (format!("{}-builder", recipe.image.name), &nothing, None),
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
        layers,
        &settings,
    )?)
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
