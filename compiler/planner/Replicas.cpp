// Stages and turns of several replicas, from those of one.
#include "planner/Replicas.h"
#include "planner/Streams.h"

#include "llvm/ADT/DenseMap.h"
#include "llvm/ADT/STLExtras.h"

#include <algorithm>

using namespace mlir;

namespace mparc::mp {

/// Whether an operation sums rows into what a reduction adds up.
static bool feeds(Operation *op, ReduceScatterOp reduction) {
  if (getDevice(op) != getDevice(reduction))
    return false;
  BufferAttr all = reduction.getPlace();
  bool countsFloats = all.getRegion() == RegionKind::gradients;
  int64_t unit = countsFloats ? 1 : getElementBytes(reduction.getElement());
  int64_t begin = all.getOffset(), end = begin + reduction.getCount() * unit;
  return llvm::any_of(op->getResults(), [&](Value result) {
    BufferAttr place = isSumOverParts(result) ? getPlace(result) : BufferAttr();
    return place && place.getRegion() == all.getRegion() && place.getOffset() >= begin &&
           place.getOffset() < end;
  });
}

PeerStages findPeerStages(ProgramOp train) {
  PeerStages peers;
  // By device: stages that reduce, and the last of another kind.
  DenseMap<int64_t, SmallVector<int64_t>> reduced;
  DenseMap<int64_t, int64_t> updated, gathered;
  // What is summed is proved to be complete by where it lies, whatever a reduction says it waits
  // for.
  auto addSums = [&](ReduceScatterOp reduction, SmallVector<int64_t> &needed) {
    for (Operation &op : train.getBlock())
      if (auto stage = op.getAttrOfType<IntegerAttr>(kStage);
          stage && feeds(&op, reduction) && !llvm::is_contained(needed, stage.getInt()))
        needed.push_back(stage.getInt());
  };
  for (Operation &op : train.getBlock()) {
    auto number = op.getAttrOfType<IntegerAttr>(kStage);
    if (!number)
      continue;
    int64_t stage = number.getInt(), device = getDevice(&op).value_or(0);
    bool isFirst = stage >= static_cast<int64_t>(peers.size());
    if (isFirst)
      peers.resize(stage + 1);
    auto need = [&](const DenseMap<int64_t, int64_t> &last) {
      if (auto known = last.find(device); known != last.end())
        peers[stage].push_back(known->second);
    };
    if (auto reduction = dyn_cast<ReduceScatterOp>(op)) {
      addSums(reduction, peers[stage]);
      if (isFirst)
        reduced[device].push_back(stage);
    } else if (!isFirst) {
      continue;
    } else if (auto gather = dyn_cast<AllGatherOp>(op)) {
      if (gather.getPlace().getRegion() == RegionKind::parameters)
        need(updated);
      else
        peers[stage] = reduced[device];
      gathered[device] = stage;
    } else if (isa<UpdateOp>(op)) {
      // Gradients it only reads; and of its parameters no other replica fetches any before.
      updated[device] = stage;
    } else {
      need(gathered);
      gathered.erase(device);
    }
  }
  return peers;
}

std::vector<PeerWait> planPeerWaits(ArrayRef<Stage> stages, const PeerStages &peers,
                                    ArrayRef<PlannedTurn> plan) {
  std::vector<int64_t> finished(stages.size(), 0); // by stage: its device's turns with its last one
  DenseMap<int64_t, int64_t> turns;
  for (const PlannedTurn &planned : plan)
    finished[planned.turn.stage] = ++turns[stages[planned.turn.stage].device];
  std::vector<PeerWait> waits;
  for (auto [stage, needed] : llvm::enumerate(peers)) {
    if (needed.empty())
      continue;
    int64_t last = 0;
    for (int64_t other : needed)
      last = std::max(last, finished[other]);
    waits.push_back({static_cast<int64_t>(stage), stages[needed.front()].device, last});
  }
  return waits;
}

void writePeerWaits(ProgramOp train, ArrayRef<PeerWait> waits) {
  Builder builder(train.getContext());
  SmallVector<Attribute> entries;
  for (PeerWait wait : waits)
    entries.push_back(builder.getDenseI64ArrayAttr({wait.stage, wait.device, wait.turns}));
  train->setAttr(kPeerWaits, builder.getArrayAttr(entries));
}

std::vector<PeerWait> readPeerWaits(ProgramOp train) {
  std::vector<PeerWait> waits;
  if (auto entries = train->getAttrOfType<ArrayAttr>(kPeerWaits))
    for (Attribute entry : entries)
      if (auto numbers = dyn_cast<DenseI64ArrayAttr>(entry); numbers && numbers.size() == 3)
        waits.push_back({numbers[0], numbers[1], numbers[2]});
  return waits;
}

std::vector<Stage> replicateStages(ArrayRef<Stage> stages, const PeerStages &peers,
                                   int64_t replicas, int64_t devices) {
  std::vector<Stage> all;
  int64_t count = static_cast<int64_t>(stages.size());
  for (int64_t replica = 0; replica < replicas; ++replica)
    for (auto [number, one] : llvm::enumerate(stages)) {
      Stage stage = one;
      stage.device += replica * devices;
      if (stage.isTransfer())
        stage.from += replica * devices;
      for (int64_t &wait : stage.waits)
        wait += replica * count;
      for (int64_t &other : stage.follows)
        other += replica * count;
      for (int64_t &device : stage.touches)
        device += replica * devices;
      // Of the replica's own, too: that its device takes them in this order is for the turns to
      // show.
      for (int64_t other = 0; other < replicas && number < peers.size(); ++other)
        for (int64_t peer : peers[number])
          stage.waits.push_back(other * count + peer);
      all.push_back(std::move(stage));
    }
  return all;
}

std::vector<PlannedTurn> replicateTurns(ArrayRef<PlannedTurn> plan, ArrayRef<PeerWait> waits,
                                        int64_t replicas, int64_t stages, int64_t devices) {
  std::vector<PlannedTurn> all;
  for (const PlannedTurn &planned : plan)
    for (int64_t replica = 0; replica < replicas; ++replica) {
      PlannedTurn own{{replica * stages + planned.turn.stage, planned.turn.microbatch}, {}};
      for (PlannedTurn::Wait wait : planned.waits)
        own.waits.push_back({replica * devices + wait.device, wait.turns});
      for (PeerWait wait : waits)
        for (int64_t other = 0; wait.stage == planned.turn.stage && other < replicas; ++other)
          if (other != replica)
            own.waits.push_back({other * devices + wait.device, wait.turns});
      all.push_back(std::move(own));
    }
  return all;
}

} // namespace mparc::mp
