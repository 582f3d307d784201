//! One epoch: shards permuted, cut into lanes, read in windows.
use super::{Corpus, Key, Order, Permutation, Purpose};

/// A sample: its corpus, its shard there, its index in the shard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place {
    /// Position of the corpus in the job's list.
    pub corpus: u32,
    /// Position of the shard in the corpus's manifest.
    pub shard: u32,
    /// Position of the sample in the shard.
    pub index: u64,
}

/// A stretch of one shard that an epoch reads; the whole shard unless a weight cuts it.
#[derive(Debug, Clone, Copy)]
struct Piece {
    corpus: u32,
    shard: u32,
    first: u64,
    /// Where the piece begins in the epoch's sequence.
    start: u64,
}

/// The order of one epoch.
#[derive(Debug)]
pub struct Epoch<'a> {
    order: &'a Order,
    epoch: u64,
    /// In the epoch's sequence.
    pieces: Vec<Piece>,
}

impl<'a> Epoch<'a> {
    pub(super) fn new(order: &'a Order, epoch: u64) -> Self {
        let mut lengths = Vec::new();
        for (number, corpus) in (0..).zip(&order.corpora) {
            corpus.pieces(number, order.config.seed, epoch, &mut lengths);
        }
        let count = lengths.len() as u64;
        let shuffled = Permutation::new(count, &Key::new(order.config.seed, Purpose::Epoch, [epoch, 0]));
        let mut start = 0;
        let pieces = (0..count)
            .map(|i| {
                let (piece, length) = lengths[shuffled.apply(i) as usize];
                let piece = Piece { start, ..piece };
                start += length;
                piece
            })
            .collect();
        Self { order, epoch, pieces }
    }

    /// The sample at `position` of the stream, which must lie in this epoch.
    pub fn sample(&self, position: u64) -> Place {
        let config = &self.order.config;
        let begin = self.epoch * self.order.epoch_len;
        debug_assert_eq!(self.order.epoch_of(position), self.epoch);
        let lane = position % self.order.global_batch() / config.local_batch;
        // The lane's stretch of the sequence holds the samples of the lanes before it first.
        let before: u64 = (0..lane).map(|lane| self.lane_len(lane)).sum();
        let along = self.lane_positions(lane, position) - self.lane_positions(lane, begin);
        let place = self.permuted(before, before + self.lane_len(lane), before + along);
        let piece = &self.pieces[self.piece_at(place)];
        Place { corpus: piece.corpus, shard: piece.shard, index: piece.first + (place - piece.start) }
    }

    /// Positions below `position` that belong to `lane`.
    fn lane_positions(&self, lane: u64, position: u64) -> u64 {
        let (config, global) = (&self.order.config, self.order.global_batch());
        let partial = (position % global).saturating_sub(lane * config.local_batch).min(config.local_batch);
        position / global * config.local_batch + partial
    }

    fn lane_len(&self, lane: u64) -> u64 {
        let begin = self.epoch * self.order.epoch_len;
        self.lane_positions(lane, begin + self.order.epoch_len) - self.lane_positions(lane, begin)
    }

    /// The piece that holds `place` of the sequence.
    fn piece_at(&self, place: u64) -> usize {
        self.pieces.partition_point(|piece| piece.start <= place) - 1
    }

    /// Where `place` goes inside its window of the lane `[begin, end)`.
    fn permuted(&self, begin: u64, end: u64, place: u64) -> u64 {
        let window = self.order.config.window;
        let first = self.piece_at(begin);
        let number = (self.piece_at(place) - first) / window;
        let edge = |piece: usize| self.pieces.get(piece).map_or(end, |p| p.start).clamp(begin, end);
        let (from, to) = (edge(first + number * window), edge(first + (number + 1) * window));
        // Where a window begins names it: two lanes never share that place.
        let key = Key::new(self.order.config.seed, Purpose::Window, [self.epoch, from]);
        from + Permutation::new(to - from, &key).apply(place - from)
    }
}

impl Corpus {
    /// What epoch `epoch` reads of this corpus: the next `share` samples of its own endless rounds, so that a weight
    /// other than 1 still reads all samples equally often.
    fn pieces(&self, corpus: u32, seed: u64, epoch: u64, out: &mut Vec<(Piece, u64)>) {
        let begin = u128::from(epoch) * u128::from(self.share);
        let samples = u128::from(self.samples);
        let (mut round, mut skip) = ((begin / samples) as u64, (begin % samples) as u64);
        let mut wanted = self.share;
        while wanted > 0 {
            let key = Key::new(seed, Purpose::Shards, [round, u64::from(corpus)]);
            let shuffled = Permutation::new(self.shards.len() as u64, &key);
            for i in 0..self.shards.len() as u64 {
                let shard = shuffled.apply(i);
                let length = self.shards[shard as usize];
                let first = skip.min(length);
                skip -= first;
                let taken = (length - first).min(wanted);
                if taken > 0 {
                    out.push((Piece { corpus, shard: shard as u32, first, start: 0 }, taken));
                    wanted -= taken;
                }
            }
            round += 1;
        }
    }
}
