//! Hard negatives: where draws may fall, and how often.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use albef_model::keyed::{Purpose, StepKey};
use albef_model::negatives::Negatives;
use common::*;
use tch::{Device, Kind, Tensor};

fn values(t: &Tensor) -> Vec<usize> {
    Vec::<i64>::try_from(t).unwrap().into_iter().map(|i| i as usize).collect()
}

#[test]
fn a_draw_never_falls_on_the_diagonal() {
    let mut rng = rng(1);
    for batch in [2_i64, 3, 17] {
        // The true pair is by far the most similar.
        let sims =
            normal(&[batch, batch], 3.0, &mut rng) + Tensor::eye(batch, (Kind::Float, Device::Cpu)) * 1e6;
        for _ in 0..200 {
            let drawn = Negatives::draw(&sims, &sims, &mut rng).unwrap();
            for chosen in [&drawn.image_of_text, &drawn.text_of_image] {
                assert_eq!((chosen.size(), chosen.kind()), (vec![batch], Kind::Int64));
                for (own, chosen) in values(chosen).into_iter().enumerate() {
                    assert!(chosen != own && chosen < batch as usize);
                }
            }
        }
    }
}

#[test]
fn draws_follow_the_softmax_without_the_diagonal() {
    const DRAWS: usize = 6000;
    let mut rng = rng(2);
    let (i2t, t2i) = (normal(&[5, 5], 1.0, &mut rng), normal(&[5, 5], 1.0, &mut rng));
    let mut counts = [[[0_u32; 5]; 5]; 2];
    for _ in 0..DRAWS {
        let drawn = Negatives::draw(&i2t, &t2i, &mut rng).unwrap();
        for (count, chosen) in counts.iter_mut().zip([&drawn.text_of_image, &drawn.image_of_text]) {
            for (row, column) in values(chosen).into_iter().enumerate() {
                count[row][column] += 1;
            }
        }
    }
    let diagonal = Tensor::eye(5, (Kind::Float, Device::Cpu)).to_kind(Kind::Bool);
    for (count, sims) in counts.iter().zip([&i2t, &t2i]) {
        let p = sims.masked_fill(&diagonal, f64::NEG_INFINITY).softmax(-1, Kind::Double);
        for (row, count) in count.iter().enumerate() {
            let p = Vec::<f64>::try_from(p.get(row as i64)).unwrap();
            let chi_square: f64 = (0..5)
                .filter(|&column| column != row)
                .map(|column| {
                    let expected = p[column] * DRAWS as f64;
                    (f64::from(count[column]) - expected).powi(2) / expected
                })
                .sum();
            // Three degrees of freedom: exceeded once in 100 000 times, and the seed is fixed.
            assert!(chi_square < 25.9, "row {row}: {chi_square} from {count:?} against {p:?}");
        }
    }
}

#[test]
fn the_smallest_temperature_neither_fails_nor_loses_the_most_similar() {
    // Similarities of ±1 over 0.001: a plain softmax underflows to zero everywhere but in one place.
    let sims = [[1.0_f32, -1.0, -1.0], [1.0, 1.0, -1.0], [-1.0, 1.0, 1.0]].map(|row| row.map(|s| s / 0.001));
    let sims = Tensor::from_slice(sims.as_flattened()).view([3, 3]);
    let mut rng = rng(3);
    let mut first_row = [0; 3];
    for _ in 0..400 {
        let drawn = Negatives::draw(&sims, &sims, &mut rng).unwrap();
        for chosen in [values(&drawn.image_of_text), values(&drawn.text_of_image)] {
            assert_eq!(chosen[1..], [0, 1]);
            first_row[chosen[0]] += 1;
        }
    }
    // Both candidates of the first row are equally unlike it.
    assert!(first_row[0] == 0 && first_row[1] > 300 && first_row[2] > 300, "{first_row:?}");
}

#[test]
fn the_same_key_draws_the_same_and_another_rank_or_step_does_not() {
    let key = StepKey { seed: 1, step: 2, logical_rank: 3 };
    let sims = normal(&[40, 40], 0.1, &mut rng(4));
    let draw = |key: StepKey| {
        let drawn = Negatives::draw(&sims, &sims, &mut key.generator(Purpose::Negatives)).unwrap();
        (values(&drawn.image_of_text), values(&drawn.text_of_image))
    };
    let first = draw(key);
    assert_eq!(first, draw(key));
    assert_ne!(first.0, first.1, "both directions share their noise");
    for other in [StepKey { seed: 2, ..key }, StepKey { step: 3, ..key }, StepKey { logical_rank: 4, ..key }]
    {
        assert_ne!(first, draw(other));
    }
}
