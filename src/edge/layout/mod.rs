//! Writes and reads images on disk: OCI layouts and archives.
