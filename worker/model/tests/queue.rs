//! The feature queues against a plain list of columns.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use albef_model::queue::FeatureQueue;
use common::*;
use proptest::prelude::*;
use tch::{Device, Kind, Tensor};

/// Columns of a queue.
fn columns(queue: &Tensor) -> Vec<Vec<f32>> {
    Vec::<Vec<f32>>::try_from(queue.transpose(0, 1).contiguous()).unwrap()
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 128, rng_seed: proptest::test_runner::RngSeed::Fixed(1), ..ProptestConfig::default() })]

    #[test]
    fn any_sequence_of_batch_sizes_overwrites_the_oldest_columns_in_a_circle(
        size in 1_i64..9,
        start in 0_i64..9,
        batches in prop::collection::vec(0_i64..25, 1..8),
    ) {
        let start = start % size;
        let mut queue = FeatureQueue::new(2, size, Device::Cpu, 1).unwrap();
        queue.set_pointer(start).unwrap();
        let (mut image, mut text) = (columns(queue.image()), columns(queue.text()));
        let (mut pointer, mut next) = (start as usize, 0_f32);
        for rows in batches {
            let first = next;
            let numbers: Vec<f32> = (0..2 * rows).map(|i| first + i as f32).collect();
            let features = Tensor::from_slice(&numbers).view([rows, 2]);
            queue.enqueue(&features, &-&features).unwrap();
            for row in numbers.chunks(2) {
                image[pointer] = row.to_vec();
                text[pointer] = row.iter().map(|x| -x).collect();
                pointer = (pointer + 1) % size as usize;
            }
            next += numbers.len() as f32;
            prop_assert_eq!(queue.pointer(), pointer as i64);
            prop_assert_eq!(columns(queue.image()), image.clone());
            prop_assert_eq!(columns(queue.text()), text.clone());
        }
    }
}

#[test]
fn a_new_queue_holds_unit_columns_that_differ_between_image_and_text() {
    let queue = queue(&tiny());
    for features in [queue.image(), queue.text()] {
        assert_eq!(features.size(), [8, 10]);
        let norms = features.square().sum_dim_intlist([0].as_slice(), false, Kind::Float).sqrt();
        assert!(max_difference(&norms, &norms.ones_like()) <= 1e-6);
        assert!(!features.requires_grad());
    }
    assert_ne!(bits(queue.image()), bits(queue.text()));
    assert_eq!(queue.pointer(), 0);
}

#[test]
fn features_of_another_shape_are_refused_and_change_nothing() {
    let mut queue = queue(&tiny());
    let before = (bits(queue.image()), bits(queue.text()));
    let of = |shape: &[i64]| Tensor::ones(shape, (Kind::Float, Device::Cpu));
    for (image, text) in [(&[3, 8][..], &[2, 8][..]), (&[3, 7], &[3, 7]), (&[2, 8], &[2, 7])] {
        let error = queue.enqueue(&of(image), &of(text)).unwrap_err();
        assert_line(&error, &["features to enqueue", "[rows, 8] twice"]);
    }
    assert!(queue.enqueue(&of(&[8]), &of(&[8])).is_err());
    for pointer in [-1, 10] {
        assert_line(&queue.set_pointer(pointer).unwrap_err(), &["below the queue size 10"]);
    }
    assert_eq!(before, (bits(queue.image()), bits(queue.text())));
    assert_eq!(queue.pointer(), 0);
}
