//! The files of a recipe's folder: recipe, lock, and the Python project's two.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::diagnose::{Class, Diagnose};
use crate::lock::{self, Lock, LockError};
use crate::oci::Digest;
use crate::provenance::Written;
use crate::recipe::{Recipe, RecipeError};

/// A recipe and the folder it is in.
#[derive(Debug)]
pub struct Project {
    /// The folder that paths in the recipe are relative to.
    pub folder: PathBuf,
    /// The recipe's file, for messages.
    pub recipe_path: PathBuf,
    /// The recipe as it is written.
    pub text: String,
    /// The recipe.
    pub recipe: Recipe,
}

/// `pyproject.toml` and `uv.lock`.
#[derive(Debug)]
pub struct PythonFiles {
    /// `pyproject.toml`.
    pub pyproject: String,
    /// `uv.lock`.
    pub uv_lock: String,
}

impl PythonFiles {
    /// Returns the digest of `uv.lock`.
    #[must_use]
    pub fn checksum(&self) -> Digest {
        Digest::of(self.uv_lock.as_bytes())
    }
}

/// Why a project cannot be read or its lock not be written.
#[derive(Debug, thiserror::Error)]
pub enum ProjectError {
    /// There is no recipe.
    #[error("{} does not exist", .0.display())]
    NoRecipe(PathBuf),
    /// The disk refuses.
    #[error("cannot {action} {}: {source}", path.display())]
    Disk {
        /// `read` or `write`.
        action: &'static str,
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: io::Error,
    },
    /// The recipe is wrong.
    #[error("{}: {error}", path.display())]
    Recipe {
        /// The recipe's file.
        path: PathBuf,
        /// What is wrong.
        error: RecipeError,
    },
    /// The project has no `uv.lock`.
    #[error("{} does not exist, but the recipe has a [python] section", .0.display())]
    NoUvLock(PathBuf),
    /// The lock is missing, malformed or stale.
    #[error(transparent)]
    Lock(#[from] LockError),
}

impl Diagnose for ProjectError {
    fn class(&self) -> Class {
        match self {
            Self::Lock(error) => error.class(),
            _ => Class::Usage,
        }
    }

    fn hint(&self) -> Option<String> {
        match self {
            Self::NoRecipe(_) => {
                Some("name a recipe, or a folder that holds a recipe.toml".to_owned())
            }
            Self::Disk { .. } => None,
            Self::Recipe { error, .. } => error.hint(),
            Self::NoUvLock(path) => Some(format!(
                "run `uv lock` in {}",
                path.parent().unwrap_or(path).display()
            )),
            Self::Lock(error) => error.hint(),
        }
    }
}

fn read(path: &Path) -> Result<String, ProjectError> {
    fs::read_to_string(path).map_err(|source| ProjectError::Disk {
        action: "read",
        path: path.to_owned(),
        source,
    })
}

impl Project {
    /// Reads the recipe at `path`: a file, or a folder that holds `recipe.toml`.
    ///
    /// # Errors
    /// [`ProjectError`] if there is none or it is wrong.
    pub fn open(path: &Path) -> Result<Self, ProjectError> {
        let recipe_path = if path.is_dir() {
            path.join("recipe.toml")
        } else {
            path.to_owned()
        };
        if !recipe_path.exists() {
            return Err(ProjectError::NoRecipe(recipe_path));
        }
        let text = read(&recipe_path)?;
        let recipe = Recipe::parse(&text).map_err(|error| ProjectError::Recipe {
            path: recipe_path.clone(),
            error,
        })?;
        let folder = match recipe_path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() => folder.to_owned(),
            _ => PathBuf::from("."),
        };
        Ok(Self {
            folder,
            recipe_path,
            text,
            recipe,
        })
    }

    /// Returns where the lock is: `recipe.lock` for `recipe.toml`, `other.lock` for `other.toml`.
    #[must_use]
    pub fn lock_path(&self) -> PathBuf {
        self.recipe_path.with_extension("lock")
    }

    /// Returns the command that locks this recipe, for hints.
    #[must_use]
    pub fn lock_command(&self) -> String {
        let standard = self
            .recipe_path
            .file_name()
            .is_some_and(|name| name == "recipe.toml");
        let path = if standard {
            &self.folder
        } else {
            &self.recipe_path
        };
        format!("imgbuild lock {}", path.display())
    }

    /// Reads the lock, if there is one.
    ///
    /// # Errors
    /// [`ProjectError`] if it cannot be read or is malformed.
    pub fn lock(&self) -> Result<Option<Lock>, ProjectError> {
        Ok(self.written_lock()?.map(|lock| lock.value))
    }

    fn written_lock(&self) -> Result<Option<Written<Lock>>, ProjectError> {
        let path = self.lock_path();
        if !path.exists() {
            return Ok(None);
        }
        let text = read(&path)?;
        let value = Lock::parse(&path.display().to_string(), &text)?;
        Ok(Some(Written { text, value }))
    }

    /// Reads the lock and checks that it is of this recipe and project.
    ///
    /// # Errors
    /// [`ProjectError::Lock`] if it is missing or stale.
    pub fn fresh_lock(&self) -> Result<Lock, ProjectError> {
        Ok(self.fresh_written_lock()?.value)
    }

    /// The same, with the text of the lock.
    ///
    /// # Errors
    /// As for [`Project::fresh_lock`].
    pub fn fresh_written_lock(&self) -> Result<Written<Lock>, ProjectError> {
        let name = self.lock_path().display().to_string();
        let lock = self.written_lock()?.ok_or_else(|| LockError::Missing {
            name: name.clone(),
            command: self.lock_command(),
        })?;
        let uv_lock = self.python()?.map(|files| files.checksum());
        lock.value
            .check_fresh(&name, &self.lock_command(), &self.recipe, uv_lock)?;
        Ok(lock)
    }

    /// Reads the Python project's files, if the recipe has one.
    ///
    /// # Errors
    /// [`ProjectError`] if they cannot be read.
    pub fn python(&self) -> Result<Option<PythonFiles>, ProjectError> {
        let Some(python) = &self.recipe.python else {
            return Ok(None);
        };
        let folder = self.folder.join(&python.project);
        let uv_lock = folder.join("uv.lock");
        if !uv_lock.exists() {
            return Err(ProjectError::NoUvLock(uv_lock));
        }
        Ok(Some(PythonFiles {
            pyproject: read(&folder.join("pyproject.toml"))?,
            uv_lock: read(&uv_lock)?,
        }))
    }

    /// Writes the lock whole or not at all.
    ///
    /// # Errors
    /// [`ProjectError::Disk`].
    pub fn write_lock(&self, lock: &Lock) -> Result<(), ProjectError> {
        let path = self.lock_path();
        let disk = |source| ProjectError::Disk {
            action: "write",
            path: path.clone(),
            source,
        };
        let mut file = tempfile::Builder::new()
            .prefix(&format!(".{}.", lock::FILE_NAME))
            .tempfile_in(&self.folder)
            .map_err(disk)?;
        file.write_all(lock.render().as_bytes()).map_err(disk)?;
        // Temporary files are private; a lock is as public as the recipe beside it.
        let permissions = fs::metadata(&self.recipe_path).map_err(disk)?.permissions();
        file.as_file().set_permissions(permissions).map_err(disk)?;
        file.as_file().sync_all().map_err(disk)?;
        file.persist(&path).map_err(|error| disk(error.error))?;
        Ok(())
    }
}
