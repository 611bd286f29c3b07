//! `pleiad plot`: what is drawn is what was found, read from the SVG; and where pictures go.

use rstest::rstest;

use crate::cli::{outcome, pleiad};
use crate::commands::Lab;
use crate::support::scratch::On;

/// The values of column `name` of a CSV answer, as numbers.
fn numbers(csv: &str, name: &str) -> Vec<f64> {
    let mut lines = csv.lines();
    let mut header = lines.next().expect("a header").split(',');
    let place = header.position(|column| column == name).expect(name);
    lines
        .map(|line| line.split(',').nth(place).expect("a value").parse().expect("a number"))
        .collect()
}

/// Every value of attribute `name` of the elements `element` of a picture, in their order.
fn attributes(svg: &str, element: &str, name: &str) -> Vec<String> {
    let elements = svg.split('<').filter(|text| text.starts_with(&format!("{element} ")));
    let value = |text: &str| {
        let (_, rest) = text.split_once(&format!(" {name}=\""))?;
        Some(rest.split_once('"')?.0.to_owned())
    };
    elements.filter_map(value).collect()
}

/// The places of the first unbroken line of the picture with more than `least` points.
fn curve(svg: &str, least: usize) -> Vec<(f64, f64)> {
    let paths = attributes(svg, "path", "d");
    let places = paths.iter().map(|path| {
        let places = path.split(['M', 'L']).filter_map(|place| place.split_once(' '));
        places.filter_map(|(x, y)| Some((x.parse().ok()?, y.parse().ok()?))).collect::<Vec<_>>()
    });
    places.into_iter().find(|places| places.len() > least).expect("a curve")
}

/// A result of k-means over three tables of people, k 2 to 5.
fn models(lab: &Lab) {
    lab.people(400);
    lab.done("kmeans @people @models --columns age,weight --k 2..5 --starts 2");
}

#[test]
fn the_elbow_falls_as_the_cost_of_each_k_does() {
    let lab = Lab::new(On::Files);
    models(&lab);
    let best = lab.done("kmeans @people --columns age,weight --k 2..5 --starts 2 --show best");
    let cost = numbers(&best, "cost");
    let svg = lab.done("plot elbow @models");
    let drawn = curve(&svg, 3);
    assert_eq!(drawn.len(), cost.len());
    // A pixel of y is the same cost everywhere, and 0 is the lower edge.
    let bottom = 56.0 + 300.0;
    let scale = (bottom - drawn[0].1) / cost[0];
    for ((_, y), cost) in drawn.iter().zip(&cost) {
        assert!(((bottom - y) - cost * scale).abs() < 0.02, "{drawn:?} {cost:?}");
    }
    let steps: Vec<f64> = drawn.windows(2).map(|pair| pair[1].0 - pair[0].0).collect();
    assert!(steps.iter().all(|step| (step - steps[0]).abs() < 0.02), "k in equal steps");
    assert!(svg.contains(">simplified_silhouette<"), "{svg}");
}

#[test]
fn steps_are_drawn_for_each_k_or_for_all_starts_of_one() {
    let lab = Lab::new(On::Files);
    models(&lab);
    let svg = lab.done("plot steps @models");
    for k in 2..=5 {
        assert!(svg.contains(&format!(">k {k}<")), "{svg}");
    }
    let svg = lab.done("plot steps @models --k 3");
    assert!(svg.contains(">start 0<") && svg.contains(">start 1<") && !svg.contains(">k 2<"));
    let (code, _, stderr) = lab.run("plot steps @models --k 9");
    assert!(code == 2 && stderr.contains("expected one of 2, 3, 4, 5"), "{stderr}");
}

#[test]
fn bars_of_partitions_are_cut_by_the_rows_of_their_clusters() {
    let lab = Lab::new(On::Files);
    models(&lab);
    let svg = lab.done("plot partitions @models --k 3");
    let model = lab.done("kmeans @people --columns age,weight --k 2..5 --starts 2 --show best");
    let model = numbers(&model, "model")[1];
    let query = format!(
        "SELECT sum(rows) OVER (PARTITION BY \"table\", id_pref) AS whole, rows FROM '{}' \
         WHERE model = {model} AND rows > 0 ORDER BY \"table\", id_pref, \"cluster\"",
        lab.at("models/partition_clusters")
    );
    let (code, rows, stderr) = outcome(&mut pleiad(&["sql", "-c", &query]));
    assert_eq!(code, 0, "{stderr}");
    let shares = numbers(&rows, "rows").into_iter().zip(numbers(&rows, "whole"));
    let expected: Vec<f64> = shares.map(|(rows, whole)| 560.0 * rows / whole).collect();
    let widths = attributes(&svg, "rect", "width");
    let widths: Vec<f64> = widths.iter().map(|width| width.parse().expect("a number")).collect();
    // After the ground; the legend has a box for each cluster.
    let drawn = &widths[1..widths.len() - 3];
    assert_eq!(drawn.len(), expected.len(), "{svg}");
    for (drawn, expected) in drawn.iter().zip(&expected) {
        assert!((drawn - expected).abs() < 0.01, "{drawn} {expected}");
    }
    let (code, _, stderr) = lab.run("plot partitions @models");
    assert!(code == 2 && stderr.contains("pass --k"), "{stderr}");
}

