//! What names and fields of an account may hold: nothing that breaks out of its field.

use super::{AccountsError, NewUser};

/// Checks a user or group name by the rule of the Fedora family's shadow (`is_valid_name`).
pub(super) fn name(name: &str) -> Result<(), AccountsError> {
    let body = name.strip_suffix('$').unwrap_or(name);
    let allowed = |c: u8| c.is_ascii_alphanumeric() || matches!(c, b'_' | b'.' | b'-');
    let ok = !body.is_empty()
        && name.len() <= 32
        && !body.starts_with('-')
        && body.bytes().all(allowed)
        && !matches!(body, "." | "..")
        && !body.bytes().all(|c| c.is_ascii_digit());
    if ok {
        Ok(())
    } else {
        Err(AccountsError::Name(name.to_owned()))
    }
}

/// Checks every field of a new user.
pub(super) fn user(new: &NewUser) -> Result<(), AccountsError> {
    name(&new.name)?;
    let plain = |text: &str| !text.contains(':') && !text.chars().any(char::is_control);
    let bad = |field, value: &str, wanted| {
        Err(AccountsError::Field {
            name: new.name.clone(),
            field,
            value: value.to_owned(),
            wanted,
        })
    };
    if !plain(&new.gecos) {
        return bad(
            "comment",
            &new.gecos,
            "text without colons and control characters",
        );
    }
    if !plain(&new.home) || !new.home.starts_with('/') {
        return bad("home", &new.home, "an absolute path without colons");
    }
    if !plain(&new.shell) || !(new.shell.is_empty() || new.shell.starts_with('/')) {
        return bad("shell", &new.shell, "an absolute path without colons");
    }
    Ok(())
}
