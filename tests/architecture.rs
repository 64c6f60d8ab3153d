//! The boundary between core and edge, and the rules every source file keeps; each check is shown to catch faults.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// What touches the world. Everything else under `src/` is a function of its arguments.
/// The build script is no part of the program.
const EDGE: [&str; 5] = [
    "src/edge/",
    "src/cli/",
    "src/main.rs",
    "src/lib.rs",
    "src/build_script.rs",
];

/// Paths that lead to disk, network, clock, environment or other processes, or from the core to the edge.
const WORLD: [&str; 22] = [
    "std::fs",
    "std::env",
    "std::net",
    "std::process",
    "std::path",
    "std::os",
    "std::time::SystemTime",
    "std::time::Instant",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
    "std::thread::sleep",
    "std::thread::available_parallelism",
    "tokio",
    "reqwest",
    "rustix",
    "tempfile",
    "crate::edge",
    "crate::cli",
    "imgbuild::edge",
    "imgbuild::cli",
    "ignore",
];

/// Names that mean the same wherever they come from: clocks, and maps whose order differs from run to run.
const WORDS: [&str; 7] = [
    "SystemTime",
    "Instant",
    "RandomState",
    "DefaultHasher",
    "HashMap",
    "HashSet",
    "temp_dir",
];

/// Files that look things up in unordered maps and never list them: their order reaches nothing.
const LOOKED_UP_ONLY: [&str; 6] = [
    "src/rpm/repodata/filelists.rs",
    "src/rpm/repodata/primary.rs",
    "src/rpm/solve/checker.rs",
    "src/rpm/solve/paths.rs",
    "src/rpm/solve/pool.rs",
    "src/rpm/solve/provider.rs",
];

/// A file that is longer holds more than one idea.
const LONGEST: usize = 600;

/// Names that say nothing of what is inside.
const VAGUE: [&str; 6] = ["util", "utils", "helpers", "manager", "context", "misc"];

/// Words, and the signs between them that make paths of them; comments, texts and numbers are left out.
fn tokens(source: &str) -> Vec<String> {
    let bytes = source.as_bytes();
    let (mut at, mut out) = (0, Vec::new());
    while at < bytes.len() {
        let rest = &source[at..];
        let end = |mark: &str| rest.find(mark).map_or(rest.len(), |end| end + mark.len());
        let skipped = if rest.starts_with("//") {
            end("\n")
        } else if rest.starts_with("/*") {
            end("*/")
        } else if let Some(hashes) = raw_text(rest) {
            let open = rest.find('"').expect("it was seen") + 1;
            let close = format!("\"{}", "#".repeat(hashes));
            open + rest[open..]
                .find(&close)
                .map_or(rest.len() - open, |end| end + close.len())
        } else if rest.starts_with('"') {
            text(rest)
        } else if rest.starts_with("'\\")
            || (rest.starts_with('\'') && rest.chars().nth(2) == Some('\''))
        {
            // A character, and not a lifetime.
            let first = 1 + rest[1..].chars().next().map_or(0, char::len_utf8);
            let after = if rest.starts_with("'\\") {
                first + 1
            } else {
                first
            };
            after + rest[after..].find('\'').map_or(0, |end| end + 1)
        } else {
            0
        };
        if skipped > 0 {
            at += skipped;
            continue;
        }
        let word = rest
            .find(|c: char| c != '_' && !c.is_alphanumeric())
            .unwrap_or(rest.len());
        let length = if word > 0 {
            word
        } else if rest.starts_with("::") {
            2
        } else {
            rest.chars().next().map_or(1, char::len_utf8)
        };
        if !rest[..length].trim().is_empty() {
            out.push(rest[..length].to_owned());
        }
        at += length;
    }
    out
}

/// Returns how many `#` a raw text begins with.
fn raw_text(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix('r').or_else(|| rest.strip_prefix("br"))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    after[hashes..].starts_with('"').then_some(hashes)
}

/// Returns the length of a text in quotes.
fn text(rest: &str) -> usize {
    let mut escaped = false;
    for (at, byte) in rest.bytes().enumerate().skip(1) {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return at + 1,
            _ => {}
        }
    }
    rest.len()
}

