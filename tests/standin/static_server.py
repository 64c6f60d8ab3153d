"""Serves a document root as AL2023's content delivery network does: GET, HEAD, Range; 403 for what is not there.

usage: static_server.py ROOT PORT_FILE     (binds a free port on 127.0.0.1 and writes it to PORT_FILE)
"""

import os
import re
import sys
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote, urlsplit

TYPES = {'.xml': 'application/xml', '.gz': 'binary/octet-stream', '.rpm': 'application/x-rpm', '.list': 'text/plain'}


class Handler(BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    disable_nagle_algorithm = True
    timeout = 60

    def do_HEAD(self):
        self.answer(body=False)

    def do_GET(self):
        self.answer(body=True)

    def answer(self, body):
        path = os.path.realpath(root + unquote(urlsplit(self.path).path))
        if not path.startswith(root + '/') or not os.path.isfile(path):
            return self.refuse(403, b'<Error><Code>AccessDenied</Code><Message>Access Denied</Message></Error>', body)
        with open(path, 'rb') as file:
            size = os.fstat(file.fileno()).st_size
            first, last = 0, size - 1
            wanted = re.fullmatch(r'bytes=(\d*)-(\d*)', self.headers.get('Range', ''))
            if wanted and any(wanted.groups()):
                a, b = wanted.groups()
                first = int(a) if a else max(size - int(b), 0)
                last = min(int(b), last) if a and b else last
                if first > last:
                    return self.refuse(416, b'', body)
            self.send_response(206 if wanted else 200)
            if wanted:
                self.send_header('Content-Range', f'bytes {first}-{last}/{size}')
            self.send_header('Content-Type', TYPES.get(os.path.splitext(path)[1], 'application/octet-stream'))
            self.send_header('Content-Length', str(last - first + 1))
            self.send_header('Accept-Ranges', 'bytes')
            self.send_header('Last-Modified', formatdate(os.fstat(file.fileno()).st_mtime, usegmt=True))
            self.end_headers()
            if body:
                file.seek(first)
                left = last - first + 1
                while left and (piece := file.read(min(left, 1 << 18))):
                    self.wfile.write(piece)
                    left -= len(piece)

    def refuse(self, status, text, body):
        self.send_response(status)
        self.send_header('Content-Type', 'application/xml')
        self.send_header('Content-Length', str(len(text)))
        self.end_headers()
        if body:
            self.wfile.write(text)


if __name__ == '__main__':
    root = os.path.realpath(sys.argv[1])
    server = ThreadingHTTPServer(('127.0.0.1', 0), Handler)
    with open(sys.argv[2] + '.new', 'w') as f:
        f.write(str(server.server_port))
    os.rename(sys.argv[2] + '.new', sys.argv[2])
    server.serve_forever()
