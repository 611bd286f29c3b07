//! Lines that look like the recent changes of Wikipedia and its sisters: one change a line, ASCII.

use std::fmt::Write;

use super::draws::{Column, Draws};
use super::iot::below;

/// Pages that some changes are of.
const PAGES: &str = include_str!("../../data/stream/pages.csv");

/// Name of the wiki, its server, and its share of 100 changes.
const WIKIS: [(&str, &str, u64); 8] = [
    ("commonswiki", "commons.wikimedia.org", 32),
    ("wikidatawiki", "www.wikidata.org", 30),
    ("enwiki", "en.wikipedia.org", 20),
    ("frwiki", "fr.wikipedia.org", 5),
    ("dewiki", "de.wikipedia.org", 5),
    ("eswiki", "es.wikipedia.org", 4),
    ("enwiktionary", "en.wiktionary.org", 2),
    ("ocwiki", "oc.wikipedia.org", 2),
];

/// Kind of the change, and its share of 100.
const TYPES: [(&str, u64); 4] = [("edit", 75), ("categorize", 15), ("log", 6), ("new", 4)];

const COMMENTS: [&str; 5] = [
    "orthographe corrigée",
    "/* Références */ lien réparé",
    "Robot: \"Magnitude\" added",
    "",
    "Überprüfung der Entfernung",
];

/// Changes, one after the other.
#[derive(Clone, Debug)]
pub struct Changes {
    bits: Column,
    line: u64,
    pages: Vec<&'static str>,
}

impl Changes {
    /// From the first line.
    pub fn new(seed: u64) -> Self {
        let pages = PAGES.lines().skip(1).filter_map(|line| line.split(',').next()).collect();
        Self { bits: Column::new(seed, "changes"), line: 0, pages }
    }

    /// The next change, at `now`: nanoseconds since 1970.
    pub fn line(&mut self, now: i64) -> String {
        let mut draws = self.bits.at(self.line);
        self.line += 1;
        let id = 2_000_000_000 + self.line;
        let (wiki, server, _) = *chosen(&mut draws, &WIKIS, |(_, _, share)| *share);
        let (kind, _) = *chosen(&mut draws, &TYPES, |(_, share)| *share);
        let title = self.title(&mut draws, wiki);
        let namespace = if wiki == "commonswiki" { 6 } else { 0 };
        let is_bot = below(&mut draws, 3) == 0;
        let user = match (is_bot, below(&mut draws, 400)) {
            (true, number) => format!("Robot{}", number % 20),
            (false, number @ 0..100) => format!("192.0.2.{number}"),
            (false, number) => format!("Observateur étoilé {number}"),
        };
        let comment = COMMENTS[index(below(&mut draws, 5))];
        let [title, user, comment] = [title.as_str(), &user, comment].map(quoted);
        let seconds = now.div_euclid(1_000_000_000);
        format!(
            "{{\"$schema\": \"/mediawiki/recentchange/1.0.0\", \"id\": {id}, \"type\": \"{kind}\", \
             \"namespace\": {namespace}, \"title\": {title}, \"comment\": {comment}, \"timestamp\": {seconds}, \
             \"user\": {user}, \"bot\": {is_bot}, \"server_url\": \"https://{server}\", \"server_name\": \
             \"{server}\", \"server_script_path\": \"/w\", \"wiki\": \"{wiki}\", \"parsedcomment\": {comment}}}"
        )
    }

    fn title(&self, draws: &mut Draws, wiki: &str) -> String {
        let number = 1 + below(draws, 7840); // as many as the New General Catalogue has
        match wiki {
            "wikidatawiki" => format!("Q{}", 10_000 + number),
            "commonswiki" => format!("File:NGC {number}.jpg"),
            _ if below(draws, 4) == 0 => {
                let pages = u64::try_from(self.pages.len()).unwrap_or(1);
                self.pages[index(below(draws, pages))].to_owned()
            }
            _ => format!("NGC {number}"),
        }
    }
}

fn index(number: u64) -> usize {
    usize::try_from(number).expect("below the length of a list")
}

/// One of `all` by its share of 100.
fn chosen<'a, T>(draws: &mut Draws, all: &'a [T], share: impl Fn(&T) -> u64) -> &'a T {
    let mut left = below(draws, 100);
    let found = all.iter().find(|one| match left.checked_sub(share(one)) {
        Some(rest) => {
            left = rest;
            false
        }
        None => true,
    });
    found.unwrap_or(&all[0]) // the shares are 100 together
}

/// A text of JSON in ASCII, as Python writes it.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            ' '..='~' => quoted.push(c),
            _ => {
                for unit in c.encode_utf16(&mut [0; 2]) {
                    write!(quoted, "\\u{unit:04x}").expect("a String takes all");
                }
            }
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::Value;

    use super::*;

    #[test]
    fn texts_are_ascii_and_read_back() {
        for text in ["", "a\"b\\c", "Électre\n", "𝄞"] {
            let quoted = quoted(text);
            assert!(quoted.is_ascii());
            assert_eq!(serde_json::from_str::<String>(&quoted).unwrap(), text);
        }
    }

    #[test]
    fn changes_have_the_keys_and_shares_that_are_promised() {
        let mut changes = Changes::new(1);
        let lines: Vec<_> = (0..20_000).map(|_| changes.line(1_619_562_304_999_999_999)).collect();
        let mut again = Changes::new(1);
        assert!(lines.iter().take(100).all(|line| *line == again.line(1_619_562_304_999_999_999)));
        let (mut wikis, mut edits, mut pages) = (BTreeMap::new(), 0, 0);
        for line in &lines {
            assert!(line.is_ascii() && line.starts_with("{\"$schema\": \"/mediawiki"));
            let row: Value = serde_json::from_str(line).unwrap();
            assert_eq!(row.as_object().unwrap().len(), 14);
            assert_eq!(row["timestamp"], 1_619_562_304);
            *wikis.entry(row["wiki"].as_str().unwrap().to_owned()).or_insert(0) += 1;
            edits += u64::from(row["type"] == "edit");
            pages += u64::from(changes.pages.contains(&row["title"].as_str().unwrap()));
        }
        assert_eq!(wikis.len(), WIKIS.len());
        assert!((850..1150).contains(&wikis["frwiki"]), "{wikis:?}"); // 5 %
        assert!(edits > 14_000 && pages > 1000, "{edits} {pages}");
        assert_eq!(WIKIS.iter().map(|(_, _, share)| share).sum::<u64>(), 100);
        assert_eq!(TYPES.iter().map(|(_, share)| share).sum::<u64>(), 100);
    }
}
