//! What all generators ask for.

use clap::Args;

use super::slice::Slice;

/// Rows, seed and slice; the command and libraries share this definition.
#[derive(Args, Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Number of rows in each table
    #[arg(long, value_name = "N", default_value_t = Self::default().rows)]
    pub rows: u64,

    /// Seed of the random numbers
    #[arg(long, value_name = "N", default_value_t = Self::default().seed)]
    pub seed: u64,

    /// Write part I of N, counted from 1; all parts together are the whole
    #[arg(long, value_name = "I/N", default_value_t = Slice::WHOLE)]
    pub slice: Slice,
}

impl Default for Options {
    fn default() -> Self {
        Self { rows: 100_000, seed: 42, slice: Slice::WHOLE }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }

    #[test]
    fn the_defaults_of_the_library_are_those_of_the_command() {
        assert_eq!(Line::try_parse_from(["pleiad"]).unwrap().options, Options::default());
    }
}
