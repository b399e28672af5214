//===- Session.cpp - What one run of the front end shares -------------------===//

#include "frontend/Session.h"

#include "llvm/Support/SourceMgr.h"

namespace mparc {

Report &Session::error(SourceRange where, const llvm::Twine &message) {
  std::string text = message.str();
  if (library.isStandard(where)) {
    auto site = llvm::find_if(llvm::reverse(sites),
                              [&](const SourceRange &each) { return !library.isStandard(each); });
    if (site != sites.rend()) {
      // What comes after the first follows from it: who wrote the library knows what else is zero
      // where a size is.
      if (!brokenSites.insert({site->buffer, site->begin.offset}).second) {
        discarded = Report();
        return discarded;
      }
      return error(*site, text).note(where, "found here, in the standard library");
    }
  }
  if (!reported.insert({where.buffer, where.begin.offset, text}).second) {
    discarded = Report();
    return discarded;
  }
  return diagnostics.error(where, text);
}

Report &Session::unsupported(SourceRange where, const llvm::Twine &what) {
  return error(where, what + " not supported by this version");
}

bool Session::count(int64_t &counter, int64_t limit, SourceRange where, llvm::StringRef what) {
  if (stopped)
    return false;
  if (++counter <= limit)
    return true;
  stopped = true;
  error(where, "the model expands to more than " + llvm::Twine(limit) + " " + what);
  return false;
}

const Origin *Session::makeOrigin(SourceRange where, std::string what) {
  origins.push_back(std::make_unique<Origin>(Origin{where, std::move(what)}));
  return origins.back().get();
}

llvm::StringRef Session::text(const SourceRange &range) const {
  return sources.getMemoryBuffer(range.buffer)
      ->getBuffer()
      .slice(range.begin.offset, range.end.offset);
}

} // namespace mparc
