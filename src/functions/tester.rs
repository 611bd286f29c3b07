//! Plays the engine for an aggregate, and proves law 2 for each of ours.
//!
//! A table is cut into batches, dealt to streams, folded, sent as states, merged in another order and
//! emitted in parts. Whatever way that is done, the answer is that of one accumulator over all rows.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, BooleanArray, UInt32Array, new_empty_array};
use arrow::compute::{concat, take};
use arrow::datatypes::{Field, FieldRef, Schema};
use datafusion::common::{Result, ScalarValue};
use datafusion::logical_expr::function::AccumulatorArgs;
use datafusion::logical_expr::{Accumulator, AggregateUDF, EmitTo, GroupsAccumulator};
use datafusion::physical_expr::PhysicalExpr;
use datafusion::physical_expr::expressions::{Column, Literal};
use rand::Rng;

use crate::splitmix::SplitMix64;

/// A table and a call of an aggregate over it.
pub(super) struct Tester {
    function: AggregateUDF,
    constants: Vec<ScalarValue>,
    columns: Vec<ArrayRef>,
    rows: usize,
}

/// Throws that depend on a seed only.
struct Dice(SplitMix64);

impl Dice {
    /// A number below `sides`.
    fn throw(&mut self, sides: usize) -> usize {
        usize::try_from(self.0.next_u64() % sides.max(1) as u64).unwrap()
    }

    fn shuffle<T>(&mut self, items: &mut [T]) {
        for i in (1..items.len()).rev() {
            items.swap(i, self.throw(i + 1));
        }
    }
}

impl Tester {
    pub(super) fn new(
        function: AggregateUDF,
        constants: Vec<ScalarValue>,
        columns: Vec<ArrayRef>,
    ) -> Self {
        let rows = columns[0].len();
        Self { function, constants, columns, rows }
    }

    /// Calls `make` with the arguments that a plan would have.
    fn with_args<T>(&self, make: impl FnOnce(AccumulatorArgs<'_>) -> Result<T>) -> Result<T> {
        let fields: Vec<FieldRef> = (0..)
            .zip(&self.columns)
            .map(|(i, column): (usize, _)| {
                Arc::new(Field::new(format!("x{i}"), column.data_type().clone(), true))
            })
            .collect();
        let schema = Schema::new(fields.clone());
        let literals = self.constants.iter().map(|value| {
            let literal: Arc<dyn PhysicalExpr> = Arc::new(Literal::new(value.clone()));
            literal
        });
        let columns = (0..self.columns.len()).map(|i| {
            let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(&format!("x{i}"), i));
            column
        });
        let exprs: Vec<_> = literals.chain(columns).collect();
        let constant = |value: &ScalarValue| {
            Arc::new(Field::new("constant", value.data_type(), value.is_null()))
        };
        let expr_fields: Vec<_> = self.constants.iter().map(constant).chain(fields).collect();
        make(AccumulatorArgs {
            return_field: self.function.return_field(&expr_fields)?,
            schema: &schema,
            ignore_nulls: false,
            order_bys: &[],
            is_reversed: false,
            name: "tested",
            is_distinct: false,
            exprs: &exprs,
            expr_fields: &expr_fields,
        })
    }

    fn plain(&self) -> Box<dyn Accumulator> {
        self.with_args(|args| self.function.accumulator(args)).expect("a valid call")
    }

    fn grouped(&self) -> Box<dyn GroupsAccumulator> {
        self.with_args(|args| self.function.create_groups_accumulator(args)).expect("a valid call")
    }

    /// The arguments of chosen rows, constants as arrays of the batch's length.
    fn batch(&self, rows: &[usize]) -> Vec<ArrayRef> {
        let chosen = UInt32Array::from_iter_values(rows.iter().map(|i| u32::try_from(*i).unwrap()));
        let constants =
            self.constants.iter().map(|value| value.to_array_of_size(rows.len()).unwrap());
        let columns = self.columns.iter().map(|column| take(column, &chosen, None).unwrap());
        constants.chain(columns).collect()
    }

