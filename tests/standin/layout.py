"""OCI layouts of the base: one plain per architecture, and one index with all of AL2023's peculiarities."""

import hashlib
import json
import shutil
from datetime import datetime, timezone

from arch import EPOCH

TAG = '2023'
_OCI = 'application/vnd.oci.image'
_DOCKER_MANIFEST = 'application/vnd.docker.distribution.manifest.v2+json'
_CREATED = datetime.fromtimestamp(EPOCH, timezone.utc).strftime('%Y-%m-%dT%H:%M:%SZ')


class Layout:
    """An OCI layout being written beside its final place."""

    def __init__(self, path):
        self.path, self.fresh = path, path.with_name(path.name + '.new')
        shutil.rmtree(self.fresh, ignore_errors=True)
        (self.fresh / 'blobs/sha256').mkdir(parents=True)
        (self.fresh / 'oci-layout').write_text('{"imageLayoutVersion": "1.0.0"}')

    def blob(self, media_type, data, **more):
        digest = hashlib.sha256(data).hexdigest()
        (self.fresh / 'blobs/sha256' / digest).write_bytes(data)
        return {'mediaType': media_type, 'digest': f'sha256:{digest}', 'size': len(data), **more}

    def json(self, media_type, value, **more):
        return self.blob(media_type, json.dumps(value, indent=3).encode(), **more)

    def finish(self, descriptor):
        descriptor['annotations'] = {'org.opencontainers.image.ref.name': TAG}
        (self.fresh / 'index.json').write_text(json.dumps(
            {'schemaVersion': 2, 'mediaType': f'{_OCI}.index.v1+json', 'manifests': [descriptor]}))
        shutil.rmtree(self.path, ignore_errors=True)
        self.fresh.rename(self.path)


def _manifest(layout, arch, folder, media_type):
    layer = layout.blob(f'{_OCI}.layer.v1.tar+gzip', (folder / 'layer.tar.gz').read_bytes())
    config = layout.json(f'{_OCI}.config.v1+json', {
        'architecture': arch.oci, **({'variant': arch.variant} if arch.variant else {}), 'os': 'linux',
        'config': {'Env': ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'], 'Cmd': ['/bin/bash']},
        'created': _CREATED,
        'history': [{'created': _CREATED, 'created_by': 'COPY /rootfs/ / # buildkit', 'comment': 'buildkit.dockerfile.v0'},
                    {'created': _CREATED, 'created_by': 'CMD ["/bin/bash"]', 'comment': 'buildkit.dockerfile.v0',
                     'empty_layer': True}],
        'rootfs': {'type': 'layers', 'diff_ids': [(folder / 'diff_id').read_text()]}})
    return layout.json(
        media_type, {'schemaVersion': 2, 'mediaType': media_type, 'config': config, 'layers': [layer]},
        platform={'architecture': arch.oci, 'os': 'linux', **({'variant': arch.variant} if arch.variant else {})})


def _attestation(layout, subject):
    """A build attestation, as BuildKit puts beside each image: an entry that is no platform."""
    statement = layout.json('application/vnd.in-toto+json', {
        '_type': 'https://in-toto.io/Statement/v0.1', 'predicateType': 'https://slsa.dev/provenance/v0.2',
        'subject': [{'name': 'stand-in', 'digest': {'sha256': subject['digest'].removeprefix('sha256:')}}]},
        annotations={'in-toto.io/predicate-type': 'https://slsa.dev/provenance/v0.2'})
    config = layout.json(f'{_OCI}.config.v1+json', {
        'architecture': 'unknown', 'os': 'unknown', 'config': {},
        'rootfs': {'type': 'layers', 'diff_ids': [statement['digest']]}})
    return layout.json(
        f'{_OCI}.manifest.v1+json',
        {'schemaVersion': 2, 'mediaType': f'{_OCI}.manifest.v1+json', 'config': config, 'layers': [statement]},
        annotations={'vnd.docker.reference.digest': subject['digest'],
                     'vnd.docker.reference.type': 'attestation-manifest'},
        platform={'architecture': 'unknown', 'os': 'unknown'})


def write_plain(path, arch, folder):
    """Writes a layout with one OCI manifest."""
    layout = Layout(path)
    layout.finish(_manifest(layout, arch, folder, f'{_OCI}.manifest.v1+json'))


def write_index(path, layers):
    """Writes a layout whose index holds, as AL2023's, Docker manifests over OCI layers, and attestations."""
    layout = Layout(path)
    images = [_manifest(layout, arch, folder, _DOCKER_MANIFEST) for arch, folder in layers.items()]
    entries = images + [_attestation(layout, image) for image in images]
    media_type = f'{_OCI}.index.v1+json'
    layout.finish(layout.json(media_type, {'schemaVersion': 2, 'mediaType': media_type, 'manifests': entries}))
