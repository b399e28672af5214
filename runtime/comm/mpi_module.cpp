// Loads the module that speaks to MPI.
#include "mpar/errors.h"
#include "mpar/world.h"

#include <cstdlib>
#include <dlfcn.h>

namespace mpar {

std::unique_ptr<Transport> open_mpi() {
  std::vector<std::string> places;
  if (const char *chosen = std::getenv("MPAR_MPI_MODULE"))
    places = {chosen};
  else
    // Where the program was linked to look, or the runtime was built to be.
    places = {"libmpar_mpi.so" MPAR_MPI_MODULES};
  std::string why;
  for (const std::string &place : places) {
    // The components that Open MPI loads look for its names among all.
    void *const module = dlopen(place.c_str(), RTLD_NOW | RTLD_GLOBAL);
    if (!module) {
      why += (why.empty() ? "" : "; ") + std::string(dlerror());
      continue;
    }
    using Open = Transport *();
    if (auto *const open = reinterpret_cast<Open *>(dlsym(module, "mpar_open_mpi")))
      return std::unique_ptr<Transport>(open());
    why = place + " is no module of mparc's";
  }
  fail(
      "started by mpirun, but there is no module for MPI: " + why +
      "; MPAR_MPI_MODULE may name another, or RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT be set "
      "in place of mpirun");
}

} // namespace mpar
