//! What a recipe must hold beyond its types.

use std::collections::BTreeSet;

use super::{Recipe, RecipeError, Repository};
use crate::layer::LayerPath;

/// Checks the values that types alone do not.
pub(super) fn check(recipe: &Recipe) -> Result<(), RecipeError> {
    if recipe.image.name.trim().is_empty() {
        return Err(RecipeError::value("image.name", "is empty"));
    }
    if recipe.image.platforms.is_empty() {
        return Err(RecipeError::value(
            "image.platforms",
            "names no platform; write for example [\"linux/amd64\"]",
        ));
    }
    let distinct: BTreeSet<_> = recipe.image.platforms.iter().collect();
    if distinct.len() != recipe.image.platforms.len() {
        return Err(RecipeError::value(
            "image.platforms",
            "names a platform twice",
        ));
    }
    for repository in &recipe.rpm.repositories {
        if let Repository::Explicit(repository) = repository {
            let key = format!("rpm.repositories.{}", repository.id);
            match (&repository.baseurl, &repository.mirrorlist) {
                (Some(_), Some(_)) => {
                    return Err(RecipeError::value(
                        key,
                        "has both baseurl and mirrorlist; keep one",
                    ));
                }
                (None, None) => {
                    return Err(RecipeError::value(
                        key,
                        "has neither baseurl nor mirrorlist",
                    ));
                }
                _ => {}
            }
            if repository.gpgcheck && repository.gpgkey.is_empty() {
                return Err(RecipeError::value(
                    key,
                    "checks signatures but names no gpgkey; add one, or write gpgcheck = false",
                ));
            }
        }
    }
    if let Some(python) = &recipe.python {
        absolute("python.venv", &python.venv)?;
        relative("python.project", &python.project)?;
        let version = python
            .interpreter
            .strip_prefix("python")
            .and_then(|v| v.split_once('.'));
        let numbers =
            version.is_some_and(|(major, minor)| major == "3" && minor.parse::<u8>().is_ok());
        if !numbers {
            return Err(RecipeError::value(
                "python.interpreter",
                format!("`{}` is not like `python3.11`", python.interpreter),
            ));
        }
    }
    for (at, rule) in recipe.copy.iter().enumerate() {
        relative(&format!("copy[{at}].from"), &rule.from)?;
        absolute(&format!("copy[{at}].to"), &rule.to)?;
    }
    if let Some(user) = &recipe.user {
        let valid = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-';
        let starts = user
            .name
            .starts_with(|c: char| c.is_ascii_lowercase() || c == '_');
        if !starts || user.name.len() > 32 || !user.name.chars().all(valid) {
            return Err(RecipeError::value(
                "user.name",
                format!("`{}` is not a user name (a-z, 0-9, _ and -)", user.name),
            ));
        }
        for (key, id) in [("user.uid", user.uid), ("user.gid", user.group_id())] {
            // chown takes it for "leave as it is".
            if id == u32::MAX {
                return Err(RecipeError::value(key, format!("{id} is no id on Linux")));
            }
        }
        absolute("user.home", &user.home_folder())?;
        absolute("user.shell", &user.shell)?;
    }
    let config = &recipe.config;
    if let Some(workdir) = &config.workdir {
        absolute("config.workdir", workdir)?;
    }
    for name in config.env.keys() {
        if name.is_empty() || name.contains(['=', '\0']) {
            return Err(RecipeError::value(
                format!("config.env.{name}"),
                "is not a name of an environment variable",
            ));
        }
    }
    for port in &config.expose {
        let (number, protocol) = port.split_once('/').unwrap_or((port, "tcp"));
        // Digits alone: `parse` would take a sign as well.
        let is_number = number.bytes().all(|c| c.is_ascii_digit()) && number.parse::<u16>().is_ok();
        if !is_number || !["tcp", "udp", "sctp"].contains(&protocol) {
            return Err(RecipeError::value(
                "config.expose",
                format!("`{port}` is not a port such as `5000/tcp`"),
            ));
        }
    }
    Ok(())
}

fn absolute(key: &str, path: &str) -> Result<(), RecipeError> {
    if !path.starts_with('/') {
        return Err(RecipeError::value(
            key,
            format!("`{path}` must be an absolute path in the image"),
        ));
    }
    LayerPath::parse(path).map_err(|error| RecipeError::value(key, error.to_string()))?;
    Ok(())
}

fn relative(key: &str, path: &str) -> Result<(), RecipeError> {
    if path.starts_with('/') {
        return Err(RecipeError::value(
            key,
            format!("`{path}` must be relative to the recipe's folder"),
        ));
    }
    LayerPath::parse(path).map_err(|error| RecipeError::value(key, error.to_string()))?;
    Ok(())
}
