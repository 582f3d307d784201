//! Retrieval: similarities, match scores of candidates, recall.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use albef_model::retrieval::{Gallery, NOT_RANKED, Recall, Scores, recall};
use albef_model::weights::state;
use albef_model::{Albef, ModelConfig};
use common::*;
use tch::{Kind, Tensor};

fn golden() -> (Golden, Albef) {
    let golden = Golden::open("retrieval");
    let mut model = model(&golden.config);
    state::load_for_evaluation(&golden.file, "init.", &mut model).unwrap();
    (golden, model)
}

fn full_gallery<'a>(golden: &Golden, model: &'a Albef) -> Gallery<'a> {
    let mut gallery = Gallery::new(model, Kind::Float);
    gallery.add_images(&golden.get("image")).unwrap();
    gallery.add_texts(&golden.get("input_ids"), &golden.get("attention_mask")).unwrap();
    gallery
}

fn tiny_model() -> (ModelConfig, Albef) {
    let config = tiny();
    let model = model(&config);
    randomise(&model, 21);
    (config, model)
}

#[test]
fn scores_and_recall_are_the_published_ones_whatever_the_pass_holds() {
    let (golden, model) = golden();
    let gallery = full_gallery(&golden, &model);
    let published = |key: &str| golden.json["result"][key].as_f64().unwrap();
    let image_of_text: Vec<i64> = (0..80).map(|text| text / 2).collect();
    for pairs_per_pass in [1, 7, 48, 10_000] {
        let scores = gallery.score(16, pairs_per_pass).unwrap();
        assert!(max_difference(&scores.sim_i2t, &golden.get("sim_i2t")) < 1e-5);
        assert!(max_difference(&scores.i2t, &golden.get("score_i2t")) < 1e-4, "{pairs_per_pass}");
        assert!(max_difference(&scores.t2i, &golden.get("score_t2i")) < 1e-4, "{pairs_per_pass}");
        let (to_text, to_image) = recall(&scores, &image_of_text).unwrap();
        for (found, name) in [(to_text, "txt"), (to_image, "img")] {
            for (value, k) in [(found.r1, 1), (found.r5, 5), (found.r10, 10)] {
                assert!((value - published(&format!("{name}_r{k}"))).abs() < 1e-9, "{name}_r{k} = {value}");
            }
        }
    }
}

#[test]
fn batches_may_be_cut_anywhere_and_padded_differently() {
    let (config, model) = tiny_model();
    let lengths = [9, 4, 6, 12, 3, 5, 5];
    let batch = drawn_batch(&config, &lengths, 22);
    let mut whole = Gallery::new(&model, Kind::Float);
    whole.add_images(&batch.image).unwrap();
    whole.add_texts(&batch.input_ids, &batch.attention_mask).unwrap();
    let expected = whole.score(4, 100).unwrap();

    let mut pieces = Gallery::new(&model, Kind::Float);
    for (begin, count) in [(0, 3), (3, 1), (4, 3)] {
        pieces.add_images(&batch.image.narrow(0, begin, count)).unwrap();
        // Each piece is as long as its longest text.
        let longest = *lengths[begin as usize..(begin + count) as usize].iter().max().unwrap();
        let cut = |t: &Tensor| t.narrow(0, begin, count).narrow(1, 0, longest);
        pieces.add_texts(&cut(&batch.input_ids), &cut(&batch.attention_mask)).unwrap();
    }
    let found = pieces.score(4, 5).unwrap();
    for (found, expected) in
        [(found.sim_i2t, expected.sim_i2t), (found.i2t, expected.i2t), (found.t2i, expected.t2i)]
    {
        assert!(max_difference(&found, &expected) < 1e-5);
    }
}

