// One long sequence of tokens in a file, which stays on the disk: what is read is mapped.
#pragma once

#include "mpar/file.h"
#include "mpar/model.h"

#include <cstddef>
#include <cstdint>
#include <string>

namespace mpar {

/// The tokens of a file. Immutable; the file must not shrink while it is open, as a mapped page
/// that is no longer in it ends the process.
class Tokens {
public:
  /// `kind` text: each byte is a token. `kind` tokens: a .npy file of one dimension, of u1, u2, u4,
  /// i4 or i8, or else little-endian numbers of type `token`, one after the other. Fails, naming
  /// the file, where it is empty or holds something else.
  explicit Tokens(const DataSource &source);

  /// What a token is stored as.
  enum class Width { u8, u16, u32, i32, i64 };
  Width width() const { return width_; }
  int64_t token_bytes() const;
  /// Where the first of them lies as it is stored.
  const std::byte *bytes() const { return file_.bytes() + begin_; }

  int64_t count() const { return count_; }
  /// Tokens [first, first + count); one beyond i32 reads as −1, which is in no table.
  void read(int64_t first, int64_t count, int32_t *to) const;

private:
  void open_array(const std::string &path);

  MappedFile file_;
  Width width_ = Width::u8;
  int64_t begin_ = 0; // bytes before the first token
  int64_t count_ = 0;
};

} // namespace mpar
