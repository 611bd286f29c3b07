//! `pleiad check --verify` on what `pleiad partition` wrote: whole it passes, and each way to tamper
//! with rows, margins and counts is named, although sizes and checksums are made to agree.

use std::fs;
use std::path::Path;

use arrow::array::RecordBatch;
use arrow::compute::{concat_batches, filter_record_batch};
use parquet::arrow::ArrowWriter;
use parquet::arrow::arrow_reader::ParquetRecordBatchReaderBuilder;
use pleiad::partition::BlockRecord;
use pleiad::partition::stored::Stored;
use pleiad::table::Manifest;
use rstest::rstest;
use sha2::{Digest, Sha256};

use crate::cli::{outcome, pleiad};
use crate::support::partition::{Lab, awkward};

const MANIFEST: &str = "out/_manifest/00000001.json";

/// A lab with the dataset `out`.
fn partitioned(text: &str, options: &str) -> Lab {
    let lab = Lab::new();
    lab.file("in.csv", text);
    lab.done(&format!("@in.csv @out --threads 1 {options}"));
    lab
}

/// Exit code, findings and what else is said of the dataset `out`.
pub(crate) fn check(lab: &Lab) -> (i32, String, String) {
    outcome(&mut pleiad(&["check", &lab.at("out"), "--verify", "--format", "csv"]))
}

fn checked(lab: &Lab) -> (i32, String) {
    let (code, stdout, stderr) = check(lab);
    (code, stdout + &stderr)
}

/// The check ends with 65 and says each of `sentences`.
#[track_caller]
fn names(lab: &Lab, sentences: &[&str]) {
    let (code, said) = checked(lab);
    assert_eq!(code, 65, "{said}");
    for sentence in sentences {
        assert!(said.contains(sentence), "expected '{sentence}' in\n{said}");
    }
}

fn manifest(lab: &Lab) -> Manifest {
    Manifest::parse(lab.text(MANIFEST).as_bytes(), MANIFEST).unwrap()
}

fn put_manifest(lab: &Lab, manifest: &Manifest) {
    fs::write(lab.at(MANIFEST), manifest.to_bytes()).unwrap();
}

/// The rows of a block.
fn rows(lab: &Lab, manifest: &Manifest, table: &str, block: usize) -> RecordBatch {
    let file = manifest.files_of(table).find(|file| file.partition == [block.to_string()]);
    let file = fs::File::open(lab.at(&format!("out/{}", file.unwrap().path))).unwrap();
    let reader = ParquetRecordBatchReaderBuilder::try_new(file).unwrap();
    let schema = std::sync::Arc::clone(reader.schema());
    let batches: Vec<_> = reader.build().unwrap().map(|batch| batch.unwrap()).collect();
    concat_batches(&schema, &batches).unwrap()
}

/// Puts other rows into a block; its size and checksum in the manifest agree.
fn put_rows(lab: &Lab, manifest: &mut Manifest, table: &str, block: usize, rows: &RecordBatch) {
    let mut bytes = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut bytes, rows.schema(), None).unwrap();
    writer.write(rows).unwrap();
    writer.close().unwrap();
    let mut files = manifest.files.iter_mut();
    let is_it = |file: &pleiad::table::manifest::FileRecord| {
        file.table == table && file.partition == [block.to_string()]
    };
    let file = files.find(|file| is_it(file)).unwrap();
    fs::write(lab.at(&format!("out/{}", file.path)), &bytes).unwrap();
    file.size = bytes.len() as u64;
    file.sha256 = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    file.rows = rows.num_rows() as u64;
    (file.min, file.max, file.nulls) = Default::default();
}

/// Makes the records and properties of rows agree with the files.
fn recount(manifest: &mut Manifest) {
    for (table, column, property) in [("blocks", 6, "rows.own"), ("margins", 7, "rows.margin")] {
        let mut all = 0;
        for (id, line) in manifest.blocks.clone().iter().skip(1).enumerate() {
            let files = manifest.files_of(table).filter(|file| file.partition == [line[0].clone()]);
            let rows = files.map(|file| file.rows).sum::<u64>();
            manifest.blocks[id + 1][column] = rows.to_string();
            all += rows;
        }
        manifest.properties.insert(property.to_owned(), all.to_string());
    }
    let empty = manifest.blocks.iter().filter(|line| line[6] == "0").count();
    manifest.properties.insert("blocks.empty".to_owned(), empty.to_string());
}

/// Blocks that have rows in `table`, the fullest first.
fn fullest(manifest: &Manifest, table: &str) -> Vec<usize> {
    let mut files: Vec<_> = manifest.files_of(table).collect();
    files.sort_by_key(|file| std::cmp::Reverse(file.rows));
    files.iter().map(|file| file.partition[0].parse().unwrap()).collect()
}

