//! Law 4 on random skies: every row in exactly one block, margins complete within the radius, at
//! the poles and across 0/360, before and after splitting; and splitting ends.

use pleiad::cancel::CancelFlag;
use pleiad::grid::{
    Assigner, Assignment, Bounds, Cells, Frame, Grid, GridShape, Margin, Plan, Rule, Splitting,
    angular_distance, canonical, distance_to_block,
};
use proptest::prelude::*;
use rstest::rstest;

use super::support::sky::{self, Positions};

/// The number with few enough digits that a whole turn can be added and taken away again.
fn short(degrees: f64) -> f64 {
    let unit = 2.0f64.powi(-40);
    (degrees / unit).round() * unit
}

/// Grids over parts of the sphere, with what makes geometry hard: poles, 0/360, wide and
/// widthless bounds, a single column.
fn grids() -> impl Strategy<Value = Grid> {
    let some = |low: f64, high: f64| {
        let width = prop_oneof![Just(0.0), 0.0..1e-3f64, 0.0..1.0f64, Just(1.0)];
        (0.0..=1.0f64, width).prop_map(move |(at, width)| {
            let from = low + (high - low) * at;
            (short(from), short(from + (high - from) * width))
        })
    };
    let lats = prop_oneof![some(-90.0, 90.0), some(-90.0, 90.0), Just((-90.0, 90.0))];
    let lons = prop_oneof![
        some(0.0, 359.9).prop_map(|lon| (0.0, lon)),
        some(-180.0, 179.9).prop_map(|lon| (180.0, lon)),
        (20.0..140.0f64).prop_map(|low| (0.0, (short(low), short(low) + 200.0))),
        Just((0.0, (0.0, 360.0))),
        Just((90.0, (-270.0, 90.0))),
    ];
    (lons, lats, 1..9u32, 1..9u32).prop_map(|((seam, lon), lat, columns, rows)| {
        let bounds = Bounds { lon_min: lon.0, lon_max: lon.1, lat_min: lat.0, lat_max: lat.1 };
        Grid::new(Frame::Equatorial, seam, bounds, GridShape::new(columns, rows).unwrap()).unwrap()
    })
}

fn margins() -> impl Strategy<Value = Margin> {
    prop_oneof![
        (0.1..=100.0f64).prop_map(|percent| Margin::percent(percent).unwrap()),
        (1.0..=36_000.0f64).prop_map(|arcsec| Margin::arcsec(arcsec).unwrap()),
    ]
}

/// Where in the bounds a position is: in the middle, in a clump, or on an edge.
fn spots(most: usize) -> impl Strategy<Value = Vec<(f64, f64)>> {
    let spot = prop_oneof![
        0.0..=1.0f64,
        0.0..1e-3f64,
        (0..=8u32).prop_map(|edge| f64::from(edge) / 8.0),
        Just(1.0),
    ];
    prop::collection::vec((spot.clone(), spot), 1..most)
}

/// Canonical positions in the bounds of a grid.
fn at_spots(grid: &Grid, spots: &[(f64, f64)]) -> Positions {
    let bounds = grid.bounds();
    spots
        .iter()
        .map(|(x, y)| {
            let lon = (bounds.lon_min + bounds.width_deg() * x).min(bounds.lon_max);
            let lat = (bounds.lat_min + bounds.height_deg() * y).min(bounds.lat_max);
            let lon = if grid.seam_deg() > 0.0 { short(lon) } else { lon };
            canonical(lon, lat).unwrap()
        })
        .collect()
}

/// A grid, positions in it, and a plan: the base blocks, or split by the positions.
fn plans() -> impl Strategy<Value = (Plan, Positions)> {
    let split = prop_oneof![
        Just(None),
        (prop_oneof![Just(Rule::Balanced), Just(Rule::Lon)], 1..20u64).prop_map(Some),
    ];
    (grids(), margins(), spots(120), split).prop_map(|(grid, margin, spots, split)| {
        let positions = at_spots(&grid, &spots);
        let plan = match split {
            None => Plan::uncut(grid, margin),
            Some((rule, max_rows)) => sky::split(grid, &positions, rule, max_rows, margin).plan,
        };
        (plan, positions)
    })
}

/// The longitude as the edges count it.
fn after_seam(plan: &Plan, lon: f64) -> f64 {
    let seam = plan.grid().seam_deg();
    if seam > 0.0 && lon >= seam { lon - 360.0 } else { lon }
}

