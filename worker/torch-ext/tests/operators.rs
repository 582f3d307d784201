//! Linear layers, list operators and AdamW against the same written out.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use tch::{Device, Kind, Tensor};
use torch_ext::optim::{AdamW, Group};
use torch_ext::{foreach, layers};

/// Numbers without pattern, the same in every run.
fn numbers(shape: &[i64], seed: f64) -> Tensor {
    let count: i64 = shape.iter().product();
    let i = Tensor::arange(count, (Kind::Double, Device::Cpu));
    ((i * 12.9898 + seed * 78.233).sin() * 43758.5453).frac().to_kind(Kind::Float).view(shape)
}

fn leaf(shape: &[i64], seed: f64) -> Tensor {
    numbers(shape, seed).set_requires_grad(true)
}

fn relative(found: &Tensor, expected: &Tensor) -> f64 {
    assert_eq!(found.size(), expected.size());
    let (found, expected) = (found.detach().to_kind(Kind::Double), expected.detach().to_kind(Kind::Double));
    ((found - &expected).norm() / expected.norm()).double_value(&[])
}

fn one_line(error: &torch_ext::TorchError, part: &str) {
    let text = error.to_string();
    assert!(text.lines().count() == 1 && text.contains(part), "{text}");
}

/// Output and gradients of all leaves for a loss that weighs outputs unequally.
fn run(leaves: &[Tensor], kind: Kind, f: impl Fn(&[Tensor]) -> Tensor) -> Vec<Tensor> {
    let leaves: Vec<Tensor> =
        leaves.iter().map(|t| t.detach().to_kind(kind).set_requires_grad(true)).collect();
    let out = f(&leaves);
    (&out * numbers(&out.size(), 9.0).to_kind(out.kind())).sum(Kind::Float).backward();
    std::iter::once(out.detach()).chain(leaves.iter().map(Tensor::grad)).collect()
}

fn plain_linear(x: &Tensor, w: &Tensor, b: &Tensor) -> Tensor {
    x.matmul(&w.transpose(0, 1)) + b
}

#[test]
fn linear_and_mlp_equal_their_formulas_forward_and_backward() {
    let x = leaf(&[3, 5, 7], 1.0);
    let linear = [x.shallow_clone(), leaf(&[11, 7], 2.0), leaf(&[11], 3.0)];
    let found = run(&linear, Kind::Float, |l| layers::linear(&l[0], &l[1], &l[2]).unwrap());
    let expected = run(&linear, Kind::Double, |l| plain_linear(&l[0], &l[1], &l[2]));
    let mlp = [x, leaf(&[28, 7], 4.0), leaf(&[28], 5.0), leaf(&[6, 28], 6.0), leaf(&[6], 7.0)];
    let found_mlp = run(&mlp, Kind::Float, |l| layers::mlp(&l[0], (&l[1], &l[2]), (&l[3], &l[4])).unwrap());
    let expected_mlp = run(&mlp, Kind::Double, |l| {
        plain_linear(&plain_linear(&l[0], &l[1], &l[2]).gelu("none"), &l[3], &l[4])
    });
    assert_eq!((found[0].size(), found_mlp[0].size()), (vec![3, 5, 11], vec![3, 5, 6]));
    for (i, (found, expected)) in
        found.iter().chain(&found_mlp).zip(expected.iter().chain(&expected_mlp)).enumerate()
    {
        let error = relative(found, expected);
        assert!(error <= 1e-6, "tensor {i}: {error:.2e}");
    }
}

#[test]
fn an_exact_product_equals_matmul_forward_and_backward() {
    let leaves = [leaf(&[4, 7], 1.0), leaf(&[7, 9], 2.0)];
    let found = run(&leaves, Kind::Float, |l| layers::matmul_fp32(&l[0], &l[1]).unwrap());
    let expected = run(&leaves, Kind::Double, |l| l[0].matmul(&l[1]));
    for (i, (found, expected)) in found.iter().zip(&expected).enumerate() {
        assert!(relative(found, expected) <= 1e-6, "tensor {i}");
    }
    // A queue on the right carries no gradient, and must not get one.
    let queue = numbers(&[7, 9], 2.0);
    layers::matmul_fp32(&leaves[0], &queue).unwrap().sum(Kind::Float).backward();
    assert!(leaves[0].grad().defined() && !queue.grad().defined());
    one_line(&layers::matmul_fp32(&leaves[0], &leaves[0]).unwrap_err(), "4");
}

