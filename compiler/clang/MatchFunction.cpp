// Signatures: what an operation's declaration asks for, and what the header has.
#include "clang/MatchFunction.h"

#include "clang/AST/ASTContext.h"
#include "clang/AST/Decl.h"
#include "clang/AST/DeclTemplate.h"
#include "clang/Basic/SourceManager.h"
#include "llvm/ADT/STLExtras.h"
#include "llvm/ADT/StringExtras.h"

#include <optional>

using namespace clang;

namespace mparc::clang_tools {
namespace {

/// What a parameter or a result is to an operation.
struct Kind {
  enum What { scalar, array, device, view, writtenView, nothing, other } what = other;
  std::string element; // "float", "int32_t", "bool"; of an operation's template: the parameter
  unsigned count = 0;  // of an array

  bool operator==(const Kind &kind) const {
    return what == kind.what && element == kind.element && count == kind.count;
  }
  std::string str() const {
    switch (what) {
    case scalar:
      return element;
    case array:
      return "std::array<" + element + ", " + std::to_string(count) + ">";
    case device:
      return "mpar::Device &";
    case view:
      return "mpar::View<const " + element + ">";
    case writtenView:
      return "mpar::View<" + element + ">";
    case nothing:
      return "void";
    case other:
      break;
    }
    return "";
  }
};

/// One signature that would do.
struct Signature {
  Kind result;
  std::vector<Kind> parameters;

