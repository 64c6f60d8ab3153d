"""Programs that are in the repository only: services with users, capabilities, weak dependencies, hard links."""

from .model import EVR, ISA, P, Source

_NGINX_USER = '''getent group nginx > /dev/null || groupadd -r nginx
getent passwd nginx > /dev/null || \\
    useradd -r -d /var/lib/nginx -g nginx \\
    -s /sbin/nologin -c "Nginx web server" nginx
exit 0'''

SOURCES = (
    Source('nginx', (
        P('nginx-mimetypes', 'mime.types', arch='noarch', config=True),
        P('nginx-filesystem', '^/var/www', '^/etc/nginx/conf.d', '^/etc/nginx/default.d', '^/usr/share/nginx/modules',
          arch='noarch', requires_pre=('shadow-utils',), scripts={'pre': _NGINX_USER}),
        P('nginx', config=True, provides=('webserver',), recommends=('logrotate',),
          requires=(f'nginx-filesystem = 1:{EVR}', 'nginx-mimetypes', 'openssl-libs', 'system-logos'),
          attrs={'^/var/(lib|log)/nginx': ('0770', 'nginx', 'root')},
          scripts={'post': 'if [ $1 -eq 1 ] && [ -x /usr/lib/systemd/systemd-update-helper ]; then '
                           '/usr/lib/systemd/systemd-update-helper install-system-units nginx.service || : ; fi'}),
    ), debs=('nginx', 'nginx-common'), epoch=1, contents='nginx'),
    Source('generic-logos', (
        P('generic-logos-httpd', 'httpd', arch='noarch', conflicts=('system-logos-conflict',),
          provides=(f'system-logos-httpd = {EVR}', 'system-logos(httpd-logo-ng)')),
        P('generic-logos', arch='noarch', provides=(f'system-logos = {EVR}',), obsoletes=('old-logos < 17',)),
    ), version='18.0.0', release='12.amzn2023.0.3', contents='logos'),
    Source('iputils', (
        P('iputils', caps={'^/usr/bin/ping$': 'cap_net_raw=p'}, provides=('/bin/ping',), requires=('filesystem >= 3',)),
    ), debs=('iputils-ping',)),
    Source('systemd', (P('systemd-standalone-sysusers', provides=('/bin/systemd-sysusers',)),),
           debs=('systemd-standalone-sysusers',)),
    Source('less', (P('less', '^/usr/bin/less'),), debs=('less',), payload='w9.gzdio', signer='other'),
    Source('jq', (P('jq'),), debs=('jq', 'libjq1'), payload='w6.xzdio'),
    Source('nodejs20', (
        P('nodejs20', requires_post=('/usr/sbin/alternatives',), ghost=('/usr/bin/node', '/usr/bin/npm'),
          scripts={'post': '/usr/sbin/alternatives --install /usr/bin/node node /usr/bin/node-20 20 \\\n'
                           ' --slave /usr/bin/npm npm /usr/bin/npm-20'}),
    ), version='20.18.3', release='1.amzn2023.0.1', epoch=1, contents='nodejs'),
    Source('git', (
        P('git-core', '^/usr/bin/git', '^/usr/lib/git-core/(?!git-(svn|cvs|arch|p4|gui|citool))',
          recommends=('less', 'openssh-clients')),
        P('git'),
    ), debs=('git',)),
    Source('perl', (
        P('perl-libs', '^/usr/lib64/libperl', '^/usr/lib64/perl-base'),
        P('perl-interpreter', '^/usr/bin/perl', requires=(f'perl-libs{ISA} = 4:{EVR}',)),
        P('perl-modules', requires=('perl-interpreter',)),
    ), debs=('perl-base', 'libperl5.36', 'perl-modules-5.36', 'perl'), epoch=4, automatic=False, hardlink=True),
)
