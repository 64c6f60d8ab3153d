"""What makes it Amazon Linux 2023: release, repository file, accounts, directory tree, certificates."""

from .model import EVR, Build, P, Source, empty

# The base's release and the newest one. From 2023.11.20260406 on, AL2023 signs its repository metadata.
BASE_RELEASE = '2023.12.20260831'
LATEST_RELEASE = '2023.12.20260921'

_RELEASES = (Build('0.amzn2023', version='2023.11.20260413'),
             Build('0.amzn2023', version=LATEST_RELEASE, since='latest'))
_CA = '/etc/pki/ca-trust/extracted'

SOURCES = (
    Source('system-release', (
        P('system-release', arch='noarch', base=True,
          provides=('system-release(releasever) = 2023', 'redhat-release = 2023', f'amazon-linux-release = {EVR}')),
    ), version=BASE_RELEASE, release='0.amzn2023', contents='system_release', builds=_RELEASES),

    Source('amazon-linux-repo', (
        P('amazon-linux-repo-cdn', arch='noarch', base=True, marks={'^/etc/yum.repos.d': '%config(noreplace)'},
          provides=(f'system-repos = {EVR}', 'system-repos(2023)'), conflicts=('amazon-linux-repo-s3',),
          requires=('system-release >= 2023',)),
    ), version=BASE_RELEASE, release='0.amzn2023', contents='repository_file', builds=_RELEASES),

    Source('basesystem', (empty('basesystem', base=True, requires_pre=('filesystem', 'setup')),),
           version='11', release='11.amzn2023.0.2'),

    Source('setup', (
        P('setup', arch='noarch', base=True, requires=('system-release',),
          # Adding a user is no damage: rpm -V does not look.
          marks={'^/etc/(passwd|group|shadow|gshadow|shells)$': '%verify(not md5 size mtime) %config(noreplace)',
                 '^/etc/': '%config(noreplace)'},
          attrs={'^/etc/g?shadow$': ('0000', 'root', 'root')}),
    ), version='2.13.7', release='3.amzn2023.0.2', contents='setup'),

    Source('filesystem', (
        P('filesystem', base=True, requires_pre=('setup',), provides=(f'filesystem-afs = {EVR}',),
          scripts={'pretrans -p <lua>': 'posix.mkdir("/proc")'}),
    ), version='3.14', release='5.amzn2023.0.3', contents='filesystem'),

    Source('crypto-policies', (P('crypto-policies', arch='noarch', base=True, config=True),),
           version='20230614', release='1.git5f3458e.amzn2023', contents='crypto_policies'),

    Source('ca-certificates', (
        P('ca-certificates', '^/etc/pki', '^/etc/ssl', '^/usr/share/pki', '^/usr/bin/', arch='noarch', base=True,
          requires=('bash', 'coreutils', 'grep', 'sed', 'p11-kit >= 0.23', 'p11-kit-trust >= 0.23'),
          requires_post=('coreutils', 'bash'),
          ghost=(f'{_CA}/pem/tls-ca-bundle.pem', f'{_CA}/pem/email-ca-bundle.pem',
                 f'{_CA}/openssl/ca-bundle.trust.crt'), attrs={'/extracted/(pem|openssl)/.': ('0444', 'root', 'root')},
          scripts={'post': '/usr/bin/update-ca-trust'}),
    ), debs=('ca-certificates',), contents='ca_certificates'),

    Source('chkconfig', (
        P('alternatives', arch='noarch', base=True, requires=('bash', 'coreutils'),
          provides=('/usr/sbin/alternatives',)),
    ), version='1.15', release='2.amzn2023.0.3', contents='alternatives'),
)
