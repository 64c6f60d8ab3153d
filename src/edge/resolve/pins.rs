//! Which state of a repository the old lock holds it to.

use super::Update;
use crate::lock;
use crate::oci::Platform;
use crate::rpm::repofile::RepoFile;

/// Returns the address that `locked` pins `definition` to, unless it may move or names its address itself.
///
/// A `baseurl` is the address: a pin could only repeat it, or contradict a recipe that has changed since. What is pinned
/// is what a list of mirrors led to.
pub(super) fn address(
    definition: &RepoFile,
    platform: Platform,
    releasever: Option<&str>,
    locked: &[lock::Repository],
    update: &Update,
) -> Option<String> {
    if update.rpm() || !definition.baseurl.is_empty() {
        return None;
    }
    let same = |locked: &&lock::Repository| {
        locked.id == definition.id
            && locked.platform == platform
            && locked.releasever.as_deref() == releasever
    };
    locked.iter().find(same).map(|locked| locked.url.clone())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::oci::Digest;
    use crate::rpm::repofile;

    #[test]
    fn a_list_of_mirrors_stays_where_it_led_and_a_changed_address_is_followed() {
        let platform: Platform = "linux/amd64".parse().expect("supported");
        let locked = [lock::Repository {
            id: "r".to_owned(),
            platform,
            url: "https://old.example/".to_owned(),
            releasever: Some("1".to_owned()),
            repomd: Digest::of(b""),
            signed_by: None,
            gpgcheck: true,
        }];
        let pin = |line: &str, releasever, words: &[&str]| {
            let text = format!("[r]\n{line}\n");
            let mut files =
                repofile::parse_repo_file("r.repo", &text, &BTreeMap::new()).expect("valid");
            let words: Vec<String> = words.iter().map(|&word| word.to_owned()).collect();
            address(
                &files.remove(0),
                platform,
                releasever,
                &locked,
                &Update::parse(&words),
            )
        };
        let list = "mirrorlist=https://m.example/";
        assert_eq!(
            pin(list, Some("1"), &[]).as_deref(),
            Some("https://old.example/")
        );
        assert_eq!(pin(list, Some("2"), &[]), None);
        assert_eq!(pin(list, Some("1"), &["rpm"]), None);
        assert_eq!(pin("baseurl=https://new.example/", Some("1"), &[]), None);
    }
}
