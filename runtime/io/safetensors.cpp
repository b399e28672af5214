#include "mpar/safetensors.h"

#include "mpar/device.h"

#include "mpar/errors.h"
#include "mpar/world.h"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cstring>
#include <limits>
#include <optional>
#include <set>

namespace mpar {

namespace {

using Json = nlohmann::json;

/// Bytes of an element; 0 of a type that the format does not have.
int64_t element_bytes(const std::string &type) {
  static const std::map<std::string, int64_t> bytes = {
      {"BOOL", 1}, {"U8", 1},  {"I8", 1},  {"F8_E4M3", 1}, {"F8_E5M2", 1},
      {"I16", 2},  {"U16", 2}, {"F16", 2}, {"BF16", 2},    {"I32", 4},
      {"U32", 4},  {"F32", 4}, {"F64", 8}, {"I64", 8},     {"U64", 8}};
  auto found = bytes.find(type);
  return found == bytes.end() ? 0 : found->second;
}

// Takes a header apart as it is parsed. Accepts exactly {name: {dtype, shape, data_offsets},
// "__metadata__": {key: text}}; anything else, doubled names included, stops the parser. Nothing is
// built that the format does not have, so that no header, however deep or odd, costs more than its
// own size.
class HeaderHandler : public nlohmann::json_sax<Json> {
public:
  std::map<std::string, TensorEntry> tensors;
  std::map<std::string, std::string> metadata;
  std::string wrong; // why parsing stopped

  bool start_object(size_t) override {
    if (depth_ == 0 || (depth_ == 1 && !list_)) {
      if (++depth_ == 2) {
        fields_.clear();
        entry_ = {};
      }
      return true;
    }
    return stop("an object where there is none");
  }

  bool key(string_t &name) override {
    key_ = name;
    if (depth_ == 1) {
      name_ = name;
      if (!names_.insert(name).second)
        return stop("the name " + printable(name) + " twice");
      return true;
    }
    if (!fields_.insert(name).second)
      return stop(printable(name_) + " has " + printable(name) + " twice");
    if (!in_metadata() && name != "dtype" && name != "shape" && name != "data_offsets")
      return stop(printable(name_) + " has an unknown entry " + printable(name));
    return true;
  }

  bool end_object() override {
    if (depth_-- == 1 || in_metadata())
      return true;
    if (fields_.size() != 3)
      return stop(printable(name_) + " lacks one of dtype, shape and data_offsets");
    if (offsets_ != 2)
      return stop(printable(name_) + " has no two data_offsets");
    tensors.emplace(name_, std::move(entry_));
    offsets_ = 0;
    return true;
  }

  bool start_array(size_t) override {
    if (depth_ != 2 || in_metadata() || list_ || key_ == "dtype")
      return stop("a list where there is none");
    list_ = true;
    return true;
  }
  bool end_array() override {
    list_ = false;
    return true;
  }

  bool number_unsigned(number_unsigned_t value) override {
    if (!list_ || value > static_cast<uint64_t>(std::numeric_limits<int64_t>::max()))
      return stop(printable(name_) + " has a number where none can stand");
    int64_t number = static_cast<int64_t>(value);
    if (key_ == "shape") {
      entry_.shape.push_back(number);
      return entry_.shape.size() <= 64 || stop(printable(name_) + " has more than 64 dimensions");
    }
    (offsets_ == 0 ? entry_.begin : entry_.end) = number;
    return ++offsets_ <= 2 || stop(printable(name_) + " has more than two data_offsets");
  }

  bool string(string_t &value) override {
    if (depth_ == 2 && in_metadata())
      metadata.emplace(key_, value);
    else if (depth_ == 2 && key_ == "dtype" && !list_)
      entry_.type = value;
    else
      return stop("a text where there is none");
    return true;
  }

  bool null() override { return stop("a null"); }
  bool boolean(bool) override { return stop("a truth value"); }
  bool number_integer(number_integer_t) override { return stop("a negative number"); }
  bool number_float(number_float_t, const string_t &) override { return stop("a fraction"); }
  bool binary(binary_t &) override { return stop("binary data"); }
  bool parse_error(size_t position, const std::string &, const Json::exception &) override {
    return stop("broken JSON at byte " + std::to_string(position));
  }

private:
  bool stop(std::string why) {
    if (wrong.empty())
      wrong = std::move(why);
    return false;
  }
  bool in_metadata() const { return name_ == "__metadata__"; }

