//! The repositories of a lock: which, in which state, signed by whom, and the packages they offer.

use std::collections::{BTreeMap, BTreeSet};
use std::io::BufReader;

use url::Url;

use super::{Edges, ResolveError, Update};
use super::{metadata, pins};
use crate::edge::base::Base;
use crate::edge::project::Project;
use crate::lock::{self, Lock};
use crate::oci::{Digest, Platform};
use crate::recipe::{self, ExplicitRepository};
use crate::rpm::file::PackageFile;
use crate::rpm::header::Header;
use crate::rpm::keys::{self, Key};
use crate::rpm::package::Package;
use crate::rpm::release::release_version;
use crate::rpm::repodata::{self, Repomd};
use crate::rpm::repofile::{self, DEFAULT_PRIORITY, RepoFile};
use crate::rpm::solve::{self, Request};

/// What a repomd.xml, a list of mirrors or a key may have: 16 MiB.
pub(super) const LARGEST_DOCUMENT: u64 = 16 << 20;

/// The repositories of one platform, opened.
pub(super) struct Opened {
    platform: Platform,
    repositories: Vec<Repository>,
}

struct Repository {
    definition: RepoFile,
    url: Url,
    releasever: Option<String>,
    repomd_digest: Digest,
    repomd: Repomd,
    signed_by: Option<String>,
    keys: Vec<Key>,
    /// Where each key came from, by fingerprint.
    key_sources: BTreeMap<String, String>,
}

impl Repository {
    /// Tells whether packages must be signed. A file that does not say is taken at its safest.
    fn checks_packages(&self) -> bool {
        self.definition.gpgcheck.unwrap_or(true)
    }
}

/// Opens the repositories that the recipe names.
pub(super) async fn open(
    project: &Project,
    platform: Platform,
    base: &Base,
    installed: &[Header],
    old: Option<&Lock>,
    update: &Update,
    edges: &Edges<'_>,
) -> Result<Opened, ResolveError> {
    let releasever = release_version(installed);
    let variables = variables(base, platform, releasever.as_deref());
    let mut repositories = Vec::new();
    for definition in definitions(project, base, &variables)? {
        let locked = old.map_or(&[][..], |old| &old.repositories);
        let pinned = pins::address(&definition, platform, releasever.as_deref(), locked, update);
        let opener = Opener {
            project,
            base,
            edges,
            variables: &variables,
            releasever: releasever.clone(),
        };
        repositories.push(opener.open(definition, pinned).await?);
    }
    if repositories.is_empty() {
        return Err(ResolveError::NoRepository);
    }
    Ok(Opened {
        platform,
        repositories,
    })
}

/// dnf's variables: of the platform, of the release, and of the base's own files.
///
/// <https://dnf.readthedocs.io/en/latest/conf_ref.html#repo-variables>
fn variables(
    base: &Base,
    platform: Platform,
    releasever: Option<&str>,
) -> BTreeMap<String, String> {
    let mut values = BTreeMap::new();
    for folder in ["etc/yum/vars", "etc/dnf/vars"] {
        for (path, bytes) in base.root.read_folder(folder) {
            let name = String::from_utf8_lossy(path.file_name()).into_owned();
            let text = String::from_utf8_lossy(bytes);
            values.insert(
                name,
                text.lines().next().unwrap_or_default().trim().to_owned(),
            );
        }
    }
    for name in ["basearch", "arch"] {
        values.insert(name.to_owned(), platform.arch.rpm().to_owned());
    }
    if let Some(releasever) = releasever {
        // A file of this name is how AL2023 is told to follow another release.
        values
            .entry("releasever".to_owned())
            .or_insert_with(|| releasever.to_owned());
    }
    values
}

fn definitions(
    project: &Project,
    base: &Base,
    variables: &BTreeMap<String, String>,
) -> Result<Vec<RepoFile>, ResolveError> {
    let mut out: Vec<RepoFile> = Vec::new();
    for repository in &project.recipe.rpm.repositories {
        match repository {
            recipe::Repository::Base(_) => {
                for folder in [
                    "etc/yum.repos.d",
                    "etc/distro.repos.d",
                    "usr/share/dnf5/repos.d",
                ] {
                    for (path, bytes) in base.root.read_folder(folder) {
                        if path.file_name().ends_with(b".repo") {
                            let text = String::from_utf8_lossy(bytes);
                            let entries =
                                repofile::parse_repo_file(&path.to_string(), &text, variables)?;
                            out.extend(entries.into_iter().filter(|entry| entry.enabled));
                        }
                    }
                }
            }
            recipe::Repository::Explicit(explicit) => out.push(as_repo_file(explicit, variables)),
        }
    }
    Ok(out)
}

