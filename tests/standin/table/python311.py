"""Python 3.11 under AL2023's names."""

from .model import EVR, ISA, Build, P, Source

SOURCES = (
    Source('python3.11', (
        P('python3.11', r'^/usr/bin/(python3\.11$|pydoc3)', provides=('python(abi) = 3.11',),
          requires=(f'python3.11-libs{ISA} = {EVR}',)),
        P('python3.11-test', '^/usr/lib/python3.11/(test|unittest/test)/', requires=(f'python3.11 = {EVR}',)),
        P('python3.11-devel', '^/usr/include', '^/usr/bin/.*config', r'^/usr/lib64/(pkgconfig|.*\.(a|so)$)',
          '^/usr/lib/python3.11/config-', conflicts=(f'python3.11 < {EVR}',),
          requires=(f'python3.11 = {EVR}', f'python3.11-libs{ISA} = {EVR}', '(python-rpm-macros if rpm-build)',
                    '(python3-rpm-macros if rpm-build)', '(python3-rpm-generators if rpm-build)')),
        P('python3.11-libs', '^/usr/lib', provides=('bundled(python3dist(x)) = 1',),
          requires=('python3.11-pip-wheel >= 22.3.1', 'python3.11-setuptools-wheel', f'mpdecimal{ISA} >= 2.5',
                    'tzdata', 'expat >= 2.4'),
          recommends=(f'python3.11{ISA} = {EVR}', f'(python3.11-tkinter{ISA} = {EVR} if tk{ISA})')),
    ), debs=('python3.11', 'python3.11-minimal', 'libpython3.11-minimal', 'libpython3.11-stdlib', 'libpython3.11',
             'libpython3.11-dev', 'python3.11-dev', 'python3.11-venv', 'python3-distutils', 'python3-lib2to3'),
        contents='python', builds=(Build('5.amzn2023.0.1', only=('python3.11', 'python3.11-libs')),)),

    Source('python3.11-pip', (
        P('python3.11-pip-wheel', '^/usr/share/python-wheels', arch='noarch', requires=('ca-certificates',),
          # For manylinux1 wheels: AL2023's one weak dependency that a bare python3.11 brings in.
          recommends=('(libcrypt.so.1()(64bit) if python3.11(x86-64))',)),
        P('python3.11-pip', arch='noarch', requires=('ca-certificates', 'python(abi) = 3.11'),
          recommends=('python3.11-setuptools',),
          provides=('python3.11dist(pip) = %{version}', 'bundled(python3dist(certifi)) = 2022.12.7')),
    ), debs=('python3-pip', 'python3-pip-whl'), contents='pip'),

    Source('python3.11-setuptools', (
        P('python3.11-setuptools-wheel', '^/usr/share/python-wheels', arch='noarch'),
        P('python3.11-setuptools', arch='noarch', requires=('python(abi) = 3.11',),
          provides=('python3.11dist(setuptools) = %{version}',)),
    ), debs=('python3-setuptools', 'python3-setuptools-whl', 'python3-pkg-resources'), contents='setuptools'),

    # Debian links libmpdec into Python's own module; the name is kept for the closure's sake.
    Source('mpdecimal', (P('mpdecimal'),), version='2.5.1', release='3.amzn2023.0.3', contents='mpdecimal'),
)
