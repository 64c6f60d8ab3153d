"""The document root that plays https://cdn.amazonlinux.com/: snapshots, mirror lists, content-addressed packages."""

import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

from arch import EPOCH
from signing import Keyring, public_key
from table.system import BASE_RELEASE, LATEST_RELEASE

HOST = 'https://cdn.amazonlinux.com'
RELEASES = (BASE_RELEASE, LATEST_RELEASE)

_UPDATEINFO = f'''<?xml version="1.0" encoding="UTF-8"?>
<updates><update author="linux-security@amazon.com" from="linux-security@amazon.com" status="final" type="security"
version="1.4"><id>ALAS2023-2026-0001</id><title>Stand-in advisory</title><issued date="2026-08-31 00:00"/>
<severity>low</severity><description>Stand-in advisory without packages.</description>
<pkglist><collection short="amazon-linux-2023---standin"><name>Stand-in {BASE_RELEASE}</name></collection></pkglist>
</update></updates>
'''


def publish(built, www):
    """Writes `www` anew from {arch: its RPMs}; the old one stays in place until the new one is whole."""
    fresh = www.with_name(www.name + '.new')
    shutil.rmtree(fresh, ignore_errors=True)
    blobs = fresh / 'al2023/blobstore'
    with Keyring() as keyring:
        for arch, rpms in built.items():
            places = [(rpm, _store(rpm.path, blobs)) for rpm in rpms]
            for release in RELEASES:
                chosen = sorted({place for rpm, place in places if rpm.since == 'base' or release == LATEST_RELEASE})
                guid = _snapshot(arch, release, chosen, blobs, fresh, keyring)
                for name in {release} | ({'latest'} if release == LATEST_RELEASE else set()):
                    _mirror_list(fresh, name, arch, guid)
    _release_list(fresh)
    key = fresh / '_assets/5D9CE0F5948D904E.asc'
    key.parent.mkdir()
    shutil.copy(public_key('amazon-linux'), key)
    old = www.with_name(www.name + '.old')
    if www.exists():
        www.rename(old)
    fresh.rename(www)
    shutil.rmtree(old, ignore_errors=True)


def _store(rpm, blobs):
    """Puts an RPM under its SHA-256, as AL2023's blobstore does. Returns its path there."""
    place = f'{hashlib.sha256(rpm.read_bytes()).hexdigest()}/{rpm.name}'
    to = blobs / place
    if not to.exists():
        to.parent.mkdir(parents=True)
        os.utime(rpm, (EPOCH, EPOCH))       # primary.xml tells the file's time
        os.link(rpm, to)
    return place


def _snapshot(arch, release, places, blobs, www, keyring):
    """Makes one immutable repository folder and returns its 64-digit name."""
    top = www / f'al2023/core/guids/{arch.rpm}-{release}'
    top.mkdir(parents=True)
    listing = top / 'list'
    listing.write_text('\n'.join(places))
    # As on AL2023: plain file names, gzip, no SQLite, and hrefs that climb out of the folder to the blobstore.
    subprocess.run(['createrepo_c', '--quiet', '--no-database', '--simple-md-filenames', '--checksum', 'sha256',
                    '--revision', str(EPOCH), '--set-timestamp-to-revision', '--workers', '2',
                    '--location-prefix', '../../../../blobstore/', '--pkglist', str(listing),
                    '--outputdir', str(top), str(blobs)],
                   check=True, env=dict(os.environ, SOURCE_DATE_EPOCH=str(EPOCH)))
    listing.unlink()
    (top / 'updateinfo.xml').write_text(_UPDATEINFO)
    os.utime(top / 'updateinfo.xml', (EPOCH, EPOCH))
    subprocess.run(['modifyrepo_c', '--simple-md-filenames', '--compress-type', 'gz', str(top / 'updateinfo.xml'),
                    str(top / 'repodata')], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    (top / 'updateinfo.xml').unlink()
    repomd = top / 'repodata/repomd.xml'
    # modifyrepo_c notes when it ran.
    repomd.write_text(re.sub(r'<timestamp>\d+', f'<timestamp>{EPOCH}', repomd.read_text()))
    guid = hashlib.sha256(repomd.read_bytes()).hexdigest()
    keyring.detached('amazon-linux', str(repomd))
    final = www / f'al2023/core/guids/{guid}/{arch.rpm}'
    final.parent.mkdir()
    top.rename(final)
    return guid


def _mirror_list(www, release, arch, guid):
    path = www / f'al2023/core/mirrors/{release}/{arch.rpm}/mirror.list'
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{HOST}/al2023/core/guids/{guid}/{arch.rpm}/')      # one URL, no newline: AL2023's habit


def _release_list(www):
    releases = ''.join(f'<release version="{r}"/>' for r in RELEASES)
    (www / 'al2023/core/releasemd.xml').write_text(
        f"<?xml version='1.0' encoding='utf-8'?>\n<root><releases>{releases}</releases></root>\n")
