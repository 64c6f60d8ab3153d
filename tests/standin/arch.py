"""The two architectures, and each one's names in RPM, Debian, OCI and GNU."""

from dataclasses import dataclass

# Everything the stand-in makes carries this time: 2024-05-01.
EPOCH = 1714521600


@dataclass(frozen=True)
class Arch:
    rpm: str
    deb: str
    oci: str
    variant: str = ''

    @property
    def triplet(self):
        return f'{self.rpm}-linux-gnu'


ARCHES = {a.rpm: a for a in (Arch('x86_64', 'amd64', 'amd64'), Arch('aarch64', 'arm64', 'arm64', 'v8'))}
