//! Layers: paths and nodes in an ordered tree, and the tar and gzip bytes written from it.

pub mod codec;
pub mod content;
#[cfg(test)]
mod generated;
pub mod index;
mod merge;
pub mod node;
pub mod parents;
pub mod path;
pub mod read;
pub mod tar;
pub mod tree;
pub mod write;

pub use content::{Content, Contents, RandomRead};
pub use node::{Kind, Meta, Node};
pub use path::LayerPath;
pub use tree::Tree;

/// Returns what a failed read means: bad bytes, or bytes that cannot be had.
pub(crate) fn class_of_io(error: &std::io::Error) -> crate::diagnose::Class {
    use std::io::ErrorKind::{InvalidData, InvalidInput, UnexpectedEof};
    match error.kind() {
        // flate2 reports corrupt streams as invalid input.
        InvalidData | InvalidInput | UnexpectedEof => crate::diagnose::Class::Integrity,
        _ => crate::diagnose::Class::Usage,
    }
}
