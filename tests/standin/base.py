"""The base image's one layer: the base packages installed by real rpm into a root, packed as a tar.

Runs as its own process, `base.py ARCH OUT RPM…`, so that an ordinary user can have it inside a user namespace.
Writes OUT/layer.tar.gz and OUT/diff_id.
"""

import gzip
import hashlib
import io
import os
import platform
import sqlite3
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from arch import ARCHES, EPOCH
from signing import public_key

_BUNDLE = 'etc/pki/ca-trust/extracted'


def install(root, arch, rpms, home):
    """Installs without scriptlets: they would need the other architecture emulated, and leave host traces."""
    env = {'PATH': os.environ['PATH'], 'HOME': home, 'SOURCE_DATE_EPOCH': str(EPOCH), 'LC_ALL': 'C.UTF-8', 'TZ': 'UTC'}
    rpm = ['rpm', '--root', str(root), '--dbpath', '/var/lib/rpm', '--define', '_db_backend sqlite']
    run(*rpm, '--import', str(public_key('amazon-linux')), env=env)
    # _pkgverify_level all: an unsigned or damaged RPM must not get in.
    run(*rpm, '--define', '_pkgverify_level all', '-i', '--noscripts', '--notriggers', '--ignorearch', '--excludedocs',
        *rpms, env=env)


def run_scriptlets_by_hand(root, arch):
    """Leaves what the base packages' scriptlets and file triggers would have: certificates, shells, ld.so.cache."""
    pem = (root / 'usr/share/pki/ca-trust-source/ca-bundle.pem').read_bytes()
    for name in ('pem/tls-ca-bundle.pem', 'pem/email-ca-bundle.pem', 'openssl/ca-bundle.trust.crt'):
        path = root / _BUNDLE / name
        path.write_bytes(pem)
        path.chmod(0o444)
    with open(root / 'etc/shells', 'a') as f:
        f.write('/bin/bash\n')
    # The one foreign program: ldconfig is static and only reads ELF headers, 0.3 s under emulation.
    emulator = [] if arch.rpm == platform.machine() else [f'qemu-{arch.rpm}-static']
    run(*emulator, str(root / 'usr/sbin/ldconfig'), '-r', str(root))


def settle(root):
    """Removes what only a running system needs, and leaves the rpmdb in one file, in WAL mode as AL2023's is."""
    db = root / 'var/lib/rpm/rpmdb.sqlite'
    with sqlite3.connect(db) as connection:
        connection.execute('PRAGMA wal_checkpoint(TRUNCATE)')
    connection.close()
    for name in ('var/lib/rpm/rpmdb.sqlite-shm', 'var/lib/rpm/rpmdb.sqlite-wal', 'var/lib/rpm/.rpm.lock',
                 'var/cache/ldconfig/aux-cache'):
        (root / name).unlink(missing_ok=True)
    header = db.read_bytes()[:20]
    if header[18:20] != b'\2\2':
        raise SystemExit('standin: the rpmdb is not in WAL mode')


def pack(root):
    """Returns the tar of `root`: sorted, everything root's, no time after EPOCH."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode='w', format=tarfile.PAX_FORMAT) as tar:
        for path in walk(root):
            info = tar.gettarinfo(path, arcname=os.path.relpath(path, root))
            info.mtime = min(int(os.lstat(path).st_mtime), EPOCH)
            info.uid = info.gid = 0
            info.uname = info.gname = ''
            if info.isreg():
                with open(path, 'rb') as f:
                    tar.addfile(info, f)
            else:
                tar.addfile(info)
    return out.getvalue()


def walk(folder):
    for name in sorted(os.listdir(folder)):
        path = os.path.join(folder, name)
        yield path
        if os.path.isdir(path) and not os.path.islink(path):
            yield from walk(path)


def run(*command, env=None):
    done = subprocess.run(command, env=env, text=True, capture_output=True)
    if done.returncode:
        raise SystemExit(f'standin: {command[0]} failed:\n{done.stderr[-4000:]}')


def main(arch_name, out, *rpms):
    arch = ARCHES[arch_name]
    os.umask(0o022)     # rpm makes the database's files by it
    with tempfile.TemporaryDirectory(prefix='standin-base-') as scratch:
        root = Path(scratch, 'root')
        root.mkdir()
        install(root, arch, rpms, scratch)
        run_scriptlets_by_hand(root, arch)
        settle(root)
        raw = pack(root)
        # Directories without write permission would stop an ordinary user's cleaning up.
        run('chmod', '-R', 'u+w', str(root))
    Path(out, 'layer.tar.gz').write_bytes(gzip.compress(raw, 6, mtime=0))
    Path(out, 'diff_id').write_text('sha256:' + hashlib.sha256(raw).hexdigest())


if __name__ == '__main__':
    main(*sys.argv[1:])