fn without(rows: &RecordBatch, gone: usize) -> RecordBatch {
    let keep = (0..rows.num_rows()).map(|row| Some(row != gone)).collect();
    filter_record_batch(rows, &keep).unwrap()
}

#[rstest]
#[case("--preset v1 --grid 5x4", " 0 margin rows")]
#[case("--preset v2 --grid 5x4", " neighbours")]
#[case("--max-rows 40 --margin-arcsec 7200", " neighbours")]
#[case("--frame galactic --bounds sky --grid 7x5 --max-rows 50 --split lon", " neighbours")]
fn what_was_partitioned_is_found_right(#[case] options: &str, #[case] says: &str) {
    let lab = partitioned(&awkward(600), options);
    let (code, said) = checked(&lab);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("all 600 own rows are in their blocks") && said.contains(says), "{said}");
    assert!(!said.contains("  "), "{said}");
}

// A position is made again from the stored columns: text, other units, a schema's types; bad rows
// are set aside.
#[rstest]
#[case("id,ra,dec\n1,000.5,+01.5\n2,NULL,3\n3,359,x\n4,7,8\n", "")]
#[case("id,ra,dec\n1,0.5,0.1\n2,6.2,-1.5\n3,3,\n", "--unit rad")]
#[case("id,ra,dec\n1,0.5,10\n2,23.99,-90\n3,3,99\n", "--unit hour")]
fn positions_are_made_again_from_what_is_stored(#[case] text: &str, #[case] options: &str) {
    let lab = partitioned(text, &format!("--preset v2 --blocks 4 {options}"));
    let (code, said) = checked(&lab);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("2 own rows are in their blocks"), "{said}");
}

#[test]
fn a_schema_says_what_a_position_is() {
    let lab = Lab::new();
    lab.file("in.csv", "1,10.26,3\n2,bad,4\n3,20.74,5\n4,10.24,3\n");
    lab.file("s.sql", "CREATE TABLE s (id INT, ra NUMERIC(4, 1), decl DOUBLE)");
    lab.done(&format!("@in.csv @out --schema {} --preset v1 --grid 2x1", lab.at("s.sql")));
    let (code, said) = checked(&lab);
    assert_eq!(code, 0, "{said}");
    assert!(said.contains("3 own rows are in their blocks"), "{said}");
}

#[test]
fn blocks_of_text_are_said_to_be_compared_by_bytes_only() {
    let lab = partitioned(&awkward(100), "--layout parts --preset v2 --blocks 4");
    let (code, said) = checked(&lab);
    assert!(code == 0 && said.contains("the blocks are not tables: their rows were not"), "{said}");
}

#[test]
fn a_row_in_another_block_is_named() {
    let lab = partitioned(&awkward(300), "--preset v2 --grid 4x3");
    let mut manifest = manifest(&lab);
    let [from, to, ..] = fullest(&manifest, "blocks")[..] else { panic!() };
    let (given, taken) =
        (rows(&lab, &manifest, "blocks", from), rows(&lab, &manifest, "blocks", to));
    let taken = concat_batches(&given.schema(), [&taken, &given.slice(0, 1)]).unwrap();
    put_rows(&lab, &mut manifest, "blocks", from, &without(&given, 0));
    put_rows(&lab, &mut manifest, "blocks", to, &taken);
    recount(&mut manifest);
    put_manifest(&lab, &manifest);
    names(&lab, &[&format!("block {to} holds 1 rows that lie in block {from}")]);
}

#[test]
fn a_margin_that_lacks_rows_is_named() {
    let lab = partitioned(&awkward(300), "--preset v2 --grid 4x3");
    let mut manifest = manifest(&lab);
    let block = fullest(&manifest, "margins")[0];
    let held = rows(&lab, &manifest, "margins", block);
    let all = held.num_rows();
    put_rows(&lab, &mut manifest, "margins", block, &without(&held, 0));
    recount(&mut manifest);
    put_manifest(&lab, &manifest);
    let one = format!("the rows in the margin of block {block} are {}, expected {all}", all - 1);
    names(&lab, &[&one]);

    put_rows(&lab, &mut manifest, "margins", block, &held.slice(0, 0));
    recount(&mut manifest);
    put_manifest(&lab, &manifest);
    let near = format!("the margin of block {block} lacks 1 rows at ");
    names(&lab, &[&near, "within its radius of an own row"]);
}

#[test]
fn a_margin_that_holds_other_rows_is_named() {
    let lab = partitioned(&awkward(300), "--preset v2 --grid 4x3");
    let mut manifest = manifest(&lab);
    let block = fullest(&manifest, "margins")[0];
    let held = rows(&lab, &manifest, "margins", block);
    let own = rows(&lab, &manifest, "blocks", fullest(&manifest, "blocks")[0]);
    let put = |manifest: &mut Manifest, other: &RecordBatch| {
        let rows = [&without(&held, 0), other];
        let rows = concat_batches(&held.schema(), rows).unwrap();
        put_rows(&lab, manifest, "margins", block, &rows);
        put_manifest(&lab, manifest);
    };
    put(&mut manifest, &own.slice(0, 1));
    names(&lab, &[&format!("the margin of block {block} holds 1 rows that lie beyond it")]);
    put(&mut manifest, &held.slice(1, 1));
    names(&lab, &[&format!("the margin of block {block} holds other rows than the own rows near")]);
}

