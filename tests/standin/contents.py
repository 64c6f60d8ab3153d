"""What no Debian package holds: each function edits one source's entries, named by the table's `contents`."""

import posixpath
from pathlib import Path

from bytecode import compiled
from entries import DIRECTORIES, directory, file, filesystem_links, hard, link

HERE = Path(__file__).parent
MIRRORLIST = 'https://cdn.amazonlinux.com/al2023/core/mirrors/$releasever/$basearch/mirror.list'
KEY_PATH = '/etc/pki/rpm-gpg/RPM-GPG-KEY-amazon-linux-2023'


def system_release(e, arch, version):
    e['/usr/lib/os-release'] = file(
        'NAME="Amazon Linux"\nVERSION="2023"\nID="amzn"\nID_LIKE="fedora"\nVERSION_ID="2023"\n'
        f'PLATFORM_ID="platform:al2023"\nPRETTY_NAME="Amazon Linux {version} (stand-in)"\nANSI_COLOR="0;33"\n'
        'CPE_NAME="cpe:2.3:o:amazon:amazon_linux:2023"\nHOME_URL="https://aws.amazon.com/linux/amazon-linux-2023/"\n'
        'VENDOR_NAME="AWS"\nVENDOR_URL="https://aws.amazon.com/"\nSUPPORT_END="2029-06-30"\n')
    e['/etc/os-release'] = link('../usr/lib/os-release')
    e['/etc/system-release'] = file('Amazon Linux release 2023 (Amazon Linux)\n')
    e['/etc/amazon-linux-release'] = link('system-release')
    e['/etc/system-release-cpe'] = file('cpe:2.3:o:amazon:amazon_linux:2023\n')
    e['/usr/lib/rpm/macros.d/macros.dist'] = file('%amzn 2023\n%dist .amzn2023\n')


def repository_file(e, arch, version):
    e['/etc/yum.repos.d/amazonlinux.repo'] = file(
        f'[amazonlinux]\nname=Amazon Linux 2023 repository\nmirrorlist={MIRRORLIST}\npriority=10\nenabled=1\n'
        f'repo_gpgcheck=0\ntype=rpm\ngpgcheck=1\ngpgkey=file://{KEY_PATH}\n'
        '\n[amazonlinux-source]\nname=Amazon Linux 2023 repository - Source packages\n'
        'mirrorlist=https://cdn.amazonlinux.com/al2023/core/mirrors/$releasever/SRPMS/mirror.list\n'
        f'enabled=0\nrepo_gpgcheck=0\ntype=rpm\ngpgcheck=1\ngpgkey=file://{KEY_PATH}\n')
    e[KEY_PATH] = file((HERE / 'keys/amazon-linux.public.asc').read_bytes())


def setup(e, arch, version):
    e['/etc/passwd'] = file(
        'root:x:0:0:root:/root:/bin/bash\nbin:x:1:1:bin:/bin:/sbin/nologin\ndaemon:x:2:2:daemon:/sbin:/sbin/nologin\n'
        'adm:x:3:4:adm:/var/adm:/sbin/nologin\nlp:x:4:7:lp:/var/spool/lpd:/sbin/nologin\n'
        'mail:x:8:12:mail:/var/spool/mail:/sbin/nologin\n'
        'nobody:x:65534:65534:Kernel Overflow User:/:/sbin/nologin\n')
    e['/etc/group'] = file(
        'root:x:0:\nbin:x:1:\ndaemon:x:2:\nsys:x:3:\nadm:x:4:\ntty:x:5:\ndisk:x:6:\nlp:x:7:\nmem:x:8:\nkmem:x:9:\n'
        'wheel:x:10:\nmail:x:12:\nutmp:x:22:\nnobody:x:65534:\n')
    e['/etc/shadow'] = file(''.join(f'{u}:*:19500:0:99999:7:::\n' for u in
                                    ('root', 'bin', 'daemon', 'adm', 'lp', 'mail', 'nobody')), 0)
    e['/etc/gshadow'] = file(''.join(f'{g}:::\n' for g in
                                     ('root', 'bin', 'daemon', 'sys', 'adm', 'tty', 'disk', 'lp', 'mem', 'kmem',
                                      'wheel', 'mail', 'utmp', 'nobody')), 0)
    e['/etc/hosts'] = file('127.0.0.1 localhost\n')
    e['/etc/services'] = file('http 80/tcp\nhttps 443/tcp\n')
    e['/etc/protocols'] = file('tcp 6 TCP\n')
    e['/etc/profile'] = file('export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin\n')
    e['/etc/bashrc'] = file('# bashrc\n')
    e['/etc/shells'] = file('/bin/sh\n')
    e['/etc/host.conf'] = file('multi on\n')
    e['/etc/environment'] = file('')
    e['/etc/nsswitch.conf'] = file('passwd: files\ngroup: files\nhosts: files dns\n')


