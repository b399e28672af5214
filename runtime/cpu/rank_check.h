// The proof that a rank orders what it does with the memory of its own devices.
#pragma once

#include "mpar/schedule.h"
#include "touches.h"

#include <vector>

namespace mpar {

/// Proves of what a rank carries out, `parts`, that of any two accesses to the same bytes of its
/// devices, one of them writing, one is over before the other begins: by the order of the turns of
/// a device, the waits among its devices, and the sends that must have gone. That is all there is:
/// another rank's turns touch this memory only by what this one sends and receives for them. Fails,
/// naming both turns, where nothing orders two. `ranks`: by device; each of the rank's has a worker
/// of its own.
void prove_rank(const Touches &touches, const std::vector<int> &ranks, int rank,
                const std::vector<RankTurn> &parts);

} // namespace mpar
