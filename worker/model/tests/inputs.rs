//! What a micro-batch must look like, and the one line that says why not.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod common;

use albef_model::Error;
use albef_model::forward::{Choices, MicroBatch};
use albef_model::masking::IGNORED;
use common::*;
use tch::{Kind, Tensor};

/// The refusal of a good batch after `spoil`.
fn refusal(spoil: impl FnOnce(&mut MicroBatch)) -> Error {
    let config = tiny();
    let mut batch = chosen_batch(&config, &[7, 4, 9], 31);
    batch.validate(&config).unwrap();
    spoil(&mut batch);
    batch.validate(&config).unwrap_err()
}

fn choices(batch: &mut MicroBatch) -> &mut Choices {
    batch.choices.as_mut().unwrap()
}

#[test]
fn images_and_texts_that_do_not_fit_are_named() {
    assert_line(&refusal(|b| b.image = b.image.narrow(2, 0, 8)), &["image", "[3, 3, 8, 16]"]);
    assert_line(&refusal(|b| b.image = b.image.to_kind(Kind::Uint8)), &["image", "floating-point", "Uint8"]);
    assert_line(&refusal(|b| b.image = b.image.narrow(0, 0, 1)), &["batch", "at least 2"]);
    assert_line(&refusal(|b| b.image = b.image.narrow(0, 0, 0)), &["image", "[0, 3, 16, 16]"]);
    assert_line(&refusal(|b| b.image = b.image.narrow(0, 0, 2)), &["input_ids", "2 texts", "found 3"]);
    assert_line(&refusal(|b| b.input_ids = &b.input_ids - 1), &["input_ids", "0 to 119", "-1 to"]);
    assert_line(&refusal(|b| b.input_ids = b.input_ids.to_kind(Kind::Int)), &["input_ids", "int64", "Int"]);
    assert_line(
        &refusal(|b| {
            b.input_ids = Tensor::cat(&[&b.input_ids, &b.input_ids], 1);
            b.attention_mask = Tensor::cat(&[&b.attention_mask, &b.attention_mask], 1);
        }),
        &["input_ids", "1..=12", "[3, 18]"],
    );
    assert_line(
        &refusal(|b| b.attention_mask = b.attention_mask.narrow(1, 0, 5)),
        &["attention_mask", "[3, 9]", "[3, 5]"],
    );
    assert_line(
        &refusal(|b| b.attention_mask = &b.attention_mask * 2),
        &["attention_mask", "0 to 1", "0 to 2"],
    );
}

#[test]
fn choices_that_do_not_fit_are_named() {
    let masked = |spoil: fn(&Tensor) -> Tensor| {
        refusal(|b| {
            let masked = &mut choices(b).masked;
            masked.labels = spoil(&masked.labels);
        })
    };
    assert_line(&masked(|l| l.narrow(1, 0, 4)), &["masked labels", "[3, 9]", "[3, 4]"]);
    assert_line(&masked(|l| l.masked_fill(&l.ne(IGNORED), 120)), &["masked labels", "0 to 119", "120"]);
    assert_line(&masked(|l| l.masked_fill(&l.eq(IGNORED), -1)), &["masked labels", "0 to 119", "-1"]);
    assert_line(&refusal(|b| choices(b).masked.input_ids += 120), &["masked input_ids", "0 to 119"]);
    assert_line(&refusal(|b| choices(b).negatives.image_of_text += 3), &["image negatives", "0 to 2"]);
    assert_line(
        &refusal(|b| choices(b).negatives.text_of_image = Tensor::from_slice(&[0_i64, 1])),
        &["text negatives", "[3]", "[2]"],
    );
}
