//! The new layers of an image: placed one over the other, written at once.

use std::collections::BTreeMap;
use std::ops::Deref;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{Scope, ScopedJoinHandle};

use super::memory::{MAKER, Memory};
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
    let mut bytes = format!("{MAKER}\0{codec:?}\0").into_bytes();
    bytes.extend(index::encode(tree));
    Digest::of(&bytes)
}

/// The layers of one image so far, and what lies below the next.
pub(super) struct Layers<'scope, 'a> {
    scope: &'scope Scope<'scope, 'a>,
    lower: &'a Tree,
    upper: Tree,
    layers: Vec<Part<'scope>>,
    steps: Vec<Step>,
    workshop: &'a Workshop<'a>,
}

/// A layer of the image.
enum Part<'scope> {
    Known(NewLayer),
    Writing(ScopedJoinHandle<'scope, Result<NewLayer, BuildError>>),
}

/// Layers to be remembered together.
struct Step {
    key: Digest,
    first: usize,
    remarks: Vec<String>,
    passwd: Vec<u8>,
    tree: Tree,
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
            layers: Vec::new(),
            steps: Vec::new(),
            workshop,
        }
    }

    /// Takes over a step that was made before.
    pub(super) fn resume(&mut self, memory: Memory) {
        for text in &memory.remarks {
            (self.workshop.remark)(text);
        }
        self.layers
            .extend(memory.layers.into_iter().map(Part::Known));
        for (path, node) in memory.tree {
            self.upper.insert(path, node);
        }
    }

    /// Begins a step: the layers from here on are remembered under `key`.
    pub(super) fn begin(&mut self, key: Digest) {
        self.steps.push(Step {
            key,
            first: self.layers.len(),
            remarks: Vec::new(),
            passwd: Vec::new(),
            tree: Tree::default(),
        });
    }

    /// Adds to the step what is to be remembered of it besides its layers.
    pub(super) fn note(&mut self, remarks: Vec<String>, passwd: Vec<u8>) {
        if let Some(step) = self.steps.last_mut() {
            (step.remarks, step.passwd) = (remarks, passwd);
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
            if let Some(step) = self.steps.last_mut() {
                step.tree.insert(path.clone(), node.clone());
            }
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
        self.layers.push(Part::Writing(self.scope.spawn(write)));
        Ok(())
    }

    /// Waits for all layers, remembers them, and returns them in order.
    ///
    /// # Errors
    /// That of the lowest layer that could not be written, else why not everything could be `placed`.
    pub(super) fn finish(
        self,
        placed: Result<(), BuildError>,
    ) -> Result<Vec<NewLayer>, BuildError> {
        let mut layers = Vec::new();
        for part in self.layers {
            let layer = match part {
                Part::Known(layer) => layer,
                Part::Writing(thread) => thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?,
            };
            (self.workshop.finished)(&layer);
            layers.push(layer);
        }
        placed?;
        let mut end = layers.len();
        for step in self.steps.into_iter().rev() {
            let memory = Memory {
                layers: layers[step.first..end].to_vec(),
                remarks: step.remarks,
                passwd: step.passwd,
                tree: step.tree,
            };
            memory.keep(&step.key, self.workshop.sink);
            end = step.first;
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
