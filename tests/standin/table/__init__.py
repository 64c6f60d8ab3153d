"""Every source package of the stand-in distribution, in no particular order."""

from . import apps, edge, libc, libraries, python311, system, toolchain, userland
from .model import Build, Package, Source  # noqa: F401  (the table's words, for its readers)

SOURCES = tuple(s for part in (system, libc, toolchain, libraries, userland, python311, apps, edge)
                for s in part.SOURCES)

# What `make --minimal` leaves out: everything only a compiler, git or perl needs.
NOT_MINIMAL = {'gcc', 'binutils', 'perl', 'git', 'kernel', 'kernel6.12', 'kernel6.18', 'nginx', 'make',
               'annobin', 'amazon-rpm-config'}