#[test]
fn every_query_ranks_its_k_most_similar() {
    let (golden, model) = golden();
    let scores = full_gallery(&golden, &model).score(5, 32).unwrap();
    for (scores, sims) in [(&scores.i2t, &scores.sim_i2t), (&scores.t2i, &scores.sim_i2t.tr())] {
        let ranked = scores.ne(f64::from(NOT_RANKED));
        assert_eq!(
            Vec::<i64>::try_from(ranked.sum_dim_intlist(1, false, Kind::Int64)).unwrap(),
            vec![5; scores.size()[0] as usize]
        );
        let worst_ranked = sims.where_scalarother(&ranked, f64::INFINITY).amin([1_i64], false);
        let best_unranked =
            sims.where_scalarother(&ranked.logical_not(), f64::NEG_INFINITY).amax([1_i64], false);
        assert_eq!(worst_ranked.lt_tensor(&best_unranked).any().int64_value(&[]), 0);
    }
}

#[test]
fn more_candidates_than_there_are_means_all() {
    let (config, model) = tiny_model();
    let batch = drawn_batch(&config, &[4, 6, 5], 23);
    let mut gallery = Gallery::new(&model, Kind::Float);
    gallery.add_images(&batch.image.narrow(0, 0, 2)).unwrap();
    gallery.add_texts(&batch.input_ids, &batch.attention_mask).unwrap();
    let scores = gallery.score(1000, 4).unwrap();
    assert_eq!((scores.i2t.size(), scores.t2i.size()), (vec![2, 3], vec![3, 2]));
    // A pair's score does not depend on who asked.
    assert_eq!(bits(&scores.i2t), bits(&scores.t2i.tr()));
    assert_eq!(scores.i2t.eq(f64::from(NOT_RANKED)).any().int64_value(&[]), 0);
}

/// Scores made by hand: rows are queries.
fn scores(i2t: &[&[f32]], t2i: &[&[f32]]) -> Scores {
    let table = |rows: &[&[f32]]| Tensor::from_slice(&rows.concat()).view([rows.len() as i64, -1]);
    Scores { sim_i2t: table(i2t), i2t: table(i2t), t2i: table(t2i) }
}

#[test]
fn an_image_is_found_at_the_best_of_its_captions() {
    // Image 0 owns texts 0 and 3, image 1 owns 1 and 2.
    let table = scores(
        &[&[0.1, 0.9, 0.5, 0.95], &[0.9, 0.8, 0.7, 0.6]],
        &[&[0.2, 0.8], &[0.1, 0.9], &[0.7, 0.3], &[0.9, 0.1]],
    );
    let (to_text, to_image) = recall(&table, &[0, 1, 1, 0]).unwrap();
    assert_eq!(to_text, Recall { r1: 50.0, r5: 100.0, r10: 100.0 });
    assert_eq!(to_image, Recall { r1: 50.0, r5: 100.0, r10: 100.0 });
}

#[test]
fn of_equal_scores_the_later_comes_first() {
    // As reversing an ascending stable sort gives, which is how the published evaluation ranks.
    let table = scores(&[&[0.5, 0.5], &[0.5, 0.5]], &[&[0.5, 0.5], &[0.5, 0.5]]);
    let (to_text, to_image) = recall(&table, &[0, 1]).unwrap();
    assert_eq!((to_text.r1, to_image.r1), (50.0, 50.0));
    let (to_text, _) = recall(&table, &[1, 0]).unwrap();
    assert_eq!(to_text.r1, 50.0);
}

#[test]
fn what_was_not_scored_stays_in_the_order_of_the_similarities() {
    // Of twelve texts two are scored. The right one is the third most similar, wherever it stands.
    for right in [2, 11] {
        let mut sims = [0.1_f32; 12];
        (sims[3], sims[4], sims[right]) = (0.9, 0.8, 0.7);
        let mut scores = [NOT_RANKED; 12];
        (scores[3], scores[4]) = (-2.0, -1.0);
        // All other texts are of a second image, whose row finds one of them first.
        let image_of_text: Vec<i64> = (0..12).map(|text| i64::from(text != right)).collect();
        let mut others = [0.2_f32; 12];
        others[right] = 0.0;
        let rows = |first: [f32; 12]| Tensor::from_slice([first, others].as_flattened()).view([2, 12]);
        let table = Scores { sim_i2t: rows(sims), i2t: rows(scores), t2i: rows(sims).tr().contiguous() };
        let (to_text, _) = recall(&table, &image_of_text).unwrap();
        assert_eq!((to_text.r1, to_text.r5), (50.0, 100.0), "{right}");
    }
}

