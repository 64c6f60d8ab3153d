//! Locked RPMs become one layer: their files, what their scriptlets would have done, and the database.

use rayon::prelude::*;

use super::accounts_layer;
use super::{BuildError, Materials, SpoolSource};
use crate::accounts::Accounts;
use crate::layer::tree::Stacked;
use crate::layer::{Contents, Kind, LayerPath, Node, Tree};
use crate::plan::Plan;
use crate::rpm::database::{self, Added, InstallFacts};
use crate::rpm::effects::{self, Arriving};
use crate::rpm::file::PackageFile;
use crate::rpm::header::Header;
use crate::rpm::install::{self, Base, Owners};
use crate::rpm::payload::{self, Limits, Unpacked};
use crate::rpm::selection::Selection;

/// A layer that is made but not written.
pub(super) struct Made {
    pub(super) tree: Tree,
    pub(super) contents: Contents,
}

/// Installs the packages of `plan` on the base; `accounts` gets the users and groups they add.
pub(super) fn make(
    plan: &Plan<'_>,
    materials: &Materials<'_>,
    spools: &dyn SpoolSource,
    accounts: &mut Accounts,
) -> Result<Made, BuildError> {
    let root = materials.root;
    let mut rpmdb = root.rpm_database()?.unwrap_or_default();
    let unpacked = unpack(plan, materials, spools)?;
    let kept: Vec<Header> = rpmdb.packages.iter().map(|package| package.header.clone()).collect();
    let mut contents = Contents::default();
    for package in &unpacked {
        contents.extend(package.locations.clone());
    }

    let arriving: Vec<Arriving<'_>> =
        unpacked.iter().map(|package| Arriving { header: package.package.header(), upgrades: false }).collect();
    let scriptlets = effects::inventory(&arriving, &kept.iter().collect::<Vec<_>>(), &[]);
    // Users first: files are owned by name.
    effects::apply_accounts(&scriptlets, &unpacked, accounts)?;

    let base = Base { tree: &root.tree, kept: &kept, erased: &[] };
    let installed = install::install(base, &AccountOwners(accounts), &unpacked)?;
    let mut tree = installed.tree;
    // A file of the base that was moved aside is written again under its new name.
    for path in &installed.set_aside {
        if let Some(Kind::File(content)) = tree.get(path).map(|node| &node.kind)
            && let Some(bytes) = root.files.get(&content.digest)
        {
            contents.add_inline(bytes.clone());
        }
    }
    let below = Stacked { lower: &root.tree, upper: &NOTHING };
    if accounts.changed() {
        accounts_layer::write(accounts, below, &mut tree, &mut contents);
    }
    effects::apply_files(&scriptlets, root, &mut tree, &mut contents)?;

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
    Ok(Made { tree, contents })
}

static NOTHING: std::sync::LazyLock<Tree> = std::sync::LazyLock::new(Tree::default);

/// Opens, checks and unpacks every package, several at once, in the order of the plan.
fn unpack(plan: &Plan<'_>, materials: &Materials<'_>, spools: &dyn SpoolSource) -> Result<Vec<Unpacked>, BuildError> {
    let selection = Selection { docs: materials.recipe.rpm.docs, ..Selection::default() };
    plan.rpms
        .par_iter()
        .map(|locked| {
            let blob = materials.blobs.open(&locked.digest).ok_or_else(|| BuildError::Missing {
                what: format!("{}.rpm", locked.nevra()),
                digest: locked.digest,
            })?;
            let package = PackageFile::open(&*blob)
                .map_err(|error| BuildError::Open { package: locked.nevra(), error })?;
            if package.nevra() != locked.nevra() {
                return Err(BuildError::OtherPackage { locked: locked.nevra(), found: package.nevra() });
            }
            let spool = spools.spool().map_err(BuildError::Spool)?;
            Ok(payload::unpack(&package, &*blob, &selection, Limits::default(), spool)?)
        })
        .collect()
}

/// Puts the database where the base has it, and removes what must not outlive the old one.
fn write_database(root: &crate::root::Root, bytes: &[u8], tree: &mut Tree, contents: &mut Contents) {
    let folder = root.rpm_folder().unwrap_or_else(|| LayerPath::parse(database::FOLDERS[0]).expect("a fixed path"));
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
