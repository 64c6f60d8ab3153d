//! Shows file capabilities as `getcap` does.
//!
//! `struct vfs_cap_data`: <https://github.com/torvalds/linux/blob/master/include/uapi/linux/capability.h>

use crate::oci::digest::hex;
use crate::rpm::install::CAPABILITY_NAMES;

/// Set in the magic if the effective set is the permitted one.
const EFFECTIVE: u32 = 1;

/// Returns the value of `security.capability` as text; as hexadecimal digits if it is of another form.
pub(super) fn shown(value: &[u8]) -> String {
    parse(value).unwrap_or_else(|| format!("0x{}", hex(value)))
}

fn parse(value: &[u8]) -> Option<String> {
    let word = |at: usize| {
        let raw = value.get(at * 4..at * 4 + 4)?;
        raw.try_into().ok().map(u32::from_le_bytes)
    };
    let magic = word(0)?;
    let root = match (magic >> 24, value.len()) {
        (2, 20) => None,
        // With the user that is root in the namespace.
        (3, 24) => Some(word(5)?),
        _ => return None,
    };
    let permitted = u64::from(word(1)?) | u64::from(word(3)?) << 32;
    let inheritable = u64::from(word(2)?) | u64::from(word(4)?) << 32;
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    for bit in 0..64 {
        let (p, i) = (permitted >> bit & 1 == 1, inheritable >> bit & 1 == 1);
        let mut flags = String::new();
        if (p || i) && magic & EFFECTIVE != 0 {
            flags.push('e');
        }
        if i {
            flags.push('i');
        }
        if p {
            flags.push('p');
        }
        if p || i {
            let name = CAPABILITY_NAMES.get(bit).map_or_else(
                || format!("{bit}"),
                |name| format!("cap_{}", name.trim_start_matches("cap_")),
            );
            match groups.iter_mut().find(|(had, _)| *had == flags) {
                Some((_, names)) => names.push(name),
                None => groups.push((flags, vec![name])),
            }
        }
    }
    let groups = groups
        .into_iter()
        .map(|(flags, names)| format!("{}={flags}", names.join(",")));
    let mut text = groups.collect::<Vec<_>>().join(" ");
    if text.is_empty() {
        text = "no capabilities".to_owned();
    }
    if let Some(root) = root {
        text += &format!(" for root {root}");
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rpm::install::capability_xattr;

    #[test]
    fn capabilities_are_shown_as_they_are_written() {
        for text in [
            "cap_net_raw=ep",
            "cap_chown,cap_net_bind_service=p",
            "cap_net_admin=eip cap_net_raw=ei",
        ] {
            let value = capability_xattr(text).expect("valid").expect("not empty");
            assert_eq!(shown(&value), text);
        }
        assert_eq!(shown(b"\x01\x02"), "0x0102");
    }
}
