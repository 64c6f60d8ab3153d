//! The repositories of a lock: which, in which state, signed by whom, and the packages they offer.

use std::collections::{BTreeMap, BTreeSet};

use url::Url;

use super::{ResolveError, Sources, Update};
use crate::edge::base::Base;
use crate::edge::fetch::{FetchError, Input};
use crate::edge::project::Project;
use crate::lock::{self, Lock};
use crate::oci::{Digest, Platform};
use crate::recipe::{self, ExplicitRepository};
use crate::rpm::file::PackageFile;
use crate::rpm::header::Header;
use crate::rpm::keys::{self, Key};
use crate::rpm::package::{Checksum, Package};
use crate::rpm::repodata::{self, Record, Repomd};
use crate::rpm::repofile::{self, RepoFileEntry, Variables};
use crate::rpm::solve::{self, Request};

/// What a repomd.xml or a list of mirrors may have: 16 MiB.
const LARGEST_DOCUMENT: u64 = 16 << 20;
/// What metadata may come to, decompressed, where repomd.xml does not say: 4 GiB.
const LARGEST_METADATA: u64 = 4 << 30;

/// The repositories of one platform, opened.
pub(super) struct Opened {
    platform: Platform,
    repositories: Vec<Repository>,
}

struct Repository {
    definition: RepoFileEntry,
    url: Url,
    releasever: Option<String>,
    repomd_digest: Digest,
    repomd: Repomd,
    signed_by: Option<String>,
    keys: Vec<(Key, String)>,
}

/// Opens the repositories that the recipe names.
pub(super) async fn open(
    project: &Project,
    platform: Platform,
    base: &Base,
    installed: &[Header],
    old: Option<&Lock>,
    update: &Update,
    sources: &Sources<'_>,
) -> Result<Opened, ResolveError> {
    let releasever = repofile::release_version(installed);
    let variables = variables(base, platform, releasever.as_deref());
    let mut repositories = Vec::new();
    for definition in definitions(project, base, &variables)? {
        let same_state = |locked: &&lock::Repository| {
            locked.id == definition.id && locked.platform == platform && locked.releasever == releasever && !update.rpm()
        };
        let pinned = old.into_iter().flat_map(|old| &old.repositories).find(same_state).map(|locked| locked.url.clone());
        let opener = Opener { project, base, sources, definition, releasever: releasever.clone() };
        repositories.push(opener.open(pinned).await?);
    }
    if repositories.is_empty() {
        return Err(ResolveError::NoRepository);
    }
    Ok(Opened { platform, repositories })
}

/// dnf's variables: of the platform, of the release, and of the base's own files.
///
/// <https://dnf.readthedocs.io/en/latest/conf_ref.html#repo-variables>
fn variables(base: &Base, platform: Platform, releasever: Option<&str>) -> Variables {
    let mut values = BTreeMap::new();
    for folder in ["etc/yum/vars", "etc/dnf/vars"] {
        for (path, bytes) in base.root.read_folder(folder) {
            let name = String::from_utf8_lossy(path.file_name()).into_owned();
            let value = String::from_utf8_lossy(bytes).lines().next().unwrap_or_default().trim().to_owned();
            values.insert(name, value);
        }
    }
    values.insert("basearch".to_owned(), platform.arch.rpm().to_owned());
    values.insert("arch".to_owned(), platform.arch.rpm().to_owned());
    if let Some(releasever) = releasever {
        values.insert("releasever".to_owned(), releasever.to_owned());
    }
    Variables::new(values)
}

fn definitions(project: &Project, base: &Base, variables: &Variables) -> Result<Vec<RepoFileEntry>, ResolveError> {
    let mut out: Vec<RepoFileEntry> = Vec::new();
    for repository in &project.recipe.rpm.repositories {
        match repository {
            recipe::Repository::Base(_) => {
                for folder in ["etc/yum.repos.d", "etc/distro.repos.d", "usr/share/dnf5/repos.d"] {
                    for (path, bytes) in base.root.read_folder(folder) {
                        if !path.file_name().ends_with(b".repo") {
                            continue;
                        }
                        let entries = repofile::parse(bytes, variables)
                            .map_err(|error| ResolveError::RepoFile { file: path.to_string(), error })?;
                        out.extend(entries.into_iter().filter(|entry| entry.enabled));
                    }
                }
            }
            recipe::Repository::Explicit(explicit) => out.push(explicit_entry(explicit, variables)),
        }
    }
    Ok(out)
}

fn explicit_entry(explicit: &ExplicitRepository, variables: &Variables) -> RepoFileEntry {
    let list = |text: &Option<String>| text.iter().map(|text| variables.substitute(text)).collect();
    RepoFileEntry {
        baseurl: list(&explicit.baseurl),
        mirrorlist: explicit.mirrorlist.as_deref().map(|text| variables.substitute(text)),
        gpgkey: explicit.gpgkey.iter().map(|key| variables.substitute(key)).collect(),
        gpgcheck: explicit.gpgcheck,
        priority: i32::try_from(explicit.priority).unwrap_or(i32::MAX),
        ..RepoFileEntry::new(&explicit.id)
    }
}
