//! Settings for all commands, so that a flag need not be repeated on every line.
//!
//! What comes later wins: the default, `$XDG_CONFIG_HOME/pleiad/config.toml` (else
//! `~/.config/pleiad/config.toml`), `./pleiad.toml`, a variable, the flag. A setting has the name of
//! its flag, `memory-limit = "10g"` in a file and `PLEIAD_MEMORY_LIMIT` as a variable. Settings say
//! where and how fast; what a command computes is said on the command line only.
//!
//! How S3 is reached has more layers (`aws` and `mc` have theirs): `storage` reads those variables
//! itself, and what a file says comes after all of them. `./pleiad.toml` may say it if it is trusted
//! (`cli/trust.rs`), else a command that would use it ends with an error.

use std::collections::BTreeMap;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::Parser;

use super::context::Flags;
use super::settings::nearest;
use super::trust::{self, is_trusted};
use crate::error::{Error, Kind, Result};
use crate::storage::{Environment, ShownSetting};

/// What the variables begin with.
const PREFIX: &str = "PLEIAD_";

/// Settings with a value.
const VALUES: [&str; 7] =
    ["disk-limit", "endpoint-url", "memory-limit", "profile", "region", "threads", "timeout"];

/// Settings that are true or false.
const SWITCHES: [&str; 2] = ["no-progress", "virtual-host"];

/// Settings whose variables `storage` reads.
const STORAGE: [&str; 3] = ["endpoint-url", "profile", "region"];

/// Settings that say where data and signed requests go.
const NEED_TRUST: [&str; 4] = ["endpoint-url", "profile", "region", "virtual-host"];

/// The settings of the directory in which a command runs.
const PROJECT_FILE: &str = "pleiad.toml";

pub(super) fn names() -> impl Iterator<Item = &'static str> {
    VALUES.into_iter().chain(SWITCHES)
}

/// Fills the flags that were not given from the variables and files around the process, and gives
/// what those say.
///
/// # Errors
/// [`Kind::Configuration`]: an unknown setting, a value that its flag does not take, a
/// file that cannot be read.
pub fn fill(flags: &mut Flags) -> Result<Vec<ShownSetting>> {
    let environment = flags.storage.environment.clone();
    let config = Config::read(&environment, Path::new("."))?;
    let shown = config.shown();
    config.fill(flags);
    Ok(shown)
}

/// Trusts `./pleiad.toml` as it is now; what it says, and its path.
///
/// # Errors
/// If there is none, if it is not a file of settings, or if trust cannot be recorded.
pub(super) fn trust(environment: &Environment) -> Result<(Vec<ShownSetting>, PathBuf)> {
    let path = Path::new(".").join(PROJECT_FILE);
    let shown = path.display().to_string();
    let text = read(&path)?.ok_or_else(|| Error::missing(format!("'{shown}' not found")))?;
    let mut config = Config::default();
    config.read_text(&text, &shown, false)?;
    trust::trust(environment, &path, &text)?;
    let whole = std::path::absolute(&path).unwrap_or(path);
    Ok((config.shown(), whole))
}