/// The owners by the definition of a block: half open, the upper border of the grid closed.
fn owners(plan: &Plan, lon: f64, lat: f64) -> Vec<u32> {
    let all = plan.grid().bounds();
    let lon = after_seam(plan, lon);
    let within = |value: f64, min: f64, max: f64, border: f64| {
        value >= min && (value < max || (value <= max && max >= border))
    };
    (0..)
        .zip(plan.blocks())
        .filter(|(_, block)| {
            let bounds = block.bounds;
            // Of several blocks without width, on the border, the last one owns.
            let widthless = bounds.width_deg() <= 0.0 && last_edge(plan, block.parent).0;
            let heightless = bounds.height_deg() <= 0.0 && last_edge(plan, block.parent).1;
            !widthless
                && !heightless
                && within(lon, bounds.lon_min, bounds.lon_max, all.lon_max)
                && within(lat, bounds.lat_min, bounds.lat_max, all.lat_max)
        })
        .map(|(id, _)| id)
        .collect()
}

/// True for a base block that is not in the last column, not in the last row.
fn last_edge(plan: &Plan, parent: u32) -> (bool, bool) {
    let (columns, rows) = (plan.grid().columns().cells(), plan.grid().rows().cells());
    (parent / rows + 1 < columns, parent % rows + 1 < rows)
}

/// The margins by their definition, block by block. None where rounding may decide either way.
fn in_margin(plan: &Plan, id: u32, lon: f64, lat: f64) -> Option<bool> {
    let block = plan.blocks()[id as usize];
    let bounds = block.bounds;
    let close =
        |distance: f64, limit: f64| ((distance - limit).abs() > 1e-9).then_some(distance < limit);
    match plan.margin() {
        Margin::None => Some(false),
        Margin::Arcsec(arcsec) => close(distance_to_block(lon, lat, &bounds), arcsec / 3600.0),
        Margin::Percent(percent) => {
            let whole = plan.blocks().iter().filter(|other| other.parent == block.parent).count();
            let all = plan.grid().bounds();
            let (width, height) = if whole == 1 {
                let columns = f64::from(plan.grid().columns().cells());
                (
                    all.width_deg() / columns,
                    all.height_deg() / f64::from(plan.grid().rows().cells()),
                )
            } else {
                (bounds.width_deg(), bounds.height_deg())
            };
            let da = (width * (percent / 100.0)).min(90.0);
            let dd = (height * (percent / 100.0)).min(90.0);
            let lon = after_seam(plan, lon);
            let around = bounds.width_deg() + 2.0 * da >= 360.0;
            let window = lat >= bounds.lat_min - dd
                && lat <= bounds.lat_max + dd
                && (around
                    || [lon - 360.0, lon, lon + 360.0]
                        .iter()
                        .any(|lon| *lon >= bounds.lon_min - da && *lon <= bounds.lon_max + da));
            let steepest = bounds.lat_min.abs().max(bounds.lat_max.abs());
            if window || around || steepest + dd < 90.0 {
                return Some(window);
            }
            close(distance_to_block(lon, lat, &bounds), dd)
        }
    }
}

