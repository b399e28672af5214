// Where NCCL is found: by the loader's own ways, else where it was when this was built.
#include "nccl_library.h"

#ifdef MPAR_NCCL
#include "mpar/errors.h"

#include <string>
#ifndef MPAR_CUDA_EMULATION
#include <cstdlib>
#include <dlfcn.h>
#endif

namespace mpar::cuda {
namespace {

/// The oldest that has all of what is used, for communicators whose calls do not block.
constexpr int least_version = NCCL_VERSION(2, 19, 0);

#ifdef MPAR_CUDA_EMULATION
// What stands in for it is part of the program.
#define MPAR_NCCL_FUNCTION(name) (&name)
struct Place {};
Place find_library() { return {}; }
#else
#define MPAR_NCCL_FUNCTION(name) (find_function<decltype(&name)>(library, #name))

void *find_library() {
  std::string why;
  const char *const chosen = std::getenv("MPAR_NCCL_LIBRARY");
  for (const std::string place : {chosen ? chosen : "libnccl.so.2", chosen ? "" : MPAR_NCCL}) {
    if (place.empty())
      continue;
    if (void *const library = dlopen(place.c_str(), RTLD_NOW | RTLD_LOCAL))
      return library;
    why += (why.empty() ? "" : "; ") + std::string(dlerror());
  }
  fail("ranks on GPUs need NCCL: " + why + "; MPAR_NCCL_LIBRARY may name its file");
}

template <typename Function> Function find_function(void *library, const char *name) {
  void *const address = dlsym(library, name);
  if (!address)
    fail(std::string("NCCL has no ") + name + ": it is another version than " +
         std::to_string(NCCL_MAJOR) + "." + std::to_string(NCCL_MINOR) +
         ", which this was built for");
  return reinterpret_cast<Function>(address);
}
#endif

NcclLibrary load() {
  [[maybe_unused]] const auto library = find_library();
  const NcclLibrary found = {
      MPAR_NCCL_FUNCTION(ncclGetUniqueId),    MPAR_NCCL_FUNCTION(ncclCommInitRankConfig),
      MPAR_NCCL_FUNCTION(ncclCommFinalize),   MPAR_NCCL_FUNCTION(ncclCommDestroy),
      MPAR_NCCL_FUNCTION(ncclCommAbort),      MPAR_NCCL_FUNCTION(ncclCommGetAsyncError),
      MPAR_NCCL_FUNCTION(ncclMemAlloc),       MPAR_NCCL_FUNCTION(ncclMemFree),
      MPAR_NCCL_FUNCTION(ncclCommRegister),   MPAR_NCCL_FUNCTION(ncclCommDeregister),
      MPAR_NCCL_FUNCTION(ncclSend),           MPAR_NCCL_FUNCTION(ncclRecv),
      MPAR_NCCL_FUNCTION(ncclGroupStart),     MPAR_NCCL_FUNCTION(ncclGroupEnd),
      MPAR_NCCL_FUNCTION(ncclGetErrorString), MPAR_NCCL_FUNCTION(ncclGetLastError),
      MPAR_NCCL_FUNCTION(ncclGetVersion)};
  int version = 0;
  if (found.get_version(&version) != ncclSuccess || version < least_version)
    fail("NCCL is of version " + std::to_string(version) + "; ranks on GPUs need " +
         std::to_string(least_version) + " or newer");
  return found;
}

} // namespace

const NcclLibrary &nccl() {
  static const NcclLibrary library = load();
  return library;
}

} // namespace mpar::cuda
#endif
