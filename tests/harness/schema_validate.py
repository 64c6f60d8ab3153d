"""Validates an OCI layout against the image specification's own JSON schemas: schema_validate.py SCHEMAS LAYOUT.

Prints one line for each document that was looked at, and what is wrong with it; ends with 1 if anything is.
The schemas are draft-04 and name one another by URLs that are to be found in their folder.
"""

import json
import sys
from pathlib import Path

from jsonschema import Draft4Validator
from referencing import Registry, Resource
from referencing.jsonschema import DRAFT4

URLS = ['', 'https://opencontainers.org/schema/', 'https://opencontainers.org/schema/descriptor/',
        'https://opencontainers.org/schema/image/', 'https://opencontainers.org/schema/image/index/',
        'https://opencontainers.org/schema/image/manifest/']


class Checker:
    def __init__(self, folder):
        self.schemas = {path.name: json.loads(path.read_text()) for path in folder.glob('*.json')}
        resources = {name: Resource.from_contents(schema, default_specification=DRAFT4)
                     for name, schema in self.schemas.items()}
        known = [(url + name, resource) for name, resource in resources.items() for url in URLS]
        known += [(schema['id'], resources[name]) for name, schema in self.schemas.items() if schema.get('id')]
        self.registry = Registry().with_resources(known)
        self.bad = False

    def check(self, schema, document, name):
        validator = Draft4Validator(self.schemas[schema], registry=self.registry)
        errors = [f'{"/".join(map(str, e.path))}: {e.message}' for e in validator.iter_errors(document)]
        print(name, '; '.join(errors) or 'valid')
        self.bad |= bool(errors)


def main():
    schemas, layout = Path(sys.argv[1]), Path(sys.argv[2])
    checker = Checker(schemas)

    def blob(descriptor):
        return json.loads((layout / 'blobs' / descriptor['digest'].replace(':', '/')).read_text())

    def index(document, name):
        checker.check('image-index-schema.json', document, name)
        for descriptor in document['manifests']:
            inner = blob(descriptor)
            if 'manifests' in inner:
                index(inner, 'index ' + descriptor['digest'])
                continue
            checker.check('image-manifest-schema.json', inner, 'manifest ' + descriptor['digest'])
            if 'artifactType' not in inner:
                checker.check('config-schema.json', blob(inner['config']), 'config ' + inner['config']['digest'])

    checker.check('image-layout-schema.json', json.loads((layout / 'oci-layout').read_text()), 'oci-layout')
    top = json.loads((layout / 'index.json').read_text())
    index(top, 'index.json')
    referrers = top.get('annotations', {}).get('vnd.imgbuild.referrers')
    if referrers:
        index(blob({'digest': referrers}), 'referrers ' + referrers)
    sys.exit(checker.bad)


main()
