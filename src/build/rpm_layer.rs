//! Locked RPMs become one layer: their files, what their scriptlets would have done, and the database.

use std::collections::BTreeSet;

use super::accounts_layer;
use super::{BlobSource, BuildError, Materials, Workshop};
use crate::abreast::abreast;
use crate::accounts::Accounts;
use crate::layer::tree::Stacked;
use crate::layer::{Content, Contents, Kind, LayerPath, Node, Tree};
use crate::plan::Plan;
use crate::recipe::Recipe;
use crate::root::Root;
use crate::rpm::database::{self, Added, Database, InstallFacts};
use crate::rpm::effects::overlay::path_test;
use crate::rpm::effects::{self, SysusersFiles, Transaction};
use crate::rpm::file::PackageFile;
use crate::rpm::header::Header;
use crate::rpm::install::{self, Base, Owners};
use crate::rpm::payload::{self, Limits, Unpacked};
use crate::rpm::selection::Selection;

/// A layer that is made but not written.
pub(super) struct Made {
    pub(super) tree: Tree,
    pub(super) contents: Contents,
    /// What a person may want to know of it.
    pub(super) remarks: Vec<String>,
}

/// Installs the `unpacked` packages of `plan` on the base; `accounts` gets the users and groups they add.
pub(super) fn make(
    plan: &Plan<'_>,
    materials: &Materials<'_>,
    root: &Root,
    unpacked: &[Unpacked],
    accounts: &mut Accounts,
) -> Result<Made, BuildError> {
    let mut rpmdb = root.rpm_database()?.unwrap_or_default();
    let erased = erase(plan, &mut rpmdb)?;
    let kept: Vec<Header> = rpmdb
        .packages
        .iter()
        .map(|package| package.header.clone())
        .collect();
    let mut contents = Contents::default();
    for package in unpacked {
        contents.extend(package.locations.clone());
    }

    let transaction = Transaction {
        arriving: unpacked
            .iter()
            .map(|package| package.package.header())
            .collect(),
        staying: kept.iter().collect(),
        leaving: erased.iter().collect(),
    };
    let scriptlets = transaction.scriptlets();
    super::scriptlets::check(&scriptlets, materials.recipe, materials.lock)?;
    // Users first: files are owned by name.
    let below = Stacked {
        lower: &root.tree,
        upper: &NOTHING,
    };
    let test = |test, path: &LayerPath| path_test(below, test, path);
    let declared = sysusers(unpacked, &contents)?;
    effects::apply_accounts(&scriptlets, &sysusers_of(root), &declared, &test, accounts)?;

    let base = Base {
        tree: &root.tree,
        kept: &kept,
        erased: &erased,
    };
    let installed = install::install(base, &AccountOwners(accounts), unpacked)?;
    let mut tree = installed.tree;
    let mut remarks = Vec::new();
    // A file of the base that was moved aside is written again under its new name.
    for path in &installed.set_aside {
        remarks.push(format!(
            "{path}: a configuration file that was changed is kept beside the new one"
        ));
        if let Some(Kind::File(content)) = tree.get(path).map(|node| &node.kind)
            && let Some(bytes) = root.files.get(&content.digest)
        {
            contents.add_inline(bytes.clone());
        }
    }
    if accounts.changed() {
        accounts_layer::write(accounts, below, &mut tree, &mut contents);
    }
    let changes = {
        let read = |content: &Content| match root.files.get(&content.digest) {
            Some(bytes) => Ok(bytes.clone()),
            None => contents.read(content),
        };
        let placed = Stacked {
            lower: &root.tree,
            upper: &tree,
        };
        effects::apply_after(&scriptlets, placed, accounts, plan.platform.arch, &read)?
    };
    if let Some(why) = &changes.no_cache {
        remarks.push(format!("no new /etc/ld.so.cache: {why}"));
    }
    changes.merge_into(&mut tree, &mut contents);

    let color = rpmdb.color();
    let time = u32::try_from(materials.lock.epoch).unwrap_or(u32::MAX);
    let added: Vec<Added<'_>> = unpacked
        .iter()
        .zip(&installed.file_states)
        .map(|(package, states)| Added {
            signature: package.package.signature(),
            header: package.package.header(),
            states,
        })
        .collect();
    rpmdb.add(&added, InstallFacts { time, color })?;
    write_database(root, &rpmdb.to_bytes()?, &mut tree, &mut contents);
    Ok(Made {
        tree,
        contents,
        remarks,
    })
}

