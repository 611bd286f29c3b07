//! Who reads our streams, and what may be drawn for them.
//!
//! Standard output carries data and nothing else, and belongs to [`super::output`]. Everything
//! said to a person goes to standard error through one [`Terminal`], so that a line never tears a
//! progress bar. A standard error that cannot be written to is not worth an error.

use std::io::{IsTerminal, Write};

use clap::{Args, ColorChoice, ValueEnum};
use indicatif::{MultiProgress, ProgressDrawTarget};

use super::secrets::Secrets;
use super::visible::visible;

/// What is shown besides the data.
#[derive(Debug, Clone, Default, Args)]
pub struct TerminalFlags {
    /// Show errors only: no progress, no warnings
    #[arg(short, long, conflicts_with = "verbose")]
    pub quiet: bool,

    /// Show more on standard error; -vv is for debugging
    #[arg(short, long, action = clap::ArgAction::Count)]
    pub verbose: u8,

    /// When to colour messages; `auto` follows `NO_COLOR` and `CLICOLOR_FORCE`
    #[arg(long, value_name = "WHEN", default_value = "auto", hide_short_help = true)]
    pub color: Color,

    /// Do not draw progress bars
    #[arg(long, hide_short_help = true)]
    pub no_progress: bool,

    /// Format of log lines; PLEIAD_LOG selects which are shown, for example PLEIAD_LOG=pleiad=debug
    #[arg(long, value_name = "FORM", default_value = "text", hide_short_help = true)]
    pub log_format: LogFormat,
}

/// When to colour.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum Color {
    /// On a terminal, unless the environment says otherwise.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The form of log lines.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum LogFormat {
    /// Plain lines.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

/// What the process finds around it; read once.
#[derive(Debug, Clone, Copy, Default)]
pub struct TerminalEnv {
    /// Standard output is a terminal.
    pub stdout_is_terminal: bool,
    /// Standard error is a terminal.
    pub stderr_is_terminal: bool,
    /// The environment asks for colour (`CLICOLOR_FORCE`) or against it (`NO_COLOR`, a dumb
    /// terminal). `NO_COLOR` wins.
    pub color: Option<bool>,
    /// The environment cannot show a bar: `CI`, or a dumb terminal.
    pub no_bars: bool,
}

impl TerminalEnv {
    /// Looks at the process.
    pub fn look() -> Self {
        Self::from(&variable, std::io::stdout().is_terminal(), std::io::stderr().is_terminal())
    }

    fn from(
        variable: &dyn Fn(&str) -> Option<String>,
        stdout_is_terminal: bool,
        stderr_is_terminal: bool,
    ) -> Self {
        let dumb = variable("TERM").is_some_and(|term| term == "dumb");
        let forced = variable("CLICOLOR_FORCE").is_some_and(|value| value != "0");
        let color = match (variable("NO_COLOR").is_some(), forced, dumb) {
            (true, _, _) => Some(false),
            (false, true, _) => Some(true),
            (false, false, true) => Some(false),
            (false, false, false) => None,
        };
        let no_bars = dumb || variable("CI").is_some();
        Self { stdout_is_terminal, stderr_is_terminal, color, no_bars }
    }

    /// Whether messages on standard error are coloured.
    fn colored(&self, when: Color) -> bool {
        match when {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => self.color.unwrap_or(self.stderr_is_terminal),
        }
    }

    /// The same decision for clap, which looks at each stream for itself when nothing was said.
    pub fn clap_color(&self, when: Color) -> ColorChoice {
        match (when, self.color) {
            (Color::Always, _) | (Color::Auto, Some(true)) => ColorChoice::Always,
            (Color::Never, _) | (Color::Auto, Some(false)) => ColorChoice::Never,
            (Color::Auto, None) => ColorChoice::Auto,
        }
    }
}

/// Letters of a line of the terminal.
pub(super) fn columns() -> usize {
    let term = console::Term::stdout();
    usize::from(term.size_checked().map_or(80, |(_, columns)| columns))
}

/// Lines of the terminal.
pub(super) fn lines() -> usize {
    let term = console::Term::stdout();
    usize::from(term.size_checked().map_or(24, |(lines, _)| lines))
}

/// A variable of the environment; an empty one counts as unset.
#[expect(clippy::disallowed_methods, reason = "`cli` reads what concerns the terminal and logs")]
pub fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// How progress is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProgressMode {
    /// Bars, on a terminal.
    Bars,
    /// A plain line now and then, in a log.
    Lines,
    /// Nothing.
    Nothing,
}

/// Standard error, as far as people read it. Clones share the bars.
#[derive(Debug, Clone)]
pub struct Terminal {
    bars: MultiProgress,
    progress: ProgressMode,
    colored: bool,
    quiet: bool,
    secrets: Secrets,
}

