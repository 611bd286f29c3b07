//! The formats of tables: the only list of them, with the words and endings that name them.
//!
//! A new format is a [`FormatKind`] with its line in `FORMATS`; the compiler then asks for its reader
//! (`read/unmanaged.rs` finds columns, `read/provider.rs` reads rows) and its writer
//! (`write/single.rs`).

use super::text::format::CsvFormat;

/// A kind of file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FormatKind {
    /// Apache Parquet.
    Parquet,
    /// Text with a delimiter between values.
    Csv,
    /// A JSON object a line.
    Json,
}

/// How the files of a table are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Format {
    /// Apache Parquet.
    Parquet,
    /// Text.
    Csv(CsvFormat),
    /// An object a line.
    Json,
}

/// How a single file is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FileFormat {
    /// Apache Parquet, zstd.
    Parquet,
    /// Text: what separates values, and whether a first line names the columns.
    Csv {
        /// The character between values.
        delimiter: u8,
        /// A first line with the names.
        header: bool,
    },
    /// One JSON object a line.
    Ndjson,
}

/// What names a format.
struct Entry {
    kind: FormatKind,
    /// What `STORED AS` may say; errors say the first.
    words: &'static [&'static str],
    /// How names of its files end, each with how a file of this name is written, if it is.
    endings: &'static [(&'static str, Option<FileFormat>)],
    /// Whether the ending of a compressed file may follow.
    compressed: bool,
    /// How a file is written whose name has none of the endings.
    written: FileFormat,
}

const COMMAS: FileFormat = FileFormat::Csv { delimiter: b',', header: true };
const TABS: FileFormat = FileFormat::Csv { delimiter: b'\t', header: true };

static FORMATS: [Entry; 3] = [
    Entry {
        kind: FormatKind::Parquet,
        words: &["PARQUET"],
        endings: &[("parquet", Some(FileFormat::Parquet)), ("parq", Some(FileFormat::Parquet))],
        compressed: false,
        written: FileFormat::Parquet,
    },
    Entry {
        kind: FormatKind::Csv,
        words: &["CSV"],
        endings: &[("csv", Some(COMMAS)), ("tsv", Some(TABS)), ("txt", None), ("ecsv", None)],
        compressed: true,
        written: COMMAS,
    },
    Entry {
        kind: FormatKind::Json,
        words: &["JSON", "NDJSON"],
        endings: &[
            ("jsonl", Some(FileFormat::Ndjson)),
            ("ndjson", Some(FileFormat::Ndjson)),
            ("json", None),
        ],
        compressed: true,
        written: FileFormat::Ndjson,
    },
];

impl FormatKind {
    /// The format that the name of a file to read says.
    pub(crate) fn of_path(path: &str) -> Option<Self> {
        let path = path.to_ascii_lowercase();
        let plain = uncompressed(&path);
        let (_, ending) = plain.rsplit_once('.')?;
        let is_compressed = plain != path;
        FORMATS
            .iter()
            .find(|entry| entry.endings.iter().any(|(known, _)| *known == ending))
            .filter(|entry| entry.compressed || !is_compressed)
            .map(|entry| entry.kind)
    }

    /// The format that `STORED AS` says with this word in capitals.
    pub fn stored_as(word: &str) -> Option<Self> {
        FORMATS.iter().find(|entry| entry.words.contains(&word)).map(|entry| entry.kind)
    }

    /// Its word after `STORED AS`.
    pub fn word(self) -> &'static str {
        self.entry().words[0]
    }

    fn entry(self) -> &'static Entry {
        FORMATS.iter().find(|entry| entry.kind == self).expect("every kind is in the list")
    }
}

impl Format {
    /// Its kind.
    pub fn kind(&self) -> FormatKind {
        match self {
            Self::Parquet => FormatKind::Parquet,
            Self::Csv(_) => FormatKind::Csv,
            Self::Json => FormatKind::Json,
        }
    }
}

impl FileFormat {
    /// The format that the ending of a name says.
    pub fn of_name(name: &str) -> Option<Self> {
        let ending = name.rsplit_once('.')?.1.to_ascii_lowercase();
        let mut endings = FORMATS.iter().flat_map(|entry| entry.endings);
        endings.find(|(known, _)| *known == ending).and_then(|(_, written)| *written)
    }

