//! The root of an image, unpacked by umoci, and programs run in it as production runs them: as a user, read-only.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::bench::{Bench, Made};
use super::command::{Done, run};
use super::scratch;

/// Makes the root read-only and changes into it as a user; its own mount and process namespaces end with it.
const ENTER: &str = r#"
set -e
root=$1 user=$2 access=$3; shift 3
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount --bind /dev "$root/dev"
mount -o "remount,bind,$access" "$root"
exec chroot --userspec="$user" --groups= "$root" "$@"
"#;

/// An unpacked root.
#[derive(Debug)]
pub(crate) struct Root {
    folder: tempfile::TempDir,
}

impl Root {
    /// Unpacks a variant of the sample image, with its owners: callers are root.
    pub(crate) fn unpack(bench: &Bench, what: Made) -> Self {
        Self::unpack_layout(&bench.made(what))
    }

    /// Unpacks the image that a layout tags `e2e`.
    pub(crate) fn unpack_layout(layout: &Path) -> Self {
        let folder = scratch();
        let image = format!("{}:e2e", layout.display());
        run(Command::new("umoci")
            .args(["unpack", "--image", &image])
            .arg(folder.path().join("bundle")))
        .ok();
        Self { folder }
    }

    /// Returns the folder that is `/` in the image.
    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("bundle/rootfs")
    }

    /// Returns what umoci saw there after unpacking.
    pub(crate) fn mtree(&self) -> String {
        let bundle = self.folder.path().join("bundle");
        let name = super::names(&bundle).into_iter().find(|name| {
            Path::new(name)
                .extension()
                .is_some_and(|kind| kind == "mtree")
        });
        fs::read_to_string(bundle.join(name.expect("umoci writes one"))).expect("text")
    }

    /// Runs a program in the root as `user` (`uid:gid`), with nothing writable and no network.
    pub(crate) fn run(&self, user: &str, env: &[&str], program: &[&str]) -> Done {
        self.enter([user, "ro"], env, program)
    }

    /// The same, but the root can be written.
    pub(crate) fn run_writable(&self, user: &str, env: &[&str], program: &[&str]) -> Done {
        self.enter([user, "rw"], env, program)
    }

    fn enter(&self, how: [&str; 2], env: &[&str], program: &[&str]) -> Done {
        let mut command = Command::new("unshare");
        command
            .args([
                "--mount", "--pid", "--fork", "--net", "sh", "-c", ENTER, "enter",
            ])
            .arg(self.path())
            .args(how);
        run(command.args(["/usr/bin/env", "-i"]).args(env).args(program))
    }

    /// Asks real rpm about the root's database.
    pub(crate) fn rpm(&self, arguments: &[&str]) -> Done {
        rpm(&self.path(), arguments)
    }
}

/// Asks real rpm about the database in a root; Debian's rpm would look elsewhere by itself.
pub(crate) fn rpm(root: &Path, arguments: &[&str]) -> Done {
    run(Command::new("rpm")
        .arg("--root")
        .arg(root)
        .args(["--dbpath", "/var/lib/rpm"])
        .args(arguments))
}
