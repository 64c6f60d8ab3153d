//! Reads primary.xml: every package with its dependencies and its more important files.

use std::collections::{HashMap, HashSet};
use std::io::BufRead;
use std::sync::Arc;

use super::RepodataError;
use super::xml::{Document, Element, Piece};
use crate::rpm::evr::{Comparison, Evr, Range};
use crate::rpm::package::{Capability, Checksum, Dependency, Package};

const DOCUMENT: &str = "primary.xml";

/// Reads primary.xml. Every package gets `repository` as its repository's index.
///
/// Source packages are left out. Memory is that of the result: equal names, versions, paths and dependencies are
/// kept once, and no piece of the document is kept.
///
/// # Errors
/// [`RepodataError`] for what is not primary.xml, for packages without name, version, location or checksum, and for
/// MD5 and SHA-1 checksums.
pub fn parse_primary(input: impl BufRead, repository: u32) -> Result<Vec<Package>, RepodataError> {
    let mut document = Document::new(DOCUMENT, "metadata", input);
    let mut buffer = Vec::new();
    let mut text = String::new();
    let mut parser = Parser {
        repository,
        ..Parser::default()
    };
    loop {
        match document.next(&mut buffer)? {
            Piece::Open(element) => {
                text.clear();
                parser.open(&element)?;
            }
            Piece::Text(piece) if parser.wants_text => text.push_str(&piece),
            Piece::Raw(piece) if parser.wants_text => text.push_str(&piece),
            Piece::Character(c) if parser.wants_text => text.push(c),
            Piece::Close(end) => parser.close(end.local_name().into_inner(), &text)?,
            Piece::Text(_) | Piece::Raw(_) | Piece::Character(_) | Piece::Skipped => {}
            Piece::End => return Ok(parser.packages),
        }
    }
}

#[derive(Default)]
struct Parser {
    repository: u32,
    packages: Vec<Package>,
    draft: Option<Draft>,
    section: Option<Section>,
    wants_text: bool,
    strings: HashSet<Arc<str>>,
    /// By the attributes as written: most entries of a repository occur many times.
    entries: HashMap<Box<str>, Entry>,
}

/// What is known of a package before its element ends.
struct Draft {
    package: Package,
    has_version: bool,
    algorithm: String,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    Provides,
    Requires,
    Conflicts,
    Obsoletes,
    Recommends,
    Suggests,
    Supplements,
    Enhances,
}

/// An entry in both readings: as a capability, and as a dependency that may be an expression.
#[derive(Clone)]
struct Entry {
    capability: Arc<Capability>,
    dependency: Dependency,
}

impl Parser {
    fn intern(&mut self, text: &str) -> Arc<str> {
        if let Some(known) = self.strings.get(text) {
            return known.clone();
        }
        let new: Arc<str> = text.into();
        self.strings.insert(new.clone());
        new
    }

    fn open(&mut self, element: &Element) -> Result<(), RepodataError> {
        let name = element.name();
        self.wants_text = false;
        if name == "package" {
            let mut package = Package::new("", Evr::new(0, "", ""), "");
            package.provides.clear();
            package.repository = self.repository;
            self.draft = Some(Draft {
                package,
                has_version: false,
                algorithm: String::new(),
            });
            return Ok(());
        }
        let Some(draft) = &mut self.draft else {
            return Ok(());
        };
        let text = |name| element.attribute(name).unwrap_or_default();
        match name {
            "entry" => self.entry(element)?,
            "name" | "arch" | "file" | "sourcerpm" => self.wants_text = true,
            "checksum" => {
                self.wants_text = true;
                draft.algorithm = text("type").into_owned();
            }
            "version" => {
                draft.has_version = element.attribute("ver").is_some();
                let epoch = text("epoch");
                let epoch = if epoch.is_empty() {
                    0
                } else {
                    number(&draft.package, "epoch", &epoch)?
                };
                let (version, release) = (text("ver"), text("rel"));
                let (version, release) = (self.intern(&version), self.intern(&release));
                if let Some(draft) = &mut self.draft {
                    draft.package.evr = Evr {
                        epoch,
                        version,
                        release,
                    };
                }
            }
            "size" => {
                if let Some(size) = element.attribute("package") {
                    draft.package.size = number(&draft.package, "size", &size)?;
                }
            }
            "time" => {
                if let Some(time) = element.attribute("build") {
                    draft.package.build_time = number(&draft.package, "build time", &time)?;
                }
            }
            "location" => {
                draft.package.location = text("href").as_ref().into();
                draft.package.location_base = element
                    .attribute("xml:base")
                    .filter(|base| !base.is_empty())
                    .map(|base| base.as_ref().into());
            }
            "provides" => self.section = Some(Section::Provides),
            "requires" => self.section = Some(Section::Requires),
            "conflicts" => self.section = Some(Section::Conflicts),
            "obsoletes" => self.section = Some(Section::Obsoletes),
            "recommends" => self.section = Some(Section::Recommends),
            "suggests" => self.section = Some(Section::Suggests),
            "supplements" => self.section = Some(Section::Supplements),
            "enhances" => self.section = Some(Section::Enhances),
            _ => {}
        }
        Ok(())
    }