  int depth_ = 0;
  bool list_ = false;
  int offsets_ = 0;
  std::string name_;
  std::string key_;
  std::set<std::string> names_;
  std::set<std::string> fields_; // of the object that is open
  TensorEntry entry_;
};

std::string quoted(const std::string &text) {
  return Json(text).dump(-1, ' ', false, Json::error_handler_t::replace);
}

// Checks one entry against its own shape and against the size of the data.
void check_entry(const std::string &path, const std::string &name, const TensorEntry &entry,
                 int64_t data_bytes) {
  int64_t bytes = element_bytes(entry.type);
  if (bytes == 0)
    fail(path + ": " + printable(name) + " has the unknown type " + printable(entry.type));
  // An empty tensor stays one whatever its other extents are.
  bool empty = std::count(entry.shape.begin(), entry.shape.end(), 0) > 0;
  for (int64_t extent : entry.shape)
    if (!empty && __builtin_mul_overflow(bytes, extent, &bytes))
      fail(path + ": " + printable(name) + " has a shape that no tensor has");
  if (empty)
    bytes = 0;
  if (entry.begin > entry.end || entry.end > data_bytes)
    fail(path + ": the data of " + printable(name) + " lies outside the file");
  if (entry.end - entry.begin != bytes)
    fail(path + ": " + printable(name) + " has " + std::to_string(entry.end - entry.begin) +
         " bytes, its shape " + std::to_string(bytes));
}

// That the tensors, in the order they lie, begin where the one before ends, and fill the data.
void check_layout(const std::string &path, const std::map<std::string, TensorEntry> &tensors,
                  int64_t data_bytes) {
  std::vector<const std::pair<const std::string, TensorEntry> *> ordered;
  for (const auto &tensor : tensors) {
    check_entry(path, tensor.first, tensor.second, data_bytes);
    ordered.push_back(&tensor);
  }
  std::sort(ordered.begin(), ordered.end(), [](auto *a, auto *b) {
    return std::pair(a->second.begin, a->second.end) < std::pair(b->second.begin, b->second.end);
  });
  int64_t at = 0;
  for (const auto *tensor : ordered) {
    if (tensor->second.begin != at)
      fail(path + ": the data of " + printable(tensor->first) +
           (tensor->second.begin < at ? " overlaps another tensor's" : " leaves a gap before it"));
    at = tensor->second.end;
  }
  if (at != data_bytes)
    fail(path + ": " + std::to_string(data_bytes - at) + " bytes after the last tensor");
}

} // namespace

std::string printable(const std::string &name) {
  constexpr size_t most = 80;
  std::string text;
  for (char c : name.substr(0, most))
    text += (c >= ' ' && c <= '~') ? c : '?';
  return name.size() > most ? text + "…" : text;
}

SafetensorsReader::SafetensorsReader(const std::string &path) : file_(path) {
  constexpr uint64_t longest_header = 100000000; // the format's own limit
  if (file_.size() < 0)
    fail("cannot read " + path + ": it is not a regular file");
  if (file_.size() < 8)
    fail(path + ": not a safetensors file: shorter than 8 bytes");
  unsigned char length_bytes[8];
  file_.read_at(0, length_bytes, 8);
  uint64_t length = 0;
  for (int i = 7; i >= 0; --i)
    length = length << 8 | length_bytes[i];
  if (length > static_cast<uint64_t>(file_.size() - 8) || length > longest_header)
    fail(path + ": not a safetensors file, or truncated: its header would have " +
         std::to_string(length) + " bytes");
  std::string text(static_cast<size_t>(length), '\0');
  file_.read_at(8, text.data(), text.size());
  data_ = 8 + static_cast<int64_t>(length);

  HeaderHandler handler;
  if (text.empty() || text[0] != '{' || !Json::sax_parse(text, &handler))
    fail(path + ": not a safetensors file; its header: " +
         (handler.wrong.empty() ? "no opening brace" : handler.wrong));
  tensors_ = std::move(handler.tensors);
  metadata_ = std::move(handler.metadata);
  check_layout(path, tensors_, file_.size() - data_);
}

void SafetensorsReader::read(const TensorEntry &entry, void *buffer) const {
  file_.read_at(data_ + entry.begin, buffer, static_cast<size_t>(entry.end - entry.begin));
}

namespace {

// A tensor to be written, and where: bytes from where the data begins.
struct Placed {
  const SafetensorsContent::Tensor *tensor;
  int64_t bytes;
  int64_t begin;

