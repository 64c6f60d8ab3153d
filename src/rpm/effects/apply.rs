//! Applies effects: accounts before files are placed, everything else after.

use std::collections::BTreeMap;

use super::alternatives;
use super::effect::{Condition, Effect, PathTest, Sysusers};
use super::elf::Machine;
use super::error::EffectsError;
use super::ldconfig::{NoCache, ldconfig};
use super::overlay::{Overlay, Read};
use super::scriptlets::Scriptlet;
use super::sysusers::Declarations;
use crate::accounts::Accounts;
use crate::layer::node::Kind;
use crate::layer::tree::Stacked;
use crate::layer::{Contents, LayerPath, Tree};
use crate::oci::platform::Arch;

/// What effects change in the files of the image.
#[derive(Clone, Default)]
pub struct Effects {
    /// Nodes made or replaced, and whiteouts of files of the base.
    pub tree: Tree,
    /// Paths that packages placed and a scriptlet removed.
    pub removed: Vec<LayerPath>,
    /// The contents of the files in `tree`.
    pub contents: Contents,
    /// Why there is no new `/etc/ld.so.cache`, if a scriptlet wanted one.
    pub no_cache: Option<NoCache>,
}

impl Effects {
    /// Puts the changes into what is being placed on the base.
    pub fn merge_into(self, tree: &mut Tree, contents: &mut Contents) {
        for path in &self.removed {
            tree.remove(path);
        }
        for (path, node) in self.tree {
            tree.insert(path, node);
        }
        contents.extend(self.contents);
    }
}

/// Tells whether effects read the content of this file of the base, so that its bytes must be at hand.
#[must_use]
pub fn reads(path: &LayerPath) -> bool {
    const FILES: [&[u8]; 8] = [
        b"etc/passwd",
        b"etc/group",
        b"etc/shadow",
        b"etc/gshadow",
        b"etc/login.defs",
        b"etc/shells",
        b"etc/ld.so.conf",
        b"etc/ld.so.cache",
    ];
    const FOLDERS: [&[u8]; 4] = [
        b"etc/ld.so.conf.d",
        b"etc/sysusers.d",
        b"usr/lib/sysusers.d",
        b"var/lib/alternatives",
    ];
    FILES.contains(&path.as_bytes())
        || path
            .parent()
            .is_some_and(|parent| FOLDERS.contains(&parent.as_bytes()))
}

/// Files of `sysusers.d`, by path.
pub type SysusersFiles = BTreeMap<LayerPath, Vec<u8>>;

/// Makes the users and groups that scriptlets make, then those that the packages' own sysusers.d declares.
///
/// RPM makes the latter itself since 4.19; older ones rely on scriptlets, and on systemd being there. They are made
/// either way, as files may belong to them. `test` answers for the base and the packages' files together.
///
/// # Errors
/// [`EffectsError::Accounts`], [`EffectsError::Sysusers`], [`EffectsError::NoSysusers`]
pub fn apply_accounts(
    scriptlets: &[Scriptlet],
    base: &SysusersFiles,
    packages: &SysusersFiles,
    test: &dyn Fn(PathTest, &LayerPath) -> bool,
    accounts: &mut Accounts,
) -> Result<(), EffectsError> {
    let all: SysusersFiles = base
        .iter()
        .chain(packages)
        .map(|(path, bytes)| (path.clone(), bytes.clone()))
        .collect();
    for scriptlet in scriptlets {
        let mut makers = Makers {
            package: &scriptlet.package,
            files: &all,
            test,
            accounts,
        };
        makers.all(scriptlet.effects())?;
    }
    for (path, bytes) in packages {
        declare(&[(path.to_string(), bytes)], accounts)?;
    }
    Ok(())
}

fn declare(files: &[(String, &Vec<u8>)], accounts: &mut Accounts) -> Result<(), EffectsError> {
    let mut declarations = Declarations::default();
    for (file, bytes) in files {
        declarations.add(file, bytes)?;
    }
    Ok(declarations.apply(accounts)?)
}

struct Makers<'a> {
    package: &'a str,
    files: &'a SysusersFiles,
    test: &'a dyn Fn(PathTest, &LayerPath) -> bool,
    accounts: &'a mut Accounts,
}

