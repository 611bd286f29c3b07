//! `pleiad config show`: the settings in use, and where each comes from.

use arrow::array::StringArray;
use clap::{Args, Subcommand};

use crate::cli::answer::Answer;
use crate::cli::context::Context;
use crate::storage::ShownSetting;

/// Show the settings in use
#[derive(Debug, Args)]
pub(crate) struct Config {
    #[command(subcommand)]
    action: Action,
}

#[derive(Debug, Subcommand)]
enum Action {
    Show(Show),
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

impl Config {
    /// Prints.
    ///
    /// # Errors
    /// A failed write.
    pub(crate) fn run(&self, context: &Context) -> anyhow::Result<()> {
        let Action::Show(Show { origin }) = &self.action;
        let mut settings = own(context);
        settings.extend(context.flags.storage.show(None));
        let text = |text: fn(&ShownSetting) -> Option<&str>| {
            StringArray::from_iter(settings.iter().map(text))
        };
        let mut answer = Answer::build("settings")
            .column("setting", text(|setting| Some(&setting.name)))
            .column("value", text(|setting| setting.value.as_deref()));
        if *origin {
            answer = answer.column("origin", text(|setting| Some(&setting.origin)));
        }
        context.print(&[answer.done()])
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
