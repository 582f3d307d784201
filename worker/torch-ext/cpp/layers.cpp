// Linear layers with float32 weights that keep little for the backward pass.
//
// Written as single autograd functions so that two things are made again instead of kept: the weights in the type of
// the activations (under bfloat16 half a copy of the model), and GELU's output, the largest activation of a
// transformer block, which costs one element-wise pass to recompute.
#include <ATen/Context.h>
#include <ATen/ops/addmm.h>
#include <ATen/ops/gelu.h>
#include <ATen/ops/gelu_backward.h>
#include <ATen/ops/mm.h>
#include <ATen/ops/sum.h>
#include <torch/csrc/autograd/custom_function.h>
#include "shim.h"

namespace {

using torch::autograd::AutogradContext;
using torch::autograd::variable_list;

at::Tensor rows_of(const at::Tensor& x) { return x.reshape({-1, x.size(-1)}); }

at::Tensor affine(const at::Tensor& rows, const at::Tensor& weight, const at::Tensor& bias) {
  const auto kind = rows.scalar_type();
  return at::addmm(bias.to(kind), rows, weight.to(kind).t());
}

at::Tensor shaped_like(const at::Tensor& rows, const at::Tensor& x) {
  auto shape = x.sizes().vec();
  shape.back() = rows.size(-1);
  return rows.view(shape);
}

// Gradients of weight and bias, in the parameters' own float32.
at::Tensor weight_grad(const at::Tensor& dy, const at::Tensor& x) { return at::mm(dy.t(), x).to(at::kFloat); }
at::Tensor bias_grad(const at::Tensor& dy) { return at::sum(dy, {0}, /*keepdim=*/false, at::kFloat); }

struct Linear : torch::autograd::Function<Linear> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& weight, const at::Tensor& bias) {
    auto rows = rows_of(x);
    ctx->save_for_backward({rows, weight});
    ctx->saved_data["shape"] = x.sizes();
    return shaped_like(affine(rows, weight, bias), x);
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto &x = saved[0], &weight = saved[1];
    const auto dy = rows_of(grads[0]);
    at::Tensor dx;
    if (ctx->needs_input_grad(0)) {
      dx = at::mm(dy, weight.to(dy.scalar_type())).view(ctx->saved_data["shape"].toIntVector());
    }
    return {dx, weight_grad(dy, x), bias_grad(dy)};
  }
};

struct Mlp : torch::autograd::Function<Mlp> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& x, const at::Tensor& w1, const at::Tensor& b1,
                            const at::Tensor& w2, const at::Tensor& b2) {
    auto rows = rows_of(x);
    auto hidden = affine(rows, w1, b1);
    ctx->save_for_backward({rows, hidden, w1, w2});
    ctx->saved_data["shape"] = x.sizes();
    return shaped_like(affine(at::gelu(hidden), w2, b2), x);
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    const auto saved = ctx->get_saved_variables();
    const auto &x = saved[0], &hidden = saved[1], &w1 = saved[2], &w2 = saved[3];
    const auto dy = rows_of(grads[0]);
    const auto kind = dy.scalar_type();
    const auto dw2 = weight_grad(dy, at::gelu(hidden));
    auto dh = at::gelu_backward(at::mm(dy, w2.to(kind)), hidden);
    at::Tensor dx;
    if (ctx->needs_input_grad(0)) {
      dx = at::mm(dh, w1.to(kind)).view(ctx->saved_data["shape"].toIntVector());
    }
    return {dx, weight_grad(dh, x), bias_grad(dh), dw2, bias_grad(dy)};
  }
};

// A product that is float32 even where the process allows TF32.
struct MatmulFp32 : torch::autograd::Function<MatmulFp32> {
  static at::Tensor forward(AutogradContext* ctx, const at::Tensor& a, const at::Tensor& b) {
    at::NoTF32Guard exact;
    ctx->save_for_backward({a, b});
    return at::mm(a, b);
  }
  static variable_list backward(AutogradContext* ctx, variable_list grads) {
    at::NoTF32Guard exact;
    const auto saved = ctx->get_saved_variables();
    const auto &a = saved[0], &b = saved[1];
    at::Tensor da, db;
    if (ctx->needs_input_grad(0)) da = at::mm(grads[0], b.t());
    if (ctx->needs_input_grad(1)) db = at::mm(a.t(), grads[0]);
    return {da, db};
  }
};

}  // namespace

extern "C" {

int tx_linear(at::Tensor* x, at::Tensor* weight, at::Tensor* bias, at::Tensor** out) {
  return tx_guard([&] { *out = new at::Tensor(Linear::apply(*x, *weight, *bias)); });
}

int tx_matmul_fp32(at::Tensor* a, at::Tensor* b, at::Tensor** out) {
  return tx_guard([&] { *out = new at::Tensor(MatmulFp32::apply(*a, *b)); });
}

int tx_mlp(at::Tensor* x, at::Tensor* w1, at::Tensor* b1, at::Tensor* w2, at::Tensor* b2, at::Tensor** out) {
  return tx_guard([&] { *out = new at::Tensor(Mlp::apply(*x, *w1, *b1, *w2, *b2)); });
}

}  // extern "C"
