//! The prompt of `pleiad sql`.

use super::Context;
use super::run::ScriptFlags;
use crate::error::Error;

/// Asks for statements and runs them until the user leaves.
///
/// # Errors
/// A terminal that cannot be used.
pub(super) async fn run(
    _: &Context,
    _: &ScriptFlags,
    _: Option<(String, String)>,
) -> anyhow::Result<()> {
    Err(Error::usage("there is no prompt yet").into())
}
