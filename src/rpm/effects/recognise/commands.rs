//! The commands that scriptlets run, and what each does to an image.

use super::super::effect::{Alternative, Condition, Effect, Follower, PathTest, Sysusers};
use super::outcome::{Done, Status, either};
use super::simple::argument;
use super::{Unrecognised, files, test, users};

/// A command about to be run.
pub(super) struct Call<'a> {
    /// As written, for messages.
    pub(super) text: String,
    /// The tool's own name, without directory.
    pub(super) name: &'a str,
    /// Expanded; none where a value is not known.
    pub(super) arguments: &'a [Option<String>],
    /// A here-document.
    pub(super) input: Option<&'a str>,
}

impl Call<'_> {
    /// Returns the arguments if all are known.
    pub(super) fn literals(&self) -> Result<Vec<&str>, Unrecognised> {
        self.arguments
            .iter()
            .map(|word| word.as_deref())
            .collect::<Option<_>>()
            .ok_or_else(|| self.refuse("a value that is not known"))
    }

    pub(super) fn refuse(&self, what: &str) -> Unrecognised {
        argument(self.name, what)
    }

    fn first(&self) -> Option<&str> {
        self.arguments.first()?.as_deref()
    }
}

/// What a command did.
pub(super) struct Ran {
    pub(super) done: Done,
    /// Why it does nothing in an image.
    pub(super) reason: Option<&'static str>,
    /// Variables whose values are no longer known.
    pub(super) forgets: Vec<String>,
}

impl From<Done> for Ran {
    fn from(done: Done) -> Self {
        Self {
            done,
            reason: None,
            forgets: Vec::new(),
        }
    }
}

impl From<Effect> for Ran {
    fn from(effect: Effect) -> Self {
        Done::effect(effect).into()
    }
}

fn nothing(reason: &'static str) -> Ran {
    Ran {
        reason: Some(reason),
        ..Done::of(Status::Unsure).into()
    }
}

fn certain(yes: bool) -> Ran {
    Done::of(Status::Certain(yes)).into()
}

fn asks(condition: Condition) -> Ran {
    Done::of(Status::If(condition)).into()
}

/// Returns the name of a tool that is called by name or from a system directory.
pub(super) fn tool(word: &str) -> Option<&str> {
    match word.rsplit_once('/') {
        None => Some(word),
        Some((directory, name)) => matches!(
            directory,
            "/bin" | "/sbin" | "/usr/bin" | "/usr/sbin" | "/usr/lib/systemd" | "/lib/systemd"
        )
        .then_some(name),
    }
}

const INIT: &str = "services are not started or enabled in an image: there is no init";
const LABELS: &str = "layers carry no SELinux labels";
const CACHES: &str = "desktop and documentation caches are rebuilt by whoever uses them";
const BOOT: &str = "it concerns the running system, not its files";
const TMPFILES: &str = "paths of tmpfiles.d are made when a system boots";
const GIO: &str = "GIO reads its modules without their cache";
const POLICY: &str = "the base's cryptographic policy stays as it is";

