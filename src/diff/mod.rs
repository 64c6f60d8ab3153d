//! Compares two images: at which level they are the same, and what differs, the earliest divergence first.
//!
//! Nothing is unpacked: layers are read as streams, once for an index of their entries and once more for contents
//! that are worth looking into. Nothing of the machine is asked, so capabilities and owners need no root.

mod attributes;
mod capability;
mod cause;
mod compare;
mod compression;
mod documents;
mod entries;
mod error;
mod image;
mod inside;
mod layers;
mod order;
mod owners;
mod pair;
mod render;
mod report;
mod scan;
mod source;
mod verdict;

pub use cause::Cause;
pub use compare::{Compared, compare, differing_files};
pub use error::{DiffError, Which};
pub use owners::{Owners, keeps_for_owners};
pub use render::{Rows, render};
pub use report::{REPORT_VERSION, Report, json_schema};
pub use source::{LayerSource, Side};
pub use verdict::{
    Attribute, Change, Difference, FirstDifference, LayerChange, LayerDifference, Level, Owner,
    PlatformDifference, Row, RowKind,
};
