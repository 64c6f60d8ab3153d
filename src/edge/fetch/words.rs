//! Reads what a server says when it refuses.

/// How much is shown, in characters.
const WORDS_SHOWN: usize = 240;

/// Returns what a server says in an error page: the messages of a registry's JSON, or the text without markup.
///
/// <https://github.com/opencontainers/distribution-spec/blob/main/spec.md#error-codes>
pub(crate) fn words(body: &[u8]) -> String {
    let text = String::from_utf8_lossy(body);
    let said = match serde_json::from_slice::<serde_json::Value>(body) {
        Ok(json) => from_json(&json).unwrap_or_else(|| text.into_owned()),
        Err(_) => without_markup(&text),
    };
    // What a server says must not steer the terminal.
    let clean: String = said
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
        .collect();
    let mut words = clean.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((cut, _)) = words.char_indices().nth(WORDS_SHOWN) {
        words.truncate(cut);
        words.push('…');
    }
    words
}

fn from_json(json: &serde_json::Value) -> Option<String> {
    let one = |error: &serde_json::Value| {
        let part = |name: &str| {
            error
                .get(name)
                .and_then(serde_json::Value::as_str)
                .filter(|text| !text.is_empty())
        };
        match (part("code"), part("message")) {
            (Some(code), Some(message)) => Some(format!("{code}: {message}")),
            (one, other) => one.or(other).map(str::to_owned),
        }
    };
    if let Some(errors) = json.get("errors").and_then(serde_json::Value::as_array) {
        let all: Vec<String> = errors.iter().filter_map(one).collect();
        return (!all.is_empty()).then(|| all.join("; "));
    }
    let part = |name: &str| {
        json.get(name)
            .and_then(serde_json::Value::as_str)
            .map(str::to_owned)
    };
    one(json)
        .or_else(|| part("details"))
        .or_else(|| part("error_description"))
        .or_else(|| part("error"))
}

fn without_markup(text: &str) -> String {
    if !text.trim_start().starts_with('<') {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut inside = false;
    for c in text.chars() {
        match c {
            '<' => inside = true,
            '>' => {
                inside = false;
                out.push(' ');
            }
            _ if !inside => out.push(c),
            _ => {}
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::words;

    #[test]
    fn a_server_is_quoted_in_its_own_words_whatever_form_it_uses() {
        for (body, said) in [
            (
                r#"{"errors":[{"code":"TOOMANYREQUESTS","message":"slow  down"}]}"#,
                "TOOMANYREQUESTS: slow down",
            ),
            (
                r#"{"errors":[{"code":"DENIED"},{"message":"no"}]}"#,
                "DENIED; no",
            ),
            (
                r#"{"details":"incorrect username or password"}"#,
                "incorrect username or password",
            ),
            (
                "<html><head><title>404</title></head><body>Not Found</body></html>",
                "404 Not Found",
            ),
            ("Not Authorized\n", "Not Authorized"),
            ("\u{1b}[31mred", "[31mred"),
            ("", ""),
            ("[]", "[]"),
        ] {
            assert_eq!(words(body.as_bytes()), said);
        }
        assert!(words("é".repeat(10_000).as_bytes()).chars().count() < 300);
    }
}
