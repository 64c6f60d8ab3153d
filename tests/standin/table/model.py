"""The words the package tables are written in: a Source becomes some Packages, in one or more Builds."""

from dataclasses import dataclass, field, replace

# Left for rpmbuild to expand, inside one source.
EVR = '%{version}-%{release}'
ISA = '%{?_isa}'


@dataclass(frozen=True)
class Package:
    """One binary RPM. It claims, in table order, the files of its source that match `files`.

    A dependency may end in ` [x86_64]` or ` [aarch64]`: it is then left out on the other architecture.
    `{EVR}` and `{ISA}` are not expanded here: use the constants above in f-strings.
    """
    name: str
    files: tuple = ('.',)           # regular expressions, searched in the final path
    arch: str = ''                  # 'noarch', or the build's own
    only: str = ''                  # made for this architecture alone
    base: bool = False              # installed in the base image
    also: tuple = ()                # files to take although another package of the source has them
    links: tuple = ()               # (path, target) symlinks to add
    # dependencies
    provides: tuple = ()
    requires: tuple = ()
    requires_pre: tuple = ()
    requires_post: tuple = ()
    conflicts: tuple = ()
    obsoletes: tuple = ()
    recommends: tuple = ()
    suggests: tuple = ()
    supplements: tuple = ()
    enhances: tuple = ()
    # how files are listed
    marks: dict = field(default_factory=dict)       # regular expression -> %config, %verify…
    attrs: dict = field(default_factory=dict)       # regular expression -> (mode, user, group)
    caps: dict = field(default_factory=dict)        # regular expression -> capabilities
    ghost: tuple = ()
    doc: tuple = ()
    license: tuple = ()
    devices: tuple = ()                             # (path, 'c' or 'b', major, minor)
    # scriptlets: section line after the `%`, e.g. 'post' or 'post -p <lua>' -> body
    scripts: dict = field(default_factory=dict)
    triggers: dict = field(default_factory=dict)    # package -> body of %triggerin


@dataclass(frozen=True)
class Build:
    """A further build of a source, beside the newest one of the base's release: the repository is cumulative."""
    release: str
    version: str = ''
    epoch: int | None = None
    only: tuple = ()                # packages to keep; empty: all
    since: str = 'base'             # 'base', or 'latest': published only after the base was made


@dataclass(frozen=True)
class Source:
    """One source package: the Debian packages it is made from, and the RPMs that come out."""
    name: str
    packages: tuple
    debs: tuple = ()                # `name` or `name [amd64]`; the first gives the version
    version: str = ''               # overrides Debian's
    release: str = ''
    epoch: int | None = None
    contents: str = ''              # function of contents.py that edits the files
    relocate: tuple = ()            # (regular expression, replacement) on paths
    hardlink: bool = False          # equal files become hard links
    automatic: bool = True          # rpmbuild's own Provides and Requires
    payload: str = 'w3.zstdio'      # level 3: as AL2023's zstd, but quick to make
    signer: str = 'amazon-linux'    # a key of keys/, or '' to leave it unsigned
    builds: tuple = ()

    @property
    def noarch(self):
        return all(p.arch == 'noarch' for p in self.packages)

    def variants(self):
        """Yields (build or None for the main one, source as that build makes it)."""
        yield None, self
        for b in self.builds:
            kept = tuple(p for p in self.packages if not b.only or p.name in b.only)
            yield b, replace(self, packages=kept, release=b.release, version=b.version or self.version,
                             epoch=b.epoch if b.epoch is not None else self.epoch)


def P(name, *files, **fields):
    """A Package; `config=True` marks everything under /etc as %config(noreplace)."""
    if fields.pop('config', False):
        fields['marks'] = {'^/etc/': '%config(noreplace)'}
    if files:
        fields['files'] = files
    return Package(name, **fields)


def empty(name, **fields):
    """A package without files: only its dependencies matter."""
    return Package(name, files=(), arch='noarch', **fields)


def library(name, *debs, base=True, **fields):
    """A source with one package holding all its Debian packages' files."""
    return Source(name, (P(name, base=base, config=True),), debs=debs, **fields)