/// Tells what a command does.
pub(super) fn call(call: &Call<'_>) -> Result<Ran, Unrecognised> {
    let unknown = || Unrecognised::Command(call.text.clone());
    Ok(match call.name {
        ":" | "true" => certain(true),
        "false" => certain(false),
        "echo" | "printf" => certain(true),
        "set" => options(call)?,
        "export" | "unset" | "local" | "readonly" => declare(call)?,
        "test" => Done::of(test::test(call.arguments)).into(),
        "[" => match call.arguments.split_last() {
            Some((Some(end), rest)) if end == "]" => Done::of(test::test(rest)).into(),
            _ => return Err(unknown()),
        },
        "command" | "which" | "type" => present(call)?,
        "getent" | "id" => users::ask(call)?,
        "groupadd" => users::groupadd(call)?.into(),
        "useradd" | "adduser" => users::useradd(call)?.into(),
        "usermod" => users::usermod(call)?.into(),
        "gpasswd" => users::gpasswd(call)?.into(),
        "systemd-sysusers" => sysusers(call)?.into(),
        "alternatives" | "update-alternatives" => alternatives(call)?.into(),
        "ldconfig" if call.arguments.is_empty() => Effect::Ldconfig.into(),
        "ldconfig" if matches!(call.literals()?.as_slice(), ["-X"]) => Effect::Ldconfig.into(),
        "iconvconfig" if call.arguments.is_empty() => Effect::IconvCache.into(),
        "update-ca-trust" if matches!(call.literals()?.as_slice(), [] | ["extract"]) => {
            Effect::TrustStore.into()
        }
        "ca-legacy" if call.literals()? == ["install"] => Effect::TrustStore.into(),
        "update-crypto-policies" if matches!(call.literals()?.as_slice(), [] | ["--no-check"]) => {
            nothing(POLICY)
        }
        "rm" => files::remove(call)?.into(),
        "mkdir" => files::make_dir(call)?.into(),
        "ln" => files::link(call)?.into(),
        "systemctl" => systemctl(call)?,
        "systemd-update-helper" => match call.first() {
            Some(
                "install-system-units"
                | "install-user-units"
                | "system-reload-restart"
                | "system-reload"
                | "system-restart"
                | "user-reload-restart"
                | "user-reload"
                | "user-restart"
                | "mark-restart-system-units"
                | "mark-restart-user-units",
            ) => nothing(INIT),
            _ => return Err(unknown()),
        },
        "systemd-tmpfiles" if call.literals()?.contains(&"--create") => nothing(TMPFILES),
        "restorecon" | "fixfiles" | "load_policy" | "selinuxenabled" => nothing(LABELS),
        "install-info"
        | "gtk-update-icon-cache"
        | "update-desktop-database"
        | "update-mime-database"
        | "mandb"
        | "fc-cache"
        | "scrollkeeper-update" => nothing(CACHES),
        // `touch --no-create DIR` is how specs ask for a new icon cache.
        "touch" if call.first() == Some("--no-create") => nothing(CACHES),
        "gio-querymodules" | "gio-querymodules-64" | "gio-querymodules-32" => nothing(GIO),
        "systemd-sysctl" | "sync" => nothing(BOOT),
        // `udevadm hwdb` writes a file.
        "udevadm" if matches!(call.first(), Some("trigger" | "control" | "settle")) => {
            nothing(BOOT)
        }
        _ => return Err(unknown()),
    })
}

/// `set -e` and friends: they change what happens after failures, which are taken not to happen.
fn options(call: &Call<'_>) -> Result<Ran, Unrecognised> {
    let harmless = |word: &&str| {
        word.strip_prefix(['-', '+'])
            .is_some_and(|flags| !flags.is_empty() && flags.bytes().all(|c| b"eux".contains(&c)))
    };
    if call.literals()?.iter().all(harmless) {
        Ok(certain(true))
    } else {
        Err(call.refuse("these options"))
    }
}

/// `export NAME=value`: the value is not tracked.
fn declare(call: &Call<'_>) -> Result<Ran, Unrecognised> {
    let mut forgets = Vec::new();
    for word in call.literals()? {
        let name = word.split('=').next().unwrap_or(word);
        if name == "PATH" || name.starts_with("LD_") || name.starts_with('-') {
            return Err(call.refuse(word));
        }
        forgets.push(name.to_owned());
    }
    Ok(Ran {
        forgets,
        ..certain(true)
    })
}

/// `command -v TOOL`, `which TOOL`, `type TOOL`.
fn present(call: &Call<'_>) -> Result<Ran, Unrecognised> {
    let words = call.literals()?;
    let name = match (call.name, words.as_slice()) {
        ("command", ["-v", name]) | ("which" | "type", [name]) => *name,
        _ => return Err(Unrecognised::Command(call.text.clone())),
    };
    let executable = |path: String| Condition::Path(PathTest::Executable, path);
    if name.starts_with('/') {
        return Ok(asks(executable(name.to_owned())));
    }
    Ok(asks(either(
        executable(format!("/usr/bin/{name}")),
        executable(format!("/usr/sbin/{name}")),
    )))
}