impl Terminal {
    /// Decides once what is drawn and coloured.
    pub fn new(flags: &TerminalFlags, around: TerminalEnv) -> Self {
        let progress = match () {
            () if flags.quiet => ProgressMode::Nothing,
            () if around.stderr_is_terminal && !around.no_bars && !flags.no_progress => {
                ProgressMode::Bars
            }
            () if !around.stderr_is_terminal && flags.verbose > 0 => ProgressMode::Lines,
            () => ProgressMode::Nothing,
        };
        let target = match progress {
            ProgressMode::Bars => ProgressDrawTarget::stderr(),
            ProgressMode::Lines | ProgressMode::Nothing => ProgressDrawTarget::hidden(),
        };
        Self {
            bars: MultiProgress::with_draw_target(target),
            progress,
            colored: around.colored(flags.color),
            quiet: flags.quiet,
            secrets: Secrets::default(),
        }
    }

    /// The same terminal, which never shows these.
    #[must_use]
    pub fn hiding(mut self, secrets: Secrets) -> Self {
        self.secrets = secrets;
        self
    }

    /// What it does not show.
    pub fn secrets(&self) -> &Secrets {
        &self.secrets
    }

    /// How progress is shown.
    pub fn progress(&self) -> ProgressMode {
        self.progress
    }

    /// The bars, for the one who draws them.
    pub fn bars(&self) -> &MultiProgress {
        &self.bars
    }

    /// `error: …`, and the lines below it.
    pub fn error(&self, lines: &[String]) {
        let Some((first, more)) = lines.split_first() else { return };
        let mut text = format!("{} {}\n", self.label("error:", "1;31"), paragraph(first));
        for line in more {
            text.push_str("  ");
            text.push_str(&paragraph(line));
            text.push('\n');
        }
        self.write(&text);
    }

    /// `warning: …`, unless quiet.
    pub fn warning(&self, message: &str) {
        if !self.quiet {
            let message = paragraph(message);
            self.write(&format!("{} {message}\n", self.label("warning:", "1;33")));
        }
    }

    /// A line of its own, unless quiet.
    pub fn note(&self, message: &str) {
        if !self.quiet {
            self.write(&format!("{}\n", visible(message)));
        }
    }

    /// A line of the log, with its end.
    pub fn log(&self, line: &str) {
        self.write(&visible(line));
    }

    /// Writes in one piece and beside any bar.
    fn write(&self, text: &str) {
        let text = self.secrets.hide(text);
        self.bars.suspend(|| std::io::stderr().lock().write_all(text.as_bytes()).ok());
    }

    fn label(&self, word: &str, color: &str) -> String {
        if self.colored { format!("\x1b[{color}m{word}\x1b[0m") } else { word.to_owned() }
    }
}

/// A message of others' making: what comes after the end of a line cannot be taken for a message.
fn paragraph(message: &str) -> String {
    visible(message).replace('\n', "\n  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    type Variables<'a> = &'a [(&'a str, &'a str)];

    fn around(variables: Variables<'_>, terminal: bool) -> TerminalEnv {
        let find = |name: &str| {
            let found = variables.iter().find(|(key, value)| *key == name && !value.is_empty());
            found.map(|(_, value)| (*value).to_owned())
        };
        TerminalEnv::from(&find, terminal, terminal)
    }

    #[test]
    fn the_flag_wins_over_the_environment_and_no_color_over_force() {
        let cases: &[(Variables<'_>, bool, bool)] = &[
            (&[], true, true),
            (&[], false, false),
            (&[("NO_COLOR", "1")], true, false),
            (&[("NO_COLOR", "")], true, true),
            (&[("CLICOLOR_FORCE", "1")], false, true),
            (&[("CLICOLOR_FORCE", "0")], false, false),
            (&[("NO_COLOR", "1"), ("CLICOLOR_FORCE", "1")], true, false),
            (&[("TERM", "dumb")], true, false),
            (&[("TERM", "dumb"), ("CLICOLOR_FORCE", "1")], true, true),
        ];
        for (variables, terminal, expected) in cases {
            let around = around(variables, *terminal);
            assert_eq!(around.colored(Color::Auto), *expected, "{variables:?} on {terminal}");
            assert!(around.colored(Color::Always));
            assert!(!around.colored(Color::Never));
        }
    }

    #[test]
    fn bars_need_a_terminal_and_lines_need_verbose() {
        let plain = TerminalFlags::default();
        let quiet = TerminalFlags { quiet: true, ..TerminalFlags::default() };
        let verbose = TerminalFlags { verbose: 1, ..TerminalFlags::default() };
        let no_progress = TerminalFlags { no_progress: true, ..TerminalFlags::default() };
        let cases: &[(&TerminalFlags, Variables<'_>, bool, ProgressMode)] = &[
            (&plain, &[], true, ProgressMode::Bars),
            (&verbose, &[], true, ProgressMode::Bars),
            (&plain, &[("CI", "true")], true, ProgressMode::Nothing),
            (&plain, &[("TERM", "dumb")], true, ProgressMode::Nothing),
            (&quiet, &[], true, ProgressMode::Nothing),
            (&no_progress, &[], true, ProgressMode::Nothing),
            (&plain, &[], false, ProgressMode::Nothing),
            (&verbose, &[], false, ProgressMode::Lines),
            (&verbose, &[("CI", "true")], false, ProgressMode::Lines),
        ];
        for (flags, variables, terminal, expected) in cases {
            let mode = Terminal::new(flags, around(variables, *terminal)).progress();
            assert_eq!(mode, *expected, "{flags:?} {variables:?} on {terminal}");
        }
    }
}
