"""Plain libraries: one Debian package, one RPM."""

from .model import EVR, ISA, P, Source, library

_BASE = '''
    zlib zlib1g · libzstd libzstd1 · lz4-libs liblz4-1 · libacl libacl1 · libattr libattr1 · libcap libcap2 ·
    libselinux libselinux1 · libsepol libsepol2 · pcre2 libpcre2-8-0 · libffi libffi8 · expat libexpat1 ·
    libuuid libuuid1 · libblkid libblkid1 · libmount libmount1 · libsmartcols libsmartcols1 ·
    sqlite-libs libsqlite3-0 · libtasn1 libtasn1-6 · libnghttp2 libnghttp2-14 · libidn2 libidn2-0 ·
    libunistring libunistring2 · libpsl libpsl5 · librtmp librtmp1 · libssh2 libssh2-1 · openldap libldap-2.5-0 ·
    cyrus-sasl-lib libsasl2-2 · libdb libdb5.3 · gnutls libgnutls30 · libbrotli libbrotli1 ·
    libcom_err libcom-err2 · keyutils-libs libkeyutils1 · systemd-libs libsystemd0 · libgcrypt libgcrypt20 ·
    libgpg-error libgpg-error0 · popt libpopt0 · lua-libs liblua5.3-0 · elfutils-libelf libelf1 ·
    elfutils-libs libdw1 · audit-libs libaudit1 · libcap-ng libcap-ng0'''

_REPOSITORY = '''
    pcre libpcre3 · libmd libmd0 · libbsd libbsd0 · oniguruma libonig5 · libnsl2 libnsl2 · pam-libs libpam0g'''


def _pairs(text):
    return [pair.split() for pair in text.split('·')]


SOURCES = (
    *(library(rpm, deb) for rpm, deb in _pairs(_BASE)),
    *(library(rpm, deb, base=False) for rpm, deb in _pairs(_REPOSITORY)),
    library('libtirpc', 'libtirpc3', 'libtirpc-common', base=False),
    library('libsemanage', 'libsemanage2', 'libsemanage-common', base=False),
    library('krb5-libs', 'libkrb5-3', 'libgssapi-krb5-2', 'libk5crypto3', 'libkrb5support0'),
    library('nettle', 'libnettle8', 'libhogweed6'),
    Source('gdbm', (P('gdbm-libs', base=True),), debs=('libgdbm6', 'libgdbm-compat4'), epoch=1),
    Source('bzip2', (
        P('bzip2-libs', '^/usr/lib64/', base=True),
        P('bzip2', requires=(f'bzip2-libs{ISA} = {EVR}',)),
    ), debs=('bzip2', 'libbz2-1.0')),
    Source('xz', (
        P('xz-libs', '^/usr/lib64/', base=True),
        P('xz', requires=(f'xz-libs{ISA} = {EVR}',)),
    ), debs=('xz-utils', 'liblzma5')),
    Source('file', (
        P('file-libs', '^/usr/(lib64|lib|share)/', base=True),
        P('file', requires=(f'file-libs = {EVR}',)),
    ), debs=('libmagic1', 'libmagic-mgc', 'file')),
)
