//! File capabilities: from the text in headers to the bytes of the `security.capability` attribute.
//!
//! Text: `cap_from_text(3)` of libcap. Bytes: version 2 of `struct vfs_cap_data`, `linux/capability.h`.

/// Names of capabilities by number, `linux/capability.h`.
pub const CAPABILITY_NAMES: [&str; 41] = [
    "cap_chown",
    "cap_dac_override",
    "cap_dac_read_search",
    "cap_fowner",
    "cap_fsetid",
    "cap_kill",
    "cap_setgid",
    "cap_setuid",
    "cap_setpcap",
    "cap_linux_immutable",
    "cap_net_bind_service",
    "cap_net_broadcast",
    "cap_net_admin",
    "cap_net_raw",
    "cap_ipc_lock",
    "cap_ipc_owner",
    "cap_sys_module",
    "cap_sys_rawio",
    "cap_sys_chroot",
    "cap_sys_ptrace",
    "cap_sys_pacct",
    "cap_sys_admin",
    "cap_sys_boot",
    "cap_sys_nice",
    "cap_sys_resource",
    "cap_sys_time",
    "cap_sys_tty_config",
    "cap_mknod",
    "cap_lease",
    "cap_audit_write",
    "cap_audit_control",
    "cap_setfcap",
    "cap_mac_override",
    "cap_mac_admin",
    "cap_syslog",
    "cap_wake_alarm",
    "cap_block_suspend",
    "cap_audit_read",
    "cap_perfmon",
    "cap_bpf",
    "cap_checkpoint_restore",
];

/// Version 2 of the attribute: `VFS_CAP_REVISION_2`.
const REVISION: u32 = 0x0200_0000;

/// Why a text does not give capabilities.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CapabilityError {
    /// A name is unknown.
    #[error("`{0}` is no capability")]
    Name(String),
    /// A clause has no `=`, `+` or `-`, or something else than `e`, `i` and `p` after it.
    #[error("clause `{0}` is malformed: wanted names, then =, + or -, then letters of e, i and p")]
    Clause(String),
    /// A file has one effective bit: all its capabilities are effective, or none.
    #[error("only some of the capabilities are effective, which a file cannot say")]
    Effective,
}

/// The three sets, one bit for each capability.
#[derive(Default)]
struct Sets {
    effective: u64,
    inheritable: u64,
    permitted: u64,
}

/// Returns the value of `security.capability` that says what `text` says; none if there is no text.
///
/// `=`, which old rpm wrote for files without capabilities, gives a value with none in it, as rpm writes it.
///
/// # Errors
/// [`CapabilityError`] if libcap would not take the text for a file either.
pub fn capability_xattr(text: &str) -> Result<Option<Vec<u8>>, CapabilityError> {
    if text.is_empty() {
        return Ok(None);
    }
    let mut sets = Sets::default();
    for clause in text.split_ascii_whitespace() {
        apply(clause, &mut sets)?;
    }
    let all = sets.permitted | sets.inheritable;
    if sets.effective != 0 && sets.effective != all {
        return Err(CapabilityError::Effective);
    }
    let low = |set: u64| set as u32;
    let high = |set: u64| (set >> 32) as u32;
    let words = [
        REVISION | u32::from(sets.effective != 0),
        low(sets.permitted),
        low(sets.inheritable),
        high(sets.permitted),
        high(sets.inheritable),
    ];
    Ok(Some(words.iter().flat_map(|w| w.to_le_bytes()).collect()))
}

fn apply(clause: &str, sets: &mut Sets) -> Result<(), CapabilityError> {
    let malformed = || CapabilityError::Clause(clause.to_owned());
    let operators = ['=', '+', '-'];
    let (names, mut rest) = clause.split_at(clause.find(operators).ok_or_else(malformed)?);
    let mut mask = 0;
    for name in names.split(',').filter(|_| !names.is_empty()) {
        mask |= match name.to_ascii_lowercase().as_str() {
            "all" => (1 << CAPABILITY_NAMES.len()) - 1,
            lower => {
                let number = CAPABILITY_NAMES.iter().position(|known| *known == lower);
                1 << number.ok_or_else(|| CapabilityError::Name(name.to_owned()))?
            }
        };
    }
    if names.is_empty() {
        // Only `=` can do without names, and then means all.
        if !rest.starts_with('=') {
            return Err(malformed());
        }
        mask = (1 << CAPABILITY_NAMES.len()) - 1;
    }
    while let Some(operator) = rest.chars().next() {
        rest = &rest[1..];
        let end = rest.find(operators).unwrap_or(rest.len());
        let (flags, next) = rest.split_at(end);
        rest = next;
        if operator == '=' {
            for set in [
                &mut sets.effective,
                &mut sets.inheritable,
                &mut sets.permitted,
            ] {
                *set &= !mask;
            }
        } else if flags.is_empty() {
            return Err(malformed());
        }
        for flag in flags.chars() {
            let set = match flag {
                'e' => &mut sets.effective,
                'i' => &mut sets.inheritable,
                'p' => &mut sets.permitted,
                _ => return Err(malformed()),
            };
            if operator == '-' {
                *set &= !mask;
            } else {
                *set |= mask;
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::digest::hex;

    #[test]
    fn text_becomes_the_bytes_that_setcap_writes() {
        for (text, wanted) in [
            ("cap_setuid=ep", "0100000280000000000000000000000000000000"),
            ("cap_net_raw+ep", "0100000200200000000000000000000000000000"),
            ("cap_net_raw=p", "0000000200200000000000000000000000000000"),
            (
                "cap_net_admin,cap_net_raw=eip",
                "0100000200300000003000000000000000000000",
            ),
            (
                "cap_perfmon,cap_bpf=ep",
                "01000002000000000000000 0c000000000000000"
                    .replace(' ', "")
                    .as_str(),
            ),
            (
                "all=p cap_chown-p",
                "00000002feffffff00000000ff01000000000000",
            ),
        ] {
            let found = capability_xattr(text).expect(text).expect(text);
            assert_eq!(hex(&found), wanted, "{text}");
        }
    }

    #[test]
    fn no_text_gives_no_attribute_and_no_capabilities_an_empty_one() {
        assert_eq!(capability_xattr(""), Ok(None));
        for text in ["=", "cap_chown="] {
            let found = capability_xattr(text).expect(text).expect(text);
            assert_eq!(hex(&found), "0000000200000000000000000000000000000000");
        }
    }

    #[test]
    fn what_libcap_refuses_is_refused() {
        for text in [
            "cap_nothing=ep",
            "cap_chown",
            "cap_chown=x",
            "+ep",
            "cap_chown+",
            "cap_chown=ep cap_kill=p",
            "é=e",
            "cap_chown=é",
        ] {
            assert!(capability_xattr(text).is_err(), "{text} was accepted");
        }
    }
}
