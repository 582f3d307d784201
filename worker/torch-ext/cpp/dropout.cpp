// Dropout on the CPU whose mask is a pure function of (key, element index).
//
// libtorch draws a Bernoulli tensor through a serial generator (measured: seven times the cost of the
// multiplication itself) and keeps it for the backward pass. Here each element hashes its own index, so the mask needs
// no memory, does not depend on the number of threads, and the backward pass draws it again.
#include <ATen/Dispatch.h>
#include <ATen/Parallel.h>
#include <ATen/ops/empty_like.h>
#include <torch/csrc/autograd/custom_function.h>
#include "shim.h"

namespace {

// Finaliser with low bias, found by search (C. Wellons, "Prospecting for Hash Functions", 2018).
inline uint32_t mix(uint32_t x) {
  x ^= x >> 16;
  x *= 0x21f0aaadU;
  x ^= x >> 15;
  x *= 0x735a2d97U;
  x ^= x >> 15;
  return x;
}

template <typename T>
__attribute__((target_clones("avx512f", "avx2", "default")))
void drop_run(const T* in, T* out, int64_t begin, int64_t end, uint32_t k0, uint32_t k1, uint32_t threshold,
              float scale) {
  for (int64_t i = begin; i < end; i++) {
    uint32_t bits = mix(mix(static_cast<uint32_t>(i) ^ k0) ^ k1);
    float keep = bits >= threshold ? scale : 0.0f;
    out[i] = static_cast<T>(static_cast<float>(in[i]) * keep);
  }
}

// bfloat16 as raw bits, so that the loop vectorises: round to nearest even, NaN stays NaN because its mantissa's top
// bit survives truncation.
__attribute__((target_clones("avx512f", "avx2", "default")))
void drop_run_bf16(const uint16_t* in, uint16_t* out, int64_t begin, int64_t end, uint32_t k0, uint32_t k1,
                   uint32_t threshold, float scale) {
  for (int64_t i = begin; i < end; i++) {
    uint32_t bits = mix(mix(static_cast<uint32_t>(i) ^ k0) ^ k1);
    float keep = bits >= threshold ? scale : 0.0f;
    uint32_t wide = static_cast<uint32_t>(in[i]) << 16;
    float x;
    __builtin_memcpy(&x, &wide, 4);
    float y = x * keep;
    uint32_t r;
    __builtin_memcpy(&r, &y, 4);
    uint32_t rounded = (r + 0x7fffU + ((r >> 16) & 1U)) >> 16;
    out[i] = static_cast<uint16_t>(y == y ? rounded : (r >> 16) | 0x40U);
  }
}

at::Tensor drop(const at::Tensor& input, double p, int64_t key) {
  auto x = input.contiguous();
  auto y = at::empty_like(x);
  const auto n = x.numel();
  const auto threshold = static_cast<uint32_t>(p * 4294967296.0);
  const float scale = static_cast<float>(1.0 / (1.0 - p));
  const auto k = static_cast<uint64_t>(key);
  const bool half = x.scalar_type() == at::kBFloat16;
  TORCH_CHECK(half || x.scalar_type() == at::kFloat, "keyed dropout takes float32 or bfloat16, got ", x.scalar_type());
  const void* in = x.const_data_ptr();
  void* out = y.mutable_data_ptr();
  at::parallel_for(0, n, 1 << 15, [&](int64_t begin, int64_t end) {
    // Indices above 2^32 change the key, so that a huge tensor does not repeat its mask.
    while (begin < end) {
      const int64_t high = begin >> 32;
      const int64_t stop = std::min(end, (high + 1) << 32);
      const auto k0 = mix(static_cast<uint32_t>(k) + static_cast<uint32_t>(high) * 0x9e3779b9U);
      const auto k1 = mix(static_cast<uint32_t>(k >> 32) ^ 0x85ebca6bU);
      if (half)
        drop_run_bf16(static_cast<const uint16_t*>(in), static_cast<uint16_t*>(out), begin, stop, k0, k1, threshold, scale);
      else
        drop_run(static_cast<const float*>(in), static_cast<float*>(out), begin, stop, k0, k1, threshold, scale);
      begin = stop;
    }
  });
  return y;
}

struct KeyedDropout : torch::autograd::Function<KeyedDropout> {
  static at::Tensor forward(torch::autograd::AutogradContext* ctx, const at::Tensor& x, double p, int64_t key) {
    ctx->saved_data["p"] = p;
    ctx->saved_data["key"] = key;
    return drop(x, p, key);
  }
  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* ctx,
                                                 torch::autograd::variable_list grads) {
    return {drop(grads[0], ctx->saved_data["p"].toDouble(), ctx->saved_data["key"].toInt()), at::Tensor(), at::Tensor()};
  }
};

}  // namespace

extern "C" int tx_keyed_dropout(at::Tensor* x, double p, int64_t key, at::Tensor** out) {
  return tx_guard([&] { *out = new at::Tensor(KeyedDropout::apply(*x, p, key)); });
}
