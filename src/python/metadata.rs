//! Reads the header fields of METADATA and WHEEL.

/// The fields of a file in email header format, in its order.
///
/// <https://packaging.python.org/en/latest/specifications/core-metadata/>
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, String)>);

impl Headers {
    /// Reads the fields up to the first empty line; what follows is the body.
    ///
    /// Lines that are no field are skipped, as every reader of these files does: a description may be among them.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut fields: Vec<(String, String)> = Vec::new();
        for line in text.lines() {
            if line.trim().is_empty() {
                break;
            }
            // RFC 5322, 2.2.3: a line that starts with a space continues the field.
            if line.starts_with([' ', '\t']) {
                if let Some((_, value)) = fields.last_mut() {
                    value.push(' ');
                    value.push_str(line.trim());
                }
            } else if let Some((name, value)) = line.split_once(':') {
                fields.push((name.trim().to_owned(), value.trim().to_owned()));
            }
        }
        Self(fields)
    }

    /// Returns the first value of `name`, in any case of letters.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&str> {
        let named = |(found, _): &&(String, String)| found.eq_ignore_ascii_case(name);
        self.0.iter().find(named).map(|(_, value)| value.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_with_their_continuation_lines_and_without_the_body() {
        let headers = Headers::parse(
            "Metadata-Version: 2.1\r\nname: A\nSummary: one\n two\n\tthree\nnonsense\nName: B\n\nVersion: 9\n",
        );
        assert_eq!(headers.first("Name"), Some("A"));
        assert_eq!(headers.first("Summary"), Some("one two three"));
        assert_eq!(headers.first("Version"), None);
        assert_eq!(Headers::parse(" x\n: \n").first(""), Some(""));
    }
}
