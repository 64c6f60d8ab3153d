"""A package's files before rpmbuild sees them: path -> Entry, under AL2023's paths instead of Debian's."""

import io
import posixpath
import re
import subprocess
import tarfile
from dataclasses import dataclass

from arch import EPOCH

# Directories that belong to `filesystem` alone.
DIRECTORIES = {d: 0o755 for d in '''/boot /dev /etc /etc/X11 /etc/opt /etc/pki /etc/profile.d /etc/skel /etc/sysconfig
    /etc/xdg /etc/init.d /etc/default /etc/pam.d /etc/security /etc/ssl /etc/logrotate.d /home /media /mnt /opt /proc
    /root /run /run/lock /srv /sys /tmp /usr /usr/bin /usr/games /usr/include /usr/lib /usr/lib/games /usr/lib/debug
    /usr/lib/sysusers.d /usr/lib/tmpfiles.d /usr/lib/systemd /usr/lib/systemd/system /usr/lib/modules /usr/lib/locale
    /usr/lib64 /usr/lib64/pkgconfig /usr/libexec /usr/local /usr/local/bin /usr/local/etc /usr/local/include
    /usr/local/lib /usr/local/lib64 /usr/local/sbin /usr/local/share /usr/local/src /usr/sbin /usr/share
    /usr/share/applications /usr/share/doc /usr/share/licenses /usr/share/info /usr/share/man /usr/share/misc
    /usr/share/pki /usr/share/aclocal /usr/share/pixmaps /usr/share/gdb /usr/share/gdb/auto-load /usr/share/zsh
    /usr/share/bash-completion /usr/src /var /var/cache /var/db /var/empty /var/lib /var/lib/misc /var/lib/rpm
    /var/local /var/log /var/nis /var/opt /var/spool /var/spool/mail /var/tmp /var/www'''.split()}
DIRECTORIES |= {'/tmp': 0o1777, '/var/tmp': 0o1777, '/root': 0o550, '/usr/bin': 0o555, '/usr/lib': 0o555,
                '/usr/lib64': 0o555, '/usr/sbin': 0o555, '/boot': 0o555, '/proc': 0o555, '/sys': 0o555,
                '/var/spool/mail': 0o775}

LINKS = {'/bin': 'usr/bin', '/sbin': 'usr/sbin', '/lib': 'usr/lib', '/lib64': 'usr/lib64',
         '/var/lock': '../run/lock', '/var/run': '../run', '/usr/tmp': '../var/tmp'}

# Debian's own ways, translations and documentation: not wanted in a stand-in.
_DROPPED = re.compile(
    r'^/usr/share/(man|info|lintian|bug|locale|doc-base|menu|bash-completion|zsh|reportbug|debianutils|binfmts|gdb'
    r'|perl5/Debconf|apport|applications|pixmaps|vim|emacs|nginx/html/.*debian|polkit-1|debconf)/'
    r'|^/usr/share/doc/(?!.*/copyright$)|^/usr/lib/binfmt|^/usr/lib/debug/|/\.build-id/'
    r'|^/etc/(init.d|ufw|apport|bash_completion|cron|dpkg|apt|update-motd)|^/lib/systemd/system/.*@')


def filesystem_links(arch):
    """Returns LINKS and those that let Debian's ld.so, gcc and Python find their files in /usr/lib64."""
    return LINKS | {f'/usr/lib/{arch.triplet}': '../lib64', f'/usr/include/{arch.triplet}': '.'}


@dataclass
class Entry:
    kind: str               # 'file', 'dir', 'link' or 'hard'
    data: bytes = b''
    mode: int = 0o644
    mtime: int = EPOCH
    target: str = ''


def file(data, mode=0o644, mtime=EPOCH):
    return Entry('file', data.encode() if isinstance(data, str) else data, mode, mtime)


def directory(mode=0o755):
    return Entry('dir', mode=mode)


def link(target):
    return Entry('link', mode=0o777, target=target)


def hard(target):
    return Entry('hard', target=target)


def al2023_path(path, arch):
    """Maps a Debian path to AL2023's: /usr merged, multiarch folders gone."""
    path = re.sub(r'^/(bin|sbin|lib|lib64)/', r'/usr/\1/', path)
    path = re.sub(rf'^/usr/lib/{arch.triplet}/', '/usr/lib64/', path)
    return re.sub(rf'^/usr/include/{arch.triplet}/', '/usr/include/', path)


def read_deb(deb, arch, entries):
    """Adds the files and links of a Debian package to `entries`; directories come from rpmbuild's own listing."""
    raw = subprocess.run(['dpkg-deb', '--fsys-tarfile', deb], stdout=subprocess.PIPE, check=True).stdout
    with tarfile.open(fileobj=io.BytesIO(raw)) as tar:
        for member in tar:
            original = '/' + member.name.removeprefix('./').strip('/')
            if member.isdir() or _DROPPED.search(original):
                continue
            path = al2023_path(original, arch)
            # rpmbuild would do so anyway, but bytecode holds its source's time.
            mtime = min(int(member.mtime), EPOCH)
            if member.issym():
                target = posixpath.normpath(posixpath.join(posixpath.dirname(original), member.linkname))
                target = al2023_path(target, arch)
                if target == path:
                    continue        # joined by the /usr merge
                if not member.linkname.startswith('/'):
                    target = posixpath.relpath(target, posixpath.dirname(path))
                entries[path] = Entry('link', mode=0o777, mtime=mtime, target=target)
            elif member.islnk():
                target = al2023_path('/' + member.linkname.removeprefix('./'), arch)
                entries[path] = Entry('hard', mode=member.mode, mtime=mtime, target=target)
            elif member.isreg():
                data = tar.extractfile(member).read()
                entries[path] = Entry('file', data, member.mode & 0o7777, mtime)


def version_of(deb):
    """Returns (version, release) in AL2023's form for a Debian file name: `libc6_2.36-9+deb12u10_amd64.deb`."""
    text = re.sub(r'^\d+(%3a|:)', '', deb.rsplit('/', 1)[-1].split('_')[1])
    upstream, _, revision = text.rpartition('-') if '-' in text else (text, '', '1')
    upstream = re.sub(r'[.+](dfsg|ds|really|git).*|~deb.*|\+deb.*', '', upstream)
    upstream = re.sub(r'[^A-Za-z0-9._+~^]', '.', upstream)
    number = re.match(r'\d+', revision)
    update = re.search(r'deb12u(\d+)', text)
    return upstream, f'{number.group() if number else 1}.amzn2023.0.{update.group(1) if update else 1}'


def link_duplicates(entries):
    """Turns files of equal content into hard links to the first, as rpm's own builds do for tzdata and perl."""
    first = {}
    for path in sorted(entries):
        entry = entries[path]
        if entry.kind == 'file' and len(entry.data) > 64:
            kept = first.setdefault(entry.data, path)
            if kept != path:
                entries[path] = Entry('hard', mode=entry.mode, mtime=entry.mtime, target=kept)
