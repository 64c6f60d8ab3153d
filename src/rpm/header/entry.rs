//! Entries of a header's index and the types of their items.

/// The type of an entry's items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as in rpm's rpmtag.h")]
pub enum Kind {
    Char = 1,
    Int8,
    Int16,
    Int32,
    Int64,
    String,
    Bin,
    StringArray,
    I18nString,
}

impl Kind {
    pub(super) fn from_number(number: u32) -> Option<Self> {
        Some(match number {
            1 => Self::Char,
            2 => Self::Int8,
            3 => Self::Int16,
            4 => Self::Int32,
            5 => Self::Int64,
            6 => Self::String,
            7 => Self::Bin,
            8 => Self::StringArray,
            9 => Self::I18nString,
            _ => return None,
        })
    }

    /// Returns the number that stands for it in an index entry.
    #[must_use]
    pub fn number(self) -> u32 {
        self as u32
    }

    /// Returns the bytes an item takes, which is also its alignment; none for strings.
    #[must_use]
    pub fn item_size(self) -> Option<usize> {
        match self {
            Self::Char | Self::Int8 | Self::Bin => Some(1),
            Self::Int16 => Some(2),
            Self::Int32 => Some(4),
            Self::Int64 => Some(8),
            Self::String | Self::StringArray | Self::I18nString => None,
        }
    }

    /// Tells whether its items are strings.
    #[must_use]
    pub fn is_string(self) -> bool {
        self.item_size().is_none()
    }

    /// Returns what the offset of its data must be a multiple of.
    #[must_use]
    pub fn alignment(self) -> usize {
        self.item_size().unwrap_or(1)
    }
}

/// One entry of a header's index, checked.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// Which tag.
    pub tag: u32,
    /// Type of its items.
    pub kind: Kind,
    /// How many items.
    pub count: u32,
    /// Where its data is, in bytes from the start of the header.
    pub(super) start: usize,
    pub(super) end: usize,
}
