//! What people read: the files and names that pages give exist, and phrases that make readers stumble
//! stay out of pages, of documentation and of messages.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use proc_macro2::{TokenStream, TokenTree};
use rstest::rstest;

use crate::tidy::{expect_none, files, sources};

/// Pages for people who use Pleiad or read its code.
fn pages() -> BTreeMap<String, String> {
    let folders = ["README.md", "ARCHITECTURE.md", "CHANGELOG.md", "docs"];
    folders.iter().flat_map(|folder| files(folder)).collect()
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

/// Each piece of `page` between single backticks, outside blocks of code.
fn quoted(page: &str) -> Vec<&str> {
    let (mut quoted, mut in_block) = (Vec::new(), false);
    for line in page.lines() {
        if line.starts_with("```") {
            in_block = !in_block;
        } else if !in_block {
            quoted.extend(line.split('`').skip(1).step_by(2));
        }
    }
    quoted
}

/// Whether `name` is that of a file or folder of this repository. The page about the code also names
/// folders below `src`, with `/` at their end.
fn is_path(page: &str, name: &str) -> bool {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./*<>".contains(c);
    let is_below = |top: &&str| name.strip_prefix(*top).is_some_and(|rest| rest.starts_with('/'));
    let is_room = page == "ARCHITECTURE.md" && name.ends_with('/') && !name.starts_with('_');
    let tops = ["core", "src", "tests", "sql", "docs", "benches", "data", ".ci"];
    let endings = [".rs", ".slt", ".sh"];
    name.chars().all(is_plain)
        && (is_room
            || tops.iter().any(is_below)
            || endings.iter().any(|ending| name.ends_with(ending)))
}

/// Whether the path exists, from the root or a folder that pages leave out; of a pattern, its folder.
fn found(name: &str) -> bool {
    let fixed = match name.find(['*', '<']) {
        Some(end) => name[..end].rsplit_once('/').map_or("", |(folder, _)| folder),
        None => name.trim_end_matches('/'),
    };
    ["", "src", "core/src", "tests/it"]
        .iter()
        .any(|folder| root().join(folder).join(fixed).exists())
}

#[test]
fn files_that_pages_name_exist() {
    let missing = pages().into_iter().flat_map(|(page, text)| {
        let names = quoted(&text).into_iter().filter(|name| is_path(&page, name) && !found(name));
        let names = names.map(|name| format!("{page}: '{name}' does not exist"));
        let folder = root().join(&page).parent().map(PathBuf::from).unwrap_or_default();
        let links = text.split("](").skip(1).filter_map(|link| link.split_once(')'));
        let links = links.map(|(link, _)| link.split('#').next().unwrap_or_default());
        let links = links.filter(|link| !link.contains("://") && !folder.join(link).exists());
        let links = links.map(|link| format!("{page}: the link to '{link}' leads nowhere"));
        names.chain(links).collect::<Vec<_>>()
    });
    expect_none(&missing.collect::<Vec<_>>());
}

/// Whether the module path `a::b::Name` leads to a name in the sources.
fn leads(path: &str) -> bool {
    ["src", "core/src"].iter().any(|package| leads_from(root().join(package), path))
}

fn leads_from(mut place: PathBuf, path: &str) -> bool {
    for segment in path.split("::") {
        let file = place.join(segment).with_extension("rs");
        if place.join(segment).is_dir() {
            place.push(segment);
        } else if file.exists() {
            place = file;
        } else {
            let inside = place.strip_prefix(root()).expect("below the root").to_string_lossy();
            return files(&inside).values().any(|text| text.contains(segment));
        }
    }
    true
}

#[test]
fn names_in_the_pages_about_the_code_exist() {
    let code: String =
        ["core", "src", "tests"].iter().flat_map(|at| files(at).into_values()).collect();
    let is_name = |name: &str| {
        name.starts_with(|c: char| c.is_ascii_uppercase())
            && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_')
    };
    let is_module = |name: &str| {
        name.contains("::") && name.chars().all(|c| c.is_ascii_alphanumeric() || "_:".contains(c))
    };
    let missing = ["ARCHITECTURE.md", "docs/decisions.md"].iter().flat_map(|page| {
        let text = files(page).remove(*page).unwrap_or_default();
        let gone =
            |name: &&str| is_name(name) && !code.contains(*name) || is_module(name) && !leads(name);
        let names = quoted(&text).into_iter().filter(gone).map(str::to_owned);
        names.map(|name| format!("{page}: '{name}' is not in the code")).collect::<Vec<_>>()
    });
    expect_none(&missing.collect::<Vec<_>>());
}

/// Phrases that readers stumble over, and what to say instead.
const PHRASES: &[(&str, &str)] = &[
    ("all the same", "anyway"),
    ("anew", "again"),
    ("are no", "are not"),
    ("at no time", "never, or what is wrong with the time"),
    ("dearest", "most expensive"),
    ("has no place", "is not a usable position"),
    ("have no place", "are not usable positions"),
    ("is no", "is not a"),
    ("nobody", "no one"),
    ("shared out", "sent to blocks"),
    ("so many", "N"),
    ("stands", "is, or is stored"),
    ("takes no uploads", "has no multipart uploads"),
    ("tells", "shows"),
    ("told", "shown"),
    ("whoever", "anyone who"),
];

/// Good English that holds such a phrase.
const PLAIN: &[&str] =
    &["there is no", "there are no", "no longer", "no more", "no less", "stands for", "told apart"];

/// The phrases in `text`, as words.
fn phrases(text: &str) -> Vec<String> {
    let text = text.split_whitespace().collect::<Vec<_>>().join(" ").to_lowercase();
    let text = PLAIN.iter().fold(text, |text, plain| text.replace(plain, "-"));
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let said = |phrase: &str| {
        text.match_indices(phrase).any(|(start, _)| {
            let after = &text[start + phrase.len()..];
            !text[..start].ends_with(is_word) && !after.starts_with(is_word)
        })
    };
    let said = PHRASES.iter().filter(|(phrase, _)| said(phrase));
    said.map(|(phrase, better)| format!("'{phrase}': say '{better}'")).collect()
}

/// The texts of a source, with their lines: its literals, and its documentation if it is shown to users,
/// a run of lines as one.
fn texts(source: &str) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    collect(source.parse().expect("a source that compiles"), &mut found, &mut false);
    let is_help = source.contains("clap");
    let found = found.into_iter().filter(|text| is_help || !text.is_documentation);
    found.map(|text| (text.line, text.text)).collect()
}

struct Text {
    line: usize,
    text: String,
    is_documentation: bool,
}

/// Adds the texts of `stream`; documentation goes on if the last token was some.
fn collect(stream: TokenStream, texts: &mut Vec<Text>, goes_on: &mut bool) {
    for token in stream {
        let line = token.span().start().line;
        match token {
            TokenTree::Punct(mark) if matches!(mark.as_char(), '#' | '!') => {}
            TokenTree::Group(group) => match documentation(&group.stream()) {
                Some(text) => {
                    match texts.last_mut() {
                        Some(last) if *goes_on => last.text += &text,
                        _ => texts.push(Text { line, text, is_documentation: true }),
                    }
                    *goes_on = true;
                }
                None => {
                    *goes_on = false;
                    collect(group.stream(), texts, goes_on);
                    *goes_on = false;
                }
            },
            TokenTree::Literal(literal) => {
                *goes_on = false;
                let text = literal.to_string().replace("\\\n", " ");
                texts.push(Text { line, text, is_documentation: false });
            }
            _ => *goes_on = false,
        }
    }
}

/// The text of a line of documentation, which is the attribute `doc = "…"`.
fn documentation(attribute: &TokenStream) -> Option<String> {
    let tokens: Vec<TokenTree> = attribute.clone().into_iter().collect();
    match tokens.as_slice() {
        [TokenTree::Ident(name), _, TokenTree::Literal(text)] if name == "doc" => {
            Some(text.to_string().trim_matches('"').to_owned() + " ")
        }
        _ => None,
    }
}

#[test]
fn texts_for_people_are_in_plain_words() {
    let sources = sources().into_iter().flat_map(|(file, source)| {
        let texts = texts(&source).into_iter();
        texts.map(|(line, text)| (format!("{file}:{line}"), text)).collect::<Vec<_>>()
    });
    let pages = pages().into_iter().chain(files("sql"));
    let pages = pages.map(|(page, text)| (page, text.replace("\n-- ", " ")));
    let found = sources.chain(pages).flat_map(|(place, text)| {
        phrases(&text).into_iter().map(|found| format!("{place}: {found}")).collect::<Vec<_>>()
    });
    expect_none(&found.collect::<Vec<_>>());
}

#[rstest]
#[case("what stands\n  at a location", &["'stands': say 'is, or is stored'"])]
#[case("Nobody knows a standstill", &["'nobody': say 'no one'"])]
#[case("there is no file, it is no longer there", &[])]
#[case("that is no file", &["'is no': say 'is not a'"])]
fn a_phrase_is_found_across_lines_and_as_a_word(#[case] text: &str, #[case] expected: &[&str]) {
    assert_eq!(phrases(text), expected);
}

#[rstest]
#[case("use clap::Args;", &[(2, 2), (6, 0)])]
#[case("", &[(6, 0)])]
fn literals_and_the_help_of_options_are_texts(
    #[case] first: &str,
    #[case] expected: &[(usize, usize)],
) {
    let documented = "/// All the\n/// same.\n/// It tells\n/// more.\n";
    let source = format!("{first}\n{documented}fn told(x: &str) {{ f(\"a \\\n  b\"); }}");
    let found = texts(&source).into_iter().map(|(line, text)| (line, phrases(&text).len()));
    assert_eq!(found.collect::<Vec<_>>(), expected);
}