static NOTHING: std::sync::LazyLock<Tree> = std::sync::LazyLock::new(Tree::default);

/// Takes the packages that the plan erases out of the database.
fn erase(plan: &Plan<'_>, rpmdb: &mut Database) -> Result<Vec<Header>, BuildError> {
    let wanted: BTreeSet<String> = plan.erased.iter().map(|erased| erased.nevra()).collect();
    let gone = rpmdb.remove(|header| wanted.contains(&header.nevra()));
    let headers: Vec<Header> = gone.into_iter().map(|package| package.header).collect();
    let found: BTreeSet<String> = headers.iter().map(Header::nevra).collect();
    match wanted.difference(&found).next() {
        Some(missing) => Err(BuildError::NotInBase(missing.clone())),
        None => Ok(headers),
    }
}

/// The folders that `systemd-sysusers` reads.
const SYSUSERS: [&str; 2] = ["etc/sysusers.d", "usr/lib/sysusers.d"];

/// Returns the declarations of users that the base holds.
fn sysusers_of(root: &Root) -> SysusersFiles {
    let files = SYSUSERS
        .into_iter()
        .flat_map(|folder| root.read_folder(folder));
    files.map(|(path, bytes)| (path, bytes.to_vec())).collect()
}

/// Returns the declarations of users that the packages bring.
fn sysusers(packages: &[Unpacked], contents: &Contents) -> Result<SysusersFiles, BuildError> {
    let mut out = SysusersFiles::new();
    for package in packages {
        for (entry, content) in package.files.entries.iter().zip(&package.contents) {
            let folder = entry.path.parent().unwrap_or_default();
            if let Some(content) = content
                && SYSUSERS
                    .iter()
                    .any(|wanted| wanted.as_bytes() == folder.as_bytes())
            {
                out.insert(
                    entry.path.clone(),
                    contents.read(content).map_err(BuildError::Spool)?,
                );
            }
        }
    }
    Ok(out)
}

/// Opens, checks and unpacks every package as soon as it is there, several at once, in the order of the plan.
pub(super) fn unpack(
    plan: &Plan<'_>,
    recipe: &Recipe,
    blobs: &dyn BlobSource,
    workshop: &Workshop<'_>,
) -> Result<Vec<Unpacked>, BuildError> {
    let selection = Selection {
        docs: recipe.rpm.docs,
        ..Selection::default()
    };
    let threads = workshop.press.threads();
    abreast(
        &plan.rpms,
        threads,
        |locked| locked.size,
        |locked| {
            let blob = blobs
                .open(&locked.digest)
                .ok_or_else(|| BuildError::Missing {
                    what: format!("{}.rpm", locked.nevra()),
                    digest: locked.digest,
                })?;
            let package = PackageFile::open(&*blob).map_err(|error| BuildError::Open {
                package: locked.nevra(),
                error,
            })?;
            if package.nevra() != locked.nevra() {
                return Err(BuildError::OtherPackage {
                    locked: locked.nevra(),
                    found: package.nevra(),
                });
            }
            let spool = workshop.spools.spool().map_err(BuildError::Spool)?;
            Ok(payload::unpack(
                &package,
                &*blob,
                &selection,
                Limits::default(),
                spool,
            )?)
        },
    )
}

/// Puts the database where the base has it, and removes what must not outlive the old one.
fn write_database(root: &Root, bytes: &[u8], tree: &mut Tree, contents: &mut Contents) {
    let folder = root
        .rpm_folder()
        .unwrap_or_else(|| LayerPath::parse(database::FOLDERS[0]).expect("a fixed path"));
    let at = |name: &str| folder.join(name).expect("a fixed name");
    let content = contents.add_inline(bytes);
    tree.insert(at(database::MAIN), Node::made_file(content, 0o644));
    for name in database::COMPANIONS {
        if root.tree.get(&at(name)).is_some() {
            tree.insert(at(name), Node::whiteout());
        }
    }
}

struct AccountOwners<'a>(&'a Accounts);

impl Owners for AccountOwners<'_> {
    fn uid(&self, name: &str) -> Option<u32> {
        self.0.uid(name)
    }

    fn gid(&self, name: &str) -> Option<u32> {
        self.0.gid(name)
    }
}
