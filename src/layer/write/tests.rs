//! Tests of written layers.
