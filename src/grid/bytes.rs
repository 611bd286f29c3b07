//! The little-endian bytes of a plan, so that it travels as one literal.

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
        self.0.extend(value.to_le_bytes());
    }

    pub(super) fn f64(&mut self, value: f64) {
        self.0.extend(value.to_le_bytes());
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
        let mut reader = Self { left: bytes, name };
        if reader.take::<4>()? != magic {
            return Err(reader.broken("does not begin as one"));
        }
        Ok(reader)
    }

    pub(super) fn u32(&mut self) -> Result<u32> {
        self.take().map(u32::from_le_bytes)
    }

    pub(super) fn f64(&mut self) -> Result<f64> {
        self.take().map(f64::from_le_bytes)
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

    fn take<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (head, rest) =
            self.left.split_first_chunk().ok_or_else(|| self.broken("ends too early"))?;
        self.left = rest;
        Ok(*head)
    }
}
