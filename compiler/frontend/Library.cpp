//===- Library.cpp - The files of a program and what they declare -----------===//

#include "frontend/Library.h"
#include "frontend/Diagnostics.h"
#include "frontend/Parser.h"

#include "llvm/Support/FileSystem.h"
#include "llvm/Support/MemoryBuffer.h"
#include "llvm/Support/Path.h"
#include "llvm/Support/SourceMgr.h"

#include <algorithm>

namespace fs = llvm::sys::fs;
namespace path = llvm::sys::path;

namespace mparc {

void Library::load(unsigned buffer) {
  llvm::StringRef name = sources.getMemoryBuffer(buffer)->getBufferIdentifier();
  if (fs::UniqueID id; !fs::getUniqueID(name, id))
    imported.insert(id);
  // Breadth first, so that a chain of imports is no recursion.
  std::vector<unsigned> pending{buffer};
  for (size_t next = 0; next < pending.size(); ++next) {
    files.push_back(parseFile(sources, pending[next], diagnostics));
    const ast::File &file = *files.back();
    user.push_back(&file);
    broken |= file.isBroken;
    unsigned before = sources.getNumBuffers();
    for (const ast::ImportDecl &declaration : file.imports)
      import(declaration, pending[next]);
    for (unsigned added = before + 1; added <= sources.getNumBuffers(); ++added)
      pending.push_back(added);
  }
  for (const ast::File *file : user)
    declare(*file);
}

void Library::import(const ast::ImportDecl &declaration, unsigned importer) {
  llvm::SmallString<256> file(sources.getMemoryBuffer(importer)->getBufferIdentifier());
  path::remove_filename(file);
  path::append(file, declaration.path);
  if (path::is_absolute(declaration.path))
    file = declaration.path;
  fs::file_status status;
  std::error_code failure = fs::status(file, status);
  if (!failure && fs::is_directory(status))
    failure = std::make_error_code(std::errc::is_a_directory);
  if (!failure && !imported.insert(status.getUniqueID()).second)
    return;
  if (!failure) {
    auto buffer = llvm::MemoryBuffer::getFile(file);
    if (buffer) {
      sources.AddNewSourceBuffer(std::move(*buffer), llvm::SMLoc());
      return;
    }
    failure = buffer.getError();
  }
  broken = true;
  std::string reason = failure.message();
  if (!reason.empty())
    reason.front() = static_cast<char>(std::tolower(reason.front()));
  diagnostics.error(declaration.pathRange, "cannot read `" + file.str() + "`: " + reason);
}

void Library::declare(const ast::File &file) {
  for (const auto &layer : file.layers) {
    if (!layer->name)
      continue;
    auto [entry, isNew] = layers.try_emplace(layer->name.text, layer.get());
    if (!isNew)
      diagnostics.error(layer->name.range, "`" + layer->name.text + "` is declared twice")
          .note(entry->second->name.range, "first declared here");
  }
}

/// Which file of the standard library declares what, by a look at the text: parsing all of it would
/// take longer than checking a small program.
void Library::indexStandard() {
  if (isIndexed)
    return;
  isIndexed = true;
  std::error_code failure;
  std::vector<std::string> paths;
  for (fs::directory_iterator entry(stdlibDirectory, failure), end; !failure && entry != end;
       entry.increment(failure))
    if (path::extension(entry->path()) == ".mp")
      paths.push_back(entry->path());
  std::sort(paths.begin(), paths.end());
  for (const std::string &file : paths) {
    auto buffer = llvm::MemoryBuffer::getFile(file);
    if (!buffer)
      continue;
    llvm::StringRef text = (*buffer)->getBuffer();
    unsigned number = sources.AddNewSourceBuffer(std::move(*buffer), llvm::SMLoc());
    standardBuffers.insert(number);
    while (!text.empty()) {
      llvm::StringRef line;
      std::tie(line, text) = text.split('\n');
      while (line.starts_with("@")) // annotations, which stand before it on its line
        line = line.drop_until([](char c) { return c == ' '; }).ltrim();
      if (line.consume_front("layer "))
        standard[line.take_while([](char c) { return std::isalnum(c) || c == '_'; })] = number;
    }
  }
}

const ast::LayerDecl *Library::find(llvm::StringRef name) {
  if (auto known = layers.find(name); known != layers.end())
    return known->second;
  indexStandard();
  auto entry = standard.find(name);
  if (entry == standard.end())
    return nullptr;
  files.push_back(parseFile(sources, entry->second, diagnostics));
  for (const auto &layer : files.back()->layers) {
    standardLayers.insert(layer.get());
    layers.try_emplace(layer->name.text, layer.get());
  }
  auto known = layers.find(name);
  return known == layers.end() ? nullptr : known->second;
}

std::vector<llvm::StringRef> Library::names() {
  indexStandard();
  std::vector<llvm::StringRef> result;
  for (const auto &entry : layers)
    result.push_back(entry.first());
  for (const auto &entry : standard)
    result.push_back(entry.first());
  return result;
}

const ast::Expr *Library::parseExpression(llvm::StringRef title, llvm::StringRef text) {
  // The grammar's start is a file; the text stands on a line of its own in the shortest one.
  std::string whole = ("train _ { _ =\n" + text + "\n; }\n").str();
  unsigned number =
      sources.AddNewSourceBuffer(llvm::MemoryBuffer::getMemBufferCopy(whole, title), llvm::SMLoc());
  files.push_back(parseFile(sources, number, diagnostics));
  const ast::File &file = *files.back();
  if (file.isBroken)
    return nullptr;
  if (file.trains.size() != 1 || file.trains.front()->entries.size() != 1 || !file.layers.empty()) {
    // The place of the text itself, which begins the second line.
    auto begin = static_cast<uint32_t>(llvm::StringRef(whole).find('\n') + 1);
    SourceRange start{number, {begin, 2, 1}, {begin, 2, 1}};
    diagnostics.error(start, "expected one expression, got `" + text + "`");
    return nullptr;
  }
  return file.trains.front()->entries.front().value.get();
}

} // namespace mparc
