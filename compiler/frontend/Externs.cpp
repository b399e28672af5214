//===- Externs.cpp - Operations that are C++ functions of the user's --------===//
//
// Declarations are checked by themselves first; then each header is read once, with what is asked
// of it.
//
//===----------------------------------------------------------------------===//

#include "frontend/Externs.h"
#include "frontend/Functions.h"
#include "frontend/Names.h"
#include "frontend/Program.h"

#include "llvm/ADT/MapVector.h"
#include "llvm/ADT/SmallString.h"
#include "llvm/Support/FileSystem.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SourceMgr.h"

#include <filesystem>
#include <map>

namespace path = llvm::sys::path;

namespace mparc {

/// As many inputs as an element-wise function may have.
static constexpr size_t maxScalars = 8;

/// The type in C++ of an element; empty for one that no function takes.
static std::string cppType(llvm::StringRef element) {
  if (element == "f32")
    return "float";
  if (element == "i32")
    return "int32_t";
  return element == "bool" ? "bool" : "";
}

ExternOp *Externs::find(llvm::StringRef name) const {
  auto found = operations.find(name);
  return found == operations.end() ? nullptr : found->second.get();
}

std::vector<llvm::StringRef> Externs::names() const {
  std::vector<llvm::StringRef> result;
  result.reserve(order.size());
  for (const ExternOp *op : order)
    result.push_back(op->declaration->name.text);
  return result;
}

void Externs::add(Session &session, const ast::ExternDecl &declaration) {
  const Identifier &name = declaration.name;
  const ast::LayerDecl *layer = session.library.find(name.text);
  const ExternOp *other = find(name.text);
  if (findFunction(name.text)) {
    session.error(name.range, "`" + name.text + "` is a function of the language");
  } else if (other || (layer && !session.library.isStandard(*layer))) {
    session.error(name.range, "`" + name.text + "` is declared twice")
        .note(other ? other->declaration->name.range : layer->name.range, "first declared here");
  } else {
    auto op = std::make_unique<ExternOp>();
    op->declaration = &declaration;
    op->layer.name = name;
    op->layer.forward = std::make_unique<ast::Forward>();
    op->instance.declaration = &op->layer;
    op->instance.isExtern = true;
    op->instance.origin = {declaration.range, "`" + name.text.str() + "`"};
    order.push_back(op.get());
    operations[name.text] = std::move(op);
  }
}

void Externs::check(Session &session, ExternOp &op) {
  const ast::ExternDecl &declaration = *op.declaration;
  auto fail = [&](SourceRange where, const llvm::Twine &message) {
    op.isBroken = true;
    session.error(where, message);
  };
  auto checkType = [&](const ast::TypeExpr &type) {
    if (type.form != ast::TypeExpr::Form::Tensor)
      fail(type.range, "expected a tensor's type, as in `f32[...]`; a scalar is `f32[]`");
    else if (cppType(type.element.text).empty())
      fail(type.element.range,
           "a C++ function takes and gives f32, i32 and bool, got `" + type.element.text + "`");
  };
  if (declaration.inputs.empty())
    fail(declaration.name.range, "`" + declaration.name.text + "` has no input");
  if (declaration.results.size() != 1)
    fail(declaration.results[1].range, "an operation of a header has one result");
  for (const ast::Parameter &input : declaration.inputs) {
    if (input.defaultValue)
      fail(input.defaultValue->range, "an input has no default");
    checkType(input.type);
  }
  checkType(declaration.results.front());
  if (declaration.gradient.empty() || op.isBroken)
    return;
  bool isReal = llvm::any_of(declaration.inputs, [](const ast::Parameter &input) {
    return input.type.element.text == "f32";
  });
  if (!isReal || declaration.results.front().element.text != "f32")
    fail(declaration.gradientRange, "only an f32 result has a gradient, in f32 inputs");
}

/// The header as a path, where it lies beside the file that names it; else as it is written.
/// `include` becomes what the emitted file calls it, which is compiled with the folder of the main
/// file as a place to look in.
static std::string locate(Session &session, const ast::ExternDecl &declaration,
                          llvm::StringRef mainFile, std::string &include) {
  llvm::SmallString<256> file(
      session.sources.getMemoryBuffer(declaration.range.buffer)->getBufferIdentifier());
  path::remove_filename(file);
  path::append(file, declaration.header);
  include = declaration.header;
  if (path::is_absolute(declaration.header) || !llvm::sys::fs::is_regular_file(file))
    return include;
  std::filesystem::path folder = std::filesystem::path(mainFile.str()).parent_path();
  include = std::filesystem::path(file.str().str())
                .lexically_normal()
                .lexically_relative(folder.lexically_normal())
                .generic_string();
  return file.str().str();
}

/// A place in a header as one of the text's, so that its line is shown. Nothing where the header
/// cannot be read again.
static SourceRange rangeIn(Session &session, const HeaderPlace &place) {
  unsigned buffer = 0;
  for (unsigned known = 1; known <= session.sources.getNumBuffers(); ++known)
    if (session.sources.getMemoryBuffer(known)->getBufferIdentifier() == place.file)
      buffer = known;
  std::string why;
  if (!buffer && !place.file.empty())
    buffer = openSource(session.sources, place.file, why);
  if (!buffer)
    return {};
  llvm::StringRef text = session.sources.getMemoryBuffer(buffer)->getBuffer();
  size_t offset = 0;
  for (unsigned line = 1; line < place.line && offset != llvm::StringRef::npos; ++line)
    offset = text.find('\n', offset) + 1;
  Position at{static_cast<uint32_t>(offset) + place.column - 1, place.line, place.column};
  return {buffer, at, at};
}

/// The dimensions of a type as they are written.
static std::string dimensionsText(Session &session, const ast::TypeExpr &type) {
  std::string text;
  for (const ast::ExprPtr &expr : type.dimensions)
    text += (text.empty() ? "" : ", ") + session.text(expr->range).str();
  return text;
}

void Externs::hold(Session &session, ExternOp &op, const HeaderAnswer &header,
                   const ExternAnswer &answer) {
  const ast::ExternDecl &declaration = *op.declaration;
  auto fail = [&](SourceRange where, const llvm::Twine &message) -> Report & {
    op.isBroken = true;
    return session.error(where, message);
  };
  if (!header.isFound) {
    fail(declaration.headerRange, "cannot find `" + declaration.header +
                                      "`, neither beside this file nor in a folder of --include");
    return;
  }
  if (!header.error.empty()) {
    SourceRange place = rangeIn(session, header.place);
    if (place.isValid())
      fail(place, header.error).note(declaration.headerRange, "the header is named here");
    else
      fail(declaration.headerRange, "`" + declaration.header + "`: " + header.error);
    return;
  }
  if (!answer.error.empty()) {
    llvm::SmallVector<llvm::StringRef> names(header.names.begin(), header.names.end());
    const std::string &wanted = answer.isGradient ? declaration.gradient : declaration.function;
    Report &report = fail(answer.isGradient ? declaration.gradientRange : declaration.functionRange,
                          answer.got.empty() ? "`" + declaration.header + "` " + answer.error +
                                                   didYouMean(wanted, names)
                                             : answer.error + ", got `" + answer.got + "`");
    SourceRange place = rangeIn(session, answer.place);
    if (place.isValid())
      report.note(place, "the function is here");
    return;
  }
  op.isElementWise = answer.isElementWise;
  if (!op.isElementWise)
    return;
  if (declaration.inputs.size() > maxScalars)
    fail(declaration.name.range, "an element-wise function takes at most " +
                                     llvm::Twine(maxScalars) + " arguments, got " +
                                     llvm::Twine(declaration.inputs.size()));
  const ast::TypeExpr &result = declaration.results.front();
  std::string wanted = dimensionsText(session, result);
  bool isCarried = wanted.empty();
  for (const ast::Parameter &input : declaration.inputs) {
    std::string dimensions = dimensionsText(session, input.type);
    isCarried |= dimensions == wanted;
    if (!dimensions.empty() && dimensions != wanted)
      fail(input.type.range, "the function is element-wise: its inputs have the dimensions [" +
                                 wanted + "] of the result, or none")
          .note(result.range, "the result is declared here");
  }
  if (!isCarried)
    fail(result.range, "no input of this element-wise function has the dimensions of the result");
}

void Externs::declare(Session &session, llvm::StringRef mainFile, const HeaderReader &read) {
  for (const ast::File *file : session.library.userFiles())
    for (const auto &external : file->externs)
      add(session, *external);
  llvm::MapVector<std::string, std::vector<ExternOp *>, std::map<std::string, unsigned>> headers;
  for (ExternOp *op : order) {
    check(session, *op);
    if (!op->isBroken)
      headers[locate(session, *op->declaration, mainFile, op->header)].push_back(op);
  }
  for (const auto &[header, ops] : headers) {
    if (!read) {
      for (ExternOp *op : ops) {
        op->isBroken = true;
        session.error(op->declaration->headerRange,
                      "`" + op->declaration->name.text +
                          "` is C++ of the user's own, which this program does not carry out");
      }
      continue;
    }
    std::vector<ExternRequest> requests;
    for (const ExternOp *op : ops) {
      ExternRequest request{op->declaration->function,
                            op->declaration->gradient,
                            {},
                            cppType(op->declaration->results.front().element.text)};
      for (const ast::Parameter &input : op->declaration->inputs)
        request.inputs.push_back(cppType(input.type.element.text));
      requests.push_back(std::move(request));
    }
    HeaderAnswer answer = read(header, requests);
    answer.operations.resize(ops.size());
    for (auto [op, operation] : llvm::zip(ops, answer.operations))
      hold(session, *op, answer, operation);
  }
}

} // namespace mparc
