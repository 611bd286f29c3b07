//! How a new object gets its name, and what became of it.

/// How a new object gets its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Create {
    /// At the end, unless there is an object of this name.
    New,
    /// At the end, in place of an object of this name.
    Replace,
    /// Later, by its caller.
    Hidden,
}

/// What became of an object.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finished {
    /// It has its name.
    Named,
    /// There is an object of its name, which must not be replaced: nothing is left of this one.
    Taken,
    /// It is durable and has no name.
    Hidden(HiddenObject),
}

/// An object that is durable and has no name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HiddenObject {
    /// SHA-256 of its bytes, in hexadecimal digits.
    pub sha256: String,
    /// The parts of its upload, by which the store knows them; none of a local file.
    pub parts: Vec<String>,
}
