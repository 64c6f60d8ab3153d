"""The base's programs: shell, coreutils, curl in its minimal and full forms, openssl, rpm, shadow-utils."""

from .model import EVR, ISA, Build, P, Source

_SHELLS = '''nl = "\\n"; sh = "/bin/sh"..nl; bash = "/bin/bash"..nl; f = io.open("/etc/shells", "a+")
if f then local s = f:read("*a"); if not s:find("/bin/bash") then f:write(bash) end; f:close() end'''

SOURCES = (
    Source('bash', (
        P('bash', base=True, config=True, links=(('/usr/bin/sh', 'bash'),), provides=('/bin/sh', '/bin/bash'),
          requires=('filesystem >= 3',), scripts={'post -p <lua>': _SHELLS}),
    ), debs=('bash',)),

    Source('coreutils', (
        P('coreutils-single', base=True, conflicts=('coreutils',),
          provides=(f'coreutils = {EVR}', f'coreutils{ISA} = {EVR}', 'bundled(gnulib)')),
        P('coreutils-common', '^$'),
        P('coreutils', '^$', also=('/usr/bin/[a-d].*',), requires=(f'coreutils-common = {EVR}',),
          conflicts=('coreutils-single',)),
    ), debs=('coreutils',)),

    Source('grep', (P('grep', base=True),), debs=('grep',)),
    Source('sed', (P('sed', base=True),), debs=('sed',)),
    Source('gawk', (
        P('libsigsegv', 'libsigsegv', base=True),
        P('gawk', base=True, config=True, links=(('/usr/bin/awk', 'gawk'),), provides=('/bin/awk', '/usr/bin/awk')),
    ), debs=('gawk', 'libsigsegv2')),
    # Absent from AL2023's base on purpose.
    Source('findutils', (P('findutils'),), debs=('findutils',), epoch=1),
    Source('gzip', (P('gzip'),), debs=('gzip',)),
    Source('tar', (P('tar'),), debs=('tar',), epoch=2),
    Source('diffutils', (P('diffutils'),), debs=('diffutils',)),
    Source('which', (P('which', '^/usr/bin/which', links=(('/usr/bin/which', 'which.debianutils'),)),),
           debs=('debianutils',), signer=''),

    Source('ncurses', (
        P('ncurses-base', '^/usr/(share|lib)/(terminfo|tabset)', '^/etc/terminfo', arch='noarch', base=True),
        P('ncurses-libs', base=True, requires=(f'ncurses-base = {EVR}',)),
    ), debs=('libtinfo6', 'libncursesw6', 'libncurses6', 'ncurses-base')),
    Source('readline', (P('readline', base=True, config=True),), debs=('libreadline8', 'readline-common')),

    Source('openssl', (
        P('openssl-libs', '^/usr/lib64/', '^/etc/ssl/openssl.cnf', '^/usr/lib/ssl', base=True, config=True,
          provides=(f'openssl-fips = 1:{EVR}',), recommends=(f'openssl-pkcs11{ISA}',),
          requires=('ca-certificates >= 2008-5', 'crypto-policies')),
        P('openssl', requires=(f'openssl-libs{ISA} = 1:{EVR}', 'coreutils')),
    ), debs=('libssl3', 'openssl'), epoch=1,
        builds=(Build('0.amzn2023.0.1'), Build('2.amzn2023.0.1', since='latest'))),
    Source('p11-kit', (
        P('p11-kit-trust', 'trust', base=True, requires=(f'p11-kit{ISA} = {EVR}',)),
        P('p11-kit', base=True),
    ), debs=('p11-kit', 'libp11-kit0', 'p11-kit-modules')),

    # curl-minimal is in the base, provides curl and conflicts with it. The full ones know nothing of that.
    Source('curl', (
        P('libcurl-minimal', '^/usr/lib64/libcurl', base=True, conflicts=(f'libcurl{ISA}',),
          provides=(f'libcurl = {EVR}', f'libcurl{ISA} = {EVR}')),
        P('curl-minimal', '^/usr/bin/curl', base=True, conflicts=('curl',), provides=(f'curl = {EVR}', 'webclient'),
          requires=(f'libcurl{ISA} >= {EVR}',), suggests=('libcurl-minimal',)),
        P('libcurl', '^$', also=('/usr/lib64/libcurl.*',), requires=(f'libpsl{ISA}',),
          provides=(f'libcurl-full = {EVR}', f'libcurl-full{ISA} = {EVR}')),
        P('curl', '^$', also=('/usr/bin/curl',), provides=(f'curl-full = {EVR}', 'webclient'),
          requires=(f'libcurl{ISA} >= {EVR}',)),
    ), debs=('curl', 'libcurl4'),
        builds=(Build('8.amzn2023.0.4'), Build('9.amzn2023.0.1'), Build('11.amzn2023.0.1', since='latest'))),

    Source('shadow-utils', (
        P('shadow-utils', '^/usr/s?bin/(user|group|ch(age|gpasswd|passwd)|gpasswd|pw|grp|vip|vig|faillog|lastlog'
                          '|newusers|newgrp|sg|newuidmap|newgidmap)', '^/etc/(default/useradd|login.defs)',
          config=True, requires=('setup', 'audit-libs >= 1.6.5', 'libxcrypt'),
          attrs={'^/usr/bin/(chage|gpasswd|newgrp|passwd|expiry)$': ('4755', 'root', 'root'),
                 '^/usr/bin/new[ug]idmap$': ('0755', 'root', 'root')},
          caps={'^/usr/bin/newuidmap$': 'cap_setuid=ep', '^/usr/bin/newgidmap$': 'cap_setgid=ep'}),
    ), debs=('passwd', 'login', 'uidmap', 'libsubid4'), epoch=2),

    Source('rpm', (
        P('rpm-libs', r'^/usr/lib64/librpm(io)?\.so', base=True,
          requires=(f'rpm = {EVR}', f'sqlite-libs{ISA} >= 3.22.0')),
        P('rpm', '^/usr/bin/(rpm|rpmdb|rpmkeys|rpmquery|rpmverify)$',
          '^/usr/lib/rpm/(macros|rpmrc|rpmpopt|platform|rpmdb_|tgpg)', '^/etc/rpm', base=True,
          marks={'^/etc/rpm': '%config(noreplace)'}, requires=('coreutils', f'popt{ISA} >= 1.10.2.1', 'curl'),
          ghost=('/var/lib/rpm/rpmdb.sqlite', '/var/lib/rpm/rpmdb.sqlite-shm', '/var/lib/rpm/rpmdb.sqlite-wal',
                 '/var/lib/rpm/.rpm.lock')),
        P('rpm-build-libs', 'librpmbuild', 'librpmsign'),
    ), debs=('rpm', 'rpm-common', 'librpm9', 'librpmio9', 'librpmbuild9', 'librpmsign9'), contents='rpm_macros'),
)
