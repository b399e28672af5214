#include "mpar/file.h"

#include "mpar/errors.h"

#include <cerrno>
#include <climits>
#include <cstdlib>
#include <cstring>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

namespace mpar {

namespace {

[[noreturn]] void fail_with_errno(const std::string &what, const std::string &path) {
  int error = errno;
  fail("cannot " + what + " " + path + ": " + std::strerror(error));
}

} // namespace

InputFile::InputFile(const std::string &path) : path_(path) {
  descriptor_ = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor_ < 0)
    fail_with_errno("read", path);
  struct stat information;
  bool known = fstat(descriptor_, &information) == 0;
  if (known && S_ISDIR(information.st_mode)) {
    close(descriptor_);
    fail("cannot read " + path + ": it is a directory");
  }
  if (known && S_ISREG(information.st_mode))
    size_ = information.st_size;
}

InputFile::~InputFile() { close(descriptor_); }

size_t InputFile::read(void *buffer, size_t bytes) {
  size_t done = 0;
  while (done < bytes) {
    ssize_t got = ::read(descriptor_, static_cast<char *>(buffer) + done, bytes - done);
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      fail_with_errno("read", path_);
    if (got == 0)
      break;
    done += static_cast<size_t>(got);
  }
  return done;
}

void InputFile::read_at(int64_t offset, void *buffer, size_t bytes) const {
  size_t done = 0;
  while (done < bytes) {
    ssize_t got = pread(descriptor_, static_cast<char *>(buffer) + done, bytes - done,
                        offset + static_cast<int64_t>(done));
    if (got < 0 && errno == EINTR)
      continue;
    if (got < 0)
      fail_with_errno("read", path_);
    if (got == 0)
      fail("cannot read " + path_ + ": it ends early");
    done += static_cast<size_t>(got);
  }
}

MappedFile::MappedFile(const std::string &path) {
  int descriptor = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (descriptor < 0)
    fail_with_errno("read", path);
  struct stat information;
  bool known = fstat(descriptor, &information) == 0;
  if (!known || !S_ISREG(information.st_mode)) {
    close(descriptor);
    fail("cannot read " + path + ": it is " +
         (known && S_ISDIR(information.st_mode) ? "a directory" : "not a regular file"));
  }
  size_ = information.st_size;
  if (size_ > 0) {
    void *memory = mmap(nullptr, static_cast<size_t>(size_), PROT_READ, MAP_PRIVATE, descriptor, 0);
    if (memory == MAP_FAILED) {
      int error = errno;
      close(descriptor);
      errno = error;
      fail_with_errno("read", path);
    }
    bytes_ = static_cast<const std::byte *>(memory);
  }
  close(descriptor);
}

MappedFile::~MappedFile() {
  if (bytes_)
    munmap(const_cast<std::byte *>(bytes_), static_cast<size_t>(size_));
}

