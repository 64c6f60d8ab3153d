//! The new layers of an image: placed one over the other, written at once.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};

use super::through_links::through_links;
use super::{BuildError, Workshop};
use crate::image::NewLayer;
use crate::layer::codec::Codec;
use crate::layer::tree::Stacked;
use crate::layer::write::{Layer, write_layer};
use crate::layer::{Contents, Tree, index, parents};
use crate::oci::Digest;

/// The layers being made, and those made, by what goes into them.
///
/// Two platforms have layers in common, such as that of pure wheels: whoever comes second waits for the first.
#[derive(Debug, Default)]
pub struct Underway(Mutex<BTreeMap<Digest, Arc<Mutex<Option<Layer>>>>>);

impl Underway {
    /// Returns the layer of `key`, made by whoever comes first; if that fails, the next one tries.
    fn once(
        &self,
        key: Digest,
        make: impl FnOnce() -> Result<Layer, BuildError>,
    ) -> Result<Layer, BuildError> {
        let slot = Arc::clone(locked(&self.0).entry(key).or_default());
        let mut made = locked(&slot);
        if let Some(layer) = *made {
            return Ok(layer);
        }
        let layer = make()?;
        *made = Some(layer);
        Ok(layer)
    }
}

/// A panic while a layer is made leaves none there, which is the truth.
fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns what a layer is found again by: its entries, their contents' digests among them, and how and by whom it is
/// written. Another version does not take over a layer that it might have written otherwise.
fn key(tree: &Tree, codec: Codec) -> Digest {
    let version = env!("CARGO_PKG_VERSION");
    let mut bytes = format!("{version}\0{codec:?}\0").into_bytes();
    bytes.extend(index::encode(tree));
    Digest::of(&bytes)
}

/// The layers of one image so far, and what lies below the next.
pub(super) struct Layers<'scope, 'a> {
    scope: &'scope Scope<'scope, 'a>,
    lower: &'a Tree,
    upper: Tree,
    writing: Vec<ScopedJoinHandle<'scope, Result<NewLayer, BuildError>>>,
    workshop: &'a Workshop<'a>,
}

impl<'scope, 'a> Layers<'scope, 'a> {
    pub(super) fn new(
        scope: &'scope Scope<'scope, 'a>,
        lower: &'a Tree,
        workshop: &'a Workshop<'a>,
    ) -> Self {
        Self {
            scope,
            lower,
            upper: Tree::default(),
            writing: Vec::new(),
            workshop,
        }
    }

    /// Returns what the next layer lies on.
    pub(super) fn below(&self) -> Stacked<'_> {
        Stacked {
            lower: self.lower,
            upper: &self.upper,
        }
    }

    /// Begins to write `tree` as the next layer, unless there is nothing in it.
    pub(super) fn add(
        &mut self,
        created_by: String,
        tree: Tree,
        contents: impl Deref<Target = Contents> + Send + 'scope,
    ) -> Result<(), BuildError> {
        if tree.is_empty() {
            return Ok(());
        }
        let mut tree = through_links(tree, self.below())?;
        parents::complete(&mut tree, self.below())?;
        for (path, node) in tree.iter() {
            self.upper.insert(path.clone(), node.clone());
        }
        let workshop = self.workshop;
        let write = move || {
            let key = key(&tree, workshop.press.codec());
            let layer = workshop
                .underway
                .once(key, || match workshop.sink.find(&key) {
                    Some(layer) => Ok(layer),
                    None => write(&key, &created_by, &tree, &contents, workshop),
                })?;
            Ok(NewLayer { layer, created_by })
        };
        self.writing.push(self.scope.spawn(write));
        Ok(())
    }

    /// Waits for all layers and returns them in order.
    ///
    /// # Errors
    /// That of the lowest layer that could not be written.
    pub(super) fn finish(self) -> Result<Vec<NewLayer>, BuildError> {
        let mut layers = Vec::new();
        for thread in self.writing {
            let layer = thread
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
            (self.workshop.finished)(&layer);
            layers.push(layer);
        }
        Ok(layers)
    }
}

fn write(
    key: &Digest,
    created_by: &str,
    tree: &Tree,
    contents: &Contents,
    workshop: &Workshop<'_>,
) -> Result<Layer, BuildError> {
    let disk = |source| BuildError::Sink {
        layer: created_by.to_owned(),
        source,
    };
    let mut pending = workshop.sink.begin().map_err(disk)?;
    let layer = write_layer(tree, contents, workshop.press, &mut *pending).map_err(|error| {
        BuildError::Write {
            layer: created_by.to_owned(),
            error: Box::new(error),
        }
    })?;
    pending.commit(key, &layer).map_err(disk)?;
    Ok(layer)
}
