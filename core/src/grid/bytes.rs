//! The little-endian bytes of a plan, so that it travels as one literal.

use bytes::{Buf, BufMut};

use super::Bounds;
use crate::error::{Error, Result};

/// Writes numbers one after the other.
pub(super) struct Writer(Vec<u8>);

impl Writer {
    /// Starts with the four letters that name what follows.
    pub(super) fn new(magic: [u8; 4]) -> Self {
        Self(magic.to_vec())
    }

    pub(super) fn u32(&mut self, value: u32) {
        self.0.put_u32_le(value);
    }

    pub(super) fn f64(&mut self, value: f64) {
        self.0.put_f64_le(value);
    }

    pub(super) fn bounds(&mut self, bounds: &Bounds) {
        for value in [bounds.lon_min, bounds.lon_max, bounds.lat_min, bounds.lat_max] {
            self.f64(value);
        }
    }

    pub(super) fn finish(self) -> Vec<u8> {
        self.0
    }
}

/// Reads what [`Writer`] wrote; anything else is an error, never a panic.
pub(super) struct Reader<'a> {
    left: &'a [u8],
    name: &'static str,
}

impl<'a> Reader<'a> {
    /// Expects the four letters first; `name` is what errors call the whole.
    pub(super) fn new(bytes: &'a [u8], magic: [u8; 4], name: &'static str) -> Result<Self> {
        let reader = Self { left: bytes, name };
        match bytes.strip_prefix(&magic) {
            Some(left) => Ok(Self { left, name }),
            None if bytes.len() < magic.len() => Err(reader.broken("ends too early")),
            None => Err(reader.broken("does not begin as one")),
        }
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        self.left.try_get_u32_le().map_err(|_short| self.broken("ends too early"))
    }

    pub(super) fn f64(&mut self) -> Result<f64> {
        self.left.try_get_f64_le().map_err(|_short| self.broken("ends too early"))
    }

    pub(super) fn bounds(&mut self) -> Result<Bounds> {
        Ok(Bounds {
            lon_min: self.f64()?,
            lon_max: self.f64()?,
            lat_min: self.f64()?,
            lat_max: self.f64()?,
        })
    }

    /// A number of items of `bytes` each, checked against what is left before any is allocated.
    pub(super) fn count(&mut self, bytes: usize) -> Result<usize> {
        let count = self.u32()? as usize;
        if count > self.left.len() / bytes {
            return Err(self.broken("ends too early"));
        }
        Ok(count)
    }

    pub(super) fn finish(self) -> Result<()> {
        if self.left.is_empty() { Ok(()) } else { Err(self.broken("goes on after its end")) }
    }

    pub(super) fn broken(&self, how: &str) -> Error {
        Error::data(format!("the {} {how}, expected bytes that this program wrote", self.name))
    }
}