#[test]
fn a_gallery_of_features_has_similarities_and_no_match_scores() {
    let (config, model) = tiny_model();
    let batch = drawn_batch(&config, &[4, 6, 5], 26);
    let (mut whole, mut features) =
        (Gallery::new(&model, Kind::Float), Gallery::of_features(&model, Kind::Float));
    for gallery in [&mut whole, &mut features] {
        gallery.add_images(&batch.image).unwrap();
        gallery.add_texts(&batch.input_ids, &batch.attention_mask).unwrap();
    }
    assert_eq!(bits(&whole.similarities().unwrap()), bits(&features.similarities().unwrap()));
    assert_line(&features.score(2, 5).unwrap_err(), &["match scores", "keeps tokens"]);
}

#[test]
fn impossible_questions_are_one_line() {
    let (config, model) = tiny_model();
    let batch = drawn_batch(&config, &[4, 6, 5], 24);
    let mut gallery = Gallery::new(&model, Kind::Float);
    assert_line(&gallery.score(1, 1).unwrap_err(), &["at least one image"]);
    let refused = gallery.add_images(&batch.image.narrow(3, 0, 8)).unwrap_err();
    assert_line(&refused, &["image", "[batch, 3, 16, 16]", "[3, 3, 16, 8]"]);
    assert_line(
        &gallery.add_images(&batch.image.to_kind(Kind::Uint8)).unwrap_err(),
        &["floating-point", "Uint8"],
    );
    let refused = gallery.add_texts(&(&batch.input_ids + 120), &batch.attention_mask).unwrap_err();
    assert_line(&refused, &["input_ids", "0 to 119"]);
    let refused = gallery.add_texts(&batch.input_ids, &batch.attention_mask.narrow(0, 0, 2)).unwrap_err();
    assert_line(&refused, &["attention_mask", "[3, 6]", "[2, 6]"]);
    let long = Tensor::ones([2, 13], (Kind::Int64, tch::Device::Cpu));
    assert_line(&gallery.add_texts(&long, &long).unwrap_err(), &["input_ids", "1..=12", "[2, 13]"]);
    // Nothing of what was refused has stayed.
    assert_line(&gallery.score(1, 1).unwrap_err(), &["0 batches of images, 0 of texts"]);

    gallery.add_images(&batch.image).unwrap();
    gallery.add_texts(&batch.input_ids, &batch.attention_mask).unwrap();
    for (k, pairs) in [(0, 5), (-1, 5), (2, 0)] {
        assert_line(
            &gallery.score(k, pairs).unwrap_err(),
            &["retrieval", "one candidate", &format!("k = {k}")],
        );
    }
    let scores = gallery.score(2, 5).unwrap();
    assert_line(&recall(&scores, &[0, 1]).unwrap_err(), &["image of each text", "3 indices", "2 indices"]);
    assert_line(&recall(&scores, &[0, 1, 3]).unwrap_err(), &["image of each text", "3 indices below 3"]);
    assert_line(&recall(&scores, &[0, 1, 1]).unwrap_err(), &["none for image 2"]);
}

#[test]
fn a_broken_model_is_an_error_and_not_a_perfect_score() {
    let (config, model) = tiny_model();
    let batch = drawn_batch(&config, &[4, 6, 5], 25);
    let mut gallery = Gallery::new(&model, Kind::Float);
    gallery.add_texts(&batch.input_ids, &batch.attention_mask).unwrap();
    gallery.add_images(&(&batch.image * f64::NAN)).unwrap();
    assert_line(&gallery.score(2, 5).unwrap_err(), &["similarities", "finite"]);
}