#[test]
fn a_histogram_counts_every_row() {
    let lab = Lab::new(On::Files);
    let query = format!(
        "COPY (SELECT CAST(value % 10 AS DOUBLE) AS x FROM generate_series(0, 999) \
         UNION ALL VALUES (CAST(NULL AS DOUBLE)), (arrow_cast('NaN', 'Float64'))) TO '{}'",
        lab.at("in.parquet")
    );
    let (code, _, stderr) = outcome(&mut pleiad(&["sql", "-c", &query]));
    assert_eq!(code, 0, "{stderr}");
    let svg = lab.done("plot histogram @in.parquet --x x --bins 10");
    assert!(svg.contains("1,000 rows, 2 without a finite value"), "{svg}");
    let heights = attributes(&svg, "rect", "height");
    let bars = &heights[1..];
    assert_eq!(bars.len(), 10, "{svg}");
    assert!(bars.iter().all(|height| height == &bars[0]), "{bars:?}");
    let (code, _, stderr) = lab.run("plot histogram @in.parquet --x y");
    assert!(code == 65 && stderr.contains("column 'y'"), "{stderr}");
}

#[test]
fn assigned_rows_and_any_two_columns_are_drawn() {
    let lab = Lab::new(On::Files);
    lab.people(300);
    lab.done("kmeans @people/table1 @made --columns age,weight --k 3 --assign");
    let svg = lab.done("plot scatter @made");
    assert!(svg.contains(">age<") && svg.contains(">weight<"), "{svg}");
    assert!(
        svg.contains("300 rows shown: 300 in clusters") && svg.contains(">cluster 2<"),
        "{svg}"
    );
    lab.done("predict @made @people/table2 @again");
    assert!(lab.done("plot scatter @again --x age --y weight").contains(">cluster 2<"));
    let svg = lab.done("plot scatter @people/table1 --x age --y shoulder_circumference --rows 100");
    assert!(svg.contains("100 rows shown<") && !svg.contains("noise"), "{svg}");
    let svg = lab.done("plot scatter @people/table1 --x age --y weight --by id_pref");
    assert!(svg.contains(">cluster 1<"), "{svg}");
    let (code, _, stderr) = lab.run("plot scatter @people/table1");
    assert!(code == 2 && stderr.contains("Pass --x and --y"), "{stderr}");
    let (code, _, stderr) = lab.run("plot scatter @people");
    assert!(code == 2 && stderr.contains("has the tables table1, table2, table3"), "{stderr}");
    lab.done("generate sky @sky --rows 200");
    let svg = lab.done("plot scatter @sky --ra ra --dec decl");
    assert!(svg.contains("200 rows shown<"), "{svg}");
}

#[rstest]
#[case("x.svg", 0)]
#[case("x.txt", 0)]
#[case("x.png", 2)]
#[case("x.pdf", 2)]
#[case("x", 2)]
fn a_picture_is_what_the_name_of_its_file_says(#[case] name: &str, #[case] code: i32) {
    let lab = Lab::new(On::Files);
    lab.people(50);
    let path = lab.place.beside(name);
    let path = path.local_path().expect("a path");
    let shown = path.display().to_string();
    let (found, stdout, stderr) =
        lab.run(&format!("plot histogram @people/table1 --x age --bins 5 -o {shown}"));
    assert_eq!((found, stdout.as_str()), (code, ""), "{stderr}");
    if code != 0 {
        assert!(stderr.contains(".svg") && !path.exists(), "{stderr}");
        return;
    }
    let text = std::fs::read_to_string(path).expect("a file");
    assert_eq!(text.starts_with("<svg "), name.ends_with("svg"), "{text}");
    assert!(text.contains("50 rows"), "{text}");
}
