//! A lock is out of step exactly when `uv lock --check` says so.

use std::fs;

use imgbuild::python::pyproject::Pyproject;
use imgbuild::python::stale;
use imgbuild::python::uv_lock::UvLock;

use super::uv::Uv;

const PROJECT: &str = r#"
[project]
name = "step"
version = "0.1"
requires-python = ">=3.11"
dependencies = ["click>=8,<9", "httpx[http2]", "idna; python_version >= '3.8'", "six; sys_platform == 'linux'"]
[project.optional-dependencies]
cli = ["rich; python_version < '3.13'"]
all = ["step[cli]", "attrs>=23"]
[dependency-groups]
dev = ["iniconfig", { include-group = "lint" }]
lint = ["pluggy>=1"]
[tool.uv]
exclude-newer = "2026-10-01T00:00:00Z"
"#;

#[test]
fn a_lock_is_out_of_step_exactly_when_uv_says_so() {
    let Some(uv) = Uv::find() else { return };
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path().canonicalize().unwrap();
    let pyproject = folder.join("pyproject.toml");
    fs::write(&pyproject, PROJECT).unwrap();
    uv.must(&folder, &["lock"]);
    let lock = UvLock::parse(&fs::read_to_string(folder.join("uv.lock")).unwrap()).unwrap();
    for (from, to) in [
        ("", ""),
        ("click>=8,<9", "Click <9, >=8"),
        (
            "\"click>=8,<9\", \"httpx[http2]\"",
            "\"httpx[http2]\", \"click>=8,<9\"",
        ),
        (
            "version = \"0.1\"",
            "version = \"0.1\"\ndescription = 'new'",
        ),
        ("sys_platform == 'linux'", "'linux' == sys_platform"),
        ("click>=8,<9", "click>=8.0,<9"),
        ("click>=8,<9", "click>=8"),
        ("httpx[http2]", "httpx"),
        ("httpx[http2]", "httpx[http2,brotli]"),
        ("; sys_platform == 'linux'", ""),
        ("\"httpx[http2]\", ", ""),
        (
            "\"httpx[http2]\"",
            "\"httpx[http2]\", \"typing-extensions\"",
        ),
        ("step[cli]", "step"),
        ("attrs>=23", "attrs>=22"),
        ("cli = ", "tui = "),
        ("pluggy>=1", "pluggy"),
        ("lint = [", "other = []\nlint = ["),
        (", { include-group = \"lint\" }", ""),
        (">=3.11", ">=3.12"),
        (">=3.11", "~=3.11"),
        ("name = \"step\"", "name = \"stop\""),
    ] {
        let changed = PROJECT.replace(from, to);
        fs::write(&pyproject, &changed).unwrap();
        let theirs = uv.run(&folder, &["lock", "--check"]).status.success();
        let ours = stale::check(&lock, &Pyproject::parse(&changed).unwrap());
        assert_eq!(ours.is_ok(), theirs, "`{from}` as `{to}`: {ours:?}");
    }
}
