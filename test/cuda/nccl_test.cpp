// What the emulation's NCCL does, and that it says what does not fit together.
#include <gtest/gtest.h>

#include <nccl.h>

#include <functional>
#include <string>
#include <sys/wait.h>
#include <unistd.h>
#include <vector>

namespace {

/// One of two processes, with a GPU.
struct Rank {
  ncclComm_t communicator = nullptr;
  cudaStream_t stream = nullptr;
  float *memory = nullptr;

  void settle(ncclResult_t result) const {
    while (result == ncclInProgress)
      ncclCommGetAsyncError(communicator, &result);
    if (result != ncclSuccess)
      _exit(10 + result);
  }
  void send(size_t count, ncclDataType_t type = ncclFloat32) const {
    settle(ncclSend(memory, count, type, 1 - rank, communicator, stream));
  }
  void receive(size_t count, ncclDataType_t type = ncclFloat32) const {
    settle(ncclRecv(memory + 64, count, type, 1 - rank, communicator, stream));
  }
  float received() const {
    float value = 0;
    cudaMemcpyAsync(&value, memory + 64, sizeof value, cudaMemcpyDeviceToHost, stream);
    cudaStreamSynchronize(stream);
    return value;
  }
  int rank = 0;
};

struct Ends {
  int status[2];
  std::string text; // on standard error, of both
};

/// Runs body(rank) in two processes; it returns the exit status.
Ends run_two(const std::function<int(const Rank &)> &body, bool same_gpu = false) {
  ncclUniqueId id;
  ncclGetUniqueId(&id);
  int ends[2];
  if (pipe(ends) != 0)
    return {{-1, -1}, "no pipe"};
  setenv("MPAR_EMULATED_GPUS", "2", 1);
  pid_t processes[2];
  for (int number = 0; number < 2; ++number) {
    processes[number] = fork();
    if (processes[number] != 0)
      continue;
    dup2(ends[1], STDERR_FILENO);
    alarm(20);
    Rank rank;
    rank.rank = number;
    cudaSetDevice(same_gpu ? 0 : number);
    cudaStreamCreateWithFlags(&rank.stream, cudaStreamNonBlocking);
    cudaMalloc(&rank.memory, 128 * sizeof(float));
    const std::vector<float> values(64, static_cast<float>(number + 1));
    cudaMemcpyAsync(rank.memory, values.data(), values.size() * sizeof(float),
                    cudaMemcpyHostToDevice, rank.stream);
    ncclConfig_t config = NCCL_CONFIG_INITIALIZER;
    config.blocking = number; // both kinds
    rank.settle(ncclCommInitRankConfig(&rank.communicator, 2, id, number, &config));
    _exit(body(rank));
  }
  close(ends[1]);
  Ends result{};
  char bytes[512];
  for (ssize_t got; (got = read(ends[0], bytes, sizeof bytes)) > 0;)
    result.text.append(bytes, static_cast<size_t>(got));
  close(ends[0]);
  for (int number = 0; number < 2; ++number) {
    int status = 0;
    waitpid(processes[number], &status, 0);
    result.status[number] = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
  }
  return result;
}

void expect_words(const Ends &ends, const std::string &words) {
  EXPECT_NE(ends.text.find(words), std::string::npos) << ends.text;
  EXPECT_TRUE(ends.status[0] == -SIGABRT || ends.status[1] == -SIGABRT);
}

TEST(Nccl, CarriesMessagesBothWaysInOrder) {
  const Ends ends = run_two([](const Rank &rank) {
    for (int turn = 0; turn < 20; ++turn) {
      if (rank.rank == 0)
        rank.send(64);
      rank.rank == 0 ? rank.receive(3) : rank.receive(64);
      if (rank.rank == 1)
        rank.send(3);
    }
    return rank.received() == static_cast<float>(2 - rank.rank) ? 0 : 1;
  });
  EXPECT_EQ(ends.status[0], 0) << ends.text;
  EXPECT_EQ(ends.status[1], 0) << ends.text;
}

TEST(Nccl, LetsGroupsGoOnAtOnce) {
  const Ends ends = run_two([](const Rank &rank) {
    ncclGroupStart();
    ncclSend(rank.memory, 64, ncclFloat32, 1 - rank.rank, rank.communicator, rank.stream);
    ncclRecv(rank.memory + 64, 64, ncclFloat32, 1 - rank.rank, rank.communicator, rank.stream);
    rank.settle(ncclGroupEnd());
    return rank.received() == static_cast<float>(2 - rank.rank) ? 0 : 1;
  });
  EXPECT_EQ(ends.status[0], 0) << ends.text;
  EXPECT_EQ(ends.status[1], 0) << ends.text;
}

TEST(Nccl, SaysOfTwoThatBothSendFirst) {
  expect_words(run_two([](const Rank &rank) {
                 rank.send(64);
                 rank.receive(64);
                 return static_cast<int>(rank.received());
               }),
               "they wait for one another");
}

TEST(Nccl, SaysOfOtherSizes) {
  expect_words(run_two([](const Rank &rank) {
                 rank.rank == 0 ? rank.send(64) : rank.receive(63);
                 return static_cast<int>(rank.received());
               }),
               "64 of type 7");
}

TEST(Nccl, SaysOfOtherTypes) {
  expect_words(run_two([](const Rank &rank) {
                 rank.rank == 0 ? rank.send(64) : rank.receive(64, ncclInt32);
                 return static_cast<int>(rank.received());
               }),
               "of type 2");
}

TEST(Nccl, SaysOfASideThatIsCapturedAlone) {
  expect_words(run_two([](const Rank &rank) {
                 if (rank.rank == 1) {
                   rank.receive(64);
                   return static_cast<int>(rank.received());
                 }
                 cudaGraph_t graph = nullptr;
                 cudaGraphExec_t exec = nullptr;
                 cudaStreamBeginCapture(rank.stream, cudaStreamCaptureModeRelaxed);
                 rank.send(64);
                 cudaStreamEndCapture(rank.stream, &graph);
                 cudaGraphInstantiate(&exec, graph);
                 cudaGraphLaunch(exec, rank.stream);
                 return static_cast<int>(cudaStreamSynchronize(rank.stream));
               }),
               "captured in a graph");
}

TEST(Nccl, SeesARankThatHasEnded) {
  const Ends ends = run_two([](const Rank &rank) {
    if (rank.rank == 1)
      return 0;
    rank.receive(64);
    ncclResult_t result = ncclSuccess;
    while (result == ncclSuccess)
      ncclCommGetAsyncError(rank.communicator, &result);
    ncclCommAbort(rank.communicator);
    // What was under way is over.
    return cudaStreamSynchronize(rank.stream) == cudaSuccess ? static_cast<int>(result) : 1;
  });
  EXPECT_EQ(ends.status[0], ncclRemoteError) << ends.text;
}

TEST(Nccl, RefusesOneGpuTwice) {
  const Ends ends = run_two([](const Rank &) { return 0; }, /*same_gpu=*/true);
  EXPECT_EQ(ends.status[0], 10 + ncclInvalidUsage) << ends.text;
  EXPECT_EQ(ends.status[1], 10 + ncclInvalidUsage) << ends.text;
}

} // namespace
