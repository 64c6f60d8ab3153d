"""Sources to signed RPMs, two at a time, cached by everything that decides their bytes."""

import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import contents
import debian
import entries as tree
import spec
from signing import Keyring

HERE = Path(__file__).parent
_CODE = ('arch.py', 'build.py', 'entries.py', 'signing.py', 'spec.py', 'keys/amazon-linux.secret.asc',
         'keys/other.secret.asc')
_CONTENTS = ('contents.py', 'bytecode.py', 'alternatives.sh', 'keys/amazon-linux.public.asc')


@dataclass(frozen=True)
class Built:
    """One RPM of the cache."""
    path: Path
    name: str
    since: str      # 'base' or 'latest': the first release whose repository has it
    base: bool      # installed in the base image


def build_all(sources, arch, debs, cache, jobs=2):
    """Returns every RPM of `sources` for `arch`, building those that the cache lacks."""
    work = [(variant, build) for source in sources for build, variant in source.variants()]
    # The slowest first, so that two workers end together.
    slow = ('glibc', 'gcc', 'python3.11', 'perl', 'git', 'binutils')
    work.sort(key=lambda w: slow.index(w[0].name) if w[0].name in slow else len(slow))
    with Keyring() as keyring, ThreadPoolExecutor(jobs) as pool:
        folders = list(pool.map(lambda w: _cached(w[0], arch, debs, cache, keyring), work))
    rpms = []
    for (variant, build), folder in zip(work, folders):
        for package in spec.packages_for(variant, arch):
            found = [p for p in folder.glob(f'{package.name}-*.rpm')
                     if p.name.rsplit('-', 2)[0] == package.name]
            if len(found) != 1:
                raise SystemExit(f'standin: {variant.name}: {len(found)} RPMs named {package.name} in {folder}')
            rpms.append(Built(found[0], package.name, build.since if build else 'base',
                              package.base and not build))
    return sorted(rpms, key=lambda r: r.path.name)


def _digest(paths):
    return hashlib.sha256(b''.join((HERE / p).read_bytes() for p in paths)).hexdigest()


def _cached(source, arch, debs, cache, keyring):
    mine = [debs[n] for n in debian.names(source, arch)]
    # A noarch source is built once: both architectures then publish the same bytes, as AL2023 does.
    key = hashlib.sha256('\n'.join([
        repr(source), 'noarch' if source.noarch else arch.rpm, *(d.name for d in mine), _digest(_CODE),
        _digest(_CONTENTS) if source.contents else '']).encode()).hexdigest()
    folder = cache / 'rpms' / f'{source.name}-{key[:16]}'
    if not folder.exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache, prefix='build-') as top:
            rpms = _build(source, arch, mine, top)
            if source.signer:
                keyring.sign(source.signer, rpms)
            done = Path(top, 'done')
            done.mkdir()
            for rpm in rpms:
                shutil.move(rpm, done)
            done.rename(folder)
    return folder


def _build(source, arch, debs, top):
    found = {}
    for deb in debs:
        tree.read_deb(deb, arch, found)
    version, release = tree.version_of(str(debs[0])) if debs else ('', '')
    version, release = source.version or version, source.release or release
    if source.contents:
        getattr(contents, source.contents)(found, arch, version)
    for pattern, replacement in source.relocate:
        found = {re.sub(pattern, replacement, path): e for path, e in found.items()}
    documents = {path: found.pop(path) for path in list(found) if path.startswith('/usr/share/doc/')}
    licence = b'\n'.join(e.data for _, e in sorted(documents.items()) if e.kind == 'file')[:40000]
    if source.hardlink:
        tree.link_duplicates(found)

    path = spec.write(source, arch, version, release, found, licence, top)
    defines = spec.RPMBUILD_DEFINES | {'_topdir': top, '_rpmdir': f'{top}/rpms', '_dbpath': f'{top}/nodb',
                                       '_binary_payload': source.payload}
    command = ['rpmbuild', '-bb', '--quiet', '--nodeps', '--target',
               f'{"x86_64" if source.noarch else arch.rpm}-amazon-linux']     # either target would do: one, for one result
    for name, value in defines.items():
        command += ['--define', f'{name} {value}']
    # HOME: no ~/.rpmmacros of the caller may reach the bytes.
    env = {**os.environ, **spec.ENVIRONMENT, 'HOME': top}
    done = subprocess.run([*command, path], env=env, text=True, errors='replace', capture_output=True)
    if done.returncode:
        raise SystemExit(f'standin: rpmbuild of {source.name} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}')
    return sorted(str(p) for p in Path(top, 'rpms').rglob('*.rpm'))
