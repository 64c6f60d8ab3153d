//! What an image is, for people: the same image gives the same text.

use std::fmt::Write as _;

use super::{
    Comparison, Facts, Health, Held, ImageReport, Inspection, LayerReport, RecordReport,
    ReferrerReport,
};
use crate::diff::Owner;
use crate::image::rfc3339;
use crate::layer::path::show;

/// How many owners of a layer are named where they are not all asked for.
const NAMED: usize = 4;
/// How many rows a comparison has where they are not all asked for.
const ROWS: usize = 40;

/// Returns everything that is known of an image.
#[must_use]
pub fn text(inspection: &Inspection) -> String {
    let mut out = Out::default();
    out.line(0, &inspection.name);
    out.field("digest", inspection.digest);
    if !inspection.tags.is_empty() {
        out.field("tags", inspection.tags.join(", "));
    }
    let platforms = inspection.platforms.iter();
    let platforms = platforms.map(|summary| format!("{}  {}", summary.platform, summary.digest));
    out.list("platforms", platforms);
    for image in &inspection.images {
        out.blank();
        out.line(0, &image.platform);
        facts(&mut out, image);
        layers(&mut out, image);
    }
    let shown = inspection.images.first();
    if let Some(shown) = shown.filter(|_| inspection.images.len() < inspection.platforms.len()) {
        out.blank();
        let mut others = inspection.platforms.iter();
        let other = others.find(|other| other.platform != shown.platform);
        let other = other.map(|other| &other.platform);
        if let Some(other) = other {
            out.line(
                0,
                &format!("(add `--platform {other}` for the other platform)"),
            );
        }
    }
    out.blank();
    referrers(&mut out, inspection.referrers.as_deref());
    out.text
}

fn facts(out: &mut Out, image: &ImageReport) {
    let facts: &Facts = &image.facts;
    let unpacked = bytes(image.unpacked());
    let size = format!("{}, {unpacked} unpacked", bytes(image.size));
    out.field("size", size);
    out.optional("created", facts.created.as_deref());
    let base = facts.base.as_deref().map(|base| match &facts.base_digest {
        Some(digest) => format!("{base} ({digest})"),
        None => base.to_owned(),
    });
    out.optional("base", base.as_deref());
    out.field("user", facts.user.as_deref().unwrap_or("root"));
    out.optional("workdir", facts.workdir.as_deref());
    if !facts.entrypoint.is_empty() {
        out.field("entrypoint", words(&facts.entrypoint));
    }
    if !facts.cmd.is_empty() {
        out.field("cmd", words(&facts.cmd));
    }
    out.list("env", facts.env.iter().cloned());
    if !facts.ports.is_empty() {
        out.field("ports", facts.ports.join(", "));
    }
    if !facts.volumes.is_empty() {
        out.field("volumes", facts.volumes.join(", "));
    }
    out.optional("stop signal", facts.stop_signal.as_deref());
    if let Some(health) = &facts.healthcheck {
        out.field("healthcheck", healthcheck(health));
    }
    let labels = facts.labels.iter();
    out.list(
        "labels",
        labels.map(|(name, value)| format!("{name}={value}")),
    );
}

fn healthcheck(health: &Health) -> String {
    let command = match health.test.split_first() {
        Some((kind, rest)) if kind == "CMD-SHELL" => rest.join(" "),
        Some((kind, rest)) if kind == "CMD" => words(rest),
        _ => "none".to_owned(),
    };
    let mut how = Vec::new();
    for (name, nanoseconds) in [
        ("every", health.interval),
        ("timeout", health.timeout),
        ("starts within", health.start_period),
    ] {
        if nanoseconds > 0 {
            how.push(format!("{name} {}", seconds(nanoseconds)));
        }
    }
    if health.retries > 0 {
        how.push(format!("retries {}", health.retries));
    }
    match how.as_slice() {
        [] => command,
        how => format!("{command} ({})", how.join(", ")),
    }
}

