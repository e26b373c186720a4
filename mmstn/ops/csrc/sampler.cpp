// Registers mmstn::sample and mmstn::sample_backward with PyTorch: checks, dispatch to the device in
// mmcv's way, autograd.
#include "sampler.h"

#include <ATen/EmptyTensor.h>
#include <ATen/Parallel.h>
#include <torch/extension.h>

#include "cpu/isa.h"
#include "pytorch_cpp_helper.hpp"
#include "pytorch_device_registry.hpp"

namespace mmstn {

at::Tensor mmstn_sample_impl(const at::Tensor& input, const at::Tensor& warp, int64_t out_height,
                             int64_t out_width, int64_t mode, int64_t padding, bool align_corners,
                             at::ScalarType dtype) {
  return DISPATCH_DEVICE_IMPL(mmstn_sample_impl, input, warp, out_height, out_width, mode, padding,
                              align_corners, dtype);
}

std::tuple<at::Tensor, at::Tensor> mmstn_sample_backward_impl(
    const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& warp, int64_t mode,
    int64_t padding, bool align_corners, bool wants_input, bool wants_warp) {
  return DISPATCH_DEVICE_IMPL(mmstn_sample_backward_impl, gradient, input, warp, mode, padding,
                              align_corners, wants_input, wants_warp);
}

namespace {

// The op may be called by anyone, with anything: what is checked here keeps the kernels inside the
// memory of their arguments.

// The storage of a tensor may have been resized since, so that it no longer holds its elements.
void check_memory(const char* name, const at::Tensor& tensor) {
  if (tensor.numel() == 0) return;
  const size_t needed = at::detail::computeStorageNbytes(
      tensor.sizes(), tensor.strides(), tensor.itemsize(), tensor.storage_offset());
  const size_t found = tensor.storage().nbytes();
  TORCH_CHECK_VALUE(found >= needed, name, " of ", tensor.sizes(), " needs ", needed,
                    " bytes of memory, but its storage has ", found);
}

void check_pixels(const char* name, at::ScalarType dtype) {
  TORCH_CHECK_TYPE(dtype == at::kFloat || dtype == at::kDouble || dtype == at::kHalf ||
                       dtype == at::kBFloat16,
                   name, " must be float16, bfloat16, float32 or float64, got ", dtype);
}

void check(const at::Tensor& input, const at::Tensor& warp, int64_t mode, int64_t padding) {
  TORCH_CHECK_VALUE(input.dim() == 4, "input must be (N, C, H, W), got ", input.sizes());
  const bool matrices =
      warp.dim() == 4 && (warp.size(2) == 2 || warp.size(2) == 3) && warp.size(3) == 3;
  TORCH_CHECK_VALUE(matrices || (warp.dim() == 5 && warp.size(4) == 2),
                    "warp must be (N, K, 2 or 3, 3) or (N, K, H', W', 2), got ", warp.sizes());
  TORCH_CHECK_VALUE(warp.size(0) == input.size(0), "warp must have the batch size ", input.size(0),
                    " of input, got ", warp.size(0));
  check_pixels("input", input.scalar_type());
  TORCH_CHECK_TYPE(warp.scalar_type() == at::kFloat || warp.scalar_type() == at::kDouble,
                   "warp must be float32 or float64, got ", warp.scalar_type());
  TORCH_CHECK_TYPE(input.scalar_type() != at::kDouble || warp.scalar_type() == at::kDouble,
                   "warp must be float64 as input is, got ", warp.scalar_type());
  TORCH_CHECK_VALUE(warp.device() == input.device(), "warp must be on ", input.device(),
                    " as input is, got ", warp.device());
  const int64_t height = input.size(2), width = input.size(3);
  TORCH_CHECK_VALUE(height > 0 && width > 0, "input must have pixels, got ", input.sizes());
  TORCH_CHECK_VALUE(height <= INT32_MAX && width <= INT32_MAX &&
                        (height + 4) * (width + 2) + 2 <= INT32_MAX,
                    "input of ", input.sizes(), " has more pixels than a kernel can count");
  TORCH_CHECK_VALUE(mode >= 0 && mode <= 2, "mode must be 0, 1 or 2, got ", mode);
  TORCH_CHECK_VALUE(padding >= 0 && padding <= 2, "padding must be 0, 1 or 2, got ", padding);
  check_memory("input", input);
  check_memory("warp", warp);
}

// float32 cannot tell neighbours apart on a longer axis.
at::Tensor fine_enough(const at::Tensor& warp, const at::Tensor& input) {
  return std::max(input.size(2), input.size(3)) > (1 << 24) ? warp.to(at::kDouble) : warp;
}

at::Tensor sample(const at::Tensor& input, const at::Tensor& warp, int64_t out_height,
                  int64_t out_width, int64_t mode, int64_t padding, bool align_corners,
                  at::ScalarType dtype) {
  check(input, warp, mode, padding);
  TORCH_CHECK_VALUE(out_height >= 0 && out_width >= 0, "the output must have a size, got ",
                    out_height, " x ", out_width);
  TORCH_CHECK_VALUE(!is_grid(warp) || (warp.size(2) == out_height && warp.size(3) == out_width),
                    "the grid is ", warp.sizes(), ", not of ", out_height, " x ", out_width);
  check_pixels("dtype", dtype);
  return mmstn_sample_impl(input, fine_enough(warp, input), out_height, out_width, mode, padding,
                           align_corners, dtype);
}

std::tuple<at::Tensor, at::Tensor> sample_backward(
    const at::Tensor& gradient, const at::Tensor& input, const at::Tensor& warp, int64_t mode,
    int64_t padding, bool align_corners, bool wants_input, bool wants_warp) {
  check(input, warp, mode, padding);
  TORCH_CHECK_VALUE(gradient.dim() == 5 && gradient.size(0) == input.size(0) &&
                        gradient.size(1) == warp.size(1) && gradient.size(2) == input.size(1),
                    "gradient must be (N, K, C, H', W') for input ", input.sizes(), " and warp ",
                    warp.sizes(), ", got ", gradient.sizes());
  TORCH_CHECK_VALUE(!is_grid(warp) || (gradient.size(3) == warp.size(2) &&
                                      gradient.size(4) == warp.size(3)),
                    "gradient must have the H' and W' of the grid ", warp.sizes(), ", got ",
                    gradient.sizes());
  check_pixels("gradient", gradient.scalar_type());
  TORCH_CHECK_VALUE(gradient.device() == input.device(), "gradient must be on ", input.device(),
                    " as input is, got ", gradient.device());
  check_memory("gradient", gradient);
  auto [d_input, d_warp] =
      mmstn_sample_backward_impl(gradient, input, fine_enough(warp, input), mode, padding,
                                 align_corners, wants_input, wants_warp);
  return {d_input, d_warp.to(warp.scalar_type())};
}

using SampleOp = at::Tensor(const at::Tensor&, const at::Tensor&, c10::SymInt, c10::SymInt, int64_t,
                            int64_t, bool, at::ScalarType);
using BackwardOp = std::tuple<at::Tensor, at::Tensor>(const at::Tensor&, const at::Tensor&,
                                                      const at::Tensor&, int64_t, int64_t, bool,
                                                      bool, bool);

at::Tensor call_sample(const at::Tensor& input, const at::Tensor& warp, c10::SymInt out_height,
                       c10::SymInt out_width, int64_t mode, int64_t padding, bool align_corners,
                       at::ScalarType dtype) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("mmstn::sample", "")
                             .typed<SampleOp>();
  return op.call(input, warp, std::move(out_height), std::move(out_width), mode, padding,
                 align_corners, dtype);
}

std::tuple<at::Tensor, at::Tensor> call_backward(const at::Tensor& gradient,
                                                 const at::Tensor& input, const at::Tensor& warp,
                                                 int64_t mode, int64_t padding, bool align_corners,
                                                 bool wants_input, bool wants_warp) {
  static const auto op = c10::Dispatcher::singleton()
                             .findSchemaOrThrow("mmstn::sample_backward", "")
                             .typed<BackwardOp>();
  return op.call(gradient, input, warp, mode, padding, align_corners, wants_input, wants_warp);
}

class Sample : public torch::autograd::Function<Sample> {
 public:
  static at::Tensor forward(torch::autograd::AutogradContext* context, const at::Tensor& input,
                            const at::Tensor& warp, c10::SymInt out_height, c10::SymInt out_width,
                            int64_t mode, int64_t padding, bool align_corners,
                            at::ScalarType dtype) {
    at::AutoDispatchBelowADInplaceOrView below;
    context->save_for_backward({input, warp});
    context->saved_data["mode"] = mode;
    context->saved_data["padding"] = padding;
    context->saved_data["align_corners"] = align_corners;
    return call_sample(input, warp, std::move(out_height), std::move(out_width), mode, padding,
                       align_corners, dtype);
  }

