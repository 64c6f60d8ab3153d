"""Serves every input of a lock over loopback HTTP, in a process of its own: what a mirror next door would do.

usage: mirror.py LOCK BLOBS PORT_FILE     (BLOBS: `blobs/sha256` of a cache that has all inputs)
"""

import os
import sys
import tomllib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import urlsplit


def paths_of(lock, blobs):
    """Returns where the file of each URL of the lock is, by /host/path."""
    with open(lock, 'rb') as file:
        document = tomllib.load(file)
    paths = {}
    for kind in ('rpm', 'wheel'):
        for entry in document.get(kind, []):
            url = urlsplit(entry['url'])
            paths['/' + url.netloc + url.path] = os.path.join(blobs, entry['digest'].removeprefix('sha256:'))
    return paths


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    disable_nagle_algorithm = True

    def do_GET(self):
        path = self.server.paths.get(self.path)
        # A registry, as far as pulling by digest goes.
        if path is None and self.path.startswith('/v2/') and 'sha256:' in self.path:
            path = os.path.join(self.server.blobs, os.path.basename(self.path.rsplit(':', 1)[1]))
        if path is None or not os.path.isfile(path):
            self.send_response(404)
            self.send_header('Content-Length', '0')
            self.end_headers()
            return
        with open(path, 'rb') as file:
            size = os.fstat(file.fileno()).st_size
            self.send_response(200)
            self.send_header('Content-Type', 'application/octet-stream')
            self.send_header('Content-Length', str(size))
            self.end_headers()
            self.wfile.flush()
            sent = 0
            while sent < size:
                sent += os.sendfile(self.connection.fileno(), file.fileno(), sent, size - sent)

    def log_message(self, *_):
        pass


def main():
    lock, blobs, port_file = sys.argv[1:]
    server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    server.paths, server.blobs = paths_of(lock, blobs), blobs
    with open(port_file + '.new', 'w') as file:
        file.write(str(server.server_port))
    os.rename(port_file + '.new', port_file)
    server.serve_forever()


if __name__ == '__main__':
    main()
