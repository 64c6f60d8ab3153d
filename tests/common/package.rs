//! Makes RPM packages with given files, sound or hostile: uncompressed payloads, unsigned.

use imgbuild::oci::Digest;
use imgbuild::rpm::tag;

/// A file of a package to be made. What header and archive say can be set apart.
#[derive(Clone, Default)]
pub(crate) struct File {
    pub(crate) path: String,
    pub(crate) mode: u32,
    pub(crate) data: Vec<u8>,
    pub(crate) size: u64,
    pub(crate) digest: String,
    pub(crate) target: String,
    pub(crate) user: String,
    pub(crate) group: String,
    pub(crate) mtime: u32,
    pub(crate) flags: u32,
    pub(crate) inode: u32,
    pub(crate) rdev: u32,
    pub(crate) color: u32,
    pub(crate) capabilities: String,
    pub(crate) languages: String,
    /// Sizes are written as 64-bit numbers if any file asks for it.
    pub(crate) is_long: bool,
    pub(crate) is_empty_in_archive: bool,
    pub(crate) archive_name: Option<String>,
    pub(crate) archive_mode: Option<u32>,
}

impl File {
    fn new(path: &str, mode: u32, data: &[u8]) -> Self {
        Self {
            path: path.to_owned(),
            mode,
            data: data.to_vec(),
            size: data.len() as u64,
            user: "root".to_owned(),
            group: "root".to_owned(),
            mtime: 1_600_000_000,
            ..Self::default()
        }
    }

    pub(crate) fn regular(path: &str, data: &[u8]) -> Self {
        let digest = Digest::of(data).hex();
        Self {
            digest,
            ..Self::new(path, 0o100_644, data)
        }
    }

    pub(crate) fn dir(path: &str) -> Self {
        Self::new(path, 0o040_755, b"")
    }

    pub(crate) fn symlink(path: &str, target: &str) -> Self {
        Self {
            target: target.to_owned(),
            ..Self::new(path, 0o120_777, target.as_bytes())
        }
    }
}

/// A package to be made.
#[derive(Clone, Default)]
pub(crate) struct Package {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) files: Vec<File>,
    pub(crate) trailing: Vec<u8>,
}

impl Package {
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            version: "1".to_owned(),
            ..Self::default()
        }
    }

    pub(crate) fn dir(self, path: &str) -> Self {
        self.with(File::dir(path))
    }

    pub(crate) fn file(self, path: &str, data: &[u8]) -> Self {
        self.with(File::regular(path, data))
    }

    pub(crate) fn symlink(self, path: &str, target: &str) -> Self {
        self.with(File::symlink(path, target))
    }

    pub(crate) fn with(mut self, file: File) -> Self {
        self.files.push(file);
        self
    }

    fn archive(&self) -> Vec<u8> {
        let mut out = Vec::new();
        for (number, file) in self.files.iter().enumerate() {
            if file.flags & 64 != 0 {
                continue;
            }
            let name = file
                .archive_name
                .clone()
                .unwrap_or(format!(".{}", file.path));
            let data: &[u8] = if file.is_empty_in_archive {
                &[]
            } else {
                &file.data
            };
            let mode = file.archive_mode.unwrap_or(file.mode);
            record(&mut out, number as u32 + 1, mode, &name, data);
        }
        record(&mut out, 0, 0, "TRAILER!!!", &[]);
        out.extend(&self.trailing);
        out
    }

    /// Returns the header without magic.
    pub(crate) fn header(&self, payload: &[u8]) -> Vec<u8> {
        let mut header = Tags::default();
        header.string(tag::NAME, &self.name);
        header.string(tag::VERSION, &self.version);
        header.string(tag::RELEASE, "1");
        header.string(tag::SUMMARY, "made for a test");
        header.string(tag::OS, "linux");
        header.string(tag::ARCH, "noarch");
        header.string(tag::SOURCERPM, "made-1-1.src.rpm");
        header.string(tag::PAYLOADFORMAT, "cpio");
        header.strings(tag::PAYLOADDIGEST, &[Digest::of(payload).hex()]);
        header.u32s(tag::PAYLOADDIGESTALGO, &[8]);
        header.u32s(tag::FILEDIGESTALGO, &[8]);
        header.strings(tag::PROVIDENAME, std::slice::from_ref(&self.name));
        header.strings(tag::PROVIDEVERSION, &[format!("{}-1", self.version)]);
        header.u32s(tag::PROVIDEFLAGS, &[8]);
        if !self.files.is_empty() {
            self.add_files(&mut header);
        }
        header.region(tag::HEADERIMMUTABLE)
    }

    fn add_files(&self, header: &mut Tags) {
        let files = &self.files;
        let texts = |of: fn(&File) -> String| files.iter().map(of).collect::<Vec<_>>();
        let numbers = |of: fn(&File) -> u32| files.iter().map(of).collect::<Vec<_>>();
        if files.iter().any(|file| file.is_long) {
            let sizes: Vec<u64> = files.iter().map(|file| file.size).collect();
            header.u64s(tag::LONGFILESIZES, &sizes);
        } else {
            header.u32s(tag::FILESIZES, &numbers(|file| file.size as u32));
        }
        let inodes: Vec<u32> = files
            .iter()
            .enumerate()
            .map(|(at, file)| {
                if file.inode == 0 {
                    1000 + at as u32
                } else {
                    file.inode
                }
            })
            .collect();
        let split = |path: &str| {
            let at = path.rfind('/').map_or(0, |slash| slash + 1);
            (path[..at].to_owned(), path[at..].to_owned())
        };
        let mut directories: Vec<String> = Vec::new();
        let mut indexes = Vec::new();
        for file in files {
            let directory = split(&file.path).0;
            let found = directories.iter().position(|one| *one == directory);
            indexes.push(found.unwrap_or(directories.len()) as u32);
            if found.is_none() {
                directories.push(directory);
            }
        }
        let base_names: Vec<String> = files.iter().map(|file| split(&file.path).1).collect();
        let modes: Vec<u16> = files.iter().map(|file| file.mode as u16).collect();
        header.u16s(tag::FILEMODES, &modes);
        let rdevs: Vec<u16> = files.iter().map(|file| file.rdev as u16).collect();
        header.u16s(tag::FILERDEVS, &rdevs);
        header.u32s(tag::FILEMTIMES, &numbers(|file| file.mtime));
        header.strings(tag::FILEDIGESTS, &texts(|file| file.digest.clone()));
        header.strings(tag::FILELINKTOS, &texts(|file| file.target.clone()));
        header.u32s(tag::FILEFLAGS, &numbers(|file| file.flags));
        header.strings(tag::FILEUSERNAME, &texts(|file| file.user.clone()));
        header.strings(tag::FILEGROUPNAME, &texts(|file| file.group.clone()));
        header.u32s(tag::FILEDEVICES, &numbers(|_| 1));
        header.u32s(tag::FILEINODES, &inodes);
        header.strings(tag::FILELANGS, &texts(|file| file.languages.clone()));
        header.u32s(tag::DIRINDEXES, &indexes);
        header.strings(tag::BASENAMES, &base_names);
        header.strings(tag::DIRNAMES, &directories);
        header.u32s(tag::FILECOLORS, &numbers(|file| file.color));
        header.strings(tag::FILECAPS, &texts(|file| file.capabilities.clone()));
    }

    /// Returns the package.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        let payload = self.archive();
        let header = [
            &imgbuild::rpm::header::MAGIC,
            self.header(&payload).as_slice(),
        ]
        .concat();
        let mut signature = Tags::default();
        signature.string(tag::SHA256HEADER, &Digest::of(&header).hex());
        let size = (header.len() + payload.len()) as u32;
        signature.u32s(tag::signature::SIZE, &[size]);
        let signature = [
            &imgbuild::rpm::header::MAGIC,
            signature.region(tag::HEADERSIGNATURES).as_slice(),
        ]
        .concat();
        let mut out = vec![0; 96];
        out[..8].copy_from_slice(&[0xed, 0xab, 0xee, 0xdb, 3, 0, 0, 0]);
        out[76..80].copy_from_slice(&[0, 1, 0, 5]);
        out.extend(&signature);
        out.resize(out.len().next_multiple_of(8), 0);
        out.extend(header);
        out.extend(payload);
        out
    }
}

