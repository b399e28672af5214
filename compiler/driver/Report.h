// `mparc report`: what will run where, before anything does.
#pragma once

#include "dialect/MpDialect.h"
#include "driver/Timetable.h"

#include <string>

namespace mparc {

/// Whether any activation of a model in the phase calls is computed again in the backward pass.
bool recomputesActivations(mp::ModelOp model);

/// Devices, parameters, memory and transfers of a model in the phase calls, as text, and what its
/// step is predicted to take; may be null: a model without a train block has none. `kept`: the same
/// model without recomputation, to say what that saves; may be null.
std::string report(mp::ModelOp model, mp::ModelOp kept, const Timetable *timetable);

} // namespace mparc