    /// One accumulator over these rows, in one batch.
    pub(super) fn answer(&self, rows: &[usize]) -> Result<ScalarValue> {
        let mut accumulator = self.plain();
        accumulator.update_batch(&self.batch(rows))?;
        accumulator.evaluate()
    }

    /// Streams of small batches, whose states meet in some order.
    fn answer_of_streams(&self, dice: &mut Dice) -> ScalarValue {
        let mut rows: Vec<usize> = (0..self.rows).collect();
        dice.shuffle(&mut rows);
        let mut streams: Vec<_> = (0..1 + dice.throw(4)).map(|_| self.plain()).collect();
        while !rows.is_empty() {
            let batch = rows.split_off(rows.len() - 1 - dice.throw(rows.len().min(100)));
            let stream = dice.throw(streams.len());
            streams[stream].update_batch(&self.batch(&batch)).unwrap();
        }
        while streams.len() > 1 {
            dice.shuffle(&mut streams);
            let state = streams.pop().unwrap().state().unwrap();
            let state: Vec<_> = state.iter().map(|value| value.to_array().unwrap()).collect();
            streams[0].merge_batch(&state).unwrap();
        }
        assert!(streams[0].size() > 0);
        let answer = streams[0].evaluate().unwrap();
        assert_eq!(streams[0].evaluate().unwrap(), answer, "evaluate must not consume");
        answer
    }

    /// GROUP BY in two phases: streams that update, emit early or only convert; a final one that
    /// merges their states and emits in two parts. Row `i` is of group `groups[i]`, if it passes.
    fn answers_of_groups(
        &self,
        groups: &[usize],
        passes: &[bool],
        count: usize,
        dice: &mut Dice,
    ) -> Vec<ScalarValue> {
        let mut rows: Vec<usize> = (0..self.rows).collect();
        if dice.throw(2) == 0 {
            dice.shuffle(&mut rows);
        } else {
            rows.sort_by_key(|row| groups[*row]); // as from files of one key each
        }
        let mut states = Vec::new();
        while !rows.is_empty() {
            let rows = rows.split_off(rows.len() - 1 - dice.throw(rows.len()));
            if dice.throw(3) == 0 {
                states.push(self.converted(&rows, groups, passes));
            } else {
                states.extend(self.partial(rows, groups, passes, count, dice));
            }
        }
        dice.shuffle(&mut states);
        let mut last = self.grouped();
        for (state, groups) in states {
            last.merge_batch(&[state], &groups, count).unwrap();
        }
        assert!(last.size() > 0);
        // Rows can also reach an accumulator that has already merged.
        last.update_batch(&self.batch(&[]), &[], None, count).unwrap();
        let first = dice.throw(count + 1);
        let parts = [EmitTo::First(first), EmitTo::All].map(|part| last.evaluate(part).unwrap());
        let all = concat(&[&*parts[0], &*parts[1]]).unwrap();
        (0..count).map(|i| ScalarValue::try_from_array(&all, i).unwrap()).collect()
    }

    /// The states of one partial phase, with the group of each; the first groups may leave early.
    fn partial(
        &self,
        mut rows: Vec<usize>,
        groups: &[usize],
        passes: &[bool],
        count: usize,
        dice: &mut Dice,
    ) -> Vec<(ArrayRef, Vec<usize>)> {
        let mut accumulator = self.grouped();
        let mut emitted = 0;
        let mut states = Vec::new();
        if dice.throw(3) == 0 {
            // Sorted input: groups below a bound are complete and leave.
            rows.sort_by_key(|row| groups[*row]);
            let bound = dice.throw(count);
            let (early, late): (Vec<_>, Vec<_>) =
                rows.into_iter().partition(|r| groups[*r] < bound);
            self.update(&mut *accumulator, &early, groups, passes, 0, count);
            let state = accumulator.state(EmitTo::First(bound)).unwrap().remove(0);
            states.push((state, (0..bound).collect()));
            (rows, emitted) = (late, bound);
        }
        while !rows.is_empty() {
            let batch = rows.split_off(rows.len() - 1 - dice.throw(rows.len()));
            self.update(&mut *accumulator, &batch, groups, passes, emitted, count - emitted);
        }
        let state = accumulator.state(EmitTo::All).unwrap().remove(0);
        let ids = (emitted..emitted + state.len()).collect();
        states.push((state, ids));
        states
    }

