// Files: reading with clear failures, and writing so that a file is there whole or not at all.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace mpar {

/// A file open for reading. Every failure (no such file, a directory, a read error) is an Error
/// naming the path.
class InputFile {
public:
  explicit InputFile(const std::string &path);
  InputFile(const InputFile &) = delete;
  InputFile &operator=(const InputFile &) = delete;
  ~InputFile();

  const std::string &path() const { return path_; }
  /// Bytes of a regular file; -1 of a pipe or device, whose size is not known.
  int64_t size() const { return size_; }
  /// Reads the next bytes; fewer than asked for only at the end of the file. Returns how many.
  size_t read(void *buffer, size_t bytes);
  /// Reads `bytes` from `offset` on; fails where the file ends before.
  void read_at(int64_t offset, void *buffer, size_t bytes) const;

private:
  std::string path_;
  int descriptor_;
  int64_t size_ = -1;
};

/// A regular file whose bytes are read as memory, page by page as they are needed. Every failure is
/// an Error naming the path.
class MappedFile {
public:
  explicit MappedFile(const std::string &path);
  MappedFile(const MappedFile &) = delete;
  MappedFile &operator=(const MappedFile &) = delete;
  ~MappedFile();

  int64_t size() const { return size_; }
  /// Null where the file is empty.
  const std::byte *bytes() const { return bytes_; }

private:
  const std::byte *bytes_ = nullptr;
  int64_t size_ = 0;
};

/// A file being written. What is written goes to `<path>.part` in the same directory, which
/// `commit` renames, so that a reader or a killed run never sees half of it; destroyed without
/// `commit`, it leaves the old file and removes the part. A part left by a killed run is used
/// again; one that another process is writing is refused. A path that exists and is no regular file
/// (a device, a pipe) is written directly.
class OutputFile {
public:
  explicit OutputFile(const std::string &path);
  /// The part that another process has opened and will put in place: `commit` is then to make sure
  /// that what was written is on the disk.
  enum OfAnother { of_another_process };
  OutputFile(const std::string &path, OfAnother);
  OutputFile(const OutputFile &) = delete;
  OutputFile &operator=(const OutputFile &) = delete;
  ~OutputFile();

  /// Fails where the disk is full or another error occurs; the part is then removed by the
  /// destructor.
  void write(const void *data, size_t bytes);
  void write(std::string_view text) { write(text.data(), text.size()); }
  /// The same at a place of its own: bytes from the file's beginning.
  void write_at(int64_t offset, const void *data, size_t bytes);
  /// Puts the file in place, on the disk itself before the new name, and the name before it
  /// returns.
  void commit();

private:
  void write_now(const void *data, size_t bytes);
  void flush();

  std::string path_;    // as the user named it
  std::string target_;  // with symbolic links followed
  std::string part_;    // empty: written directly
  std::string pending_; // not yet handed to the system
  int descriptor_ = -1;
  bool committed_ = false;
  bool of_another_ = false;
};

/// Fails where `path` could not be written at the end of a run: its directory is missing or
/// read-only, or it is a directory itself. Touches nothing.
void check_writable(const std::string &path);

} // namespace mpar
