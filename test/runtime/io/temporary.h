// A directory of a test's own, and what tests do in it.
#pragma once

#include "mpar/errors.h"

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <unistd.h>

namespace test {

/// A fresh directory, removed with all that is in it.
class TemporaryDirectory {
public:
  TemporaryDirectory() {
    // In memory where that is possible: the tests flush thousands of files to the disk.
    std::string parent = std::filesystem::temp_directory_path();
    if (access("/dev/shm", W_OK) == 0)
      parent = "/dev/shm";
    std::string pattern = parent + "/mpar-XXXXXX";
    path_ = mkdtemp(pattern.data());
  }
  ~TemporaryDirectory() { std::filesystem::remove_all(path_); }

  std::string path(const std::string &name) const { return path_ + "/" + name; }
  /// Writes a file and returns its path.
  std::string write(const std::string &name, const std::string &content) const {
    std::ofstream(path(name), std::ios::binary) << content;
    return path(name);
  }
  /// How many files there are.
  int count() const {
    auto files = std::filesystem::directory_iterator(path_);
    return static_cast<int>(std::distance(begin(files), end(files)));
  }

private:
  std::string path_;
};

inline std::string read_file(const std::string &path) {
  std::ostringstream content;
  content << std::ifstream(path, std::ios::binary).rdbuf();
  return content.str();
}

/// What `function` fails with, without `prefix`; "" where it does not fail.
template <typename Function>
std::string failure(Function function, const std::string &prefix = "") {
  try {
    function();
  } catch (const mpar::Error &error) {
    std::string text = error.what();
    size_t at = text.find(prefix);
    if (!prefix.empty() && at != std::string::npos)
      text.erase(at, prefix.size());
    return text;
  }
  return "";
}

} // namespace test