    fn update(
        &self,
        accumulator: &mut dyn GroupsAccumulator,
        rows: &[usize],
        groups: &[usize],
        passes: &[bool],
        emitted: usize,
        count: usize,
    ) {
        let ids: Vec<_> = rows.iter().map(|row| groups[*row] - emitted).collect();
        let passes: BooleanArray = rows.iter().map(|row| Some(passes[*row])).collect();
        let filter = (passes.true_count() < passes.len()).then_some(&passes);
        accumulator.update_batch(&self.batch(rows), &ids, filter, count).unwrap();
    }

    fn converted(
        &self,
        rows: &[usize],
        groups: &[usize],
        passes: &[bool],
    ) -> (ArrayRef, Vec<usize>) {
        let passes: BooleanArray = rows.iter().map(|row| passes[*row].then_some(true)).collect();
        let states = self.grouped().convert_to_state(&self.batch(rows), Some(&passes)).unwrap();
        (Arc::clone(&states[0]), rows.iter().map(|row| groups[*row]).collect())
    }

    /// Law 2: any way to an answer gives the same answer.
    #[track_caller]
    pub(super) fn check(&self, seed: u64) {
        let mut dice = Dice(SplitMix64::new(seed));
        let all: Vec<usize> = (0..self.rows).collect();
        assert_eq!(self.answer_of_streams(&mut dice), self.answer(&all).unwrap());

        let count = 1 + dice.throw(4);
        let groups: Vec<_> = all.iter().map(|_| dice.throw(count)).collect();
        let passes: Vec<_> = all.iter().map(|_| dice.throw(5) > 0).collect();
        let found = self.answers_of_groups(&groups, &passes, count, &mut dice);
        for (group, found) in found.iter().enumerate() {
            let rows: Vec<_> =
                all.iter().copied().filter(|row| groups[*row] == group && passes[*row]).collect();
            assert_eq!(*found, self.answer(&rows).unwrap(), "group {group}");
        }
    }
}

/// The array with its one answer.
pub(super) fn array(answer: &ScalarValue) -> ArrayRef {
    answer.to_array().unwrap()
}

mod tests {
    use arrow::array::{Float32Array, Float64Array, Int16Array, Int64Array};
    use ndarray::array;
    use proptest::prelude::*;

    use super::*;
    use crate::centroids::groups::Groups;
    use crate::centroids::model::{BoundingBox, Model, ModelSet, Spread, Weight};
    use crate::centroids::totals::{Measures, Totals};
    use crate::functions::centroid_sums::Summing;
    use crate::functions::fold::Core;
    use crate::functions::{
        FunctionContext, aggregates, read_block_counts, read_centroid_sums, read_extent,
        read_sample_rows,
    };
    use crate::grid::{Bounds, Frame, Grid, GridShape, Margin, Plan};
    use crate::isa::Isa;

    /// A call of the aggregate `name`.
    fn call(name: &str, constants: Vec<ScalarValue>, columns: Vec<ArrayRef>) -> Tester {
        let functions = aggregates(&FunctionContext::default());
        let function = functions.into_iter().find(|function| function.name() == name);
        Tester::new(function.expect("a function of ours"), constants, columns)
    }

    /// A row: a float, an integer, a weight.
    type Row = (Option<f64>, Option<i16>, Option<i64>);

