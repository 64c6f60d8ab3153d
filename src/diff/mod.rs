//! Compares two images: at which level they are the same, and what differs, the earliest divergence first.

mod compare;
mod error;
mod merged;
mod source;
mod verdict;

pub use compare::compare;
pub use error::{DiffError, Which};
pub use source::{LayerSource, Side};
pub use verdict::{
    Attribute, Change, Difference, Level, Owner, PlatformDifference, Row, RowKind, Scope,
};