  static torch::autograd::variable_list backward(torch::autograd::AutogradContext* context,
                                                 torch::autograd::variable_list gradients) {
    const auto saved = context->get_saved_variables();
    const bool wants_input = context->needs_input_grad(0);
    const bool wants_warp = context->needs_input_grad(1);
    const auto run = [&] {
      return call_backward(gradients[0], saved[0], saved[1], context->saved_data["mode"].toInt(),
                           context->saved_data["padding"].toInt(),
                           context->saved_data["align_corners"].toBool(), wants_input, wants_warp);
    };
    std::tuple<at::Tensor, at::Tensor> result;
    if (at::GradMode::is_enabled() || gradients[0]._fw_grad(/*level=*/0).defined()) {
      result = run();  // to be differentiated once more: its own autograd is registered in Python
    } else {
      at::AutoDispatchBelowADInplaceOrView below;
      result = run();
    }
    torch::autograd::variable_list all(8);
    if (wants_input) all[0] = std::get<0>(result);
    if (wants_warp) all[1] = std::get<1>(result);
    return all;
  }
};

at::Tensor sample_autograd(const at::Tensor& input, const at::Tensor& warp, c10::SymInt out_height,
                           c10::SymInt out_width, int64_t mode, int64_t padding, bool align_corners,
                           at::ScalarType dtype) {
  return Sample::apply(input, warp, std::move(out_height), std::move(out_width), mode, padding,
                       align_corners, dtype);
}

}  // namespace

