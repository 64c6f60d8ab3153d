"""The C library's family, and the kernel headers that three packages provide."""

from .model import EVR, ISA, P, Source

_LDCONFIG_DIRS = '/lib /usr/lib /lib64 /usr/lib64'
_SAME = (f'glibc{ISA} = {EVR}', f'glibc-common{ISA} = {EVR}')
_HEADERS = r'^/usr/include/(a|sys|bits|gnu)/'


def _kernel(name, version, **fields):
    """One of AL2023's kernel sources: kernel (6.1), kernel6.12, kernel6.18. All carry Debian's headers."""
    return Source(name, (P(f'{name}-headers', '^/usr/include/', **fields),),
                  debs=('linux-libc-dev',), version=version, release='1.amzn2023')


def _rival():
    # The newer kernels' headers stand in for kernel-headers and refuse to sit beside it.
    return dict(provides=(f'kernel-headers = 1:{EVR}', f'kernel-headers{ISA} = 1:{EVR}'),
                conflicts=('kernel-headers',))


SOURCES = (
    Source('glibc', (
        P('glibc', r'^(/usr)?/lib(64)?/(ld-linux|lib(c|m|mvec|dl|rt|pthread|util|resolv|anl|thread_db|BrokenLocale|nsl'
                   r'|nss_\w+|memusage|pcprofile|c_malloc_debug)[-.].*so[.\d]*$)',
          r'^/usr/lib64/gconv/(UTF-|UNICODE|ISO8859-1\.|gconv-modules)', '^(/usr)?/sbin/ldconfig', '^/etc/ld.so.conf',
          base=True, marks={'^/etc/ld.so.conf$': '%config(noreplace)',
                             'gconv-modules.cache$': '%verify(not md5 size mtime)'},
          attrs={'/aux-cache$': ('0600', 'root', 'root')},
          requires=(f'glibc-common{ISA} = {EVR}', f'glibc-langpack = {EVR}', 'basesystem',
                    # An installed package's requirement that installing amazon-rpm-config (through gcc) activates.
                    f'(glibc-gconv-extra{ISA} = {EVR} if redhat-rpm-config)'),
          requires_pre=('basesystem',), suggests=(f'glibc-minimal-langpack = {EVR}',),
          provides=('ldconfig', 'rtld(GNU_HASH)', '/usr/sbin/ldconfig', 'bundled(gnulib)'),
          ghost=('/etc/ld.so.cache', '/var/cache/ldconfig/aux-cache'),
          scripts={'post -p /usr/sbin/ldconfig': ''}),
        P('glibc-gconv-extra', '^/usr/lib64/gconv/', requires=_SAME[:1],
          scripts={'post': 'if [ -x /usr/sbin/iconvconfig ]; then /usr/sbin/iconvconfig || : ; fi'}),
        P('glibc-minimal-langpack', '^$', base=True, provides=(f'glibc-langpack = {EVR}',), requires=_SAME),
        P('glibc-langpack-en', '^/usr/share/i18n/locales/en_', '^/usr/share/i18n/charmaps/UTF-8',
          provides=(f'glibc-langpack = {EVR}',), requires=_SAME,
          supplements=(f'((glibc = {EVR}) and (langpacks-en or langpacks-en_GB))',)),
        P('glibc-langpack-de', '^/usr/share/i18n/locales/de_', provides=(f'glibc-langpack = {EVR}',), requires=_SAME),
        P('glibc-common', '^/usr/bin/(getconf|getent|iconv|ldd|locale|localedef|zdump|pldd|tzselect|catchsegv)',
          '^/usr/sbin/iconvconfig', '^/usr/lib/locale/C', '^/etc/(bindresv|default/nss|gai)',
          base=True, config=True, requires=(_SAME[0], 'bash'),
          scripts={f'transfiletriggerin -P 2000000 -- {_LDCONFIG_DIRS}': '/usr/sbin/ldconfig',
                   f'transfiletriggerpostun -P 2000000 -- {_LDCONFIG_DIRS}': '/usr/sbin/ldconfig'}),
        P('glibc-headers-x86', _HEADERS, arch='noarch', only='x86_64', requires=('kernel-headers',),
          provides=(f'glibc-headers = {EVR}', f'glibc-headers(x86) = {EVR}')),
        P('glibc-devel', '^/usr/include/', r'^/usr/lib64/.*\.(o|a|so)$', provides=(f'glibc-headers = {EVR}',),
          requires=(f'glibc{ISA} = {EVR}', f'libxcrypt-devel{ISA} >= 4.0.0', 'kernel-headers >= 3.2', 'libgcc',
                    f'glibc-headers-x86 = {EVR} [x86_64]')),
    ), debs=('libc6', 'libc-bin', 'libc6-dev', 'libc-l10n', 'locales'),
        # AL2023's glibc still lists its files under /lib64 and /sbin, through the base's symlinks.
        relocate=((r'^/usr/(lib64/(?:ld-linux|lib[A-Za-z_]+\.so\.)[^/]*)$', r'/\1'),
                  (r'^/usr/lib/(ld-linux[^/]*)$', r'/lib/\1'), (r'^/usr/(sbin/ldconfig)$', r'/\1'))),

    _kernel('kernel', '6.1.134', provides=('glibc-kernheaders = 3.0-46',)),
    _kernel('kernel6.12', '6.12.79', **_rival()),
    _kernel('kernel6.18', '6.18.20', **_rival()),

    Source('libxcrypt', (
        P('libxcrypt', r'^/usr/lib64/libcrypt\.so\.', base=True),
        P('libxcrypt-devel', '^/usr/include', '^/usr/lib64', requires=(f'libxcrypt{ISA} = {EVR}', 'glibc-devel')),
    ), debs=('libcrypt1', 'libcrypt-dev')),

    Source('tzdata', (P('tzdata', arch='noarch', base=True),), debs=('tzdata',), hardlink=True),
)
