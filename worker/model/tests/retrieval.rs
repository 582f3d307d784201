//! Retrieval against the published evaluation, however it is cut into passes.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use albef_model::Albef;
use albef_model::retrieval::{Gallery, NOT_RANKED, Recall, Scores, recall};
use albef_model::weights::state;
use common::*;
use tch::{Device, Kind, Tensor};

const K: i64 = 16;

fn golden() -> (Golden, Albef) {
    let golden = Golden::open("retrieval");
    let mut model = model(&golden.config);
    state::load_for_evaluation(&golden.file, "init.", &mut model).unwrap();
    (golden, model)
}

fn gallery<'a>(golden: &Golden, model: &'a Albef) -> Gallery<'a> {
    let mut gallery = Gallery::new(model, Kind::Float);
    gallery.add_images(&golden.get("image")).unwrap();
    gallery.add_texts(&golden.get("input_ids"), &golden.get("attention_mask")).unwrap();
    gallery
}

fn image_of_text() -> Vec<i64> {
    (0..80).map(|text| text / 2).collect()
}

fn assert_published(golden: &Golden, scores: &Scores, what: &str) {
    assert!(max_difference(&scores.sim_i2t, &golden.get("sim_i2t")) <= 1e-5, "{what}");
    assert!(max_difference(&scores.i2t, &golden.get("score_i2t")) <= 1e-4, "{what}");
    assert!(max_difference(&scores.t2i, &golden.get("score_t2i")) <= 1e-4, "{what}");
    let (to_text, to_image) = recall(scores, &image_of_text()).unwrap();
    for (found, kind) in [(to_text, "txt"), (to_image, "img")] {
        for (found, at) in [(found.r1, "r1"), (found.r5, "r5"), (found.r10, "r10")] {
            let expected = golden.json["result"][format!("{kind}_{at}")].as_f64().unwrap();
            assert!((found - expected).abs() < 1e-9, "{what} {kind}_{at}: {found} against {expected}");
        }
    }
}

#[test]
fn passes_of_any_size_give_the_published_scores_and_recall() {
    let (golden, model) = golden();
    let gallery = gallery(&golden, &model);
    for pairs_per_pass in [1, 7, 48, 10_000] {
        let scores = gallery.score(K, pairs_per_pass).unwrap();
        assert_published(&golden, &scores, &format!("{pairs_per_pass} pairs a pass"));
    }
}

#[test]
fn batches_of_different_length_give_the_same_scores() {
    let (golden, model) = golden();
    let (ids, mask) = (golden.get("input_ids"), golden.get("attention_mask"));
    let mut parts = Gallery::new(&model, Kind::Float);
    for (begin, count) in [(0, 1), (1, 26), (27, 13)] {
        parts.add_images(&golden.get("image").narrow(0, begin, count)).unwrap();
    }
    let mut lengths = Vec::new();
    for text in 0..80 {
        // Each text alone, without its padding.
        let length = mask.get(text).sum(Kind::Int64).int64_value(&[]);
        lengths.push(length);
        let cut = |t: &Tensor| t.narrow(0, text, 1).narrow(1, 0, length);
        parts.add_texts(&cut(&ids), &cut(&mask)).unwrap();
    }
    lengths.sort_unstable();
    assert_ne!(lengths[0], lengths[79], "all texts are equally long");
    assert_published(&golden, &parts.score(K, 48).unwrap(), "in parts");
}

#[test]
fn more_candidates_than_the_gallery_holds_means_all_of_it() {
    let (golden, model) = golden();
    let gallery = gallery(&golden, &model);
    let (all, more) = (gallery.score(80, 64).unwrap(), gallery.score(10_000, 64).unwrap());
    assert_eq!(bits(&all.i2t), bits(&more.i2t));
    assert_eq!(all.i2t.eq(f64::from(NOT_RANKED)).any().int64_value(&[]), 0);
    // Both directions then know the same score for every pair.
    assert_eq!(bits(&more.i2t), bits(&more.t2i.transpose(0, 1)));
    let few = gallery.score(K, 64).unwrap();
    let ranked = few.i2t.ne(f64::from(NOT_RANKED)).sum_dim_intlist([1].as_slice(), false, Kind::Int64);
    assert_eq!(Vec::<i64>::try_from(ranked).unwrap(), [K; 40]);
}

fn scores(i2t: &[f32], shape: [i64; 2]) -> Scores {
    let i2t = Tensor::from_slice(i2t).view(shape);
    Scores { sim_i2t: i2t.copy(), t2i: i2t.transpose(0, 1).contiguous(), i2t }
}

#[test]
fn an_image_counts_at_the_best_of_its_captions() {
    // Image 0 owns texts 0, 2 and 3; image 1 owns text 1.
    let scores = scores(&[0.1, 0.9, 0.2, 1.0, 0.8, 0.7, 0.9, 0.1], [2, 4]);
    let (to_text, to_image) = recall(&scores, &[0, 1, 0, 0]).unwrap();
    assert_eq!(to_text, Recall { r1: 50.0, r5: 100.0, r10: 100.0 });
    assert_eq!(to_image, Recall { r1: 25.0, r5: 100.0, r10: 100.0 });
}

#[test]
fn among_equal_scores_the_later_comes_first() {
    // Twelve candidates, all alike: the answer at place p has rank 11 − p.
    let equal = [NOT_RANKED; 144];
    let mut image_of_text: Vec<i64> = (0..12).collect();
    let (to_text, _) = recall(&scores(&equal, [12, 12]), &image_of_text).unwrap();
    let share = |n: f64| 100.0 * n / 12.0;
    assert_eq!(to_text, Recall { r1: share(1.0), r5: share(5.0), r10: share(10.0) });
    image_of_text.reverse();
    assert_eq!(recall(&scores(&equal, [12, 12]), &image_of_text).unwrap().0, to_text);
}

#[test]
fn impossible_questions_are_refused_in_one_line() {
    let (golden, model) = golden();
    let full = gallery(&golden, &model);
    for (k, pairs) in [(0, 4), (-1, 4), (1, 0)] {
        assert_line(&full.score(k, pairs).unwrap_err(), &["retrieval", &format!("k = {k}, {pairs} pairs")]);
    }
    let mut imageless = Gallery::new(&model, Kind::Float);
    imageless.add_texts(&golden.get("input_ids"), &golden.get("attention_mask")).unwrap();
    assert_line(&imageless.score(1, 1).unwrap_err(), &["0 batches of images"]);
    assert_line(&Gallery::new(&model, Kind::Float).score(1, 1).unwrap_err(), &["at least one image"]);
    let mut broken = Gallery::new(&model, Kind::Float);
    let options = (Kind::Float, Device::Cpu);
    assert_line(&broken.add_images(&Tensor::zeros([2, 3, 16, 16], options)).unwrap_err(), &[]);

    let scores = scores(&[0.0; 6], [2, 3]);
    for owners in [&[0, 1][..], &[0, 1, 2], &[0, -1, 1]] {
        assert_line(&recall(&scores, owners).unwrap_err(), &["image of each text", "3 indices below 2"]);
    }
    assert_line(&recall(&scores, &[0, 0, 0]).unwrap_err(), &["at least one text", "none for image 1"]);
}
