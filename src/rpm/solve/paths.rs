//! Finds the paths that only filelists.xml can tell about.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use super::pool::{Id, Universe};
use super::{Request, Weak};
use crate::rpm::package::{Capability, Dependency};

/// Tells whether primary.xml lists a path for every package that has it.
///
/// <https://github.com/rpm-software-management/createrepo_c/blob/master/src/misc.h> (`cr_is_primary`)
fn is_primary(path: &str) -> bool {
    path.starts_with("/etc/") || path.contains("bin/") || path == "/usr/lib/sendmail"
}

impl Universe<'_> {
    /// Returns the paths that only filelists.xml can tell about; see [`super::wanted_paths`].
    ///
    /// Goes from the request to everything that might answer, and to everything that this requires. So it names
    /// more than the solution will need, and seldom any at all.
    #[must_use]
    pub fn wanted_paths(&self, request: &Request) -> BTreeSet<Arc<str>> {
        let mut walk = Walk {
            universe: self,
            wanted: BTreeSet::new(),
            seen: HashSet::new(),
            looked: HashSet::new(),
            queue: Vec::new(),
        };
        for text in request
            .install
            .iter()
            .chain(request.replace.values())
            .chain(&request.upgrade)
        {
            let found = self.find(text);
            if found.groups.is_empty() && text.starts_with('/') {
                walk.path(&Capability::any(text.trim()));
            }
            for id in found.groups.into_iter().flatten() {
                walk.reach(id);
            }
        }
        // The base's own requirements are answered; but a conditional one may wake.
        for id in 0..self.installed {
            walk.reach(id);
        }
        while let Some(id) = walk.queue.pop() {
            let package = self.packages[id];
            let requires = if self.is_installed(id) {
                &package.requires[..]
            } else {
                &[]
            };
            let rich = requires
                .iter()
                .filter(|dependency| matches!(dependency, Dependency::Rich(_)));
            let hard = if self.is_installed(id) {
                &[]
            } else {
                &package.requires[..]
            };
            let weak = if request.weak == Weak::Install {
                &package.recommends[..]
            } else {
                &[]
            };
            for dependency in rich.chain(hard).chain(weak) {
                walk.dependency(dependency);
            }
        }
        walk.wanted
    }
}

struct Walk<'u, 'a> {
    universe: &'u Universe<'a>,
    wanted: BTreeSet<Arc<str>>,
    seen: HashSet<Id>,
    /// Dependencies looked at, by where they lie in memory: metadata keeps equal ones once.
    looked: HashSet<*const ()>,
    queue: Vec<Id>,
}

impl<'a> Walk<'_, 'a> {
    fn reach(&mut self, id: Id) {
        if self.seen.insert(id) {
            self.queue.push(id);
        }
    }

    fn path(&mut self, capability: &Capability) {
        let answers = self.universe.answering(capability);
        let in_base = answers.iter().any(|&id| self.universe.is_installed(id));
        if capability.is_path() && !is_primary(&capability.name) && !in_base {
            self.wanted.insert(capability.name.clone());
        }
    }

    fn dependency(&mut self, dependency: &'a Dependency) {
        let place = match dependency {
            Dependency::Plain(capability) => Arc::as_ptr(capability).cast::<()>(),
            Dependency::Rich(expression) => Arc::as_ptr(expression).cast::<()>(),
        };
        if !self.looked.insert(place) {
            return;
        }
        match dependency {
            Dependency::Plain(capability) => self.path(capability),
            Dependency::Rich(expression) => {
                expression.each(&mut |capability| self.path(capability))
            }
        }
        for id in self.universe.any_matching(dependency) {
            self.reach(id);
        }
    }
}
