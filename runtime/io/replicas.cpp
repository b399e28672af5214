// What a model that has replicas does for them outside of its step.
#include "mpar/replicas.h"

#include "backend.h"

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
  if (number_ == 0 && has_gpus_ && description_.replicas > 1)
    start_streams(settings);
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
  copy_buffers_to_replicas();
}

void Model::copy_buffers_to_replicas() {
  std::vector<float> received;
  for (int index = 0; index < machine_.count() && !others_.empty(); ++index) {
    const Device &device = machine_.device(index);
    const int64_t first = device.description().trained_floats;
    const int64_t count = device.description().parameter_floats - first;
    if (count == 0)
      continue;
    const int64_t bytes = count * static_cast<int64_t>(sizeof(float));
    const float *values = device.here() ? device.parameters() + first : nullptr;
    if (world_ || device.backend()) {
      received.resize(static_cast<size_t>(count));
      if (values)
        device.read(received.data(), values, bytes);
      values = received.data();
    }
    if (world_) {
      world_->set_activity("for the buffers");
      world_->broadcast(device.seat().rank, received.data(), bytes);
    }
    for (const std::unique_ptr<Model> &other : others_)
      if (const Device &theirs = other->machine_.device(index); theirs.here())
        theirs.write(theirs.parameters() + first, values, bytes);
  }
}

void Model::write_parameter(size_t index, const void *values) {
  for (int number = 0; number < replicas(); ++number)
    replica(number).write_own_parameter(index, values);
}

void Model::write_own_parameter(size_t index, const void *values) {
  const ParameterDescription &tensor = description_.parameters[index];
  const int64_t bytes = element_bytes(tensor.type);
  for (const ParameterPiece &place : tensor.places()) {
    const Device &device = machine_.device(place.device);
    float *const to = device.parameters() + place.offset;
    if (!device.here())
      continue;
    if (!device.backend()) {
      copy_to_piece(place.box, bytes, values, to);
      continue;
    }
    std::vector<std::byte> piece(static_cast<size_t>(place.box.count() * bytes));
    copy_to_piece(place.box, bytes, values, piece.data());
    device.write(to, piece.data(), static_cast<int64_t>(piece.size()));
  }
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
  for (const ParameterPiece &place : description_.parameters[parameter].places()) {
    std::vector<float> own(static_cast<size_t>(place.box.count()));
    copy_to_piece(place.box, sizeof(float), values, own.data());
    for (int number = 0; number < replicas(); ++number) {
      const Device &device = replica(number).machine_.device(place.device);
      const Range part = kept_part(device, place.offset, place.box.count());
      if (device.here())
        device.write(device.state(slot) + place.offset + part.begin, own.data() + part.begin,
                     (part.end - part.begin) * static_cast<int64_t>(sizeof(float)));
    }
  }
}

namespace {

/// The places of a tensor that together have each element once: of copies the first.
std::vector<ParameterPiece> places_once(const ParameterDescription &tensor) {
  std::vector<ParameterPiece> places;
  for (ParameterPiece &place : tensor.places())
    if (std::none_of(places.begin(), places.end(), [&](const ParameterPiece &other) {
          return other.box.from == place.box.from && other.box.to == place.box.to;
        }))
      places.push_back(std::move(place));
  return places;
}

/// Appends what lies in `part` of a place whose elements begin at `data`.
void append_pieces(std::vector<TensorPiece> &pieces, const Box &box, const Range &part,
                   int64_t bytes, const Device &device, const void *data) {
  for (const Stretch &stretch : find_stretches(box)) {
    const int64_t begin = std::max(part.begin, stretch.piece),
                  end = std::min(part.end, stretch.piece + stretch.count);
    if (begin < end)
      pieces.push_back({(stretch.whole + begin - stretch.piece) * bytes,
                        static_cast<const std::byte *>(data) + begin * bytes, (end - begin) * bytes,
                        &device});
  }
}

std::vector<TensorPiece> in_order(std::vector<TensorPiece> pieces) {
  std::sort(pieces.begin(), pieces.end(),
            [](const TensorPiece &a, const TensorPiece &b) { return a.begin < b.begin; });
  return pieces;
}

} // namespace