fn seconds(nanoseconds: u64) -> String {
    match (nanoseconds / 1_000_000_000, nanoseconds % 1_000_000_000) {
        (whole, 0) => format!("{whole}s"),
        _ => format!("{}ms", nanoseconds / 1_000_000),
    }
}

fn layers(out: &mut Out, image: &ImageReport) {
    out.blank();
    out.line(1, "layer   stored  unpacked   files  made by");
    for (at, layer) in image.layers.iter().enumerate() {
        let row = format!(
            "{:>5} {:>8} {:>9} {:>7}  {}",
            at + 1,
            bytes(layer.facts.size),
            bytes(layer.contents.unpacked),
            layer.contents.files,
            made_by(layer),
        );
        out.line(1, row.trim_end());
        let digest = &layer.facts.digest;
        out.line(6, &digest.to_string());
        for line in holds(&layer.contents.holds) {
            out.line(6, &line);
        }
        let biggest = layer.contents.biggest.iter().take(3);
        let biggest: Vec<_> = biggest
            .map(|file| format!("{} ({})", file.path, bytes(file.size)))
            .collect();
        if !biggest.is_empty() {
            out.line(6, &format!("largest: {}", biggest.join(", ")));
        }
        if layer.contents.removed > 0 {
            let removed = layer.contents.removed;
            out.line(6, &format!("removes {removed} paths of the layers below"));
        }
    }
}

