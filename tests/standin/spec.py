"""One source as rpmbuild wants it: a staged tree, a spec file and a file list per package."""

import os
import posixpath
import re

from arch import EPOCH
from entries import DIRECTORIES, LINKS, Entry, file

_TAGS = (('provides', 'Provides'), ('requires', 'Requires'), ('requires_pre', 'Requires(pre)'),
         ('requires_post', 'Requires(post)'), ('conflicts', 'Conflicts'), ('obsoletes', 'Obsoletes'),
         ('recommends', 'Recommends'), ('suggests', 'Suggests'), ('supplements', 'Supplements'),
         ('enhances', 'Enhances'))

# Automatic dependencies come from ELF files and scripts only: the other generators are slow (perl's alone would take
# half of the time), or say something else where some Python package happens to be installed.
_GENERATORS_OFF = ('debuginfo', 'desktop', 'font', 'metainfo', 'ocaml', 'perl', 'perllib', 'pkgconfig', 'python',
                   'pythondist', 'rpm_macro')
_PREAMBLE = ''.join(f'%global __{name}_{what} %{{nil}}\n'
                    for name in _GENERATORS_OFF for what in ('provides', 'requires')) + r'''
%global debug_package %{nil}
%global __os_install_post %{nil}
%global _build_id_links none
%global __requires_exclude ^(/usr/bin/(python|perl|env|tclsh|wish)|/bin/(csh|ksh|dash)|/usr/local/bin/python|.*PRIVATE.*|libcurl-gnutls.*|libfsverity.*)
'''


def packages_for(source, arch):
    return [p for p in source.packages if p.only in ('', arch.rpm)]


def claim(packages, entries):
    """Returns {package: its sorted paths}: in table order, each path once, except what `also` takes again."""
    left = dict.fromkeys(entries)
    claims = {}
    for package in packages:
        linked = [path for path, _ in package.links]
        mine = [p for p in left if p in linked or any(re.search(f, p) for f in package.files)]
        for path in mine:
            del left[path]
        mine += [p for p in entries if p not in mine and any(re.fullmatch(a, p) for a in package.also)]
        claims[package.name] = sorted(mine)
    return claims


def stage(root, paths, entries):
    """Writes the claimed entries under `root`."""
    order = {'file': 0, 'link': 0, 'dir': 1, 'hard': 2}     # a hard link after what it points to
    for path in sorted(paths, key=lambda p: (order[entries[p].kind], p)):
        entry = entries[path]
        if entry.kind == 'hard':
            target = entry.target
            while target in entries and entries[target].kind == 'hard':
                target = entries[target].target
            os.makedirs(posixpath.dirname(root + path), exist_ok=True)
            if os.path.exists(root + target):
                os.link(root + target, root + path)
                continue
            entry = entries[target]                         # its target went to no package
        put(root + path, entry)


def put(path, entry):
    os.makedirs(posixpath.dirname(path), exist_ok=True)
    if entry.kind == 'dir':
        os.makedirs(path, exist_ok=True)
    elif entry.kind == 'link':
        os.symlink(entry.target, path)
        os.utime(path, (entry.mtime, entry.mtime), follow_symlinks=False)
    else:
        with open(path, 'wb') as f:
            f.write(entry.data)
        os.chmod(path, entry.mode | 0o600)      # %attr has the last word; rpmbuild need not be root
        os.utime(path, (entry.mtime, entry.mtime))


def quoted(path):
    return '"%s"' % path.replace('%', '%%') if re.search(r'[\s\[\]%?*{}]', path) else path


def _first(table, path, default):
    return next((value for pattern, value in table.items() if re.search(pattern, path)), default)


