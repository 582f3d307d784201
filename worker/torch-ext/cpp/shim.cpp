// The C side of torch-ext: one thin function per libtorch facility that tch does not bind.
// Every function catches what libtorch throws and returns 0 on success; the message waits in tx_last_error().
#include <ATen/Context.h>
#include <ATen/Parallel.h>
#include <ATen/DeviceAccelerator.h>
#include <ATen/core/grad_mode.h>
#include <ATen/ops/_foreach_add.h>
#include <ATen/ops/_foreach_lerp.h>
#include <ATen/ops/_foreach_mul.h>
#include <ATen/ops/_foreach_norm.h>
#include <ATen/ops/_fused_adamw.h>
#include <ATen/ops/linalg_vector_norm.h>
#include <ATen/ops/stack.h>
#include <torch/csrc/autograd/variable.h>
#include <dlfcn.h>
#include <malloc.h>
#include <climits>
#include <cstdlib>
#include "shim.h"

namespace {

std::vector<at::Tensor> list(at::Tensor* const* tensors, size_t n) {
  std::vector<at::Tensor> out;
  out.reserve(n);
  for (size_t i = 0; i < n; i++) out.push_back(*tensors[i]);
  return out;
}

}  // namespace

std::string& tx_error() {
  thread_local std::string message;
  return message;
}

extern "C" {

const char* tx_last_error() { return tx_error().c_str(); }

int tx_fused_adamw(at::Tensor* const* params, at::Tensor* const* grads, at::Tensor* const* exp_avgs,
                   at::Tensor* const* exp_avg_sqs, size_t n, at::Tensor* step, double lr, double beta1,
                   double beta2, double weight_decay, double eps) {
  return tx_guard([&] {
    at::NoGradGuard no_grad;
    auto p = list(params, n), g = list(grads, n), m = list(exp_avgs, n), v = list(exp_avg_sqs, n);
    // The operator reads the step count of each tensor and never writes it: all share one.
    std::vector<at::Tensor> steps(n, *step);
    at::_fused_adamw_(p, g, m, v, {}, steps, lr, beta1, beta2, weight_decay, eps, /*amsgrad=*/false,
                      /*maximize=*/false);
  });
}

int tx_foreach_lerp(at::Tensor* const* self, at::Tensor* const* end, size_t n, double weight) {
  return tx_guard([&] {
    at::NoGradGuard no_grad;
    at::_foreach_lerp_(list(self, n), list(end, n), at::Scalar(weight));
  });
}

int tx_foreach_add(at::Tensor* const* self, at::Tensor* const* other, size_t n) {
  return tx_guard([&] {
    at::NoGradGuard no_grad;
    at::_foreach_add_(list(self, n), list(other, n), 1);
  });
}

int tx_foreach_mul(at::Tensor* const* self, size_t n, at::Tensor* factor) {
  return tx_guard([&] {
    at::NoGradGuard no_grad;
    at::_foreach_mul_(list(self, n), *factor);
  });
}

int tx_global_norm(at::Tensor* const* tensors, size_t n, at::Tensor** out) {
  return tx_guard([&] {
    at::NoGradGuard no_grad;
    auto norms = at::_foreach_norm(list(tensors, n), 2);
    *out = new at::Tensor(at::linalg_vector_norm(at::stack(norms), 2));
  });
}

int tx_clear_grads(at::Tensor* const* tensors, size_t n) {
  return tx_guard([&] {
    for (size_t i = 0; i < n; i++) tensors[i]->mutable_grad() = at::Tensor();
  });
}

int tx_set_grad(at::Tensor* tensor, at::Tensor* grad) {
  return tx_guard([&] { tensor->mutable_grad() = *grad; });
}

int tx_set_tf32(int allow) {
  return tx_guard([&] {
    at::globalContext().setAllowTF32CuBLAS(allow != 0);
    at::globalContext().setAllowTF32CuDNN(allow != 0);
  });
}

int tx_set_deterministic(int on) {
  return tx_guard([&] {
    // cuBLAS is deterministic only with a fixed workspace, which it reads from here when its first handle is made.
    if (on && setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8", /*overwrite=*/0) != 0) {
      throw std::runtime_error("the environment takes no CUBLAS_WORKSPACE_CONFIG");
    }
    at::globalContext().setDeterministicAlgorithms(on != 0, /*warn_only=*/false);
    // Filling fresh memory would only help code that reads what it never wrote.
    at::globalContext().setDeterministicFillUninitializedMemory(false);
  });
}

// glibc returns every large freed block to the kernel, which then zeroes the same pages again for the next step's
// activations; at small sizes on a CPU that was a quarter of a step. Keep the heap. One arena, because the others
// cannot grow past 64 MiB and would send a trainer thread's tensors back to the kernel.
int tx_keep_heap() {
  return tx_guard([&] {
    // Older releases of glibc accept at most 32 MiB.
    int ok = (mallopt(M_MMAP_THRESHOLD, 1 << 30) || mallopt(M_MMAP_THRESHOLD, 32 << 20)) &
             mallopt(M_TRIM_THRESHOLD, INT_MAX) & mallopt(M_ARENA_MAX, 1);
    if (!ok) throw std::runtime_error("mallopt refused the heap settings");
  });
}

// libtorch registers its CUDA half in static initialisers, so loading the library is all it takes. Loading on demand
// lets one binary run where no CUDA library is installed.
int tx_load_cuda() {
  return tx_guard([&] {
    if (dlopen("libtorch_cuda.so", RTLD_NOW | RTLD_GLOBAL) == nullptr) throw std::runtime_error(dlerror());
  });
}

int tx_device_count(int* out) {
  return tx_guard([&] { *out = at::hasCUDA() ? static_cast<int>(at::detail::getCUDAHooks().deviceCount()) : 0; });
}

int tx_synchronize(int device) {
  return tx_guard([&] { at::accelerator::synchronizeDevice(static_cast<c10::DeviceIndex>(device)); });
}

// The caching allocator of pinned memory keeps the block until the copy has run, whenever the tensor goes away.
int tx_upload(at::Tensor* host, int device, at::Tensor** out) {
  return tx_guard([&] {
    c10::Device target(c10::kCUDA, static_cast<c10::DeviceIndex>(device));
    *out = new at::Tensor(host->pin_memory().to(target, host->scalar_type(), /*non_blocking=*/true));
  });
}

int tx_peak_device_bytes(int device, int64_t* out) {
  return tx_guard([&] {
    auto stats = at::getDeviceAllocator(at::kCUDA)->getDeviceStats(static_cast<c10::DeviceIndex>(device));
    *out = stats.reserved_bytes[0].peak;
  });
}

}  // extern "C"
