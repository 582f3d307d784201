//! Keyed dropout: how much it keeps, and that its mask depends on key and index alone.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use tch::{Device, Kind, Tensor};
use torch_ext::dropout::keyed;

const P: f64 = 0.1;

fn ones(shape: &[i64], kind: Kind) -> Tensor {
    Tensor::ones(shape, (Kind::Float, Device::Cpu)).to_kind(kind)
}

fn mask(x: &Tensor) -> Tensor {
    x.detach().ne(0.0)
}

fn same(a: &Tensor, b: &Tensor) -> bool {
    a.size() == b.size() && a.kind() == b.kind() && a.eq_tensor(b).all().int64_value(&[]) == 1
}

#[test]
fn the_kept_share_and_the_scale_are_those_of_the_probability() {
    for (p, key) in [(0.1, 7), (0.5, -3), (0.9, i64::MAX)] {
        let y = keyed(&ones(&[400_000], Kind::Float), p, key).unwrap();
        let kept = mask(&y).to_kind(Kind::Double).mean(Kind::Double).double_value(&[]);
        let bound = 5.0 * (p * (1.0 - p) / 400_000.0_f64).sqrt();
        assert!((kept - (1.0 - p)).abs() <= bound, "{kept} of {p}");
        let scale = Tensor::from((1.0 / (1.0 - p)) as f32);
        assert!(same(
            &y.masked_select(&mask(&y)),
            &scale.expand([mask(&y).sum(Kind::Int64).int64_value(&[])], false)
        ));
    }
}

#[test]
fn a_key_gives_one_mask_and_keys_give_independent_ones() {
    let x = ones(&[300, 200], Kind::Float);
    let of = |key| mask(&keyed(&x, P, key).unwrap());
    assert!(same(&of(5), &of(5)));
    // Keys that differ in one bit of either half, and the steps between layers of a pass.
    for other in [4, 6, 5 + (1 << 32), -5, 5 + 0x5851_f42d_4c95_7f2d] {
        let both = of(5).logical_and(&of(other)).to_kind(Kind::Double).mean(Kind::Double).double_value(&[]);
        assert!((both - 0.81).abs() < 0.01, "key {other}: {both}");
    }
}

#[test]
fn neighbours_drop_independently() {
    let kept = mask(&keyed(&ones(&[400_000], Kind::Float), 0.5, 11).unwrap()).to_kind(Kind::Double);
    for distance in [1, 2, 8, 256, 4096] {
        let n = 400_000 - distance;
        let both = (kept.narrow(0, 0, n) * kept.narrow(0, distance, n)).mean(Kind::Double).double_value(&[]);
        assert!((both - 0.25).abs() < 0.005, "distance {distance}: {both}");
    }
}

#[test]
fn the_backward_pass_uses_the_same_mask() {
    for kind in [Kind::Float, Kind::BFloat16] {
        let x = ones(&[70, 900], kind).set_requires_grad(true);
        let y = keyed(&x, P, 13).unwrap();
        y.sum(Kind::Float).backward();
        assert!(same(&x.grad(), &y.detach()), "{kind:?}");
    }
}

#[test]
fn both_types_share_a_mask_and_views_are_read_in_order() {
    let x = ones(&[90, 700], Kind::Float);
    let wide = keyed(&x, P, 17).unwrap();
    let narrow = keyed(&ones(&[90, 700], Kind::BFloat16), P, 17).unwrap();
    assert_eq!(narrow.kind(), Kind::BFloat16);
    assert!(same(&mask(&wide), &mask(&narrow)));
    assert!(same(&narrow, &wide.to_kind(Kind::BFloat16)), "rounded differently");
    let view = ones(&[700, 90], Kind::Float).transpose(0, 1);
    assert!(same(&keyed(&view, P, 17).unwrap(), &wide));
    assert!(same(&keyed(&x.view([700, 90]), P, 17).unwrap().view([90, 700]), &wide));
}

#[test]
fn any_number_of_threads_gives_the_same_mask() {
    // More elements than one thread takes at a time.
    let x = ones(&[1 << 20], Kind::Float);
    let before = tch::get_num_threads();
    let of = |threads| {
        tch::set_num_threads(threads);
        keyed(&x, P, 19).unwrap()
    };
    let single = of(1);
    for threads in [2, 3, 7] {
        assert!(same(&single, &of(threads)), "{threads} threads");
    }
    tch::set_num_threads(before);
}

#[test]
fn what_is_not_a_number_stays_so_where_it_is_kept() {
    for kind in [Kind::Float, Kind::BFloat16] {
        let x = (ones(&[1000], Kind::Float) * f64::NAN).to_kind(kind);
        let y = keyed(&x, 0.0, 1).unwrap();
        assert_eq!(y.isnan().all().int64_value(&[]), 1, "{kind:?}");
    }
}

#[test]
fn impossible_arguments_are_errors_of_one_line() {
    let x = ones(&[4], Kind::Float);
    for p in [1.0, -0.1, f64::NAN] {
        let text = keyed(&x, p, 1).unwrap_err().to_string();
        assert!(text.contains("not in [0, 1)") && text.lines().count() == 1, "{text}");
    }
    let text = keyed(&ones(&[4], Kind::Double), P, 1).unwrap_err().to_string();
    assert!(text.contains("float32 or bfloat16") && text.lines().count() == 1, "{text}");
}
