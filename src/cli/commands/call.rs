//! Commands as procedures of SQL: `CALL kmeans(input => 'people', k => 7)` is parsed by what parses
//! `pleiad kmeans people --k=7`, so names, defaults and messages have one definition.
//!
//! An option `--max-rows` is the argument `max_rows`; IN and OUT are `input` and `out`. Of the flags of
//! all commands a call may give `mode`; the others are those of the script.

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use async_trait::async_trait;
use clap::error::ErrorKind;
use clap::{Arg, ArgAction, CommandFactory, FromArgMatches, Parser};
use datafusion::error::DataFusionError;

use super::procedure::Procedure;
use crate::cli::answer::Answer;
use crate::cli::context::{Context, Done, Flags, recorded};
use crate::error::{Error, Kind, Result};
use crate::script::{Call, CallResult, NamedTable, Procedures};

/// The command line of a call.
#[derive(Debug, Parser)]
#[command(name = "pleiad")]
struct CallLine {
    #[command(flatten)]
    flags: Flags,

    #[command(subcommand)]
    procedure: Procedure,
}

/// Its parser, with every flag of the program understood before and behind the procedure's name.
fn parser() -> clap::Command {
    CallLine::command().mut_args(|flag| flag.global(true))
}

/// Runs commands for a script.
pub(super) struct Calls {
    context: Context,
}

impl Calls {
    /// Commands with the flags of `context`.
    pub(super) fn new(context: &Context) -> Self {
        Self { context: context.clone() }
    }
}

#[async_trait(?Send)]
impl Procedures for Calls {
    fn names(&self) -> Vec<String> {
        parser().get_subcommands().map(|procedure| procedure.get_name().to_owned()).collect()
    }

    async fn call(&self, call: Call) -> Result<CallResult> {
        let root = parser();
        let matches = root.clone().try_get_matches_from(words(&call)?);
        let matches = matches.map_err(|error| usage(&error))?;
        let line = CallLine::from_arg_matches(&matches).map_err(|error| usage(&error))?;
        let mut context = self.context.clone();
        if call.named.iter().any(|(name, _)| name == "mode") {
            context.flags.mode = line.flags.mode;
        }
        context.arguments = recorded(&root, &matches, context.secrets());
        let done = Box::pin(line.procedure.work(&context)).await.map_err(ours)?;
        let Done { answers, tables, published } = done;
        let named =
            |answers: &[Answer]| -> Result<Vec<NamedTable>> { answers.iter().map(named).collect() };
        Ok(CallResult {
            answers: named(&answers)?,
            tables: if published.is_some() { Vec::new() } else { named(&tables)? },
            published: published.map(|location| location.to_string()),
        })
    }
}

fn named(answer: &Answer) -> Result<NamedTable> {
    let rows: RecordBatch = concat_batches(answer.schema(), answer.batches())?;
    Ok(NamedTable { name: answer.name().to_owned(), rows })
}

/// The command line of a call.
fn words(call: &Call) -> Result<Vec<String>> {
    let root = parser();
    let mut line = vec!["pleiad".to_owned(), call.name.clone()];
    let mut parser = root.find_subcommand(&call.name).expect("a procedure is a command");
    let (mut values, mut named) = (call.words.clone(), call.named.clone());
    if parser.has_subcommands() {
        let kind = named.iter().position(|(name, _)| name == "kind");
        let kind = match kind {
            Some(at) => named.remove(at).1.join(","),
            None if values.is_empty() => String::new(),
            None => values.remove(0),
        };
        parser = parser.find_subcommand(&kind).ok_or_else(|| {
            let known: Vec<_> = parser.get_subcommands().map(clap::Command::get_name).collect();
            let known = known.join(", ");
            Error::usage(format!("kind of {} is '{kind}', expected {known}", call.name))
        })?;
        line.push(kind);
    }
    let mut places: Vec<Option<String>> = values.into_iter().map(Some).collect();
    for (name, values) in named {
        let argument = parser.get_arguments().find(|argument| is_called(argument, &name));
        match argument {
            None if name == "mode" => line.push(format!("--mode={}", values.join(","))),
            None => return Err(unknown(parser, &call.name, &name)),
            Some(argument) if argument.is_positional() => {
                let mut all = parser.get_positionals();
                let place = all.position(|other| other.get_id() == argument.get_id()).unwrap_or(0);
                places.resize(places.len().max(place + 1), None);
                if places[place].replace(values.join(",")).is_some() {
                    return Err(Error::usage(format!("argument '{name}' is given twice")));
                }
            }
            Some(argument) => line.extend(option(argument, &name, &values)?),
        }
    }
    line.push("--".to_owned());
    for (place, value) in places.into_iter().enumerate() {
        line.push(value.ok_or_else(|| {
            let missing = parser.get_positionals().nth(place).map(name_of).unwrap_or_default();
            Error::usage(format!("argument '{missing}' of {} is missing", call.name))
        })?);
    }
    Ok(line)
}

