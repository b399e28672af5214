// The syntax of .mp files. docs/language.md says what it means.
//
// Three things are decided on the tokens, between lexer and parser (compiler/frontend/Tokens.h), so
// that every decision of the parser is made on the next token:
//   - a keyword out of its position becomes a NAME: `in`, `model` or `data` may name anything;
//   - the MALFORMED tokens are reported and then dropped, or taken for what they resemble;
//   - brackets and prefix operators that nest too deep are refused.
// A list may end in a comma: `(COMMA item?)*`, so that one token decides here too. What the rules
// below let through but the language does not have (two commas in a row, chained comparisons,
// `param` within `forward`) is refused when the syntax tree is built, with better words than a parser
// has.
grammar Mp;

//===--- Files -----------------------------------------------------------------------------------===

file : declaration* EOF ;

declaration
  : importDecl
  | externDecl
  | annotation* (layerDecl | trainDecl)
  ;

importDecl : IMPORT STRING SEMICOLON ;

externDecl
  : EXTERN STRING OP function LEFT_PAREN (parameter (COMMA parameter?)*)? RIGHT_PAREN
    ARROW results (GRAD function)? SEMICOLON
  ;

// Of C++: with its namespaces.
function : NAME (DOUBLE_COLON NAME)* ;

layerDecl : (LAYER | MODEL) NAME parameterList? LEFT_BRACE statement* RIGHT_BRACE ;

parameterList : LEFT_PAREN (parameter (COMMA parameter?)*)? RIGHT_PAREN ;

parameter : NAME COLON type (ASSIGN expression)? ;

trainDecl : TRAIN NAME LEFT_BRACE trainEntry* RIGHT_BRACE ;

trainEntry : NAME ASSIGN expression SEMICOLON ;

//===--- Statements ------------------------------------------------------------------------------===

block : LEFT_BRACE statement* RIGHT_BRACE ;

statement
  : annotation*
    ( forwardDecl
    | paramStmt
    | returnStmt
    | ifStmt
    | forStmt
    | block
    | simpleStmt
    )
  ;

forwardDecl : FORWARD LEFT_PAREN (parameter (COMMA parameter?)*)? RIGHT_PAREN ARROW results block ;

results
  : type (COMMA type)*
  | LEFT_PAREN type (COMMA type)* RIGHT_PAREN
  ;

paramStmt : (PARAM | BUFFER) NAME COLON type (ASSIGN expression)? SEMICOLON ;

returnStmt : RETURN expression (COMMA expression)* SEMICOLON ;

ifStmt : IF expression block elseBranch* ;

// Only the last may be without a condition.
elseBranch : ELSE (IF expression)? block ;

forStmt : FOR NAME IN expression RANGE expression block ;

// `a, block[i] = f(x);` or `update(state, value);`.
simpleStmt : path (COMMA path)* (ASSIGN expression)? SEMICOLON ;

path : NAME suffix* ;

annotation
  : AT NAME (LEFT_PAREN (annotationArgument (COMMA annotationArgument?)*)? RIGHT_PAREN)?
  ;

annotationArgument : expression (COLON expression)? (RANGE expression)? ;

//===--- Types -----------------------------------------------------------------------------------===

type
  : NAME dimensions?
  | LEFT_BRACKET NAME RIGHT_BRACKET
  ;

dimensions : LEFT_BRACKET (element (COMMA element?)*)? RIGHT_BRACKET ;

//===--- Expressions, tightest first -------------------------------------------------------------===

expression
  : primary                                                                       # primaryExpr
  | expression suffix                                                             # suffixExpr
  | (MINUS | NOT) expression                                                      # unaryExpr
  | expression (STAR | SLASH | PERCENT) expression                                # binaryExpr
  | expression (PLUS | MINUS) expression                                          # binaryExpr
  | expression (EQUAL | NOT_EQUAL | LESS | LESS_EQUAL | GREATER | GREATER_EQUAL) expression
                                                                                  # binaryExpr
  | expression AND expression                                                     # binaryExpr
  | expression OR expression                                                      # binaryExpr
  | expression PIPE expression                                                    # pipeExpr
  ;

