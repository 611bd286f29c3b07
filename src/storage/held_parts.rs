//! What a server still holds of an upload that is not completed.

use async_trait::async_trait;
use object_store::path::Path;

use crate::error::Result;

/// A server that can be asked.
#[async_trait]
pub(super) trait HeldParts: Send + Sync {
    /// Whether it holds all these parts, in their order, of the upload `id` of `path`; `None` if it does
    /// not say.
    async fn holds(&self, path: &Path, id: &str, parts: &[String]) -> Result<Option<bool>>;
}
