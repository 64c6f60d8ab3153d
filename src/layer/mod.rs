//! Layers: paths and nodes in an ordered tree, and the tar and gzip bytes written from it.

pub mod codec;
pub mod content;
pub mod index;
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
