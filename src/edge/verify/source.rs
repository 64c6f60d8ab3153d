//! The source tree of a rebuild: a checkout, or, where there is none, the files of the image that are as recorded.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::sync::Arc;

use super::VerifyError;
use super::claim::Claim;
use crate::diff::LayerSource as _;
use crate::edge::source_walk;
use crate::edge::store::Store;
use crate::edge::subject::Subject;
use crate::layer::content::{Location, Packing};
use crate::layer::read::{RawKind, ReadError, ReadOptions, entries};
use crate::layer::{Content, Contents, Kind, LayerPath, RandomRead, Tree};
use crate::oci::{Digest, Hasher, PlatformImage};
use crate::recipe::CopyRule;
use crate::source::{self, SourceKind, SourceList};
use crate::verify::OtherFile;

/// A source tree to rebuild from.
pub(super) struct Found {
    pub(super) tree: (SourceList, Contents),
    /// Whether it is the one that was recorded, as far as one was.
    pub(super) holds: bool,
    /// What it is, for people.
    pub(super) told: String,
    /// Files that the image does not have as they were recorded.
    pub(super) missing: Vec<OtherFile>,
    /// Whether files were taken from the image itself.
    pub(super) from_image: bool,
}

/// Reads the checkout, or what the image has of the recorded listing.
pub(super) fn find(
    claim: &Claim,
    rules: &[CopyRule],
    subject: &Subject,
    store: &Store,
) -> Result<Found, VerifyError> {
    match (&claim.checkout, &claim.listing) {
        (Some(checkout), listing) => {
            let tree = source_walk::walk(checkout, rules)?;
            let count = files(&tree.0).count();
            let other = listing
                .as_ref()
                .and_then(|listing| first_difference(rules, listing, &tree.0));
            let told = match (&other, listing) {
                (Some(path), _) => format!(
                    "{count} files in {}; `{path}` is not as it was recorded",
                    checkout.display()
                ),
                (None, Some(_)) => format!("{count} files in {}, as recorded", checkout.display()),
                (None, None) => format!("{count} files in {}", checkout.display()),
            };
            Ok(Found {
                tree,
                holds: other.is_none(),
                told,
                missing: Vec::new(),
                from_image: false,
            })
        }
        (None, Some(listing)) if files(listing).next().is_some() => {
            from_subject(rules, listing, subject, store)
        }
        (None, listing) => Ok(Found {
            tree: (listing.clone().unwrap_or_default(), Contents::default()),
            holds: true,
            told: "no files are copied".to_owned(),
            missing: Vec::new(),
            from_image: false,
        }),
    }
}

/// Returns the contents of the files of a list.
fn files(list: &SourceList) -> impl Iterator<Item = Content> + '_ {
    list.rules
        .iter()
        .flatten()
        .filter_map(|entry| match &entry.kind {
            SourceKind::File { content, .. } => Some(*content),
            _ => None,
        })
}

/// Returns the first path, as people write it, at which two lists differ.
fn first_difference(rules: &[CopyRule], a: &SourceList, b: &SourceList) -> Option<String> {
    let named = |list: &SourceList| -> BTreeMap<String, SourceKind> {
        let rules = rules.iter().zip(&list.rules);
        let entries = rules.flat_map(|(rule, entries)| {
            entries.iter().map(|entry| {
                let below = entry.path.to_string();
                let name = format!("{}{}", rule.from, below.trim_end_matches('/'));
                (name, entry.kind.clone())
            })
        });
        entries.collect()
    };
    let (a, b) = (named(a), named(b));
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    names
        .into_iter()
        .find(|name| a.get(*name) != b.get(*name))
        .cloned()
}

/// Takes the recorded files out of the image itself: each is believed only if it has the recorded digest.
///
/// Where the image has another file in the place of a recorded one, that goes into the tree instead, so that the rest
/// can be rebuilt and compared; the row says that it is another.
fn from_subject(
    rules: &[CopyRule],
    listing: &SourceList,
    subject: &Subject,
    store: &Store,
) -> Result<Found, VerifyError> {
    let wanted: BTreeMap<Digest, u64> = files(listing)
        .map(|content| (content.digest, content.size))
        .collect();
    let Some(image) = subject.documents().images.first() else {
        return Err(VerifyError::NoRecipe(subject.name().to_owned()));
    };
    // Owners do not matter for where something is.
    let laid_out = source::lay_out(rules, listing, |_| Some((0, 0)))?;
    let taken = take(image, &wanted, &laid_out, subject, store)?;
    let mut list = listing.clone();
    let mut rows = Vec::new();
    let missing = |content: &Content| !taken.contents.contains_key(&content.digest);
    for (path, node) in laid_out.iter() {
        let Kind::File(content) = &node.kind else {
            continue;
        };
        if missing(content) {
            rows.push(OtherFile {
                path: path.to_string(),
                recorded: content.digest,
                found: taken.places.get(path).map(|found| found.digest),
            });
        }
    }
    if !rows.is_empty() {
        replace(rules, &mut list, &taken)?;
    }
    let mut contents = Contents::default();
    for (digest, location) in taken.contents {
        contents.add(digest, location);
    }
    let count = files(listing).count();
    let told = if rows.is_empty() {
        format!("{count} files taken from the image itself, each equal to the recorded listing")
    } else {
        format!(
            "{} of {count} files are not in the image as they were recorded",
            rows.len()
        )
    };
    Ok(Found {
        tree: (list, contents),
        holds: rows.is_empty(),
        told,
        missing: rows,
        from_image: true,
    })
}