def filesystem(e, arch, version):
    e.update((path, directory(mode)) for path, mode in DIRECTORIES.items())
    e.update((path, link(target)) for path, target in filesystem_links(arch).items())


def crypto_policies(e, arch, version):
    policy = '/usr/share/crypto-policies/DEFAULT/opensslcnf.txt'
    e['/etc/crypto-policies/config'] = file('DEFAULT\n')
    e[policy] = file('CipherString = DEFAULT\n')
    e['/etc/crypto-policies/back-ends/opensslcnf.config'] = link(policy)


UPDATE_CA_TRUST = '''#!/bin/sh
# Stand-in for `trust extract`: joins the sources into bundles.
set -e
to=/etc/pki/ca-trust/extracted
mkdir -p $to/pem $to/openssl
cat /usr/share/pki/ca-trust-source/*.pem /usr/share/pki/ca-trust-source/anchors/* \\
    /etc/pki/ca-trust/source/anchors/* 2>/dev/null >$to/pem/tls-ca-bundle.pem || :
cp $to/pem/tls-ca-bundle.pem $to/pem/email-ca-bundle.pem
cp $to/pem/tls-ca-bundle.pem $to/openssl/ca-bundle.trust.crt
chmod 0444 $to/pem/*.pem $to/openssl/*
'''


def ca_certificates(e, arch, version):
    pem = b''.join(b'# %s\n%s\n' % (posixpath.basename(p).encode(), e[p].data)
                   for p in sorted(e) if p.startswith('/usr/share/ca-certificates/mozilla/'))
    for path in [p for p in e if not p.startswith('/usr/share/doc')]:
        del e[path]
    e['/usr/share/pki/ca-trust-source/ca-bundle.pem'] = file(pem)
    e['/usr/bin/update-ca-trust'] = file(UPDATE_CA_TRUST, 0o755)
    for path in ('/etc/pki/ca-trust/extracted/pem', '/etc/pki/ca-trust/extracted/openssl',
                 '/etc/pki/ca-trust/source/anchors', '/usr/share/pki/ca-trust-source/anchors', '/etc/pki/tls/certs'):
        e[path] = directory()
    bundle = '/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem'
    e['/etc/pki/tls/cert.pem'] = link(bundle)
    e['/etc/pki/tls/certs/ca-bundle.crt'] = link(bundle)
    e['/etc/pki/tls/certs/ca-certificates.crt'] = link('ca-bundle.crt')
    e['/etc/ssl/certs'] = link('../pki/tls/certs')      # Debian's libraries look there


def alternatives(e, arch, version):
    e['/etc/alternatives'] = e['/var/lib/alternatives'] = directory()
    e['/usr/sbin/alternatives'] = file((HERE / 'alternatives.sh').read_bytes(), 0o755)
    e['/usr/sbin/update-alternatives'] = link('alternatives')


def rpm_macros(e, arch, version):
    # Debian's rpm would look in ~/.rpmdb.
    e['/etc/rpm/macros.amzn'] = file('%_dbpath /var/lib/rpm\n%_db_backend sqlite\n')


def rpm_config(e, arch, version):
    e['/usr/lib/rpm/amazon/macros'] = file('%_hardened_build 1\n')


def binutils(e, arch, version):
    # /usr/bin/ld is alternatives' to make.
    for path in ('/usr/bin/ld', f'/usr/bin/{arch.triplet}-ld'):
        e.pop(path, None)
    for flavour in ('bfd', 'gold'):
        e[f'/usr/bin/ld.{flavour}'] = e.pop(f'/usr/bin/{arch.triplet}-ld.{flavour}')


def _add_bytecode(e, paths):
    """Ships .pyc at three levels, equal ones hard linked, as Fedora's and AL2023's Python packages do."""
    jobs = [(path, e[path].mtime, e[path].data) for path in paths]
    for (path, mtime, _), levels in zip(jobs, compiled(jobs)):
        folder, name = posixpath.split(path)
        made = {}
        for data, suffix in zip(levels, ('', '.opt-1', '.opt-2')):
            target = f'{folder}/__pycache__/{name[:-3]}.cpython-311{suffix}.pyc'
            first = made.setdefault(data, target)
            e[target] = file(data, mtime=mtime) if first == target else hard(first)


