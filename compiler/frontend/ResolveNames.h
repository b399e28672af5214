//===- ResolveNames.h - Names in text that is never expanded ----------------===//

#ifndef MPARC_FRONTEND_RESOLVENAMES_H
#define MPARC_FRONTEND_RESOLVENAMES_H

#include "frontend/Session.h"

namespace mparc {

/// Reports unknown names, and calls of layers with wrong arguments, in a declaration as it stands:
/// in layers that no model uses and in branches that are not taken. What has been reported while
/// expanding is not repeated.
void resolveNames(Session &session, const ast::LayerDecl &declaration);

} // namespace mparc

#endif // MPARC_FRONTEND_RESOLVENAMES_H
