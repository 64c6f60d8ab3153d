"""The compiler and what AL2023 pulls in with it: annobin, amazon-rpm-config, binutils through alternatives."""

from .model import EVR, ISA, P, Source, empty, library

_MACROS = ('efi', 'fonts', 'go', 'kernel', 'lua', 'ocaml', 'openblas', 'perl', 'python', 'qt5', 'rust')

SOURCES = (
    # AL2023 takes libgcc and friends from a newer gcc than the compiler itself: their EVRs never agree.
    Source('gcc14', (
        P('libgcc', '^/usr/lib64/libgcc_s', base=True),
        P('libgomp', '^/usr/lib64/libgomp', base=True),
        P('libstdc++', r'^/usr/lib64/libstdc\+\+\.so', '^/usr/share/gcc', base=True),
        P('libatomic', '^/usr/lib64/libatomic'),
        P('libquadmath', '^/usr/lib64/libquadmath', only='x86_64'),
        P('libitm', '^/usr/lib64/libitm'),
        P('libasan', '^/usr/lib64/lib(asan|hwasan)'),
        P('libtsan', '^/usr/lib64/libtsan'),
        P('liblsan', '^/usr/lib64/liblsan'),
        P('libubsan', '^/usr/lib64/libubsan'),
    ), debs=('libgcc-s1', 'libstdc++6', 'libgomp1', 'libitm1', 'libatomic1', 'libasan8', 'liblsan0', 'libtsan2',
             'libubsan1', 'libquadmath0 [amd64]', 'libhwasan0 [arm64]'), release='7.amzn2023.0.2'),

    Source('gcc', (
        P('libcc1', '^/usr/lib64/libcc1'),
        P('cpp', '^/usr/bin/.*cpp', '^/usr/lib/gcc/.*/cc1$', links=(('/usr/bin/cpp', 'cpp-12'),)),
        P('libstdc++-devel', r'^/usr/include/c\+\+', r'^/usr/include/.*/c\+\+',
          r'^/usr/lib/gcc/.*/lib(std|sup)c\+\+', requires=(f'libstdc++{ISA}',)),
        P('gcc-c++', r'^/usr/bin/.*g\+\+', '^/usr/lib/gcc/.*/cc1plus',
          links=(('/usr/bin/g++', 'g++-12'), ('/usr/bin/c++', 'g++')),
          requires=(f'gcc = {EVR}', f'libstdc++-devel = {EVR}')),
        P('gcc', '^/usr/', links=(('/usr/bin/gcc', 'gcc-12'), ('/usr/bin/cc', 'gcc')),
          requires=(f'cpp = {EVR}', 'binutils >= 2.31', 'glibc-devel >= 2.2.90-12', 'libgcc >= 12', 'libgomp >= 12',
                    'annobin-plugin-gcc'),
          provides=('bundled(libiberty)', 'gcc(major) = 12', 'c-compiler')),
    ), debs=('gcc-12', 'cpp-12', 'libgcc-12-dev', 'libstdc++-12-dev', 'g++-12', 'libcc1-0')),

    # gcc <-> annobin-plugin-gcc is a cycle, and `with` an operator that is easily forgotten.
    Source('annobin', (
        empty('annobin-docs'),
        P('annobin-plugin-gcc', '^$',
          requires=('(gcc >= 12 with gcc < 13)', f'annobin-docs = {EVR}', 'redhat-rpm-config')),
    ), version='10.93', release='1.amzn2023.0.1'),

    Source('amazon-rpm-config', (
        P('amazon-rpm-config', arch='noarch',
          provides=('redhat-rpm-config = 228', 'system-rpm-config = 228'),
          requires=('coreutils', 'file', 'zstd', 'dwz >= 0.4', *(f'{m}-srpm-macros' for m in _MACROS))),
        *(empty(f'{m}-srpm-macros') for m in _MACROS),
    ), version='228', release='3.amzn2023.0.2', contents='rpm_config'),
    library('dwz', 'dwz', base=False),
    library('zstd', 'zstd', base=False),

    Source('binutils', (
        P('binutils-gprofng', 'gprofng', '/gp-'),
        # As on AL2023, /usr/bin/ld exists only through alternatives.
        P('binutils', requires=('/usr/bin/sh',), requires_post=('coreutils', '/usr/sbin/alternatives'),
          ghost=('/usr/bin/ld',),
          scripts={'post': '/usr/bin/rm -f /usr/bin/ld\n'
                           '/usr/sbin/alternatives --install /usr/bin/ld ld \\\n  /usr/bin/ld.bfd 50\n'
                           '/usr/sbin/alternatives --install /usr/bin/ld ld \\\n  /usr/bin/ld.gold 30',
                   'preun': 'if [ $1 = 0 ]; then\n'
                            '  /usr/sbin/alternatives --remove ld /usr/bin/ld.bfd\n'
                            '  /usr/sbin/alternatives --remove ld /usr/bin/ld.gold\nfi\nexit 0'}),
    ), debs=('binutils', 'binutils-common', 'binutils-x86-64-linux-gnu [amd64]', 'binutils-aarch64-linux-gnu [arm64]',
             'libbinutils', 'libctf0', 'libctf-nobfd0', 'libgprofng0'), contents='binutils'),

    library('jansson', 'libjansson4', base=False),
    library('isl', 'libisl23', base=False),
    library('libmpc', 'libmpc3', base=False),
    library('mpfr', 'libmpfr6'),
    library('gmp', 'libgmp10'),
    Source('make', (P('make', links=(('/usr/bin/gmake', 'make'),), provides=('bundled(gnulib) = 20180513',)),),
           debs=('make',), epoch=1, payload='w19.zstdio'),
    Source('pkgconf', (
        P('libpkgconf', '^/usr/lib64/libpkgconf'),
        P('pkgconf-pkg-config', '^/usr/bin/.*pkg-config', requires=(f'pkgconf = {EVR}',),
          provides=(f'pkgconfig = 1:{EVR}', 'pkgconfig(pkg-config) = %{version}'), obsoletes=('pkgconfig < 1:1.0',)),
        P('pkgconf'),
    ), debs=('pkgconf', 'pkgconf-bin', 'libpkgconf3')),
)