impl Makers<'_> {
    fn all(&mut self, effects: &[Effect]) -> Result<(), EffectsError> {
        effects.iter().try_for_each(|effect| self.one(effect))
    }

    fn one(&mut self, effect: &Effect) -> Result<(), EffectsError> {
        use crate::accounts::Tool;
        let accounts = &mut *self.accounts;
        // A tool that finds the name there fails and changes nothing.
        let made = match effect {
            Effect::AddGroup { name, .. } if accounts.gid(name).is_some() => Ok(()),
            Effect::AddGroup {
                name,
                gid,
                range,
                force,
            } => {
                let taken = gid.is_some_and(|gid| accounts.group_name(gid).is_some());
                let gid = gid.filter(|_| !(*force && taken));
                accounts
                    .add_group(name, gid, *range, Tool::Useradd)
                    .map(|_| ())
            }
            Effect::AddUser(user) if accounts.uid(&user.name).is_some() => Ok(()),
            Effect::AddUser(user) => accounts.add_user(user).map(|_| ()),
            Effect::AddMember { user, group } => accounts.add_member(user, group),
            Effect::Sysusers(what) => return self.sysusers(what),
            Effect::When {
                condition,
                then,
                otherwise,
            } => {
                let test = |test, path: &str| {
                    LayerPath::parse(path).is_ok_and(|path| (self.test)(test, &path))
                };
                let holds = holds(condition, self.accounts, &test);
                return self.all(if holds { then } else { otherwise });
            }
            _ => Ok(()),
        };
        made.map_err(|source| EffectsError::Accounts {
            package: self.package.to_owned(),
            source,
        })
    }

    fn sysusers(&mut self, what: &Sysusers) -> Result<(), EffectsError> {
        match what {
            Sysusers::Lines(lines) => {
                let file = format!("{}, scriptlet", self.package);
                declare(&[(file, &lines.clone().into_bytes())], self.accounts)
            }
            Sysusers::All => {
                // Sorted by file name; one in /etc hides its namesake.
                let mut by_name = BTreeMap::new();
                for folder in SYSUSERS_FOLDERS.iter().rev() {
                    for (path, bytes) in self.files {
                        if path
                            .parent()
                            .is_some_and(|p| p.as_bytes() == folder.as_bytes())
                        {
                            by_name.insert(path.file_name(), (path.to_string(), bytes));
                        }
                    }
                }
                declare(&by_name.into_values().collect::<Vec<_>>(), self.accounts)
            }
            Sysusers::Files(names) => {
                let mut found = Vec::new();
                for name in names {
                    let candidates = if name.contains('/') {
                        vec![name.clone()]
                    } else {
                        SYSUSERS_FOLDERS
                            .iter()
                            .map(|folder| format!("{folder}/{name}"))
                            .collect()
                    };
                    let file = candidates
                        .iter()
                        .filter_map(|path| LayerPath::parse(path).ok())
                        .find_map(|path| Some((path.to_string(), self.files.get(&path)?)));
                    found.push(file.ok_or_else(|| EffectsError::NoSysusers {
                        package: self.package.to_owned(),
                        file: name.clone(),
                    })?);
                }
                declare(&found, self.accounts)
            }
        }
    }
}

/// In order of precedence.
const SYSUSERS_FOLDERS: [&str; 2] = ["etc/sysusers.d", "usr/lib/sysusers.d"];

fn holds(
    condition: &Condition,
    accounts: &Accounts,
    test: &dyn Fn(PathTest, &str) -> bool,
) -> bool {
    match condition {
        Condition::User(name) => accounts.uid(name).is_some(),
        Condition::Uid(uid) => accounts.user_name(*uid).is_some(),
        Condition::Group(name) => accounts.gid(name).is_some(),
        Condition::Gid(gid) => accounts.group_name(*gid).is_some(),
        Condition::Path(kind, path) => test(*kind, path),
        Condition::Both(a, b) => holds(a, accounts, test) && holds(b, accounts, test),
        Condition::Either(a, b) => holds(a, accounts, test) || holds(b, accounts, test),
        Condition::Not(inner) => !holds(inner, accounts, test),
    }
}

/// Makes all other changes, on the base and the packages' files as they were placed.
///
/// `read` answers for files of packages, and for those of the base that [`reads`] names. The cache of libraries is
/// made last, as whatever ran last would have made it.
///
/// # Errors
/// [`EffectsError::Alternatives`], [`EffectsError::Overlay`], [`EffectsError::TrustStore`]
pub fn apply_after(
    scriptlets: &[Scriptlet],
    root: Stacked<'_>,
    accounts: &Accounts,
    arch: Arch,
    read: &Read<'_>,
) -> Result<Effects, EffectsError> {
    let mut after = After {
        overlay: Overlay::new(root, read),
        placed: root.upper,
        accounts,
        wants_cache: false,
    };
    for scriptlet in scriptlets {
        after.all(&scriptlet.package, scriptlet.effects())?;
    }
    let no_cache = if after.wants_cache {
        let machine = match arch {
            Arch::Amd64 => Machine::X86_64,
            Arch::Arm64 => Machine::Aarch64,
        };
        ldconfig(&mut after.overlay, machine)?
    } else {
        None
    };
    let Overlay {
        changes,
        removed,
        contents,
        ..
    } = after.overlay;
    Ok(Effects {
        tree: changes,
        removed,
        contents,
        no_cache,
    })
}

