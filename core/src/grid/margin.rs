//! How wide margins are: in percent of a block's sides, or as an angle.

use super::bytes::{Reader, Writer};
use crate::error::{Error, Result};

/// The widest margin by angle: 10 degrees.
pub const MAX_MARGIN_ARCSEC: f64 = 36_000.0;

/// What every block of a plan holds beside its own rows.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Margin {
    /// Nothing.
    #[default]
    None,
    /// What lies within this percentage of its sides.
    Percent(f64),
    /// What lies within this angle.
    Arcsec(f64),
}

impl Margin {
    /// A margin by percent of the sides, 0..=100; 0 is none.
    ///
    /// # Errors
    /// Any other number.
    pub fn percent(percent: f64) -> Result<Self> {
        match percent {
            0.0 => Ok(Self::None),
            _ if percent > 0.0 && percent <= 100.0 => Ok(Self::Percent(percent)),
            _ => Err(Error::usage(format!(
                "margin_percent is {percent}, expected at least 0 and at most 100"
            ))),
        }
    }

    /// A margin by angle, at most [`MAX_MARGIN_ARCSEC`]; 0 is none.
    ///
    /// # Errors
    /// Any other number.
    pub fn arcsec(arcsec: f64) -> Result<Self> {
        match arcsec {
            0.0 => Ok(Self::None),
            _ if arcsec > 0.0 && arcsec <= MAX_MARGIN_ARCSEC => Ok(Self::Arcsec(arcsec)),
            _ => Err(Error::usage(format!(
                "margin_arcsec is {arcsec}, expected at least 0 and at most {MAX_MARGIN_ARCSEC}"
            ))),
        }
    }

    pub(super) fn write(self, bytes: &mut Writer) {
        let (kind, size) = match self {
            Self::None => (0, 0.0),
            Self::Percent(percent) => (1, percent),
            Self::Arcsec(arcsec) => (2, arcsec),
        };
        bytes.u32(kind);
        bytes.f64(size);
    }

    pub(super) fn read(bytes: &mut Reader<'_>) -> Result<Self> {
        match (bytes.u32()?, bytes.f64()?) {
            (0, _) => Ok(Self::None),
            (1, percent) => Self::percent(percent),
            (2, arcsec) => Self::arcsec(arcsec),
            _ => Err(bytes.broken("names no margin")),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case(-1.0)]
    #[case(f64::NAN)]
    #[case(1e9)]
    fn senseless_margins_are_refused(#[case] size: f64) {
        assert!(Margin::percent(size).is_err());
        assert_eq!(
            Margin::arcsec(size).unwrap_err().to_string(),
            format!("margin_arcsec is {size}, expected at least 0 and at most 36000")
        );
    }
}
