//! The order of rows inside a block: Morton's Z curve (G. M. Morton, IBM, 1966).

use super::Bounds;

/// The place of a position in `block` on the Z curve: 16 bits an axis, longitude in the odd bits.
///
/// Rows in this order give pages with tight bounds on both coordinates. Positions outside count
/// as on the border, so margin rows may be sorted too; a side without width counts as 0.
#[inline]
pub fn z_order(block: &Bounds, lon_deg: f64, lat_deg: f64) -> u32 {
    let column = step(lon_deg, block.lon_min, block.width_deg());
    let row = step(lat_deg, block.lat_min, block.height_deg());
    spread(column) << 1 | spread(row)
}

#[inline]
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "a float cast saturates at both ends, and NaN is 0"
)]
fn step(value: f64, min: f64, width: f64) -> u16 {
    ((value - min) / width * 65536.0) as u16
}

/// The 16 bits moved to the even places.
#[inline]
fn spread(bits: u16) -> u32 {
    let mut bits = u32::from(bits);
    bits = (bits | bits << 8) & 0x00ff_00ff;
    bits = (bits | bits << 4) & 0x0f0f_0f0f;
    bits = (bits | bits << 2) & 0x3333_3333;
    (bits | bits << 1) & 0x5555_5555
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quarters_come_in_the_order_of_a_z() {
        let block = Bounds { lon_min: 10.0, lon_max: 12.0, lat_min: -1.0, lat_max: 1.0 };
        let quarter = |lon, lat| z_order(&block, lon, lat) >> 30;
        let found =
            [(10.5, -0.5), (10.5, 0.5), (11.5, -0.5), (11.5, 0.5)].map(|p| quarter(p.0, p.1));
        assert_eq!(found, [0, 1, 2, 3]);
        assert_eq!(z_order(&block, 12.0, 1.0), u32::MAX);
        assert_eq!(z_order(&block, 9.0, -2.0), 0);
    }

    #[test]
    fn a_block_without_width_has_an_order() {
        let block = Bounds { lon_min: 10.0, lon_max: 10.0, lat_min: 0.0, lat_max: 1.0 };
        assert!(z_order(&block, 10.0, 0.25) < z_order(&block, 10.0, 0.75));
    }
}