#[test]
fn bfloat16_activations_give_float32_gradients_of_weights() {
    let x = numbers(&[40, 16], 1.0).to_kind(Kind::BFloat16).set_requires_grad(true);
    let params = [leaf(&[64, 16], 2.0), leaf(&[64], 3.0), leaf(&[8, 64], 4.0), leaf(&[8], 5.0)];
    let [w1, b1, w2, b2] = &params;
    let y = layers::mlp(&x, (w1, b1), (w2, b2)).unwrap();
    let z = layers::linear(&y, &numbers(&[8, 8], 6.0), &numbers(&[8], 7.0)).unwrap();
    assert_eq!((y.kind(), z.kind()), (Kind::BFloat16, Kind::BFloat16));
    let leaves: Vec<Tensor> = std::iter::once(x.detach()).chain(params.iter().map(Tensor::detach)).collect();
    let expected = run(&leaves, Kind::Double, |l| {
        let y = plain_linear(&plain_linear(&l[0], &l[1], &l[2]).gelu("none"), &l[3], &l[4]);
        plain_linear(
            &y,
            &numbers(&[8, 8], 6.0).to_kind(Kind::Double),
            &numbers(&[8], 7.0).to_kind(Kind::Double),
        )
    });
    (&z * numbers(&z.size(), 9.0).to_kind(Kind::BFloat16)).sum(Kind::Float).backward();
    assert_eq!(x.grad().kind(), Kind::BFloat16);
    assert!(params.iter().all(|p| p.grad().kind() == Kind::Float));
    let grads = std::iter::once(&x).chain(&params).map(Tensor::grad);
    for (i, (found, expected)) in std::iter::once(z.detach()).chain(grads).zip(&expected).enumerate() {
        let error = relative(&found, expected);
        assert!(error <= 3e-2, "tensor {i}: {error:.2e}");
    }
}

#[test]
fn shapes_that_do_not_fit_are_errors_of_one_line() {
    let (x, b) = (numbers(&[3, 7], 1.0), numbers(&[4], 1.0));
    one_line(&layers::linear(&x, &numbers(&[4, 6], 1.0), &b).unwrap_err(), "libtorch: ");
    let w = numbers(&[4, 7], 1.0);
    one_line(&layers::mlp(&x, (&w, &b), (&w, &b)).unwrap_err(), "libtorch: ");
}

fn lists() -> (Vec<Tensor>, Vec<Tensor>) {
    let shapes: [&[i64]; 4] = [&[3, 4], &[7], &[], &[2, 2, 5]];
    let list = |seed: f64| shapes.iter().zip(0..).map(|(s, i)| numbers(s, seed + f64::from(i))).collect();
    (list(10.0), list(20.0))
}

#[test]
fn list_operators_equal_loops() {
    let (a, b) = lists();
    let copies = || a.iter().map(Tensor::copy).collect::<Vec<_>>();
    let factor = Tensor::from(-1.5_f32);
    let (mut lerped, mut added, mut scaled) = (copies(), copies(), copies());
    foreach::lerp(&mut lerped, &b, 0.005).unwrap();
    foreach::add(&mut added, &b).unwrap();
    foreach::mul(&mut scaled, &factor).unwrap();
    let mut squares = 0.0;
    for (i, (a, b)) in a.iter().zip(&b).enumerate() {
        assert!(relative(&lerped[i], &(a * 0.995 + b * 0.005)) <= 1e-6);
        assert!(relative(&added[i], &(a + b)) <= 1e-6);
        assert!(relative(&scaled[i], &(a * -1.5)) <= 1e-6);
        squares += a.to_kind(Kind::Double).square().sum(Kind::Double).double_value(&[]);
    }
    let norm = foreach::global_norm(&a).unwrap();
    assert_eq!(norm.size(), Vec::<i64>::new());
    assert!((norm.double_value(&[]) - squares.sqrt()).abs() <= 1e-6 * squares.sqrt());
}

