//! Which tokens are hidden, and in what form the step gets them.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use albef_model::masking::{IGNORED, Masked};
use albef_model::{Error, ModelConfig};
use common::*;
use rand::Rng;
use tch::{Device, Kind, Tensor};

fn values(t: &Tensor) -> Vec<i64> {
    Vec::<i64>::try_from(t.flatten(0, -1)).unwrap()
}

/// Published probability and a vocabulary in which a random id is rarely the original.
fn config() -> ModelConfig {
    let mut config = tiny();
    config.mlm_probability = 0.15;
    config.text.vocab = 5000;
    config
}

/// 2000 texts of 50 tokens: `[CLS]`, words, `[SEP]` (102), ten times padding.
fn many_texts(config: &ModelConfig) -> Tensor {
    let mut rng = rng(1);
    let ids: Vec<i64> = (0..2000 * 50)
        .map(|i| match i % 50 {
            0 => config.text.cls_id,
            39 => 102,
            p if p > 39 => config.text.pad_id,
            _ => rng.random_range(200..config.text.vocab),
        })
        .collect();
    Tensor::from_slice(&ids).view([2000, 50])
}

#[test]
fn padding_and_cls_are_never_hidden_and_sep_can_be() {
    let config = config();
    let ids = many_texts(&config);
    let masked = Masked::draw(&ids, &config, &mut rng(2)).unwrap();
    let mut hidden_sep = 0;
    for ((&id, shown), label) in
        values(&ids).iter().zip(values(&masked.input_ids)).zip(values(&masked.labels))
    {
        if id == config.text.pad_id || id == config.text.cls_id {
            assert_eq!((shown, label), (id, IGNORED));
        }
        if label == IGNORED {
            assert_eq!(shown, id);
        } else {
            assert_eq!(label, id);
            hidden_sep += i32::from(id == 102);
        }
    }
    // 2000 of them, each with probability 0.15: five deviations are 80.
    assert!((220..=380).contains(&hidden_sep), "{hidden_sep}");
}

#[test]
fn the_shares_are_the_published_ones() {
    let config = config();
    let ids = many_texts(&config);
    let masked = Masked::draw(&ids, &config, &mut rng(3)).unwrap();
    let (mut candidates, mut hidden, mut mask, mut same, mut random) = (0, 0, 0, 0, Vec::new());
    for ((&id, shown), label) in
        values(&ids).iter().zip(values(&masked.input_ids)).zip(values(&masked.labels))
    {
        candidates += u32::from(id != config.text.pad_id && id != config.text.cls_id);
        if label == IGNORED {
            continue;
        }
        hidden += 1;
        match shown {
            s if s == config.text.mask_id => mask += 1,
            s if s == id => same += 1,
            s => random.push(s),
        }
    }
    let within = |name: &str, count: u32, of: u32, share: f64| {
        let (n, found) = (f64::from(of), f64::from(count) / f64::from(of));
        let bound = 5.0 * (share * (1.0 - share) / n).sqrt();
        assert!((found - share).abs() <= bound, "{name}: {found} is not {share} ± {bound}");
    };
    within("hidden", hidden, candidates, 0.15);
    within("[MASK]", mask, hidden, 0.8);
    within("unchanged", same, hidden, 0.1);
    within("random", random.len() as u32, hidden, 0.1);
    // Random ids come from the whole vocabulary, special ids included.
    let below = random.iter().filter(|&&id| id < 2500).count() as u32;
    within("lower half", below, random.len() as u32, 0.5);
    assert!(random.iter().all(|id| (0..5000).contains(id)));
    assert!(random.iter().any(|&id| id < 200) && random.iter().any(|&id| id > 4800));
}

#[test]
fn the_same_generator_hides_the_same_tokens() {
    let config = config();
    let ids = many_texts(&config);
    let draw = |seed| {
        let masked = Masked::draw(&ids, &config, &mut rng(seed)).unwrap();
        (values(&masked.input_ids), values(&masked.labels))
    };
    assert_eq!(draw(4), draw(4));
    assert_ne!(draw(4), draw(5));
    assert_eq!(values(&ids), values(&many_texts(&config)), "the caption itself was changed");
}

#[test]
fn probability_one_hides_everything_but_padding_and_cls_and_zero_nothing() {
    let mut config = config();
    let ids = many_texts(&config).narrow(0, 0, 20);
    config.mlm_probability = 0.0;
    let none = Masked::draw(&ids, &config, &mut rng(6)).unwrap();
    assert!(values(&none.labels).iter().all(|&l| l == IGNORED));
    assert_eq!(values(&none.input_ids), values(&ids));
    config.mlm_probability = 1.0;
    let all = Masked::draw(&ids, &config, &mut rng(6)).unwrap();
    assert_eq!(values(&all.labels).iter().filter(|&&l| l != IGNORED).count(), 20 * 39);
}

#[test]
fn rows_address_every_hidden_token_once_and_in_order() {
    let labels = [
        [IGNORED, 7, IGNORED, 9, IGNORED],
        [IGNORED, IGNORED, IGNORED, IGNORED, IGNORED],
        [IGNORED, IGNORED, 5, IGNORED, IGNORED],
    ];
    let labels = Tensor::from_slice(labels.as_flattened()).view([3, 5]);
    let masked = Masked { input_ids: labels.zeros_like(), labels };
    let rows = masked.rows(Device::Cpu).unwrap();
    assert_eq!((rows.positions.size(), values(&rows.positions)), (vec![3, 2], vec![1, 3, 0, 0, 2, 0]));
    assert_eq!(values(&rows.rows), [0, 1, 4]);
    assert_eq!(values(&rows.labels), [7, 9, 5]);
    assert_eq!(rows.weights.kind(), Kind::Float);
    assert!(max_difference(&rows.weights, &Tensor::from_slice(&[1.0_f32 / 3.0; 3])) <= 1e-7);
}

#[test]
fn rows_of_drawn_texts_lead_back_to_the_labels() {
    let config = config();
    let masked = Masked::draw(&many_texts(&config).narrow(0, 0, 40), &config, &mut rng(8)).unwrap();
    let rows = masked.rows(Device::Cpu).unwrap();
    let expected: Vec<i64> = values(&masked.labels).into_iter().filter(|&l| l != IGNORED).collect();
    assert!(!expected.is_empty());
    assert_eq!(values(&rows.labels), expected);
    let gathered = masked.labels.gather(1, &rows.positions, false).flatten(0, 1);
    assert_eq!(values(&gathered.index_select(0, &rows.rows)), expected);
    assert!((rows.weights.sum(Kind::Double).double_value(&[]) - 1.0).abs() < 1e-5);
}

#[test]
fn without_a_hidden_token_one_row_of_no_weight_is_left() {
    let labels = Tensor::full([2, 4], IGNORED, (Kind::Int64, Device::Cpu));
    let rows = Masked { input_ids: labels.zeros_like(), labels }.rows(Device::Cpu).unwrap();
    assert_eq!(values(&rows.positions), [0, 0]);
    assert_eq!((values(&rows.rows), values(&rows.labels)), (vec![0], vec![0]));
    assert_eq!(Vec::<f32>::try_from(&rows.weights).unwrap(), [0.0]);
}

#[test]
fn ids_of_another_type_are_refused() {
    let ids = many_texts(&config()).narrow(0, 0, 2);
    let error = Masked::draw(&ids.to_kind(Kind::Int), &config(), &mut rng(9)).unwrap_err();
    assert!(matches!(error, Error::Input { .. }));
    assert_line(&error, &["token ids", "int64 on the CPU", "Int"]);
}
