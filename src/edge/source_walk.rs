//! Walks a source folder for copy rules.