namespace {

// The file a write to `path` would reach, links followed; `path` itself where nothing is there yet.
std::string resolve(const std::string &path) {
  char *resolved = realpath(path.c_str(), nullptr);
  if (!resolved)
    return path;
  std::string result = resolved;
  std::free(resolved);
  return result;
}

std::string directory_of(const std::string &path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos)
    return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// Opens the part of a file for this process alone, emptied. The lock, and not the name, is what
// keeps two runs apart: a part without a lock was left by a killed run.
int open_part(const std::string &part, const std::string &path) {
  for (;;) {
    int descriptor = open(part.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    if (descriptor < 0)
      fail_with_errno("write", path);
    if (flock(descriptor, LOCK_EX | LOCK_NB) != 0) {
      int error = errno;
      close(descriptor);
      if (error == EWOULDBLOCK)
        fail("cannot write " + path + ": another process is writing it");
      errno = error;
      fail_with_errno("lock", part);
    }
    // Between opening and locking, its last writer may have renamed it away.
    struct stat opened, named;
    if (fstat(descriptor, &opened) == 0 && stat(part.c_str(), &named) == 0 &&
        opened.st_ino == named.st_ino && opened.st_dev == named.st_dev) {
      if (ftruncate(descriptor, 0) == 0)
        return descriptor;
      int error = errno;
      close(descriptor);
      errno = error;
      fail_with_errno("write", path);
    }
    close(descriptor);
  }
}

} // namespace

OutputFile::OutputFile(const std::string &path) : path_(path), target_(resolve(path)) {
  struct stat information;
  if (stat(target_.c_str(), &information) == 0 && !S_ISREG(information.st_mode)) {
    descriptor_ = open(target_.c_str(), O_WRONLY | O_CLOEXEC);
    if (descriptor_ < 0)
      fail_with_errno("write", path_);
    return;
  }
  part_ = target_ + ".part";
  descriptor_ = open_part(part_, path_);
}

OutputFile::OutputFile(const std::string &path, OfAnother)
    : path_(path), target_(resolve(path)), of_another_(true) {
  struct stat information;
  const bool regular = stat(target_.c_str(), &information) != 0 || S_ISREG(information.st_mode);
  if (regular)
    part_ = target_ + ".part";
  descriptor_ = open((regular ? part_ : target_).c_str(), O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
  if (descriptor_ < 0)
    fail_with_errno("write", path_);
}

OutputFile::~OutputFile() {
  if (!part_.empty() && !committed_ && !of_another_)
    unlink(part_.c_str());
  close(descriptor_);
}

void OutputFile::write(const void *data, size_t bytes) {
  constexpr size_t enough = 1 << 16;
  if (bytes >= enough) {
    flush();
    write_now(data, bytes);
    return;
  }
  pending_.append(static_cast<const char *>(data), bytes);
  if (pending_.size() >= enough)
    flush();
}

void OutputFile::write_now(const void *data, size_t bytes) {
  size_t done = 0;
  while (done < bytes) {
    ssize_t written = ::write(descriptor_, static_cast<const char *>(data) + done, bytes - done);
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      fail_with_errno("write", path_);
    done += static_cast<size_t>(written);
  }
}

void OutputFile::write_at(int64_t offset, const void *data, size_t bytes) {
  flush();
  for (size_t done = 0; done < bytes;) {
    const ssize_t written = pwrite(descriptor_, static_cast<const char *>(data) + done,
                                   bytes - done, offset + static_cast<int64_t>(done));
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      fail_with_errno("write", path_);
    done += static_cast<size_t>(written);
  }
}

void OutputFile::flush() {
  write_now(pending_.data(), pending_.size());
  pending_.clear();
}

void OutputFile::commit() {
  flush();
  if (part_.empty()) {
    committed_ = true;
    return;
  }
  if (of_another_) {
    if (fsync(descriptor_) != 0)
      fail_with_errno("write", path_);
    committed_ = true;
    return;
  }
  if (fsync(descriptor_) != 0 || rename(part_.c_str(), target_.c_str()) != 0)
    fail_with_errno("write", path_);
  committed_ = true;
  int directory = open(directory_of(target_).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (directory >= 0) {
    // Some file systems cannot sync a directory; the file itself is safe by then.
    fsync(directory);
    close(directory);
  }
}

void check_writable(const std::string &path) {
  std::string target = resolve(path);
  struct stat information;
  bool exists = stat(target.c_str(), &information) == 0;
  if (exists && S_ISDIR(information.st_mode))
    fail("cannot write " + path + ": it is a directory");
  if (exists && !S_ISREG(information.st_mode)) {
    if (access(target.c_str(), W_OK) != 0)
      fail_with_errno("write", path);
    return;
  }
  // With a dot, so that a file where the directory should be is called one.
  if (access((directory_of(target) + "/.").c_str(), W_OK | X_OK) != 0)
    fail_with_errno("write", path);
}

} // namespace mpar
