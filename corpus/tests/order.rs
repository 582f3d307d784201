//! The order of the stream, over shapes drawn at random.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};

use albef_corpus::order::{CorpusShape, Order, OrderConfig, OrderError, Place};
use proptest::prelude::*;

fn order(shapes: &[(Vec<u64>, f64)], config: OrderConfig) -> Order {
    let shapes =
        shapes.iter().map(|(shards, weight)| CorpusShape { shards: shards.clone(), weight: *weight });
    Order::new(shapes.collect(), config).unwrap()
}

/// The places of one whole epoch, in the order of positions.
fn places(order: &Order, epoch: u64) -> Vec<Place> {
    let n = order.epoch_len();
    let of_epoch = order.epoch(epoch);
    (epoch * n..(epoch + 1) * n).map(|position| of_epoch.sample(position)).collect()
}

fn all(shards: &[u64]) -> BTreeSet<Place> {
    let of = |(shard, &len): (u32, &u64)| (0..len).map(move |index| Place { corpus: 0, shard, index });
    (0..).zip(shards).flat_map(of).collect()
}

fn configs() -> impl Strategy<Value = OrderConfig> {
    (any::<u64>(), 1..9_u64, 1..9_u64, 1..6_usize).prop_map(|(seed, logical_ranks, local_batch, window)| {
        OrderConfig { seed, logical_ranks, local_batch, window }
    })
}

fn shards() -> impl Strategy<Value = Vec<u64>> {
    prop::collection::vec(0..40_u64, 1..12).prop_filter("a corpus has samples", |s| s.iter().sum::<u64>() > 0)
}

proptest! {
    #[test]
    fn every_sample_comes_once_per_epoch(shards in shards(), config in configs(), epoch in 0..50_u64) {
        let order = order(&[(shards.clone(), 1.0)], config);
        let places = places(&order, epoch);
        prop_assert_eq!(places.len() as u64, shards.iter().sum::<u64>());
        prop_assert_eq!(places.into_iter().collect::<BTreeSet<_>>(), all(&shards));
    }

    /// A worker asks for single positions in any order, across epochs; another asks for all in sequence.
    #[test]
    fn any_two_readers_agree(shards in shards(), config in configs(), step in 0..30_u64) {
        let order = order(&[(shards, 1.0)], config);
        for rank in (0..config.logical_ranks).rev() {
            for index in (0..config.local_batch).rev() {
                let position = order.position(step, rank, index);
                let epoch = order.epoch_of(position);
                let alone = order.clone().epoch(epoch).sample(position);
                prop_assert_eq!(alone, places(&order, epoch)[(position % order.epoch_len()) as usize]);
            }
        }
    }

    #[test]
    fn an_epoch_fetches_no_shard_twice_but_at_the_edges_of_lanes(
        shards in shards(), config in configs(), epoch in 0..5_u64,
    ) {
        let order = order(&[(shards.clone(), 1.0)], config);
        let begin = epoch * order.epoch_len();
        let by_rank: BTreeSet<(u64, u32)> = places(&order, epoch)
            .iter()
            .zip(begin..)
            .map(|(place, position)| (position % order.global_batch() / config.local_batch, place.shard))
            .collect();
        let filled = shards.iter().filter(|&&len| len > 0).count() as u64;
        prop_assert!((by_rank.len() as u64) < filled + config.logical_ranks);
    }

    #[test]
    fn a_rank_reads_few_shards_at_a_time(shards in shards(), config in configs()) {
        let order = order(&[(shards, 1.0)], config);
        let mut lanes: BTreeMap<u64, Vec<u32>> = BTreeMap::new();
        for (place, position) in places(&order, 0).iter().zip(0..) {
            lanes.entry(position % order.global_batch() / config.local_batch).or_default().push(place.shard);
        }
        for lane in lanes.values() {
            // A shard is open from its first to its last sample.
            let open = |at: usize| {
                let (before, after) = lane.split_at(at);
                before.iter().filter(|shard| after.contains(shard)).collect::<BTreeSet<_>>().len()
            };
            prop_assert!((0..lane.len()).all(|at| open(at) <= config.window));
        }
    }

    #[test]
    fn weights_hold_in_every_epoch_and_every_sample_gets_its_share(
        first in shards(), second in shards(), weight in 0.3..3.0_f64, config in configs(),
    ) {
        let total: u64 = second.iter().sum();
        let share = (total as f64 * weight).round() as u64;
        // A share of nothing is refused, which a test of its own shows.
        prop_assume!(share > 0);
        let order = order(&[(first.clone(), 1.0), (second.clone(), weight)], config);
        let epochs = 6;
        let mut seen: BTreeMap<Place, u64> = BTreeMap::new();
        for epoch in 0..epochs {
            let places = places(&order, epoch);
            prop_assert_eq!(places.iter().filter(|p| p.corpus == 1).count() as u64, share);
            for place in places {
                *seen.entry(place).or_default() += 1;
            }
        }
        let (rounds, rest) = (share * epochs / total, share * epochs % total);
        for (place, count) in seen {
            let expected = if place.corpus == 0 { epochs..=epochs } else { rounds..=rounds + u64::from(rest > 0) };
            prop_assert!(expected.contains(&count), "{:?} came {} times", place, count);
        }
    }
}

