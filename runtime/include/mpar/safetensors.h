// Tensors by name in a file. Format: github.com/huggingface/safetensors.
#pragma once

#include "mpar/file.h"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <utility>
#include <vector>

namespace mpar {

class Device;
class World;

/// A tensor as the header of a file describes it.
struct TensorEntry {
  std::string type; // "F32", "I64", "U8", …
  std::vector<int64_t> shape;
  int64_t begin = 0; // bytes into the data
  int64_t end = 0;
};

/// A safetensors file open for reading. The header is checked whole before anything is believed:
/// types, sizes, that the tensors fill the data without gap or overlap, that no name is there
/// twice.
class SafetensorsReader {
public:
  explicit SafetensorsReader(const std::string &path);

  const std::string &path() const { return file_.path(); }
  const std::map<std::string, TensorEntry> &tensors() const { return tensors_; }
  const std::map<std::string, std::string> &metadata() const { return metadata_; }
  /// Reads all bytes of a tensor into `buffer`, which has room for them.
  void read(const TensorEntry &entry, void *buffer) const;

private:
  InputFile file_;
  int64_t data_ = 0;
  std::map<std::string, TensorEntry> tensors_;
  std::map<std::string, std::string> metadata_;
};

/// Some bytes of a tensor that is put together from several places.
struct TensorPiece {
  int64_t begin; // bytes into the tensor
  const void *data;
  int64_t bytes;
  const Device *device = nullptr; // whose memory it lies in; null: the host's
};

/// Calls visit(data, bytes) on the bytes of a piece, one part after the other: memory of the host,
/// which for those of a GPU is there for the call.
void visit_piece(const TensorPiece &piece,
                 const std::function<void(const void *data, int64_t bytes)> &visit);

/// A file to be written: names and where the bytes lie until `write_safetensors` has returned.
struct SafetensorsContent {
  struct Tensor {
    std::string name;
    std::string type;
    std::vector<int64_t> shape;
    const void *data = nullptr;           // all of it, or
    std::vector<TensorPiece> pieces = {}; // in ascending order, as far as this process has them
  };
  std::vector<Tensor> tensors;
  std::vector<std::pair<std::string, std::string>> metadata;
};

/// Writes `path` through OutputFile: whole or not at all. Tensors lie in the given order, those of
/// larger elements first, so that each is aligned. The same content gives the same bytes. With a
/// world all ranks call it, with the same names and metadata, and write what they have of each
/// tensor into one file; where one of them fails, the old file stays.
void write_safetensors(const std::string &path, const SafetensorsContent &content,
                       World *world = nullptr);

/// A name from a file as a message may show it: of printable characters, and short.
std::string printable(const std::string &name);

/// The product of the extents; 1 for a scalar.
int64_t element_count(const std::vector<int64_t> &shape);

/// "[256, 12]", for messages.
std::string shape_text(const std::vector<int64_t> &shape);

} // namespace mpar
