//! A file of colon-separated lines that is edited without touching what it does not know.

/// The lines of passwd, group, shadow or gshadow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Table {
    /// Without their line feeds.
    lines: Vec<Vec<u8>>,
    /// Whether the last line lacks its line feed. Appending gives it one.
    open_ended: bool,
}

/// Members of a group are its fourth field, in group and in gshadow alike.
const MEMBERS: usize = 3;

impl Table {
    pub(super) fn parse(bytes: &[u8]) -> Self {
        let mut lines: Vec<Vec<u8>> = bytes.split(|&c| c == b'\n').map(<[u8]>::to_vec).collect();
        // What follows the last line feed is a line only if there is something.
        let open_ended = lines.last().is_some_and(|last| !last.is_empty());
        if !open_ended {
            lines.pop();
        }
        Self { lines, open_ended }
    }

    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut out = self.lines.join(&b'\n');
        if !self.lines.is_empty() && !self.open_ended {
            out.push(b'\n');
        }
        out
    }

    fn position(&self, name: &str) -> Option<usize> {
        self.lines.iter().position(|line| {
            line.strip_prefix(name.as_bytes())
                .is_some_and(|rest| rest.first() == Some(&b':'))
        })
    }

    /// Returns the fields of the first line of `name`.
    pub(super) fn fields(&self, name: &str) -> Option<Vec<&[u8]>> {
        let at = self.position(name)?;
        Some(self.lines[at].split(|&c| c == b':').collect())
    }

    /// Returns the number in the third field of `name`.
    pub(super) fn number(&self, name: &str) -> Option<u32> {
        parse_number(self.fields(name)?.get(2)?)
    }

    /// Returns the numbers of all lines, in their order.
    pub(super) fn numbers(&self) -> impl Iterator<Item = u32> {
        self.lines
            .iter()
            .filter_map(|line| parse_number(line.split(|&c| c == b':').nth(2)?))
    }

    /// Returns the name in the first line with this number.
    pub(super) fn name_of(&self, number: u32) -> Option<String> {
        self.lines.iter().find_map(|line| {
            let mut fields = line.split(|&c| c == b':');
            let name = fields.next()?;
            (parse_number(fields.nth(1)?)? == number)
                .then(|| String::from_utf8_lossy(name).into_owned())
        })
    }

    /// Adds a line at the end, but before the first NIS line (`+...` or `-...`), as commonio.c of shadow does.
    pub(super) fn append(&mut self, line: String) {
        let nis = self
            .lines
            .iter()
            .position(|line| matches!(line.first(), Some(b'+' | b'-')));
        match nis {
            Some(at) => self.lines.insert(at, line.into_bytes()),
            None => {
                self.lines.push(line.into_bytes());
                self.open_ended = false;
            }
        }
    }

    /// Adds `user` to the members of `group`; tells whether that changed anything.
    pub(super) fn add_member(&mut self, group: &str, user: &str) -> bool {
        let Some(at) = self.position(group) else {
            return false;
        };
        let line = &mut self.lines[at];
        let Some(members) = line.split(|&c| c == b':').nth(MEMBERS) else {
            return false;
        };
        if members.split(|&c| c == b',').any(|m| m == user.as_bytes()) {
            return false;
        }
        if !members.is_empty() {
            line.push(b',');
        }
        line.extend_from_slice(user.as_bytes());
        true
    }
}

fn parse_number(field: &[u8]) -> Option<u32> {
    // `parse` would accept a leading plus sign.
    if !field.iter().all(u8::is_ascii_digit) {
        return None;
    }
    str::from_utf8(field).ok()?.parse().ok()
}
