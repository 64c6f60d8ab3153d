//! What was fetched once is not believed for ever: the cache may have been changed since.

use imgbuild::diagnose::{Class, Diagnose as _};
use imgbuild::edge::fetch::{FetchOptions, Fetcher, Input};
use imgbuild::edge::store::Store;
use imgbuild::oci::Digest;

#[test]
fn an_input_that_was_changed_in_the_cache_is_fetched_again_and_never_used() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let store = Store::open(dir.path().join("cache")).expect("a store");
    let origin = dir.path().join("a.rpm");
    std::fs::write(&origin, b"good").expect("written");
    let options = FetchOptions {
        offline: true,
        ..FetchOptions::default()
    };
    let fetcher = Fetcher::new(options).expect("a fetcher");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let digest = Digest::of(b"good");
    let from = |url: String| {
        let input = Input {
            what: "a.rpm".to_owned(),
            urls: vec![url],
            digest,
            size: Some(4),
        };
        runtime.block_on(fetcher.fetch(&store, &input))
    };
    let near = format!("file://{}", origin.display());
    from(near.clone()).expect("fetched");

    // Of the same size, as only its digest tells.
    std::fs::write(store.path(&digest), b"evil").expect("changed");
    let blob = from(near).expect("fetched again");
    assert_eq!(blob.read_all(4).expect("readable"), b"good");

    std::fs::write(store.path(&digest), b"evil").expect("changed");
    let error = from("https://far.example/a.rpm".to_owned()).expect_err("nothing good is there");
    assert_eq!(error.class(), Class::Unavailable, "{error}");
    assert!(!store.has(&digest), "the changed blob is gone");
}

#[test]
fn an_output_that_could_not_be_written_is_refused_before_the_build() {
    use imgbuild::edge::layout::{self, Format};
    let dir = tempfile::tempdir().expect("a temporary folder");
    let project = dir.path().join("project");
    std::fs::create_dir(&project).expect("a folder");
    std::fs::write(project.join("app.py"), "").expect("written");
    assert!(layout::check(&project, Format::Oci, 1).is_err());
    assert!(layout::check(&project.join("out"), Format::Oci, 2).is_ok());
    assert!(layout::check(&project.join("out.tar"), Format::DockerArchive, 1).is_ok());
    assert!(layout::check(&project.join("out.tar"), Format::DockerArchive, 2).is_err());
    let left = std::fs::read_dir(&project).expect("a folder").count();
    assert_eq!(left, 1, "looking writes nothing");
}

#[test]
fn derived_data_that_another_sealed_is_no_answer() {
    let dir = tempfile::tempdir().expect("a temporary folder");
    let open = |secret| {
        Store::open(dir.path())
            .expect("a store")
            .sealed_with(secret)
    };
    let key = Digest::of(b"key");
    open([1; 32])
        .put_derived("layer", key, b"forged")
        .expect("kept");
    assert_eq!(open([2; 32]).get_derived("layer", key), None);
    assert_eq!(
        open([1; 32]).get_derived("layer", key).as_deref(),
        Some(&b"forged"[..])
    );
}