    fn float() -> impl Strategy<Value = f64> + Clone {
        prop_oneof![
            6 => (-4..4i32).prop_map(f64::from),
            6 => -100.0..100.0f64,
            1 => Just(-0.0),
            1 => prop_oneof![Just(f64::NAN), Just(f64::INFINITY), Just(f64::NEG_INFINITY)],
        ]
    }

    fn rows() -> impl Strategy<Value = Vec<Row>> {
        let often = |some| prop::option::weighted(0.95, some);
        let row = (
            often(float()),
            prop::option::weighted(0.95, -9..9i16),
            prop::option::weighted(0.95, 0..5i64),
        );
        prop_oneof![4 => prop::collection::vec(row.clone(), 0..60), 1 => prop::collection::vec(row, 200..400)]
    }

    #[derive(Debug, Clone, Copy)]
    enum Weights {
        None,
        Integer,
        Float,
    }

    fn weights() -> impl Strategy<Value = Weights> {
        prop_oneof![Just(Weights::None), Just(Weights::Integer), Just(Weights::Float)]
    }

    fn columns(rows: &[Row], weights: Weights) -> Vec<ArrayRef> {
        let mut columns: Vec<ArrayRef> = vec![
            Arc::new(rows.iter().map(|row| row.0).collect::<Float64Array>()),
            Arc::new(rows.iter().map(|row| row.1).collect::<Int16Array>()),
        ];
        match weights {
            Weights::None => {}
            Weights::Integer => {
                columns.push(Arc::new(rows.iter().map(|row| row.2).collect::<Int64Array>()));
            }
            Weights::Float => {
                let weight = |row: &Row| row.2.map(|weight| weight as f32 / 3.0);
                columns.push(Arc::new(rows.iter().map(weight).collect::<Float32Array>()));
            }
        }
        columns
    }

    fn models(weights: Weights) -> ModelSet {
        let bounds = BoundingBox {
            lows: vec![-100.0, -9.0],
            highs: vec![100.0, 9.0],
            weight: match weights {
                Weights::None => Weight::None,
                Weights::Integer => Weight::Integer,
                Weights::Float => Weight::Float { largest: 4.0 / 3.0 },
            },
        };
        let centroids = array![[0.0, 0.0], [3.5, -2.0], [-50.0, 4.0], [3.5, -2.0]];
        let scaled = Model {
            factors: Some(vec![0.25, 3.0]),
            spread: Some(Spread {
                means: array![[0.5, 0.0], [60.0, -2.0]],
                variances: vec![2.0, f64::INFINITY],
                own_factors: vec![1.5, 0.0],
            }),
            ..Model::new(array![[0.0, 0.0], [60.0, -2.0]])
        };
        ModelSet::new(bounds, vec![Model::new(centroids), scaled]).unwrap()
    }

    fn bytes(models: &ModelSet) -> ScalarValue {
        ScalarValue::BinaryView(Some(models.encode()))
    }

    /// The sums by their definition, a row and a cluster at a time.
    fn sums_by_definition(
        models: &ModelSet,
        rows: &[Row],
        weights: Weights,
    ) -> (u64, u64, Vec<Vec<i128>>) {
        let (mut used, mut skipped) = (0, 0);
        let mut lines = vec![vec![0_i128; 5]; models.clusters()];
        for (x, y, weight) in rows {
            let weight = match weights {
                Weights::None => Some(1),
                Weights::Integer => *weight,
                Weights::Float => weight
                    .map(|w| models.weight_scale().quantise(f64::from(w as f32 / 3.0)).unwrap()),
            };
            let row = x.filter(|x| x.is_finite()).zip(*y).zip(weight.filter(|weight| *weight > 0));
            let Some(((x, y), weight)) = row else {
                skipped += 1;
                continue;
            };
            used += 1;
            let row = [x, f64::from(y)];
            let mut first = 0;
            for (number, model) in models.models().iter().enumerate() {
                let factors = model.factors.clone().unwrap_or(vec![1.0; 2]);
                let squared = |c: usize| {
                    let t = |j: usize| (row[j] - model.centroids[[c, j]]) * factors[j];
                    t(0) * t(0) + t(1) * t(1)
                };
                let nearest = (0..model.clusters())
                    .min_by(|a, b| squared(*a).total_cmp(&squared(*b)))
                    .unwrap(); // the first of equals
                let cost = models.distance_scales(number).cost.quantise(squared(nearest)).unwrap();
                let line = &mut lines[first + nearest];
                line[0] += 1;
                line[1] += i128::from(weight);
                for j in 0..2 {
                    let x = models.column_scale(j).quantise(row[j]).unwrap();
                    line[2 + j] += i128::from(x) * i128::from(weight);
                }
                line[4] += i128::from(cost) * i128::from(weight);
                first += model.clusters();
            }
        }
        (used, skipped, lines)
    }