  std::string str(llvm::StringRef name) const {
    std::vector<std::string> list;
    list.reserve(parameters.size());
    for (const Kind &parameter : parameters)
      list.push_back(parameter.str());
    return result.str() + " " + name.str() + "(" + llvm::join(list, ", ") + ")";
  }
};

} // namespace

static bool isNamed(const NamedDecl *declaration, llvm::StringRef name) {
  return declaration && declaration->getQualifiedNameAsString() == name;
}

/// The one type that a template deduces from its arguments, or null.
static const TemplateTypeParmDecl *deducedType(const FunctionDecl *function) {
  const FunctionTemplateDecl *pattern = function->getDescribedFunctionTemplate();
  if (!pattern || pattern->getTemplateParameters()->size() != 1)
    return nullptr;
  return llvm::dyn_cast<TemplateTypeParmDecl>(pattern->getTemplateParameters()->getParam(0));
}

/// `type` is by value or a reference to what is const.
static Kind classify(QualType type, const FunctionDecl *function) {
  type = type.getCanonicalType();
  if (type->isVoidType())
    return {Kind::nothing, "", 0};
  if (auto *reference = type->getAs<LValueReferenceType>()) {
    QualType referred = reference->getPointeeType();
    if (isNamed(referred->getAsCXXRecordDecl(), "mpar::Device") && !referred.isConstQualified())
      return {Kind::device, "", 0};
    if (!referred.isConstQualified())
      return {};
    type = referred;
  }
  if (type.isVolatileQualified())
    return {};
  type = type.getUnqualifiedType();
  if (auto *builtin = type->getAs<BuiltinType>()) {
    if (builtin->getKind() == BuiltinType::Float)
      return {Kind::scalar, "float", 0};
    if (builtin->getKind() == BuiltinType::Int)
      return {Kind::scalar, "int32_t", 0};
    if (builtin->getKind() == BuiltinType::Bool)
      return {Kind::scalar, "bool", 0};
    return {};
  }
  if (auto *parameter = type->getAs<TemplateTypeParmType>()) {
    const TemplateTypeParmDecl *deduced = deducedType(function);
    bool isDeduced = deduced && deduced->getIndex() == parameter->getIndex();
    return isDeduced ? Kind{Kind::scalar, "", 0} : Kind{};
  }
  auto *record =
      llvm::dyn_cast_or_null<ClassTemplateSpecializationDecl>(type->getAsCXXRecordDecl());
  if (!record || record->getTemplateArgs().size() == 0 ||
      record->getTemplateArgs()[0].getKind() != TemplateArgument::Type)
    return {};
  QualType argument = record->getTemplateArgs()[0].getAsType();
  Kind element = classify(argument.getUnqualifiedType(), function);
  if (element.what != Kind::scalar || element.element.empty() || argument.isVolatileQualified())
    return {};
  if (isNamed(record, "mpar::View"))
    return {argument.isConstQualified() ? Kind::view : Kind::writtenView, element.element, 0};
  if (isNamed(record, "std::array") && record->getTemplateArgs().size() == 2 &&
      record->getTemplateArgs()[1].getKind() == TemplateArgument::Integral)
    return {Kind::array, element.element,
            static_cast<unsigned>(record->getTemplateArgs()[1].getAsIntegral().getLimitedValue())};
  return {};
}

/// Whether a call with such arguments calls `function` and gives such a result.
static bool fits(const FunctionDecl *function, const Signature &wanted) {
  if (function->getNumParams() < wanted.parameters.size() || function->isDeleted() ||
      function->getMinRequiredArguments() > wanted.parameters.size())
    return false;
  std::optional<std::string> deduced; // what the template's type is
  auto agrees = [&](const Kind &has, const Kind &wants) {
    if (has.what != Kind::scalar || !has.element.empty())
      return has == wants;
    if (wants.what != Kind::scalar || (deduced && *deduced != wants.element))
      return false;
    deduced = wants.element;
    return true;
  };
  for (auto [index, wants] : llvm::enumerate(wanted.parameters))
    if (!agrees(classify(function->getParamDecl(index)->getType(), function), wants))
      return false;
  bool isTemplate = function->getDescribedFunctionTemplate();
  return isTemplate == deduced.has_value() &&
         agrees(classify(function->getReturnType(), function), wanted.result);
}

/// All functions of that name, templates by what they are templates of.
static std::vector<const FunctionDecl *> find(ASTContext &context, llvm::StringRef name,
                                              bool &isKnown) {
  llvm::SmallVector<llvm::StringRef> parts;
  name.split(parts, "::");
  const DeclContext *scope = context.getTranslationUnitDecl();
  std::vector<const FunctionDecl *> functions;
  isKnown = false;
  for (auto [index, part] : llvm::enumerate(parts)) {
    const DeclContext *inner = nullptr;
    for (const NamedDecl *found : scope->lookup(&context.Idents.get(part))) {
      found = found->getUnderlyingDecl();
      if (index + 1 < parts.size()) {
        if (auto *space = llvm::dyn_cast<NamespaceDecl>(found))
          inner = space->getPrimaryContext();
        continue;
      }
      isKnown = true;
      if (auto *pattern = llvm::dyn_cast<FunctionTemplateDecl>(found))
        functions.push_back(pattern->getTemplatedDecl());
      else if (auto *function = llvm::dyn_cast<FunctionDecl>(found))
        functions.push_back(function);
    }
    if (index + 1 < parts.size() && !inner)
      return {};
    scope = inner;
  }
  return functions;
}

static HeaderPlace placeOf(ASTContext &context, const FunctionDecl *function) {
  const SourceManager &sources = context.getSourceManager();
  SourceLocation location = sources.getFileLoc(function->getLocation());
  return {sources.getFilename(location).str(), sources.getSpellingLineNumber(location),
          sources.getSpellingColumnNumber(location)};
}

/// A signature as it is written, on one line.
static std::string describe(ASTContext &context, const FunctionDecl *function) {
  PrintingPolicy policy(context.getPrintingPolicy());
  std::vector<std::string> list;
  for (const ParmVarDecl *parameter : function->parameters())
    list.push_back(parameter->getType().getAsString(policy));
  std::string text = function->getReturnType().getAsString(policy) + " " +
                     function->getNameAsString() + "(" + llvm::join(list, ", ") + ")";
  if (const FunctionTemplateDecl *pattern = function->getDescribedFunctionTemplate()) {
    std::vector<std::string> parameters;
    for (const NamedDecl *parameter : *pattern->getTemplateParameters())
      parameters.push_back("class " + parameter->getNameAsString());
    text = "template <" + llvm::join(parameters, ", ") + "> " + text;
  }
  return text;
}

static bool takesViews(const FunctionDecl *function) {
  return llvm::any_of(function->parameters(), [&](const ParmVarDecl *parameter) {
    Kind kind = classify(parameter->getType(), function);
    return kind.what == Kind::device || kind.what == Kind::view || kind.what == Kind::writtenView;
  });
}

static Signature elementWise(const ForeignOperation &operation) {
  Signature signature{{Kind::scalar, operation.result, 0}, {}};
  for (const std::string &input : operation.inputs)
    signature.parameters.push_back({Kind::scalar, input, 0});
  return signature;
}

static Signature wholeTensor(const ForeignOperation &operation) {
  Signature signature{{Kind::nothing, "", 0}, {{Kind::device, "", 0}}};
  for (const std::string &input : operation.inputs)
    signature.parameters.push_back({Kind::view, input, 0});
  signature.parameters.push_back({Kind::writtenView, operation.result, 0});
  return signature;
}

/// Of the function that gives the derivatives of such an operation.
static Signature gradientOf(const ForeignOperation &operation, bool isElementWise) {
  auto trained = static_cast<unsigned>(llvm::count(operation.inputs, "float"));
  if (isElementWise) {
    Signature signature = elementWise(operation);
    signature.result =
        trained == 1 ? Kind{Kind::scalar, "float", 0} : Kind{Kind::array, "float", trained};
    return signature;
  }
  Signature signature = wholeTensor(operation);
  signature.parameters.back() = {Kind::view, "float", 0}; // the adjoint of the result
  for (unsigned index = 0; index < trained; ++index)
    signature.parameters.push_back({Kind::writtenView, "float", 0});
  return signature;
}

/// Looks for a function of one of these signatures. The one that fits, or what is wrong.
static const Signature *choose(ASTContext &context, const std::string &name,
                               const std::vector<Signature> &signatures, ForeignFunction &result) {
  bool isKnown = false;
  std::vector<const FunctionDecl *> functions = find(context, name, isKnown);
  if (functions.empty()) {
    result.error =
        isKnown ? "has a `" + name + "` that is no function" : "has no function `" + name + "`";
    return nullptr;
  }
  for (const Signature &signature : signatures)
    for (const FunctionDecl *function : functions)
      if (fits(function, signature))
        return &signature;
  const FunctionDecl *nearest = functions.front();
  std::string leaf = name.substr(name.rfind(':') + 1);
  const Signature &wanted = takesViews(nearest) ? signatures.back() : signatures.front();
  result.error = "expected `" + wanted.str(leaf) + "`";
  result.got = describe(context, nearest);
  result.place = placeOf(context, nearest);
  return nullptr;
}

static void collectNames(ASTContext &context, const DeclContext *scope,
                         std::vector<std::string> &names) {
  for (const Decl *declaration : scope->decls()) {
    if (context.getSourceManager().isInSystemHeader(declaration->getLocation()))
      continue;
    if (auto *space = llvm::dyn_cast<NamespaceDecl>(declaration)) {
      if (!space->isAnonymousNamespace() && space->getQualifiedNameAsString() != "mpar")
        collectNames(context, space, names);
    } else if (llvm::isa<FunctionDecl, FunctionTemplateDecl>(declaration)) {
      names.push_back(llvm::cast<NamedDecl>(declaration)->getQualifiedNameAsString());
    }
  }
}

std::vector<std::string> namesOfFunctions(ASTContext &context) {
  std::vector<std::string> names;
  collectNames(context, context.getTranslationUnitDecl(), names);
  return names;
}

ForeignFunction matchFunction(ASTContext &context, const ForeignOperation &operation) {
  ForeignFunction result;
  const std::vector<Signature> signatures = {elementWise(operation), wholeTensor(operation)};
  const Signature *chosen = choose(context, operation.function, signatures, result);
  if (!chosen)
    return result;
  result.isElementWise = chosen == &signatures.front();
  if (operation.gradient.empty())
    return result;
  result.isGradient = true;
  choose(context, operation.gradient, {gradientOf(operation, result.isElementWise)}, result);
  return result;
}

} // namespace mparc::clang_tools
