// How a process learns which of several it is.
#include "mpar/errors.h"
#include "mpar/world.h"

#include <charconv>
#include <cstdlib>
#include <cstring>

namespace mpar {
namespace {

std::string variable(const char *name) {
  const char *value = std::getenv(name);
  return value ? value : "";
}

/// The number a variable holds; fails where it is none of [least, most].
int number(const char *name, int least, int most) {
  const std::string text = variable(name);
  int value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < least || value > most)
    fail(std::string(name) + " is `" + text + "`; expected a number from " + std::to_string(least) +
         " to " + std::to_string(most));
  return value;
}

constexpr int most_ranks = 4096;

bool both(const char *rank, const char *size) {
  return !variable(rank).empty() && !variable(size).empty();
}

void read_rank(Launch &launch, const char *rank, const char *size, const char *local_rank) {
  launch.size = number(size, 1, most_ranks);
  launch.rank = number(rank, 0, launch.size - 1);
  // Where that is not said there is one machine.
  launch.local_rank =
      variable(local_rank).empty() ? launch.rank : number(local_rank, 0, launch.size - 1);
}

/// The first host of Slurm's list: "node[03-05,09],other" begins with "node03".
std::string first_host(const std::string &list) {
  const size_t bracket = list.find('['), comma = list.find(',');
  if (bracket == std::string::npos || comma < bracket)
    return list.substr(0, comma);
  const size_t end = list.find_first_of("-,]", bracket + 1);
  const size_t close = list.find(']', bracket);
  if (end == std::string::npos || close == std::string::npos)
    return list;
  const size_t next = list.find(',', close);
  return list.substr(0, bracket) + list.substr(bracket + 1, end - bracket - 1) +
         list.substr(close + 1, next == std::string::npos ? next : next - close - 1);
}

/// Where rank 0 is to be met: MASTER_ADDR and MASTER_PORT, else what `address` and `port` say.
void read_meeting(Launch &launch, const std::string &address, int port) {
  launch.kind = Launch::Kind::tcp;
  launch.address = variable("MASTER_ADDR").empty() ? address : variable("MASTER_ADDR");
  launch.port = variable("MASTER_PORT").empty() ? port : number("MASTER_PORT", 1, 65534);
  // torchrun's agent may serve at the port itself.
  if (variable("TORCHELASTIC_USE_AGENT_STORE") == "True")
    ++launch.port;
  launch.run = variable("TORCHELASTIC_RUN_ID") + "/" + variable("SLURM_JOB_ID") + "." +
               variable("SLURM_STEP_ID");
  if (launch.size > 1 && launch.address.empty())
    fail("one of " + std::to_string(launch.size) +
         " ranks, but MASTER_ADDR does not say where rank 0 is");
  if (launch.size > 1 && launch.port == 0)
    fail("one of " + std::to_string(launch.size) +
         " ranks, but MASTER_PORT does not say where rank 0 listens");
}

bool started_by_slurm() {
  if (!both("SLURM_PROCID", "SLURM_NTASKS"))
    return false;
  // A batch script has these too; what it starts without srun is alone.
  return !variable("SLURM_STEP_ID").empty() || variable("SLURM_JOB_ID").empty() ||
         !variable("MASTER_ADDR").empty();
}

int port_of_job() {
  int job = 0;
  for (const char c : variable("SLURM_JOB_ID") + "." + variable("SLURM_STEP_ID"))
    job = (job * 31 + c) % 20000;
  return 20000 + job; // below where systems take ports from for connections
}

} // namespace

Launch find_launch() {
  Launch launch;
  if (both("OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE")) {
    read_rank(launch, "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "OMPI_COMM_WORLD_LOCAL_RANK");
    launch.kind = Launch::Kind::mpi;
  } else if (both("RANK", "WORLD_SIZE")) {
    read_rank(launch, "RANK", "WORLD_SIZE", "LOCAL_RANK");
    read_meeting(launch, "", 0);
  } else if (started_by_slurm()) {
    read_rank(launch, "SLURM_PROCID", "SLURM_NTASKS", "SLURM_LOCALID");
    std::string nodes = variable("SLURM_STEP_NODELIST");
    if (nodes.empty())
      nodes = variable("SLURM_JOB_NODELIST");
    read_meeting(launch, first_host(nodes), port_of_job());
  }
  if (launch.size == 1)
    launch = {};
  return launch;
}

} // namespace mpar
