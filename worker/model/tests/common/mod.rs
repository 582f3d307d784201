//! Fixtures: golden cases, small models, batches, and exact comparison of states.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use albef_model::config::{TextConfig, VisionConfig};
use albef_model::forward::{Choices, MicroBatch};
use albef_model::masking::{IGNORED, Masked};
use albef_model::negatives::Negatives;
use albef_model::optim::OptimizerConfig;
use albef_model::queue::FeatureQueue;
use albef_model::trainer::{Reduction, TrainerConfig};
use albef_model::weights::file::{self, TensorFile};
use albef_model::weights::{Positions, state};
use albef_model::{Albef, ModelConfig, Precision, Trainer};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tch::{Device, Kind, Tensor};

pub(crate) fn fixture(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(path)
}

/// A golden case: sizes, JSON and tensors.
pub(crate) struct Golden {
    pub(crate) config: ModelConfig,
    pub(crate) json: serde_json::Value,
    pub(crate) file: TensorFile,
}

impl Golden {
    pub(crate) fn open(case: &str) -> Self {
        let stem = if case == "retrieval" { "retrieval" } else { "case" };
        let text = std::fs::read_to_string(fixture(&format!("{case}/{stem}.json"))).unwrap();
        let json: serde_json::Value = serde_json::from_str(&text).unwrap();
        let int = |path: &str| json.pointer(path).unwrap().as_i64().unwrap();
        let float = |path: &str| json.pointer(path).unwrap().as_f64().unwrap();
        let config = ModelConfig {
            vision: serde_json::from_value(json["vision"].clone()).unwrap(),
            text: TextConfig {
                width: int("/text/width"),
                depth: int("/text/depth"),
                heads: int("/text/heads"),
                vocab: int("/text/vocab"),
                fusion_layer: int("/text/fusion_layer"),
                max_positions: int("/text/max_positions"),
                dropout: 0.0,
                pad_id: 0,
                cls_id: int("/cls_id"),
                mask_id: int("/mask_id"),
            },
            embed_dim: int("/embed_dim"),
            queue_size: int("/queue_size"),
            momentum: float("/momentum"),
            mlm_probability: float("/mlm_probability"),
            init_std: 0.02,
            temp: float("/temp"),
        };
        let file = TensorFile::open(fixture(&format!("{case}/{stem}.safetensors"))).unwrap();
        Self { config, json, file }
    }

    pub(crate) fn get(&self, name: &str) -> Tensor {
        self.file.read(name).unwrap()
    }

    pub(crate) fn ranks(&self) -> u64 {
        self.json["world"].as_u64().unwrap()
    }

    /// The inputs of all ranks of a step, with the published choices.
    pub(crate) fn batches(&self, step: u64) -> Vec<MicroBatch> {
        let batch = |rank: u64| {
            let get = |name: &str| self.get(&format!("step{step}.rank{rank}.{name}"));
            MicroBatch {
                image: get("image"),
                input_ids: get("input_ids"),
                attention_mask: get("attention_mask"),
                choices: Some(Choices {
                    negatives: Negatives {
                        image_of_text: get("neg_image_idx"),
                        text_of_image: get("neg_text_idx"),
                    },
                    masked: Masked { input_ids: get("mlm_input_ids"), labels: get("mlm_labels") },
                }),
            }
        };
        (0..self.ranks()).map(batch).collect()
    }

    /// A trainer in the state before the first step.
    pub(crate) fn trainer(&self, precision: Precision) -> Trainer {
        let mut trainer = trainer(&self.config, self.ranks(), Reduction::Ordered, precision);
        let (model, queue) = trainer.state_mut();
        state::load_from(&self.file, "init.", model, queue, Positions::Exact).unwrap();
        trainer
    }
}

/// A model small enough to train in milliseconds; text and image differ in width.
pub(crate) fn tiny() -> ModelConfig {
    ModelConfig {
        vision: VisionConfig { image_res: 16, patch: 8, width: 24, depth: 2, heads: 3 },
        text: TextConfig {
            width: 16,
            depth: 3,
            heads: 2,
            vocab: 120,
            fusion_layer: 1,
            max_positions: 12,
            dropout: 0.0,
            pad_id: 0,
            cls_id: 101,
            mask_id: 103,
        },
        embed_dim: 8,
        queue_size: 10,
        momentum: 0.9,
        mlm_probability: 0.3,
        init_std: 0.02,
        temp: 0.07,
    }
}

