//! What recipes mean, and how wrong ones are refused.

use super::*;

const SMALL: &str = r#"
[image]
name = "small"
[base]
image = "registry.example.com/base:1"
"#;

#[test]
fn a_small_recipe_has_sensible_defaults() {
    let recipe = Recipe::parse(SMALL).expect("a valid recipe");
    assert_eq!(recipe.image.platforms.len(), 1);
    assert!(!recipe.rpm.weak_dependencies);
    assert_eq!(
        recipe.rpm.repositories,
        [Repository::Base(BaseRepositories::Base)]
    );
}

#[test]
fn an_unknown_key_names_the_nearest_known_one() {
    let error = Recipe::parse(&format!("{SMALL}\n[runtime]\npackges = []\n"))
        .expect_err("a misspelled key");
    assert_eq!(
        error.to_string(),
        "line 8: unknown key `packges`; known here: packages, upgrade, replace"
    );
    assert_eq!(
        crate::diagnose::Diagnose::hint(&error).as_deref(),
        Some("did you mean `packages`?")
    );
}

#[test]
fn a_package_may_be_asked_for_with_its_version() {
    let text =
        "[runtime]\npackages = [\"gcc\", { name = \"python3.11\", version = \"3.11.14\" }]\n";
    let recipe = Recipe::parse(&format!("{SMALL}\n{text}")).expect("valid");
    assert_eq!(
        recipe.packages(Stage::Runtime),
        ["gcc", "python3.11-3.11.14"]
    );
}

#[test]
fn values_that_cannot_be_meant_are_refused_with_their_key() {
    for (text, wanted) in [
        (
            "[[copy]]\nfrom = \"/etc\"\nto = \"/x\"",
            "copy[0].from: `/etc` must be relative to the recipe's folder",
        ),
        (
            "[[copy]]\nfrom = \"../x\"\nto = \"/x\"",
            "copy[0].from: path `../x` holds `..`, which could leave the image root",
        ),
        (
            "[[copy]]\nfrom = \"x\"\nto = \"x\"",
            "copy[0].to: `x` must be an absolute path in the image",
        ),
        (
            "[user]\nname = \"a:b\"\nuid = 1",
            "user.name: `a:b` is not a user name (a-z, 0-9, _ and -)",
        ),
        (
            "[config]\nexpose = [\"http\"]",
            "config.expose: `http` is not a port such as `5000/tcp`",
        ),
        (
            "[config]\nexpose = [\"+80\"]",
            "config.expose: `+80` is not a port such as `5000/tcp`",
        ),
        (
            "[user]\nname = \"a\"\nuid = 4294967295",
            "user.uid: 4294967295 is no id on Linux",
        ),
        (
            "[python]\ninterpreter = \"python\"",
            "python.interpreter: `python` is not like `python3.11`",
        ),
    ] {
        let error = Recipe::parse(&format!("{SMALL}\n{text}\n")).expect_err(text);
        assert_eq!(error.to_string(), wanted);
    }
}

#[test]
fn comments_and_layout_do_not_change_the_checksum_but_values_do() {
    let plain = Recipe::parse(SMALL).expect("valid").checksum();
    let commented = Recipe::parse(&format!(
        "# hello\n{}",
        SMALL.replace("name = ", "name   =  ")
    ))
    .expect("valid");
    let other = Recipe::parse(&SMALL.replace("small", "large"))
        .expect("valid")
        .checksum();
    assert_eq!(commented.checksum(), plain);
    assert_ne!(other, plain);
}

#[test]
fn arguments_come_from_the_caller_then_the_environment_then_the_default() {
    let text = format!(
        "{SMALL}\n[args]\nA = {{ default = \"d\", env = \"E\" }}\nB = {{ default = \"d\" }}\n"
    );
    let recipe = Recipe::parse(&text).expect("valid");
    let set = BTreeMap::from([("B".to_owned(), "set".to_owned())]);
    let args = Args::settle(&recipe, &set, |name| {
        (name == "E").then(|| "env".to_owned())
    })
    .expect("all have values");
    assert_eq!(args.values()["A"], "env");
    assert_eq!(args.values()["B"], "set");
    let expand = |text: &str| {
        args.expand("k", text, |name| {
            (name == "PATH").then(|| "/bin".to_owned())
        })
    };
    assert_eq!(
        expand("${A}-${B}:$PATH:$HOME$$x"),
        Ok("env-set:/bin:$HOME$x".to_owned())
    );
    assert!(matches!(expand("${NOPE}"), Err(ArgError::Unknown { .. })));
    assert!(matches!(expand("${A"), Err(ArgError::Unclosed { .. })));
    let undeclared = BTreeMap::from([("C".to_owned(), String::new())]);
    assert!(matches!(
        Args::settle(&recipe, &undeclared, |_| None),
        Err(ArgError::Undeclared(_))
    ));
}

#[test]
fn the_schema_names_every_section() {
    let schema = json_schema();
    for section in [
        "image", "base", "args", "rpm", "builder", "runtime", "python", "copy", "user", "config",
    ] {
        assert!(
            schema["properties"].get(section).is_some(),
            "{section} is missing"
        );
    }
}
