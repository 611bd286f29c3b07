//! What the sky partitioner reads, how much memory it has, and what it warns of.

use std::fs;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::{ArrayRef, Float32Array, Float64Array, Int64Array, RecordBatch, StringArray};
use parquet::arrow::ArrowWriter;
use pleiad::event::Silent;
use pleiad::partition::{self, Options, Params};
use pleiad::session::{Session, SessionOptions};
use pleiad::table::{Begin, Run, RunOptions, Source, SourceOptions};
use rstest::rstest;

use crate::support::endpoint::Endpoint;
use crate::support::partition::Lab;
use crate::support::seeded::Chance;

/// One Parquet file.
fn parquet(columns: Vec<(&str, ArrayRef)>) -> Vec<u8> {
    let batch = RecordBatch::try_from_iter(columns).unwrap();
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, batch.schema(), None).unwrap();
    writer.write(&batch).unwrap();
    writer.close().unwrap();
    bytes
}

fn options(line: &str) -> Options {
    #[derive(clap::Parser)]
    struct Line {
        #[command(flatten)]
        options: Options,
    }
    let words = ["partition"].into_iter().chain(line.split_whitespace());
    <Line as clap::Parser>::try_parse_from(words).unwrap().options
}

/// `rows` positions on the whole sphere.
fn positions(rows: usize) -> (Vec<f64>, Vec<f64>) {
    let mut chance = Chance::of(7);
    let sphere = |chance: &mut Chance| (2. * chance.unit() - 1.).asin().to_degrees();
    (0..rows).map(|_| (chance.unit() * 360., sphere(&mut chance))).unzip()
}

/// Bytes of the input that travel: those of the two coordinates, then all, and footers.
#[rstest]
#[case("--preset v1 --bounds sky --grid 4x3")]
#[case("--preset v2 --grid 4x3")]
#[case("--max-rows 3000")]
#[tokio::test(flavor = "multi_thread")]
async fn the_input_is_read_once_narrow_and_once_in_full(#[case] line: &str) {
    let rows = 20_000;
    let (ra, dec) = positions(rows);
    let mut chance = Chance::of(8);
    let text = || format!("{:016x}{:016x}", chance.bits(), chance.bits());
    let texts: Vec<String> = std::iter::repeat_with(text).take(rows).collect();
    let (ra, dec) = (Float64Array::from(ra), Float64Array::from(dec));
    let narrow = parquet(vec![("ra", Arc::new(ra.clone())), ("dec", Arc::new(dec.clone()))]);
    let file = parquet(vec![
        // Between the coordinates and the text lies more than what readers fetch in one go.
        ("ra", Arc::new(ra)),
        ("dec", Arc::new(dec)),
        ("id", Arc::new(Int64Array::from_iter_values(0..20_000))),
        ("one", Arc::new(StringArray::from(texts.clone()))),
        ("two", Arc::new(StringArray::from_iter_values(texts.iter().rev()))),
        ("three", Arc::new(StringArray::from(texts))),
    ]);
    let (narrow, full) = (narrow.len() as u64, file.len() as u64);
    assert!(narrow < full / 4);

    let endpoint = Endpoint::in_process();
    let faults = endpoint.faults();
    let stores = endpoint.stores_through(&faults);
    let (input, out) = (endpoint.base.join("sky.parquet"), endpoint.base.join("out"));
    let store = stores.open(&input).unwrap();
    object_store::ObjectStoreExt::put(store.objects(), input.path(), file.into()).await.unwrap();
    let session = Session::new(Arc::clone(&stores), &SessionOptions::default()).unwrap();
    let params = Params::new(options(line)).unwrap();
    let (at, options) = (input.to_string(), SourceOptions::default());
    let source = Source::open(&stores, &at, &options).await.unwrap();
    let Begin::Run(run) = Run::begin(&stores, &out, RunOptions::default()).await.unwrap() else {
        panic!()
    };
    let outcome = partition::run(&session, &source, &params, None, Some(*run), &Silent).await;
    assert_eq!(outcome.unwrap().rows, rows as u64);
    let read = faults.calls_of("GET", "sky.parquet").iter().filter_map(|call| call.bytes).sum();
    // Footers are asked for with the last 64 kB of a file.
    let most = narrow + full + 3 * (64 << 10);
    assert!((narrow + full / 2..=most).contains(&read), "{read} bytes, expected at most {most}");
}

