//! What `-h` and `--help` print.
//!
//! Both have a line or two for each option. `-h` fits a screen: the options that people use. `--help` of a command
//! is whole and in groups, but for the flags of every command, which `pleiad --help` lists.

use std::ffi::OsString;
use std::io::Write;

use clap::builder::{PossibleValue, StyledStr};
use clap::{Arg, ArgAction, ColorChoice, Command};

use super::terminal::TerminalEnv;

/// Flags of every command that the help of a command shows.
const COMMON_FLAGS: &[&str] = &["output", "mode", "help"];

/// The help of a command: what it does and how it is called, examples, then arguments and options.
const TEMPLATE: &str =
    "{before-help}{about-with-newline}\n{usage-heading} {usage}{after-help}\n\n{all-args}";

/// What `-h` says of itself.
const HELP: &str = "Print help; --help prints more, and pleiad --help the flags of every command";

/// Whether a flag of every command is in the help of each.
pub(super) fn is_common(flag: &Arg) -> bool {
    COMMON_FLAGS.contains(&flag.get_id().as_str())
}

/// `command` and what is below it, with examples before the options.
pub(super) fn with_examples_first(command: Command) -> Command {
    let command = match command.get_after_long_help().cloned() {
        Some(examples) => command.after_help(examples).help_template(TEMPLATE),
        None => command,
    };
    with_help_flag(command).mut_subcommands(with_examples_first)
}

/// `command` with `-h` among the flags of every command, unless it has a use of its own for that.
pub(super) fn with_help_flag(command: Command) -> Command {
    if command.is_disable_help_flag_set() {
        return command;
    }
    let help = Arg::new("help").short('h').long("help").action(ArgAction::Help);
    command.disable_help_flag(true).arg(help.help(HELP).help_heading("Global options"))
}

/// Prints the help that `asked`, of clap, would print.
pub(super) fn print(
    program: Command,
    asked: &clap::Error,
    arguments: &[OsString],
    around: &TerminalEnv,
    color: ColorChoice,
) {
    let is_whole = arguments.iter().any(|word| word == "--help" || word == "help");
    let rendered = asked.render();
    let text = text(program, &rendered.to_string(), is_whole);
    let is_colored = match color {
        ColorChoice::Always => true,
        ColorChoice::Never => false,
        ColorChoice::Auto => around.stdout_is_terminal,
    };
    let text = if is_colored { text.ansi().to_string() } else { text.to_string() };
    // A reader who left early is not an error.
    std::io::stdout().write_all(text.as_bytes()).ok();
}

/// The help of the command whose help clap has `rendered`.
fn text(mut program: Command, rendered: &str, is_whole: bool) -> StyledStr {
    program.build();
    let usage = rendered.lines().find_map(|line| line.strip_prefix("Usage: "));
    let mut command = &mut program;
    let mut is_program = true;
    for word in usage.unwrap_or_default().split_whitespace().skip(1) {
        if command.find_subcommand(word).is_none() {
            break;
        }
        command = command.find_subcommand_mut(word).expect("it has just been found");
        is_program = false;
    }
    let command = command.clone();
    match is_whole {
        true => whole(command, is_program),
        false => short(command),
    }
    .render_help()
}

/// `command` with all that is said about it.
fn whole(command: Command, is_program: bool) -> Command {
    let mut all = command.mut_args(|arg| {
        let is_of_all = arg.is_global_set() && !is_program;
        let is_hidden = arg.is_hide_set() || is_of_all && !is_common(&arg);
        let arg = if is_of_all { arg } else { with_meanings(arg) };
        arg.hide(is_hidden).hide_short_help(false)
    });
    if let Some(about) = all.get_long_about().cloned() {
        all = all.about(about);
    }
    if let Some(more) = all.get_after_long_help().cloned() {
        all = all.after_help(more);
    }
    all
}

/// `command` with its options in one group: lines between groups are lines of a screen.
fn short(command: Command) -> Command {
    command.mut_args(|arg| match arg.is_global_set() || arg.get_id() == "help" {
        true => arg,
        false => arg.help_heading(None::<&str>),
    })
}

/// An option with what its values mean.
fn with_meanings(arg: Arg) -> Arg {
    let help = arg.get_long_help().or(arg.get_help()).map(StyledStr::to_string);
    let help = help.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    let values = arg.get_possible_values();
    let shown = || values.iter().filter(|value| !value.is_hide_set());
    let meanings: Vec<_> = shown().filter_map(meaning).collect();
    match meanings.is_empty() || meanings.len() < shown().count() {
        true => arg.help(help),
        false => arg.help(format!("{help} ({})", meanings.join("; "))).hide_possible_values(true),
    }
}

/// `far: move it to the row farthest from all centroids`.
fn meaning(value: &PossibleValue) -> Option<String> {
    let help = value.get_help()?.to_string();
    let mut letters = help.trim_end_matches('.').chars();
    let first = letters.next()?.to_lowercase();
    Some(format!("{}: {first}{}", value.get_name(), letters.as_str()))
}