/// Returns every path in the code; those of `use a::{b, c as d}` are spelled out.
fn paths(tokens: &[String]) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    let (mut stack, mut path): (Vec<String>, String) = (Vec::new(), String::new());
    let mut in_use = false;
    for (at, token) in tokens.iter().enumerate() {
        let is_word = token.starts_with(|c: char| c == '_' || c.is_alphabetic());
        let follows_sign = at > 0 && tokens[at - 1] == "::";
        match token.as_str() {
            "use" => (in_use, path, stack) = (true, String::new(), Vec::new()),
            "::" if path.is_empty() => {}
            "::" => path += "::",
            "{" if in_use => stack.push(path.clone()),
            "," | "}" | ";" if in_use => {
                out.insert(std::mem::take(&mut path));
                if token == "}" {
                    stack.pop();
                }
                path = stack.last().cloned().unwrap_or_default();
                in_use = token != ";";
            }
            _ if is_word
                && (follows_sign || path.is_empty() || (in_use && path.ends_with("::"))) =>
            {
                path += token
            }
            // `as` and the name after it do not change where the path leads.
            _ if in_use => {}
            _ => {
                out.insert(std::mem::take(&mut path));
                if is_word {
                    path = token.clone();
                }
            }
        }
    }
    out.insert(path);
    out.retain(|path| !path.is_empty());
    out
}

/// Leaves out what is only compiled for tests: unit tests may touch the world.
fn without_tests(source: &str) -> &str {
    source
        .find("#[cfg(test)]\nmod tests {")
        .map_or(source, |at| &source[..at])
}

/// Returns what a core module may not name.
fn violations(file: &str, source: &str) -> Vec<String> {
    let tokens = tokens(without_tests(source));
    let mut found: Vec<String> = paths(&tokens)
        .into_iter()
        .filter(|path| {
            let begins = |world: &str| {
                path.strip_prefix(world)
                    .is_some_and(|rest| rest.is_empty() || rest.starts_with("::"))
            };
            // `super::super::edge` is `crate::edge`.
            let upwards = path.split("::").find(|part| *part != "super");
            WORLD.iter().any(|world| begins(world))
                || (path.starts_with("super::") && matches!(upwards, Some("edge" | "cli")))
        })
        .collect();
    let allowed = |word: &str| word.starts_with("Hash") && LOOKED_UP_ONLY.contains(&file);
    found.extend(
        tokens
            .iter()
            .filter(|token| WORDS.contains(&token.as_str()) && !allowed(token))
            .cloned(),
    );
    found.sort();
    found.dedup();
    found
}

/// Returns what is wrong with a file as such, wherever it is.
fn untidy(file: &str, source: &str) -> Vec<String> {
    let mut found = Vec::new();
    if !source.starts_with("//! ") {
        found.push("its first line does not say what it is for (`//! …`)".to_owned());
    }
    let lines = source.lines().count();
    if lines > LONGEST {
        found.push(format!("{lines} lines; split it before {LONGEST}"));
    }
    let stem = Path::new(file)
        .file_stem()
        .and_then(|stem| stem.to_str())
        .unwrap_or_default();
    if stem.split('_').any(|word| VAGUE.contains(&word)) {
        found.push(format!("`{stem}` does not say what is inside"));
    }
    found
}

/// Every Rust file below a folder of the repository, by its path.
fn rust_files(folder: &str) -> BTreeMap<String, String> {
    fn visit(root: &Path, below: &str, out: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(root.join(below)).expect("a folder of the repository") {
            let entry = entry.expect("an entry");
            let path = format!("{below}/{}", entry.file_name().to_string_lossy());
            if entry.path().is_dir() {
                visit(root, &path, out);
            } else if Path::new(&path)
                .extension()
                .is_some_and(|kind| kind == "rs")
            {
                out.insert(path, fs::read_to_string(entry.path()).expect("text"));
            }
        }
    }
    let mut out = BTreeMap::new();
    visit(Path::new(env!("CARGO_MANIFEST_DIR")), folder, &mut out);
    out
}

/// Returns the modules that exist only in tests: `#[cfg(test)] mod name;`.
fn test_modules(files: &BTreeMap<String, String>) -> BTreeSet<String> {
    let mut out = BTreeSet::new();
    for (file, source) in files {
        let folder = file
            .strip_suffix("/mod.rs")
            .or_else(|| file.strip_suffix(".rs"))
            .expect("a Rust file");
        for declared in source.split("#[cfg(test)]\nmod ").skip(1) {
            if let Some(name) = declared
                .split_once(';')
                .map(|(name, _)| name)
                .filter(|name| !name.contains(' '))
            {
                out.insert(format!("{folder}/{name}.rs"));
            }
        }
    }
    out
}

#[test]
fn the_core_is_a_function_of_its_arguments() {
    let files = rust_files("src");
    let for_tests = test_modules(&files);
    let core = files.iter().filter(|(file, _)| {
        !EDGE.iter().any(|edge| file.starts_with(edge)) && !for_tests.contains(*file)
    });
    let found: Vec<String> = core
        .flat_map(|(file, source)| {
            violations(file, source)
                .into_iter()
                .map(move |what| format!("{file} names `{what}`"))
        })
        .collect();
    assert!(
        found.is_empty(),
        "only edge/ and cli/ may touch the world:\n{}",
        found.join("\n")
    );
}

