//! The `pleiad` binary: parse, run, print the error chain, exit.

use std::process::ExitCode;

fn main() -> ExitCode {
    pleiad::cli::main(std::env::args_os())
}
