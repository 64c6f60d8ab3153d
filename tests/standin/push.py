"""Uploads an OCI layout to a registry byte for byte; skopeo refuses Docker manifests over OCI layers, AL2023's form."""

import http.client
import json


class Registry:
    def __init__(self, address, repository):
        self.http = http.client.HTTPConnection(address, timeout=60)
        self.base = f'/v2/{repository}'

    def send(self, method, path, accepted, body=None, content_type='application/octet-stream'):
        self.http.request(method, path, body, {'Content-Type': content_type} if body is not None else {})
        answer = self.http.getresponse()
        text = answer.read()
        if answer.status not in accepted:
            raise SystemExit(f'standin: {method} {path}: {answer.status} {text.decode(errors="replace")}')
        return answer

    def blob(self, digest, data):
        if self.send('HEAD', f'{self.base}/blobs/{digest}', (200, 404)).status == 404:
            where = self.send('POST', f'{self.base}/blobs/uploads/', (202,), b'').getheader('Location')
            self.send('PUT', f'{where}&digest={digest}' if '?' in where else f'{where}?digest={digest}', (201,), data)

    def manifest(self, reference, data, media_type):
        self.send('PUT', f'{self.base}/manifests/{reference}', (201,), data, media_type)


def push(layout, address, repository, tag):
    """Uploads the layout's one image, children before parents, and tags it."""
    registry = Registry(address, repository)

    def read(descriptor):
        return (layout / 'blobs' / descriptor['digest'].replace(':', '/')).read_bytes()

    def upload(descriptor, reference):
        document = json.loads(read(descriptor))
        for child in document.get('manifests', ()):
            upload(child, child['digest'])
        for child in (document['config'], *document['layers']) if 'config' in document else ():
            registry.blob(child['digest'], read(child))
        registry.manifest(reference, read(descriptor), descriptor['mediaType'])

    upload(json.loads((layout / 'index.json').read_text())['manifests'][0], tag)