SITECUSTOMIZE = '''# Debian's Python looks in dist-packages; AL2023's packages install to site-packages.
import site
import sys
if sys.prefix == sys.base_prefix:       # a venv has only its own
    for d in ('/usr/local/lib64', '/usr/local/lib', '/usr/lib64', '/usr/lib'):
        site.addsitedir(d + '/python3.11/site-packages')
'''


def python(e, arch, version):
    stdlib = '/usr/lib/python3.11'
    for path in list(e):
        foreign = path.startswith('/usr/lib/python3') and not path.startswith(f'{stdlib}/')
        if foreign or posixpath.basename(path) in ('sitecustomize.py', 'EXTERNALLY-MANAGED'):
            del e[path]
    e[f'{stdlib}/sitecustomize.py'] = file(SITECUSTOMIZE)
    e[f'{stdlib}/site-packages'] = e['/usr/lib64/python3.11/site-packages'] = directory()
    _add_bytecode(e, [p for p in e if p.startswith(stdlib) and p.endswith('.py') and '/test/' not in p
                      and e[p].kind == 'file'])


def _to_site_packages(e):
    old = '/usr/lib/python3/dist-packages/'
    for path in [p for p in e if p.startswith(old)]:
        e['/usr/lib/python3.11/site-packages/' + path.removeprefix(old)] = e.pop(path)


def pip(e, arch, version):
    _to_site_packages(e)
    for old, new in (('/usr/bin/pip', '/usr/bin/pip3.11'), ('/usr/bin/pip3', '/usr/bin/pip-3.11')):
        script = e.pop(old)
        e[new] = file(script.data.replace(b'#!/usr/bin/python3\n', b'#!/usr/bin/python3.11\n'), 0o755, script.mtime)


def setuptools(e, arch, version):
    _to_site_packages(e)


def mpdecimal(e, arch, version):
    e['/usr/share/licenses/mpdecimal/LICENSE.txt'] = file('stand-in\n')


def nginx(e, arch, version):
    for path in [p for p in e if p.startswith(('/etc/nginx/sites', '/etc/default'))]:
        del e[path]
    for path in ('/var/www', '/etc/nginx/conf.d', '/etc/nginx/default.d', '/usr/share/nginx/modules'):
        e[path] = directory()
    for path in ('/var/lib/nginx', '/var/lib/nginx/tmp', '/var/log/nginx'):
        e[path] = directory(0o770)


def logos(e, arch, version):
    e['/usr/share/pixmaps/poweredby.png'] = file('x')
    e['/usr/share/httpd-logo/icon.png'] = file('httpd')


def nodejs(e, arch, version):
    e['/usr/bin/node-20'] = file('#!/bin/sh\necho v20\n', 0o755)
    e['/usr/bin/npm-20'] = file('#!/bin/sh\necho npm\n', 0o755)


def edge(e, arch, version):
    root = '/opt/edge'
    for name, text in (('noreplace', 'a=1\n'), ('missing', 'b=1\n'), ('plain', 'c=1\n')):
        e[f'{root}/etc/{name}.conf'] = file(text)
    for name in ('owned', 'suid', 'capped', 'README', 'LICENSE'):
        e[f'{root}/{name}'] = file(name + '\n', 0o755)
    e[f'{root}/sticky'], e[f'{root}/empty'] = directory(0o1777), directory(0o700)
    e[f'{root}/zero'] = file('')
    e[f'{root}/link-rel'], e[f'{root}/link-dir'] = link('etc/plain.conf'), link('etc')
    e[f'{root}/link-abs'], e[f'{root}/link-dangling'] = link(f'{root}/etc/plain.conf'), link('/nonexistent/target')
    e[f'{root}/hard1'] = file('hard ' * 1000)
    e[f'{root}/hard2'] = e[f'{root}/a-hard0'] = hard(f'{root}/hard1')
    e[f'{root}/sp ace [x] %q \u00e9.txt'] = file('odd name\n')
    e[f'{root}/sparse'] = file(bytes(3_000_000))
    e['/sbin/edge-tool'] = file('#!/bin/sh\necho edge\n', 0o755)
    e['/lib64/edge-data/x'] = file('x\n')
    e['/usr/lib/sysusers.d/edge.conf'] = file(
        'u edgesys - "Edge system user" /var/lib/edgesys\ng edgegrp 951\nm edgesys edgegrp\n')
