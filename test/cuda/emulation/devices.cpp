// The GPUs there are, errors, and those that tests ask for.
#include "emulation.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <string>
#include <utility>

namespace emulation {
namespace {

thread_local int device_at_hand = 0;
thread_local cudaError_t last_error = cudaSuccess;

/// The words for each error.
struct Words {
  const char *name;
  const char *text;
};

Words words_of(cudaError_t error) {
  switch (error) {
  case cudaSuccess:
    return {"cudaSuccess", "no error"};
  case cudaErrorInvalidValue:
    return {"cudaErrorInvalidValue", "invalid argument"};
  case cudaErrorMemoryAllocation:
    return {"cudaErrorMemoryAllocation", "out of memory"};
  case cudaErrorInitializationError:
    return {"cudaErrorInitializationError", "initialization error"};
  case cudaErrorInvalidConfiguration:
    return {"cudaErrorInvalidConfiguration", "invalid configuration argument"};
  case cudaErrorInsufficientDriver:
    return {"cudaErrorInsufficientDriver",
            "CUDA driver version is insufficient for CUDA runtime version"};
  case cudaErrorDevicesUnavailable:
    return {"cudaErrorDevicesUnavailable", "CUDA-capable device(s) is/are busy or unavailable"};
  case cudaErrorNoDevice:
    return {"cudaErrorNoDevice", "no CUDA-capable device is detected"};
  case cudaErrorInvalidDevice:
    return {"cudaErrorInvalidDevice", "invalid device ordinal"};
  case cudaErrorNoKernelImageForDevice:
    return {"cudaErrorNoKernelImageForDevice",
            "no kernel image is available for execution on the device"};
  case cudaErrorUnsupportedPtxVersion:
    return {"cudaErrorUnsupportedPtxVersion",
            "the provided PTX was compiled with an unsupported toolchain."};
  case cudaErrorInvalidResourceHandle:
    return {"cudaErrorInvalidResourceHandle", "invalid resource handle"};
  case cudaErrorNotReady:
    return {"cudaErrorNotReady", "device not ready"};
  case cudaErrorIllegalAddress:
    return {"cudaErrorIllegalAddress", "an illegal memory access was encountered"};
  case cudaErrorPeerAccessAlreadyEnabled:
    return {"cudaErrorPeerAccessAlreadyEnabled", "peer access is already enabled"};
  case cudaErrorLaunchFailure:
    return {"cudaErrorLaunchFailure", "unspecified launch failure"};
  case cudaErrorSystemDriverMismatch:
    return {"cudaErrorSystemDriverMismatch",
            "system has unsupported display driver / cuda driver combination"};
  case cudaErrorStreamCaptureUnsupported:
    return {"cudaErrorStreamCaptureUnsupported",
            "operation not permitted when stream is capturing"};
  case cudaErrorStreamCaptureInvalidated:
    return {"cudaErrorStreamCaptureInvalidated",
            "operation failed due to a previous error during capture"};
  case cudaErrorStreamCaptureMerge:
    return {"cudaErrorStreamCaptureMerge",
            "operation would result in a merge of separate capture sequences"};
  case cudaErrorStreamCaptureUnmatched:
    return {"cudaErrorStreamCaptureUnmatched",
            "capture was not ended in the same stream as it began"};
  case cudaErrorStreamCaptureUnjoined:
    return {"cudaErrorStreamCaptureUnjoined", "capturing stream has unjoined work"};
  case cudaErrorStreamCaptureIsolation:
    return {"cudaErrorStreamCaptureIsolation",
            "dependency created on uncaptured work in another stream"};
  case cudaErrorCapturedEvent:
    return {"cudaErrorCapturedEvent",
            "operation not permitted on an event last recorded in a capturing stream"};
  case cudaErrorUnknown:
    break;
  }
  return {"cudaErrorUnknown", "unknown error"};
}

int number_of(const char *variable, int otherwise) {
  const char *text = std::getenv(variable);
  return text ? std::atoi(text) : otherwise;
}

std::map<std::pair<int, int>, bool> &peers() {
  static auto *all = new std::map<std::pair<int, int>, bool>;
  return *all;
}

} // namespace

std::recursive_mutex &mutex() {
  static auto *lock = new std::recursive_mutex;
  return *lock;
}

std::mt19937 &random_numbers() {
  static auto *numbers =
      new std::mt19937(static_cast<unsigned>(number_of("MPAR_EMULATION_SEED", 1)));
  return *numbers;
}

cudaError_t failed(cudaError_t error) {
  if (error != cudaSuccess && error != cudaErrorNotReady)
    last_error = error;
  return error;
}

cudaError_t injected(const char *call) {
  const char *failure = std::getenv("MPAR_EMULATED_FAILURE");
  if (!failure)
    return cudaSuccess;
  const size_t length = std::strlen(call);
  int number = 0, error = 0;
  if (std::strncmp(failure, call, length) != 0 || failure[length] != ':' ||
      std::sscanf(failure + length, ":%d:%d", &number, &error) != 2)
    return cudaSuccess;
  static auto *calls = new std::map<std::string, int>;
  return number == 0 || ++(*calls)[failure] == number ? failed(static_cast<cudaError_t>(error))
                                                      : cudaSuccess;
}

int device_count() { return number_of("MPAR_EMULATED_GPUS", 1); }
int current_device() { return device_at_hand; }

} // namespace emulation