TORCH_LIBRARY(mmstn, m) {
  m.def(
      "sample(Tensor input, Tensor warp, SymInt out_height, SymInt out_width, int mode, "
      "int padding, bool align_corners, ScalarType dtype) -> Tensor");
  m.def(
      "sample_backward(Tensor gradient, Tensor input, Tensor warp, int mode, int padding, "
      "bool align_corners, bool wants_input, bool wants_warp) -> (Tensor, Tensor)");
}

TORCH_LIBRARY_IMPL(mmstn, CPU, m) {
  m.impl("sample", TORCH_FN(sample));
  m.impl("sample_backward", TORCH_FN(sample_backward));
}

TORCH_LIBRARY_IMPL(mmstn, CUDA, m) {
  m.impl("sample", TORCH_FN(sample));
  m.impl("sample_backward", TORCH_FN(sample_backward));
}

TORCH_LIBRARY_IMPL(mmstn, Autograd, m) { m.impl("sample", TORCH_FN(sample_autograd)); }

}  // namespace mmstn

PYBIND11_MODULE(TORCH_EXTENSION_NAME, m) {
  m.doc() = "The compiled sampler of mmstn; importing it registers torch.ops.mmstn.";
  m.attr("torch_version") = TORCH_VERSION;
  m.attr("compiler") = __VERSION__;
#ifdef INTRA_OP_PARALLEL
  m.attr("parallel") = true;
#else
  m.attr("parallel") = false;
#endif
#ifdef MMSTN_WITH_CUDA
  m.attr("cuda_version") = MMSTN_WITH_CUDA;
#else
  m.attr("cuda_version") = 0;
#endif
  m.def("cpu_path", &mmstn::cpu_path, "Which kernels the CPU runs: avx512, avx2 or portable.");
  m.def("set_cpu_path", &mmstn::set_cpu_path, "Takes other kernels, for tests and benchmarks.");
}