def file_list(package, paths, entries):
    """Returns the lines of %files, and the directories that the package must own because nobody else does."""
    lines, parents = [], set()
    for path in (*paths, *package.ghost):
        parent = posixpath.dirname(path)
        while parent not in DIRECTORIES and parent not in LINKS and parent != '/':
            parents.add(parent)
            parent = posixpath.dirname(parent)
    for path in paths:
        entry = entries[path]
        if entry.kind == 'link':
            lines.append(quoted(path))
            continue
        mode = entries[entry.target].mode if entry.kind == 'hard' and entry.target in entries else entry.mode
        attr = '%%attr(%s,%s,%s) ' % _first(package.attrs, path, ('%04o' % mode, 'root', 'root'))
        if entry.kind == 'dir':
            lines.append(f'{attr}%dir {quoted(path)}')
            continue
        caps = _first(package.caps, path, '')
        kind = _first(package.marks, path, '')
        if any(re.search(d, path) for d in package.doc):
            kind = '%doc'
        if any(re.search(p, path) for p in package.license):
            kind = '%license'
        lines.append(f'{f"%caps({caps}) " if caps else ""}{kind} {attr}{quoted(path)}')
    lines += ['%%ghost %%attr(%s,%s,%s) %s' % (*_first(package.attrs, path, ('0644', 'root', 'root')), path)
              for path in package.ghost]
    lines += ['%%dev(%s,%d,%d) %%attr(0666,root,root) %s' % (kind, major, minor, path)
              for path, kind, major, minor in package.devices]
    return lines, parents - set(paths)


def _dependencies(package, arch):
    lines = []
    for attribute, tag in _TAGS:
        for text in getattr(package, attribute):
            text, only = re.fullmatch(r'(.*?)(?: \[(\w+)\])?', text).groups()
            if only in (None, arch.rpm):
                lines.append(f'{tag}: {text}')
    return lines


def write(source, arch, version, release, entries, licence, top):
    """Writes `top`/stage and `top`/p.spec. Returns the path of the spec."""
    packages = packages_for(source, arch)
    for package in packages:
        for path, target in package.links:
            entries.setdefault(path, Entry('link', mode=0o777, target=target))
    claims = claim(packages, entries)
    root = f'{top}/stage'
    os.makedirs(root)
    stage(root, {p for paths in claims.values() for p in paths}, entries)

    out = [_PREAMBLE, f'Name: {source.name}', f'Version: {version}', f'Release: {release}']
    if source.epoch is not None:
        out.append(f'Epoch: {source.epoch}')
    if not source.automatic:
        out.append('AutoReqProv: no')
    if source.noarch:
        out.append('BuildArch: noarch')
    out += [f'Summary: Stand-in for {source.name}', 'License: MIT and stand-in',
            f'URL: https://standin.invalid/{source.name}', 'Vendor: Amazon Linux',
            'Packager: Stand-in <nobody@standin.invalid>']
    main = next((p for p in packages if p.name == source.name), None)
    if main:
        out += _dependencies(main, arch)
    out.append(f'%description\nStand-in package {source.name}.')
    for package in packages:
        if package is main:
            continue
        out += [f'%package -n {package.name}', f'Summary: Stand-in for {package.name}']
        if package.arch and not source.noarch:
            out.append(f'BuildArch: {package.arch}')
        out += [*_dependencies(package, arch), f'%description -n {package.name}\nStand-in package {package.name}.']
    out.append(f'%install\nrm -rf %{{buildroot}}\nmv {root} %{{buildroot}}')

    for package in packages:
        for section, body in package.scripts.items():
            word, _, rest = section.partition(' ')
            out.append(f'%{word} -n {package.name} {rest}\n{body}')
        for on, body in package.triggers.items():
            out.append(f'%triggerin -n {package.name} -- {on}\n{body}')

    for package in packages:
        lines, parents = file_list(package, claims[package.name], entries)
        for path in package.ghost:
            if not os.path.lexists(root + path):
                put(root + path, file(''))
        if licence and claims[package.name]:
            path = f'/usr/share/licenses/{package.name}/COPYING'
            put(root + path, file(licence))
            lines.append(f'%license {path}')
            parents.add(posixpath.dirname(path))
        lines += [f'%dir %attr(0755,root,root) {quoted(d)}' for d in sorted(parents)]
        out += [f'%files -n {package.name}', '%defattr(-,root,root,-)', *lines]
    out.append(f'%changelog\n* Wed May 01 2024 Stand-in <nobody@standin.invalid> - {version}-{release}\n- stand-in build\n')
    path = f'{top}/p.spec'
    with open(path, 'w') as f:
        f.write('\n'.join(out))
    return path


RPMBUILD_DEFINES = {
    '_buildhost': 'build.standin', 'use_source_date_epoch_as_buildtime': '1', 'clamp_mtime_to_source_date_epoch': '1',
    '_source_filedigest_algorithm': '8', '_binary_filedigest_algorithm': '8', '_unpackaged_files_terminate_build': '0'}
ENVIRONMENT = {'SOURCE_DATE_EPOCH': str(EPOCH), 'LC_ALL': 'C.UTF-8', 'TZ': 'UTC'}
