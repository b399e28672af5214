//===- Splits.cpp - Groups of devices, and what they cut --------------------===//

#include "frontend/Splits.h"

#include "dialect/Groups.h"
#include "frontend/Session.h"

using namespace mlir;

namespace mparc {

Attribute Splits::groupOf(Session &session, const Devices &devices,
                          const std::optional<SplitMark> &mark, bool isOfStatement) {
  auto count = static_cast<int64_t>(devices.size());
  if (!mark) {
    if (count == 1)
      return {};
    return mp::Group{{devices.begin(), devices.end()}, {{"", count}}, false}.toAttribute(
        &session.context);
  }
  mp::Group group{{devices.begin(), devices.end()}, {}, isOfStatement};
  int64_t product = 1;
  for (const auto &[name, pieces] : mark->axes) {
    group.axes.push_back({name, pieces ? pieces : count});
    if (__builtin_mul_overflow(product, group.axes.back().size, &product))
      product = 0;
  }
  if (product != count) {
    session.error(mark->where, "`@split` makes " + llvm::Twine(product) + " pieces for " +
                                   describe(devices) +
                                   (count == 1 ? "; a group is `@device(0, 1)`" : ""));
    return {};
  }
  if (count == 1 && !mark->axes.front().second) {
    session.error(mark->where, "`@split` cuts over a group of devices, as `@device(0, 1)` names "
                               "one; here is " +
                                   describe(devices) + " alone");
    return {};
  }
  return count == 1 ? Attribute() : group.toAttribute(&session.context);
}

/// That a tensor is too small for its pieces.
static std::string describeTooSmall(const mp::Group::Axis &axis, const mp::Cut &cut,
                                    llvm::StringRef tensor) {
  return ("`" + axis.name + "` is " + llvm::Twine(cut.size) + " in " + tensor +
          " which cannot be cut into " + llvm::Twine(axis.size) + " pieces")
      .str();
}

void Splits::check(Session &session, Operation *op, const SplitMark &mark, SourceRange where) {
  Use &use =
      uses.try_emplace({mark.where.buffer, mark.where.begin.offset}, Use{mark, {}, {}, false})
          .first->second;
  auto group = mp::readGroup(cast<DictionaryAttr>(op->getAttr(mp::kGroup)));
  for (const mp::Group::Axis &axis : group.axes)
    for (Type type : op->getResultTypes()) {
      auto cuts = mp::findNamed(type, axis.name, axis.size);
      if (cuts.empty())
        continue;
      std::string tensor = describe(getElementTypeOrSelf(type), mp::getDimensions(type));
      auto read = dyn_cast<mp::ReadOp>(op);
      if (read)
        tensor = "`" + read.getParameter().str() + "`, " + tensor + ",";
      // A parameter has the name from its own declaration. A value may have it from elsewhere, for
      // a dimension of 1, say, and stays whole along that; unless nothing else has it.
      if (auto cuttable = mp::findCuttable(type, axis.name, axis.size); !read) {
        if (cuttable.empty()) {
          use.tooSmall.try_emplace(axis.name, describeTooSmall(axis, cuts.front(), tensor));
          continue;
        }
        cuts = cuttable;
      }
      use.found.insert(axis.name);
      if (use.isRefused)
        continue;
      Report *report = nullptr;
      if (cuts.size() > 1) {
        auto of = [&](const mp::Cut &cut) { return "dimension " + std::to_string(cut.dimension); };
        report = &session.error(mark.where, "`" + axis.name + "` is in " + tensor + " twice: in " +
                                                of(cuts[0]) + " and in " + of(cuts[1]));
      } else if (!cuts.front().isOfBatch() && cuts.front().size < axis.size) {
        report = &session.error(mark.where, describeTooSmall(axis, cuts.front(), tensor));
      }
      if (!report)
        continue;
      use.isRefused = true;
      if (!read && !session.library.isStandard(where))
        report->note(where, "which is made here");
    }
}

void Splits::noteProduct(llvm::StringRef parameter, llvm::StringRef layer,
                         mp::DimensionAttr factors, SourceRange where) {
  if (products.count(parameter))
    return;
  std::string text = ("`" + parameter + "` of `" + layer + "` is ").str();
  llvm::raw_string_ostream stream(text);
  llvm::interleave(
      factors.getFactors(), stream,
      [&](mp::FactorAttr factor) {
        if (factor.getName().empty())
          stream << factor.getSize();
        else
          stream << factor.getName();
      },
      " * ");
  products.emplace(parameter.str(), Product{where, text});
}

void Splits::reportUnused(Session &session) {
  for (const auto &[place, use] : uses)
    for (const auto &[name, pieces] : use.mark.axes) {
      if (use.found.count(name) || use.isRefused)
        continue;
      auto tooSmall = use.tooSmall.find(name);
      Report &report = session.error(
          use.mark.where,
          tooSmall != use.tooSmall.end()
              ? tooSmall->second
              : "no tensor of what stands here has a dimension or factor `" + name + "`");
      if (auto product = products.find(name); product != products.end())
        report.note(product->second.where,
                    product->second.text +
                        " here, and dimensions of that size go by the names in "
                        "it; a number, or a sum, goes by `" +
                        name + "`");
    }
}

} // namespace mparc