pub(crate) fn model(config: &ModelConfig) -> Albef {
    Albef::new(config, Device::Cpu, 1).unwrap()
}

pub(crate) fn queue(config: &ModelConfig) -> FeatureQueue {
    FeatureQueue::new(config.embed_dim, config.queue_size, Device::Cpu, 2).unwrap()
}

pub(crate) fn trainer_with(config: &ModelConfig, settings: TrainerConfig) -> Trainer {
    Trainer::new(config, Device::Cpu, settings).unwrap()
}

pub(crate) fn settings(logical_ranks: u64, reduction: Reduction, precision: Precision) -> TrainerConfig {
    TrainerConfig { seed: 5, logical_ranks, precision, reduction, optimizer: OptimizerConfig::default() }
}

pub(crate) fn trainer(
    config: &ModelConfig,
    ranks: u64,
    reduction: Reduction,
    precision: Precision,
) -> Trainer {
    trainer_with(config, settings(ranks, reduction, precision))
}

pub(crate) fn rng(seed: u64) -> ChaCha8Rng {
    ChaCha8Rng::seed_from_u64(seed)
}

/// Normal numbers, sum of twelve uniform ones.
pub(crate) fn normal(shape: &[i64], std: f64, rng: &mut impl Rng) -> Tensor {
    let count: i64 = shape.iter().product();
    let values: Vec<f32> = (0..count)
        .map(|_| (std * ((0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0)) as f32)
        .collect();
    Tensor::from_slice(&values).view(shape)
}

/// Fills the online network and the twin, apart from each other, with numbers that make every layer matter.
pub(crate) fn randomise(model: &Albef, seed: u64) {
    let mut rng = rng(seed);
    for (name, param) in model.params().iter().chain(model.twin_params().iter()) {
        if name == "temp" {
            continue;
        }
        let mut value = normal(&param.size(), 0.15, &mut rng);
        if name.contains("norm") && name.ends_with(".weight") || name.ends_with("LayerNorm.weight") {
            value += 1.0;
        }
        tch::no_grad(|| param.shallow_clone().copy_(&value));
    }
}

/// A batch with texts of these lengths, padded to the longest; every choice is left to be drawn.
pub(crate) fn drawn_batch(config: &ModelConfig, lengths: &[i64], seed: u64) -> MicroBatch {
    let mut rng = rng(seed);
    let count = lengths.len() as i64;
    let tokens = *lengths.iter().max().unwrap();
    let (mut ids, mut mask) = (Vec::new(), Vec::new());
    for &length in lengths {
        for position in 0..tokens {
            ids.push(match position {
                0 => config.text.cls_id,
                p if p + 1 == length => config.text.cls_id + 1,
                p if p < length => rng.random_range(1..config.text.cls_id),
                _ => config.text.pad_id,
            });
            mask.push(i64::from(position < length));
        }
    }
    let side = config.vision.image_res;
    MicroBatch {
        image: normal(&[count, 3, side, side], 1.0, &mut rng),
        input_ids: Tensor::from_slice(&ids).view([count, tokens]),
        attention_mask: Tensor::from_slice(&mask).view([count, tokens]),
        choices: None,
    }
}

/// The same with choices: hidden tokens drawn as the model would, negatives anything but the diagonal.
pub(crate) fn chosen_batch(config: &ModelConfig, lengths: &[i64], seed: u64) -> MicroBatch {
    let mut batch = drawn_batch(config, lengths, seed);
    let mut rng = rng(seed + 1000);
    let count = lengths.len() as i64;
    let mut others = || -> Tensor {
        let chosen: Vec<i64> = (0..count).map(|b| (b + rng.random_range(1..count)) % count).collect();
        Tensor::from_slice(&chosen)
    };
    let negatives = Negatives { image_of_text: others(), text_of_image: others() };
    let masked = Masked::draw(&batch.input_ids, config, &mut rng).unwrap();
    assert!(masked.labels.ne(IGNORED).any().int64_value(&[]) == 1, "seed {seed} hides nothing");
    batch.choices = Some(Choices { negatives, masked });
    batch
}

/// The exact contents of a tensor.
pub(crate) fn bits(tensor: &Tensor) -> Vec<u64> {
    let flat = tensor.detach().to_device(Device::Cpu).flatten(0, -1).contiguous();
    match flat.kind() {
        Kind::Float => Vec::<f32>::try_from(&flat).unwrap().iter().map(|x| u64::from(x.to_bits())).collect(),
        Kind::Int64 => Vec::<i64>::try_from(&flat).unwrap().iter().map(|&x| x as u64).collect(),
        Kind::Double => Vec::<f64>::try_from(&flat).unwrap().iter().map(|x| x.to_bits()).collect(),
        other => panic!("no bits of {other:?}"),
    }
}

/// Exact contents by published name.
pub(crate) type Bits = BTreeMap<String, Vec<u64>>;

pub(crate) fn state_bits(model: &Albef, queue: &FeatureQueue) -> Bits {
    state::state_dict(model, queue).unwrap().iter().map(|(name, t)| (name.clone(), bits(t))).collect()
}

pub(crate) fn trainer_bits(trainer: &Trainer) -> Bits {
    state_bits(trainer.model(), trainer.queue())
}

/// Only what the twin does not touch.
pub(crate) fn without_twin(bits: Bits) -> Bits {
    bits.into_iter().filter(|(name, _)| !name.contains("_m.")).collect()
}

pub(crate) fn assert_same(left: &Bits, right: &Bits, what: &str) {
    assert_eq!(left.keys().collect::<Vec<_>>(), right.keys().collect::<Vec<_>>(), "{what}");
    let differing: Vec<_> =
        left.iter().filter(|(name, value)| right[*name] != **value).map(|(n, _)| n).collect();
    assert!(differing.is_empty(), "{what}: {} tensors differ: {differing:?}", differing.len());
}

/// `‖found − expected‖ / ‖expected‖` in float64, zero where the difference is below `floor`.
pub(crate) fn relative(found: &Tensor, expected: &Tensor, floor: f64) -> f64 {
    assert_eq!(found.size(), expected.size());
    let (found, expected) = (found.detach().to_kind(Kind::Double), expected.detach().to_kind(Kind::Double));
    let difference = (found - &expected).norm().double_value(&[]);
    if difference <= floor { 0.0 } else { difference / expected.norm().double_value(&[]) }
}

pub(crate) fn max_difference(found: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(found.size(), expected.size());
    let difference = found.detach().to_kind(Kind::Double) - expected.detach().to_kind(Kind::Double);
    difference.abs().max().double_value(&[])
}

/// The part of a parameter whose gradient is not rounding noise: a key bias shifts all scores of a query alike, which
/// softmax ignores. `None` where nothing is left.
pub(crate) fn meaningful(name: &str, tensor: &Tensor) -> Option<Tensor> {
    if name.ends_with(".key.bias") {
        return None;
    }
    if !name.ends_with("attn.qkv.bias") {
        return Some(tensor.shallow_clone());
    }
    let third = tensor.size()[0] / 3;
    Some(Tensor::cat(&[tensor.narrow(0, 0, third), tensor.narrow(0, 2 * third, third)], 0))
}

/// One line, and it contains every one of `parts`.
pub(crate) fn assert_line(error: &impl std::fmt::Display, parts: &[&str]) {
    let text = error.to_string();
    assert_eq!(text.lines().count(), 1, "{text}");
    for part in parts {
        assert!(text.contains(part), "'{part}' is not in: {text}");
    }
}

/// Tensors of a file by name.
pub(crate) type Entries = BTreeMap<String, Tensor>;

pub(crate) fn entries(file: &TensorFile, prefix: &str) -> Entries {
    let names = file.names().into_iter().filter(|name| name.starts_with(prefix));
    names.map(|name| (name[prefix.len()..].to_owned(), file.read(&name).unwrap())).collect()
}

pub(crate) fn saved(dir: &Path, tensors: &Entries) -> PathBuf {
    let path = dir.join("weights.safetensors");
    let list: Vec<_> = tensors.iter().map(|(name, t)| (name.clone(), t.shallow_clone())).collect();
    file::write(&path, &list).unwrap();
    path
}

/// A deep copy, because tests edit tensors in place.
pub(crate) fn copied(entries: &Entries) -> Entries {
    entries.iter().map(|(name, t)| (name.clone(), t.copy())).collect()
}
