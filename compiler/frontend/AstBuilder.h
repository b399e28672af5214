//===- AstBuilder.h - Parse tree to syntax tree ---------------------------===//
//
// Private to the front end. Walks ANTLR's parse tree, which may have holes where the parser
// recovered, and refuses what the grammar lets through but the language does not have.
//
//===----------------------------------------------------------------------===//

#ifndef MPARC_FRONTEND_ASTBUILDER_H
#define MPARC_FRONTEND_ASTBUILDER_H

#include "frontend/Ast.h"
#include "frontend/Diagnostics.h"

#include "MpParser.h"

namespace mparc {

class AstBuilder {
public:
  using Parser = grammar::MpParser;

  /// `contents` are those of buffer number `number`; `damagedOffsets`, in order when `build` is
  /// called, say where they were not parsed as they are written.
  AstBuilder(llvm::StringRef contents, unsigned number, const std::vector<uint32_t> &damagedOffsets,
             Diagnostics &reports)
      : text(contents), buffer(number), damaged(damagedOffsets), diagnostics(reports) {}

  std::unique_ptr<ast::File> build(Parser::FileContext *context);

private:
  /// What may stand where a statement is built.
  enum class Place { LayerBody, LayerBlock, Forward };

  // Every function below accepts a null or broken context; it then sets `isBroken`, and returns
  // null or an empty node.

  // Declarations (BuildDeclarations.cpp)
  void addDeclaration(Parser::DeclarationContext *context);
  void addImport(Parser::ImportDeclContext *context);
  void addExtern(Parser::ExternDeclContext *context);
  std::string functionName(Parser::FunctionContext *context);
  void addLayer(Parser::LayerDeclContext *context, std::vector<ast::Annotation> annotations);
  void addTrain(Parser::TrainDeclContext *context);
  void addForward(Parser::ForwardDeclContext *context, std::vector<ast::Annotation> annotations,
                  Place place);
  std::vector<ast::Parameter>
  buildParameters(const std::vector<Parser::ParameterContext *> &contexts, bool isLayers);
  std::vector<ast::TypeExpr> buildResults(Parser::ResultsContext *context);
  ast::TypeExpr buildType(Parser::TypeContext *context);
  std::vector<ast::Annotation>
  buildAnnotations(const std::vector<Parser::AnnotationContext *> &contexts);
  ast::Annotation buildAnnotation(Parser::AnnotationContext *context);

  // Statements (BuildStatements.cpp)
  void addStatement(Parser::StatementContext *context, std::vector<ast::StmtPtr> &statements,
                    Place place);
  ast::StmtPtr buildParam(Parser::ParamStmtContext *context, Place place);
  ast::StmtPtr buildReturn(Parser::ReturnStmtContext *context, Place place);
  ast::StmtPtr buildIf(Parser::IfStmtContext *context, Place place);
  ast::StmtPtr buildFor(Parser::ForStmtContext *context, Place place);
  ast::StmtPtr buildSimple(Parser::SimpleStmtContext *context, Place place);
  ast::Block buildBlock(Parser::BlockContext *context, Place place);
  bool buildTarget(Parser::PathContext *context, ast::Target &target);

  // Expressions (BuildExpressions.cpp, BuildOperators.cpp)
  ast::ExprPtr buildExpression(Parser::ExpressionContext *context);
  ast::ExprPtr buildTerm(Parser::ExpressionContext *context);
  ast::ExprPtr buildPrimary(Parser::PrimaryContext *context);
  ast::ExprPtr buildInteger(antlr4::tree::TerminalNode *node);
  ast::ExprPtr buildFloat(antlr4::tree::TerminalNode *node);
  ast::ExprPtr buildList(Parser::ListContext *context);
  ast::ExprPtr buildTuple(Parser::TupleContext *context);
  ast::ExprPtr buildPath(Parser::PathContext *context);
  ast::ExprPtr buildSuffix(Parser::SuffixContext *context, ast::ExprPtr base);
  ast::ExprPtr buildBinary(Parser::BinaryExprContext *context, ast::ExprPtr left);
  ast::ExprPtr buildPipe(Parser::PipeExprContext *context, ast::ExprPtr left);
  std::vector<ast::ExprPtr> buildElements(const std::vector<Parser::ElementContext *> &contexts);
  /// `value` or `name: value`, where `name` and `value` are parsed as expressions.
  ast::Argument buildArgument(Parser::ExpressionContext *first, Parser::ExpressionContext *second);
  /// Refuses a `,` that follows another.
  void checkCommas(antlr4::ParserRuleContext *context);
  /// Gives a finished node its height; refuses one that is too high.
  ast::ExprPtr finish(ast::ExprPtr expression, unsigned childHeight);
  std::string stringValue(antlr4::tree::TerminalNode *node);

  // Places and text
  /// Whether a context is there and was parsed to its end; sets `isBroken` if not.
  bool isWhole(antlr4::ParserRuleContext *context);
  /// Whether a token is there and written by the user; sets `isBroken` if not.
  bool isWritten(antlr4::tree::TerminalNode *node);
  /// Whether something in a range was not parsed as it is written.
  bool isDamaged(const SourceRange &range) const;
  SourceRange rangeOf(antlr4::Token *first, antlr4::Token *last) const;
  SourceRange rangeOf(antlr4::ParserRuleContext *context) const {
    return rangeOf(context->getStart(), context->getStop());
  }
  SourceRange rangeOf(antlr4::tree::TerminalNode *node) const {
    return rangeOf(node->getSymbol(), node->getSymbol());
  }
  llvm::StringRef textOf(const SourceRange &range) const {
    return text.slice(range.begin.offset, range.end.offset);
  }
  Identifier identifier(antlr4::tree::TerminalNode *node);
  Report &error(const SourceRange &range, const llvm::Twine &message) {
    return diagnostics.error(range, message);
  }

  llvm::StringRef text;
  unsigned buffer;
  const std::vector<uint32_t> &damaged;
  Diagnostics &diagnostics;
  std::unique_ptr<ast::File> file;
  /// The layer being built.
  ast::LayerDecl *layer = nullptr;
  /// Something of the declaration being built is missing.
  bool isBroken = false;
};

} // namespace mparc

#endif // MPARC_FRONTEND_ASTBUILDER_H
