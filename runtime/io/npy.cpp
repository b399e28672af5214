#include "mpar/npy.h"

#include "mpar/errors.h"
#include "mpar/file.h"
#include "mpar/low_precision.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <string_view>

namespace mpar {

namespace {

struct Header {
  std::string type; // "<f4"
  bool fortran_order = false;
  std::vector<int64_t> shape;
};

// Parses the header: a Python dictionary of a string, a truth value and a tuple of integers.
class HeaderParser {
public:
  HeaderParser(const std::string &path, std::string_view text) : path_(path), rest_(text) {}

  Header parse() {
    bool has_type = false, has_order = false, has_shape = false;
    Header header;
    expect('{');
    while (!accept('}')) {
      std::string key = string();
      expect(':');
      if (key == "descr" && !has_type) {
        if (peek() == '[')
          fail(path_ + ": arrays of structures cannot be read; expected numbers");
        header.type = string();
        has_type = true;
      } else if (key == "fortran_order" && !has_order) {
        header.fortran_order = truth();
        has_order = true;
      } else if (key == "shape" && !has_shape) {
        header.shape = tuple();
        has_shape = true;
      } else {
        broken();
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    skip_blanks();
    if (!rest_.empty() || !has_type || !has_order || !has_shape)
      broken();
    return header;
  }

private:
  [[noreturn]] void broken() { fail(path_ + ": the header is not one that NumPy writes"); }

  void skip_blanks() {
    size_t count = rest_.find_first_not_of(" \t\r\n");
    rest_.remove_prefix(std::min(count, rest_.size()));
  }
  char peek() {
    skip_blanks();
    return rest_.empty() ? '\0' : rest_.front();
  }
  bool accept(char c) {
    if (peek() != c)
      return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char c) {
    if (!accept(c))
      broken();
  }
  std::string string() {
    char quote = peek();
    if (quote != '\'' && quote != '"')
      broken();
    size_t close = rest_.find(quote, 1);
    if (close == std::string_view::npos || close > 64)
      broken();
    std::string text(rest_.substr(1, close - 1));
    for (char c : text)
      if (c < ' ' || c > '~')
        broken();
    rest_.remove_prefix(close + 1);
    return text;
  }
  bool truth() {
    skip_blanks();
    for (std::string_view word : {"True", "False"}) {
      if (rest_.substr(0, word.size()) == word) {
        rest_.remove_prefix(word.size());
        return word == "True";
      }
    }
    broken();
  }
  int64_t integer() {
    skip_blanks();
    int64_t value = 0;
    size_t digits = 0;
    for (; digits < rest_.size() && rest_[digits] >= '0' && rest_[digits] <= '9'; ++digits) {
      if (value > (std::numeric_limits<int64_t>::max() - 9) / 10)
        fail(path_ + ": the header states a size that no array has");
      value = value * 10 + (rest_[digits] - '0');
    }
    if (digits == 0)
      broken();
    rest_.remove_prefix(digits);
    return value;
  }
  std::vector<int64_t> tuple() {
    std::vector<int64_t> values;
    expect('(');
    while (!accept(')')) {
      values.push_back(integer());
      if (values.size() > 32)
        broken();
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
    return values;
  }

  const std::string &path_;
  std::string_view rest_;
};

template <typename T> double load(const char *bytes) {
  T value;
  std::memcpy(&value, bytes, sizeof value);
  return static_cast<double>(value);
}
template <> double load<float16>(const char *bytes) {
  float16 value;
  std::memcpy(&value, bytes, sizeof value);
  return static_cast<double>(static_cast<float>(value));
}

struct Element {
  const char *name; // without the byte order
  int bytes;
  double (*load)(const char *); // every one but the largest 64-bit integers exactly
};

constexpr Element elements[] = {
    {"f2", 2, load<float16>},  {"f4", 4, load<float>},   {"f8", 8, load<double>},
    {"i1", 1, load<int8_t>},   {"i2", 2, load<int16_t>}, {"i4", 4, load<int32_t>},
    {"i8", 8, load<int64_t>},  {"u1", 1, load<uint8_t>}, {"u2", 2, load<uint16_t>},
    {"u4", 4, load<uint32_t>}, {"b1", 1, load<uint8_t>},
};

const Element &find_element(const std::string &path, const std::string &type) {
  if (type.size() == 3 && type[0] != '>') {
    for (const Element &element : elements)
      if (type.substr(1) == element.name && (type[0] == '<' || element.bytes == 1))
        return element;
  }
  if (type.size() > 1 && type[1] == 'O')
    fail(path + ": arrays of objects cannot be read; expected numbers");
  if (type[0] == '>')
    fail(path + ": big-endian numbers cannot be read; save the array in little-endian order");
  fail(path + ": elements of type " + type +
       " cannot be read; expected f2, f4, f8, integers or bool");
}

// Reads magic, version and header; sets where the data begins.
Header read_header(const InputFile &file, int64_t &data) {
  const std::string &path = file.path();
  unsigned char start[12] = {};
  if (file.size() < 0)
    fail("cannot read " + path + ": it is not a regular file");
  file.read_at(0, start, std::min<int64_t>(file.size(), sizeof start));
  if (file.size() < 10 || std::memcmp(start, "\x93NUMPY", 6) != 0)
    fail(path + ": not a NumPy file");
  int version = start[6];
  if (version < 1 || version > 3 || start[7] != 0)
    fail(path + ": version " + std::to_string(version) + "." + std::to_string(start[7]) +
         " of the format is not known; expected 1.0, 2.0 or 3.0");
  int64_t length = start[8] | start[9] << 8;
  data = 10;
  if (version > 1) {
    length |= static_cast<int64_t>(start[10]) << 16 | static_cast<int64_t>(start[11]) << 24;
    data = 12;
  }
  if (length > file.size() - data)
    fail(path + ": truncated inside its header");
  // Numbers need some hundred bytes; only structures have long headers.
  if (length > 1 << 16)
    fail(path + ": the header is not that of an array of numbers");
  std::string text(static_cast<size_t>(length), '\0');
  file.read_at(data, text.data(), text.size());
  data += length;
  return HeaderParser(path, text).parse();
}

[[noreturn]] void fail_at(const std::string &path, int64_t row, const std::string &what) {
  fail(path + ": row " + std::to_string(row) + ": " + what);
}

} // namespace

ArrayLayout read_npy_layout(const std::string &path) {
  InputFile file(path);
  ArrayLayout layout;
  Header header = read_header(file, layout.begin);
  layout.type = header.type;
  layout.shape = header.shape;
  return layout;
}

Table read_npy(const std::string &path, const ArrayPlan &plan) {
  InputFile file(path);
  int64_t data;
  Header header = read_header(file, data);
  const Element &element = find_element(path, header.type);
  if (header.fortran_order && header.shape.size() > 1)
    fail(path + ": the array is in Fortran order; save it in C order (numpy.ascontiguousarray)");
  if (header.shape.empty())
    fail(path + ": a single number; expected an array whose first dimension is the rows");

  int64_t count = 1;
  for (int64_t extent : header.shape)
    if (__builtin_mul_overflow(count, extent, &count))
      fail(path + ": the header states a size that no array has");
  int64_t bytes;
  if (__builtin_mul_overflow(count, int64_t{element.bytes}, &bytes) || bytes != file.size() - data)
    fail(path + ": the file has " + std::to_string(file.size() - data) +
         " bytes of data, which is not what its header says");
  if (count == 0)
    fail(path + " has no rows");

  ColumnRule rule = plan(header.shape);
  Table table;
  table.rows = header.shape[0];
  table.columns = count / table.rows;
  table.cells.resize(static_cast<size_t>(count));
  std::vector<char> block(static_cast<size_t>(std::min<int64_t>(bytes, 1 << 16)));
  int64_t at = 0;
  while (at < count) {
    int64_t elements_here = std::min<int64_t>(count - at, (1 << 16) / element.bytes);
    file.read_at(data + at * element.bytes, block.data(),
                 static_cast<size_t>(elements_here * element.bytes));
    for (int64_t i = 0; i < elements_here; ++i, ++at) {
      double value = element.load(block.data() + i * element.bytes);
      std::string wrong = to_cell(value, rule, table.cells[at]);
      if (!wrong.empty())
        fail_at(path, at / table.columns,
                (table.columns > 1 ? "column " + std::to_string(at % table.columns) + ": " : "") +
                    shortest(value) + " " + wrong);
    }
  }
  return table;
}

} // namespace mpar
