//! `pleiad config`: the settings in use, where each comes from, and whether a project file may set them.

use arrow::array::StringArray;
use clap::{Args, Subcommand};

use crate::cli::answer::Answer;
use crate::cli::config;
use crate::cli::context::Context;
use crate::storage::ShownSetting;

/// Show the settings in use, or trust ./pleiad.toml
#[derive(Debug, Args)]
pub(crate) struct Config {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Show(Show),
    Trust(Trust),
}

/// Show the settings in use, and with --origin where each comes from
///
/// First the settings of pleiad, then how S3 is reached, from flags, variables, profiles and aliases.
/// Secrets are shown as ***; of a key you see the last four characters.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad config show --origin
  pleiad config show --origin --threads 3 --json")]
struct Show {
    /// Show where each value comes from: a flag, a variable, a file
    #[arg(long)]
    origin: bool,
}

/// Trust ./pleiad.toml, and show what it sets
///
/// The file then decides how S3 is reached from this directory: endpoint-url, region, profile and
/// virtual-host say where your data and signed requests go, so read the file first. The other settings need
/// no trust. If the file is edited or moved, you are asked again.
#[derive(Debug, Args)]
#[command(after_long_help = "\
Examples:
  pleiad config trust
  pleiad config trust --format table")]
struct Trust;

impl Config {
    /// Does it and prints.
    ///
    /// # Errors
    /// No file to trust, or a failed write.
    pub(crate) fn run(&self, context: &Context) -> anyhow::Result<()> {
        match &self.action {
            Action::Show(Show { origin }) => {
                let mut settings = own(context);
                settings.extend(context.flags.storage.show(None));
                context.print(&[table(&settings, *origin)])
            }
            Action::Trust(Trust) => {
                let (settings, path) = config::trust(&context.flags.storage.environment)?;
                context.print(&[table(&settings, false)])?;
                context.note(&format!("'{}' is trusted as it is now", path.display()));
                Ok(())
            }
        }
    }
}

fn table(settings: &[ShownSetting], with_origin: bool) -> Answer {
    let text =
        |text: fn(&ShownSetting) -> Option<&str>| StringArray::from_iter(settings.iter().map(text));
    let answer = Answer::build("settings")
        .column("setting", text(|setting| Some(&setting.name)))
        .column("value", text(|setting| setting.value.as_deref()));
    match with_origin {
        true => answer.column("origin", text(|setting| Some(&setting.origin))).done(),
        false => answer.done(),
    }
}

/// The settings of this program itself.
fn own(context: &Context) -> Vec<ShownSetting> {
    let given = |name: &str| context.arguments.iter().find(|(known, _)| known == name);
    let configured = |name: &str| context.configured.iter().find(|setting| setting.name == name);
    let cores = context.flags.threads().to_string();
    let defaults = [
        ("threads", Some(cores.as_str())),
        ("memory-limit", None),
        ("disk-limit", None),
        ("timeout", Some("60")),
        ("no-progress", Some("false")),
        ("virtual-host", Some("false")),
    ];
    let settings = defaults.into_iter().map(|(name, default)| {
        if let Some((_, value)) = given(name) {
            return ShownSetting::new(name, Some(value.clone()), format!("--{name}"));
        }
        if let Some((_, master)) = given("master").filter(|_| name == "threads") {
            return ShownSetting::new(name, Some(cores.clone()), format!("--master {master}"));
        }
        match configured(name) {
            Some(setting) => setting.clone(),
            None => ShownSetting::new(name, default.map(str::to_owned), "the default"),
        }
    });
    let engine = context.flags.settings.iter();
    let engine = engine.map(|(name, value)| ShownSetting::new(name, Some(value.clone()), "--conf"));
    settings.chain(engine).collect()
}
