#include "mpar/tokens.h"

#include "mpar/errors.h"
#include "mpar/npy.h"

#include <cstring>
#include <limits>
#include <tuple>

namespace mpar {

namespace {

template <typename T> int32_t to_token(const std::byte *at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  if constexpr (sizeof value < sizeof(int32_t))
    return value;
  else
    return static_cast<int64_t>(value) > std::numeric_limits<int32_t>::max() ||
                   static_cast<int64_t>(value) < std::numeric_limits<int32_t>::min()
               ? -1
               : static_cast<int32_t>(value);
}

template <typename T> void convert(const std::byte *from, int64_t count, int32_t *to) {
  for (int64_t i = 0; i < count; ++i)
    to[i] = to_token<T>(from + i * static_cast<int64_t>(sizeof(T)));
}

} // namespace

Tokens::Tokens(const DataSource &source) : file_(source.path) {
  const std::string &path = source.path;
  if (file_.size() == 0)
    fail(path + " is empty");
  if (source.kind == DataSource::Kind::text) {
    count_ = file_.size();
    return;
  }
  if (path.size() >= 4 && path.compare(path.size() - 4, 4, ".npy") == 0) {
    open_array(path);
    return;
  }
  switch (source.token) {
  case DataSource::Token::u8:
    break;
  case DataSource::Token::u16:
    width_ = Width::u16;
    break;
  case DataSource::Token::i32:
    width_ = Width::i32;
    break;
  }
  const int64_t bytes = token_bytes();
  if (file_.size() % bytes != 0)
    fail(path + " has " + std::to_string(file_.size()) + " bytes, which are no tokens of " +
         std::to_string(bytes) + " bytes each");
  count_ = file_.size() / bytes;
}

void Tokens::open_array(const std::string &path) {
  const ArrayLayout layout = read_npy_layout(path);
  int64_t bytes = 0;
  for (auto [name, width, size] : {std::tuple{"u1", Width::u8, 1}, std::tuple{"u2", Width::u16, 2},
                                   std::tuple{"u4", Width::u32, 4}, std::tuple{"i4", Width::i32, 4},
                                   std::tuple{"i8", Width::i64, 8}}) {
    const bool in_order = layout.type.size() == 3 && (layout.type[0] == '<' || size == 1);
    if (in_order && layout.type.compare(1, 2, name) == 0) {
      width_ = width;
      bytes = size;
    }
  }
  if (bytes == 0)
    fail(path + ": elements of type " + layout.type +
         " are no tokens; expected u1, u2, u4, i4 or i8, little-endian");
  if (layout.shape.size() != 1)
    fail(path + ": tokens are an array of one dimension, this has " +
         std::to_string(layout.shape.size()));
  begin_ = layout.begin;
  count_ = layout.shape[0];
  if (count_ > file_.size() / bytes || begin_ + count_ * bytes != file_.size())
    fail(path + ": the file has " + std::to_string(file_.size() - begin_) +
         " bytes of data, which is not what its header says");
  if (count_ == 0)
    fail(path + " is empty");
}

int64_t Tokens::token_bytes() const {
  switch (width_) {
  case Width::u8:
    return 1;
  case Width::u16:
    return 2;
  case Width::u32:
  case Width::i32:
    return 4;
  case Width::i64:
    return 8;
  }
  return 1;
}

void Tokens::read(int64_t first, int64_t count, int32_t *to) const {
  const std::byte *const from = bytes() + first * token_bytes();
  switch (width_) {
  case Width::u8:
    return convert<uint8_t>(from, count, to);
  case Width::u16:
    return convert<uint16_t>(from, count, to);
  case Width::u32:
    return convert<uint32_t>(from, count, to);
  case Width::i32:
    return convert<int32_t>(from, count, to);
  case Width::i64:
    return convert<int64_t>(from, count, to);
  }
}

} // namespace mpar