/// What the layers of an image have of what is wanted.
#[derive(Default)]
struct Taken {
    contents: BTreeMap<Digest, Location>,
    /// What is at the paths where recorded files belong.
    places: BTreeMap<LayerPath, Content>,
}

/// Copies what is wanted out of the layers into a file without a name; the uppermost layers first.
fn take(
    image: &PlatformImage,
    wanted: &BTreeMap<Digest, u64>,
    laid_out: &Tree,
    subject: &Subject,
    store: &Store,
) -> Result<Taken, VerifyError> {
    let sizes: BTreeSet<u64> = wanted.values().copied().collect();
    let mut spool = Box::new(store.spool()?);
    let mut at = 0;
    let mut ranges: BTreeMap<Digest, (u64, u64)> = BTreeMap::new();
    let mut places: BTreeMap<LayerPath, Content> = BTreeMap::new();
    for layer in image.layers.iter().rev() {
        // What is not there is looked for down to the base, where no file of the source tree is.
        if wanted.keys().all(|digest| ranges.contains_key(digest)) {
            break;
        }
        let digest = layer.descriptor.digest;
        let failed = |error| VerifyError::Layer {
            layer: digest,
            error,
        };
        let reader = subject
            .open(&layer.descriptor)
            .map_err(|error| failed(ReadError::Open(error)))?;
        entries::<Halt>(reader, &ReadOptions::default(), |entry, content| {
            let place = LayerPath::parse(&entry.path).ok();
            let place = place.filter(|path| laid_out.get(path).is_some());
            if entry.kind != RawKind::File || !(place.is_some() || sizes.contains(&entry.size)) {
                return Ok(());
            }
            let mut hasher = Hasher::default();
            let mut buffer = [0; 32 << 10];
            loop {
                match content.read(&mut buffer).map_err(Halt::Spool)? {
                    0 => break,
                    count => {
                        hasher.update(&buffer[..count]);
                        spool.write_all(&buffer[..count]).map_err(Halt::Spool)?;
                    }
                }
            }
            let (digest, size) = hasher.finish();
            if let Some(place) = place {
                places.entry(place).or_insert(Content { digest, size });
            }
            ranges.entry(digest).or_insert((at, size));
            at += size;
            Ok(())
        })
        .map_err(|halt| match halt {
            Halt::Read(error) => failed(error),
            Halt::Spool(error) => VerifyError::Spool(error),
        })?;
    }
    let blob: Arc<dyn RandomRead> = spool.finish().map_err(VerifyError::Spool)?;
    let contents = ranges.into_iter().map(|(digest, (offset, packed))| {
        let blob = Arc::clone(&blob);
        let packing = Packing::Stored;
        let location = Location::Extent {
            blob,
            offset,
            packed,
            packing,
        };
        (digest, location)
    });
    Ok(Taken {
        contents: contents.collect(),
        places,
    })
}

/// Why reading a layer ends.
enum Halt {
    Read(ReadError),
    Spool(std::io::Error),
}

impl From<ReadError> for Halt {
    fn from(error: ReadError) -> Self {
        Self::Read(error)
    }
}

/// Puts what the image has in the place of what it does not have, and leaves out what it has nothing for.
fn replace(rules: &[CopyRule], list: &mut SourceList, taken: &Taken) -> Result<(), VerifyError> {
    for number in 0..list.rules.len() {
        let mut kept = Vec::new();
        for mut entry in std::mem::take(&mut list.rules[number]) {
            if let SourceKind::File { content, .. } = &mut entry.kind
                && !taken.contents.contains_key(&content.digest)
            {
                // Laid out alone, to learn where it goes.
                let mut alone = SourceList {
                    rules: vec![Vec::new(); rules.len()],
                };
                alone.rules[number].push(entry.clone());
                let alone = source::lay_out(rules, &alone, |_| Some((0, 0)))?;
                let place = alone.iter().find_map(|(path, _)| taken.places.get(path));
                let Some(found) = place else { continue };
                if let SourceKind::File { content, .. } = &mut entry.kind {
                    *content = *found;
                }
            }
            kept.push(entry);
        }
        list.rules[number] = kept;
    }
    Ok(())
}