/// Returns the line of the history, as short as a line of a table has to be.
fn made_by(layer: &LayerReport) -> String {
    const LONGEST: usize = 100;
    let text = show(layer.facts.created_by.as_bytes());
    let text = text.trim_start_matches("/bin/sh -c #(nop) ").trim();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// Returns the name of an owner of one kind.
type NameOf = fn(&Owner) -> Option<&str>;

/// Says what of a layer belongs to packages and wheels.
fn holds(holds: &[Held]) -> Vec<String> {
    let kinds: [(&str, NameOf); 2] = [
        ("RPM", |owner| match owner {
            Owner::Rpm(name) => Some(name),
            _ => None,
        }),
        ("wheel", |owner| match owner {
            Owner::Wheel(name) => Some(name),
            _ => None,
        }),
    ];
    let mut lines = Vec::new();
    for (kind, name) in kinds {
        let of_kind: Vec<(&str, &Held)> = holds
            .iter()
            .filter_map(|held| Some((name(&held.owner)?, held)))
            .collect();
        if of_kind.is_empty() {
            continue;
        }
        let total = of_kind.iter().map(|(_, held)| held.holding.bytes).sum();
        let named: Vec<String> = of_kind
            .iter()
            .take(NAMED)
            .map(|(name, held)| format!("{name} ({})", bytes(held.holding.bytes)))
            .collect();
        let more = if of_kind.len() > NAMED { ", …" } else { "" };
        let (count, total) = (of_kind.len(), bytes(total));
        let plural = if count == 1 { "" } else { "s" };
        lines.push(format!(
            "{count} {kind}{plural}, {total}: {}{more}",
            named.join(", ")
        ));
    }
    lines
}

fn referrers(out: &mut Out, referrers: Option<&[ReferrerReport]>) {
    match referrers {
        None => out.line(0, "what refers to it is not known"),
        Some([]) => out.line(0, "nothing refers to it"),
        Some(list) => {
            for referrer in list {
                let kind = referrer.referrer.artifact_type.as_deref();
                let digest = referrer.referrer.descriptor.digest;
                out.line(0, kind.unwrap_or("an image that refers to it"));
                out.field("digest", digest);
                match &referrer.record {
                    None => {}
                    Some(RecordReport::Unusable(why)) => out.field("unusable", why),
                    Some(RecordReport::Build(build)) => record(out, build),
                }
            }
        }
    }
}

fn record(out: &mut Out, build: &super::BuildReport) {
    let statement = &build.statement;
    let (version, format) = (&statement.imgbuild, statement.format);
    out.field("built by", format!("imgbuild {version}, format {format}"));
    let platforms = statement.platforms.iter();
    let platforms: Vec<String> = platforms.map(ToString::to_string).collect();
    let stage = match statement.stage {
        crate::recipe::Stage::Builder => "builder stage",
        crate::recipe::Stage::Runtime => "runtime stage",
    };
    out.field("built", format!("{stage} for {}", platforms.join(", ")));
    if let Some(revision) = &statement.revision {
        let state = if revision.dirty {
            "with changes that are not in it"
        } else {
            "as committed"
        };
        out.field(
            "commit",
            format!("{}, {state}", show(revision.commit.as_bytes())),
        );
    }
    let args = statement.args.iter();
    out.list(
        "arguments",
        args.map(|(name, value)| format!("{name}={value}")),
    );
    out.field("epoch", rfc3339(statement.epoch));
    let lines = build.recipe.lines().count();
    out.field("recipe", format!("{lines} lines"));
    let lock = &build.lock;
    out.field(
        "lock",
        format!(
            "{} RPMs, {} wheels, {} keys; base {}@{}",
            lock.rpms, lock.wheels, lock.keys, lock.base, lock.base_digest
        ),
    );
    out.field("source", format!("{} files", build.source_files));
    let files: Vec<_> = build
        .files
        .keys()
        .map(|name| show(name.as_bytes()))
        .collect();
    if !files.is_empty() {
        out.field("files", files.join(", "));
    }
}

/// Returns every layer and every owner with its bytes.
#[must_use]
pub fn size_table(image: &ImageReport) -> String {
    let mut out = Out::default();
    out.line(0, &format!("{}  {}", image.platform, image.digest));
    out.line(0, "  stored  unpacked   files  layer");
    for (at, layer) in image.layers.iter().enumerate() {
        let row = format!(
            "{:>8} {:>9} {:>7}  {} {}",
            bytes(layer.facts.size),
            bytes(layer.contents.unpacked),
            layer.contents.files,
            at + 1,
            made_by(layer)
        );
        out.line(0, row.trim_end());
    }
    let files: u64 = image.layers.iter().map(|layer| layer.contents.files).sum();
    let (stored, unpacked) = (bytes(image.size), bytes(image.unpacked()));
    out.line(0, &format!("{stored:>8} {unpacked:>9} {files:>7}  all"));
    out.blank();
    out.line(0, "   bytes   files  whose");
    let mut rows: Vec<_> = image.contents.holdings.iter().collect();
    // Stable: of the same size, by owner.
    rows.sort_by_key(|(_, holding)| std::cmp::Reverse(holding.bytes));
    for (owner, holding) in rows {
        let (size, files) = (bytes(holding.bytes), holding.files);
        out.line(0, &format!("{size:>8} {files:>7}  {owner}"));
    }
    out.text
}

/// Returns where the bytes of two images went.
#[must_use]
pub fn comparison(comparison: &Comparison, all: bool) -> String {
    let mut out = Out::default();
    let [first, second] = &comparison.names;
    out.line(0, &format!("A  {first} ({})", comparison.platforms[0]));
    out.line(0, &format!("B  {second} ({})", comparison.platforms[1]));
    out.blank();
    out.line(0, "       A         B      A - B");
    for (what, [a, b]) in [
        ("stored", comparison.size),
        ("unpacked", comparison.unpacked),
    ] {
        out.line(0, &delta_row(a, b, what));
    }
    let [a, b] = comparison.layers;
    out.line(0, &format!("{a:>8}  {b:>8}             layers"));
    out.blank();
    let shown = if all { usize::MAX } else { ROWS };
    for delta in comparison.deltas.iter().take(shown) {
        let versions = match &delta.versions {
            [Some(a), Some(b)] if a == b => format!(" {a}"),
            [Some(a), Some(b)] => format!(" {a} | {b}"),
            [Some(a), None] => format!(" {a} (only A)"),
            [None, Some(b)] => format!(" {b} (only B)"),
            [None, None] => String::new(),
        };
        let what = format!("{} {}{versions}", delta.kind, delta.name);
        out.line(0, &delta_row(delta.bytes[0], delta.bytes[1], &what));
    }
    let rest = comparison.deltas.len().saturating_sub(shown);
    if rest > 0 {
        out.line(0, &format!("… {rest} more: add --size"));
    }
    let (count, size) = comparison.same;
    out.line(0, &format!("the same in both: {count}, {}", bytes(size)));
    out.text
}

fn delta_row(a: u64, b: u64, what: &str) -> String {
    let difference = match (a >= b, a.abs_diff(b)) {
        (_, 0) => "0 B".to_owned(),
        (true, more) => format!("+{}", bytes(more)),
        (false, less) => format!("-{}", bytes(less)),
    };
    format!("{:>8}  {:>8}  {difference:>9}  {what}", bytes(a), bytes(b))
}

/// Returns the words of a command as a shell would take them.
fn words(words: &[String]) -> String {
    let plain = |word: &String| {
        let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:=@%+,".contains(c);
        if !word.is_empty() && word.chars().all(is_plain) {
            word.clone()
        } else {
            format!("'{}'", word.replace('\'', r"'\''"))
        }
    };
    words.iter().map(plain).collect::<Vec<_>>().join(" ")
}

/// Returns a number of bytes as Docker shows it: powers of 1000, one decimal.
fn bytes(count: u64) -> String {
    let mut unit = 1;
    for (name, next) in [("B", 1_000), ("kB", 1_000_000), ("MB", 1_000_000_000)] {
        if count < next {
            return if unit == 1 {
                format!("{count} {name}")
            } else {
                // Tenths, rounded; integers, so that no machine rounds otherwise.
                let tenths = (count * 10 + unit / 2) / unit;
                format!("{}.{} {name}", tenths / 10, tenths % 10)
            };
        }
        unit = next;
    }
    let tenths = count / (unit / 10);
    format!("{}.{} GB", tenths / 10, tenths % 10)
}

/// Text with indentation, in which nothing of an image can move the cursor.
#[derive(Default)]
struct Out {
    text: String,
}

impl Out {
    fn line(&mut self, indent: usize, text: &str) {
        // What an image says is somebody else's: control characters stay on paper.
        let text = show(text.as_bytes());
        let _ = writeln!(self.text, "{:1$}{text}", "", indent * 2);
    }

    fn blank(&mut self) {
        self.text.push('\n');
    }

    fn field(&mut self, name: &str, value: impl std::fmt::Display) {
        self.line(1, &format!("{name:<12} {value}"));
    }

    fn optional(&mut self, name: &str, value: Option<&str>) {
        if let Some(value) = value {
            self.field(name, value);
        }
    }

    fn list(&mut self, name: &str, values: impl Iterator<Item = String>) {
        let mut name = name;
        for value in values {
            self.field(name, value);
            name = "";
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_in_the_unit_that_fits() {
        for (count, shown) in [
            (0, "0 B"),
            (999, "999 B"),
            (1_000, "1.0 kB"),
            (58_949_999, "58.9 MB"),
            (58_950_000, "59.0 MB"),
            (1_234_567_890, "1.2 GB"),
            (u64::MAX, "18446744073.7 GB"),
        ] {
            assert_eq!(bytes(count), shown);
        }
    }

    #[test]
    fn commands_are_shown_as_a_shell_takes_them() {
        let of = |texts: &[&str]| words(&texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>());
        assert_eq!(of(&["python", "-m", "src.app"]), "python -m src.app");
        assert_eq!(of(&["sh", "-c", "it's $X", ""]), r"sh -c 'it'\''s $X' ''");
    }

    #[test]
    fn what_an_image_says_cannot_move_the_cursor() {
        let mut out = Out::default();
        out.field("user", "\x1b[2Jroot\n");
        assert!(
            !out.text.trim_end().contains(char::is_control),
            "{:?}",
            out.text
        );
    }
}