#[test]
fn exceptions_are_still_needed() {
    let files = rust_files("src");
    for file in LOOKED_UP_ONLY {
        let source = files
            .get(file)
            .unwrap_or_else(|| panic!("{file} is gone: take it off the list"));
        assert!(
            source.contains("Hash"),
            "{file} has no unordered map any more: take it off the list"
        );
    }
}

#[test]
fn every_file_says_what_it_is_for_and_holds_one_idea() {
    let mut files = rust_files("src");
    files.extend(rust_files("tests"));
    let found: Vec<String> = files
        .iter()
        .flat_map(|(file, source)| {
            untidy(file, source)
                .into_iter()
                .map(move |what| format!("{file}: {what}"))
        })
        .collect();
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn planted_violations_are_caught() {
    for planted in [
        "use std::fs;",
        "use std::{collections::BTreeMap, fs as disk, io};",
        "use std::{io::{self, Read}, net::{TcpStream}};",
        "fn f() { let _ = std::env::var(\"HOME\"); }",
        "fn f() { ::std::process::abort() }",
        "use std::time::{Duration, Instant};",
        "use std::time;\nfn f() { time::SystemTime::now(); }",
        "use std::path::PathBuf;",
        "fn f(p: &std::path::Path) -> bool { p.exists() }",
        "use tokio::fs::File;",
        "fn f() { reqwest::get(\"x\"); }",
        "use crate::edge::store::Store;",
        "use crate::{layer::Tree, edge};",
        "use super::super::cli;",
        "fn f() { crate::cli::main(x) }",
        "use std::collections::{BTreeMap, HashMap};",
        "use std::collections::HashSet as Set;",
        "fn f() { std::collections::hash_map::RandomState::new(); }",
        "use std::io::stdout;",
        "const A: &str = r#\"a \" // \"#; use std::fs;",
        "const A: char = '\"'; use std::env; const B: char = '\\'';",
        "/* use x; */ use std::fs; // fine",
        "use std::thread::available_parallelism;",
    ] {
        assert!(
            !violations("src/x.rs", planted).is_empty(),
            "not caught: {planted}"
        );
    }
    assert_eq!(
        violations("src/x.rs", "use std::{fs as f, io};"),
        ["std::fs"]
    );
}

#[test]
fn clean_code_passes() {
    for clean in [
        "use std::io::{self, Read};\nuse std::collections::BTreeMap;\nuse std::time::Duration;",
        "// use std::fs;\n/// See [`crate::edge`] and std::env.\nfn f() {}",
        "fn f() { let edge = 1; let env = config.env.get(\"std::fs\"); node.process(edge) }",
        "enum Kind { Path(LayerPath), File } fn f() { Kind::Path(x); self::net::f(); rpm::process::f(); }",
        "use crate::layer::{Tree, path::LayerPath};\nuse super::node::Node;",
        "const A: &str = \"use std::fs;\"; const B: &str = r\"std::env\"; const C: &[u8] = br#\"std::net\"#;",
        "fn f<'a>(x: &'a str) -> &'a str { x }",
        "fn f() {}\n#[cfg(test)]\nmod tests {\n use std::fs;\n}",
    ] {
        assert_eq!(violations("src/x.rs", clean), [""; 0], "{clean}");
    }
    assert_eq!(
        violations(LOOKED_UP_ONLY[0], "use std::collections::HashMap;"),
        [""; 0]
    );
}

#[test]
fn planted_untidiness_is_caught() {
    let long = format!("//! Long.\n{}", "\n".repeat(LONGEST));
    for (file, source) in [
        ("src/x.rs", "use x;\n"),
        ("src/x.rs", "/// x\n"),
        ("src/x.rs", &long),
        ("src/path_utils.rs", "//! x\n"),
    ] {
        assert_eq!(untidy(file, source).len(), 1, "{file}: {}", &source[..5]);
    }
    assert_eq!(
        untidy("src/contexts/path.rs", "//! Says what it is for.\n"),
        [""; 0]
    );
}

#[test]
fn modules_that_exist_only_in_tests_are_found() {
    let source =
        "mod real;\n#[cfg(test)]\nmod generated;\n#[cfg(test)]\nmod tests {\n fn f() { a; }\n}\n";
    let files = BTreeMap::from([("src/layer/mod.rs".to_owned(), source.to_owned())]);
    assert_eq!(
        test_modules(&files),
        BTreeSet::from(["src/layer/generated.rs".to_owned()])
    );
}