#[test]
fn counts_that_do_not_agree_are_named() {
    let lab = partitioned(&format!("{}999,NULL,1\n", awkward(300)), "--preset v2 --grid 4x3");
    let whole = manifest(&lab);
    let block = fullest(&whole, "blocks")[0];
    let own: u64 = whole.blocks[block + 1][6].parse().unwrap();
    let tampered = |change: &dyn Fn(&mut Manifest)| {
        let mut manifest = whole.clone();
        change(&mut manifest);
        put_manifest(&lab, &manifest);
    };
    tampered(&|manifest| manifest.blocks[block + 1][6] = (own + 1).to_string());
    let said = format!("the record of block {block} says own_rows {}, expected {own} by", own + 1);
    names(&lab, &[&said, "property 'rows.own' is 300, expected 301 by the blocks"]);

    for (name, value, says) in [
        ("rows.margin", "1", "property 'rows.margin' is 1, expected"),
        ("rows.quarantined", "2", "property 'rows.quarantined' is 2, expected 1 by the quarantine"),
        ("rows.quarantined.null", "2", "property 'rows.quarantined.null' is 2, expected 1 by"),
        ("input.rows", "400", "property 'input.rows' is 400, expected 301 by own and quarantined"),
        ("blocks.count", "13", "property 'blocks.count' is 13, expected 12 by the blocks"),
        (
            "margin.radius_arcsec",
            "99999999",
            "property 'margin.radius_arcsec' is 99999999, expected",
        ),
        ("frame", "polar", "the blocks cannot be read: frame is 'polar', expected"),
        ("columns.unit", "mil", "the blocks cannot be read: property 'columns.unit' is 'mil'"),
        ("frame", "galactic", "rows that lie in block"),
    ] {
        tampered(&|manifest| {
            manifest.properties.insert(name.to_owned(), value.to_owned());
        });
        names(&lab, &[says]);
    }

    tampered(&|manifest| manifest.blocks[1][10] = "1e6".to_owned());
    names(&lab, &["the record of block 0 says block 0 and a margin radius of 1000000, expected 0"]);
    tampered(&|manifest| manifest.blocks[1][3] = "1".to_owned());
    names(&lab, &["the blocks cannot be read: "]);
    tampered(&|manifest| {
        manifest.blocks.remove(1);
    });
    names(&lab, &["the blocks cannot be read: "]);

    // A file whose rows are fewer than the manifest says.
    let mut manifest = whole.clone();
    let rows = rows(&lab, &whole, "blocks", block);
    put_rows(&lab, &mut manifest, "blocks", block, &without(&rows, 0));
    let mut files = manifest.files.iter_mut();
    let id = [block.to_string()];
    files.find(|file| file.table == "blocks" && file.partition == id).unwrap().rows = own;
    put_manifest(&lab, &manifest);
    names(&lab, &[&format!("the rows of block {block} are {}, expected {own} by", own - 1)]);
}

/// `tests/golden/blocks` is a dataset as this program has always written them: 56 own rows in six
/// blocks, three bad rows.
#[test]
fn a_dataset_that_is_kept_still_reads() {
    let lab = Lab::new();
    let kept = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/blocks");
    copy_folder(&kept, Path::new(&lab.at("out")));
    let (code, said) = checked(&lab);
    assert_eq!(code, 0, "{said}");
    for sentence in ["all 56 own rows are in their blocks", "all 10 margin rows", "4 neighbours"] {
        assert!(said.contains(sentence), "{said}");
    }

    let manifest = manifest(&lab);
    let stored = Stored::read(&manifest).unwrap().unwrap();
    assert_eq!(stored.to_properties(), manifest.properties);
    let blocks = stored.blocks.unwrap();
    assert_eq!((stored.input_rows, blocks.own_rows, blocks.quarantined), (59, 56, 3));
    assert_eq!(blocks.margin_radius_arcsec, Some(10.035261564221347));
    assert_eq!(blocks.split.map(|split| (split.max_rows, split.rounds)), Some((12, 1)));
    assert_eq!(BlockRecord::read(&manifest).unwrap().len(), 6);
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let to = to.join(entry.file_name());
        match entry.file_type().unwrap().is_dir() {
            true => copy_folder(&entry.path(), &to),
            false => fs::copy(entry.path(), to).map(drop).unwrap(),
        }
    }
}