#[test]
fn lists_that_do_not_belong_together_are_refused_and_unchanged() {
    let (mut a, b) = lists();
    let before: Vec<Tensor> = a.iter().map(Tensor::copy).collect();
    one_line(&foreach::lerp(&mut a, &b[1..], 0.1).unwrap_err(), "foreach lerp: 4 tensors against 3");
    one_line(&foreach::add(&mut a, &b[..2]).unwrap_err(), "foreach add: 4 tensors against 2");
    let undefined = || vec![b[0].shallow_clone(), Tensor::new()];
    one_line(&foreach::add(&mut a[..2], &undefined()).unwrap_err(), "tensor 1 is undefined");
    one_line(&foreach::lerp(&mut undefined(), &b[..2], 0.1).unwrap_err(), "tensor 1 is undefined");
    one_line(&foreach::mul(&mut undefined(), &Tensor::from(2.0_f32)).unwrap_err(), "tensor 1 is undefined");
    one_line(&foreach::global_norm(&undefined()).unwrap_err(), "tensor 1 is undefined");
    one_line(&foreach::clear_grads(&undefined()).unwrap_err(), "tensor 1 is undefined");
    // Shapes that differ are libtorch's to refuse.
    let mut other = [numbers(&[5], 1.0)];
    one_line(&foreach::lerp(&mut other, &b[..1], 0.1).unwrap_err(), "libtorch: ");
    assert!(a.iter().zip(&before).all(|(a, b)| a.equal(b)));
}

#[test]
fn gradients_are_set_and_cleared() {
    let x = leaf(&[3], 1.0);
    assert!(!x.grad().defined());
    foreach::set_grad(&x, &numbers(&[3], 2.0)).unwrap();
    assert!(x.grad().equal(&numbers(&[3], 2.0)));
    foreach::clear_grads(&[x.shallow_clone()]).unwrap();
    assert!(!x.grad().defined());
}

#[test]
fn five_updates_equal_adamw_written_out() {
    const RULE: AdamW = AdamW { lr: 1e-2, beta1: 0.9, beta2: 0.999, weight_decay: 0.02, eps: 1e-8 };
    let (mut params, _) = lists();
    let mut expected: Vec<Tensor> = params.iter().map(|p| p.to_kind(Kind::Double)).collect();
    let zeros = |like: &[Tensor]| like.iter().map(Tensor::zeros_like).collect::<Vec<_>>();
    let (mut m, mut v) = (zeros(&params), zeros(&params));
    let (mut plain_m, mut plain_v) = (zeros(&expected), zeros(&expected));
    for step in 1..=5 {
        let grads: Vec<Tensor> =
            params.iter().zip(0..).map(|(p, i)| numbers(&p.size(), f64::from(100 * step + i))).collect();
        let group = Group { params: &mut params, grads: &grads, exp_avgs: &mut m, exp_avg_sqs: &mut v };
        RULE.apply(group, &Tensor::from(step as f32)).unwrap();
        for i in 0..grads.len() {
            let g = grads[i].to_kind(Kind::Double);
            plain_m[i] = &plain_m[i] * 0.9 + &g * 0.1;
            plain_v[i] = &plain_v[i] * 0.999 + g.square() * 0.001;
            let m_hat = &plain_m[i] / (1.0 - 0.9_f64.powi(step));
            let v_hat = &plain_v[i] / (1.0 - 0.999_f64.powi(step));
            expected[i] = &expected[i] * (1.0 - 1e-2 * 0.02) - m_hat / (v_hat.sqrt() + 1e-8) * 1e-2;
            assert!(relative(&params[i], &expected[i]) <= 1e-6, "step {step} tensor {i}");
        }
    }
    for (found, expected) in m.iter().chain(&v).zip(plain_m.iter().chain(&plain_v)) {
        assert!(relative(found, expected) <= 1e-5);
    }
}

#[test]
fn an_update_without_a_gradient_is_refused_and_changes_nothing() {
    const RULE: AdamW = AdamW { lr: 1e-2, beta1: 0.9, beta2: 0.999, weight_decay: 0.02, eps: 1e-8 };
    let (mut params, grads) = lists();
    let before: Vec<Tensor> = params.iter().map(Tensor::copy).collect();
    let zeros = || before.iter().map(Tensor::zeros_like).collect::<Vec<_>>();
    let (mut m, mut v) = (zeros(), zeros());
    let step = Tensor::from(1.0_f32);
    let mut lacking: Vec<Tensor> = grads.iter().map(Tensor::shallow_clone).collect();
    lacking[2] = Tensor::new();
    for (grads, part) in [(&lacking[..], "tensor 2 is undefined"), (&grads[..3], "4 tensors against 3")] {
        let group = Group { params: &mut params, grads, exp_avgs: &mut m, exp_avg_sqs: &mut v };
        one_line(&RULE.apply(group, &step).unwrap_err(), part);
    }
    assert!(params.iter().zip(&before).all(|(a, b)| a.equal(b)));
    assert!(m.iter().chain(&v).all(|t| t.count_nonzero(0).sum(Kind::Int64).int64_value(&[]) == 0));
}