    /// Its kind.
    pub fn kind(self) -> FormatKind {
        match self {
            Self::Parquet => FormatKind::Parquet,
            Self::Csv { .. } => FormatKind::Csv,
            Self::Ndjson => FormatKind::Json,
        }
    }

    /// How the names of its files end.
    pub(crate) fn ending(self) -> &'static str {
        let mut written = self.kind().entry().endings.iter().filter(|(_, how)| how.is_some());
        let first = written.clone().next();
        let own = written.find(|(_, how)| *how == Some(self)).or(first);
        own.map_or("", |(ending, _)| ending)
    }

    /// How files of this kind are written, unless their name says otherwise.
    pub fn of_kind(kind: FormatKind) -> Self {
        kind.entry().written
    }
}

/// The name of a file without the ending that says how it is compressed.
pub(crate) fn uncompressed(name: &str) -> &str {
    let is_known = |ending: &str| {
        [".gz", ".zst", ".bz2"].iter().any(|known| ending.eq_ignore_ascii_case(known))
    };
    match name.rfind('.') {
        Some(dot) if is_known(&name[dot..]) => &name[..dot],
        _ => name,
    }
}

/// Every word that `STORED AS` may say.
pub fn words() -> impl Iterator<Item = &'static str> {
    FORMATS.iter().flat_map(|entry| entry.words).copied()
}

/// The formats, as errors list them: `PARQUET, CSV or JSON`.
pub fn known_words() -> String {
    one_of(FORMATS.iter().map(|entry| entry.words[0].to_owned()))
}

/// The endings of files that are read, as errors list them.
pub(crate) fn known_endings() -> String {
    let endings = FORMATS.iter().flat_map(|entry| entry.endings);
    one_of(endings.map(|(ending, _)| format!(".{ending}")))
}

/// The endings of files that are written, as errors list them.
pub fn written_endings() -> String {
    let endings = FORMATS.iter().flat_map(|entry| entry.endings);
    one_of(endings.filter(|(_, how)| how.is_some()).map(|(ending, _)| format!(".{ending}")))
}

/// `a, b or c`.
fn one_of(words: impl Iterator<Item = String>) -> String {
    let mut words: Vec<_> = words.collect();
    match words.pop() {
        Some(last) if words.is_empty() => last,
        Some(last) => format!("{} or {last}", words.join(", ")),
        None => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("a/x.parquet", Some(FormatKind::Parquet), Some(FileFormat::Parquet))]
    #[case("x.PARQ", Some(FormatKind::Parquet), Some(FileFormat::Parquet))]
    #[case("x.parquet.gz", None, None)]
    #[case("x.csv", Some(FormatKind::Csv), Some(COMMAS))]
    #[case("x.tsv", Some(FormatKind::Csv), Some(TABS))]
    #[case("x.txt", Some(FormatKind::Csv), None)]
    #[case("x.csv.gz", Some(FormatKind::Csv), None)]
    #[case("x.csv.ZST", Some(FormatKind::Csv), None)]
    #[case("x.ecsv.bz2", Some(FormatKind::Csv), None)]
    #[case("x.json", Some(FormatKind::Json), None)]
    #[case("x.ndjson", Some(FormatKind::Json), Some(FileFormat::Ndjson))]
    #[case("x.jsonl.gz", Some(FormatKind::Json), None)]
    #[case("csv", None, None)]
    #[case("x.orc", None, None)]
    fn the_ending_names_the_format(
        #[case] name: &str,
        #[case] read: Option<FormatKind>,
        #[case] written: Option<FileFormat>,
    ) {
        assert_eq!((FormatKind::of_path(name), FileFormat::of_name(name)), (read, written));
    }

    #[test]
    fn every_word_and_every_kind_is_known() {
        for word in words() {
            let kind = FormatKind::stored_as(word).unwrap();
            assert!(words().any(|known| known == kind.word()));
            FileFormat::of_kind(kind);
        }
        assert_eq!(known_words(), "PARQUET, CSV or JSON");
        assert_eq!(written_endings(), ".parquet, .parq, .csv, .tsv, .jsonl or .ndjson");
        assert_eq!(FormatKind::stored_as("ORC"), None);
    }
}
