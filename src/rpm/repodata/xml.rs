//! Walks an XML document piece by piece, in bounded memory.

use std::borrow::Cow;
use std::io::{self, BufRead, Read};

use quick_xml::XmlVersion;
use quick_xml::events::{BytesCData, BytesEnd, BytesStart, BytesText, Event};
use quick_xml::reader::Reader;

use super::RepodataError;

/// How deep elements may nest; primary.xml reaches 5.
const DEPTH: usize = 32;
/// Bytes of one tag or text; descriptions reach some 20 KiB.
const PIECE: u64 = 16 << 20;

/// A document that is being read.
pub(super) struct Document<R> {
    name: &'static str,
    reader: Reader<Metered<R>>,
    depth: usize,
    /// What the first element must be, until it is read.
    root: Option<&'static str>,
}

/// A piece of a document. Names are without their prefix.
pub(super) enum Piece<'b> {
    /// An element begins.
    Open(Element<'b>),
    /// Text between references.
    Text(BytesText<'b>),
    /// Text that needs no unescaping.
    Raw(BytesCData<'b>),
    /// One character that was written as a reference.
    Character(char),
    /// An element ends.
    Close(BytesEnd<'b>),
    /// A comment, a declaration.
    Skipped,
    /// The document ends.
    End,
}

/// The start of an element.
pub(super) struct Element<'b> {
    start: BytesStart<'b>,
}

impl<R: BufRead> Document<R> {
    /// Begins to read a document whose first element must be `root`.
    pub(super) fn new(name: &'static str, root: &'static str, input: R) -> Self {
        let reader = Reader::from_reader(Metered {
            inner: input,
            left: PIECE,
        });
        Self {
            name,
            reader,
            depth: 0,
            root: Some(root),
        }
    }

    /// Returns the next piece, which lies in `buffer`.
    pub(super) fn next<'b>(&mut self, buffer: &'b mut Vec<u8>) -> Result<Piece<'b>, RepodataError> {
        buffer.clear();
        self.reader.get_mut().left = PIECE;
        let at = self.reader.buffer_position();
        let event = self
            .reader
            .read_event_into(buffer)
            .map_err(|error| self.failure(at, error))?;
        Ok(match event {
            Event::Start(start) => {
                self.depth += 1;
                if self.depth > DEPTH {
                    return Err(RepodataError::Deep {
                        document: self.name,
                        at,
                        limit: DEPTH,
                    });
                }
                self.opened(start)?
            }
            Event::Empty(start) => self.opened(start)?,
            Event::End(end) => {
                self.depth = self.depth.saturating_sub(1);
                Piece::Close(end)
            }
            Event::Text(text) => Piece::Text(text),
            Event::CData(text) => Piece::Raw(text),
            Event::GeneralRef(reference) => match &reference[..] {
                "amp" => Piece::Character('&'),
                "lt" => Piece::Character('<'),
                "gt" => Piece::Character('>'),
                "quot" => Piece::Character('"'),
                "apos" => Piece::Character('\''),
                // Entities that a document defines itself are not expanded: metadata has none.
                other => match reference.resolve_char_ref() {
                    Ok(Some(c)) => Piece::Character(c),
                    _ => return Err(self.syntax(at, format!("unknown entity `&{other};`"))),
                },
            },
            Event::Eof if self.depth > 0 || self.root.is_some() => {
                return Err(self.syntax(at, "it ends too early".to_owned()));
            }
            Event::Eof => Piece::End,
            Event::Comment(_) | Event::Decl(_) | Event::PI(_) | Event::DocType(_) => Piece::Skipped,
        })
    }

    fn opened<'b>(&mut self, start: BytesStart<'b>) -> Result<Piece<'b>, RepodataError> {
        if let Some(wanted) = self.root.take() {
            let found = start.local_name();
            if found.as_ref() != wanted {
                let found = found.as_ref().to_owned();
                return Err(RepodataError::Root {
                    document: self.name,
                    found,
                    wanted,
                });
            }
        }
        Ok(Piece::Open(Element { start }))
    }

    fn syntax(&self, at: u64, problem: String) -> RepodataError {
        RepodataError::Syntax {
            document: self.name,
            at,
            problem,
        }
    }

    fn failure(&self, at: u64, error: quick_xml::Error) -> RepodataError {
        let document = self.name;
        match error {
            quick_xml::Error::Io(source)
                if source.get_ref().is_some_and(|inner| inner.is::<TooLong>()) =>
            {
                RepodataError::Long {
                    document,
                    at,
                    limit: PIECE,
                }
            }
            quick_xml::Error::Io(source) => RepodataError::Read {
                document,
                source: io::Error::new(source.kind(), source.to_string()),
            },
            other => self.syntax(at, other.to_string()),
        }
    }
}

impl Element<'_> {
    /// Returns the name, without prefix.
    pub(super) fn name(&self) -> &str {
        self.start.local_name().into_inner()
    }

    /// Returns all attributes as they are written.
    pub(super) fn written(&self) -> &str {
        self.start.attributes_raw()
    }

    /// Returns an attribute, unescaped.
    pub(super) fn attribute(&self, name: &str) -> Option<Cow<'_, str>> {
        let mut attributes = self.start.attributes();
        let found = attributes
            .with_checks(false)
            .flatten()
            .find(|attribute| attribute.key.as_ref() == name)?;
        found
            .normalized_value(XmlVersion::Implicit1_0)
            .ok()
            .map(|value| Cow::Owned(value.into_owned()))
    }
}

/// Bounds what is read for one piece.
struct Metered<R> {
    inner: R,
    left: u64,
}

#[derive(Debug, thiserror::Error)]
#[error("a single piece of more than {PIECE} bytes")]
struct TooLong;

impl<R: BufRead> BufRead for Metered<R> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.left == 0 {
            return Err(io::Error::other(TooLong));
        }
        let left = usize::try_from(self.left).unwrap_or(usize::MAX);
        let bytes = self.inner.fill_buf()?;
        Ok(&bytes[..bytes.len().min(left)])
    }

    fn consume(&mut self, count: usize) {
        self.left = self.left.saturating_sub(count as u64);
        self.inner.consume(count);
    }
}

impl<R: BufRead> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.fill_buf()?.read(buffer)?;
        self.consume(count);
        Ok(count)
    }
}