fn as_repo_file(explicit: &ExplicitRepository, variables: &BTreeMap<String, String>) -> RepoFile {
    let substitute = |text: &String| repofile::substitute(text, variables);
    RepoFile {
        id: explicit.id.clone(),
        name: explicit.id.clone(),
        baseurl: explicit.baseurl.iter().map(substitute).collect(),
        mirrorlist: explicit.mirrorlist.as_ref().map(substitute),
        metalink: None,
        enabled: true,
        gpgcheck: Some(explicit.gpgcheck),
        repo_gpgcheck: None,
        gpgkey: explicit.gpgkey.iter().map(substitute).collect(),
        priority: i32::try_from(explicit.priority).unwrap_or(DEFAULT_PRIORITY),
        excludepkgs: Vec::new(),
        includepkgs: Vec::new(),
        kind: None,
    }
}

/// Opens one repository.
struct Opener<'a> {
    project: &'a Project,
    base: &'a Base,
    edges: &'a Edges<'a>,
    variables: &'a BTreeMap<String, String>,
    releasever: Option<String>,
}

impl Opener<'_> {
    async fn open(
        self,
        definition: RepoFile,
        pinned: Option<String>,
    ) -> Result<Repository, ResolveError> {
        let id = definition.id.clone();
        let url = match pinned {
            Some(url) => url,
            None => self.address(&definition).await?,
        };
        let url = folder_url(&id, &url)?;
        let (keys, key_sources) = self.keys(&definition).await?;

        let bytes = self.get(&at(&url, &id, "repodata/repomd.xml")?).await?;
        let signature = match self.get(&at(&url, &id, "repodata/repomd.xml.asc")?).await {
            Ok(signature) => Some(signature),
            // AL2023 answers 403 for what is not there.
            Err(ResolveError::Fetch(error)) if error.is_not_found() => None,
            Err(error) => return Err(error),
        };
        let signed_by = match signature {
            Some(signature) if !keys.is_empty() => {
                let what = format!("repomd.xml of repository `{id}`");
                let signer = keys::verify_detached(&keys, &bytes, &signature)
                    .map_err(|error| ResolveError::Signature { what, error })?;
                Some(signer.to_string())
            }
            _ if definition.repo_gpgcheck == Some(true) => {
                return Err(ResolveError::UnsignedRepository(id));
            }
            _ => None,
        };
        let repomd = repodata::parse_repomd(&bytes).map_err(|error| ResolveError::Metadata {
            repository: id.clone(),
            error,
        })?;
        Ok(Repository {
            definition,
            url,
            releasever: self.releasever,
            repomd_digest: Digest::of(&bytes),
            repomd,
            signed_by,
            keys,
            key_sources,
        })
    }

    /// Returns the folder that holds `repodata/`, as the definition leads to it now.
    async fn address(&self, definition: &RepoFile) -> Result<String, ResolveError> {
        if let Some(url) = definition.baseurl.first() {
            return Ok(url.clone());
        }
        let list = definition.mirrorlist.as_ref();
        let list = list.ok_or_else(|| ResolveError::NoAddress(definition.id.clone()))?;
        let bytes = self.get(list).await?;
        let mut urls =
            repofile::parse_mirror_list(&String::from_utf8_lossy(&bytes), self.variables)?;
        Ok(urls.swap_remove(0))
    }

    /// Reads the keys that the definition names: in the base, beside the recipe, or by URL.
    async fn keys(
        &self,
        definition: &RepoFile,
    ) -> Result<(Vec<Key>, BTreeMap<String, String>), ResolveError> {
        let (mut out, mut from) = (Vec::new(), BTreeMap::new());
        for name in &definition.gpgkey {
            let missing = |why: String| ResolveError::Key {
                repository: definition.id.clone(),
                key: name.clone(),
                why,
            };
            let bytes = if let Some(path) = name.strip_prefix("file://") {
                let bytes = self.base.root.read(path);
                bytes
                    .ok_or_else(|| missing("the base has no such file".to_owned()))?
                    .to_vec()
            } else if name.contains("://") {
                self.get(name).await?
            } else {
                let path = self.project.folder.join(name);
                std::fs::read(&path).map_err(|error| missing(error.to_string()))?
            };
            let keys = keys::parse_keys(&bytes).map_err(|error| ResolveError::KeyFormat {
                key: name.clone(),
                error,
            })?;
            for key in keys {
                from.insert(key.fingerprint().to_string(), name.clone());
                out.push(key);
            }
        }
        Ok((out, from))
    }

    async fn get(&self, url: &str) -> Result<Vec<u8>, ResolveError> {
        Ok(self.edges.fetcher.get(url, LARGEST_DOCUMENT).await?)
    }
}

/// Reads the address of a folder; without the slash, joining would replace its last part.
fn folder_url(repository: &str, text: &str) -> Result<Url, ResolveError> {
    let text = if text.ends_with('/') {
        text.to_owned()
    } else {
        format!("{text}/")
    };
    Url::parse(&text).map_err(|error| ResolveError::Address {
        repository: repository.to_owned(),
        url: text,
        why: error.to_string(),
    })
}

