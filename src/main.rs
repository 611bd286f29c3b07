//! The `pleiad` binary: parse, run, print the error chain, exit.

use std::process::ExitCode;

/// Batches come and go by the thousand on every thread; the system's allocator gives their memory
/// back and asks for it again, which costs a tenth of a run.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    pleiad::cli::main(std::env::args_os())
}
