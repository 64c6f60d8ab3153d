"""What all rows run on: a locked copy of recipes/webhook, all its inputs, a mirror that serves them."""

import os
import re
import shlex
import shutil
import subprocess
import sys
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HOME = os.path.join(ROOT, 'target/bench')
SERVED = {
    'https://cdn.amazonlinux.com/': '/cdn.amazonlinux.com/',
    'https://files.pythonhosted.org/': '/files.pythonhosted.org/',
    'public.ecr.aws': '',
}


def standin():
    """Returns the flags that lead to the stand-in for Amazon Linux."""
    folder = os.environ.get('IMGBUILD_STANDIN', os.path.join(ROOT, 'target/standin'))
    try:
        with open(os.path.join(folder, 'run/env')) as file:
            return shlex.split(re.search(r"^STANDIN_MIRRORS='?([^'\n]*)", file.read(), re.M)[1])
    except FileNotFoundError:
        raise SystemExit('bench: no stand-in: run tests/standin/make and tests/standin/serve') from None


class Bed:
    def __enter__(self):
        self.imgbuild = os.environ.get('IMGBUILD', os.path.join(ROOT, 'target/release/imgbuild'))
        if not os.path.exists(self.imgbuild):
            raise SystemExit('bench: run cargo build --release --locked')
        os.makedirs(HOME, exist_ok=True)
        self.project, self.cache, self.output = (os.path.join(HOME, name) for name in ('webhook', 'cache', 'image'))
        inputs = os.path.join(HOME, 'inputs')
        shutil.rmtree(self.project, ignore_errors=True)
        shutil.copytree(os.path.join(ROOT, 'recipes/webhook'), self.project)
        self.mirrors = standin()
        for words in (['lock', self.project], self.build()):
            subprocess.run([self.imgbuild, *words, '--cache-dir', inputs, '-q', *self.mirrors],
                           stdout=subprocess.DEVNULL, check=True)
        port_file = os.path.join(HOME, 'port')
        if os.path.exists(port_file):
            os.remove(port_file)
        mirror = os.path.join(os.path.dirname(__file__), 'mirror.py')
        self.mirror = subprocess.Popen([sys.executable, mirror, os.path.join(self.project, 'recipe.lock'),
                                        os.path.join(inputs, 'blobs/sha256'), port_file])
        while not os.path.exists(port_file):
            time.sleep(0.01)
        with open(port_file) as file:
            address = 'http://127.0.0.1:' + file.read()
        pairs = [f'{url}={address}{path}' for url, path in SERVED.items()]
        self.mirrors = [word for pair in pairs for word in ('--mirror', pair)]
        return self

    def __exit__(self, *_):
        self.mirror.terminate()
        self.mirror.wait()

    def build(self, output=None):
        """Returns the words of a build of both platforms."""
        return ['build', self.project, '-o', output or self.output]

    def command(self, words):
        """Returns the command line that runs `words` with the cache and the mirror."""
        return [self.imgbuild, *words, '--cache-dir', self.cache, '-q', *self.mirrors]

    def forget(self, *below):
        """Removes the cache, or a folder of it."""
        shutil.rmtree(os.path.join(self.cache, *below), ignore_errors=True)

    def remove_output(self):
        shutil.rmtree(self.output, ignore_errors=True)

    def write(self, name, text):
        with open(os.path.join(HOME, name), 'w') as file:
            file.write(text)