/// Settings by name, each with what it sets.
#[derive(Debug, Default)]
struct Config(BTreeMap<&'static str, Setting>);

#[derive(Debug)]
struct Setting {
    text: String,
    origin: String,
    /// Why it may not be used.
    refused: Option<Error>,
    /// Flags with this setting only.
    flags: Flags,
}

impl Config {
    fn read(environment: &Environment, directory: &Path) -> Result<Self> {
        let home = environment.get("XDG_CONFIG_HOME").map(PathBuf::from);
        let home = home.or_else(|| environment.below_home(".config"));
        let mut config = Self::default();
        if let Some(home) = home {
            let path = home.join("pleiad/config.toml");
            if let Some(text) = read(&path)? {
                config.read_text(&text, &path.display().to_string(), false)?;
            }
        }
        let path = directory.join(PROJECT_FILE);
        if let Some(text) = read(&path)? {
            let untrusted = !is_trusted(environment, &path, &text)?;
            config.read_text(&text, &path.display().to_string(), untrusted)?;
        }
        config.read_variables(environment)?;
        Ok(config)
    }

    /// Reads the text of the file `shown`; `untrusted` may not say how storage is reached.
    fn read_text(&mut self, text: &str, shown: &str, untrusted: bool) -> Result<()> {
        let table: toml::Table = text.parse().map_err(|cause: toml::de::Error| {
            let start = cause.span().map_or(0, |span| span.start);
            let line = text.bytes().take(start).filter(|byte| *byte == b'\n').count() + 1;
            wrong(format!("'{shown}', line {line}, is not TOML: {}", cause.message()))
        })?;
        for (key, value) in table {
            let text = match value {
                toml::Value::String(text) => text,
                toml::Value::Integer(number) => number.to_string(),
                toml::Value::Boolean(switch) => switch.to_string(),
                other => {
                    let found = other.type_str();
                    return Err(wrong(format!(
                        "setting '{key}' of '{shown}' is of type {found}, expected a text, an \
                         integer, true or false"
                    )));
                }
            };
            let Some(name) = names().find(|name| *name == key) else {
                let remedy = match nearest(&key, names()) {
                    Some(near) => format!("did you mean '{near}'?"),
                    None => format!("known are {}", names().collect::<Vec<_>>().join(", ")),
                };
                return Err(wrong(format!("setting '{key}' of '{shown}' is not known: {remedy}")));
            };
            let refused =
                (untrusted && NEED_TRUST.contains(&name)).then(|| not_trusted(name, shown));
            self.set(name, text, shown.to_owned(), refused)?;
        }
        Ok(())
    }

    /// A variable that is not a setting may be another program's, unless it looks like a misspelling.
    fn read_variables(&mut self, environment: &Environment) -> Result<()> {
        for variable in environment.names(PREFIX) {
            let key = variable[PREFIX.len()..].to_lowercase().replace('_', "-");
            match (names().find(|name| *name == key), nearest(&key, names())) {
                (Some(name), _) if STORAGE.contains(&name) => {}
                (Some(name), _) => {
                    let text = environment.get(&variable).unwrap_or_default();
                    self.set(name, text, variable, None)?;
                }
                (None, Some(near)) => {
                    let near = near.to_uppercase().replace('-', "_");
                    return Err(wrong(format!(
                        "variable {variable} is not known: did you mean {PREFIX}{near}?"
                    )));
                }
                (None, None) => {}
            }
        }
        Ok(())
    }

    fn set(
        &mut self,
        name: &'static str,
        text: String,
        origin: String,
        refused: Option<Error>,
    ) -> Result<()> {
        let flags = flags_with(name, &text).map_err(|reason| {
            wrong(format!("setting '{name}' (from {origin}) is '{text}': {reason}"))
        })?;
        self.0.insert(name, Setting { text, origin, refused, flags });
        Ok(())
    }

    fn shown(&self) -> Vec<ShownSetting> {
        let setting = |(name, setting): (&&'static str, &Setting)| {
            let trust = if setting.refused.is_some() { " (not trusted)" } else { "" };
            let origin = format!("{}{trust}", setting.origin);
            ShownSetting::new(name, Some(setting.text.clone()), origin)
        };
        self.0.iter().map(setting).collect()
    }

    fn fill(self, flags: &mut Flags) {
        for (name, Setting { text, origin, refused, flags: set }) in self.0 {
            match name {
                "threads" if flags.master.is_some() => {}
                "threads" => flags.threads = flags.threads.or(set.threads),
                "memory-limit" => {
                    flags.memory_limit_bytes = flags.memory_limit_bytes.or(set.memory_limit_bytes);
                }
                "disk-limit" => {
                    flags.disk_limit_bytes = flags.disk_limit_bytes.or(set.disk_limit_bytes);
                }
                "timeout" => flags.storage.timeout = flags.storage.timeout.or(set.storage.timeout),
                "no-progress" => flags.terminal.no_progress |= set.terminal.no_progress,
                _ => {
                    let setting = refused.map_or(Ok((text, origin)), Err);
                    flags.storage.defaults.insert(name, setting);
                }
            }
        }
    }
}

/// The flags of a command line that says this and nothing else; the reason if it cannot.
fn flags_with(name: &str, text: &str) -> Result<Flags, String> {
    #[derive(Parser)]
    struct FlagLine {
        #[command(flatten)]
        flags: Flags,
    }
    let word = match (SWITCHES.contains(&name), text) {
        (false, text) => format!("--{name}={text}"),
        (true, "true") => format!("--{name}"),
        (true, "false") => return Ok(Flags::default()),
        (true, _) => return Err("expected true or false".to_owned()),
    };
    let parsed = FlagLine::try_parse_from(["pleiad".to_owned(), word]);
    parsed.map(|line| line.flags).map_err(|error| {
        // `error: invalid value 'x' for '--threads <N>': the reason`, and more lines
        let text = error.to_string();
        let line = text.lines().next().unwrap_or_default();
        line.rsplit_once("': ").map_or(line, |(_, reason)| reason).to_owned()
    })
}

/// The text of a file; one that is not there says nothing.
fn read(path: &Path) -> Result<Option<String>> {
    let cannot = || wrong(format!("cannot read '{}'", path.display()));
    let absent = |cause: &std::io::Error| {
        matches!(cause.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory)
    };
    match path.metadata() {
        Ok(found) if found.is_file() => {}
        Ok(_) => return Err(wrong(format!("'{}' is not a file", path.display()))),
        Err(cause) if absent(&cause) => return Ok(None),
        Err(cause) => return Err(cannot().caused_by(cause)),
    }
    match std::fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(cause) if absent(&cause) => Ok(None),
        Err(cause) => Err(cannot().caused_by(cause)),
    }
}