std::vector<TensorPiece> Model::parameter_pieces(size_t index) const {
  const ParameterDescription &tensor = description_.parameters[index];
  std::vector<TensorPiece> pieces;
  for (const ParameterPiece &place : places_once(tensor)) {
    const Device &device = machine_.device(place.device);
    if (device.here())
      append_pieces(pieces, place.box, {0, place.box.count()}, element_bytes(tensor.type), device,
                    device.parameters() + place.offset);
  }
  return in_order(std::move(pieces));
}

template <typename Place>
std::vector<TensorPiece> Model::pieces_of_replicas(size_t index, const Place &place) const {
  std::vector<TensorPiece> pieces;
  for (const ParameterPiece &own : places_once(description_.parameters[index]))
    for (int number = 0; number < (description_.shard_optimizer ? replicas() : 1); ++number) {
      const Device &device = replica(number).machine_.device(own.device);
      const Range part = kept_part(device, own.offset, own.box.count());
      if (device.here())
        append_pieces(pieces, own.box, part, sizeof(float), device, place(device) + own.offset);
    }
  return in_order(std::move(pieces));
}

std::vector<TensorPiece> Model::state_pieces(size_t parameter, int slot) const {
  return pieces_of_replicas(parameter, [slot](const Device &device) { return device.state(slot); });
}

std::vector<TensorPiece> Model::gradient_pieces(size_t index) const {
  return pieces_of_replicas(index, [](const Device &device) { return device.gradients(); });
}

float Model::value_from(int device, const float *value) {
  float result = 0;
  if (has_device(device))
    machine_.device(device).read(&result, value, sizeof result);
  value_device_ = device;
  if (!aside_)
    share_value(result);
  return result;
}

void Model::share_value(float &value) {
  if (!world_)
    return;
  world_->set_activity("for the loss");
  world_->broadcast(machine_.device(value_device_).seat().rank, &value, sizeof value);
}

const void *Model::fetch_output(int device, const void *output, int64_t bytes) {
  if (!has_device(device) || !machine_.device(device).backend())
    return output;
  received_.resize(static_cast<size_t>(bytes));
  machine_.device(device).read(received_.data(), output, bytes);
  return received_.data();
}

int64_t Model::output_row_bytes() const {
  return element_count(description_.output.shape) * element_bytes(description_.output.type);
}

void Model::keep_output(const BatchPart &part, int device, const void *output) {
  const Device &from = machine_.device(device);
  if (!from.here())
    return;
  std::byte *const to = from.output() + part.first_row * output_row_bytes();
  const int64_t bytes = part.rows * output_row_bytes();
  if (Backend *const gpu = from.backend())
    gpu->copy(to, *gpu, output, bytes, Lane::compute);
  else
    std::memcpy(to, output, static_cast<size_t>(bytes));
}

const void *Model::output_from(int device, const void *output, int64_t rows) {
  const int64_t bytes = rows * output_row_bytes();
  output_device_ = device;
  if (!world_)
    return fetch_output(device, output, bytes);
  if (aside_)
    return output;
  received_.resize(static_cast<size_t>(bytes));
  if (has_device(device))
    machine_.device(device).read(received_.data(), output, bytes);
  world_->set_activity("for the output");
  world_->broadcast(machine_.device(device).seat().rank, received_.data(), bytes);
  return received_.data();
}

int Model::rank_of(const PortDescription &port) const {
  return machine_.device(port.devices.empty() ? 0 : port.devices.front()).seat().rank;
}

const void *Model::output_for_target(int device, const void *output, int64_t rows) {
  const int from = machine_.device(device).seat().rank, to = rank_of(description_.target);
  const int64_t bytes = rows * output_row_bytes();
  output_device_ = device;
  if (!world_)
    return fetch_output(device, output, bytes);
  if (aside_)
    return output;
  if (from == to || description_.classes == 0)
    return fetch_output(device, output, bytes);
  const Seat &seat = machine_.device(device).seat();
  const int channel = World::channel(seat.number, seat.number, seat.devices);
  world_->set_activity("for the output");
  if (world_->rank() == from)
    world_->send(to, channel, fetch_output(device, output, bytes), bytes);
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
  if (Backend *const gpu = machine_.device(device).backend())
    loss_scaling_ = gpu->loss_scaling();
  if (world_)
    world_->broadcast(machine_.device(device).seat().rank, &loss_scaling_, sizeof loss_scaling_);
}

