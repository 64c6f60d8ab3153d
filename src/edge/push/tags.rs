//! What `push --all-tags` pushes: every image that a layout or archive tags.

use std::collections::BTreeMap;

use super::{Destination, PushError};
use crate::edge::layout::{ImagePath, Layout, REF_NAME};
use crate::oci::{Digest, Reference};

/// Returns each tagged image at `path` once, and where it goes: to the repository of `to`, under all of its tags.
///
/// An archive of Docker's names `app:1.0`; the tag of that is `1.0`.
///
/// # Errors
/// [`PushError::Tags`] if there are no tags, or two images would get the same, or a tag is named elsewhere too;
/// [`PushError::Layout`]; [`PushError::Tag`].
pub fn all_tags(
    path: &ImagePath,
    to: &Reference,
) -> Result<Vec<(ImagePath, Destination)>, PushError> {
    let bad = |why: String| PushError::Tags {
        path: path.path().to_owned(),
        why,
    };
    if path.tag().is_some() || to.tag().is_some() || to.digest().is_some() {
        return Err(bad(
            "all of its tags are to be pushed, so neither it nor the repository may be named with one"
                .to_owned(),
        ));
    }
    let layout = Layout::open(path.path())?;
    let mut images: BTreeMap<Digest, (ImagePath, Vec<String>)> = BTreeMap::new();
    let mut taken: BTreeMap<String, Digest> = BTreeMap::new();
    for image in layout.images() {
        let Some(name) = image.annotations.get(REF_NAME) else {
            continue;
        };
        let tag = match name.rsplit_once(':') {
            Some((_, tag)) if !tag.contains('/') => tag,
            _ => name,
        };
        if *taken.entry(tag.to_owned()).or_insert(image.digest) != image.digest {
            return Err(bad(format!("two of its images are tagged {tag}")));
        }
        let found = images.entry(image.digest);
        let (_, tags) = found.or_insert_with(|| (path.tagged(name), Vec::new()));
        tags.push(tag.to_owned());
    }
    if images.is_empty() {
        return Err(bad("none of its images has a tag".to_owned()));
    }
    images
        .into_values()
        .map(|(path, tags)| Ok((path, Destination::new(to.clone(), &tags)?)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::edge::layout::{Format, Parts, write};
    use crate::oci::{Descriptor, media_type};
    use serde_json::json;

    /// Writes a layout with these images under these tags.
    fn layout(path: &std::path::Path, images: &[(&str, Option<&str>)]) {
        let mut parts = Parts::new();
        for (text, tag) in images {
            let layer = Descriptor::of(media_type::LAYER, text.as_bytes());
            parts.add(&layer, text.as_bytes().to_vec());
            let config = Descriptor::of(media_type::CONFIG, b"{}");
            parts.add(&config, b"{}".to_vec());
            let manifest = json!({"schemaVersion": 2, "mediaType": media_type::MANIFEST,
                "config": config, "layers": [layer]});
            let manifest = manifest.to_string().into_bytes();
            let image = Descriptor::of(media_type::MANIFEST, &manifest);
            parts.add(&image, manifest);
            parts.name(image, *tag);
        }
        write(path, Format::Oci, &parts).expect("written");
    }

    #[test]
    fn each_image_goes_once_under_all_of_its_tags() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("out");
        let to: Reference = "r.io/app".parse().expect("a reference");
        let found = |images: &[(&str, Option<&str>)]| {
            layout(&path, images);
            all_tags(&ImagePath::new(&path), &to).map(|found| {
                let mut tags: Vec<Vec<String>> = found
                    .iter()
                    .map(|(_, destination)| destination.tags().to_vec())
                    .collect();
                tags.sort();
                tags
            })
        };
        let some = [
            ("a", Some("1.0")),
            ("a", Some("latest")),
            ("b", Some("app:2.0")),
            ("c", None),
        ];
        let tags = found(&some).expect("tags");
        assert_eq!(
            tags,
            [
                vec!["1.0".to_owned(), "latest".to_owned()],
                vec!["2.0".to_owned()]
            ]
        );
        for bad in [&[("a", None)][..], &[("a", Some("1")), ("b", Some("x:1"))]] {
            assert!(matches!(found(bad), Err(PushError::Tags { .. })), "{bad:?}");
        }
        layout(&path, &some);
        for (path, to) in [
            (ImagePath::new(&path).tagged("1.0"), "r.io/app"),
            (ImagePath::new(&path), "r.io/app:1"),
        ] {
            let to: Reference = to.parse().expect("a reference");
            assert!(matches!(all_tags(&path, &to), Err(PushError::Tags { .. })));
        }
    }
}
