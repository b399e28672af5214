//===- AstPrinter.cpp - The syntax tree as text ---------------------------===//

#include "frontend/AstPrinter.h"

#include "llvm/ADT/StringExtras.h"
#include "llvm/ADT/TypeSwitch.h"
#include "llvm/Support/raw_ostream.h"

using namespace mparc::ast;

namespace mparc {
namespace {

class AstPrinter {
public:
  AstPrinter(llvm::raw_ostream &stream, bool lines) : out(stream), withLines(lines) {}

  void print(const File &file);

private:
  /// Prints one level deeper while it lives.
  struct Indent {
    explicit Indent(AstPrinter &owner) : printer(owner) { ++printer.depth; }
    ~Indent() { --printer.depth; }
    AstPrinter &printer;
  };

  void line(const llvm::Twine &text) { out.indent(2 * depth) << text << '\n'; }
  void line(const llvm::Twine &text, const SourceRange &range) {
    out.indent(2 * depth) << text;
    if (withLines)
      out << "  :" << range.begin.line;
    out << '\n';
  }

  void print(const Expr &expr);
  void print(const std::vector<ExprPtr> &exprs) {
    Indent indent(*this);
    for (const ExprPtr &expr : exprs)
      print(*expr);
  }
  void print(const std::vector<Argument> &arguments);
  void print(const std::vector<Annotation> &annotations);
  void print(const TypeExpr &type, const llvm::Twine &label);
  void print(const Parameter &parameter, llvm::StringRef label);
  void print(const Stmt &stmt);
  void printBody(const Stmt &stmt);
  void print(const ast::Block &block, llvm::StringRef label);
  void print(const Forward &forward);
  void print(const LayerDecl &layer);
  void print(const TrainDecl &train);
  void print(const ExternDecl &external);

