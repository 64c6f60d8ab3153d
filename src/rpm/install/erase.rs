//! Removes the files of packages that go, by whiteouts.

use std::collections::BTreeSet;

use super::compare::holds;
use super::known::{Known, KnownFiles};
use super::{Installation, visible, with_suffix};
use crate::layer::{LayerPath, Node, Tree};
use crate::rpm::entries::FileFlags;

/// Whites out what only erased packages owned; a configuration file that was changed is kept as `.rpmsave`.
///
/// The rules are those of `handleOverlappedFiles` (TR_REMOVED) in rpm's `lib/transaction.c`; `%ghost` files go too, and
/// directories once they are empty.
pub(super) fn erase(
    base: &Tree,
    known: &KnownFiles,
    owned: &BTreeSet<LayerPath>,
    out: &mut Installation,
) {
    let goes = |owners: &Vec<Known>| owners.iter().all(|known| known.is_erased);
    // From the last path to the first, so that directories come after what they hold.
    for (path, owners) in known.iter().rev() {
        let is_normal = owners.iter().any(|known| known.is_normal);
        let Some(node) = base.get(path) else {
            continue;
        };
        if !goes(owners) || !is_normal || owned.contains(path) || path.is_root() {
            continue;
        }
        if node.is_dir() {
            if is_empty(base, &out.tree, path) {
                // One whiteout says it for everything below.
                out.tree.remove_within(path);
                out.tree.insert(path.clone(), Node::whiteout());
            }
            continue;
        }
        let disk = visible(base, path);
        let is_changed_config = owners.iter().any(|known| {
            known.entry.flags.has(FileFlags::CONFIG)
                && !known.entry.flags.has(FileFlags::GHOST)
                && disk.is_some_and(|node| !holds(node, known.into()))
        });
        if let (true, Some(node)) = (is_changed_config, disk) {
            let aside = with_suffix(path, ".rpmsave");
            out.tree.insert(aside.clone(), node.clone());
            out.set_aside.push(aside);
        }
        out.tree.insert(path.clone(), Node::whiteout());
    }
}

/// Tells whether nothing is left in a directory.
fn is_empty(base: &Tree, upper: &Tree, directory: &LayerPath) -> bool {
    let is_whiteout = |path: &LayerPath| {
        upper
            .get(path)
            .is_some_and(|node| node.kind == crate::layer::Kind::Whiteout)
    };
    let is_hidden = |path: &LayerPath| {
        let mut at = Some(path.clone());
        while let Some(one) = at.filter(|one| one != directory) {
            if is_whiteout(&one) {
                return true;
            }
            at = one.parent();
        }
        false
    };
    let adds = upper
        .within(directory)
        .any(|(path, node)| path != directory && node.kind != crate::layer::Kind::Whiteout);
    !adds
        && base
            .within(directory)
            .all(|(path, _)| path == directory || is_hidden(path))
}
