//! A package as metadata or a header describes it: name, version, architecture, dependencies.
