"""Debian packages of either architecture, downloaded through a private apt root: the host's dpkg state is untouched."""

import json
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path


def wanted(sources, arch):
    """Returns the names of the Debian packages that `sources` are made from on `arch`, sorted."""
    return sorted({name for s in sources for name in names(s, arch)})


def names(source, arch):
    """Returns a source's Debian packages on `arch`: `libquadmath0 [amd64]` is left out on arm64."""
    parts = [re.fullmatch(r'(\S+)(?: \[(\w+)\])?', d).groups() for d in source.debs]
    return [name for name, only in parts if only in (None, arch.deb)]


def download(sources, arch, cache, refresh=False):
    """Returns {Debian package: path of its .deb}; asks apt only when one is missing, or to `refresh`."""
    folder = cache / 'debs' / arch.deb
    folder.mkdir(parents=True, exist_ok=True)
    manifest = folder / 'manifest.json'
    known = json.loads(manifest.read_text()) if manifest.exists() else {}
    need = wanted(sources, arch)
    if refresh or any(not (folder / known.get(name, '?')).exists() for name in need):
        known = _download(need, arch, cache / 'apt' / arch.deb, folder)
        manifest.write_text(json.dumps(known, indent=1, sort_keys=True))
    return {name: folder / known[name] for name in need}


def _download(need, arch, root, folder):
    env = dict(os.environ, APT_CONFIG=str(_private_root(arch, root)), LC_ALL='C.UTF-8')

    def apt(*args):
        done = subprocess.run(['apt-get', '-qq', *args], cwd=folder, env=env, text=True, capture_output=True)
        if done.returncode:
            raise SystemExit(f'standin: apt-get {args[0]} for {arch.deb} failed:\n{done.stderr}')
        return done.stdout

    apt('update')
    # One line per package: 'URI' file size hash
    files = [shlex.split(line)[1] for line in apt('--print-uris', 'download', *need).splitlines()]
    apt('download', *need)
    shutil.rmtree(root)     # 50 MB of package lists
    for old in set(p.name for p in folder.glob('*.deb')) - set(files):
        (folder / old).unlink()
    return {name.split('_')[0]: name for name in files}


def _private_root(arch, root):
    for part in ('etc', 'state/lists/partial', 'cache/archives/partial'):
        (root / part).mkdir(parents=True, exist_ok=True)
    (root / 'state/status').touch()
    # The host's sources, keys and network settings, but none of its hooks.
    dump = subprocess.run(['apt-config', 'dump'], text=True, capture_output=True, check=True).stdout
    network = [line for line in dump.splitlines() if line.startswith('Acquire::')]
    config = root / 'apt.conf'
    config.write_text('\n'.join([
        f'Dir::Etc::parts "{root}/etc";', f'Dir::Etc::main "{root}/etc/none";',
        'Dir::Etc::sourcelist "/etc/apt/sources.list";', 'Dir::Etc::sourceparts "/etc/apt/sources.list.d";',
        f'Dir::State "{root}/state";', f'Dir::State::status "{root}/state/status";', f'Dir::Cache "{root}/cache";',
        f'APT::Architecture "{arch.deb}";', 'APT::Architectures { "%s"; };' % arch.deb,
        'APT::Sandbox::User "root";', 'Acquire::Languages "none";', *network, '']))
    return config


def check_host():
    """Stops early where Debian 12's packages cannot be had."""
    release = Path('/etc/os-release').read_text()
    if 'VERSION_CODENAME=bookworm' not in release:
        raise SystemExit('standin: needs Debian 12 (bookworm): its packages become the stand-in\'s RPMs')