using namespace emulation;

cudaError_t cudaGetLastError() { return std::exchange(last_error, cudaSuccess); }
cudaError_t cudaPeekAtLastError() { return last_error; }
const char *cudaGetErrorName(cudaError_t error) { return words_of(error).name; }
const char *cudaGetErrorString(cudaError_t error) { return words_of(error).text; }

cudaError_t cudaGetDeviceCount(int *count) {
  *count = 0;
  if (const cudaError_t error = injected("cudaGetDeviceCount"))
    return error;
  *count = device_count();
  return *count > 0 ? cudaSuccess : failed(cudaErrorNoDevice);
}

cudaError_t cudaSetDevice(int device) {
  if (const cudaError_t error = injected("cudaSetDevice"))
    return error;
  if (device < 0 || device >= device_count())
    return failed(cudaErrorInvalidDevice);
  device_at_hand = device;
  return cudaSuccess;
}

cudaError_t cudaGetDevice(int *device) {
  *device = device_at_hand;
  return cudaSuccess;
}

cudaError_t cudaGetDeviceProperties(cudaDeviceProp *properties, int device) {
  if (const cudaError_t error = injected("cudaGetDeviceProperties"))
    return error;
  if (device < 0 || device >= device_count())
    return failed(cudaErrorInvalidDevice);
  *properties = {};
  std::snprintf(properties->name, sizeof properties->name, "emulated GPU %d", device);
  properties->totalGlobalMem = device_bytes();
  properties->sharedMemPerBlock = size_t(48) << 10;
  properties->sharedMemPerBlockOptin = size_t(227) << 10;
  properties->warpSize = 32;
  properties->maxThreadsPerBlock = 1024;
  properties->major = number_of("MPAR_EMULATED_CAPABILITY", 90) / 10;
  properties->minor = number_of("MPAR_EMULATED_CAPABILITY", 90) % 10;
  properties->multiProcessorCount = 4;
  return cudaSuccess;
}

cudaError_t cudaDeviceGetAttribute(int *value, cudaDeviceAttr attribute, int device) {
  cudaDeviceProp properties;
  if (const cudaError_t error = cudaGetDeviceProperties(&properties, device))
    return error;
  switch (attribute) {
  case cudaDevAttrMultiProcessorCount:
    *value = properties.multiProcessorCount;
    return cudaSuccess;
  case cudaDevAttrComputeCapabilityMajor:
    *value = properties.major;
    return cudaSuccess;
  case cudaDevAttrComputeCapabilityMinor:
    *value = properties.minor;
    return cudaSuccess;
  case cudaDevAttrMaxSharedMemoryPerBlockOptin:
    *value = static_cast<int>(properties.sharedMemPerBlockOptin);
    return cudaSuccess;
  }
  return failed(cudaErrorInvalidValue);
}

cudaError_t cudaDeviceGetPCIBusId(char *id, int length, int device) {
  if (const cudaError_t error = injected("cudaDeviceGetPCIBusId"))
    return error;
  if (device < 0 || device >= device_count())
    return failed(cudaErrorInvalidDevice);
  std::snprintf(id, static_cast<size_t>(length), "0000:%02x:00.0", device);
  return cudaSuccess;
}

cudaError_t cudaDeviceGetStreamPriorityRange(int *least, int *greatest) {
  *least = 0;
  *greatest = -5;
  return cudaSuccess;
}

cudaError_t cudaDriverGetVersion(int *version) {
  *version = 13000;
  return cudaSuccess;
}

cudaError_t cudaRuntimeGetVersion(int *version) {
  *version = 13000;
  return cudaSuccess;
}

cudaError_t cudaDeviceCanAccessPeer(int *can, int device, int peer) {
  *can = device != peer && number_of("MPAR_EMULATED_PEERS", 1) != 0;
  return cudaSuccess;
}

cudaError_t cudaDeviceEnablePeerAccess(int peer, unsigned) {
  const std::lock_guard lock(mutex());
  if (const cudaError_t error = injected("cudaDeviceEnablePeerAccess"))
    return error;
  bool &enabled = peers()[{device_at_hand, peer}];
  if (enabled)
    return failed(cudaErrorPeerAccessAlreadyEnabled);
  enabled = true;
  return cudaSuccess;
}