/// The words of an option: a flag that is true, one word for a list, or one for each value.
fn option(argument: &Arg, name: &str, values: &[String]) -> Result<Vec<String>> {
    let long = argument.get_long().unwrap_or(name);
    match (argument.get_action(), values) {
        (ArgAction::SetTrue, [value]) if value == "true" => Ok(vec![format!("--{long}")]),
        (ArgAction::SetTrue, [value]) if value == "false" => Ok(Vec::new()),
        (ArgAction::SetTrue, _) => Err(Error::usage(format!(
            "argument '{name}' is '{}', expected true or false",
            values.join(",")
        ))),
        (ArgAction::Append, _) => {
            Ok(values.iter().map(|value| format!("--{long}={value}")).collect())
        }
        _ => Ok(vec![format!("--{long}={}", values.join(","))]),
    }
}

/// What an argument is called in SQL.
fn name_of(argument: &Arg) -> String {
    argument.get_long().unwrap_or(argument.get_id().as_str()).replace('-', "_")
}

fn is_called(argument: &Arg, name: &str) -> bool {
    let aliases = argument.get_all_aliases().unwrap_or_default();
    let is_own = !argument.is_global_set() && argument.get_id() != "help";
    is_own
        && (name_of(argument) == name
            || aliases.iter().any(|alias| alias.replace('-', "_") == name))
}

fn unknown(parser: &clap::Command, procedure: &str, name: &str) -> Error {
    let own = parser.get_arguments().filter(|argument| {
        !argument.is_global_set() && !argument.is_hide_set() && argument.get_id() != "help"
    });
    let mut known: Vec<_> = own.map(name_of).collect();
    known.extend(["mode".to_owned(), "into".to_owned()]);
    Error::usage(format!(
        "argument '{name}' of {procedure} is not known, expected {}",
        known.join(", ")
    ))
}

/// The sentence of the parser, without its label and the usage of a command line.
fn usage(error: &clap::Error) -> Error {
    let text = error.to_string();
    let paragraph = text.split("\n\n").next().unwrap_or_default();
    let sentence = paragraph.trim_start_matches("error: ").split_whitespace();
    let sentence = sentence.collect::<Vec<_>>().join(" ");
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => Error::internal(sentence),
        _ => Error::usage(sentence),
    }
}

/// The error of a command as one of ours.
pub(super) fn ours(error: anyhow::Error) -> Error {
    if let Some(ours) = Error::find_in(error.as_ref()) {
        return ours.clone();
    }
    match error.downcast::<DataFusionError>() {
        Ok(engines) => engines.into(),
        Err(other) => Error::new(Kind::Other, format!("{other:#}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(name: &str, words: &[&str], named: &[(&str, &[&str])]) -> Call {
        let owned = |texts: &[&str]| texts.iter().map(|text| (*text).to_owned()).collect();
        Call {
            name: name.to_owned(),
            words: owned(words),
            named: named.iter().map(|(name, values)| ((*name).to_owned(), owned(values))).collect(),
        }
    }

    #[test]
    fn a_call_is_a_command_line() {
        let kmeans = call(
            "kmeans",
            &["people"],
            &[
                ("columns", &["a", "b"]),
                ("k", &["2", "3"]),
                ("max_iterations", &["5"]),
                ("diagnose", &["true"]),
                ("assign", &["false"]),
                ("mode", &["overwrite"]),
                ("out", &["-x"]),
            ],
        );
        let line = words(&kmeans).expect("a line").join(" ");
        let expected = "pleiad kmeans --columns=a --columns=b --k=2,3 --max-steps=5 --diagnose \
                        --mode=overwrite -- people -x";
        assert_eq!(line, expected);
        parser().try_get_matches_from(line.split(' ')).expect("a valid line");
        let generate = call("generate", &[], &[("kind", &["people"]), ("out", &["p"])]);
        assert_eq!(words(&generate).expect("a line").join(" "), "pleiad generate people -- p");
    }

    #[test]
    fn a_call_that_makes_no_sense_is_refused_by_name() {
        let cases = [
            (call("kmeans", &[], &[("out", &["x"])]), "argument 'input' of kmeans is missing"),
            (call("kmeans", &["a"], &[("input", &["b"])]), "argument 'input' is given twice"),
            (
                call("kmeans", &["a"], &[("resume", &["maybe"])]),
                "argument 'resume' is 'maybe', expected true or false",
            ),
            (
                call("generate", &["persons"], &[]),
                "kind of generate is 'persons', expected people, shapes, sky",
            ),
        ];
        for (call, message) in cases {
            assert_eq!(words(&call).expect_err(message).to_string(), message);
        }
        let error = words(&call("partition", &["a"], &[("threads", &["1"])])).expect_err("global");
        let text = error.to_string();
        assert!(text.starts_with("argument 'threads' of partition is not known"), "{text}");
        assert!(text.contains("max_rows") && text.ends_with("mode, into"), "{text}");
    }
}