  llvm::raw_ostream &out;
  bool withLines;
  unsigned depth = 0;
};

std::string quoted(llvm::StringRef text) {
  std::string result;
  llvm::raw_string_ostream stream(result);
  stream << '"';
  llvm::printEscapedString(text, stream);
  stream << '"';
  return result;
}

//===----------------------------------------------------------------------===//
// Expressions and types
//===----------------------------------------------------------------------===//

void AstPrinter::print(const Expr &expr) {
  llvm::TypeSwitch<const Expr *>(&expr)
      .Case([&](const IntExpr *node) { line("int " + llvm::Twine(node->value)); })
      .Case([&](const FloatExpr *node) { line("float " + node->spelling); })
      .Case([&](const StringExpr *node) { line("string " + quoted(node->value)); })
      .Case([&](const BoolExpr *node) { line(node->value ? "bool true" : "bool false"); })
      .Case([&](const NameExpr *node) { line("name " + node->name.text); })
      .Case([&](const EllipsisExpr *) { line("..."); })
      .Case([&](const ListExpr *node) {
        line("list");
        print(node->elements);
      })
      .Case([&](const TupleExpr *node) {
        line("tuple");
        print(node->elements);
      })
      .Case([&](const RangeExpr *node) {
        line("range");
        Indent indent(*this);
        print(*node->first);
        print(*node->last);
      })
      .Case([&](const UnaryExpr *node) {
        line("unary " + spelling(node->op));
        Indent indent(*this);
        print(*node->operand);
      })
      .Case([&](const BinaryExpr *node) {
        line("binary " + spelling(node->op));
        Indent indent(*this);
        print(*node->left);
        print(*node->right);
      })
      .Case([&](const PipeExpr *node) {
        line("pipe");
        {
          Indent indent(*this);
          print(*node->source);
        }
        print(node->stages);
      })
      .Case([&](const CallExpr *node) {
        line("call");
        Indent indent(*this);
        print(*node->callee);
        print(node->arguments);
      })
      .Case([&](const IndexExpr *node) {
        line("index");
        Indent indent(*this);
        print(*node->base);
        print(*node->index);
      })
      .Case([&](const MemberExpr *node) {
        line("member " + node->member.text);
        Indent indent(*this);
        print(*node->base);
      });
}

void AstPrinter::print(const std::vector<Argument> &arguments) {
  for (const Argument &argument : arguments) {
    if (!argument.name) {
      print(*argument.value);
      continue;
    }
    line("argument " + argument.name->text);
    Indent indent(*this);
    print(*argument.value);
  }
}

void AstPrinter::print(const std::vector<Annotation> &annotations) {
  for (const Annotation &annotation : annotations) {
    line("annotation " + annotation.name.text, annotation.range);
    Indent indent(*this);
    print(annotation.arguments);
  }
}

void AstPrinter::print(const TypeExpr &type, const llvm::Twine &label) {
  switch (type.form) {
  case TypeExpr::Form::Plain:
    line(label + " " + type.element.text);
    break;
  case TypeExpr::Form::List:
    line(label + " list of " + type.element.text);
    break;
  case TypeExpr::Form::Tensor:
    line(label + " tensor of " + type.element.text);
    print(type.dimensions);
    break;
  }
}

//===----------------------------------------------------------------------===//
// Statements
//===----------------------------------------------------------------------===//

void AstPrinter::print(const ast::Block &block, llvm::StringRef label) {
  line(label);
  Indent indent(*this);
  for (const StmtPtr &stmt : block.statements)
    print(*stmt);
}

void AstPrinter::print(const Stmt &stmt) {
  llvm::TypeSwitch<const Stmt *>(&stmt)
      .Case([&](const ParamStmt *node) {
        line((node->isBuffer ? "buffer " : "param ") + node->name.text, node->range);
      })
      .Case([&](const BindingStmt *node) { line("binding", node->range); })
      .Case([&](const ExpressionStmt *node) { line("expression", node->range); })
      .Case([&](const ReturnStmt *node) { line("return", node->range); })
      .Case([&](const IfStmt *node) { line("if", node->range); })
      .Case([&](const ForStmt *node) { line("for " + node->variable.text, node->range); })
      .Case([&](const GroupStmt *node) { line("group", node->range); });
  Indent indent(*this);
  print(stmt.annotations);
  printBody(stmt);
}

void AstPrinter::printBody(const Stmt &stmt) {
  llvm::TypeSwitch<const Stmt *>(&stmt)
      .Case([&](const ParamStmt *node) {
        print(node->type, "type");
        if (node->initializer)
          print(*node->initializer);
      })
      .Case([&](const BindingStmt *node) {
        for (const Target &target : node->targets) {
          line("target " + target.name.text);
          print(target.indices);
        }
        print(*node->value);
      })
      .Case([&](const ExpressionStmt *node) { print(*node->expression); })
      .Case([&](const ReturnStmt *node) {
        for (const ExprPtr &value : node->values)
          print(*value);
      })
      .Case([&](const IfStmt *node) {
        for (const IfBranch &branch : node->branches) {
          print(*branch.condition);
          print(branch.body, "then");
        }
        if (node->otherwise)
          print(*node->otherwise, "else");
      })
      .Case([&](const ForStmt *node) {
        print(*node->first);
        print(*node->last);
        print(node->body, "do");
      })
      .Case([&](const GroupStmt *node) { print(node->body, "do"); });
}

//===----------------------------------------------------------------------===//
// Declarations
//===----------------------------------------------------------------------===//

void AstPrinter::print(const Parameter &parameter, llvm::StringRef label) {
  line(label + " " + parameter.name.text);
  Indent indent(*this);
  print(parameter.type, "type");
  if (parameter.defaultValue)
    print(*parameter.defaultValue);
}

void AstPrinter::print(const Forward &forward) {
  line("forward", forward.range);
  Indent indent(*this);
  print(forward.annotations);
  for (const Parameter &input : forward.inputs)
    print(input, "input");
  for (const TypeExpr &result : forward.results)
    print(result, "result");
  print(forward.body, "do");
}

void AstPrinter::print(const LayerDecl &layer) {
  line((layer.isModel ? "model " : "layer ") + layer.name.text, layer.range);
  Indent indent(*this);
  print(layer.annotations);
  for (const Parameter &parameter : layer.parameters)
    print(parameter, "parameter");
  for (const StmtPtr &stmt : layer.body)
    print(*stmt);
  if (layer.forward)
    print(*layer.forward);
}

void AstPrinter::print(const TrainDecl &train) {
  line("train " + train.model.text, train.range);
  Indent indent(*this);
  for (const TrainEntry &entry : train.entries) {
    line("entry " + entry.name.text, entry.range);
    Indent inner(*this);
    print(*entry.value);
  }
}

void AstPrinter::print(const ExternDecl &external) {
  line("extern " + external.function + " from " + quoted(external.header), external.range);
  Indent indent(*this);
  for (const Parameter &input : external.inputs)
    print(input, "input");
  for (const TypeExpr &result : external.results)
    print(result, "result");
  if (!external.gradient.empty())
    line("gradient " + external.gradient);
}

void AstPrinter::print(const File &file) {
  for (const ImportDecl &import : file.imports)
    line("import " + quoted(import.path), import.pathRange);
  for (const auto &external : file.externs)
    print(*external);
  for (const auto &layer : file.layers)
    print(*layer);
  for (const auto &train : file.trains)
    print(*train);
}

} // namespace

void printAst(const File &file, llvm::raw_ostream &out, bool withLines) {
  AstPrinter(out, withLines).print(file);
}

} // namespace mparc
