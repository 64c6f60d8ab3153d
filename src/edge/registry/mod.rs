//! Talks to registries: references to manifests and blobs.
