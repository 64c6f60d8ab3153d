//! Account files as nodes: what the RPMs and the recipe added to the base's users and groups.

use crate::accounts::{Accounts, AccountsError, LoginDefs, NewUser, Primary};
use crate::layer::node::MADE_MTIME;
use crate::layer::tree::Stacked;
use crate::layer::{Contents, Kind, LayerPath, Meta, Node, Tree};
use crate::recipe::UserSection;
use crate::root::Root;

/// Reads the accounts of a base; a base without them has none yet.
#[must_use]
pub fn read(root: &Root, epoch: i64) -> Accounts {
    let file = |name: &str| root.read(&format!("etc/{name}"));
    let day = u32::try_from(epoch / 86_400).ok();
    Accounts::parse(
        file("passwd").unwrap_or_default(),
        file("group").unwrap_or_default(),
        file("shadow"),
        file("gshadow"),
    )
    .with_login_defs(LoginDefs::parse(file("login.defs").unwrap_or_default()))
    .with_shadow_day(day)
}

/// Writes the account files, with the modes and owners they have below.
pub fn write(accounts: &Accounts, below: Stacked<'_>, tree: &mut Tree, contents: &mut Contents) {
    let files = accounts.files();
    let all = [
        ("passwd", Some(files.passwd), 0o644),
        ("group", Some(files.group), 0o644),
        ("shadow", files.shadow, 0),
        ("gshadow", files.gshadow, 0),
    ];
    for (name, bytes, mode) in all {
        let Some(bytes) = bytes else { continue };
        let path = LayerPath::parse(format!("etc/{name}")).expect("a fixed path");
        let path = below.resolve(&path).unwrap_or(path);
        let meta = below
            .get(&path)
            .map_or_else(|| Meta::made(mode), |node| node.meta.clone());
        let content = contents.add_inline(bytes);
        tree.insert(
            path,
            Node {
                kind: Kind::File(content),
                meta: Meta {
                    mtime: MADE_MTIME,
                    ..meta
                },
            },
        );
    }
}

/// Adds the recipe's user with its group and home folder; one that is there with the same ids is left alone.
///
/// # Errors
/// [`AccountsError`] where its name or ids are taken by others.
pub fn add_user(
    user: &UserSection,
    accounts: &mut Accounts,
    below: Stacked<'_>,
    tree: &mut Tree,
) -> Result<(), AccountsError> {
    let present = accounts.user(&user.name);
    if present.is_none_or(|present| (present.uid, present.gid) != (user.uid, user.group_id())) {
        accounts.add_user(&NewUser {
            group: Primary::OwnWith(user.group_id()),
            home: user.home_folder(),
            shell: user.shell.clone(),
            ..NewUser::regular(&user.name, user.uid)
        })?;
    }
    if let Some(home) = LayerPath::parse(user.home_folder())
        .ok()
        .and_then(|home| below.resolve(&home).ok())
    {
        // Empty, unlike useradd's: nothing of /etc/skel is wanted by a service.
        if below.get(&home).is_none() && !home.is_root() {
            let meta = Meta::made(0o700).owned_by(user.uid, user.group_id());
            tree.insert(
                home,
                Node {
                    kind: Kind::Dir,
                    meta,
                },
            );
        }
    }
    Ok(())
}