fn record(out: &mut Vec<u8>, inode: u32, mode: u32, name: &str, data: &[u8]) {
    out.extend(b"070701");
    let sizes = (data.len() as u32, name.len() as u32 + 1);
    for field in [inode, mode, 0, 0, 1, 0, sizes.0, 0, 0, 0, 0, sizes.1, 0] {
        out.extend(format!("{field:08x}").bytes());
    }
    out.extend(name.bytes());
    out.push(0);
    out.resize(out.len().next_multiple_of(4), 0);
    out.extend(data);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// Tags on their way into a header.
#[derive(Default)]
struct Tags(Vec<(u32, u32, u32, Vec<u8>)>);

impl Tags {
    fn string(&mut self, tag: u32, text: &str) {
        self.0.push((tag, 6, 1, [text.as_bytes(), b"\0"].concat()));
    }

    fn strings(&mut self, tag: u32, texts: &[String]) {
        let data = texts
            .iter()
            .flat_map(|text| [text.as_bytes(), b"\0"].concat());
        self.0.push((tag, 8, texts.len() as u32, data.collect()));
    }

    fn u16s(&mut self, tag: u32, numbers: &[u16]) {
        let data = numbers.iter().flat_map(|number| number.to_be_bytes());
        self.0.push((tag, 3, numbers.len() as u32, data.collect()));
    }

    fn u32s(&mut self, tag: u32, numbers: &[u32]) {
        let data = numbers.iter().flat_map(|number| number.to_be_bytes());
        self.0.push((tag, 4, numbers.len() as u32, data.collect()));
    }

    fn u64s(&mut self, tag: u32, numbers: &[u64]) {
        let data = numbers.iter().flat_map(|number| number.to_be_bytes());
        self.0.push((tag, 5, numbers.len() as u32, data.collect()));
    }

    /// Returns a header without magic whose region covers all of it.
    fn region(mut self, region: u32) -> Vec<u8> {
        self.0.sort_by_key(|entry| entry.0);
        let count = self.0.len() as u32 + 1;
        let (mut index, mut store) = (Vec::new(), Vec::new());
        for (tag, kind, items, data) in self.0 {
            let size = match kind {
                3 => 2,
                4 => 4,
                5 => 8,
                _ => 1,
            };
            store.resize(store.len().next_multiple_of(size), 0);
            for word in [tag, kind, store.len() as u32, items] {
                index.extend(word.to_be_bytes());
            }
            store.extend(data);
        }
        let at = store.len() as u32;
        let back = 0_u32.wrapping_sub(16 * count);
        for word in [region, 7, back, 16] {
            store.extend(word.to_be_bytes());
        }
        let mut out = Vec::new();
        for word in [count, store.len() as u32, region, 7, at, 16] {
            out.extend(word.to_be_bytes());
        }
        out.extend(index);
        out.extend(store);
        out
    }
}
