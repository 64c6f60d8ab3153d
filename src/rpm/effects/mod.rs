//! What scriptlets and triggers would have done, done natively.

pub mod effect;
pub mod known;
pub mod recognise;
pub mod scriptlets;
mod shell;

pub use effect::Effect;
pub use scriptlets::{Arriving, Kind, Scriptlet, Verdict, inventory};
