// What the command line asks for.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace mparc {

enum class Verb { compile, build, run, report, format };

struct Options {
  Verb verb = Verb::compile;
  std::string input;                  // the model
  std::vector<std::string> files;     // of `fmt`
  std::string output;                 // -o
  std::string header;                 // --header
  bool main = true;                   // not --no-main
  std::string stage;                  // --emit
  std::string model;                  // --model: which of the file's
  bool check = false;                 // fmt --check
  std::string trace, drawing;         // of `report`: --trace, --svg
  std::vector<std::string> arguments; // of `run`, after `--`
  bool cuda = false;                  // of `build` and `run`: with nvcc

  /// `--set` and the entries of the train block, as expressions of the language.
  std::vector<std::pair<std::string, std::string>> settings, trainEntries;
  std::vector<std::string> includes; // --include: folders of the user's headers
  /// Set by reports, not by a flag: as if no part were recomputed.
  bool keepActivations = false;
  std::optional<int64_t> devices; // --devices: how many there are
  std::optional<int64_t> memory;  // --memory: bytes of each

  std::string printAfter; // a pass
  bool printAfterAll = false;
  bool verifyDiagnostics = false;
  bool verifyOutput = false;

  std::string command; // the whole line, for the head of what is written
};

/// Reads the command line. Where it is wrong, or asks for help, prints what there is to say and
/// returns the exit status instead in `status`: 2, or 0.
std::optional<Options> readOptions(int argc, char **argv, int &status);

} // namespace mparc
