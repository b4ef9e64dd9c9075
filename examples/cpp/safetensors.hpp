// Reading a safetensors file: 8 bytes with the length of a JSON header, the header, then the tensors' bytes.
//
// The header is {"name": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]}, ...}; a bundle's files have no "__metadata__".
// Nothing in a file is believed: every length and offset is checked before it is used.
#pragma once

#include <cstdint>
#include <cstring>
#include <fstream>
#include <iterator>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>

struct Tensor {
  std::string dtype;  // as safetensors has it: "F32", "F16", "I64", "I32", "U8" or "BOOL"
  std::vector<int64_t> shape;
  std::vector<char> bytes;

  // Its elements, if they are float32.
  const float* floats() const {
    if (dtype != "F32") throw std::runtime_error("a tensor is " + dtype + " where F32 was expected");
    return reinterpret_cast<const float*>(bytes.data());
  }
  size_t count() const {
    size_t product = 1;
    for (int64_t size : shape) {
      if (size < 0 || (size > 0 && product > kMost / static_cast<size_t>(size))) {
        throw std::runtime_error("a tensor is larger than any file");
      }
      product *= static_cast<size_t>(size);
    }
    return product;
  }

 private:
  static constexpr size_t kMost = SIZE_MAX / 8;  // elements, of 8 bytes at most
};

using Tensors = std::map<std::string, Tensor>;

inline const Tensor& tensor_of(const Tensors& tensors, const std::string& name) {
  const auto found = tensors.find(name);
  if (found == tensors.end()) throw std::runtime_error("there is no tensor " + name);
  return found->second;
}

// As much of JSON as the header needs: objects, lists of whole numbers, and texts without escapes.
class HeaderReader {
 public:
  HeaderReader(const char* begin, const char* end) : here_(begin), end_(end) {}

  void expect(char wanted) {
    if (!accept(wanted)) fail(std::string("expected ") + wanted);
  }
  bool accept(char wanted) {
    skip_spaces();
    if (here_ == end_ || *here_ != wanted) return false;
    ++here_;
    return true;
  }
  std::string text() {
    expect('"');
    const char* start = here_;
    while (here_ < end_ && *here_ != '"' && *here_ != '\\') ++here_;
    std::string found(start, here_);
    expect('"');
    return found;
  }
  std::vector<int64_t> numbers() {
    std::vector<int64_t> found;
    expect('[');
    if (accept(']')) return found;
    do {
      skip_spaces();
      int64_t number = 0;
      const char* start = here_;
      while (here_ < end_ && *here_ >= '0' && *here_ <= '9' && here_ - start < 18) number = number * 10 + (*here_++ - '0');
      if (here_ == start) fail("expected a number");
      found.push_back(number);
    } while (accept(','));
    expect(']');
    return found;
  }
  [[noreturn]] void fail(const std::string& what) const { throw std::runtime_error("the header is damaged: " + what); }

 private:
  void skip_spaces() {
    while (here_ < end_ && (*here_ == ' ' || *here_ == '\t' || *here_ == '\r' || *here_ == '\n')) ++here_;
  }

  const char* here_;
  const char* end_;
};

inline size_t element_bytes(const std::string& dtype) {
  static const std::map<std::string, size_t> sizes = {{"F32", 4}, {"F16", 2}, {"I64", 8}, {"I32", 4}, {"U8", 1}, {"BOOL", 1}};
  auto found = sizes.find(dtype);
  if (found == sizes.end()) throw std::runtime_error("the dtype " + dtype + " is none of a bundle");
  return found->second;
}

inline Tensors read_safetensors(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) throw std::runtime_error("cannot read " + path);
  std::vector<char> content((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  uint64_t length = 0;
  if (content.size() < sizeof length) throw std::runtime_error(path + " is too short");
  std::memcpy(&length, content.data(), sizeof length);  // little-endian, as the machine must be
  const size_t start = sizeof length;
  if (length > content.size() - start) throw std::runtime_error(path + " is not whole");
  const char* data = content.data() + start + length;
  const uint64_t data_bytes = content.size() - start - length;

  Tensors tensors;
  HeaderReader header(content.data() + start, data);
  header.expect('{');
  if (header.accept('}')) return tensors;
  do {
    Tensor tensor;
    std::vector<int64_t> offsets;
    const std::string name = header.text();
    header.expect(':');
    header.expect('{');
    do {
      const std::string key = header.text();
      header.expect(':');
      if (key == "dtype") tensor.dtype = header.text();
      else if (key == "shape") tensor.shape = header.numbers();
      else if (key == "data_offsets") offsets = header.numbers();
      else header.fail("the entry " + key + " is none of a tensor");
    } while (header.accept(','));
    header.expect('}');
    if (offsets.size() != 2 || offsets[0] > offsets[1] || static_cast<uint64_t>(offsets[1]) > data_bytes ||
        static_cast<uint64_t>(offsets[1] - offsets[0]) != tensor.count() * element_bytes(tensor.dtype)) {
      throw std::runtime_error(path + ": the place of " + name + " is not in the file");
    }
    tensor.bytes.assign(data + offsets[0], data + offsets[1]);
    tensors[name] = std::move(tensor);
  } while (header.accept(','));
  header.expect('}');
  return tensors;
}