    fn entry(&mut self, element: &Element) -> Result<(), RepodataError> {
        let Some(section) = self.section else {
            return Ok(());
        };
        let entry = match self.entries.get(element.written()) {
            Some(known) => known.clone(),
            None => {
                let new = self.new_entry(element)?;
                self.entries.insert(element.written().into(), new.clone());
                new
            }
        };
        let Some(draft) = &mut self.draft else {
            return Ok(());
        };
        let Entry {
            capability,
            dependency,
        } = entry;
        let package = &mut draft.package;
        match section {
            Section::Provides => package.provides.push(capability),
            Section::Obsoletes => package.obsoletes.push(capability),
            // What the installer must be able to do; it says so itself.
            Section::Requires if capability.name.starts_with("rpmlib(") => {}
            Section::Requires => package.requires.push(dependency),
            Section::Conflicts => package.conflicts.push(dependency),
            Section::Recommends => package.recommends.push(dependency),
            Section::Suggests => package.suggests.push(dependency),
            Section::Supplements => package.supplements.push(dependency),
            Section::Enhances => package.enhances.push(dependency),
        }
        Ok(())
    }

    fn new_entry(&mut self, element: &Element) -> Result<Entry, RepodataError> {
        let text = |name| element.attribute(name).unwrap_or_default();
        let package = self.draft.as_ref().map(|draft| &draft.package);
        let name = element.attribute("name").filter(|name| !name.is_empty());
        let name = name.ok_or_else(|| missing(package, "name of a dependency"))?;
        let comparison = Comparison::from_metadata(&text("flags"));
        let epoch = text("epoch");
        let epoch = match (package, &*epoch) {
            (_, "") | (None, _) => 0,
            (Some(package), epoch) => number(package, "epoch of a dependency", epoch)?,
        };
        let (version, release) = (text("ver"), text("rel"));
        let range = match comparison {
            Some(comparison) if !version.is_empty() => {
                let evr = Evr {
                    epoch,
                    version: self.intern(&version),
                    release: self.intern(&release),
                };
                Some(Range { comparison, evr })
            }
            _ => None,
        };
        let capability = Arc::new(Capability {
            name: self.intern(&name),
            range,
        });
        let dependency = match Dependency::new((*capability).clone()) {
            Dependency::Plain(_) => Dependency::Plain(capability.clone()),
            rich @ Dependency::Rich(_) => rich,
        };
        Ok(Entry {
            capability,
            dependency,
        })
    }

    fn close(&mut self, name: &str, text: &str) -> Result<(), RepodataError> {
        let wanted_text = std::mem::take(&mut self.wants_text);
        if name == "package" {
            let finished = self.draft.take().map(Draft::finish).transpose()?;
            self.packages.extend(finished.flatten());
            return Ok(());
        }
        if !wanted_text {
            return Ok(());
        }
        let value = self.intern(text);
        let Some(draft) = &mut self.draft else {
            return Ok(());
        };
        let package = &mut draft.package;
        match name {
            "name" => package.name = value,
            "arch" => package.arch = value,
            "sourcerpm" => package.source_rpm = value,
            "file" => package.files.push(value),
            "checksum" => {
                let checksum = Checksum::parse(&draft.algorithm, text.trim());
                package.checksum = Some(checksum.map_err(|source| RepodataError::Checksum {
                    document: DOCUMENT,
                    entry: entry_name(Some(package)),
                    source,
                })?);
            }
            _ => {}
        }
        Ok(())
    }
}

impl Draft {
    /// Returns the package; none for a source package.
    fn finish(self) -> Result<Option<Package>, RepodataError> {
        let Self {
            package,
            has_version,
            ..
        } = self;
        let parts = [
            (!package.name.is_empty(), "name"),
            (!package.arch.is_empty(), "arch"),
            (has_version, "version"),
            (package.checksum.is_some(), "checksum"),
            (!package.location.is_empty(), "location"),
        ];
        if let Some((_, wanted)) = parts.into_iter().find(|(present, _)| !present) {
            return Err(missing(Some(&package), wanted));
        }
        Ok((!matches!(&*package.arch, "src" | "nosrc")).then_some(package))
    }
}

fn entry_name(package: Option<&Package>) -> String {
    match package {
        Some(package) if !package.name.is_empty() => format!("package `{}`", package.name),
        _ => "a package".to_owned(),
    }
}

fn missing(package: Option<&Package>, wanted: &'static str) -> RepodataError {
    RepodataError::Missing {
        document: DOCUMENT,
        entry: entry_name(package),
        wanted,
    }
}

fn number<T: std::str::FromStr>(
    package: &Package,
    field: &'static str,
    text: &str,
) -> Result<T, RepodataError> {
    text.trim().parse().map_err(|_| RepodataError::Number {
        document: DOCUMENT,
        entry: entry_name(Some(package)),
        field,
        found: text.to_owned(),
    })
}
