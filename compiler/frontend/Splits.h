//===- Splits.h - Groups of devices, and what they cut ----------------------===//

#ifndef MPARC_FRONTEND_SPLITS_H
#define MPARC_FRONTEND_SPLITS_H

#include "frontend/Values.h"

#include <map>
#include <set>
#include <string>

namespace mparc {

class Session;

/// What `@split` says, held against the tensors of the layers under it.
class Splits {
public:
  /// The attribute of operations that are spread over `devices`; null where that is one, or after
  /// an error.
  /// `isOfStatement`: a statement says so, not a layer.
  mlir::Attribute groupOf(Session &session, const Devices &devices,
                          const std::optional<SplitMark> &mark, bool isOfStatement);
  /// Checks that what is named can be cut in what the operation, made at `where`, gives.
  void check(Session &session, mlir::Operation *op, const SplitMark &mark, SourceRange where);
  /// Notes that a layer's compile-time parameter is a product of numbers with other names, which
  /// its dimensions have in place of its own: for who splits by it.
  void noteProduct(llvm::StringRef parameter, llvm::StringRef layer, mp::DimensionAttr factors,
                   SourceRange where);
  /// Reports the names by which none of the tensors could be cut.
  void reportUnused(Session &session);

private:
  using Place = std::pair<unsigned, uint32_t>;
  struct Use {
    SplitMark mark;
    std::set<std::string> found;
    /// Of a name that only values have for which it is too small: the message that says so.
    std::map<std::string, std::string> tooSmall;
    bool isRefused;
  };
  std::map<Place, Use> uses;
  struct Product {
    SourceRange where;
    std::string text; // "`hidden` of `Layer` is 4 * width"
  };
  std::map<std::string, Product, std::less<>> products; // by parameter
};

} // namespace mparc

#endif // MPARC_FRONTEND_SPLITS_H