fn systemctl(call: &Call<'_>) -> Result<Ran, Unrecognised> {
    let words = call.literals()?;
    let verb = words.iter().find(|word| !word.starts_with('-'));
    match verb {
        Some(
            &("preset"
            | "daemon-reload"
            | "daemon-reexec"
            | "start"
            | "stop"
            | "restart"
            | "try-restart"
            | "condrestart"
            | "reload"
            | "reload-or-restart"
            | "try-reload-or-restart"
            | "is-active"
            | "is-enabled"
            | "status"),
        ) => Ok(nothing(INIT)),
        // `enable`, `mask` and `set-default` make links in /etc that a system in the image would follow.
        _ => Err(call.refuse(verb.unwrap_or(&"no verb"))),
    }
}

fn sysusers(call: &Call<'_>) -> Result<Effect, Unrecognised> {
    let mut files = Vec::new();
    let mut stdin = false;
    for word in call.literals()? {
        match word {
            "-" => stdin = true,
            // Says which file the lines on stdin stand for, which only matters if /etc overrides it.
            _ if word.starts_with("--replace=") => {}
            _ if word.starts_with('-') => return Err(call.refuse(word)),
            _ => files.push(word.to_owned()),
        }
    }
    match (stdin, call.input, files.is_empty()) {
        (true, Some(lines), true) => Ok(Effect::Sysusers(Sysusers::Lines(lines.to_owned()))),
        (false, None, true) => Ok(Effect::Sysusers(Sysusers::All)),
        (false, None, false) => Ok(Effect::Sysusers(Sysusers::Files(files))),
        _ => Err(call.refuse("this input")),
    }
}

/// `alternatives`: <https://man.archlinux.org/man/alternatives.8> (chkconfig's, as on the Fedora family).
fn alternatives(call: &Call<'_>) -> Result<Effect, Unrecognised> {
    let words = call.literals()?;
    if let ["--remove", name, path] = words.as_slice() {
        return Ok(Effect::AlternativeRemoved {
            name: (*name).to_owned(),
            path: (*path).to_owned(),
        });
    }
    let ["--install", link, name, path, priority, rest @ ..] = words.as_slice() else {
        return Err(call.refuse(&words.join(" ")));
    };
    let mut alternative = Alternative {
        name: (*name).to_owned(),
        link: (*link).to_owned(),
        path: (*path).to_owned(),
        priority: priority.parse().map_err(|_| call.refuse(priority))?,
        followers: Vec::new(),
        family: None,
    };
    let mut rest = rest;
    loop {
        rest = match rest {
            [] => break,
            ["--slave" | "--follower", link, name, path, more @ ..] => {
                alternative.followers.push(Follower {
                    name: (*name).to_owned(),
                    link: (*link).to_owned(),
                    path: (*path).to_owned(),
                });
                more
            }
            ["--family", family, more @ ..] => {
                alternative.family = Some((*family).to_owned());
                more
            }
            [other, ..] => return Err(call.refuse(other)),
        };
    }
    let names =
        std::iter::once(&alternative.name).chain(alternative.followers.iter().map(|f| &f.name));
    let links = [&alternative.link, &alternative.path].into_iter();
    let paths = links.chain(
        alternative
            .followers
            .iter()
            .flat_map(|f| [&f.link, &f.path]),
    );
    let is_name = |name: &String| !name.is_empty() && !name.contains('/') && !name.starts_with('.');
    if names.into_iter().all(is_name) && paths.into_iter().all(|path| files::is_absolute(path)) {
        Ok(Effect::Alternative(alternative))
    } else {
        Err(call.refuse("names or paths that are not"))
    }
}
