"""The rows of the table: each measures one thing and compares it with a bound or a peer of the same run."""

import os

from measure import median


def cold_build(bed, runs):
    """empty cache, inputs on a loopback mirror"""
    def before():
        bed.forget()
        bed.remove_output()
    took = median(bed.command(bed.build()), runs, before)
    return took, busy(took)


def cold_layers(bed, runs):
    """inputs in the cache, nothing made of them yet"""
    def before():
        bed.forget('derived')
        bed.remove_output()
    took = median(bed.command(bed.build()), runs, before)
    return took, busy(took)


def nothing_changed(bed, runs):
    """nothing changed since the last build"""
    took = median(bed.command(bed.build()), runs, lambda: None)
    return took, target(took, 0.060)


def nothing_changed_but_the_output(bed, runs):
    """nothing changed, written to another place"""
    took = median(bed.command(bed.build()), runs, bed.remove_output)
    return took, target(took, 0.060)


def one_source_file_changed(bed, runs):
    """one source file changed"""
    path = os.path.join(bed.project, 'src/app.py')

    def before():
        with open(path, 'a') as file:
            file.write('# changed\n')
    took = median(bed.command(bed.build()), runs, before)
    return took, target(took, 0.150)


def lock_with_nothing_to_do(bed, runs):
    """`lock` with nothing to do"""
    took = median(bed.command(['lock', bed.project]), runs, lambda: None)
    return took, target(took, 0.200)


def busy(took):
    """Compares with what the same work would take were no core ever idle."""
    bound = took.cpu / os.cpu_count()
    return f'{took.wall / bound:.2f} × the same CPU time on all cores'


def target(took, seconds):
    return f'{took.wall / seconds:.2f} × the {seconds * 1000:.0f} ms aimed at'


ROWS = [cold_build, cold_layers, nothing_changed, nothing_changed_but_the_output, one_source_file_changed,
        lock_with_nothing_to_do]
