// Trains a block of a bundle with ONNX Runtime's C API, and compares every result with the bundle's golden vectors.
//
//   c++ -std=c++17 -O2 -I INCLUDE train_block.cpp LIBRARY -o train_block        INCLUDE has onnxruntime_c_api.h
//   ./train_block bundles/first/block0
//
// Ends with 0 if all results agree, 1 if one differs, 2 if something is missing or damaged. The files and their names are specified in
// docs/reference/bundle.md.
#include <cmath>
#include <cstdio>

#include "block.hpp"

namespace {

constexpr double kTolerance = 1e-4;             // of a float32 bundle, relative to what was computed
constexpr double kMargin = 3.0;                 // how far beyond rounding's own reach a result may be
constexpr double kResolution = 1.0 / (1 << 22); // what float32 cannot hold of a change beside the value before

struct Tally {
  int compared = 0, differ = 0;
  double worst = 0.0;
};

// Largest and mean distance of a result from its golden vector, each in its share of what was computed, or within rounding.
// `before` is the value before the step of a state tensor, whose change is what was computed. All are of one shape.
bool agrees(const Tensor& result, const Tensor& golden, const float* before, const float* reach, double* error) {
  const float *actual = result.floats(), *expected = golden.floats();
  double far = 0, sum = 0, size = 0, sizes = 0;
  const size_t count = golden.count();
  for (size_t i = 0; i < count; ++i) {
    const double held = before ? kResolution * std::fmax(std::fabs(before[i]), std::fabs(expected[i])) : 0.0;
    const double distance = std::fmax(std::fabs(double(actual[i]) - expected[i]) - held, 0.0);
    const double computed = std::fabs(before ? double(expected[i]) - before[i] : double(expected[i]));
    if (!(distance <= 1e30)) return false;  // NaN too
    far = std::fmax(far, distance), sum += distance;
    size = std::fmax(size, computed), sizes += computed;
  }
  *error = size > 0 ? far / size : far;
  const bool peak = far <= kTolerance * size || (reach && far <= kMargin * reach[0]);
  const bool mean = sum <= kTolerance * sizes || (reach && sum <= kMargin * reach[1] * double(count));
  return peak && mean;
}

// How far rounding moves a result, at the most and in the mean; nullptr where nobody measured it.
const float* rounding_of(const std::string& name, const Tensors& golden) {
  const auto found = golden.find("rounding/" + name);
  if (found == golden.end()) return nullptr;
  if (found->second.count() != 2) throw std::runtime_error("rounding/" + name + " is not two numbers");
  return found->second.floats();
}

void check_alike(const std::string& name, const Tensor& golden, const Tensor& result) {
  if (golden.dtype == result.dtype && golden.shape == result.shape) return;
  throw std::runtime_error("golden.safetensors has another dtype or shape of " + name + " than the step gives");
}

void compare(const std::string& name, const Value& actual, const Tensors& golden, const Tensor* before, Tally* tally) {
  const Tensor& expected = tensor_of(golden, name);
  const Tensor result = to_tensor(actual);
  check_alike(name, expected, result);
  if (before) check_alike(name, *before, result);
  double error = 0;
  const bool same = expected.dtype == "F32"
                        ? agrees(result, expected, before ? before->floats() : nullptr, rounding_of(name, golden), &error)
                        : result.bytes == expected.bytes;  // counters and generators of random numbers: the same bits
  ++tally->compared;
  tally->differ += same ? 0 : 1;
  if (!same) std::printf("%s differs by %.2g\n", name.c_str(), error);
  else if (error <= kTolerance) tally->worst = std::fmax(tally->worst, error);  // more is nothing but rounding
}

// The recorded state after step `i`, by the names of the state.
Tensors recorded(const Block& block, const Tensors& golden, int i) {
  const std::string next = std::to_string(i) + "/next/";
  Tensors found;
  for (const auto& [name, _] : block.start()) {
    found[name] = tensor_of(golden, golden.count(next + name) ? next + name : "final/" + name);
  }
  return found;
}

int run(const std::string& folder) {
  Block block(folder);
  const Tensors golden = read_safetensors(folder + "/golden.safetensors");
  Tensors before = block.start();
  Tally tally;
  int step = 0;
  for (; golden.count(std::to_string(step) + "/x"); ++step) {
    const std::string here = std::to_string(step) + "/";
    Values given;
    for (const std::string& name : block.inputs()) {
      if (!block.state().count(name)) given[name] = to_value(tensor_of(golden, here + name));
    }
    for (const auto& [name, value] : block.train(given)) compare(here + name, value, golden, nullptr, &tally);
    const Tensors after = recorded(block, golden, step);
    for (const auto& [name, value] : block.state()) {
      const std::string next = here + "next/" + name;
      compare(golden.count(next) ? next : "final/" + name, value, golden, &tensor_of(before, name), &tally);
    }
    block.load_state(after);  // the next comparison is about one step again; a program that trains leaves this out
    before = after;
  }
  std::printf("%d steps, %d results compared, %d differ, the largest error %.2g\n", step, tally.compared, tally.differ,
              tally.worst);
  return tally.differ || !step ? 1 : 0;
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 2) {
    std::fprintf(stderr, "usage: train_block BUNDLE/BLOCK\n");
    return 2;
  }
  try {
    return run(arguments[1]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "train_block: %s\n", error.what());
    return 2;
  }
}