    fn lines(totals: &Totals) -> (u64, u64, Vec<Vec<i128>>) {
        let line = |cluster: crate::centroids::totals::ClusterTotals<'_>| {
            let mut line = vec![cluster.rows.into(), cluster.weight];
            line.extend(cluster.sums);
            line.push(cluster.cost);
            line
        };
        (totals.rows(), totals.skipped(), totals.clusters().map(line).collect())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn centroid_sums_are_those_of_the_definition_however_they_are_made(
            rows in rows(), weights in weights(), seed: u64,
        ) {
            let models = models(weights);
            let tester = call("centroid_sums", vec![bytes(&models)], columns(&rows, weights));
            tester.check(seed);
            let all: Vec<_> = (0..rows.len()).collect();
            let answer = array(&tester.answer(&all).unwrap());
            let totals = read_centroid_sums(&models, &answer, 0).unwrap();
            prop_assert_eq!(lines(&totals), sums_by_definition(&models, &rows, weights));
        }

        #[test]
        fn cluster_scores_do_not_depend_on_the_way(rows in rows(), weights in weights(), seed: u64) {
            let constants = vec![bytes(&models(weights))];
            call("cluster_scores", constants, columns(&rows, weights)).check(seed);
        }

        #[test]
        fn every_instruction_set_gives_the_same_sums(rows in rows(), weights in weights()) {
            let models = models(weights);
            let all: Vec<_> = (0..rows.len()).collect();
            let groups: Vec<_> = all.iter().map(|row| row % 2).collect();
            for (function, measures) in
                [("centroid_sums", Measures::Step), ("cluster_scores", Measures::Scores)]
            {
                let tester = call(function, vec![bytes(&models)], columns(&rows, weights));
                let expected = array(&tester.answer(&all).unwrap());
                let batch = tester.batch(&all);
                for isa in Isa::available() {
                    let constants = FunctionContext::default();
                    let made = |args: AccumulatorArgs<'_>| {
                        Summing::new("tested", measures, &args, &constants)
                    };
                    let core = tester.with_args(made).unwrap().on(isa);
                    let mut scratch = core.scratch();
                    let mut one = core.start();
                    core.update(&mut scratch, &batch, None, Groups::One(&mut one)).unwrap();
                    let [mut even, odd] = {
                        let mut states = [core.start(), core.start()];
                        let into = Groups::Each { states: &mut states, groups: &groups };
                        core.update(&mut scratch, &batch, None, into).unwrap();
                        states
                    };
                    let mut sent = Vec::new();
                    core.write(&odd, &mut sent);
                    core.merge(&mut even, &sent).unwrap();
                    for state in [one, even] {
                        prop_assert_eq!(&core.evaluate(&[state]).unwrap(), &expected, "{:?}", isa);
                    }
                }
            }
        }

        #[test]
        fn farthest_rows_do_not_depend_on_the_way(
            rows in rows(), weights in weights(), limit in 1..6i64, seed: u64,
        ) {
            let constants = vec![bytes(&models(weights)), ScalarValue::from(limit)];
            call("farthest_rows", constants, columns(&rows, weights)).check(seed);
        }

        #[test]
        fn sampled_rows_do_not_depend_on_the_way(
            rows in rows(), weights in weights(), limit in 1..40i64, seed: u64,
        ) {
            let constants = vec![bytes(&models(weights)), ScalarValue::from(7i64), ScalarValue::from(limit)];
            call("sample_rows", constants, columns(&rows, weights)).check(seed);
        }

        #[test]
        fn extents_do_not_depend_on_the_way(rows in rows(), seed: u64) {
            call("extent", vec![], columns(&rows, Weights::Float)).check(seed);
        }

        #[test]
        fn counts_of_blocks_do_not_depend_on_the_way(
            rows in prop::collection::vec(
                prop::option::weighted(0.9, (-20.0..400.0f64, -95.0..95.0f64)), 0..200,
            ),
            seed: u64,
        ) {
            let bounds = Bounds { lon_min: 10.0, lon_max: 340.0, lat_min: -60.0, lat_max: 90.0 };
            let grid = Grid::new(Frame::Equatorial, 0.0, bounds, GridShape::new(5, 3).unwrap()).unwrap();
            let plan = Plan::uncut(grid, Margin::None);
            let angles = |of: fn((f64, f64)) -> f64| -> ArrayRef {
                Arc::new(rows.iter().map(|row| row.map(of)).collect::<Float64Array>())
            };
            let columns = vec![angles(|row| row.0), angles(|row| row.1)];
            let constant = ScalarValue::BinaryView(Some(plan.encode()));
            let tester = call("block_counts", vec![constant], columns);
            tester.check(seed);
            let all: Vec<_> = (0..rows.len()).collect();
            let found = read_block_counts(&array(&tester.answer(&all).unwrap()), 0).unwrap();
            let mut expected = vec![0; 15];
            for block in rows.iter().flatten().filter_map(|row| plan.block_of(row.0, row.1)) {
                expected[block as usize] += 1;
            }
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn an_answer_of_no_rows_has_all_clusters_and_zeros() {
        let models = models(Weights::None);
        let tester = call("centroid_sums", vec![bytes(&models)], columns(&[], Weights::None));
        let answer = tester.plain().evaluate().unwrap();
        let totals = read_centroid_sums(&models, &array(&answer), 0).unwrap();
        assert_eq!(totals, Totals::new(&models, Measures::Step));
        assert_eq!(totals.clusters().len(), 6);
    }

    #[test]
    fn weights_repeat_rows() {
        let row = |weight| (Some(1.25), Some(3), Some(weight));
        let folded = [row(3), (Some(-7.5), Some(0), Some(1))];
        let unfolded = [row(1), folded[1], row(1), row(1)];
        let sums = |rows: &[Row], weights| {
            let models = models(weights);
            let tester = call("centroid_sums", vec![bytes(&models)], columns(rows, weights));
            let all: Vec<_> = (0..rows.len()).collect();
            let answer = array(&tester.answer(&all).unwrap());
            let mut lines = lines(&read_centroid_sums(&models, &answer, 0).unwrap()).2;
            lines.iter_mut().for_each(|line| line[0] = 0); // rows differ, their weight does not
            lines
        };
        assert_eq!(sums(&folded, Weights::Integer), sums(&unfolded, Weights::None));
    }

    #[test]
    fn a_sample_counts_equal_rows_and_minus_zero_is_zero() {
        let rows =
            [(Some(-0.0), Some(1), None), (Some(0.0), Some(1), None), (Some(2.0), Some(1), None)];
        let constants =
            vec![bytes(&models(Weights::None)), ScalarValue::from(1i64), ScalarValue::from(9i64)];
        let tester = call("sample_rows", constants, columns(&rows, Weights::None));
        let sample =
            read_sample_rows(9, 2, &array(&tester.answer(&[0, 1, 2]).unwrap()), 0).unwrap();
        let mut found: Vec<_> = sample.rows().iter().map(|row| (row.values[0], row.rows)).collect();
        found.sort_by(|a, b| a.0.total_cmp(&b.0));
        assert_eq!(found, [(0.0, 2), (2.0, 1)]);
    }

    #[test]
    fn an_extent_counts_what_is_no_number() {
        let rows = [
            (Some(1.5), Some(-3), Some(0)),
            (Some(f64::NAN), Some(9), None),
            (Some(f64::NEG_INFINITY), None, Some(4)),
            (None, Some(1), Some(1)),
        ];
        let tester = call("extent", vec![], columns(&rows, Weights::Integer));
        let found = read_extent(&array(&tester.answer(&[0, 1, 2, 3]).unwrap()), 0).unwrap();
        assert_eq!((found.rows, found.usable), (4, 1));
        let columns: Vec<_> =
            found.columns.iter().map(|c| (c.lo, c.hi, c.nulls, c.nans, c.infinite)).collect();
        assert_eq!(columns, [(1.5, 1.5, 1, 1, 1), (-3.0, 9.0, 1, 0, 0), (0.0, 4.0, 1, 0, 0)]);
    }

    #[track_caller]
    fn check_refused(rows: &[Row], weights: Weights, words: &str) {
        let constants = vec![bytes(&models(weights))];
        let tester = call("centroid_sums", constants, columns(rows, weights));
        let error = tester.answer(&[0]).expect_err("refused").to_string();
        assert!(error.contains(words), "{error}");
    }

    #[test]
    fn rows_outside_the_box_and_bad_weights_are_errors() {
        check_refused(&[(Some(300.0), Some(0), None)], Weights::None, "column 1 holds 300");
        check_refused(&[(Some(1.0), Some(0), Some(-1))], Weights::Integer, "a weight is -1");
        check_refused(&[(Some(1.0), Some(0), Some(1 << 32))], Weights::Integer, "2147483648");
        check_refused(&[(Some(1.0), Some(0), Some(-1))], Weights::Float, "a weight is -0.33");
        check_refused(&[(Some(1.0), Some(0), Some(90))], Weights::Float, "above the largest");
    }

    #[test]
    fn states_and_answers_of_another_model_are_refused() {
        let other = ModelSet::new(
            models(Weights::None).bounds().clone(),
            vec![Model::new(array![[0.0, 0.0]])],
        )
        .unwrap();
        let on = |models: &ModelSet| {
            call(
                "centroid_sums",
                vec![bytes(models)],
                columns(&[(Some(1.0), Some(0), None)], Weights::None),
            )
        };
        let (mine, theirs) = (on(&other), on(&models(Weights::None)));
        let mut states = theirs.plain();
        states.update_batch(&theirs.batch(&[0])).unwrap();
        let state = states.state().unwrap()[0].to_array().unwrap();
        // The row is in cluster 0 of the second model, the fifth of all: this model has one.
        assert!(mine.plain().merge_batch(&[state]).is_err());
        let answer = array(&theirs.answer(&[0]).unwrap());
        assert!(read_centroid_sums(&other, &answer, 0).is_err());
        let empty = new_empty_array(answer.data_type());
        assert!(read_centroid_sums(&models(Weights::None), &empty, 0).is_err());
    }

    #[test]
    fn grouped_memory_is_given_back() {
        let tester = call(
            "sample_rows",
            vec![bytes(&models(Weights::None)), ScalarValue::from(1i64), ScalarValue::from(64i64)],
            columns(&vec![(Some(1.0), Some(2), None); 100], Weights::None),
        );
        let rows: Vec<_> = (0..100).collect();
        let groups: Vec<_> = rows.iter().map(|row| row % 10).collect();
        let mut grouped = tester.grouped();
        grouped.update_batch(&tester.batch(&rows), &groups, None, 10).unwrap();
        let full = grouped.size();
        grouped.state(EmitTo::First(6)).unwrap();
        let less = grouped.size();
        grouped.state(EmitTo::All).unwrap();
        assert!(full > less && less > grouped.size(), "{full} {less} {}", grouped.size());
    }
}
