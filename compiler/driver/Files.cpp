// Writing files whole or not at all, and where the parts of an installation are.
#include "driver/Files.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/Twine.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/raw_ostream.h"

#include <cerrno>
#include <cstring>
#include <fcntl.h>
#include <filesystem>
#include <sys/stat.h>
#include <unistd.h>

namespace path = llvm::sys::path;
namespace fs = llvm::sys::fs;

namespace mparc {

int fail(const llvm::Twine &message) {
  llvm::errs() << "mparc: " << message << '\n';
  return 1;
}

/// Writes everything, or sets errno.
static bool writeAll(int file, llvm::StringRef text) {
  while (!text.empty()) {
    ssize_t written = ::write(file, text.data(), text.size());
    if (written < 0 && errno == EINTR)
      continue;
    if (written < 0)
      return false;
    text = text.drop_front(written);
  }
  return true;
}

static bool refuse(const std::string &where) {
  fail("cannot write " + where + ": " + std::strerror(errno));
  return false;
}

bool writeFile(const std::string &given, llvm::StringRef text) {
  if (given == "-")
    return writeAll(STDOUT_FILENO, text) || refuse("standard output");
  struct stat status;
  bool exists = ::stat(given.c_str(), &status) == 0;
  if (exists && S_ISDIR(status.st_mode)) {
    errno = EISDIR;
    return refuse(given);
  }
  if (exists && !S_ISREG(status.st_mode)) { // a terminal, a pipe, /dev/null: nothing to rename over
    int file = ::open(given.c_str(), O_WRONLY);
    bool done = file >= 0 && writeAll(file, text);
    if (!done)
      refuse(given);
    if (file >= 0)
      ::close(file);
    return done;
  }
  // Through a symbolic link the file it points to is replaced, not the link.
  llvm::SmallString<128> target(given);
  if (exists)
    fs::real_path(given, target);
  std::string temporary = (target + ".XXXXXX").str();
  int file = ::mkstemp(temporary.data());
  if (file < 0)
    return refuse(given);
  mode_t mask = ::umask(0);
  ::umask(mask);
  bool done =
      writeAll(file, text) && ::fchmod(file, exists ? status.st_mode & 07777 : 0666 & ~mask) == 0;
  int error = errno;
  bool closed = ::close(file) == 0;
  if (done && !closed)
    error = errno;
  if (done && closed && ::rename(temporary.c_str(), target.c_str()) == 0)
    return true;
  if (done && closed)
    error = errno;
  ::unlink(temporary.c_str());
  errno = error;
  return refuse(given);
}

bool isSameFile(const std::string &a, const std::string &b) {
  if (fs::exists(a) && fs::exists(b))
    return fs::is_regular_file(a) && fs::equivalent(a, b);
  return std::filesystem::absolute(a).lexically_normal() ==
         std::filesystem::absolute(b).lexically_normal();
}

std::string quoteForShell(llvm::StringRef word) {
  auto isPlain = [](char c) {
    return llvm::isAlnum(c) || llvm::StringRef("_-+=.,:/@%^").contains(c);
  };
  if (!word.empty() && llvm::all_of(word, isPlain))
    return word.str();
  std::string quoted = "'";
  for (char c : word)
    quoted += c == '\'' ? "'\\''" : std::string(1, c);
  return quoted + "'";
}

Installation findInstallation(const char *program) {
  static int anchor; // any address of this program
  llvm::SmallString<256> prefix(fs::getMainExecutable(program, &anchor));
  path::remove_filename(prefix);
  path::append(prefix, "..");
  auto inPrefix = [&](llvm::StringRef relative) {
    llvm::SmallString<256> whole(prefix);
    path::append(whole, relative);
    path::remove_dots(whole, /*remove_dot_dot=*/true);
    return std::string(whole);
  };
  Installation installed{inPrefix("share/mparc/stdlib"), inPrefix(MPARC_INSTALL_INCLUDE),
                         inPrefix(MPARC_INSTALL_LIBRARY)};
  if (!fs::is_directory(installed.stdlib))
    installed = {MPARC_SOURCE "/stdlib", MPARC_SOURCE "/runtime/include",
                 MPARC_BUILD "/runtime/libmpar.a"};
  if (const char *directory = std::getenv("MPARC_STDLIB"))
    installed.stdlib = directory;
  return installed;
}

} // namespace mparc
