"""Synthetic packages, one oddity each: file kinds, scriptlets, rich dependencies, versions that sort strangely."""

from .model import Build, P, Source, empty

_USER = '''getent group edgegroup >/dev/null || groupadd -r edgegroup
getent passwd edgeuser >/dev/null || useradd -r -g edgegroup -d / -s /sbin/nologin edgeuser
exit 0'''

SOURCES = (
    Source('edge', (
        P('edge-files', '^/opt/edge', '^/sbin/edge', '^/lib64/edge',
          ghost=('/opt/edge/ghost.log', '/var/lib/edge/state.db'),
          marks={'^/opt/edge/etc/noreplace': '%config(noreplace)', '^/opt/edge/etc/missing': '%config(missingok)',
                  '^/opt/edge/etc/plain': '%config'},
          attrs={'^/opt/edge/owned$': ('0640', 'edgeuser', 'edgegroup'), '^/opt/edge/suid$': ('6755', 'root', 'root'),
                 '^/opt/edge/sticky$': ('1777', 'root', 'root')},
          caps={'^/opt/edge/capped$': 'cap_net_bind_service=ep'}, devices=(('/opt/edge/null', 'c', 1, 3),),
          doc=('^/opt/edge/README',), license=('^/opt/edge/LICENSE',),
          requires_pre=('shadow-utils',), scripts={'pre': _USER}),
        P('edge-sysusers', 'sysusers.d', arch='noarch',
          scripts={'post': '[ -x /usr/bin/systemd-sysusers ] && '
                           '/usr/bin/systemd-sysusers /usr/lib/sysusers.d/edge.conf || :'}),
        empty('edge-failpost', scripts={'post': 'echo failing on purpose >&2; exit 3'}),
        empty('edge-trigger', triggers={'jq': 'echo triggered by jq > /tmp/edge-trigger || :'}),
        # rich dependencies: each operator
        empty('edge-rich-or', requires=('(edge-alt-a or edge-alt-b)',)),
        empty('edge-rich-if', requires=('(edge-alt-b if jq)', '(edge-alt-a if nosuchpkg else edge-sysusers)')),
        empty('edge-rich-unless', conflicts=('(edge-alt-a unless edge-alt-b)',)),
        empty('edge-rich-with', requires=('(edge-cap >= 2 with edge-cap < 3)', '(edge-cap without edge-alt-a)')),
        empty('edge-rich-and', requires=('(edge-alt-a and (edge-alt-c or edge-alt-b))',)),
        # choices
        empty('edge-alt-a', provides=('edge-cap = 1', 'edge-choice')),
        empty('edge-alt-b', provides=('edge-cap = 2.5', 'edge-choice')),
        empty('edge-alt-c', provides=('edge-cap = 3', 'edge-choice'), requires=('nothing-provides-this',)),
        empty('edge-choice-user', requires=('edge-choice',)),
        # weak dependencies, forward and backward
        empty('edge-weak', recommends=('edge-alt-a',), suggests=('edge-alt-b',), enhances=('bash',)),
        empty('edge-supplement', supplements=('(edge-weak and jq)',)),
        # a path that only filelists.xml knows
        empty('edge-filedep', requires=('/opt/edge/etc/noreplace.conf', '/etc/os-release', '/usr/bin/jq')),
        # replacing and refusing
        empty('edge-obsoleter', provides=('edge-oldname = 2',), obsoletes=('edge-oldname < 2',)),
        empty('edge-oldname'),
        empty('edge-conflict', conflicts=('less', 'edge-alt-a >= 1')),
        empty('edge-selfconflict', provides=('edge-mta',), conflicts=('edge-mta',)),
        empty('edge-selfconflict2', provides=('edge-mta',), conflicts=('edge-mta',)),
    ), version='1.0', release='1.amzn2023', contents='edge'),

    # The order of versions: tilde before, caret after, numbers by value, epoch above all.
    Source('edge-ver', (empty('edge-ver'),), version='1.0', release='1.amzn2023',
           builds=tuple(Build('1.amzn2023', version=v) for v in ('1.0~rc1', '1.0^git1', '1.0.1', '1.10', '1.9'))),
    Source('edge-ver-epoch', (empty('edge-ver-epoch', provides=('edge-ver-any',)),),
           version='0.5', release='1.amzn2023', epoch=1),
)
