//! The schemes of locations: the one list that parsing, opening and messages go by.

use std::fmt;

use url::Url;

/// What comes before `://`, and the scheme it stands for. The first name of each is its own.
const SCHEMES: [(&str, Scheme); 5] = [
    ("s3", Scheme::S3),
    ("s3a", Scheme::S3),
    ("s3n", Scheme::S3),
    ("file", Scheme::File),
    ("memory", Scheme::Memory),
];

/// How a store is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Scheme {
    /// An S3 server.
    S3,
    /// The files of this machine.
    File,
    /// A store in the memory of this process.
    Memory,
}

impl Scheme {
    /// The scheme of this name, in any case.
    pub(crate) fn named(name: &str) -> Option<Self> {
        let found = SCHEMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        found.map(|(_, scheme)| *scheme)
    }

    /// The scheme of an address.
    pub(crate) fn of(url: &Url) -> Option<Self> {
        Self::named(url.scheme())
    }

    /// The name that locations are printed with.
    pub(crate) fn name(self) -> &'static str {
        let own = SCHEMES.iter().find(|(_, scheme)| *scheme == self);
        own.map_or("", |(name, _)| name)
    }

    /// All names, for messages: `s3://, s3a://, …`.
    pub(crate) fn all() -> String {
        SCHEMES.map(|(name, _)| format!("{name}://")).join(", ")
    }
}

impl fmt::Display for Scheme {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_scheme_has_a_name_that_leads_back_to_it() {
        for (name, scheme) in SCHEMES {
            assert_eq!(Scheme::named(name), Some(scheme));
            assert_eq!(Scheme::named(&name.to_ascii_uppercase()), Some(scheme));
            assert_eq!(Scheme::named(scheme.name()), Some(scheme));
        }
        assert_eq!(Scheme::named("gopher"), None);
        assert_eq!(Scheme::all(), "s3://, s3a://, s3n://, file://, memory://");
    }
}