struct After<'a> {
    overlay: Overlay<'a>,
    placed: &'a Tree,
    accounts: &'a Accounts,
    wants_cache: bool,
}

impl After<'_> {
    fn all(&mut self, package: &str, effects: &[Effect]) -> Result<(), EffectsError> {
        effects
            .iter()
            .try_for_each(|effect| self.one(package, effect))
    }

    fn one(&mut self, package: &str, effect: &Effect) -> Result<(), EffectsError> {
        match effect {
            // Done before the files were placed, which may belong to them.
            Effect::AddGroup { .. }
            | Effect::AddUser(_)
            | Effect::AddMember { .. }
            | Effect::Sysusers(_) => {}
            Effect::Alternative(new) => alternatives::install(&mut self.overlay, new)?,
            Effect::AlternativeRemoved { name, path } => {
                alternatives::remove(&mut self.overlay, name, path)?;
            }
            Effect::Ldconfig => self.wants_cache = true,
            Effect::IconvCache => self.iconv()?,
            Effect::TrustStore => self.trust(package)?,
            Effect::Shell(shell) => self.shell(shell)?,
            Effect::Remove(path) => self.overlay.remove(path)?,
            Effect::MakeDir(path) => self.overlay.make_dir(path)?,
            Effect::Symlink { target, path } => self.overlay.symlink(path, target)?,
            Effect::When {
                condition,
                then,
                otherwise,
            } => {
                let test = |test, path: &str| self.overlay.test(test, path).unwrap_or_default();
                let holds = holds(condition, self.accounts, &test);
                self.all(package, if holds { then } else { otherwise })?;
            }
        }
        Ok(())
    }

    /// Empties the cache of gconv modules: glibc then reads `gconv-modules` itself, as `__gconv_load_cache` takes
    /// only a file that holds a header. A cache of the base would hide the new modules.
    fn iconv(&mut self) -> Result<(), EffectsError> {
        for folder in ["/usr/lib64/gconv", "/usr/lib/gconv"] {
            let cache = format!("{folder}/gconv-modules.cache");
            if self.overlay.test(PathTest::File, &cache)? {
                self.overlay.write(&cache, Vec::new(), 0o644)?;
            }
        }
        Ok(())
    }

    /// Adds a line to `/etc/shells`; shells(5).
    fn shell(&mut self, shell: &str) -> Result<(), EffectsError> {
        let mut bytes = self.overlay.read("/etc/shells")?.unwrap_or_default();
        if bytes
            .split(|&c| c == b'\n')
            .any(|line| line == shell.as_bytes())
        {
            return Ok(());
        }
        if bytes.last().is_some_and(|&last| last != b'\n') {
            bytes.push(b'\n');
        }
        bytes.extend_from_slice(shell.as_bytes());
        bytes.push(b'\n');
        Ok(self.overlay.write("/etc/shells", bytes, 0o644)?)
    }

    /// Checks that the base's extracted certificates are what update-ca-trust would extract.
    fn trust(&self, package: &str) -> Result<(), EffectsError> {
        const SOURCES: [&[u8]; 2] = [b"usr/share/pki/ca-trust-source", b"etc/pki/ca-trust/source"];
        const EXTRACTED: &str = "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem";
        let is_source = |path: &LayerPath| {
            SOURCES.iter().any(|source| {
                path.as_bytes().starts_with(source)
                    && path.as_bytes().get(source.len()) == Some(&b'/')
            })
        };
        let added = self.placed.iter().find(|(path, node)| {
            is_source(path)
                && matches!(
                    node.kind,
                    Kind::File(_) | Kind::Symlink(_) | Kind::Hardlink(_)
                )
                && !path.file_name().starts_with(b"README")
        });
        let found = match added {
            Some((path, _)) => path.to_string(),
            None if self.overlay.test(PathTest::Exists, EXTRACTED)? => return Ok(()),
            None => format!("no {EXTRACTED}"),
        };
        Err(EffectsError::TrustStore {
            package: package.to_owned(),
            found,
        })
    }
}
