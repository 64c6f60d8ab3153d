//! Places the files of packages on a base: paths, owners, conflicts, configuration files.
