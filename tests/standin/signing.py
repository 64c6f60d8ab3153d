"""The committed throwaway keys in a short-lived GnuPG home, at one fixed time: equal input, equal signature."""

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

KEYS = Path(__file__).parent / 'keys'
_SIGN = '--batch --no-tty --pinentry-mode loopback --faked-system-time 20240601T000000!'    # !: the clock stands still


def public_key(name):
    return KEYS / f'{name}.public.asc'


class Keyring:
    """A GnuPG home holding the secret keys; a context, because it starts an agent that must end."""

    def __enter__(self):
        # Not under the output folder: an agent's socket path may not be longer than 107 bytes.
        self.home = tempfile.mkdtemp(prefix='standin-gpg-')
        self.env = dict(os.environ, GNUPGHOME=self.home, LC_ALL='C.UTF-8', HOME=self.home)
        subprocess.run(['gpg', '--batch', '--quiet', '--import', *map(str, sorted(KEYS.glob('*.secret.asc')))],
                       env=self.env, check=True, stderr=subprocess.DEVNULL)
        return self

    def __exit__(self, *_):
        subprocess.run(['gpgconf', '--kill', 'all'], env=self.env)
        shutil.rmtree(self.home, ignore_errors=True)

    def sign(self, key, rpms):
        """Adds the header signature to each RPM."""
        defines = {'__gpg': '/usr/bin/gpg', '_gpg_digest_algo': 'sha256', '_gpg_name': f'{key}@standin.invalid',
                   '_gpg_sign_cmd_extra_args': _SIGN}
        command = ['rpmsign', '--addsign']
        for name, value in defines.items():
            command += ['--define', f'{name} {value}']
        done = subprocess.run([*command, *rpms], env=self.env, text=True, capture_output=True)
        if done.returncode:
            raise SystemExit(f'standin: rpmsign failed: {done.stderr}')

    def detached(self, key, path):
        """Writes `path`.asc, an armoured signature of the file."""
        subprocess.run(['gpg', *_SIGN.split(), '--quiet', '--yes', '-u', f'{key}@standin.invalid', '--detach-sign',
                        '--armor', '-o', f'{path}.asc', path], env=self.env, check=True, stderr=subprocess.DEVNULL)
