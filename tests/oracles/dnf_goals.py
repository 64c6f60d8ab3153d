#!/usr/bin/python3
"""Answers many install goals with dnf in one process: the oracle of tests/dnf_parity.rs.

    dnf_goals.py REPOSITORY ROOT SCRATCH ARCH WEAK < goals > answers

A goal is a line of tab-separated names. Its answer is `OK`, then `+nevra` for every package to install and `-nevra`
for every one to remove, separated by blanks; or `ERR` and dnf's message.
"""
import os
import sys
import time

repository, root, scratch, arch, weak = sys.argv[1:6]
os.environ["HOME"] = scratch
# Debian's rpm looks for the database in ~/.rpmdb, where dnf silently finds none.
with open(os.path.join(scratch, ".rpmmacros"), "w") as macros:
    macros.write("%_dbpath /var/lib/rpm\n")

import dnf  # noqa: E402, after HOME is set

base = dnf.Base()
conf = base.conf
for key in ("cachedir", "logdir", "persistdir"):
    folder = os.path.join(scratch, key)
    os.makedirs(folder, exist_ok=True)
    setattr(conf, key, folder)
conf.installroot = root
conf.reposdir = ["/dev/null"]
conf.substitutions["releasever"] = "2023"
conf.substitutions["basearch"] = arch
conf.arch = arch
conf.ignorearch = True
conf.install_weak_deps = weak == "1"
conf.plugins = False
conf.best = False
conf.gpgcheck = False
started = time.process_time()
base.repos.add_new_repo("r", conf, baseurl=["file://" + repository]).metadata_expire = 0
installed = os.path.exists(root + "/var/lib/rpm/rpmdb.sqlite")
base.fill_sack(load_system_repo=installed, load_available_repos=True)
loaded = time.process_time()
count = 0
for line in sys.stdin:
    names = line.rstrip("\n").split("\t")
    base.reset(goal=True)
    try:
        for name in names:
            base.install(name)
        base.resolve(allow_erasing=False)
        transaction = base.transaction
        answer = ["+" + str(package) for package in transaction.install_set]
        answer += ["-" + str(package) for package in transaction.remove_set]
        print("OK " + " ".join(sorted(answer)).replace("-0:", "-"))
    except dnf.exceptions.Error as error:
        print("ERR " + str(error).replace("\n", "|"))
    count += 1
solved = time.process_time()
print(f"dnf: load {loaded - started:.3f} s CPU, {count} goals {solved - loaded:.3f} s CPU", file=sys.stderr)