#[rstest]
#[case(1500, 0.004, "--preset v2 --blocks 4", true)]
#[case(1500, 0.004, "--frame galactic --bounds sky", true)]
#[case(1500, 0.004, "--unit rad --blocks 4", false)]
#[case(20, 0.3, "--blocks 4", true)]
#[case(19, 0.3, "--blocks 4", false)]
#[case(1500, 0.0043, "--blocks 4", false)]
fn positions_that_look_like_radians_are_pointed_out(
    #[case] rows: i32,
    #[case] step: f64,
    #[case] options: &str,
    #[case] warns: bool,
) {
    let lab = Lab::new();
    let line =
        |i: i32| format!("{i},{},{}\n", f64::from(i) * step, f64::from(i % 300 - 150) / 100.);
    lab.file("in.csv", &("id,ra,dec\n".to_owned() + &(0..rows).map(line).collect::<String>()));
    let (code, _, stderr) = lab.run(&format!("@in.csv --dry-run {options}"));
    assert_eq!((code, stderr.contains("pass --unit rad")), (0, warns), "{stderr}");
}

#[test]
fn coordinates_of_32_bits_are_warned_of_once() {
    let lab = Lab::new();
    let ra = Float32Array::from_iter_values((0..100_u8).map(|i| f32::from(i) * 3.5));
    let dec = Float32Array::from_iter_values((0..100_u8).map(|i| f32::from(i) / 2. - 20.));
    let file = parquet(vec![("ra", Arc::new(ra)), ("dec", Arc::new(dec))]);
    fs::write(lab.at("in.parquet"), file).unwrap();
    let (code, _, stderr) = lab.run("@in.parquet @out --preset v2 --blocks 4");
    assert_eq!(code, 0, "{stderr}");
    assert_eq!(
        stderr.matches("is a 32-bit float: its positions are only accurate to a tenth").count(),
        1
    );
    let (code, _, stderr) = crate::verify::check(&lab);
    assert_eq!(code, 0, "{stderr}");
}

#[test]
fn wide_rows_are_sorted_in_little_memory() {
    let lab = Lab::new();
    let (ra, dec) = positions(7_000);
    let [ra, dec]: [ArrayRef; 2] =
        [ra, dec].map(|values| Arc::new(Float64Array::from(values)) as _);
    let names: Vec<_> = (0..100).map(|i| format!("measure_{i}")).collect();
    let measures = names.iter().map(|name| (name.as_str(), Arc::clone(&ra)));
    let columns = [("ra", Arc::clone(&ra)), ("dec", dec)].into_iter().chain(measures).collect();
    fs::write(lab.at("wide.parquet"), parquet(columns)).unwrap();
    lab.done("@wide.parquet @out --preset v2 --grid 4x3 --bounds sky --memory-limit 30MB");
    let own = lab.text("out/blocks.csv");
    let own = own.lines().skip(1).map(|line| line.split(',').nth(6).unwrap());
    assert_eq!(own.map(|rows| rows.parse::<usize>().unwrap()).sum::<usize>(), 7_000);
}

/// The most memory that a child had, in bytes.
#[expect(clippy::disallowed_methods, reason = "a process that is watched from outside")]
fn most_resident(command: &mut std::process::Command) -> u64 {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    while child.try_wait().unwrap().is_none() {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().strip_suffix(" kB")?.parse::<u64>().ok());
        most = kib.map_or(most, |kib| kib << 10);
        std::thread::sleep(Duration::from_millis(5));
    }
    let ended = child.wait_with_output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stderr));
    most
}

#[test]
#[ignore = "half a minute: two million rows, ten thousand files"]
fn five_thousand_blocks_and_a_heavy_one_fit_in_512_mib() {
    let rows = 2_000_000;
    let lab = Lab::new();
    let (mut ra, mut dec) = positions(rows);
    // Four rows in five are in one block: 118.8..122.4 x -43.2..-39.6.
    for row in (0..rows).filter(|row| row % 5 > 0) {
        (ra[row], dec[row]) = (119. + ra[row] / 120., -41.5 + dec[row] / 90.);
    }
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(0..2_000_000))),
        ("ra", Arc::new(Float64Array::from(ra))),
        ("dec", Arc::new(Float64Array::from(dec))),
    ];
    fs::write(lab.at("in.parquet"), parquet(columns)).unwrap();
    let mut command = std::process::Command::new(assert_cmd::cargo::cargo_bin!("pleiad"));
    command.args(["partition", &lab.at("in.parquet"), &lab.at("out")]);
    let options = "--bounds sky --grid 100x50 --preset v2 --memory-limit 512MiB --threads 2";
    let most = most_resident(command.args(options.split(' ')));
    println!("{} MiB were resident", most >> 20);
    assert!(most < 512 << 20, "{} MiB were resident", most >> 20);
    let blocks = lab.text("out/blocks.csv");
    let own = blocks.lines().skip(1).map(|line| line.split(',').nth(6).unwrap());
    let own: Vec<usize> = own.map(|rows| rows.parse().unwrap()).collect();
    assert_eq!((own.len(), own.iter().sum::<usize>()), (5000, rows));
    assert!(own.iter().max().is_some_and(|most| *most > rows / 5 * 4));
}