const CONFIG: OrderConfig = OrderConfig { seed: 42, logical_ranks: 2, local_batch: 3, window: 2 };

#[test]
fn seeds_and_epochs_give_different_orders() {
    let shards = [(vec![10, 20, 30], 1.0)];
    let base = places(&order(&shards, CONFIG), 0);
    assert_ne!(base, places(&order(&shards, CONFIG), 1));
    assert_ne!(base, places(&order(&shards, OrderConfig { seed: 43, ..CONFIG }), 0));
}

/// A permutation that leaves neighbours together would pass every test above.
#[test]
fn samples_and_shards_are_well_mixed() {
    let order = order(&[(vec![100; 64], 1.0)], OrderConfig { window: 8, logical_ranks: 1, ..CONFIG });
    let places = places(&order, 0);
    let neighbours = places.windows(2).filter(|w| w[0].shard == w[1].shard && w[0].index + 1 == w[1].index);
    // Of 6,399 pairs one in 800 stays together by chance: about 8.
    assert!(neighbours.count() < 30);
    let ascending = places.windows(2).filter(|w| w[0] < w[1]).count();
    assert!((2900..3500).contains(&ascending), "{ascending} of 6399 ascend");
}

/// A running job resumes in the middle of its stream, so the order must never change between versions.
#[test]
fn the_order_is_pinned() {
    let order = order(&[(vec![3, 5, 4], 1.0)], CONFIG);
    let found: Vec<_> = places(&order, 1).iter().map(|p| (p.shard, p.index)).collect();
    assert_eq!(found, PINNED);
    assert_eq!((0..8).map(|p| order.caption(p, 5)).collect::<Vec<_>>(), PINNED_CAPTIONS);
}

const PINNED: [(u32, u64); 12] =
    [(1, 2), (1, 4), (1, 1), (2, 3), (2, 0), (0, 1), (1, 3), (1, 0), (0, 0), (0, 2), (2, 2), (2, 1)];
const PINNED_CAPTIONS: [u64; 8] = [0, 0, 2, 1, 0, 2, 1, 1];

#[test]
fn a_billion_samples_are_ordered_from_one_entry_per_shard() {
    let config = OrderConfig { seed: 7, logical_ranks: 64, local_batch: 64, window: 16 };
    let order = order(&[(vec![10_000; 100_000], 1.0)], config);
    assert_eq!(order.epoch_len(), 1_000_000_000);
    let epoch = order.epoch(3);
    let positions = (0..100_000_u64).map(|i| 3_000_000_000 + i * 9_973);
    let places: BTreeSet<Place> = positions.map(|position| epoch.sample(position)).collect();
    assert_eq!(places.len(), 100_000, "two positions share a sample");
    assert!(places.iter().all(|p| p.shard < 100_000 && p.index < 10_000));
}

#[test]
fn every_caption_of_a_sample_is_read_about_equally_often() {
    let order = order(&[(vec![1000], 1.0)], CONFIG);
    let mut counts = [0; 5];
    for position in 0..10_000 {
        counts[order.caption(position, 5) as usize] += 1;
    }
    assert!(counts.iter().all(|c| (1800..2200).contains(c)), "{counts:?}");
}

#[test]
fn what_cannot_be_ordered_is_refused_by_name() {
    let refused = |shards: Vec<u64>, weight: f64, config: OrderConfig| {
        Order::new(vec![CorpusShape { shards, weight }], config).unwrap_err().to_string()
    };
    assert_eq!(
        refused(vec![1], 1.0, OrderConfig { window: 0, ..CONFIG }),
        "window is 0: it must be at least 1"
    );
    assert!(refused(vec![], 1.0, CONFIG).starts_with("corpus 0 gives no sample"));
    assert!(refused(vec![0, 0], 1.0, CONFIG).starts_with("corpus 0 gives no sample"));
    assert!(refused(vec![10], 0.01, CONFIG).contains("10 samples at weight 0.01"));
    for weight in [0.0, -1.0, f64::NAN, f64::INFINITY] {
        assert!(refused(vec![10], weight, CONFIG).contains("must be a positive number"));
    }
    assert_eq!(refused(vec![u64::MAX, 2], 1.0, CONFIG), OrderError::TooLong.to_string());
    let none = Order::new(Vec::new(), CONFIG).unwrap_err();
    assert_eq!(none, OrderError::Zero("number of corpora"));
}