suffix
  : LEFT_PAREN (argument (COMMA argument?)*)? RIGHT_PAREN                   # callSuffix
  | LEFT_BRACKET expression RIGHT_BRACKET                                         # indexSuffix
  | DOT NAME                                                                      # memberSuffix
  ;

// With a colon, the first expression is a name.
argument : expression (COLON expression)? ;

primary
  : NAME
  | INTEGER
  | FLOAT
  | STRING
  | TRUE
  | FALSE
  | list
  | tuple
  ;

list : LEFT_BRACKET (element (COMMA element?)*)? RIGHT_BRACKET ;

element : ELLIPSIS | expression ;

// With one element these are just parentheses.
tuple : LEFT_PAREN expression (COMMA expression)* RIGHT_PAREN ;

//===--- Words -----------------------------------------------------------------------------------===

IMPORT  : 'import' ;
EXTERN  : 'extern' ;
OP      : 'op' ;
GRAD    : 'grad' ;
LAYER   : 'layer' ;
MODEL   : 'model' ;
TRAIN   : 'train' ;
FORWARD : 'forward' ;
PARAM   : 'param' ;
BUFFER  : 'buffer' ;
RETURN  : 'return' ;
IF      : 'if' ;
ELSE    : 'else' ;
FOR     : 'for' ;
IN      : 'in' ;
TRUE    : 'true' ;
FALSE   : 'false' ;

NAME : [A-Za-z_] [A-Za-z0-9_]* ;

//===--- Literals --------------------------------------------------------------------------------===

INTEGER : DIGITS ;
FLOAT   : DIGITS '.' DIGITS EXPONENT? | DIGITS EXPONENT ;
STRING  : '"' STRING_CHARACTER* '"' ;

fragment DIGITS           : [0-9]+ ;
fragment EXPONENT         : [eE] [+-]? DIGITS ;
fragment STRING_CHARACTER : ~["\\\r\n] | '\\' ~[\r\n] ;

//===--- Marks -----------------------------------------------------------------------------------===

LEFT_PAREN    : '(' ;
RIGHT_PAREN   : ')' ;
LEFT_BRACKET  : '[' ;
RIGHT_BRACKET : ']' ;
LEFT_BRACE    : '{' ;
RIGHT_BRACE   : '}' ;
COMMA         : ',' ;
SEMICOLON     : ';' ;
COLON         : ':' ;
DOUBLE_COLON  : '::' ;
DOT           : '.' ;
RANGE         : '..' ;
ELLIPSIS      : '...' ;
AT            : '@' ;
ARROW         : '->' ;
ASSIGN        : '=' ;
PIPE          : '|>' ;
OR            : '||' ;
AND           : '&&' ;
NOT           : '!' ;
EQUAL         : '==' ;
NOT_EQUAL     : '!=' ;
LESS          : '<' ;
LESS_EQUAL    : '<=' ;
GREATER       : '>' ;
GREATER_EQUAL : '>=' ;
PLUS          : '+' ;
MINUS         : '-' ;
STAR          : '*' ;
SLASH         : '/' ;
PERCENT       : '%' ;

//===--- What the parser does not see ------------------------------------------------------------===

LINE_COMMENT  : '//' ~[\r\n]* -> channel(HIDDEN) ;
BLOCK_COMMENT : '/*' .*? '*/' -> channel(HIDDEN) ;
SPACE         : [ \t\r\n\f]+ -> skip ;

// The lexer reads bytes, so that every offset is one: a letter outside ASCII is two to four of 80-FF.
MALFORMED_NAME    : [A-Za-z_\u0080-\u00FF] [A-Za-z0-9_\u0080-\u00FF]* ;
MALFORMED_NUMBER  : (INTEGER | FLOAT) [A-Za-z_\u0080-\u00FF] [A-Za-z0-9_\u0080-\u00FF]* ;
MALFORMED_STRING  : '"' STRING_CHARACTER* '\\'? ;
MALFORMED_COMMENT : '/*' (~'*' | '*'+ ~[*/])* '*'* ;
MALFORMED_HASH    : '#' ~[\r\n]* ;
MALFORMED_QUOTES  : '\'' ~['\r\n]* '\'' ;
MALFORMED         : . ;
