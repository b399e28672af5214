// What a model that has replicas does for them outside of its step.
#include "mpar/replicas.h"

#include "mpar/safetensors.h"
#include "mpar/train.h"
#include "mpar/world.h"

#include <algorithm>
#include <cstring>

namespace mpar {

void Model::add_replicas(const Settings &settings,
                         const std::function<std::unique_ptr<Model>(const Settings &)> &make) {
  for (int number = 1; number_ == 0 && number < description_.replicas; ++number) {
    Settings own = settings;
    own.replica = number;
    others_.push_back(make(own));
    others_.back()->lead_ = this;
  }
  // Only now are there the arenas of all.
  if (!others_.empty() && workers_ && settings.check && !description_.schedule.turns.empty())
    start_checking();
}

void Model::begin_step_of_replicas() {
  for (const std::unique_ptr<Model> &other : others_) {
    other->optimizer_ = optimizer_;
    other->schedule_ = schedule_;
    other->run_steps_ = run_steps_;
    other->seed_ = seed_;
    other->step_ = step_;
    other->loss_scaling_ = loss_scaling_;
  }
}

void Model::write_parameter(size_t index, const void *values) {
  const ParameterDescription &tensor = description_.parameters[index];
  const int64_t bytes = element_count(tensor.shape) * element_bytes(tensor.type);
  for (int number = 0; number < replicas() && bytes > 0; ++number)
    if (replica(number).has_parameter(index))
      std::memcpy(replica(number).parameter(index), values, static_cast<size_t>(bytes));
}

namespace {

/// The elements of a tensor of which a replica has the optimiser's state, counted from the tensor's
/// first; `offset`: where the tensor lies.
Range kept_part(const Device &device, int64_t offset, int64_t count) {
  if (device.description().shards == 1)
    return {0, count};
  const Range kept = device.updated();
  const int64_t begin = std::clamp<int64_t>(kept.begin - offset, 0, count);
  return {begin, std::clamp<int64_t>(kept.end - offset, begin, count)};
}

} // namespace

void Model::write_state(size_t parameter, int slot, const float *values) {
  const ParameterDescription &tensor = description_.parameters[parameter];
  for (int number = 0; number < replicas(); ++number) {
    const Device &device = replica(number).machine_.device(tensor.device);
    const Range part = kept_part(device, tensor.offset, element_count(tensor.shape));
    if (device.here())
      std::copy(values + part.begin, values + part.end,
                device.state(slot) + tensor.offset + part.begin);
  }
}

std::vector<TensorPiece> Model::parameter_pieces(size_t index) const {
  const ParameterDescription &tensor = description_.parameters[index];
  if (!has_parameter(index))
    return {};
  return {{0, machine_.device(tensor.device).parameters() + tensor.offset,
           element_count(tensor.shape) * element_bytes(tensor.type)}};
}

template <typename Place>
std::vector<TensorPiece> Model::pieces_of_replicas(size_t index, const Place &place) const {
  const ParameterDescription &tensor = description_.parameters[index];
  constexpr auto each = static_cast<int64_t>(sizeof(float));
  std::vector<TensorPiece> pieces;
  for (int number = 0; number < (description_.shard_optimizer ? replicas() : 1); ++number) {
    const Device &device = replica(number).machine_.device(tensor.device);
    const Range part = kept_part(device, tensor.offset, element_count(tensor.shape));
    if (device.here() && part.begin < part.end)
      pieces.push_back({part.begin * each, place(device) + tensor.offset + part.begin,
                        (part.end - part.begin) * each});
  }
  return pieces;
}

std::vector<TensorPiece> Model::state_pieces(size_t parameter, int slot) const {
  return pieces_of_replicas(parameter, [slot](const Device &device) { return device.state(slot); });
}

std::vector<TensorPiece> Model::gradient_pieces(size_t index) const {
  return pieces_of_replicas(index, [](const Device &device) { return device.gradients(); });
}

float Model::value_from(int device, const float *value) {
  float result = has_device(device) ? *value : 0;
  if (world_) {
    world_->set_activity("for the loss");
    world_->broadcast(machine_.device(device).seat().rank, &result, sizeof result);
  }
  return result;
}

const void *Model::output_from(int device, const void *output, int64_t rows) {
  if (!world_)
    return output;
  const int64_t bytes =
      rows * element_count(description_.output.shape) * element_bytes(description_.output.type);
  received_.resize(static_cast<size_t>(bytes));
  if (has_device(device) && bytes > 0)
    std::memcpy(received_.data(), output, received_.size());
  world_->set_activity("for the output");
  world_->broadcast(machine_.device(device).seat().rank, received_.data(), bytes);
  return received_.data();
}

int Model::rank_of(const PortDescription &port) const {
  return machine_.device(port.devices.empty() ? 0 : port.devices.front()).seat().rank;
}

const void *Model::output_for_target(int device, const void *output, int64_t rows) {
  const int from = machine_.device(device).seat().rank, to = rank_of(description_.target);
  if (!world_ || from == to || description_.classes == 0)
    return output;
  const int64_t bytes =
      rows * element_count(description_.output.shape) * element_bytes(description_.output.type);
  const Seat &seat = machine_.device(device).seat();
  const int channel = World::channel(seat.number, seat.number, seat.devices);
  world_->set_activity("for the output");
  if (world_->rank() == from)
    world_->send(to, channel, output, bytes);
  if (world_->rank() != to)
    return nullptr;
  received_.resize(static_cast<size_t>(bytes));
  world_->receive(from, channel, received_.data(), bytes);
  return received_.data();
}

int64_t Model::count_correct(const Batch &batch, const void *output) const {
  auto count = [&](const RowRange &rows) {
    const int64_t positions = element_count(description_.target.shape);
    return mpar::count_correct(description_, rows.count,
                               static_cast<const float *>(output) +
                                   rows.first * positions * description_.classes,
                               static_cast<const int32_t *>(batch.target) + rows.first * positions);
  };
  if (!world_)
    return count({0, batch.rows});
  // As the replicas have taken the rows.
  const int with_rows = batch.rows > largest_share() ? replicas() : 1;
  int64_t correct = 0;
  for (int number = 0; number < with_rows; ++number)
    if (replica(number).rank_of(description_.target) == world_->rank())
      correct += count(rows_of_replica(batch.rows, number, with_rows));
  world_->set_activity("for the accuracy");
  const std::vector<std::string> all = world_->gather(std::to_string(correct));
  for (size_t rank = 1; rank < all.size(); ++rank)
    correct += std::stoll(all[rank]);
  world_->broadcast(0, &correct, sizeof correct);
  return correct;
}

void Model::share_loss_scaling(int device) {
  if (world_)
    world_->broadcast(machine_.device(device).seat().rank, &loss_scaling_, sizeof loss_scaling_);
}

template <typename Work>
const void *Model::divide_among_replicas(const Batch &batch, const Work &work) {
  auto row_bytes = [](const PortDescription &port) {
    return element_count(port.shape) * element_bytes(port.type);
  };
  const int64_t output_bytes = row_bytes(description_.output);
  output_.resize(batch.rows * output_bytes);
  for (int number = 0; number < replicas(); ++number) {
    const RowRange range = rows_of_replica(batch.rows, number, replicas());
    if (range.count == 0)
      continue;
    auto at = [&](const void *values, const PortDescription &port) -> const void * {
      return values ? static_cast<const std::byte *>(values) + range.first * row_bytes(port)
                    : nullptr;
    };
    Batch part{range.count, {}, at(batch.target, description_.target)};
    for (size_t i = 0; i < batch.inputs.size(); ++i)
      part.inputs.push_back(at(batch.inputs[i], description_.inputs[i]));
    if (const void *output = work(replica(number), part))
      std::memcpy(output_.data() + range.first * output_bytes, output, range.count * output_bytes);
  }
  return output_.data();
}

float Model::evaluate_on_replicas(const Batch &batch, const void *&output) {
  begin_step_of_replicas();
  double sum = 0;
  output = divide_among_replicas(batch, [&](Model &replica, const Batch &part) {
    const void *output_of_part = nullptr;
    const double loss = replica.evaluate(part, output_of_part);
    sum += description_.loss_is_sum ? loss : loss * static_cast<double>(part.rows);
    return output_of_part;
  });
  return static_cast<float>(description_.loss_is_sum ? sum : sum / static_cast<double>(batch.rows));
}

const void *Model::predict_on_replicas(const Batch &batch) {
  begin_step_of_replicas();
  return divide_among_replicas(
      batch, [](Model &replica, const Batch &part) { return replica.predict(part); });
}

} // namespace mpar
