//! Makes wheels byte by byte, sound ones and those that mean harm.

use std::io::Write as _;
use std::sync::Arc;

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use imgbuild::oci::Digest;
use imgbuild::python::wheel::{Wheel, WheelError};

/// A member to write: what both headers say of it, so that they can be made to differ.
#[derive(Clone)]
pub(crate) struct Entry {
    pub(crate) name: Vec<u8>,
    /// The name in the local header.
    pub(crate) local_name: Vec<u8>,
    pub(crate) bytes: Vec<u8>,
    /// External attributes, mode in the upper half.
    pub(crate) mode: u32,
    pub(crate) host: u8,
    pub(crate) flags: u16,
    pub(crate) method: u16,
    /// Added to the CRC in the central directory.
    pub(crate) crc_off: u32,
    /// Replaces the unpacked size in the central directory.
    pub(crate) size: Option<u32>,
    /// Replaces the unpacked size in the local header.
    pub(crate) local_size: Option<u32>,
    /// Extra field of the central directory.
    pub(crate) extra: Vec<u8>,
    /// Bytes between this member and the next.
    pub(crate) gap: Vec<u8>,
    /// Writes a data descriptor, with or without signature.
    pub(crate) descriptor: Option<bool>,
}

impl Entry {
    pub(crate) fn new(name: &str, bytes: &[u8]) -> Self {
        Self {
            name: name.into(),
            local_name: name.into(),
            bytes: bytes.to_vec(),
            mode: if name.ends_with('/') {
                0o40755
            } else {
                0o100_644
            },
            host: 3,
            flags: 0,
            method: 8,
            crc_off: 0,
            size: None,
            local_size: None,
            extra: Vec::new(),
            gap: Vec::new(),
            descriptor: None,
        }
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }
}

/// Writes an archive of `entries`, followed by `comment`.
pub(crate) fn zip(entries: &[Entry], comment: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut central = Vec::new();
    for entry in entries {
        let packed = match entry.method {
            8 => {
                let level = flate2::Compression::default();
                let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), level);
                encoder.write_all(&entry.bytes).unwrap();
                encoder.finish().unwrap()
            }
            _ => entry.bytes.clone(),
        };
        let size = entry.bytes.len() as u32;
        let crc = crc32fast::hash(&entry.bytes);
        let flags = entry.flags | if entry.descriptor.is_some() { 8 } else { 0 };
        let offset = out.len() as u32;
        let in_local = entry.descriptor.is_none();
        let or_zero = |value: u32| if in_local { value } else { 0 };
        out.extend(b"PK\x03\x04\x14\0");
        for field in [flags, entry.method, 0, 0x5021] {
            out.extend(field.to_le_bytes());
        }
        let local_size = entry.local_size.unwrap_or(size);
        for field in [
            or_zero(crc),
            or_zero(packed.len() as u32),
            or_zero(local_size),
        ] {
            out.extend(field.to_le_bytes());
        }
        out.extend((entry.local_name.len() as u16).to_le_bytes());
        out.extend([0, 0]);
        out.extend(&entry.local_name);
        out.extend(&packed);
        if let Some(signed) = entry.descriptor {
            out.extend(if signed {
                b"PK\x07\x08".as_slice()
            } else {
                b""
            });
            for field in [crc, packed.len() as u32, size] {
                out.extend(field.to_le_bytes());
            }
        }
        out.extend(&entry.gap);
        central.extend(b"PK\x01\x02\x14");
        central.extend([entry.host, 0x14, 0]);
        for field in [flags, entry.method, 0, 0x5021] {
            central.extend(field.to_le_bytes());
        }
        let central_size = entry.size.unwrap_or(size);
        for field in [
            crc.wrapping_add(entry.crc_off),
            packed.len() as u32,
            central_size,
        ] {
            central.extend(field.to_le_bytes());
        }
        let lengths = [entry.name.len(), entry.extra.len(), 0, 0, 0];
        for field in lengths {
            central.extend((field as u16).to_le_bytes());
        }
        central.extend((entry.mode << 16).to_le_bytes());
        central.extend(offset.to_le_bytes());
        central.extend(&entry.name);
        central.extend(&entry.extra);
    }
    let at = out.len() as u32;
    out.extend(&central);
    out.extend(b"PK\x05\x06\0\0\0\0");
    for _ in 0..2 {
        out.extend((entries.len() as u16).to_le_bytes());
    }
    out.extend((central.len() as u32).to_le_bytes());
    out.extend(at.to_le_bytes());
    out.extend((comment.len() as u16).to_le_bytes());
    out.extend(comment);
    out
}

/// A wheel in the making; every part can be replaced.
#[derive(Clone)]
pub(crate) struct Maker {
    pub(crate) name: String,
    pub(crate) tag: String,
    pub(crate) entries: Vec<Entry>,
    pub(crate) wheel: String,
    pub(crate) metadata: String,
    pub(crate) entry_points: Option<String>,
    /// Replaces RECORD.
    pub(crate) record: Option<String>,
    pub(crate) comment: Vec<u8>,
}

impl Maker {
    /// Starts a pure wheel `name` 1.0 of these files.
    pub(crate) fn new(name: &str, files: &[(&str, &[u8])]) -> Self {
        Self {
            name: name.to_owned(),
            tag: "py3-none-any".to_owned(),
            entries: files
                .iter()
                .map(|(name, bytes)| Entry::new(name, bytes))
                .collect(),
            wheel: "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n".to_owned(),
            metadata: format!("Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n"),
            entry_points: None,
            record: None,
            comment: Vec::new(),
        }
    }

    pub(crate) fn with(mut self, change: impl FnOnce(&mut Self)) -> Self {
        change(&mut self);
        self
    }

    pub(crate) fn file_name(&self) -> String {
        format!("{}-1.0-{}.whl", self.name, self.tag)
    }

    /// Returns all members, with a RECORD of them.
    pub(crate) fn members(&self) -> Vec<Entry> {
        let folder = format!("{}-1.0.dist-info", self.name);
        let mut entries = self.entries.clone();
        let mut add = |file: &str, text: &str| {
            entries.push(Entry::new(&format!("{folder}/{file}"), text.as_bytes()));
        };
        add("WHEEL", &self.wheel);
        add("METADATA", &self.metadata);
        if let Some(text) = &self.entry_points {
            add("entry_points.txt", text);
        }
        let record_name = format!("{folder}/RECORD");
        let record = self.record.clone().unwrap_or_else(|| {
            let files = entries.iter().filter(|entry| !entry.name.ends_with(b"/"));
            let rows: String = files.map(row).collect();
            format!("{rows}{record_name},,\n")
        });
        entries.push(Entry::new(&record_name, record.as_bytes()));
        entries
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        zip(&self.members(), &self.comment)
    }

    /// Reads the wheel and checks every digest.
    pub(crate) fn read(&self) -> Result<Wheel, WheelError> {
        read(&self.file_name(), self.bytes())
    }
}

/// Returns the line of RECORD of a member.
pub(crate) fn row(entry: &Entry) -> String {
    let digest = BASE64_URL_SAFE_NO_PAD.encode(Digest::of(&entry.bytes).raw());
    let name = String::from_utf8_lossy(&entry.name);
    format!("{name},sha256={digest},{}\n", entry.bytes.len())
}

/// Reads a wheel and checks every digest.
pub(crate) fn read(file_name: &str, bytes: Vec<u8>) -> Result<Wheel, WheelError> {
    let wheel = Wheel::read(file_name.parse().unwrap(), Arc::new(bytes))?;
    wheel.verify()?;
    Ok(wheel)
}
