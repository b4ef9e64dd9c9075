// A block of a bundle on ONNX Runtime's C API: its training step takes the state and gives the next one.
//
// step.onnx has the inputs (state..., x, y, scalars, received) and the outputs (state.next..., a, metrics, sent), all found by
// name. What a step gives as "NAME.next" is what the next one takes as "NAME": the values change hands, and nothing is copied.
#pragma once

#include <onnxruntime_c_api.h>

#include <memory>

#include "safetensors.hpp"

inline const OrtApi& ort() {
  static const OrtApi* api = OrtGetApiBase()->GetApi(ORT_API_VERSION);
  if (api == nullptr) throw std::runtime_error("the library is older than the header it is called through");
  return *api;
}

inline void check(OrtStatus* status) {
  if (status == nullptr) return;
  const std::string message = ort().GetErrorMessage(status);
  ort().ReleaseStatus(status);
  throw std::runtime_error("ONNX Runtime: " + message);
}

using Value = std::shared_ptr<OrtValue>;
using Values = std::map<std::string, Value>;

inline Value owned(OrtValue* value) {
  return Value(value, [](OrtValue* one) { ort().ReleaseValue(one); });
}

inline const std::map<std::string, ONNXTensorElementDataType>& kinds() {
  static const std::map<std::string, ONNXTensorElementDataType> table = {
      {"F32", ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT}, {"F16", ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT16},
      {"I64", ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64}, {"I32", ONNX_TENSOR_ELEMENT_DATA_TYPE_INT32},
      {"U8", ONNX_TENSOR_ELEMENT_DATA_TYPE_UINT8},  {"BOOL", ONNX_TENSOR_ELEMENT_DATA_TYPE_BOOL}};
  return table;
}

// A value of ONNX Runtime with its own memory, and a tensor's content in it.
inline Value to_value(const Tensor& tensor) {
  OrtAllocator* allocator = nullptr;
  check(ort().GetAllocatorWithDefaultOptions(&allocator));
  OrtValue* made = nullptr;
  check(ort().CreateTensorAsOrtValue(allocator, tensor.shape.data(), tensor.shape.size(), kinds().at(tensor.dtype), &made));
  Value value = owned(made);
  void* data = nullptr;
  check(ort().GetTensorMutableData(made, &data));
  if (!tensor.bytes.empty()) std::memcpy(data, tensor.bytes.data(), tensor.bytes.size());
  return value;
}

// A tensor with a copy of a value's content.
inline Tensor to_tensor(const Value& value) {
  OrtTensorTypeAndShapeInfo* info = nullptr;
  check(ort().GetTensorTypeAndShape(value.get(), &info));
  const std::unique_ptr<OrtTensorTypeAndShapeInfo, void (*)(OrtTensorTypeAndShapeInfo*)> held(
      info, [](OrtTensorTypeAndShapeInfo* one) { ort().ReleaseTensorTypeAndShapeInfo(one); });
  ONNXTensorElementDataType kind = ONNX_TENSOR_ELEMENT_DATA_TYPE_UNDEFINED;
  check(ort().GetTensorElementType(info, &kind));
  size_t rank = 0;
  check(ort().GetDimensionsCount(info, &rank));
  Tensor made;
  for (const auto& [name, known] : kinds()) {
    if (known == kind) made.dtype = name;
  }
  made.shape.resize(rank);
  check(ort().GetDimensions(info, made.shape.data(), rank));
  void* data = nullptr;
  check(ort().GetTensorMutableData(value.get(), &data));
  const char* begin = static_cast<const char*>(data);
  made.bytes.assign(begin, begin + made.count() * element_bytes(made.dtype));
  return made;
}

class Block {
 public:
  // `folder` is one of a bundle, e.g. "bundles/first/block0".
  explicit Block(const std::string& folder) : state_tensors_(read_safetensors(folder + "/state.safetensors")) {
    check(ort().CreateEnv(ORT_LOGGING_LEVEL_ERROR, "edgebll", &env_));
    OrtSessionOptions* options = nullptr;
    check(ort().CreateSessionOptions(&options));
    check(ort().SetIntraOpNumThreads(options, 1));
    check(ort().CreateSession(env_, (folder + "/step.onnx").c_str(), options, &session_));
    ort().ReleaseSessionOptions(options);
    inputs_ = names(&OrtApi::SessionGetInputCount, &OrtApi::SessionGetInputName);
    outputs_ = names(&OrtApi::SessionGetOutputCount, &OrtApi::SessionGetOutputName);
    load_state(state_tensors_);
  }
  Block(const Block&) = delete;
  Block& operator=(const Block&) = delete;
  ~Block() {
    ort().ReleaseSession(session_);
    ort().ReleaseEnv(env_);
  }

  void load_state(const Tensors& tensors) {
    for (const auto& [name, shaped] : state_tensors_) {
      const Tensor& given = tensor_of(tensors, name);
      if (given.shape != shaped.shape || given.dtype != shaped.dtype) throw std::runtime_error("another state: " + name);
      state_[name] = to_value(given);
    }
  }

  // One training step. `given` has x, y, every scalar and what is received; the result a, metrics and what is sent.
  Values train(const Values& given) {
    std::vector<const char*> in, out;
    std::vector<const OrtValue*> values;
    for (const std::string& name : inputs_) {
      const auto mine = state_.find(name);
      const auto other = given.find(name);
      if (mine == state_.end() && other == given.end()) throw std::runtime_error("the step needs " + name);
      in.push_back(name.c_str());
      values.push_back(mine != state_.end() ? mine->second.get() : other->second.get());
    }
    for (const std::string& name : outputs_) out.push_back(name.c_str());
    std::vector<OrtValue*> made(out.size(), nullptr);
    check(ort().Run(session_, nullptr, in.data(), values.data(), in.size(), out.data(), out.size(), made.data()));
    Values results;
    for (size_t i = 0; i < out.size(); ++i) {
      const std::string& name = outputs_[i];
      const size_t stem = name.size() > 5 && name.compare(name.size() - 5, 5, ".next") == 0 ? name.size() - 5 : 0;
      (stem ? state_[name.substr(0, stem)] : results[name]) = owned(made[i]);
    }
    return results;
  }

  const Values& state() const { return state_; }
  const Tensors& start() const { return state_tensors_; }
  const std::vector<std::string>& inputs() const { return inputs_; }

 private:
  template <typename Count, typename Name>
  std::vector<std::string> names(Count count, Name name) const {
    size_t number = 0;
    check((ort().*count)(session_, &number));
    OrtAllocator* allocator = nullptr;
    check(ort().GetAllocatorWithDefaultOptions(&allocator));
    std::vector<std::string> found;
    for (size_t i = 0; i < number; ++i) {
      char* text = nullptr;
      check((ort().*name)(session_, i, allocator, &text));
      found.emplace_back(text);
      check(ort().AllocatorFree(allocator, text));
    }
    return found;
  }

  OrtEnv* env_ = nullptr;
  OrtSession* session_ = nullptr;
  Tensors state_tensors_;
  Values state_;
  std::vector<std::string> inputs_, outputs_;
};
