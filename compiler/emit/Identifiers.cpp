// C++ identifiers made of the user's names, and the names that emitted code may not define.
#include "emit/Identifiers.h"

#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

using llvm::StringRef;

namespace mparc::emit {

/// Keywords of C++20, so that emitted code outlives the standard it was written for.
static constexpr const char *kKeywords[] = {"alignas",
                                            "alignof",
                                            "and",
                                            "and_eq",
                                            "asm",
                                            "auto",
                                            "bitand",
                                            "bitor",
                                            "bool",
                                            "break",
                                            "case",
                                            "catch",
                                            "char",
                                            "char8_t",
                                            "char16_t",
                                            "char32_t",
                                            "class",
                                            "compl",
                                            "concept",
                                            "const",
                                            "const_cast",
                                            "consteval",
                                            "constexpr",
                                            "constinit",
                                            "continue",
                                            "co_await",
                                            "co_return",
                                            "co_yield",
                                            "decltype",
                                            "default",
                                            "delete",
                                            "do",
                                            "double",
                                            "else",
                                            "dynamic_cast",
                                            "enum",
                                            "explicit",
                                            "export",
                                            "extern",
                                            "false",
                                            "final",
                                            "float",
                                            "for",
                                            "friend",
                                            "goto",
                                            "if",
                                            "inline",
                                            "int",
                                            "long",
                                            "mutable",
                                            "namespace",
                                            "new",
                                            "noexcept",
                                            "not",
                                            "not_eq",
                                            "nullptr",
                                            "operator",
                                            "or",
                                            "or_eq",
                                            "override",
                                            "private",
                                            "protected",
                                            "public",
                                            "register",
                                            "reinterpret_cast",
                                            "requires",
                                            "return",
                                            "short",
                                            "signed",
                                            "sizeof",
                                            "static",
                                            "static_assert",
                                            "static_cast",
                                            "struct",
                                            "switch",
                                            "template",
                                            "this",
                                            "thread_local",
                                            "throw",
                                            "true",
                                            "try",
                                            "typedef",
                                            "typeid",
                                            "typename",
                                            "union",
                                            "unsigned",
                                            "using",
                                            "virtual",
                                            "void",
                                            "volatile",
                                            "wchar_t",
                                            "while",
                                            "xor",
                                            "xor_eq"};

/// Classes of the runtime: whichever of them its headers declare, one of the same name would be
/// another where emitted code has `using namespace mpar`.
static constexpr const char *kRuntimeTypes[] = {"Activation",
                                                "ArrayLayout",
                                                "ArrayPlan",
                                                "AttentionSizes",
                                                "Backend",
                                                "Batch",
                                                "BatchPart",
                                                "Box",
                                                "Causal",
                                                "Checkpoint",
                                                "CollectiveAccess",
                                                "ColumnPlan",
                                                "ColumnRule",
                                                "Communicator",
                                                "Convolution",
                                                "CountPadding",
                                                "DataLoader",
                                                "DataSource",
                                                "Dataset",
                                                "Device",
                                                "DeviceDescription",
                                                "DeviceMap",
                                                "Dying",
                                                "ElementType",
                                                "EpochResult",
                                                "Errand",
                                                "Error",
                                                "Fetch",
                                                "GenerationSettings",
                                                "Generator",
                                                "Heads",
                                                "Index",
                                                "Index64",
                                                "Initializer",
                                                "InputFile",
                                                "KeptRows",
                                                "Launch",
                                                "LearningRateSchedule",
                                                "LossScaling",
                                                "Machine",
                                                "MapTarget",
                                                "MappedFile",
                                                "MemoryAccess",
                                                "Model",
                                                "ModelDescription",
                                                "ModelFactory",
                                                "NonFinite",
                                                "NormalDistribution",
                                                "OptimizerSettings",
                                                "Options",
                                                "OutputFile",
                                                "ParameterDescription",
                                                "ParameterPiece",
                                                "Part",
                                                "PeerLost",
                                                "PeerWait",
                                                "Pooling",
                                                "PortDescription",
                                                "Process",
                                                "Progress",
                                                "Range",
                                                "RankTurn",
                                                "Reads",
                                                "Reduction",
                                                "ReplicaStep",
                                                "ResidentData",
                                                "Rounding",
                                                "RowRange",
                                                "SafetensorsContent",
                                                "SafetensorsReader",
                                                "Same",
                                                "Schedule",
                                                "Seat",
                                                "Settings",
                                                "Shape",
                                                "SplitExponential",
                                                "StageDescription",
                                                "StagedPort",
                                                "Stopped",
                                                "Store",
                                                "Stretch",
                                                "Strided",
                                                "Strides",
                                                "Table",
                                                "TensorEntry",
                                                "TensorPiece",
                                                "Tokens",
                                                "Trace",
                                                "TraceSummary",
                                                "TrainingDefaults",
                                                "TrainingHooks",
                                                "TrainingSettings",
                                                "TrainingState",
                                                "Transport",
                                                "Transpose",
                                                "Turn",
                                                "TurnChecker",
                                                "TurnEntry",
                                                "TurnObserver",
                                                "View",
                                                "WeightLayout",
                                                "Workers",
                                                "World"};

/// What else emitted code takes from the runtime, and its own fixed names: hiding one would change
/// what another line means.
static constexpr const char *kRuntimeNames[] = {
    "abs", "adagrad", "adam", "adamw", "add_gradients", "all_gather", "all_gather_gradients",
    "all_gather_parameters", "arena_bytes", "argmax", "attention", "attention_gradient", "avg_pool",
    "avg_pool_gradient", "batch", "batch_rows", "bfloat16", "binary_cross_entropy", "check",
    "check_ids", "check_parts", "check_targets", "clamp", "clip_scale", "conv",
    "conv_input_gradient", "conv_weight_gradient", "copy", "cos", "cross_entropy",
    "cross_entropy_gradient", "describe", "describe_accesses", "description", "device",
    "dropout_scale", "enter", "evaluate", "exp", "fail", "fill", "find_input", "find_target",
    "first_row", "float16", "for_each_microbatch", "for_each_part", "for_each_share", "forward",
    "gather", "gelu", "gradient", "has_device", "hyperparameters", "initialize", "input_rows",
    "int32_t", "int64_t", "keep_output", "kept_output", "largest_batch", "layer_norm",
    "layer_norm_gradient", "learning_rate", "linear", "load", "log", "log_softmax", "loss_scale",
    "loss_scaling", "machine", "main", "make", "make_turns", "map", "matmul", "max_pool",
    "max_pool_gradient", "maximum", "minimum", "most_rows", "mpar", "optimizer", "optimizer_slots",
    "output", "output_for_target", "output_from", "parameter", "part", "pow", "predict", "reduce",
    "reduce_scatter", "reduce_scatter_gradients", "relu", "remainder", "rms_norm",
    "rms_norm_gradient", "rmsprop", "rows", "rows_of_piece", "rsqrt", "run_program", "run_steps",
    "run_turns", "save", "scatter_add", "schedule", "schedule_name", "seed", "settings", "sgd",
    "share_loss_scaling", "sharing_threads", "sigmoid", "sign", "silu", "sin", "softmax", "sqrt",
    "Stage", "squared_norm", "std", "step", "store", "strided", "sum_over_threads", "sum_rows",
    "tanh", "target_rows", "train_step", "transfer", "uint32_t", "uint64_t", "unscale", "updates",
    "value_from", "whole",
    // lower-case macros of the C library and of GNU dialects
    "alloca", "assert", "errno", "i386", "isfinite", "isinf", "isnan", "isnormal", "linux",
    "offsetof", "setjmp", "signbit", "stderr", "stdin", "stdout", "unix",
    // functions of the C library that a class may not share a name with where it is constructed
    "abort", "exit", "free", "malloc", "read", "write", "time", "index", "signal", "select"};

/// Upper-case macros of the standard library's headers.
static constexpr const char *kMacros[] = {
    "BIG_ENDIAN",   "BUFSIZ",    "BYTE_ORDER",    "CHAR_BIT", "CHAR_MAX",     "CHAR_MIN",
    "E2BIG",        "EACCES",    "EAGAIN",        "EBADF",    "EBUSY",        "ECHILD",
    "EDOM",         "EEXIST",    "EFAULT",        "EFBIG",    "EINTR",        "EINVAL",
    "EIO",          "EISDIR",    "EMFILE",        "EMLINK",   "ENFILE",       "ENODEV",
    "ENOENT",       "ENOEXEC",   "ENOMEM",        "ENOSPC",   "ENOSYS",       "ENOTDIR",
    "ENOTTY",       "ENXIO",     "EOF",           "EPERM",    "EPIPE",        "ERANGE",
    "EROFS",        "ESPIPE",    "ESRCH",         "ETIME",    "EXDEV",        "EXIT_FAILURE",
    "EXIT_SUCCESS", "FD_CLR",    "FD_SET",        "FD_ZERO",  "FILENAME_MAX", "FP_NAN",
    "FP_INFINITE",  "FP_NORMAL", "FP_ZERO",       "HUGE_VAL", "INFINITY",     "INT_MAX",
    "INT_MIN",      "LC_ALL",    "LITTLE_ENDIAN", "LONG_MAX", "LONG_MIN",     "MB_CUR_MAX",
    "M_E",          "M_PI",      "NAN",           "NULL",     "RAND_MAX",     "SEEK_CUR",
    "SEEK_END",     "SEEK_SET",  "SIZE_MAX",      "SNAN",     "TMP_MAX",      "UINT_MAX",
    "WCHAR_MAX",    "WCHAR_MIN", "WEOF",          "CSIGNAL",  "MATH_ERRNO"};

static llvm::StringSet<> makeReserved() {
  llvm::StringSet<> names;
  for (const char *name : kKeywords)
    names.insert(name);
  for (const char *name : kRuntimeTypes)
    names.insert(name);
  for (const char *name : kRuntimeNames)
    names.insert(name);
  for (const char *name : kMacros)
    names.insert(name);
  return names;
}

bool isReserved(StringRef name) {
  static const llvm::StringSet<> reserved = makeReserved();
  // `d0`, `d1`, …: the devices.
  bool device =
      name.size() > 1 && name.front() == 'd' && llvm::all_of(name.drop_front(), llvm::isDigit);
  // `rows_0_of_2`: pieces of the rows.
  bool piece = name.starts_with("rows_") && name.contains("_of_");
  return device || piece || reserved.contains(name);
}

std::string makeIdentifier(StringRef name) {
  std::string identifier;
  for (char c : name) {
    bool separator = !llvm::isAlnum(c);
    if (separator && (identifier.empty() || identifier.back() == '_'))
      continue;
    identifier += separator ? '_' : c;
  }
  while (!identifier.empty() && identifier.back() == '_')
    identifier.pop_back();
  if (identifier.empty())
    identifier = "value";
  if (llvm::isDigit(identifier.front()))
    identifier = "value_" + identifier;
  return isReserved(identifier) ? identifier + "_value" : identifier;
}

std::string toCamelCase(StringRef name) {
  std::string camel;
  bool start = true;
  for (char c : name) {
    if (c == '_' || c == '.') {
      start = true;
      continue;
    }
    camel += start ? llvm::toUpper(c) : c;
    start = false;
  }
  return camel;
}

std::string Scope::unique(StringRef name) {
  std::string candidate = name.str();
  // A member keeps its underscore at the end: `h_`, `h_2_`.
  bool member = name.ends_with("_");
  StringRef stem = member ? name.drop_back() : name;
  while (!taken.insert(candidate).second) {
    unsigned &number = next.try_emplace(name, 1).first->second;
    candidate = (stem + "_" + llvm::Twine(++number) + (member ? "_" : "")).str();
  }
  return candidate;
}

} // namespace mparc::emit
