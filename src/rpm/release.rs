//! Which release a base is of: the value of `$releasever`, from its own rpm database.

use super::header::Header;
use super::tag;

/// The capabilities that dnf looks for, best first; with `(releasever)` their own version counts, else the package's.
///
/// `DISTROVERPKG` of <https://github.com/rpm-software-management/dnf/blob/master/dnf/const.py.in>
const RELEASE_PROVIDES: [&str; 6] = [
    "system-release(releasever)",
    "system-release",
    "distribution-release(releasever)",
    "distribution-release",
    "redhat-release",
    "suse-release",
];

/// Returns the release that the installed packages are of.
///
/// A package that is itself called `system-release` tells it by its version: on Amazon Linux 2023 that is the dated
/// release (`2023.12.20260831`) whose repositories never change. Elsewhere it is what dnf would tell.
/// <https://docs.aws.amazon.com/linux/al2023/ug/barebones-containers.html>
#[must_use]
pub fn release_version(installed: &[Header]) -> Option<String> {
    let own = installed
        .iter()
        .find(|header| header.string(tag::NAME) == Some("system-release"));
    if let Some(version) = own.and_then(|header| header.string(tag::VERSION)) {
        return Some(version.to_owned());
    }
    RELEASE_PROVIDES.iter().find_map(|wanted| {
        installed.iter().find_map(|header| {
            let names = header.strings(tag::PROVIDENAME);
            let at = names.iter().position(|name| *name == wanted.as_bytes())?;
            let version = if wanted.ends_with("(releasever)") {
                let versions = header.strings(tag::PROVIDEVERSION);
                let version = String::from_utf8_lossy(versions.get(at)?).into_owned();
                // The release of a package has no part in it.
                version.split('-').next().map(str::to_owned)
            } else {
                header.string(tag::VERSION).map(str::to_owned)
            };
            version.filter(|version| !version.is_empty())
        })
    })
}
