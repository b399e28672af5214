// `mparc report`: what will run where, before anything does.
#pragma once

#include "dialect/MpDialect.h"

#include <string>

namespace mparc {

/// Devices, parameters, memory and transfers of a model in the phase calls, as text.
std::string report(mp::ModelOp model);

} // namespace mparc
