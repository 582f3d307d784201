//! Each operator of this crate beside the same made of libtorch's ordinary operators, at the sizes of `configs/small.toml`.
#![allow(clippy::unwrap_used, missing_docs)]

use divan::Bencher;
use tch::{Device, Kind, Tensor};

fn main() {
    torch_ext::runtime::keep_heap().unwrap();
    tch::set_num_threads(2);
    divan::main();
}

fn normal(shape: &[i64]) -> Tensor {
    Tensor::randn(shape, (Kind::Float, Device::Cpu))
}

/// Twelve transformer blocks of width 256: twelve tensors each.
fn parameters() -> Vec<Tensor> {
    let block: [&[i64]; 12] = [
        &[256],
        &[256],
        &[768, 256],
        &[768],
        &[256, 256],
        &[256],
        &[256],
        &[256],
        &[1024, 256],
        &[1024],
        &[256, 1024],
        &[256],
    ];
    (0..12).flat_map(|_| block.map(normal)).collect()
}

#[divan::bench_group]
mod moving_average {
    use super::*;

    #[divan::bench]
    fn list_at_once(bencher: Bencher<'_, '_>) {
        let (mut twin, online) = (parameters(), parameters());
        bencher.bench_local(|| torch_ext::foreach::lerp(&mut twin, &online, 0.005).unwrap());
    }

    #[divan::bench]
    fn one_by_one(bencher: Bencher<'_, '_>) {
        let (twin, online) = (parameters(), parameters());
        // As the published code writes it.
        bencher.bench_local(|| {
            for (twin, online) in twin.iter().zip(&online) {
                twin.shallow_clone().copy_(&(twin * 0.995 + online * 0.005));
            }
        });
    }
}

#[divan::bench_group]
mod adamw {
    use super::*;
    use torch_ext::optim::{AdamW, Group};

    const RULE: AdamW = AdamW { lr: 1e-4, beta1: 0.9, beta2: 0.999, weight_decay: 0.02, eps: 1e-8 };

    #[divan::bench]
    fn fused(bencher: Bencher<'_, '_>) {
        let (mut params, grads, mut m) = (parameters(), parameters(), parameters());
        let mut v: Vec<Tensor> = parameters().iter().map(Tensor::abs).collect();
        let step = Tensor::from(10_f32);
        bencher.bench_local(|| {
            let group = Group { params: &mut params, grads: &grads, exp_avgs: &mut m, exp_avg_sqs: &mut v };
            RULE.apply(group, &step).unwrap();
        });
    }

    #[divan::bench]
    fn written_out(bencher: Bencher<'_, '_>) {
        let (mut params, grads, mut m) = (parameters(), parameters(), parameters());
        let mut v: Vec<Tensor> = parameters().iter().map(Tensor::abs).collect();
        let (c1, c2) = (1.0 - RULE.beta1.powi(10), 1.0 - RULE.beta2.powi(10));
        bencher.bench_local(|| {
            for (((p, g), m), v) in params.iter_mut().zip(&grads).zip(&mut m).zip(&mut v) {
                *p *= 1.0 - RULE.lr * RULE.weight_decay;
                *m *= RULE.beta1;
                *m += g * (1.0 - RULE.beta1);
                *v *= RULE.beta2;
                *v += g.square() * (1.0 - RULE.beta2);
                *p -= &*m * (RULE.lr / c1) / ((&*v / c2).sqrt() + RULE.eps);
            }
        });
    }
}

#[divan::bench_group]
mod dropout {
    use super::*;

    /// Attention probabilities of a batch of 16.
    const SHAPE: [i64; 4] = [64, 4, 25, 65];

    #[divan::bench(args = [Kind::Float, Kind::BFloat16])]
    fn keyed(bencher: Bencher<'_, '_>, kind: Kind) {
        let x = normal(&SHAPE).to_kind(kind);
        bencher.bench_local(|| torch_ext::dropout::keyed(&x, 0.1, 7).unwrap());
    }

    #[divan::bench(args = [Kind::Float, Kind::BFloat16])]
    fn of_libtorch(bencher: Bencher<'_, '_>, kind: Kind) {
        let x = normal(&SHAPE).to_kind(kind);
        bencher.bench_local(|| x.dropout(0.1, true));
    }
}

#[divan::bench_group]
mod feed_forward {
    use super::*;

    fn leaves(kind: Kind) -> (Tensor, [Tensor; 4]) {
        let leaf = |shape: &[i64]| (normal(shape) * 0.05).set_requires_grad(true);
        let x = normal(&[16, 65, 256]).to_kind(kind).set_requires_grad(true);
        (x, [leaf(&[1024, 256]), leaf(&[1024]), leaf(&[256, 1024]), leaf(&[256])])
    }

    #[divan::bench(args = [Kind::Float, Kind::BFloat16])]
    fn one_function(bencher: Bencher<'_, '_>, kind: Kind) {
        let (x, [w1, b1, w2, b2]) = leaves(kind);
        bencher.bench_local(|| {
            torch_ext::layers::mlp(&x, (&w1, &b1), (&w2, &b2)).unwrap().sum(Kind::Float).backward();
        });
    }

    #[divan::bench(args = [Kind::Float, Kind::BFloat16])]
    fn three_operators(bencher: Bencher<'_, '_>, kind: Kind) {
        let (x, leaves) = leaves(kind);
        bencher.bench_local(|| {
            let [w1, b1, w2, b2] = leaves.each_ref().map(|t| t.to_kind(kind));
            x.linear(&w1, Some(&b1)).gelu("none").linear(&w2, Some(&b2)).sum(Kind::Float).backward();
        });
    }
}