  std::vector<TensorPiece> pieces() const {
    return tensor->data ? std::vector<TensorPiece>{{0, tensor->data, bytes}} : tensor->pieces;
  }
};

std::vector<Placed> place_tensors(const SafetensorsContent &content) {
  std::vector<Placed> placed;
  int64_t at = 0;
  for (int64_t width : {8, 4, 2, 1})
    for (const auto &tensor : content.tensors)
      if (element_bytes(tensor.type) == width) {
        placed.push_back({&tensor, width * element_count(tensor.shape), at});
        at += placed.back().bytes;
      }
  return placed;
}

// What stands before the data.
std::string header_of(const SafetensorsContent &content, const std::vector<Placed> &placed) {
  // Put together as text: an ordered JSON object would search all its names for each new one.
  std::string text = "{";
  if (!content.metadata.empty()) {
    text += "\"__metadata__\":{";
    for (size_t i = 0; i < content.metadata.size(); ++i)
      text += (i ? "," : "") + quoted(content.metadata[i].first) + ":" +
              quoted(content.metadata[i].second);
    text += "}";
  }
  for (const Placed &each : placed) {
    std::string shape;
    for (int64_t extent : each.tensor->shape)
      shape += (shape.empty() ? "" : ",") + std::to_string(extent);
    text += (text.size() > 1 ? "," : "") + quoted(each.tensor->name) + ":{\"dtype\":\"" +
            each.tensor->type + "\",\"shape\":[" + shape + "],\"data_offsets\":[" +
            std::to_string(each.begin) + "," + std::to_string(each.begin + each.bytes) + "]}";
  }
  text += "}";
  text.append((8 - text.size() % 8) % 8, ' ');
  std::string header;
  for (int i = 0; i < 8; ++i)
    header += static_cast<char>(static_cast<uint64_t>(text.size()) >> (8 * i));
  return header + text;
}

// All ranks write into one file, each what it has; rank 0 puts it in place once all is there.
void write_together(const std::string &path, const std::string &header,
                    const std::vector<Placed> &placed, World &world) {
  world.set_activity("to write a file");
  std::optional<OutputFile> file;
  world.together([&] {
    if (world.rank() == 0)
      file.emplace(path).write(header);
  });
  world.together([&] {
    if (world.rank() > 0)
      file.emplace(path, OutputFile::of_another_process);
    for (const Placed &each : placed)
      for (const TensorPiece &piece : each.pieces()) {
        int64_t at = static_cast<int64_t>(header.size()) + each.begin + piece.begin;
        visit_piece(piece, [&](const void *data, int64_t bytes) {
          file->write_at(at, data, static_cast<size_t>(bytes));
          at += bytes;
        });
      }
    if (world.rank() > 0)
      file->commit();
  });
  world.together([&] {
    if (world.rank() == 0)
      file->commit();
  });
}

} // namespace

void write_safetensors(const std::string &path, const SafetensorsContent &content, World *world) {
  const std::vector<Placed> placed = place_tensors(content);
  const std::string header = header_of(content, placed);
  if (world)
    return write_together(path, header, placed, *world);
  OutputFile file(path);
  file.write(header);
  for (const Placed &each : placed)
    for (const TensorPiece &piece : each.pieces())
      visit_piece(piece, [&](const void *data, int64_t bytes) {
        file.write(data, static_cast<size_t>(bytes));
      });
  file.commit();
}

void visit_piece(const TensorPiece &piece,
                 const std::function<void(const void *data, int64_t bytes)> &visit) {
  constexpr int64_t most = int64_t(16) << 20; // brought to the host at a time
  if (!piece.device || !piece.device->backend())
    return visit(piece.data, piece.bytes);
  std::vector<std::byte> here(static_cast<size_t>(std::min(most, piece.bytes)));
  for (int64_t at = 0; at < piece.bytes; at += most) {
    const int64_t bytes = std::min(most, piece.bytes - at);
    piece.device->read(here.data(), static_cast<const std::byte *>(piece.data) + at, bytes);
    visit(here.data(), bytes);
  }
}

int64_t element_count(const std::vector<int64_t> &shape) {
  int64_t count = 1;
  for (int64_t extent : shape)
    count *= extent;
  return count;
}

std::string shape_text(const std::vector<int64_t> &shape) {
  std::string text = "[";
  for (size_t i = 0; i < shape.size(); ++i)
    text += (i ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

} // namespace mpar
