//! How large the parts of a multipart upload are.
//!
//! S3 takes 10,000 parts of 5 MiB to 5 GiB, and objects of at most 5 TiB. R2 wants all parts but the
//! last to have one size. Where the size of the object is known, the parts are as large as they have
//! to be, all of one size. Where it is not, they have one size up to 40 GiB and grow from there, since
//! an upload that cannot be completed is worth less than one that R2 refuses.

use crate::error::{Error, Result};

/// Bytes of a part, if the object is not too large for that.
pub(super) const PART_BYTES: u64 = 8 << 20;

/// Parts of an upload at most.
const MAX_PARTS: u64 = 10_000;

/// Bytes of an object at most.
const MAX_OBJECT_BYTES: u64 = 5 << 40;

/// Parts of one size that come first where the size of the object is not known.
const EQUAL_PARTS: u64 = 5_000;

/// Parts after which the next ones are larger by [`PART_BYTES`]: the largest number with which
/// [`MAX_PARTS`] hold [`MAX_OBJECT_BYTES`].
const PARTS_PER_STEP: u64 = 19;

/// The sizes of the parts of one object.
#[derive(Clone, Copy, Debug)]
pub(super) struct PartSizes {
    first: u64,
    is_growing: bool,
}

impl PartSizes {
    /// For an object of `size` bytes, if that is known; `name` is for the error.
    pub(super) fn of(size: Option<u64>, name: &str) -> Result<Self> {
        let Some(size) = size else { return Ok(Self { first: PART_BYTES, is_growing: true }) };
        check_size(size, name)?;
        Ok(Self { first: PART_BYTES.max(size.div_ceil(MAX_PARTS)), is_growing: false })
    }

    /// Bytes of the part of this number, counted from 0.
    pub(super) fn bytes(self, number: usize) -> u64 {
        let grown = (number as u64).saturating_sub(EQUAL_PARTS) / PARTS_PER_STEP;
        self.first + if self.is_growing { grown * PART_BYTES } else { 0 }
    }
}

/// Refuses more bytes than an object can have.
pub(super) fn check_size(size: u64, name: &str) -> Result<()> {
    if size > MAX_OBJECT_BYTES {
        return Err(Error::data(format!(
            "'{name}' has {size} bytes, but an object on S3 has at most 5 TiB: write several smaller \
             files"
        )));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many parts `size` bytes make, and the bytes of the largest.
    fn plan(sizes: PartSizes, size: u64) -> (u64, u64) {
        let (mut parts, mut rest) = (0, size);
        while rest > 0 {
            rest = rest.saturating_sub(sizes.bytes(parts));
            parts += 1;
        }
        (parts as u64, sizes.bytes(parts.saturating_sub(1)))
    }

    #[test]
    fn every_size_up_to_5_tib_fits_into_10_000_parts() {
        let sizes = [1, PART_BYTES, PART_BYTES * MAX_PARTS, PART_BYTES * MAX_PARTS + 1, 1 << 40];
        for size in sizes.into_iter().chain([MAX_OBJECT_BYTES - 1, MAX_OBJECT_BYTES]) {
            for known in [Some(size), None] {
                let (parts, largest) = plan(PartSizes::of(known, "x").unwrap(), size);
                assert!(parts <= MAX_PARTS, "{known:?}: {parts} parts for {size} bytes");
                assert!(largest <= 5 << 30, "{known:?}: a part of {largest} bytes");
            }
        }
    }

    #[test]
    fn parts_have_one_size_where_the_size_is_known_or_at_most_40_gib() {
        for known in [Some(70 << 30), Some(MAX_OBJECT_BYTES), None] {
            let sizes = PartSizes::of(known, "x").unwrap();
            let equal = if known.is_some() { MAX_PARTS } else { EQUAL_PARTS };
            let equal = usize::try_from(equal).unwrap();
            let is_first = |part| sizes.bytes(part) == sizes.bytes(0);
            assert!((0..equal).all(is_first), "{known:?}");
        }
        assert_eq!(EQUAL_PARTS * PART_BYTES, 40_000 << 20);
    }

    #[test]
    fn more_than_5_tib_is_refused() {
        let error = PartSizes::of(Some(MAX_OBJECT_BYTES + 1), "s3://b/x").unwrap_err().to_string();
        assert!(error.starts_with("'s3://b/x' has 5497558138881 bytes, but an object"), "{error}");
    }
}