fn not_trusted(name: &str, file: &str) -> Error {
    wrong(format!(
        "setting '{name}' of '{file}' decides where data and signed requests go, and you have not \
         trusted this file: read it, then run pleiad config trust"
    ))
}

fn wrong(message: String) -> Error {
    Error::new(Kind::Configuration, message)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A home and a working directory with these files.
    struct Around(tempfile::TempDir);

    impl Around {
        fn new(home: &str, here: &str) -> Self {
            let dir = tempfile::tempdir().unwrap();
            std::fs::create_dir_all(dir.path().join("home/pleiad")).unwrap();
            std::fs::write(dir.path().join("home/pleiad/config.toml"), home).unwrap();
            std::fs::write(dir.path().join("pleiad.toml"), here).unwrap();
            Self(dir)
        }

        fn fill(&self, variables: &[(&str, &str)], line: &str) -> Result<Flags> {
            #[derive(Parser)]
            struct FlagLine {
                #[command(flatten)]
                flags: Flags,
            }
            let home = self.0.path().join("home").to_str().unwrap().to_owned();
            let variables = variables.iter().map(|(name, value)| (*name, (*value).to_owned()));
            let environment = Environment::of(variables.chain([("XDG_CONFIG_HOME", home)]));
            let mut flags = FlagLine::parse_from(line.split(' ')).flags;
            Config::read(&environment, self.0.path())?.fill(&mut flags);
            Ok(flags)
        }
    }

    #[test]
    fn flag_before_variable_before_file_before_default() {
        let around = Around::new(
            "threads = 2\nmemory-limit = \"1g\"\ndisk-limit = \"7GB\"\nno-progress = true",
            "threads = 3\nmemory-limit = \"2g\"\n",
        );
        let variables = [("PLEIAD_THREADS", "4"), ("PLEIAD_LOG", "debug"), ("PLEIAD_X", "y")];
        let found = |variables: &[_], line| {
            let flags = around.fill(variables, line).unwrap();
            (flags.threads().get(), flags.memory_limit_bytes, flags.disk_limit_bytes)
        };
        let disk = Some(7_000_000_000);
        assert_eq!(found(&variables, "pleiad --threads 5"), (5, Some(2 << 30), disk));
        assert_eq!(found(&variables, "pleiad"), (4, Some(2 << 30), disk));
        assert_eq!(found(&[], "pleiad -m 3g"), (3, Some(3 << 30), disk));
        assert_eq!(found(&[], "pleiad --master local[6]").0, 6);
        assert_eq!(found(&[("PLEIAD_THREADS", "")], "pleiad").0, 3);
        assert!(around.fill(&[], "pleiad").unwrap().terminal.no_progress);
        let around = Around::new("no-progress = true", "no-progress = false");
        assert!(!around.fill(&[], "pleiad").unwrap().terminal.no_progress);
    }

    #[track_caller]
    fn refused(home: &str, variables: &[(&str, &str)]) -> String {
        let error = Around::new(home, "").fill(variables, "pleiad").expect_err("refused");
        assert_eq!(error.kind(), Kind::Configuration);
        error.to_string()
    }

    #[test]
    fn an_unknown_setting_is_refused_with_the_nearest() {
        let near = refused("thread = 2", &[]);
        assert!(near.starts_with("setting 'thread' of '"), "{near}");
        assert!(near.ends_with("config.toml' is not known: did you mean 'threads'?"), "{near}");
        let far = refused("colour = \"red\"", &[]);
        assert!(far.contains("known are disk-limit, endpoint-url, memory-limit"), "{far}");
        let variable = refused("", &[("PLEIAD_MEMORYLIMIT", "1g")]);
        let expected =
            "variable PLEIAD_MEMORYLIMIT is not known: did you mean PLEIAD_MEMORY_LIMIT?";
        assert_eq!(variable, expected);
    }

    #[test]
    fn a_value_that_the_flag_does_not_take_is_refused_with_its_origin() {
        let variable = refused("", &[("PLEIAD_THREADS", "many")]);
        let expected = "setting 'threads' (from PLEIAD_THREADS) is 'many': \
                        invalid digit found in string";
        assert_eq!(variable, expected);
        let file = refused("memory-limit = \"lots\"", &[]);
        assert!(file.contains("config.toml) is 'lots': ") && file.contains("512MiB"), "{file}");
        assert!(refused("no-progress = 1", &[]).ends_with("is '1': expected true or false"));
        assert!(refused("threads = [1]", &[]).contains("is of type array, expected a text"));
        assert!(refused("\nthreads = ", &[]).contains("config.toml', line 2, is not TOML: "));
    }
}