/// The position at an angle and a bearing from another one.
fn moved((lon, lat): (f64, f64), angle_deg: f64, bearing_deg: f64) -> (f64, f64) {
    let (sin_lat, cos_lat) = lat.to_radians().sin_cos();
    let (sin_angle, cos_angle) = angle_deg.to_radians().sin_cos();
    let (sin_bearing, cos_bearing) = bearing_deg.to_radians().sin_cos();
    let z = sin_lat * cos_angle + cos_lat * sin_angle * cos_bearing;
    let y = sin_bearing * sin_angle;
    let x = cos_lat * cos_angle - sin_lat * sin_angle * cos_bearing;
    let lon = lon + y.atan2(x).to_degrees();
    canonical(lon, z.atan2(x.hypot(y)).to_degrees().clamp(-90.0, 90.0)).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn every_row_is_in_exactly_one_block((plan, positions) in plans()) {
        for (lon, lat) in positions {
            let owner = plan.block_of(lon, lat);
            prop_assert_eq!(owners(&plan, lon, lat), owner.into_iter().collect::<Vec<_>>());
            prop_assert!(owner.is_some());
        }
    }

    #[test]
    fn blocks_tile_the_bounds((plan, _) in plans()) {
        let all = plan.grid().bounds();
        let area = |bounds: &Bounds| bounds.width_deg() * bounds.height_deg();
        let sum: f64 = plan.blocks().iter().map(|block| area(&block.bounds)).sum();
        prop_assert!((sum - area(&all)).abs() <= 1e-9 * area(&all) + 1e-300);
    }

    #[test]
    fn margins_are_what_they_are_defined_to_be((plan, positions) in plans()) {
        let places = Assigner::new(plan).unwrap();
        let plan = places.plan();
        let found = sky::places(&places, &positions);
        for ((lon, lat), found) in positions.into_iter().zip(found) {
            let own = plan.block_of(lon, lat).unwrap();
            prop_assert_eq!(found[0], Assignment::own(own));
            prop_assert!(found[1..].windows(2).all(|pair| pair[0] < pair[1]));
            for id in (0..).take(plan.blocks().len()).filter(|id| *id != own) {
                if let Some(expected) = in_margin(plan, id, lon, lat) {
                    let is_in = found[1..].contains(&Assignment::margin(id));
                    prop_assert_eq!(is_in, expected, "block {} of {:?}", id, plan.blocks()[id as usize]);
                }
            }
        }
    }

    #[test]
    fn margins_hold_every_row_within_the_radius(
        (plan, positions) in plans(),
        moves in prop::collection::vec((0.0..1.2f64, 0.0..360.0f64), 1..20),
    ) {
        let places = Assigner::new(plan).unwrap();
        let plan = places.plan();
        for position in positions {
            let own = plan.block_of(position.0, position.1).unwrap();
            let radius = places.radius_deg(own);
            for (part, bearing) in &moves {
                let other = moved(position, radius * part, *bearing);
                let angle = angular_distance(position.0, position.1, other.0, other.1);
                let mut found = Vec::new();
                if angle <= radius && places.assign(other.0, other.1, &mut found) {
                    prop_assert!(
                        found.iter().any(|place| place.block() == own),
                        "{position:?} and {other:?} are {angle} apart, radius {radius}"
                    );
                }
            }
        }
    }

    #[test]
    fn splitting_ends_with_few_rows_or_a_reason(
        grid in grids(), spots in spots(200), copies in 1..40usize, max_rows in 1..30u64,
        rule in prop::sample::select(vec![Rule::Balanced, Rule::Lon]),
    ) {
        let mut positions = at_spots(&grid, &spots);
        let first = positions[0];
        positions.extend(std::iter::repeat_n(first, copies));
        let split = sky::split(grid, &positions, rule, max_rows, Margin::None);
        prop_assert_eq!(split.own_rows.iter().sum::<u64>(), positions.len() as u64);
        let empty_from = split.own_rows.iter().take_while(|rows| **rows > 0).count();
        prop_assert!(split.own_rows[empty_from..].iter().all(|rows| *rows == 0));
        let recount = sky::count(&Cells::of_blocks(split.plan.clone()), &positions);
        prop_assert_eq!(&recount, &split.own_rows);
        let upper = split.plan.grid().bounds();
        for (id, dense) in (0..).zip(&split.dense) {
            let rows = split.own_rows[id as usize];
            prop_assert_eq!(*dense, rows > max_rows);
            if *dense {
                let mut lons: Vec<f64> = Vec::new();
                let mut lats: Vec<f64> = Vec::new();
                for (lon, lat) in &positions {
                    if split.plan.block_of(*lon, *lat) == Some(id) {
                        lons.push(after_seam(&split.plan, *lon));
                        lats.push(*lat);
                    }
                }
                let one = |values: &[f64], border: f64| {
                    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
                    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
                    // On the closed border of the grid, two neighbouring floats stay together.
                    low >= high || (high >= border && low.next_up() >= high)
                };
                prop_assert!(one(&lons, upper.lon_max), "{lons:?}");
                prop_assert!(rule == Rule::Lon || one(&lats, upper.lat_max), "{lats:?}");
            }
        }
    }

    #[test]
    fn plans_and_cells_come_back_from_bytes((plan, positions) in plans()) {
        prop_assert_eq!(&Plan::decode(&plan.encode()).unwrap(), &plan);
        let again = Plan::new(plan.grid().clone(), plan.margin(), plan.blocks().to_vec()).unwrap();
        for (lon, lat) in positions {
            prop_assert_eq!(again.block_of(lon, lat), plan.block_of(lon, lat));
        }
        let cells = Cells::of_blocks(plan);
        prop_assert_eq!(Cells::decode(&cells.encode()).unwrap(), cells);
    }

    #[test]
    fn broken_bytes_are_refused_or_make_a_plan(
        (plan, _) in plans(), at in any::<prop::sample::Index>(), with in any::<u8>(),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut bytes = plan.encode();
        let end = cut.index(bytes.len());
        prop_assert!(Plan::decode(&bytes[..end]).is_err());
        let place = at.index(bytes.len());
        bytes[place] = with;
        if let Ok(plan) = Plan::decode(&bytes) {
            plan.block_of(1.0, 1.0);
        }
    }
}

