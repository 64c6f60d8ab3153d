//! The one writer of JSON that is hashed: sorted keys, no spaces, no newline.

use serde::Serialize;

/// Returns `value` as canonical JSON: keys sorted by bytes, no white space, UTF-8 unescaped.
///
/// # Panics
/// Never for the values used here: a type that serialises to JSON maps with string keys cannot fail.
#[must_use]
pub fn canonical<T: Serialize + ?Sized>(value: &T) -> Vec<u8> {
    // serde_json's own map is a BTreeMap (the `preserve_order` feature would change that; a test watches it),
    // so a detour through `Value` sorts the fields of structs too.
    let sorted =
        serde_json::to_value(value).expect("documents have string keys and no non-finite numbers");
    serde_json::to_vec(&sorted).expect("a Value always serialises")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_sorted_however_they_were_declared() {
        #[derive(Serialize)]
        struct Unsorted {
            zebra: u8,
            apple: u8,
        }
        assert_eq!(
            canonical(&Unsorted { zebra: 1, apple: 2 }),
            br#"{"apple":2,"zebra":1}"#
        );
        assert_eq!(
            canonical(&serde_json::json!({"b": 1, "a": {"d": 1, "c": "ä"}})),
            r#"{"a":{"c":"ä","d":1},"b":1}"#.as_bytes()
        );
    }
}