struct Model::Share {
  Model *replica;
  RowRange rows;
  Batch batch;
  float loss = 0;
  const void *output = nullptr;
};

std::vector<Model::Share> Model::divide_among_replicas(const Batch &batch) {
  auto row_bytes = [](const PortDescription &port) {
    return element_count(port.shape) * element_bytes(port.type);
  };
  std::vector<Share> shares;
  for (int number = 0; number < replicas(); ++number) {
    const RowRange range = rows_of_replica(batch.rows, number, replicas());
    if (range.count == 0)
      continue;
    auto at = [&](const void *values, const PortDescription &port) -> const void * {
      return values ? static_cast<const std::byte *>(values) + range.first * row_bytes(port)
                    : nullptr;
    };
    Share share{&replica(number), range, {range.count, {}, at(batch.target, description_.target)}};
    share.batch.resident = batch.resident;
    share.batch.numbers = batch.numbers ? batch.numbers + range.first : nullptr;
    for (size_t i = 0; i < batch.inputs.size(); ++i)
      share.batch.inputs.push_back(at(batch.inputs[i], description_.inputs[i]));
    shares.push_back(std::move(share));
  }
  return shares;
}

void Model::run_aside(std::vector<Share> &shares, void (*work)(Share &share)) {
  begin_step_of_replicas();
  std::vector<int> devices; // the first of each that is here
  for (const Share &share : shares) {
    share.replica->aside_ = true;
    const int first = share.replica->number_ * machine_.count();
    int device = first;
    while (device + 1 < first + machine_.count() && !device_of_all(device).here())
      ++device;
    devices.push_back(device);
  }
  struct Work {
    std::vector<Share> &shares;
    void (*work)(Share &share);
  } all{shares, work};
  if (Workers *threads = workers())
    threads->run_on_devices(
        devices,
        [](void *context, size_t item) {
          const Work &each = *static_cast<Work *>(context);
          each.work(each.shares[item]);
        },
        &all);
  else
    for (Share &share : shares)
      work(share);
  for (const Share &share : shares)
    share.replica->aside_ = false;
}

const void *Model::join_outputs(const Batch &batch, const std::vector<Share> &shares) {
  const int64_t row_bytes = output_row_bytes();
  output_.resize(batch.rows * row_bytes);
  for (const Share &share : shares)
    if (share.output)
      std::memcpy(output_.data() + share.rows.first * row_bytes, share.output,
                  share.rows.count * row_bytes);
  return output_.data();
}

float Model::evaluate_on_replicas(const Batch &batch, const void *&output) {
  std::vector<Share> shares = divide_among_replicas(batch);
  run_aside(shares,
            [](Share &share) { share.loss = share.replica->evaluate(share.batch, share.output); });
  double sum = 0;
  for (Share &share : shares) {
    Model &replica = *share.replica;
    if (world_)
      share.output =
          replica.output_for_target(replica.output_device_, share.output, share.rows.count);
    replica.share_value(share.loss);
    const double loss = share.loss;
    sum += description_.loss_is_sum ? loss : loss * static_cast<double>(share.rows.count);
  }
  output = join_outputs(batch, shares);
  return static_cast<float>(description_.loss_is_sum ? sum : sum / static_cast<double>(batch.rows));
}

const void *Model::predict_on_replicas(const Batch &batch) {
  std::vector<Share> shares = divide_among_replicas(batch);
  run_aside(shares, [](Share &share) { share.output = share.replica->predict(share.batch); });
  for (Share &share : shares)
    if (Model &replica = *share.replica; world_)
      share.output = replica.output_from(replica.output_device_, share.output, share.rows.count);
  return join_outputs(batch, shares);
}

} // namespace mpar