#[rstest]
#[case(Rule::Balanced)]
#[case(Rule::Lon)]
fn a_million_equal_positions_end_in_one_round(#[case] rule: Rule) {
    let (lon, lat) = (123.456, -45.6);
    let grid = whole_sky(Margin::None).grid().clone();
    let mut base = [0; 160];
    base[52] = 1_000_000;
    let mut splitting = Splitting::new(grid, &base, rule, 100).unwrap();
    let cells = splitting.next_cells(&CancelFlag::default()).unwrap().unwrap();
    let mut counts = vec![0; cells.count()];
    counts[cells.index_of(lon, lat).unwrap() as usize] = 1_000_000;
    splitting.take_counts(&cells, &counts, &CancelFlag::default()).unwrap();
    assert_eq!(splitting.crowded(), [52]);
    let place = Bounds { lon_min: lon, lon_max: lon, lat_min: lat, lat_max: lat };
    splitting.take_extents(&[(52, place)]).unwrap();
    assert!(splitting.next_cells(&CancelFlag::default()).unwrap().is_none());
    let split = splitting.finish(Margin::None, &CancelFlag::default()).unwrap();
    assert_eq!((split.rounds, split.plan.blocks().len()), (1, 160));
    assert_eq!((split.own_rows[0], split.dense[0]), (1_000_000, true));
    assert_eq!(split.plan.block_of(lon, lat), Some(0));
}

#[test]
fn one_row_is_a_plan() {
    let positions = [(0.0, 90.0)];
    let grid = sky::grid_over(&positions, Frame::Equatorial, GridShape::of_blocks(40).unwrap());
    let split = sky::split(grid, &positions, Rule::Balanced, 1, Margin::percent(5.0).unwrap());
    assert_eq!(split.plan.block_of(0.0, 90.0), Some(0));
    assert_eq!(split.plan.blocks().len(), 40);
    let places = Assigner::new(split.plan).unwrap();
    assert_eq!(sky::places(&places, &positions)[0][0], Assignment::own(0));
}

fn whole_sky(margin: Margin) -> Plan {
    let shape = GridShape::new(16, 10).unwrap();
    Plan::uncut(Grid::new(Frame::Equatorial, 0.0, Bounds::sky(0.0), shape).unwrap(), margin)
}

#[rstest]
#[case(360.0, 0.0, Some(5))]
#[case(0.0, 0.0, Some(5))]
#[case(-10.0, 0.0, Some(155))]
#[case(-1e-20, 0.0, Some(5))]
#[case(720.0, 90.0, Some(9))]
#[case(359.999, -90.0, Some(150))]
#[case(-999.0, 0.0, None)]
#[case(0.0, 90.000_000_1, None)]
#[case(f64::NAN, 0.0, None)]
#[case(0.0, f64::NAN, None)]
#[case(f64::INFINITY, 0.0, None)]
fn unusable_positions_have_no_block(
    #[case] lon: f64,
    #[case] lat: f64,
    #[case] expected: Option<u32>,
) {
    let places = Assigner::new(whole_sky(Margin::percent(5.0).unwrap())).unwrap();
    assert_eq!(places.plan().block_of(lon, lat), expected);
    let mut found = Vec::new();
    assert_eq!(places.assign(lon, lat, &mut found), expected.is_some());
    assert_eq!(found.first().map(|place| place.block()), expected);
}

#[test]
fn the_radius_of_the_sky_is_least_in_the_second_row() {
    let places = Assigner::new(whole_sky(Margin::percent(5.0).unwrap())).unwrap();
    let radii: Vec<f64> = (0..160).map(|id| places.radius_deg(id)).collect();
    let least = radii.iter().copied().fold(f64::INFINITY, f64::min);
    // asin(cos 72 sin 1.125)
    assert!((least - 0.3476).abs() < 5e-5, "{least}");
    let least_rows: Vec<usize> = (0..10).filter(|row| (radii[*row] - least).abs() < 1e-9).collect();
    assert_eq!(least_rows, [1, 8]);
    // A polar block reaches over the pole.
    assert!((radii[9] - 0.9).abs() < 1e-8);
}

#[test]
fn first_and_last_column_are_neighbours() {
    let places = Assigner::new(whole_sky(Margin::arcsec(3600.0).unwrap())).unwrap();
    let mut found = Vec::new();
    assert!(places.assign(359.5, 10.0, &mut found));
    assert_eq!(found, [Assignment::own(155), Assignment::margin(5)]);
}

#[test]
fn blocks_with_a_gap_are_no_plan() {
    let plan = whole_sky(Margin::None);
    let mut blocks = plan.blocks().to_vec();
    blocks[7].bounds.lon_max = 22.0;
    let error = Plan::new(plan.grid().clone(), Margin::None, blocks).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the blocks in 0..22.5 x 36..54 do not tile it, expected one owner for every place"
    );
}

#[test]
fn an_input_that_changes_under_a_splitting_is_noticed() {
    let plan = whole_sky(Margin::None);
    let grid = plan.grid().clone();
    let mut splitting = Splitting::new(grid, &[10; 160], Rule::Balanced, 5).unwrap();
    let cells = splitting.next_cells(&CancelFlag::default()).unwrap().unwrap();
    let error =
        splitting.take_counts(&cells, &vec![0; cells.count()], &CancelFlag::default()).unwrap_err();
    assert_eq!(error.to_string(), "input changed while reading: a block has 0 rows, expected 10");
}
