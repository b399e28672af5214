// Which rank has which device, and what launchers say of ranks.
#include "backend.h"
#include "mpar/device.h"
#include "mpar/errors.h"
#include "mpar/world.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

using namespace mpar;

namespace {

TEST(DeviceMap, SharesOutDevicesAmongRanks) {
  auto ranks = [](const std::string &text, int count, int of) {
    return map_devices(text, count, of).ranks;
  };
  EXPECT_EQ(ranks("auto", 4, 2), (std::vector<int>{0, 0, 1, 1}));
  EXPECT_EQ(ranks("cpu", 5, 3), (std::vector<int>{0, 0, 1, 1, 2}));
  EXPECT_EQ(ranks("cpu:0,cpu:1,cpu:0,cpu:1", 4, 2), (std::vector<int>{0, 0, 1, 1}));
  EXPECT_EQ(ranks("rank:1,rank:0,rank:1", 3, 2), (std::vector<int>{1, 0, 1}));
  const DeviceMap map = map_devices("rank:0/cpu:3,rank:1,rank:0/cpu:1", 3, 2);
  EXPECT_EQ(map.ranks, (std::vector<int>{0, 1, 0}));
  EXPECT_EQ(map.cores, (std::vector<int>{3, DeviceMap::calling_thread, 1}));
  for (const auto &[text, words] : std::map<std::string, std::string>{
           {"rank:0", "`rank:0`: rank 1 has no device"},
           {"rank:2,rank:1", "`rank:2`: there are 2 ranks, numbered from 0"},
           {"rank:x,rank:1", "`rank:x`: expected a rank's number after `rank:`"},
           {"rank:0/gpu,rank:1", "`rank:0/gpu`: no such device; expected `auto`, `cpu`, `cpu:K`, "
                                 "`cuda`, `cuda:K` or `rank:R`"},
           {"rank:0,cpu", "`rank:0,cpu`: either all devices have a rank or none"}})
    try {
      map_devices(text, 2, 2);
      ADD_FAILURE() << text;
    } catch (const Error &error) {
      EXPECT_EQ(error.what(), words);
    }
  EXPECT_THROW(map_devices("auto", 2, 3), Error);
}

TEST(DeviceMap, GivesRanksOneGpuEach) {
  const GpuLibrary two = {[](std::string &) { return 2; }, nullptr, nullptr};
  const GpuLibrary *const before = std::exchange(gpu_library(), &two);
  EXPECT_EQ(map_devices("cuda", 2, {2, 1, 1}).gpus, (std::vector<int>{1, 1}));
  // On the second machine of two.
  EXPECT_EQ(map_devices("cuda", 4, {4, 3, 1}).gpus[3], 1);
  const DeviceMap map = map_devices("rank:1/cuda:0,rank:0/cuda:1,rank:1/cuda:0", 3, {2, 0, 0});
  EXPECT_EQ(map.gpus, (std::vector<int>{0, 1, 0}));
  EXPECT_EQ(map.ranks, (std::vector<int>{1, 0, 1}));
  // What another machine has is not known here.
  EXPECT_NO_THROW(map_devices("cuda:0,cuda:7", 2, {2, 0, 0}));
  EXPECT_FALSE(map_devices("auto", 2, {2, 0, 0}).has_gpus());
  for (const auto &[text, words] : std::map<std::string, std::string>{
           {"cuda:0,cuda:7", "`cuda:7`: there are 2 GPUs, numbered from 0"},
           {"cuda:0,cpu", "`cuda:0,cpu`: of several ranks either all devices are GPUs or none is"},
           {"rank:0,rank:1/cuda:1",
            "`rank:0,rank:1/cuda:1`: of several ranks either all devices are GPUs or none is"}})
    try {
      map_devices(text, 2, {2, 1, 1});
      ADD_FAILURE() << text;
    } catch (const Error &error) {
      EXPECT_EQ(error.what(), words);
    }
  try {
    map_devices("cuda:0,cuda:1,cuda:1", 3, {2, 1, 1});
    ADD_FAILURE() << "two GPUs of one rank";
  } catch (const Error &error) {
    EXPECT_EQ(std::string(error.what()),
              "`cuda:0,cuda:1,cuda:1`: rank 0 has cuda:0 and cuda:1; of several ranks each has "
              "one GPU");
  }
  gpu_library() = before;
}

TEST(Launch, ReadsTheVariablesOfLaunchers) {
  const std::vector<const char *> all = {
      "OMPI_COMM_WORLD_RANK", "OMPI_COMM_WORLD_SIZE", "RANK",
      "WORLD_SIZE",           "MASTER_ADDR",          "MASTER_PORT",
      "SLURM_PROCID",         "SLURM_NTASKS",         "SLURM_STEP_ID",
      "SLURM_JOB_ID",         "SLURM_STEP_NODELIST",  "TORCHELASTIC_USE_AGENT_STORE",
      "LOCAL_RANK",           "SLURM_LOCALID",        "OMPI_COMM_WORLD_LOCAL_RANK"};
  auto launch = [&](const std::map<std::string, std::string> &variables) {
    for (const char *name : all)
      unsetenv(name);
    for (const auto &[name, value] : variables)
      setenv(name.c_str(), value.c_str(), 1);
    const Launch found = find_launch();
    for (const char *name : all)
      unsetenv(name);
    return found;
  };
  EXPECT_EQ(launch({}).size, 1);
  EXPECT_EQ(launch({{"RANK", "0"}, {"WORLD_SIZE", "1"}}).kind, Launch::Kind::alone);
  Launch found = launch({{"OMPI_COMM_WORLD_RANK", "1"}, {"OMPI_COMM_WORLD_SIZE", "3"}});
  EXPECT_EQ(found.kind, Launch::Kind::mpi);
  EXPECT_EQ(found.rank, 1);
  EXPECT_EQ(found.size, 3);
  found =
      launch({{"RANK", "1"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "a"}, {"MASTER_PORT", "29500"}});
  EXPECT_EQ(found.kind, Launch::Kind::tcp);
  EXPECT_EQ(found.address, "a");
  EXPECT_EQ(found.port, 29500);
  EXPECT_EQ(found.local_rank, 1); // as far as is known there is one machine
  EXPECT_EQ(launch({{"RANK", "3"},
                    {"WORLD_SIZE", "4"},
                    {"LOCAL_RANK", "1"},
                    {"MASTER_ADDR", "a"},
                    {"MASTER_PORT", "29500"}})
                .local_rank,
            1);
  EXPECT_EQ(launch({{"OMPI_COMM_WORLD_RANK", "2"},
                    {"OMPI_COMM_WORLD_SIZE", "3"},
                    {"OMPI_COMM_WORLD_LOCAL_RANK", "0"}})
                .local_rank,
            0);
  for (const auto &[list, first] :
       std::map<std::string, std::string>{{"node7", "node7"},
                                          {"a,b", "a"},
                                          {"node[03-05,09],x", "node03"},
                                          {"n[1,3].cluster,x", "n1.cluster"}})
    EXPECT_EQ(launch({{"SLURM_PROCID", "1"},
                      {"SLURM_NTASKS", "2"},
                      {"SLURM_STEP_ID", "0"},
                      {"SLURM_STEP_NODELIST", list}})
                  .address,
              first);
  // A batch script is no task of a step.
  EXPECT_EQ(launch({{"SLURM_PROCID", "0"}, {"SLURM_NTASKS", "2"}, {"SLURM_JOB_ID", "1"}}).size, 1);
  EXPECT_THROW(
      launch({{"RANK", "2"}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "a"}, {"MASTER_PORT", "1"}}),
      Error);
  EXPECT_THROW(launch({{"RANK", "0"}, {"WORLD_SIZE", "2"}, {"MASTER_PORT", "1"}}), Error);
}

} // namespace