/// Resolves `relative` from `folder`; it may climb, as AL2023's packages do.
fn at(folder: &Url, repository: &str, relative: &str) -> Result<String, ResolveError> {
    folder
        .join(relative)
        .map(String::from)
        .map_err(|error| ResolveError::Address {
            repository: repository.to_owned(),
            url: relative.to_owned(),
            why: error.to_string(),
        })
}

impl Opened {
    /// Reads what the repositories offer: priorities and excludes applied, paths added that `requests` may need.
    pub(super) async fn packages(
        &mut self,
        installed: &[Package],
        requests: &[Request],
        edges: &Edges<'_>,
    ) -> Result<Vec<Package>, ResolveError> {
        let mut out = Vec::new();
        for (index, repository) in self.repositories.iter().enumerate() {
            let id = &repository.definition.id;
            let malformed = |error| ResolveError::Metadata {
                repository: id.clone(),
                error,
            };
            let number = u32::try_from(index).unwrap_or(u32::MAX);
            let reader = metadata::open(repository.place(), "primary", edges).await?;
            let mut packages =
                repodata::parse_primary(BufReader::new(reader), number).map_err(malformed)?;
            let RepoFile {
                excludepkgs,
                includepkgs,
                ..
            } = &repository.definition;
            let any = |patterns: &[String], package: &Package| {
                patterns
                    .iter()
                    .any(|pattern| solve::matches_pattern(pattern, package))
            };
            packages.retain(|package| {
                !any(excludepkgs, package) && (includepkgs.is_empty() || any(includepkgs, package))
            });
            out.extend(packages);
        }
        let priorities: Vec<i32> = self
            .repositories
            .iter()
            .map(|repository| repository.definition.priority)
            .collect();
        solve::apply_priorities(&mut out, &priorities);

        let wanted: BTreeSet<_> = requests
            .iter()
            .flat_map(|request| solve::wanted_paths(installed, &out, request))
            .collect();
        if !wanted.is_empty() {
            for repository in &self.repositories {
                let id = &repository.definition.id;
                let malformed = |error| ResolveError::Metadata {
                    repository: id.clone(),
                    error,
                };
                let reader = metadata::open(repository.place(), "filelists", edges).await?;
                let found =
                    repodata::scan_filelists(BufReader::new(reader), &wanted).map_err(malformed)?;
                repodata::add_files(&mut out, &found);
            }
        }
        Ok(out)
    }

    fn of(&self, package: &Package) -> &Repository {
        &self.repositories[package.repository as usize]
    }

    /// Returns the id of the repository that `package` is from.
    pub(super) fn id_of(&self, package: &Package) -> &str {
        &self.of(package).definition.id
    }

    /// Returns the digest and the address of a package.
    pub(super) fn place_of(&self, package: &Package) -> Result<(Digest, String), ResolveError> {
        let repository = self.of(package);
        let id = &repository.definition.id;
        let digest = package
            .checksum
            .as_ref()
            .and_then(|checksum| checksum.sha256());
        let digest = digest.ok_or_else(|| ResolveError::NoDigest(package.nevra().to_string()))?;
        let folder = match &package.location_base {
            Some(base) => folder_url(id, base)?,
            None => repository.url.clone(),
        };
        Ok((digest, at(&folder, id, &package.location)?))
    }

    /// Verifies the signature of a package and returns the fingerprint of its key; none where that was waived.
    pub(super) fn verify(
        &self,
        package: &Package,
        file: &PackageFile,
    ) -> Result<Option<String>, ResolveError> {
        let repository = self.of(package);
        match keys::verify_package(&repository.keys, file.signature(), &file.header_bytes()) {
            Ok(signer) => Ok(Some(signer.to_string())),
            Err(_) if !repository.checks_packages() => Ok(None),
            Err(error) => Err(ResolveError::Signature {
                what: package.nevra().to_string(),
                error,
            }),
        }
    }

    /// Returns what the lock says of the repositories, and of the keys that signed something.
    pub(super) fn finish(
        self,
        signers: &BTreeSet<String>,
    ) -> (Vec<lock::Repository>, Vec<lock::Key>) {
        let (mut repositories, mut keys) = (Vec::new(), Vec::new());
        for repository in self.repositories {
            for (fingerprint, source) in &repository.key_sources {
                if signers.contains(fingerprint)
                    || repository.signed_by.as_ref() == Some(fingerprint)
                {
                    keys.push(lock::Key {
                        fingerprint: fingerprint.clone(),
                        source: source.clone(),
                    });
                }
            }
            repositories.push(lock::Repository {
                gpgcheck: repository.checks_packages(),
                id: repository.definition.id,
                platform: self.platform,
                url: repository.url.into(),
                releasever: repository.releasever,
                repomd: repository.repomd_digest,
                signed_by: repository.signed_by,
            });
        }
        (repositories, keys)
    }
}

impl Repository {
    fn place(&self) -> metadata::Place<'_> {
        metadata::Place {
            id: &self.definition.id,
            url: &self.url,
            repomd: &self.repomd,
        }
    }
}
